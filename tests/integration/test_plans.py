"""Years of history do not slow the present: every statement of a case's life finds its rows by an index."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.history import fill_history
from bridge.store import erasure, outbox, photos, wishes
from bridge.store.database import Database
from bridge.store.notices import Notices
from tests.integration.spine_store import database_fixture, masters_fixture, store_url  # noqa: F401
from tests.integration.store_bench import ANS, BEHEERDER, BORD, PAGINA, Bench

GROWING = "postings|journal|decisions|contents|events|cases|admin_messages|photos"
# SQLite walks a table when it says SCAN; a partial index that it walks holds only what is still to be done.
WALKS = {
    "sqlite": re.compile(rf"SCAN ({GROWING})(?! USING (COVERING )?INDEX ix_)"),
    "postgresql": re.compile(rf"Seq Scan on ({GROWING})"),
}

Statement = tuple[str, Any]


@contextmanager
def listening(database: Database) -> Iterator[list[Statement]]:
    """Collect every statement with its parameters, each once."""
    found: dict[str, Statement] = {}

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, executemany: bool) -> None:
        found.setdefault(statement, (statement, parameters[0] if executemany else parameters))

    engine: Engine | AsyncEngine = database._way._engine
    engine = engine.sync_engine if isinstance(engine, AsyncEngine) else engine
    event.listen(engine, "before_cursor_execute", note)
    statements: list[Statement] = []
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)
        statements += found.values()


def walks(connection: Connection, statements: list[Statement]) -> list[str]:
    """Name the statements that walk through a table that grows, with their plans."""
    return [
        f"{statement}\n{plan}\n"
        for statement, plan in plans(connection, statements)
        if WALKS[connection.dialect.name].search(plan)
    ]


def plans(connection: Connection, statements: list[Statement]) -> Iterator[Statement]:
    """Ask the database how it would find what statements are about."""
    explain = "EXPLAIN QUERY PLAN " if connection.dialect.name == "sqlite" else "EXPLAIN "
    if connection.dialect.name == "postgresql":
        # With little history a walk is the cheaper way; what is asked here is whether there is another one.
        connection.execute(text("SET LOCAL enable_seqscan = off"))
    for statement, parameters in statements:
        if not re.match(r"(SELECT|INSERT|UPDATE|DELETE)\b", statement.lstrip()):
            continue
        rows = connection.exec_driver_sql(explain + statement, parameters).all()
        yield statement, "\n".join(str(row[-1]) for row in rows)


async def a_whole_life(bench: Bench, database: Database) -> None:
    """Do all that a running bridge does, and look as its people and machines look."""
    for kind in ("opened", "updated", "ended"):
        await bench.accept(kind)
        await bench.work()
        await bench.intake.expire()
        await database.read(photos.wanted_photos)
        await bench.gauges()
        await bench.status()
        await bench.status(None)
    await bench.intake.hold("zaak", BORD.id)
    await bench.work()
    bench.digest = "another"
    await bench.intake.replan()
    await database.read(lambda connection: outbox.outbox(connection, BEHEERDER.address))
    await Notices(database).take(100)


async def test_the_life_of_a_case_walks_through_no_history(database: Database) -> None:
    """Events, steps, figures and status take no longer with a million postings behind them."""
    bench = Bench(database, (BORD, PAGINA, ANS, BEHEERDER))
    await fill_history(str(database.url.render_as_string(hide_password=False)), 2_000)
    with listening(database) as statements:
        await a_whole_life(bench, database)
    assert len(statements) > 30
    assert await database.read(lambda connection: walks(connection, statements)) == []


async def test_erasing_walks_through_no_history_either(database: Database) -> None:
    """What is past its time is found by an index, and so is each of its rows."""
    await fill_history(str(database.url.render_as_string(hide_password=False)), 2_000)
    with listening(database) as statements:
        [(when, name)] = await database.read(lambda found: erasure.cases_to_erase(found, 1e12, (0.0, ""), 1))
        assert not await database.read(lambda found: erasure.has_work_left(found, name))
        more = True
        while more:
            _, more = await database.write(lambda found: erasure.erase_some(found, name, 1e12, when))
    assert await database.read(lambda connection: walks(connection, statements)) == []


async def test_a_piece_of_a_plan_reads_its_own_postings_only(database: Database) -> None:
    """A case of 100,000 targets is judged 250 at a time, and the last piece costs what the first one did."""
    with listening(database) as statements:
        await database.read(lambda found: wishes.existing_postings(found, "zaak", [f"{one:026}" for one in range(250)]))
    [(_, plan)] = await database.read(lambda found: list(plans(found, statements)))
    assert ("sqlite_autoindex_postings_1" if database.is_sqlite else "pk_postings") in plan, plan


async def test_a_walk_is_seen(database: Database) -> None:
    """The tests above can fail: a question that no index answers is named."""
    with listening(database) as statements:
        await database.read(
            lambda connection: connection.execute(text("SELECT id FROM postings WHERE language = 'x'")).all()
        )
    assert len(await database.read(lambda connection: walks(connection, statements))) == 1
