"""The messages that wait for group admins, who read and forward them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, select

from bridge.core.content import Content
from bridge.core.errors import StoreUnavailable
from bridge.core.posting import Posting
from bridge.store import schema
from bridge.store.database import Database, insert_new

MOST_MESSAGES = 200
_t = schema.admin_messages.c


def outbox(connection: Connection, admin: str) -> list[dict[str, Any]]:
    """Give an admin's latest ``MOST_MESSAGES``, newest last: ``case posting revision phase subject text at``."""
    latest = select(schema.admin_messages).where(_t.admin == admin).order_by(_t.at.desc(), _t.revision.desc())
    return [
        {
            "case": row.case_id,
            "posting": row.posting,
            "revision": row.revision,
            "phase": row.phase,
            "subject": row.subject,
            "text": row.text,
            "at": datetime.fromtimestamp(row.at, UTC).isoformat(timespec="milliseconds"),
        }
        for row in reversed(connection.execute(latest.limit(MOST_MESSAGES)).all())
    ]


@dataclass(slots=True)
class _Batch:
    """Messages that are written in one transaction."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    is_kept: bool = False
    error: StoreUnavailable | None = None


class AdminOutboxStore:
    """``bridge.core.ports.AdminOutbox`` in the store. Messages that come together share one transaction."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._batch = _Batch()
        self._writing = asyncio.Lock()

    async def put(self, posting: Posting, content: Content) -> None:
        """Keep one message; return when it is durable. Raises ``StoreUnavailable``, and may then be called again.

        Whoever comes first writes for all that wait; when that one is cancelled, the next one does.
        """
        batch = self._batch
        batch.rows.append(self._row(posting, content))
        async with self._writing:
            if not batch.is_kept and batch.error is None:
                await self._write(batch)
        if batch.error is not None:
            raise StoreUnavailable(str(batch.error)) from batch.error

    async def _write(self, batch: _Batch) -> None:
        await asyncio.sleep(0)  # those who come in this turn of the loop come along
        if self._batch is batch:
            self._batch = _Batch()
        try:
            await self._database.write(lambda connection: _keep(connection, batch.rows))
            batch.is_kept = True
        except StoreUnavailable as error:
            batch.error = error

    def _row(self, posting: Posting, content: Content) -> dict[str, Any]:
        return {
            "posting": posting.id,
            "revision": content.revision,
            "admin": posting.target.address,
            "case_id": posting.case,
            "phase": content.phase.value,
            "subject": content.subject,
            "text": content.text,
            "at": self._clock(),
        }


def _keep(connection: Connection, rows: list[dict[str, Any]]) -> None:
    connection.execute(insert_new(connection, schema.admin_messages), rows)
