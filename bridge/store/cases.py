"""Events and cases in the store."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from pydantic import TypeAdapter
from sqlalchemy import Connection, and_, bindparam, or_, select, update

from bridge.core import content as contents
from bridge.core.advice import Advice
from bridge.core.case import Case, Registers, Standing, Verdict
from bridge.core.events import Event, dump
from bridge.core.trace import Trace, read_trace
from bridge.store import schema
from bridge.store.database import insert_new, to_json

_REGISTERS: TypeAdapter[Registers] = TypeAdapter(Registers)

# Made once: to put a statement together takes longer than to run it, and every event waits for these.
_events, _cases = schema.events.c, schema.cases.c
_CASE = select(schema.cases).where(_cases.id == bindparam("name"))
_LOCKED_CASE = _CASE.with_for_update()
_SAVE = update(schema.cases).where(_cases.id == bindparam("name"))
_WORDS = (
    update(schema.cases).where(and_(_cases.id == bindparam("name"), _cases.erased.is_not(None))).values(erased=None)
)
_TRACES = select(_cases.id, _cases.trace).where(_cases.id.in_(bindparam("names", expanding=True)))
_VERDICT = (
    update(schema.events)
    .where(and_(_events.source == bindparam("p_source"), _events.id == bindparam("p_id")))
    .values(verdict=bindparam("p_verdict"))
)


def record_event(connection: Connection, event: Event, received: datetime) -> bool:
    """Keep an event; ``False`` when its source and id are known already."""
    values = {
        "source": event.source,
        "id": event.id,
        "case_id": event.subject,
        "type": event.type,
        "time": event.time.timestamp(),
        "received": received.timestamp(),
        "verdict": "",
        "body": dump(event),
    }
    return bool(connection.execute(insert_new(connection, schema.events), values).rowcount)


def record_verdict(connection: Connection, event: Event, verdict: Verdict) -> None:
    """Note what an event did to its case."""
    connection.execute(_VERDICT, {"p_source": event.source, "p_id": event.id, "p_verdict": verdict.value})


def lock_case(connection: Connection, name: str) -> Case:
    """Load a case, making it if it is new; nobody else changes it until this transaction ends."""
    row = connection.execute(_LOCKED_CASE, {"name": name}).first()
    if row is None:
        blank = {"id": name, "standing": Standing.OPEN.value, "registers": dump_registers(Registers())}
        connection.execute(insert_new(connection, schema.cases), blank)
        row = connection.execute(_LOCKED_CASE, {"name": name}).one()
    return _case(row)


def find_case(connection: Connection, name: str) -> Case | None:
    """Load a case; ``None`` when there is no such case."""
    row = connection.execute(_CASE, {"name": name}).first()
    return _case(row) if row else None


def _case(row: Any) -> Case:
    expires = None if row.expires is None else datetime.fromtimestamp(row.expires, UTC)
    registers = _REGISTERS.validate_json(row.registers)
    return Case(row.id, registers, Standing(row.standing), row.revision, row.worded, expires)


def dump_registers(registers: Registers) -> str:
    """Write the memory of a case for its column."""
    return _REGISTERS.dump_json(registers, exclude_none=True).decode()


def save_case(
    connection: Connection, after: Case, now: datetime, trace: Trace | None = None, advice: Sequence[Advice] = ()
) -> None:
    """Write a case back; ``trace`` is that of the event that changed it, if it is known."""
    alert = after.registers.alert
    opened = after.registers.first
    values: dict[str, Any] = {
        "name": after.id,
        "standing": after.standing.value,
        "outcome": after.outcome.value if after.outcome else "",
        "category": alert.categoryAsGiven[:64] if alert else "",  # an unknown word may be of any length
        "headline": contents.one_line(alert.info[0].headline or alert.info[0].description)[:200] if alert else "",
        "revision": after.revision,
        "worded": after.worded,
        "registers": dump_registers(after.registers),
        "expires": after.expires.timestamp() if after.expires else None,
        "opened": opened.time.timestamp() if opened else 0.0,
        "changed": now.timestamp(),
        "erased": None,
        "advice": to_json([[one.say("nl"), one.say("en")] for one in advice]) if advice else None,
    }
    if trace:
        values["trace"] = to_json(trace.headers)
    connection.execute(_SAVE, values)


def note_words(connection: Connection, name: str) -> None:
    """An event that changed nothing was kept with its words: what was erased before is to be erased once more."""
    connection.execute(_WORDS, {"name": name})


def traces(connection: Connection, names: Iterable[str]) -> dict[str, Trace | None]:
    """Find the traces that the latest changes of cases belong to."""
    rows = connection.execute(_TRACES, {"names": list(names)})
    return {name: read_trace(json.loads(trace)) if trace else None for name, trace in rows}


def expired_cases(connection: Connection, now: float) -> Sequence[str]:
    """Name the open cases whose time has passed."""
    table = schema.cases
    late = and_(table.c.standing == Standing.OPEN.value, table.c.expires <= now)
    return connection.scalars(select(table.c.id).where(late).limit(100)).all()


def judged_otherwise(connection: Connection, policy: str) -> Sequence[str]:
    """Name the open cases that were judged by another policy than this one."""
    whole = or_(_cases.planned.is_(None), _cases.planned >= 0)  # what was restored in mid-plan is finished first
    stale = and_(_cases.standing == Standing.OPEN.value, _cases.policy != policy, whole)
    return connection.scalars(select(_cases.id).where(stale)).all()


def latest_time(connection: Connection, name: str) -> datetime | None:
    """Give the time of a case's latest event; ``None`` for an unknown case."""
    known = find_case(connection, name)
    return known.registers.latest() if known else None


def fact(connection: Connection, name: str) -> str:
    """Look up a small fact about the whole bridge."""
    return connection.scalar(select(schema.facts.c.value).where(schema.facts.c.name == name)) or ""


def instance_name(connection: Connection) -> str:
    """Name this store, once for all."""
    connection.execute(insert_new(connection, schema.facts), {"name": "instance", "value": uuid4().hex[:12]})
    return fact(connection, "instance")
