"""Delivery results that still have to be told on the status exchange: written with the result, forgotten when told."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select

from bridge.core.case import Case
from bridge.core.planning import Judged
from bridge.core.trace import Trace
from bridge.store import schema
from bridge.store.database import Database, to_json
from bridge.store.rows import NOTICE
from bridge.store.writing import Writing


def keep_refusals(
    writing: Writing, after: Case, judged: Sequence[Judged], now: float, trace: Trace | None = None
) -> None:
    """Tell of every target that an alert does not go to."""
    more = {"trace": trace.headers} if trace else {}
    rows = [
        {"what": "refused", "body": to_json(_refusal(after, one, now) | more)}
        for one in judged
        if not one.decision.allowed
    ]
    writing.add(NOTICE, rows)


def _refusal(after: Case, one: Judged, now: float) -> dict[str, object]:
    return {
        "case": after.id,
        "target": one.target,
        "channel": one.channel,
        "revision": after.revision,
        "reason": one.decision.reason.value,
        "rule": one.decision.rule,
        "detail": one.decision.detail,
        "at": now,
    }


class Notices:
    """The queue of what is still to be told."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, limit: int) -> list[tuple[int, str, str]]:
        """Give the oldest notices: id, what, body (JSON)."""
        t = schema.notices.c
        oldest = select(t.id, t.what, t.body).order_by(t.id).limit(limit)
        rows = await self._database.read(lambda connection: connection.execute(oldest).all())
        return [(row[0], row[1], row[2]) for row in rows]

    async def forget(self, ids: Sequence[int]) -> None:
        """Drop what has been told."""
        told = delete(schema.notices).where(schema.notices.c.id.in_(ids))
        await self._database.write(lambda connection: connection.execute(told))
