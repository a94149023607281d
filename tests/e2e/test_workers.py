"""Many processes on one PostgreSQL and one RabbitMQ: roles, deaths, freezes, and an upgrade without a pause."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from bridge.simulators.board import Faults
from tests.e2e.bench import Bench, event, open_bench
from tests.e2e.conftest import Figures
from tests.e2e.process import Running, until

CASE = "2026112200042"


@pytest.fixture
async def shared(tmp_path: Path, amqp_url: str, postgres_url: str) -> AsyncIterator[Bench]:
    """Give a bench whose processes share a migrated PostgreSQL."""
    async with open_bench(tmp_path, amqp_url, postgres_url) as bench:
        bench.write()
        await bench.run("migrate")
        yield bench


def steps(bridge: Running) -> int:
    """Count the steps that a process ran, as its log at level debug tells."""
    return len(bridge.logged("step done"))


async def test_a_dead_worker_is_replaced_in_seconds(shared: Bench, figures: Figures) -> None:
    """Two intakes, two dispatchers, one web: one dispatcher is killed in the middle of 300 boards and 100 mails."""
    shared.add(boards=300, mails=100)
    shared.settings["log"]["level"] = "debug"
    shared.boards.fail(Faults(delay=0.15, verbs=("PUT",)))
    web = await shared.start("web", ready=False)
    await web.until_logged("web server listens")

    async def tells() -> bool:
        status, text = await web.get("/readyz")
        return (status, "no process has the role intake and dispatch" in text) == (503, True)

    await until(tells, "it says that nobody shows anything")
    for role in ("intake", "intake", "dispatch", "dispatch"):
        await shared.start(role)
    await web.ready()
    await shared.publish(event(CASE, "opened"))
    await shared.boards.until(lambda: shared.lit() >= 100)
    survivor, victim = sorted(shared.bridges[3:], key=steps)
    await victim.kill()
    killed = shared.clock()
    status_now = await shared.until_settled(CASE, 60)
    whole = shared.clock() - killed
    assert shared.lit() == 300
    assert {one["applied"] for one in status_now["postings"]} == {"shown"}
    doubled = sum(count - 1 for count in shared.received().values())
    assert set(shared.received()) == {f"lezer{number}@example.nl" for number in range(100)}
    assert doubled <= 4, "at most the mails in flight at the kill: one a connection"
    assert steps(survivor)
    await survivor.until_logged("leads the others")
    buried = [line for one in shared.bridges for line in one.logged("a process is gone; its steps are taken over")]
    assert len(buried) == 1, "by whoever noticed first"
    shared.boards.heal()
    await shared.publish(event(CASE, "ended"))
    await shared.until_settled(CASE, 60)
    assert not shared.lit()
    figures(f"SIGKILL of one of two dispatchers: all there {whole:.1f} s later, 0 lost, {doubled} of 100 mails doubled")


async def test_a_frozen_worker_is_replaced_and_does_no_harm_when_it_thaws(shared: Bench) -> None:
    """Its steps are taken over while it stands still; what it still believes to have in hand changes nothing."""
    shared.add(boards=40)
    shared.settings["adapters"]["http_sign"]["timeout"] = 5
    shared.boards.fail(Faults(delay=0.5, verbs=("PUT",)))
    frozen = await shared.start("dispatch")
    await shared.start("intake")
    await shared.publish(event(CASE, "opened"))
    await shared.boards.until(lambda: shared.lit() >= 8)
    frozen.signal(signal.SIGSTOP)
    shared.boards.heal()
    other = await shared.start("dispatch", "web")
    await shared.until_settled(CASE, 60)
    assert shared.lit() == 40
    assert any(one.logged("a process is gone; its steps are taken over") for one in shared.bridges)
    await other.until_logged("leads the others")
    await shared.publish(event(CASE, "ended"))
    await shared.until_settled(CASE, 60)
    frozen.signal(signal.SIGCONT)
    await frozen.until_logged("no longer leads")
    await shared.until_settled(CASE, 60)
    assert not shared.lit()
    await frozen.stop()


async def test_what_one_does_for_all_goes_on_when_it_dies(shared: Bench, figures: Figures) -> None:
    """The leader lets alerts expire; it is killed, and the next one does."""
    shared.add(boards=1)
    leader = await shared.start("dispatch")
    await leader.until_logged("leads the others")
    await shared.start("intake", "dispatch", "web")
    expires = (datetime.now(UTC) + timedelta(seconds=4)).isoformat()
    await shared.publish(event(CASE, "opened", expires=expires))
    await shared.boards.until(lambda: shared.lit() == 1)
    await leader.kill()

    async def is_expired() -> bool:
        return bool((await shared.status(CASE))["expired"])

    seconds = await until(is_expired, "the alert has expired", 40)
    await shared.until_settled(CASE)
    figures(f"SIGKILL of the leader before an expiry: the next one sees to it {seconds:.1f} s after the kill")


async def test_the_order_within_a_case_holds(shared: Bench) -> None:
    """Thirty cases opened, corrected and ended in one go, over two intakes and two dispatchers: the end stands."""
    shared.add(boards=3)
    for _ in range(2):
        await shared.start("intake", "dispatch")  # the queue is there
    await shared.start("web")
    cases = [f"case-{number}" for number in range(30)]
    await shared.publish(*(event(case, what) for case in cases for what in ("opened", "updated", "ended")))
    for case in cases:
        status = await shared.until_settled(case, 60)
        assert (status["state"], status["outcome"]) == ("ended", "resolved")
    assert not shared.lit()


async def test_an_upgrade_without_a_pause(shared: Bench, postgres_url: str) -> None:
    """This program goes on, and starts, on a database that a newer one has migrated; not on one that says it may not."""
    shared.add(boards=20)
    await shared.start()
    await shared.publish(event("before", "opened"))
    await shared.until_settled("before")
    server = await asyncpg.connect(postgres_url, timeout=10)
    try:
        for table in (
            "cases",
            "events",
            "postings",
            "contents",
            "targets",
            "decisions",
            "journal",
            "workers",
            "photos",
        ):
            await server.execute(f"ALTER TABLE {table} ADD COLUMN newer TEXT NOT NULL DEFAULT 'x'")
        await server.execute("UPDATE alembic_version SET version_num = '9999'")
        await shared.publish(event("after", "opened"), event("before", "ended"))
        await shared.until_settled("after")
        late = await shared.start()
        await shared.publish(event("after", "ended"))
        await shared.until_settled("after")
        assert not shared.lit()
        await late.stop()
        await server.execute("INSERT INTO facts (name, value) VALUES ('schema_serves', '9999')")
        refused = await shared.start(ready=False)
        assert await refused.ended() == 1
        assert "another schema than this version needs" in refused.text
    finally:
        await server.close()


async def test_an_embedded_store_serves_one_process(alone: Bench) -> None:
    """A role alone on SQLite is refused in one sentence, and an unknown role names those that there are."""
    bridge = await alone.start("dispatch", ready=False)
    assert await bridge.ended() == 2
    assert bridge.text.startswith(
        "error: --role: an embedded store (SQLite) serves one process with all roles; allowed:"
    )
    bridge = await alone.start("cook", ready=False)
    assert await bridge.ended() == 2
    assert all(word in bridge.text for word in ("cook", "intake", "dispatch", "web"))
