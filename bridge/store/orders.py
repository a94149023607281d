"""The supplier's desk: what was asked, the signed links to answer by, and the answers."""

from __future__ import annotations

import asyncio
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_hex
from typing import Any

from sqlalchemy import Connection, and_, select, update

from bridge.core.errors import PermanentError
from bridge.core.ports import Order
from bridge.core.posting import Posting
from bridge.store import schema
from bridge.store.database import Database, insert, insert_new

MOST_REASON = 300  # characters of a supplier's own words
STEP = 0.1  # seconds between looks whether a step has ended
_KEY = "order_key"  # the fact that holds the key by which links are signed
_o, _p, _f = schema.orders.c, schema.postings.c, schema.facts.c
_KEPT = select(_f.value).where(_f.name == _KEY)


@dataclass(frozen=True, slots=True)
class Asked:
    """An order as its supplier sees it: ``told`` is what he was sent; ``current``: no other has replaced it."""

    what: str
    told: Mapping[str, str]
    answer: str
    reason: str
    current: bool


class OrderStore:
    """``bridge.core.ports.Orders`` in the store, and the web's side of it. ``public_url``: where suppliers reach us."""

    def __init__(self, database: Database, public_url: str, wake: Callable[[], None]) -> None:
        self._database = database
        self._public_url = public_url.rstrip("/")
        self._wake = wake

    async def ask(self, posting: Posting, what: str, key: str, told: Mapping[str, str]) -> Order:
        """Give the order to ``place`` the text with this key, or to ``remove``; a new one where another stood."""
        if not self._public_url:
            raise PermanentError("web.public_url is empty, and the supplier needs an address to confirm at")
        row = {
            "posting": posting.id,
            "case_id": posting.case,
            "target": posting.target.id,
            "what": what,
            "key": key,
            "body": json.dumps(dict(told), ensure_ascii=False),
            "asked": self._database.clock(),
        }
        return self._order(*await self._database.write(lambda connection: _ask(connection, row)))

    async def sent(self, order: Order, times: int) -> None:
        """Note that an order has been sent so many times by now, the last time just now."""
        mine = and_(_o.posting == order.posting, _o.serial == order.serial)
        values = {"sent": times, "sent_at": self._database.clock()}
        note = update(schema.orders).where(mine).values(values)
        await self._database.write(lambda connection: connection.execute(note).rowcount)

    async def latest(self, posting: Posting) -> Order | None:
        """Give what was asked last, if anything."""
        found = await self._database.write(lambda connection: (_find(connection, posting.id), _key(connection)))
        return self._order(*found) if found[0] else None

    async def asked(self, posting: str, serial: int, what: str, signature: str) -> Asked | None:
        """Find the order that a link is of; ``None`` when the link is not one of ours."""
        row, key = await self._database.read(lambda connection: (_find(connection, posting), connection.scalar(_KEPT)))
        if not (row and key and hmac.compare_digest(_sign(key, posting, serial, what).encode(), signature.encode())):
            return None
        current = (row.serial, row.what) == (serial, what)
        return Asked(what, json.loads(row.body or "{}"), row.answer if current else "", row.reason, current)

    async def answer(self, posting: str, serial: int, answer: str, reason: str = "") -> None:
        """Take a supplier's word; the dispatcher looks at once. Who said *cannot* may still say *done*."""
        values = {"answer": answer, "reason": reason[:MOST_REASON], "answered_at": self._database.clock()}
        mine = and_(_o.posting == posting, _o.serial == serial, _o.answer != "done")
        said = update(schema.orders).where(mine).values(values)
        await self._database.write(lambda connection: connection.execute(said).rowcount)
        # A step that is under way may have looked before that: there must be one after it. One whose lease has run out
        # is taken over, and looks anew.
        while await self._is_flying(posting):  # noqa: ASYNC110 - it may end in another process
            await asyncio.sleep(STEP)
        due = update(schema.postings).where(_p.id == posting, _p.claim.is_(None)).values(due=self._database.clock())
        await self._database.write(lambda connection: connection.execute(due).rowcount, ring=True)
        self._wake()

    async def _is_flying(self, posting: str) -> bool:
        """Tell whether a step of a posting is under way, as far as its lease tells."""
        mine = select(_p.id).where(_p.id == posting, _p.claim.is_not(None), _p.due > self._database.clock())
        return bool(await self._database.read(lambda connection: connection.scalar(mine)))

    def _order(self, row: Any, key: str) -> Order:
        link = f"{self._public_url}/order/{row.posting}/{row.serial}/{row.what}/"
        link += _sign(key, row.posting, row.serial, row.what)
        return Order(row.posting, row.what, row.serial, link, row.asked, row.sent, row.sent_at, row.answer, row.reason)


def _ask(connection: Connection, row: Mapping[str, Any]) -> tuple[Any, str]:
    found = _find(connection, row["posting"])
    if found is None or (found.what, found.key) != (row["what"], row["key"]):
        fresh = {"serial": 1 + (found.serial if found else 0), "sent": 0, "sent_at": 0.0, "answer": "", "reason": ""}
        values = {**row, **fresh, "answered_at": 0.0}
        statement = insert(connection.dialect.name, schema.orders).values(values)
        connection.execute(statement.on_conflict_do_update(index_elements=["posting"], set_=values))
        found = _find(connection, row["posting"])
    return found, _key(connection)


def _find(connection: Connection, posting: str) -> Any:
    return connection.execute(select(schema.orders).where(_o.posting == posting)).first()


def _key(connection: Connection) -> str:
    """Give the key that links are signed by; the first who asks makes it."""
    if not (key := connection.scalar(_KEPT)):
        connection.execute(insert_new(connection, schema.facts), {"name": _KEY, "value": token_hex(32)})
        key = connection.scalar(_KEPT)
    return str(key)


def _sign(key: str, posting: str, serial: int, what: str) -> str:
    digest = hmac.new(key.encode(), f"{posting}.{serial}.{what}".encode(), sha256).digest()
    return urlsafe_b64encode(digest[:24]).decode()
