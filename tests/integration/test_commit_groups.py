"""Events that wait for the embedded store at the same time share one commit, and none suffers from another."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection

from bridge.core.errors import InvalidInput
from bridge.store import cases, schema
from bridge.store.database import Database
from bridge.store.migrate import migrate


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """A new SQLite store."""
    database = Database(f"sqlite:///{tmp_path}/bridge.db")
    await migrate(database)
    yield database
    await database.close()


def note(name: str, transactions: list[int]) -> Callable[[Connection], str]:
    """Make a change that keeps a fact and tells in which transaction."""

    def change(connection: Connection) -> str:
        connection.execute(schema.facts.insert(), {"name": name, "value": "kept"})
        transactions.append(id(connection.get_transaction()))
        return name

    return change


async def crowd(database: Database, changes: list[Callable[[Connection], str]]) -> list[str | BaseException]:
    """Let all changes wait at the same time, behind one that is held until they do."""
    go, begun = threading.Event(), threading.Event()

    def held(_connection: Connection) -> str:
        begun.set()
        go.wait(10)
        return "held"

    first = asyncio.ensure_future(database.write(held, ring=True))
    await asyncio.to_thread(begun.wait, 10)
    rest = asyncio.gather(*(database.write(change, ring=True) for change in changes), return_exceptions=True)
    await asyncio.sleep(0)  # each has come as far as it can
    go.set()
    assert await first == "held"
    return await rest


async def kept(database: Database, count: int) -> list[str]:
    """Read back the facts."""
    return [
        await database.read(lambda connection, n=number: cases.fact(connection, f"fact-{n}")) for number in range(count)
    ]


async def test_those_that_wait_share_a_commit_and_get_their_own_results(database: Database) -> None:
    """Twenty changes that wait behind another are one transaction; each gets what it gave; all are kept."""
    transactions: list[int] = []
    results = await crowd(database, [note(f"fact-{number}", transactions) for number in range(20)])
    assert results == [f"fact-{number}" for number in range(20)]
    assert len(transactions) == 20
    assert len(set(transactions)) == 1
    assert await kept(database, 20) == ["kept"] * 20


async def test_one_that_fails_takes_no_other_with_it(database: Database) -> None:
    """Of three that wait together the middle one fails: the others are kept, and only its caller hears of it."""
    transactions: list[int] = []

    def fail(connection: Connection) -> str:
        connection.execute(schema.facts.insert(), {"name": "fact-1", "value": "half done"})
        raise InvalidInput("no")

    changes = [note("fact-0", transactions), fail, note("fact-2", transactions)]
    results = await crowd(database, changes)
    assert results[0] == "fact-0"
    assert isinstance(results[1], InvalidInput)
    assert results[2] == "fact-2"
    assert await kept(database, 3) == ["kept", "", "kept"]


async def test_who_stops_waiting_takes_nobody_along(database: Database) -> None:
    """A caller that is cancelled while its group is being written leaves the others their results."""
    transactions: list[int] = []
    go, begun = threading.Event(), threading.Event()

    def held(_connection: Connection) -> str:
        begun.set()
        go.wait(10)
        return "held"

    first = asyncio.ensure_future(database.write(held, ring=True))
    await asyncio.to_thread(begun.wait, 10)
    waiting = [
        asyncio.ensure_future(database.write(note(f"fact-{number}", transactions), ring=True)) for number in range(3)
    ]
    await asyncio.sleep(0)
    waiting[0].cancel()
    go.set()
    results = await asyncio.gather(first, *waiting, return_exceptions=True)
    assert isinstance(results[1], asyncio.CancelledError)
    assert results[2:] == ["fact-1", "fact-2"]
