"""Years of history in a minute: closed cases with all that belongs to them, written by the database itself."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import BigInteger, Connection, String, Table, case, cast, literal, select

from benchmarks.events import case_events
from bridge.core.case import Case, fold
from bridge.core.events import dump, parse_structured
from bridge.store import cases, schema
from bridge.store.database import Database

PER_CASE = 100  # postings of one case: half of them boards, half mailboxes

_DAY = 86400.0
_STEP = 50_000  # postings in one transaction
_SPREAD = 2_654_435_761  # odd, so that it shuffles and nothing else: the names of real postings are in no order either


@dataclass(frozen=True)
class _Invented:
    """What all cases of the history share: when the first began, seconds from one to the next, and their texts."""

    begin: float
    apart: float
    body: str
    registers: str


async def fill_history(database_url: str, postings: int, *, days: float = 365.0) -> None:
    """Put ``postings`` settled postings of closed cases into a migrated store, spread over the last ``days`` days.

    Beside each posting go one decision and two rows of the journal; beside each case (``history-0``, ``history-1`` …)
    two events and two contents.
    """
    database = Database(database_url)
    invented = _invent(days * _DAY, postings // PER_CASE + 1)
    try:
        for first in range(0, postings, _STEP):
            last = min(first + _STEP, postings)
            await database.write(partial(_fill_postings, first=first, last=last, invented=invented))
            await database.write(
                partial(_fill_cases, first=-(-first // PER_CASE), last=-(-last // PER_CASE), invented=invented)
            )
    finally:
        await database.close()


def _invent(seconds: float, count: int) -> _Invented:
    """Fold a real opening and its ending, for the texts."""
    folded, body, now = Case("history"), "", datetime.now(UTC)
    for raw in case_events():
        event = parse_structured(raw)
        folded, _ = fold(folded, event, now, timedelta(days=1))
        body = body or dump(event)
    return _Invented(time.time() - seconds, seconds / count, body, cases.dump_registers(folded.registers))


def _fill_postings(connection: Connection, first: int, last: int, invented: _Invented) -> None:
    rows = _numbers(first, last)
    number = rows.c.n
    of_case, board = number // PER_CASE, number % 2 == 0
    name = _name("h", number * literal(_SPREAD, BigInteger) % literal(2**32, BigInteger))
    target = _name("target-", number % PER_CASE)
    at = invented.begin + of_case * invented.apart
    ending = case((board, ""), else_=_name("ending-", of_case))
    common = {"case_id": _name("history-", of_case), "target": target, "channel": case((board, "sign"), else_="email")}
    posting = {
        "id": name,
        "target_row": target,
        "adapter": case((board, "http_sign"), else_="email"),
        "language": "nl",
        "kind": case((board, "state"), else_="message"),
        "desired": case((board, "gone"), else_="shown"),
        "content": ending,
        "ending": ~board,
        "reason": "ended",
        "revision": 2,
        "desired_at": at,
        "applied": case((board, "gone"), else_="shown"),
        "applied_content": ending,
        "applied_ending": ~board,
        "applied_revision": 2,
        "carried": True,
        "handle": '{"thread":"invented"}',
        "applied_at": at,
        "verified_at": at,
        "shown_until": at,
        "priority": 2,
    }
    decision = {"plan": 1, "revision": 1, "allowed": True, "reason": "allowed", "words": '{"nl":"mag","en":"may"}'}
    _insert(connection, schema.postings, rows, common | posting)
    _insert(connection, schema.decisions, rows, common | decision | {"at": at})
    for step in ("publish", "retract"):
        _insert(connection, schema.journal, rows, {"posting": name, "at": at, "step": step, "result": "ok"})


def _fill_cases(connection: Connection, first: int, last: int, invented: _Invented) -> None:
    rows = _numbers(first, last)
    name = _name("history-", rows.c.n)
    at = invented.begin + rows.c.n * invented.apart
    told = {"category": "missing_child_alert", "outcome": "resolved", "headline": "Vermist", "plan": 1, "revision": 2}
    stood = {"standing": "ended", "registers": invented.registers, "opened": at, "changed": at}
    _insert(connection, schema.cases, rows, {"id": name, **told, **stood})
    for kind in ("opened", "ended"):
        event = {"source": "urn:history", "id": _name(f"{kind}-", rows.c.n), "case_id": name, "type": kind}
        said = {"time": at, "received": at, "verdict": "applied", "body": invented.body}
        _insert(connection, schema.events, rows, event | said)
    for kind in ("opening-", "ending-"):
        content = {"id": _name(kind, rows.c.n), "case_id": name, "body": invented.body}
        _insert(connection, schema.contents, rows, content)


def _numbers(first: int, last: int) -> Any:
    """Give the numbers from ``first`` up to ``last`` as a table with one column, ``n``."""
    numbers = select(literal(first, BigInteger).label("n")).cte("numbers", recursive=True)
    return numbers.union_all(select(numbers.c.n + 1).where(numbers.c.n + 1 < last))


def _name(prefix: str, number: Any) -> Any:
    return literal(prefix) + cast(number, String)


def _insert(connection: Connection, table: Table, rows: Any, values: Mapping[str, Any]) -> None:
    columns = [value if hasattr(value, "label") else literal(value) for value in values.values()]
    connection.execute(table.insert().from_select(list(values), select(*columns).select_from(rows)))
