"""Retention: what was said and to whom goes, what tells a double from something new stays, and nobody waits for it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Table, func, select, update

from bridge.core.case import Standing, Verdict
from bridge.core.errors import PermanentError, TransientError
from bridge.core.target import Target
from bridge.dispatch.retention import DAY, Retention
from bridge.store import erasure, schema
from bridge.store.database import Database
from bridge.store.migrate import migrate
from tests.integration.spine_store import database_fixture, masters_fixture, store_url  # noqa: F401
from tests.integration.store_bench import ANS, BEHEERDER, BORD, Bench, fail
from tests.unit.samples import NOW, alert_data, event, target

TARGETS = (BORD, ANS, BEHEERDER)
# What people said or are: nothing of it may be found in any table once it is erased.
FOR_YEARS = alert_data(expires="2099-01-01T00:00:00Z")
PERSONAL = ("Merenwijk", "rode jas", "Vermist:", "ans@example.nl", "merenwijk-1", "Meldkamer Den Haag", "foto.jpg")


def retention(bench: Bench, *, configured: Sequence[Target] = (), days: int = 30, erased: Any = None) -> Retention:
    """Make the part that erases, on the clock of the bench."""
    counted = erased if erased is not None else Counter()
    return Retention(
        bench.database,
        days,
        lambda: {one.digest for one in configured},
        lambda what, rows: counted.update({what: rows}),
        clock=lambda: bench.now,
        share=0,
    )


async def everything(database: Database) -> str:
    """Give all that the store holds, in one text."""

    def look(connection: Connection) -> str:
        tables = schema.metadata.tables.values()
        return "\n".join(f"{table.name}: {tuple(row)}" for table in tables for row in connection.execute(select(table)))

    return await database.read(look)


async def count(database: Database, table: Table) -> int:
    """Count the rows of a table."""
    query = select(func.count()).select_from(table)
    return await database.read(lambda connection: connection.scalar(query) or 0)


async def a_case_that_is_over(bench: Bench) -> None:
    """Let a case begin, be corrected and end, with everything done."""
    for kind in ("opened", "updated", "ended"):
        await bench.accept(kind)
        await bench.plan()
        await bench.work()
    await hours_pass(bench)


async def hours_pass(bench: Bench) -> None:
    """Let time pass until dark boards are looked at no more."""
    for _ in range(4):
        bench.now += 3600
        await bench.work()


async def test_no_word_and_no_address_of_a_case_is_left(database: Database) -> None:
    """Thirty days after its end nothing of what was said, shown or mailed is anywhere in the store."""
    bench = Bench(database, TARGETS)
    await a_case_that_is_over(bench)
    before = await everything(database)
    assert all(word in before for word in PERSONAL)
    bench.now += 30 * DAY
    erased: Counter[str] = Counter()
    total = await retention(bench, erased=erased).erase()
    after = await everything(database)
    assert [word for word in PERSONAL if word in after] == []
    assert total == erased
    assert total["cases"] == 1
    assert total["postings"] == len(TARGETS) == total["targets"]


async def test_a_case_is_kept_until_its_time_has_come(database: Database) -> None:
    """A day before the end of the period everything is still there, and so it is while a case is open."""
    bench = Bench(database, TARGETS)
    await a_case_that_is_over(bench)
    await bench.accept("opened", "open", data=FOR_YEARS)
    await bench.work()
    before = await everything(database)
    bench.now += 28 * DAY
    assert not await retention(bench, configured=TARGETS).erase()
    assert await everything(database) == before
    bench.now += 365 * DAY
    total = await retention(bench, configured=TARGETS).erase()
    assert total["cases"] == 1
    (still,) = await bench.status("open")
    assert still["state"] == "open"
    assert len(still["postings"]) == len(TARGETS)


async def test_what_comes_again_after_the_erasure_changes_nothing(database: Database) -> None:
    """The same event is a duplicate, an older one opens nothing, and the texts it brought are erased again."""
    bench = Bench(database, TARGETS)
    await a_case_that_is_over(bench)
    bench.now += 31 * DAY
    part = retention(bench, configured=TARGETS)
    await part.erase()
    again = event("opened", 1 / 60, name=f"zaak-{NOW.timestamp() + 1}", subject="zaak")
    late = event("updated", 0, name="late", subject="zaak")
    assert (await bench.intake.accept(again)).verdict is Verdict.DUPLICATE
    told = await bench.intake.accept(late)
    assert (told.verdict, told.standing) == (Verdict.ENDED_ALREADY, Standing.ENDED)
    assert await bench.work() == 0
    assert "rode jas" in await everything(database)
    bench.now += 31 * DAY
    await part.erase()
    assert "rode jas" not in await everything(database)


async def test_a_case_that_opens_again_after_the_erasure_is_a_case_as_any_other(database: Database) -> None:
    """A later opening is shown, told and ended as the first one was, and its revisions go on."""
    bench = Bench(database, TARGETS)
    await a_case_that_is_over(bench)
    bench.now += 31 * DAY
    await retention(bench, configured=TARGETS).erase()
    opened = await bench.accept("opened")
    assert (opened.standing, opened.revision) == (Standing.OPEN, 3)
    await bench.work()
    assert {one["applied"] for one in (await bench.postings()).values()} == {"shown"}
    await bench.accept("ended")
    await bench.work()
    assert (await bench.postings())["bord"]["applied"] == "gone"


@pytest.mark.parametrize("error", [TransientError("no connection"), PermanentError("never")])
async def test_what_still_shows_is_not_forgotten(database: Database, error: Exception) -> None:
    """While a board may still be lit, its case is kept whole, however long ago it ended."""
    bench = Bench(database, TARGETS)
    await bench.accept("opened")
    await bench.work()
    await bench.accept("ended")
    bench.now += 60 * DAY
    await bench.work(fail(error, "bord"))  # type: ignore[arg-type]
    before = await everything(database)
    part = retention(bench, configured=TARGETS)
    total = await part.erase()
    assert not {"cases", "postings", "contents", "events"} & set(+total)
    await hours_pass(bench)
    assert (await part.erase())["cases"] == 1
    assert "rode jas" in before


async def test_nothing_is_forgotten_that_has_no_due_but_is_seen(database: Database) -> None:
    """A posting that was given up while something is there keeps its case: the figures go on telling of it."""
    bench = Bench(database, (BORD,))
    await a_case_that_is_over(bench)
    seen = update(schema.postings).values(applied="shown", due=None)
    await database.write(lambda connection: connection.execute(seen).rowcount)
    bench.now += 60 * DAY
    assert "cases" not in +(await retention(bench).erase())


async def test_a_large_case_goes_a_little_at_a_time(database: Database) -> None:
    """No transaction erases more than a few hundred rows, and one that is cut off goes on where it was."""
    targets = [target(f"m{n}", "email", address=f"m{n}@example.nl") for n in range(erasure.CHUNK * 2 + 50)]
    bench = Bench(database, targets)
    await a_case_that_is_over(bench)
    bench.now += 31 * DAY
    before = bench.now - 30 * DAY
    gone, more = await database.write(lambda found: erasure.erase_some(found, "zaak", before, bench.now))
    assert more
    assert 0 < gone.total() <= erasure.CHUNK * 3  # the attempts, the postings and the outbox of as many
    (case,) = await bench.status()
    assert case["erased"] is None
    total = await retention(bench).erase()
    assert total["postings"] + gone["postings"] == len(targets)
    assert await count(database, schema.postings) == await count(database, schema.journal) == 0


async def test_an_expired_case_goes_too(database: Database) -> None:
    """When nobody ever said how a case ended, its words go all the same, and nobody is asked for its outcome any more."""
    bench = Bench(database, TARGETS)
    await bench.accept("opened")
    await bench.work()
    bench.now += DAY
    await bench.intake.expire()
    await bench.work()
    assert (await bench.gauges()).outcome_wanted == 1
    await hours_pass(bench)
    bench.now += 31 * DAY
    assert (await retention(bench).erase())["cases"] == 1
    assert (await bench.gauges()).outcome_wanted == 0


async def test_the_journal_of_a_case_that_stays_open_does_not_grow_for_ever(database: Database) -> None:
    """Attempts of long ago go, those of the last days stay, though the case is open."""
    bench = Bench(database, (BORD,))
    await bench.accept("opened", data=FOR_YEARS)
    await bench.work()
    old = await count(database, schema.journal)
    bench.now += 31 * DAY
    await bench.work()
    whole = await count(database, schema.journal)
    assert 0 < old < whole
    assert (await retention(bench, configured=(BORD,)).erase())["journal"] == old
    assert await count(database, schema.journal) == whole - old


async def test_results_that_no_broker_takes_do_not_pile_up(database: Database) -> None:
    """What waits for a broker goes after the period; and beyond a number the oldest go first."""
    bench = Bench(database, TARGETS)
    await bench.accept("opened", data=FOR_YEARS)
    await bench.work()
    waiting = await count(database, schema.notices)
    assert waiting >= 3
    dropped = await database.write(lambda connection: erasure.erase_old_notices(connection, 0.0, most=2))
    assert dropped["notices"] == waiting - 2
    bench.now += 31 * DAY
    assert (await retention(bench, configured=TARGETS).erase())["notices"] == 2


async def test_an_unknown_category_is_a_text_too(database: Database) -> None:
    """A category that the bridge does not know was written by hand, and is not kept."""
    bench = Bench(database, TARGETS)
    await bench.accept("opened", data=alert_data(category="vermissing van Ans"))
    await bench.accept("ended")
    bench.now += 31 * DAY
    await retention(bench).erase()
    (case,) = await bench.status()
    assert case["category"] == "other"


async def test_a_target_that_is_configured_or_needed_keeps_its_address(database: Database) -> None:
    """Only addresses that no posting and no configured target needs any more are forgotten."""
    bench = Bench(database, TARGETS)
    await a_case_that_is_over(bench)
    await bench.accept("opened", "open", data=FOR_YEARS)
    bench.targets = ()
    total = await retention(bench).erase()
    assert total["targets"] == 0
    bench.now += 31 * DAY
    await bench.accept("ended", "open")
    total = await retention(bench, configured=(ANS,)).erase()
    assert total["targets"] == 0  # the open case needed them until now
    await hours_pass(bench)
    bench.now += 31 * DAY
    total = await retention(bench, configured=(ANS,)).erase()
    assert total["targets"] == len(TARGETS) - 1
    assert "ans@example.nl" in await everything(database)


async def test_a_file_becomes_smaller(tmp_path: Path) -> None:
    """SQLite gives the space of what was erased back to the file system, and keeps a little for what comes."""
    path = tmp_path / "bridge.db"
    database = Database(f"sqlite:///{path}")
    try:
        await migrate(database)
        bench = Bench(database, ())
        rows = [{"posting": "x", "at": 1.0, "step": "publish", "result": "ok", "error": "e" * 900}] * 3_000
        await database.write(lambda connection: connection.execute(schema.journal.insert(), rows).rowcount)
        checkpoint(path)
        large = path.stat().st_size
        await retention(bench).erase()
        checkpoint(path)
        assert path.stat().st_size < large * 0.6
    finally:
        await database.close()


def checkpoint(path: Path) -> None:
    """Bring what stands in the log into the file."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
