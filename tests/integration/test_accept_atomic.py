"""One transaction for everything an event changes: a failure at any write keeps nothing, and costs nothing."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bridge.core.case import Verdict
from bridge.store import schema
from bridge.store.database import Connection, Database
from tests.integration.spine import BrokenTemplate, Spine, board, mail, page, with_photo
from tests.integration.spine_store import database_fixture, masters_fixture, store_url  # noqa: F401

TARGETS = [board("b"), board("narrow", columns=4), page("p"), mail("m")]
WRITTEN = ["events", "cases", "photos", "contents", "targets", "postings", "decisions", "notices"]
TABLES = [table for table in schema.metadata.tables.values() if table.name != "facts"]


def _break(connection: Connection, table: str, action: str) -> None:
    """Let each write of one sort to a table fail, in a way that no retry mends."""
    start = f"CREATE TRIGGER broken BEFORE {action} ON {table} "
    if connection.dialect.name == "sqlite":
        connection.execute(text(start + "BEGIN SELECT RAISE(ABORT, 'broken'); END"))
        return
    body = "CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'broken'; END $$"
    connection.execute(text(body))
    connection.execute(text(f"{start} FOR EACH ROW EXECUTE FUNCTION fail()"))


def _mend(connection: Connection, table: str) -> None:
    on = "" if connection.dialect.name == "sqlite" else f" ON {table}"
    connection.execute(text(f"DROP TRIGGER broken{on}"))


async def everything(spine: Spine) -> list[object]:
    """Read the whole store."""
    return [[dict(row) for row in await spine.rows(table)] for table in TABLES]


@pytest.mark.parametrize("table", WRITTEN)
async def test_an_opening_that_fails_at_any_table_keeps_nothing(database: Database, table: str) -> None:
    """Wherever the store fails while an opening is written, no row is left, and the same event is taken in afterwards."""
    spine = Spine(database, TARGETS, tell=True)
    await database.write(lambda connection: _break(connection, table, "INSERT"))
    try:
        with pytest.raises(DBAPIError, match="broken"):
            await spine.opened(id="1", resource=with_photo())
        assert await everything(spine) == [[] for _ in TABLES]
    finally:
        await database.write(lambda connection: _mend(connection, table))
    assert (await spine.opened(id="1", resource=with_photo())).verdict is Verdict.APPLIED
    assert await spine.count(schema.postings) == 3


@pytest.mark.parametrize(
    ("table", "action"), [("events", "INSERT"), ("cases", "UPDATE"), ("photos", "UPDATE"), ("postings", "UPDATE")]
)
async def test_an_ending_that_fails_at_any_table_keeps_nothing(database: Database, table: str, action: str) -> None:
    """Wherever the store fails while an ending is written, all is as before it, the photo included; then it ends the case."""
    spine = Spine(database, TARGETS)
    await spine.opened(resource=with_photo())
    before = await everything(spine)
    await database.write(lambda connection: _break(connection, table, action))
    try:
        with pytest.raises(DBAPIError, match="broken"):
            await spine.ended(id="2")
        assert await everything(spine) == before
    finally:
        await database.write(lambda connection: _mend(connection, table))
    assert (await spine.ended(id="2")).verdict is Verdict.APPLIED
    assert {row["desired"] for row in await spine.rows(schema.postings)} == {"gone", "shown"}


@pytest.mark.parametrize("call", [1, 2])
async def test_a_template_that_fails_keeps_nothing(database: Database, call: int) -> None:
    """A fault in our own words, halfway through the targets, undoes the event and the case as well."""
    spine = Spine(database, TARGETS)
    spine.words.broken_at = call
    with pytest.raises(BrokenTemplate):
        await spine.opened(id="1")
    assert await everything(spine) == [[] for _ in TABLES]
    spine.words.broken_at = 0
    assert (await spine.opened(id="1")).verdict is Verdict.APPLIED


async def test_a_template_that_fails_at_the_end_keeps_the_case_open(database: Database) -> None:
    """An ending that cannot be worded is not half an ending: it comes again, and then it ends everything."""
    spine = Spine(database, TARGETS)
    await spine.opened()
    before = await everything(spine)
    spine.words.broken_at = spine.words.calls + 2
    with pytest.raises(BrokenTemplate):
        await spine.ended(id="2")
    assert await everything(spine) == before
    assert (await spine.ended(id="2")).verdict is Verdict.APPLIED


async def test_the_dispatcher_is_woken_only_by_what_was_kept(database: Database) -> None:
    """A failed event wakes nobody; a kept one does, after its commit."""
    async with Spine(database, [mail("m")]) as spine:
        worker = spine.start()
        spine.words.broken_at = 1
        with pytest.raises(BrokenTemplate):
            await spine.opened()
        await spine.opened()
        await spine.settled()
        await worker.stop()
        assert spine.mail.inbox("m") == ["opened"]


async def test_events_of_one_case_at_the_same_moment_are_taken_one_after_the_other(database: Database) -> None:
    """Twenty events of one case at once leave each its verdict, one revision a change, and the newest text."""
    spine = Spine(database, [mail("m")])
    await spine.opened()
    texts = [f"Leeftijd {age}" for age in range(20)]
    accepted = await asyncio.gather(*(spine.updated(text=text) for text in texts))
    applied = [one for one in accepted if one.verdict is Verdict.APPLIED]
    assert len({one.revision for one in applied}) == len(applied)
    assert (await spine.case())["revision"] == len(applied) + 1
    [row] = await spine.rows(schema.postings)
    [content] = [one for one in await spine.rows(schema.contents) if one["id"] == row["content"]]
    assert texts[-1] in content["body"]


async def test_the_same_event_twice_at_the_same_moment_counts_once(database: Database) -> None:
    """Two consumers that got the same event take it in once."""
    spine = Spine(database, TARGETS)
    verdicts = [one.verdict for one in await asyncio.gather(*(spine.opened(id="1") for _ in range(5)))]
    assert sorted(verdicts) == [Verdict.APPLIED] + [Verdict.DUPLICATE] * 4
    assert await spine.count(schema.events) == 1
