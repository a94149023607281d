"""Rules, targets and templates taken over by a bridge that runs: all or none, and open cases decided anew."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from shutil import copytree

import pytest
import yaml

from bridge.policy import PACKAGED
from tests.e2e.bench import Bench, event, open_bench, text_of
from tests.e2e.process import until

CASE = "2026112200042"
PAGE = "104857600"
NO_PAGES = {
    "name": "geen-pagina-vandaag",
    "effect": "deny",
    "channels": ["facebook"],
    "reason": {"nl": "de pagina is vandaag van een ander", "en": "the page is someone else's today"},
}


def write_rules(bench: Bench, *more: object) -> Path:
    """Give the bench rules of its own: the shipped ones, and some more."""
    shipped = yaml.safe_load((PACKAGED / "rules.yaml").read_text("utf-8"))
    file = bench.write().parent / "rules.yaml"
    file.write_text(yaml.safe_dump({"rules": [*shipped["rules"], *more]}), "utf-8")
    bench.settings["rules"] = str(file)  # type: ignore[assignment]
    return file


def write_templates(bench: Bench) -> Path:
    """Give the bench templates of its own: the shipped ones."""
    folder = bench.write().parent / "templates"
    copytree(PACKAGED / "templates", folder)
    bench.settings["templates"] = str(folder)  # type: ignore[assignment]
    return folder


async def test_open_cases_are_decided_anew(alone: Bench) -> None:
    """What a rule forbids now is taken down, a new reader gets the alert, one that left hears nothing more; no doubles."""
    alone.add(boards=2, mails=2, pages=1)
    templates = write_templates(alone)
    rules = write_rules(alone)
    await alone.start()
    await alone.run("send", "-", stdin=event(CASE, "opened"))
    await alone.until_settled(CASE)
    assert alone.graph.posts(PAGE)

    write_rules(alone, NO_PAGES)
    first = templates / "_message.txt.j2"
    first.write_text(first.read_text("utf-8") + "\nEen nieuwe voet.\n", "utf-8")
    alone.targets = [one for one in alone.targets if one["id"] != "bord-1"]
    alone._add("mail-9", "email", "email", {"name": "Nieuw", "kind": "citizen"}, address="nieuw@example.nl")
    alone.write()
    told = await alone.run("reload")
    assert "took over: 5 targets, " in told.out
    await until(lambda: not alone.graph.posts(PAGE), "the page is empty")
    await until(lambda: "nieuw@example.nl" in alone.received(), "the new reader has it")
    found = await alone.until_settled(CASE)
    assert set(alone.received().values()) == {1}
    assert "Een nieuwe voet." in text_of(alone.mailboxes()["nieuw@example.nl"][0])
    assert list(alone.boards.everything()) == ["bord-0"]
    reasons = {one["target"]: one["reason"] for one in found["postings"]}
    assert reasons[f"fb-{PAGE}"] == "de pagina is vandaag van een ander"
    assert rules.exists()


async def test_a_fault_keeps_the_last_good_set(bench: Bench) -> None:
    """One fault in three files: nothing is taken over; command, log, metrics and readiness name file and line."""
    bench.add(boards=1, pages=1)
    rules = write_rules(bench)
    bridge = await bench.start()
    good = rules.read_text("utf-8")
    rules.write_text(good.replace("effect: deny", "effect: dney", 1), "utf-8")
    bench.targets.clear()
    bench.write()
    told = await bench.run("reload", code=2)
    line = next(number for number, text in enumerate(rules.read_text("utf-8").splitlines(), 1) if "dney" in text)
    assert f'rules.yaml:{line}: rules.0.effect: "dney" is not allowed' in told.err
    assert "kept what it had: 2 targets" in told.out
    status, ready = await bridge.get("/readyz")
    assert (status, "dney" in json.loads(ready)["details"]["policy"]["error"][0]) == (200, True)
    assert "burgernet_policy_refused 1.0" in (await bridge.get("/metrics"))[1]
    assert bridge.logged("reload refused: the last good rules, targets and templates go on")
    await bench.publish(event(CASE, "opened"))
    await bench.until_settled(CASE)
    assert bench.lit() == 1

    rules.write_text(good, "utf-8")
    assert "took over: 0 targets" in (await bench.run("reload")).out
    assert "burgernet_policy_refused 0.0" in (await bridge.get("/metrics"))[1]
    await until(lambda: not bench.lit(), "the board that left the list is dark")


@pytest.mark.parametrize("broken", ["{{ words.nobody }}", "{% if %}", "Iets anders."], ids=["name", "syntax", "drops"])
async def test_templates_that_would_fail_are_refused(alone: Bench, broken: str) -> None:
    """A template that cannot be read, fails, or drops the words of the alert is refused before anyone is to get it."""
    alone.add(boards=1)
    templates = write_templates(alone)
    await alone.start()
    (templates / "nl" / "email" / "opened.txt.j2").write_text(broken, "utf-8")
    told = await alone.run("reload", code=2)
    assert "nl/email/opened.txt.j2" in told.err


async def test_hang_up(alone: Bench) -> None:
    """SIGHUP does the same for the one process that gets it, and does not end it."""
    alone.add(boards=1)
    rules = write_rules(alone)
    bridge = await alone.start()
    shipped = yaml.safe_load(rules.read_text("utf-8"))
    rules.write_text(yaml.safe_dump({"rules": [*shipped["rules"], NO_PAGES]}), "utf-8")
    bridge.signal(signal.SIGHUP)
    [line] = [bridge.logged("reloaded")[0]] if await bridge.until_logged("reloaded") else []
    assert line["changed"] is True
    assert line["rules"] == len(shipped["rules"]) + 1
    await bridge.stop()


async def test_under_load(bench: Bench) -> None:
    """SIGHUP and two commands at once amid 40 cases: the last rules decide, nobody is mailed twice, all goes dark."""
    bench.add(boards=3, mails=2, pages=1)
    write_rules(bench)
    bridge = await bench.start()
    cases = [f"20261122{number:05}" for number in range(40)]
    for number, case in enumerate(cases):
        await bench.publish(event(case, "opened"))
        if number % 8 == 0:
            write_rules(bench, *[NO_PAGES] * (number % 16 == 0))
            bridge.signal(signal.SIGHUP)
    write_rules(bench, NO_PAGES)
    told = await asyncio.gather(*(bench.run("reload", cold=True) for _ in range(2)))
    assert all("took over: 6 targets, " in one.out for one in told)
    await until(lambda: not bench.graph.posts(PAGE), "the page is empty")
    for case in cases:
        await bench.until_settled(case)
    assert not bench.graph.posts(PAGE)
    assert [len(bench.boards.shown(f"bord-{number}")) for number in range(3)] == [len(cases)] * 3
    assert bench.received() == {f"lezer{number}@example.nl": len(cases) for number in range(2)}
    await bench.publish(*(event(case, "ended") for case in cases))
    await until(lambda: not bench.lit(), "all boards are dark")


async def test_what_waits_for_a_restart_is_said(alone: Bench) -> None:
    """Of bridge.yaml a reload takes over where files are; whatever else changed in it is named, without its value."""
    alone.add(boards=1)
    await alone.start()
    alone.settings["adapters"]["facebook"]["timeout"] = 4
    alone.settings["queue"] = {"prefetch": 7}
    alone.write()
    told = await alone.run("reload")
    assert "needs a restart to be taken over: queue.prefetch, adapters.facebook" in told.out


async def test_nobody_there(alone: Bench) -> None:
    """Where no bridge runs there is nothing to reload, and the command says so."""
    alone.add(boards=1)
    await alone.start()
    await alone.bridges[0].stop()
    told = await alone.run("reload", code=1)
    assert "no bridge runs on this store" in told.err


async def test_every_process_answers(tmp_path: Path, amqp_url: str, postgres_url: str) -> None:
    """Three processes on one PostgreSQL take it over, under load; one that reads nothing is named after the wait."""
    async with open_bench(tmp_path, amqp_url, postgres_url) as bench:
        bench.add(boards=40, pages=1)
        write_rules(bench)
        bench.write()
        await bench.run("migrate")
        for role in ("intake", "dispatch", "dispatch"):
            await bench.start(role)
        await bench.publish(event(CASE, "opened"))
        write_rules(bench, NO_PAGES)
        told = (await bench.run("reload", "--json")).json
        assert len(told["processes"]) == 3
        assert len({one["digest"] for one in told["processes"]}) == 1
        await until(lambda: bench.lit() == 40, "all boards are lit")
        await until(lambda: not bench.graph.posts(PAGE), "the page is empty")
        bench.bridges[0].signal(signal.SIGSTOP)
        silent = await bench.run("reload", "--wait", "2", code=1)
        assert "has not answered within 2 s" in silent.err
        bench.bridges[0].signal(signal.SIGCONT)
        await bench.publish(event(CASE, "ended"))
        await bench.until_settled(CASE)
        assert not bench.lit()
