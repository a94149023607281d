"""Processes that share one PostgreSQL: who is alive, who leads, whose claims are free, and how they wake each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import asyncpg
import pytest
from sqlalchemy import text

from bridge.core.errors import BridgeError
from bridge.dispatch import team as teams
from bridge.dispatch.team import Led, Team
from bridge.store import schema, workers
from bridge.store.database import BELL, Connection, Database
from bridge.store.migrate import SERVES, fits, head, migrate
from bridge.store.workers import DEAD, Member
from tests.integration.spine import Spine, board
from tests.integration.spine_store import database_fixture, masters_fixture, store_url  # noqa: F401

NOW = 1_795_000_000.0
INTAKE, DISPATCH = frozenset({"intake"}), frozenset({"dispatch"})
on_postgres = pytest.mark.parametrize("store_url", ["postgres"], indirect=True)


def member(name: str, *roles: str) -> Member:
    """Make a process."""
    return Member(name, frozenset(roles or ["dispatch"]), "1.0")


async def beat(database: Database, who: Member, now: float, *, may_bury: bool = True) -> workers.Roll:
    """Let a process say that it lives."""
    return await database.write(lambda connection: workers.beat(connection, who, now, may_bury=may_bury))


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def joined(database: Database, name: str, rung: list[str]) -> AsyncIterator[Team]:
    """Run a process's team until it has joined."""
    team = Team(database, member(name), lambda: rung.append(name))
    running = asyncio.create_task(team.run())
    try:
        await until(lambda: team.not_ready is None)
        yield team
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def leads(team: Team) -> bool:
    """Tell whether a process leads now."""
    with suppress(TimeoutError):
        async with asyncio.timeout(0.01):
            await team.until(leads=True)
            return True
    return False


async def test_the_oldest_that_dispatches_leads(database: Database) -> None:
    """Order of arrival decides; an intake never leads; who is silent too long does not count."""
    await beat(database, member("a", "intake"), NOW)
    await beat(database, member("b"), NOW + 1)
    roll = await beat(database, member("c", "dispatch", "web"), NOW + 2)
    assert (roll.leader("dispatch"), roll.leader("web"), roll.missing(["intake", "web", "board"])) == (
        "b",
        "c",
        ["board"],
    )
    roll = await beat(database, member("c", "dispatch", "web"), NOW + 1 + DEAD + 0.5)
    assert (roll.leader("dispatch"), roll.buried) == ("c", ["a", "b"])


async def test_only_who_was_there_all_the_time_buries(database: Database) -> None:
    """After an outage of the database all are silent: the first that comes back takes nobody for dead."""
    await beat(database, member("a"), NOW)
    roll = await beat(database, member("b"), NOW + 100, may_bury=False)
    assert (roll.buried, roll.leader("dispatch")) == ((), "b")
    roll = await beat(database, member("a"), NOW + 101)
    assert (roll.buried, roll.leader("dispatch")) == ([], "a"), "the oldest leads again"


async def test_the_claims_of_the_dead_are_free_at_once(database: Database) -> None:
    """A burial frees what the dead had in hand, long before its lease runs out, and nothing of the living."""
    async with Spine(database, [board("x"), board("y")]) as spine:
        gate = asyncio.Event()
        spine.board.fail(lambda work: gate.wait(), times=2)  # both hang
        spine.start("a/1")
        await spine.opened()
        await spine.until(lambda: len(spine.board.calls) == 2, travel=False)
        await spine.workers[0].kill()
        await beat(database, member("a/1"), spine.clock())
        await beat(database, member("a/11"), spine.clock() + DEAD)
        assert (await beat(database, member("b"), spine.clock() + DEAD + 1)).buried == ["a/1"]
        spine.clock.now += DEAD + 1
        due = {row["due"] for row in await spine.rows(schema.postings)}
        assert due == {spine.clock.now}
        spine.start("b")
        await spine.until(lambda: spine.board.showing("x") != [] and spine.board.showing("y") != [])


@on_postgres
async def test_a_frozen_process_holds_no_lock_once_it_is_buried(database: Database) -> None:
    """A session that stands still in a transaction is ended with its process: nobody waits for its locks."""
    url = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    frozen = await asyncpg.connect(url, server_settings={"application_name": "burgernet-bridge/dead"})
    try:
        await beat(database, member("host/1/dead"), NOW)
        await frozen.execute("BEGIN")
        await frozen.execute("LOCK TABLE postings IN EXCLUSIVE MODE")
        assert (await beat(database, member("b"), NOW + DEAD + 1)).buried == ["host/1/dead"]
        async with asyncio.timeout(5):
            await database.write(lambda connection: connection.execute(schema.postings.delete()))
    finally:
        frozen.terminate()


async def test_who_leaves_leaves_nothing_behind(database: Database) -> None:
    """A process that stops in order is off the list at once."""
    await beat(database, member("a"), NOW)
    await database.write(lambda connection: workers.leave(connection, "a", NOW))
    assert (await beat(database, member("b"), NOW + 1)).leader("dispatch") == "b"


@on_postgres
async def test_the_next_one_leads_when_the_leader_leaves_or_dies(database: Database) -> None:
    """A part that one runs for all is run by exactly one, and taken over in seconds."""
    rung: list[str] = []
    ran: list[str] = []

    class Singleton:
        not_ready = None

        def __init__(self, name: str) -> None:
            self.name = name

        async def run(self) -> None:
            ran.append(f"+{self.name}")
            try:
                await asyncio.Event().wait()
            finally:
                ran.append(f"-{self.name}")

    async with joined(database, "a", rung) as first, joined(database, "b", rung) as second:
        led = [asyncio.create_task(Led(Singleton(name), team).run()) for name, team in (("a", first), ("b", second))]
        await until(lambda: ran == ["+a"])
        assert not await leads(second)
        await first.leave()
        await until(lambda: ran == ["+a", "-a", "+b"])
        for task in led:
            task.cancel()
        await asyncio.wait(led)


@on_postgres
async def test_a_part_that_is_led_and_dies_takes_the_service_with_it(database: Database) -> None:
    """What ends by itself is not silently missing: the leader falls, and the next one leads."""

    class Broken:
        not_ready = "is broken"

        async def run(self) -> None:
            return

    async with joined(database, "a", []) as team:
        led = Led(Broken(), team)
        assert led.not_ready is None, "it does not run here yet"
        with pytest.raises(ExceptionGroup) as told:
            await led.run()
        assert "it returned" in str(told.value.exceptions[0])


@on_postgres
async def test_a_ring_is_heard_by_the_others(database: Database) -> None:
    """What one process commits rings for all others, and only then; its own ring it does not hear twice."""
    rung: list[str] = []
    async with joined(database, "a", rung):
        heard: list[str] = []
        outside = await asyncpg.connect(database.url.set(drivername="postgresql").render_as_string(hide_password=False))
        try:
            await outside.add_listener(BELL, lambda *said: heard.append(said[-1]))
            rung.clear()
            await database.write(lambda connection: None, ring=True)
            await until(lambda: len(heard) == 1)
            await outside.execute(f"NOTIFY {BELL}, 'another'")
            await until(lambda: rung != [])
            assert rung == ["a"]
        finally:
            await outside.close()


@on_postgres
async def test_the_clock_is_the_database_s(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host whose clock is an hour ahead works by the same time as all others."""
    before = database.clock()
    monkeypatch.setattr("time.time", lambda: before + 3600)
    assert database.clock() > before + 3000, "not asked yet"
    await database.set_clock()
    assert abs(database.clock() - before) < 60


@on_postgres
async def test_a_lost_connection_is_made_again(database: Database) -> None:
    """The server cuts the line: the process says so, joins again, and looks at what it may have missed."""
    rung: list[str] = []
    async with joined(database, "a", rung) as team:
        rung.clear()
        outside = await asyncpg.connect(database.url.set(drivername="postgresql").render_as_string(hide_password=False))
        try:
            await outside.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        finally:
            await outside.close()
        await until(lambda: rung != [] and team.not_ready is None)


@on_postgres
async def test_a_role_that_nobody_has_is_told(database: Database) -> None:
    """A web process alone is not ready: nobody shows anything."""
    team = Team(database, member("w", "web"), lambda: None, needed=["intake", "dispatch", "web"])
    running = asyncio.create_task(team.run())
    try:
        await until(lambda: team.not_ready == "no process has the role intake and dispatch")
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def test_a_newer_database_serves_this_program_unless_it_says_no(database: Database) -> None:
    """Old code runs on on a migrated database; where it cannot, it says which version to install."""
    await database.write(lambda connection: set_revision(connection, "9999"))
    try:
        assert await database.read(fits)
        told = schema.facts.insert().values(name=SERVES, value="9998")
        await database.write(lambda connection: connection.execute(told))
        assert not await database.read(fits)
        with pytest.raises(BridgeError, match="the newer schema 9999"):
            await migrate(database)
    finally:
        await database.write(lambda connection: set_revision(connection, head()))


def set_revision(connection: Connection, revision: str) -> None:
    """Say that the database has another schema than it has."""
    connection.execute(text("UPDATE alembic_version SET version_num = :it"), {"it": revision})


async def test_many_may_migrate_at_once(postgres_url: str) -> None:
    """Five containers start together on an empty database: one migrates, the others wait and find nothing to do."""
    databases = [Database(postgres_url) for _ in range(5)]
    try:
        await asyncio.gather(*(migrate(one) for one in databases))
        assert await databases[0].read(fits)
    finally:
        for one in databases:
            await one.close()


def test_a_silence_is_longer_than_some_missed_beats() -> None:
    """One beat that comes late kills nobody."""
    assert teams.BEAT * 3 < DEAD
