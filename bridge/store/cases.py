"""Events and cases in the store."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from pydantic import TypeAdapter
from sqlalchemy import Connection, and_, bindparam, delete, or_, select, update

from bridge.core import content as contents
from bridge.core.advice import Advice
from bridge.core.case import Case, Registers, Standing, Verdict
from bridge.core.events import Event, dump
from bridge.core.trace import Trace, read_trace
from bridge.store import schema
from bridge.store.database import Prepared, insert, insert_new, to_json
from bridge.store.writing import Writing, among, texts

_REGISTERS: TypeAdapter[Registers] = TypeAdapter(Registers)

# Made once: to put a statement together takes longer than to run it, and every event waits for these.
_events, _cases = schema.events.c, schema.cases.c
_CASE = select(_cases.id, _cases.registers, _cases.standing, _cases.revision, _cases.worded, _cases.expires)
_NAMED = _CASE.where(_cases.id == bindparam("name"))
_FOUND, _LOCKED = Prepared(_NAMED), Prepared(_NAMED.with_for_update())
# A case that nobody has heard of: what its columns hold until an event has been taken in.
_BLANK: dict[str, Any] = {
    **dict.fromkeys(("outcome", "category", "headline", "policy"), ""),
    **dict.fromkeys(("revision", "worded", "plan"), 0),
    **dict.fromkeys(("opened", "changed"), 0.0),
    "standing": Standing.OPEN.value,
    "registers": _REGISTERS.dump_json(Registers(), exclude_none=True).decode(),
}
_NEW = Prepared(
    lambda dialect: (
        insert(dialect, schema.cases)
        .values({name: bindparam(name) for name in ("id", *_BLANK)})
        .on_conflict_do_nothing()
    )
)


def _blank_cases(dialect: str) -> Any:
    name = texts(dialect, "names")
    return select(name, *(bindparam(key, type_=_cases[key].type) for key in _BLANK)).order_by(name)


_MADE = Prepared(
    lambda dialect: (
        insert(dialect, schema.cases)
        .from_select(["id", *_BLANK], _blank_cases(dialect), include_defaults=False)
        .on_conflict_do_nothing()
        .returning(_cases.id)
    )
)
_EVENT = ("source", "id", "case_id", "type", "time", "received", "verdict", "body")
_KEEP = Prepared(schema.events.insert().values({name: bindparam(name) for name in _EVENT}))
_KNOWN = Prepared(
    lambda dialect: select(_events.source, _events.id).where(
        among(dialect, _events.source, "sources"), among(dialect, _events.id, "ids")
    )
)
_WORDS = (
    update(schema.cases).where(and_(_cases.id == bindparam("name"), _cases.erased.is_not(None))).values(erased=None)
)
_TRACES = select(_cases.id, _cases.trace).where(_cases.id.in_(bindparam("names", expanding=True)))


Name = tuple[str, str]  # of an event: its source and its id there


def known_events(connection: Connection, events: Iterable[Event]) -> set[Name]:
    """Tell which events are known already. Ask when their cases are locked: else one may be on its way in."""
    names = {(event.source, event.id) for event in events}
    sources, ids = map(set, zip(*names, strict=True))
    return names & set(map(tuple, _KNOWN.one(connection, {"sources": to_json([*sources]), "ids": to_json([*ids])})))


def record_event(writing: Writing, event: Event, received: datetime, verdict: Verdict) -> None:
    """Keep an event that is not known yet, with what it does to its case."""
    values = {
        "source": event.source,
        "id": event.id,
        "case_id": event.subject,
        "type": event.type,
        "time": event.time.timestamp(),
        "received": received.timestamp(),
        "verdict": verdict.value,
        "body": dump(event),
    }
    writing.add(_KEEP, [values])


def lock_case(connection: Connection, name: str) -> Case:
    """Load a case, making it if it is new; nobody else changes it until this transaction ends."""
    row = _LOCKED.one(connection, {"name": name}).first()
    if row is None:
        if _NEW.one(connection, {"id": name, **_BLANK}).rowcount:
            return Case(name)
        row = _LOCKED.one(connection, {"name": name}).one()  # another process made it meanwhile
    return _case(row)


def make_new(connection: Connection, names: Collection[str]) -> set[str]:
    """Make those cases that nobody has heard of, locked like any other; tell which these are."""
    return {row.id for row in _MADE.one(connection, {"names": to_json([*names]), **_BLANK})}


def forget_new(connection: Connection, names: Collection[str]) -> None:
    """Take back cases that were just made: the events were not their own."""
    if names:
        connection.execute(delete(schema.cases).where(_cases.id.in_(names)))


def find_case(connection: Connection, name: str) -> Case | None:
    """Load a case; ``None`` when there is no such case."""
    row = _FOUND.one(connection, {"name": name}).first()
    return _case(row) if row else None


def _case(row: Any) -> Case:
    expires = None if row.expires is None else datetime.fromtimestamp(row.expires, UTC)
    registers = _REGISTERS.validate_json(row.registers)
    return Case(row.id, registers, Standing(row.standing), row.revision, row.worded, expires)


def dump_registers(registers: Registers) -> str:
    """Write the memory of a case for its column."""
    return _REGISTERS.dump_json(registers, exclude_none=True).decode()


def save_case(
    writing: Writing, after: Case, now: datetime, trace: Trace | None = None, advice: Sequence[Advice] = ()
) -> None:
    """Write a case back; ``trace`` is that of the event that changed it, if it is known."""
    alert = after.registers.alert
    opened = after.registers.first
    values: dict[str, Any] = {
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
    writing.change_case(after.id, values | ({"trace": to_json(trace.headers)} if trace else {}))


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
