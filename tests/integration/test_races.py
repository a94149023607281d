"""What two processes do at the same moment on one PostgreSQL: neither may overlook the other.

Each test holds a transaction where it can overlook something: it waits for a table that the test has locked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest

from bridge.store import schema
from bridge.store.database import Database
from bridge.store.migrate import migrate
from bridge.store.rows import Finished
from bridge.store.work import Slots
from tests.integration.store_bench import ANS, Bench, succeed
from tests.unit.samples import alert_data, rule, target

BOARDS = tuple(target(f"bord-{number}") for number in range(6))
SUSPECT = alert_data(category="suspect")
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.fixture
async def shared(postgres_url: str) -> AsyncIterator[Database]:
    """Give a migrated PostgreSQL."""
    database = Database(postgres_url)
    await migrate(database)
    yield database
    await database.close()


class Gate:
    """A table that nobody can write to until it is opened."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def holds(self, most: int) -> None:
        """Wait until so many transactions wait, for the table or for each other."""
        async with asyncio.timeout(10):
            while await self._connection.fetchval(WAITING) < most:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def locked(postgres_url: str, table: str) -> AsyncIterator[Gate]:
    """Let transactions read a table and not write to it, until the end."""
    connection = await asyncpg.connect(postgres_url, timeout=10)
    looker = await asyncpg.connect(postgres_url, timeout=10)
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
            yield Gate(looker)
    finally:
        await connection.close()
        await looker.close()


async def all_of(*tasks: Awaitable[Any]) -> None:
    """Wait until all are done."""
    async with asyncio.timeout(20):
        await asyncio.gather(*tasks)


async def test_a_hold_that_meets_a_plan_is_kept(shared: Database, postgres_url: str) -> None:
    """A plan has read which targets are held; an operator holds one more: it is not lit (I1)."""
    bench = Bench(shared, BOARDS, at_a_time=2)
    await bench.accept("opened")
    async with locked(postgres_url, "postings") as gate:
        planning = asyncio.create_task(bench.intake.plan_more())
        await gate.holds(1)
        holding = asyncio.create_task(bench.intake.hold("zaak", "bord-2"))
        await gate.holds(2)
    await all_of(planning, holding)
    await bench.plan()
    await bench.work()
    assert (await bench.stand())["bord-2"][1] != "shown"
    assert (await bench.stand())["bord-3"] == ("shown", "shown")


async def test_a_hold_that_meets_a_correction_is_kept(shared: Database, postgres_url: str) -> None:
    """A correction is being planned while an operator clears a board: the correction does not light it again (I1)."""
    bench = Bench(shared, BOARDS)
    await bench.accept("opened")
    await bench.work()
    async with locked(postgres_url, "contents") as gate:
        other = alert_data(info=[{"language": "nl", "description": "Een ander verhaal."}])
        correcting = asyncio.create_task(bench.accept("updated", data=other))
        await gate.holds(1)
        holding = asyncio.create_task(bench.intake.hold("zaak", "bord-2"))
        await gate.holds(2)
    await all_of(correcting, holding)
    await bench.work()
    assert (await bench.stand())["bord-2"] == ("gone", "gone")


async def test_an_ending_hears_of_a_mail_that_was_just_sent(shared: Database, postgres_url: str) -> None:
    """A mail in flight is refused by a correction; its result and the ending meet: the reader hears the outcome (I5)."""
    bench = Bench(shared, (ANS,))
    await bench.accept("opened")
    turn = await bench.turn([], [Slots("email", 16, 16)])
    assert len(turn.work) == 1
    bench.rules = (rule("nee", "deny"),)
    await bench.accept("updated", data=SUSPECT)
    results = [Finished(work, bench.done(work, succeed(work)), 0.01) for work in turn.work]
    async with locked(postgres_url, "contents") as gate:
        ending = asyncio.create_task(bench.accept("ended"))
        await gate.holds(1)
        recording = asyncio.create_task(bench.turn(results, []))
        waiting = asyncio.create_task(gate.holds(2))
        await asyncio.wait([recording, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    await all_of(ending, recording)
    bench.now += 1
    await bench.work()
    query = schema.postings.select()
    [row] = await shared.read(lambda connection: connection.execute(query).mappings().all())
    assert (row["applied"], row["applied_ending"]) == ("shown", True)
