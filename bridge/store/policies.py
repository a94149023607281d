"""Which rules, targets and templates decide in each process; and the wish that all of them read theirs anew.

A wish is a number that only grows: whoever has answered a later one has answered all before it. It goes through the
store because every process has that, on whatever host.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, select, update

from bridge.store import schema
from bridge.store.database import insert, insert_new, to_json
from bridge.store.workers import DEAD

_WISHED = "reload"
_facts, _policies, _workers = schema.facts.c, schema.policies.c, schema.workers.c
_LATEST = select(_facts.value).where(_facts.name == _WISHED)


@dataclass(frozen=True, slots=True)
class InUse:
    """What decides in one process. ``error``: why it kept that when it last read anew, a line each; empty: it did not.

    ``digest`` names the set; ``since``: when it was read, by the database's clock; ``notes``: what people should know.
    """

    worker: str
    digest: str
    since: float
    targets: int
    rules: int
    error: Sequence[str] = ()
    notes: Sequence[str] = ()


def wish(connection: Connection, now: float) -> int:
    """Wish that every process reads its files anew; give the wish's number. ``now`` is the database's time."""
    connection.execute(insert_new(connection, schema.facts), {"name": _WISHED, "value": "0 0"})
    latest = connection.scalar(_LATEST.with_for_update())
    number = _read(latest)[0] + 1
    connection.execute(update(schema.facts).where(_facts.name == _WISHED).values(value=f"{number} {now}"))
    return number


def wished(connection: Connection) -> tuple[int, float]:
    """Give the number of the latest wish, and when it was made; 0: there never was one."""
    return _read(connection.scalar(_LATEST))


def _read(latest: str | None) -> tuple[int, float]:
    number, _, at = (latest or "0 0").partition(" ")
    return int(number), float(at)


def say(connection: Connection, number: int, mine: InUse, *, alone: bool) -> None:
    """Answer a wish, in place of all earlier answers of this process; ``alone``: there are no others."""
    if alone:
        connection.execute(delete(schema.policies).where(_policies.worker != mine.worker))
    values = {"worker": mine.worker, "number": number, "body": to_json(asdict(mine))}
    statement = insert(connection.dialect.name, schema.policies).values(values)
    again = {"number": number, "body": values["body"]}
    connection.execute(statement.on_conflict_do_update(index_elements=["worker"], set_=again))


def answers(connection: Connection, number: int) -> dict[str, InUse]:
    """Give the answers to a wish so far, by process."""
    rows = connection.execute(select(schema.policies).where(_policies.number >= number).order_by(_policies.worker))
    return {row.worker: InUse(**json.loads(row.body)) for row in rows}


def living(connection: Connection, now: float) -> set[str]:
    """Name the processes that share the database and are alive; an embedded store keeps no list."""
    return set(connection.scalars(select(_workers.id).where(_workers.seen >= now - DEAD)))
