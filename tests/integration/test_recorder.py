"""Results that come together are grouped by what they have in common: each posting must stand as if it came alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import pytest
from sqlalchemy import delete

from bridge.core.errors import OutcomeUnknown, PermanentError, TransientError
from bridge.core.posting import Observation, Receipt, Step
from bridge.store import schema
from bridge.store.database import Connection, Database
from bridge.store.rows import Finished, Work
from bridge.store.work import Slots, Turn
from tests.integration.spine_store import database_fixture, masters_fixture, store_url  # noqa: F401
from tests.integration.store_bench import ADAPTERS, Bench, Result
from tests.unit.samples import alert_data, target

TARGETS = (
    *(target(f"bord-{number}") for number in range(8)),
    *(target(f"lezer-{number}", "email", address=f"lezer{number}@example.nl") for number in range(6)),
    *(target(f"pagina-{number}", "facebook") for number in range(3)),
)
TEXTS = ("Een jongen met een rode jas.", "Een meisje met een gele jas.", "Een man met een grijs vest.")
LONG = 3600.0  # seconds after which everything is due: looks, retries, read-backs


class Even(Random):
    """Jitter that is the same for all, so that how often it was asked for changes nothing."""

    def random(self) -> float:
        """Give the middle."""
        return 0.5


def answer(work: Work, chance: Random) -> Result:
    """Answer a step in one of the ways that a channel can."""
    fault = (TransientError("busy"), PermanentError("no such board"), OutcomeUnknown("no answer"))
    if chance.random() < 0.25:
        return fault[chance.randrange(3)]
    name = f"{work.posting.target.id}/{chance.randrange(3)}"
    match work.step:
        case Step.RETRACT:
            return None
        case Step.OBSERVE:
            text = work.content.text if work.content else "niets"
            seen = (
                Observation(True, work.state.applied_revision, text),
                Observation(False),
                Observation(True, None, "x"),
            )
            return seen[chance.randrange(3)]
        case Step.FIND:
            return Receipt(work.posting, {"id": name}) if chance.random() < 0.5 else None
        case _:
            return Receipt(work.posting, {"id": name})


def finish(turn: Turn, bench: Bench, chance: Random) -> list[Finished]:
    """Let all steps of a turn end, in an order of their own."""
    works = sorted(turn.work, key=lambda work: work.posting.id)
    return [Finished(work, bench.done(work, answer(work, chance)), chance.random()) for work in works]


async def play(database: Database, seed: int, *, together: bool) -> Mapping[str, Sequence[Any]]:
    """Play cases with corrections and endings in between; give all that was written."""
    await database.write(_empty)
    bench, chance = Bench(database, TARGETS, random=Even()), Random(seed)
    # Of postings at one target that are due at the same time, PostgreSQL may take any first: there it is one case.
    texts = TEXTS if database.is_sqlite else TEXTS[:1]
    for number, text in enumerate(texts):
        info = [{"language": "nl", "headline": text, "description": text}]
        await bench.accept("opened", f"zaak-{number}", data=alert_data(info=info, resource=[]))
    for round_ in range(10):
        turn = await bench.turn([], [Slots(name, 30, 30) for name in ADAPTERS])
        if chance.random() < 0.5:  # desires change while steps are under way
            case = f"zaak-{chance.randrange(len(texts))}"
            info = [{"language": "nl", "headline": "x", "description": f"Anders, {round_}."}]
            more = {} if (kind := chance.choice(["updated", "ended"])) == "ended" else {"data": alert_data(info=info)}
            await bench.accept(kind, case, **more)
        bench.now += chance.choice([0.5, 30.0, LONG])
        finished = finish(turn, bench, chance)
        for some in [finished] if together else [[one] for one in finished]:
            await bench.turn(some, [])
        bench.now += chance.choice([0.5, 30.0, LONG])
    return {
        "postings": await rows(database, "postings", "id"),
        "journal": await rows(database, "journal", "posting", "at"),
        "notices": await rows(database, "notices", "body"),
    }


async def rows(database: Database, table: str, *order: str) -> Sequence[Any]:
    """Read a table, but for the numbers of its rows."""
    columns = schema.metadata.tables[table].c
    wanted = [column for column in columns if column.name != "id" or table == "postings"]

    def read(connection: Connection) -> Sequence[Any]:
        query = schema.metadata.tables[table].select().with_only_columns(*wanted)
        return connection.execute(query.order_by(*(columns[name] for name in order))).mappings().all()

    return await database.read(read)


def _empty(connection: Connection) -> None:
    for table in schema.metadata.tables.values():
        connection.execute(delete(table))


@pytest.mark.parametrize("seed", range(6))
async def test_results_that_come_together_are_written_as_if_each_came_alone(database: Database, seed: int) -> None:
    """Same rows, whether the results of a turn are recorded in one transaction or one by one."""
    together = await play(database, seed, together=True)
    alone = await play(database, seed, together=False)
    for name in ("postings", "journal", "notices"):
        assert together[name] == alone[name]
    assert len({row["result"] for row in alone["journal"]}) == 4  # ok, and all three ways to fail
    assert len({row["step"] for row in alone["journal"]}) >= 4


async def test_what_came_of_an_erased_posting_holds_up_nobody(database: Database) -> None:
    """Who was cut off until a case was erased brings its result too late; the others of that turn are written."""
    bench = Bench(database, TARGETS, random=Even())
    await bench.accept("opened", "zaak-0", data=alert_data(resource=[]))
    turn = await bench.turn([], [Slots(name, 30, 30) for name in ADAPTERS])
    finished = finish(turn, bench, Random(0))
    gone = finished[0].work.posting.id
    postings = schema.postings
    await database.write(lambda connection: connection.execute(delete(postings).where(postings.c.id == gone)).rowcount)
    await bench.turn(finished, [])
    written = {row["posting"] for row in await rows(database, "journal", "posting", "at")}
    assert written == {one.work.posting.id for one in finished} - {gone}
