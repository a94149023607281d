"""Numbers that are given out once: on SQLite and PostgreSQL, across restarts, and by many at a time."""

from __future__ import annotations

import asyncio

import pytest

from bridge.core.errors import PermanentError
from bridge.store.counters import CounterStore
from bridge.store.database import Database
from tests.integration.store_fixtures import fresh_database, store_url  # noqa: F401

NOW = 1_000.0
DAY = "kv15/HTM/2026-11-26"


def at(database: Database, now: float = NOW) -> CounterStore:
    """Give the counter at a time of ours."""
    return CounterStore(database, lambda: now)


def again(database: Database) -> Database:
    """Open the same database once more, as another process does."""
    return Database(database.url.render_as_string(hide_password=False))


async def test_it_counts_on_after_a_restart(database: Database) -> None:
    """Another process at the same store goes on where the first one stopped, and knows what is held."""
    assert [await at(database).next(DAY, 9999, "posting", NOW + 60) for _ in range(3)] == [1, 2, 3]
    reopened = again(database)
    try:
        assert await at(reopened).next(DAY, 9999) == 4
        assert await at(reopened).held("posting") == [(DAY, 1), (DAY, 2), (DAY, 3)]
    finally:
        await reopened.close()


async def test_no_number_is_given_twice(database: Database) -> None:
    """Two processes that ask fifty times at once get a hundred different numbers, none left out."""
    other = again(database)
    try:
        given = await asyncio.gather(*(at(one).next(DAY, 9999) for one in (database, other) for _ in range(50)))
    finally:
        await other.close()
    assert sorted(given) == list(range(1, 101))


async def test_every_series_counts_for_itself(database: Database) -> None:
    """Another owner or another day begins at one."""
    counter = at(database)
    given = [await counter.next(name, 9999) for name in (DAY, "kv15/RET/2026-11-26", DAY, "kv15/HTM/2026-11-27")]
    assert given == [1, 1, 2, 1]


async def test_a_series_ends(database: Database) -> None:
    """Past the last number there is a reason, again and again, and never a number that was given before."""
    counter = at(database)
    assert [await counter.next(DAY, 2) for _ in range(2)] == [1, 2]
    for _ in range(2):
        with pytest.raises(PermanentError, match="up to 2"):
            await counter.next(DAY, 2)


async def test_what_is_held_is_let_go(database: Database) -> None:
    """A number is its holder's until that releases it, and nobody else can; then it is not given out again."""
    counter = at(database)
    for holder in ("one", "other", "one"):
        await counter.next(DAY, 9999, holder, NOW + 60)
    await counter.release("one", [(DAY, 1), (DAY, 2)])
    await counter.release("one", [])
    assert [await counter.held(name) for name in ("one", "other")] == [[(DAY, 3)], [(DAY, 2)]]
    assert await counter.next(DAY, 9999) == 4


async def test_what_is_held_runs_out(database: Database) -> None:
    """Once its time has passed a number is nobody's, and its row goes with the next that is given out."""
    await at(database).next(DAY, 9999, "one", NOW + 60)
    assert await at(database, NOW + 60).held("one") == []
    assert await at(database).held("one") == [(DAY, 1)]
    await at(database, NOW + 61).next(DAY, 9999)
    assert await at(database).held("one") == []
