"""A case with very many targets is planned a few at a time, and comes out as if it had been planned at once."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import func, select

from bridge.dispatch.planner import Planner
from bridge.store import schema
from bridge.store.database import Database
from tests.integration.spine_store import database_fixture, masters_fixture, store_url  # noqa: F401
from tests.integration.store_bench import ANS, BEHEERDER, BORD, ELSEWHERE, PAGINA, Bench
from tests.unit.samples import alert_data, target

MAILS = [target(f"lezer-{number}", "email", address=f"lezer{number}@example.nl") for number in range(5)]
TARGETS = (*MAILS, ANS, PAGINA, ELSEWHERE, BEHEERDER, BORD)  # the board comes last
OTHER = alert_data(info=[{"language": "nl", "headline": "Vermist", "description": "Een ander verhaal."}])


def few(database: Database) -> Bench:
    """Give a bench that judges two targets in one transaction."""
    return Bench(database, TARGETS, at_a_time=2)


async def stands(bench: Bench) -> dict[str, tuple[Any, ...]]:
    """Give how every target of the case stands, and why."""
    keys = ("desired", "applied", "revision", "reason_code", "rule", "settled")
    return {name: tuple(one[key] for key in keys) for name, one in (await bench.postings()).items()}


@pytest.mark.parametrize("life", [("opened",), ("opened", "updated"), ("opened", "updated", "ended")])
async def test_a_few_at_a_time_is_as_good_as_at_once(database: Database, life: tuple[str, ...]) -> None:
    """Every target stands as it stands when all are judged in one transaction, and every decision is kept once."""
    found = []
    for case, bench in (("zaak", few(database)), ("zaak-heel", Bench(database, TARGETS))):
        for kind in life:
            await bench.accept(kind, case, **({"data": OTHER} if kind == "updated" else {}))
            await bench.plan()
            await bench.work()
        (told,) = await bench.status(case)
        names = [one["target"] for one in told["postings"]]
        assert sorted(names) == sorted(one.id for one in TARGETS)
        found.append([{**one, "verified_at": 0, "due": one["due"] is None} for one in told["postings"]])
    assert found[0] == found[1]


async def test_boards_come_first(database: Database) -> None:
    """The transaction of the event itself judges boards, wherever they stand in the list (R4)."""
    bench = few(database)
    await bench.accept("opened")
    await bench.work()
    assert (await bench.postings())["bord"]["applied"] == "shown"
    assert len(await bench.postings()) < len(TARGETS)


async def test_an_ending_stops_the_plan(database: Database) -> None:
    """Who was not reached when the case ended is not reached afterwards, and nothing stays lit (I2, I5)."""
    bench = few(database)
    await bench.accept("opened")
    await bench.intake.plan_more()
    await bench.work()
    reached = {name for name, one in (await bench.postings()).items() if one["applied"] == "shown"}
    await bench.accept("ended")
    await bench.plan()
    await bench.work()
    after = await bench.postings()
    assert {name for name, one in after.items() if one["applied"] == "shown"} == reached - {"bord"}
    assert after["bord"]["applied"] == "gone"


async def test_a_correction_begins_the_plan_anew(database: Database) -> None:
    """Whoever was planned before and whoever was not get the corrected text."""
    bench = few(database)
    await bench.accept("opened")
    await bench.intake.plan_more()
    await bench.work()
    await bench.accept("updated", data=OTHER)
    await bench.plan()
    await bench.work()
    meant = {name: one for name, one in (await bench.postings()).items() if name != ELSEWHERE.id}
    assert {(one["applied"], one["revision"]) for one in meant.values()} == {("shown", 2)}


async def test_a_correction_that_forbids_reaches_every_piece(database: Database) -> None:
    """What is lit is taken away wherever its target stands in the list, when a correction may not be shown there (R1)."""
    boards = tuple(target(f"bord-{number}") for number in range(5))
    bench = Bench(database, (*boards, ANS), at_a_time=2)
    await bench.accept("opened")
    await bench.plan()
    await bench.work()
    assert {(await bench.stand())[board.id] for board in boards} == {("shown", "shown")}
    await bench.accept("updated", data=alert_data(category="street_robbery"))
    await bench.plan()
    await bench.work()
    assert {(await bench.stand())[board.id] for board in boards} == {("refused", "gone")}


async def test_another_process_goes_on(database: Database) -> None:
    """A plan that a killed process left is finished by the next one; and two side by side judge nothing twice."""
    await few(database).accept("opened")
    one, two = few(database), few(database)
    await asyncio.gather(one.plan(), two.plan())
    one.now += 60
    await one.work()
    assert {one["applied"] for name, one in (await one.postings()).items() if name != ELSEWHERE.id} == {"shown"}
    decided = select(schema.decisions.c.target, func.count()).group_by(schema.decisions.c.target)
    rows = await database.read(lambda connection: connection.execute(decided).all())
    assert {tuple(row) for row in rows} == {(target.id, 1) for target in TARGETS}


async def test_what_left_the_list_is_taken_away(database: Database) -> None:
    """When all are judged, what stands at a target that is not listed any more is taken back."""
    bench = few(database)
    await bench.accept("opened")
    await bench.plan()
    await bench.work()
    bench.targets = TARGETS[:-1]
    bench.digest = "another list"
    assert await bench.intake.replan() == 1
    await bench.plan()
    await bench.work()
    assert (await bench.stand())["bord"] == ("refused", "gone")


async def test_what_is_listed_otherwise_stays_and_what_moved_is_taken_away(database: Database) -> None:
    """Who got another owner stands where it stood; what has another address is taken back at the old one."""
    bench = few(database)
    await bench.accept("opened")
    await bench.plan()
    await bench.work()
    owner = target("bord", owner={"name": "Gemeente Delft", "kind": "municipality"})
    bench.targets, bench.digest = (*TARGETS[:-1], owner), "another owner"
    assert await bench.intake.replan() == 1
    await bench.plan()
    assert await bench.work() == 0
    moved = target("bord", address="http://127.0.0.1:9100/elders")
    bench.targets, bench.digest = (*TARGETS[:-1], moved), "another address"
    assert await bench.intake.replan() == 1
    await bench.plan()
    await bench.work()
    boards = [one for one in (await bench.status())[0]["postings"] if one["target"] == "bord"]
    assert sorted((one["desired"], one["applied"]) for one in boards) == [("refused", "gone"), ("shown", "shown")]


async def test_the_part_plans_when_it_is_woken(database: Database) -> None:
    """The planner finishes what an event began, with nobody asking."""
    bench = few(database)
    planner = Planner(bench.intake)
    running = asyncio.create_task(planner.run())
    try:
        await bench.accept("opened")
        planner.wake()
        async with asyncio.timeout(20):
            while len(await bench.postings()) < len(TARGETS):
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert planner.not_ready is None


async def test_who_begins_to_plan_judges_anew_what_another_policy_judged(database: Database) -> None:
    """A process that takes the lead with other rules or targets brings the open cases in line with them."""
    bench = Bench(database, TARGETS[:-1])
    await bench.accept("opened")
    bench.targets, bench.digest = TARGETS, "another list"
    running = asyncio.create_task(Planner(bench.intake).run())
    try:
        async with asyncio.timeout(20):
            while "bord" not in await bench.postings():
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
