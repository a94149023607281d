"""What display pages are to show, and what screens have painted: the adapter writes, the web reads, screens answer."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from enum import Enum, auto
from functools import partial
from typing import Any

from sqlalchemy import Connection, and_, delete, func, select, update

from bridge.core.content import Content
from bridge.core.ports import Looked
from bridge.core.posting import Posting
from bridge.store import schema
from bridge.store.database import Database, insert
from bridge.store.wishes import LATER

MOST_SCREENS = 1_000  # of one target, at a time
OVERLAP = 5.0  # seconds that a look for changes reaches back: others' transactions may end later than they began

_m, _d, _s, _p = schema.display_messages.c, schema.displays.c, schema.screens.c, schema.postings.c


class _Noted(Enum):
    """What came of a screen's word."""

    NEW = auto()
    SAME = auto()
    FULL = auto()


class DisplayStore:
    """``bridge.core.ports.Displays`` in the store, and the web's side of it. ``dead_man``: seconds of silence.

    A screen that has heard nothing for so long has cleared itself. ``most``: screens of one target at a time, for who
    has one address must not take all connections, nor fill the store.
    """

    def __init__(self, database: Database, dead_man: float, wake: Callable[[], None], most: int = MOST_SCREENS) -> None:
        self._database = database
        self._wake = wake
        self.dead_man = dead_man
        self.most = most
        self.listeners: list[Callable[[], None]] = []  # who must look for changes
        self._answered: dict[str, asyncio.Event] = {}  # target -> one of its screens has said something new

    async def show(self, posting: Posting, content: Content) -> str:
        """Have every screen of a target show this; give the key by which a screen confirms it."""
        body = json.dumps(_body(content), ensure_ascii=False)
        key = f"{posting.id}.{hashlib.sha256(body.encode()).hexdigest()[:16]}"
        row = {
            "posting": posting.id,
            "case_id": posting.case,
            "target": posting.target.id,
            "key": key,
            "body": body,
            "photo": content.photo.digest if content.photo else "",
            "valid_until": content.valid_until.timestamp() if content.valid_until else 0.0,
            "at": self._database.clock(),
        }
        await self._database.write(lambda connection: _show(connection, row), ring=True)
        self._tell()
        return key

    async def hide(self, posting: Posting) -> None:
        """Have every screen of a target show it no more."""
        now = self._database.clock()
        await self._database.write(lambda connection: _hide(connection, posting.id, posting.target.id, now), ring=True)
        self._tell()

    async def looked(self, target: str, key: str, *, wanted: bool, patience: float) -> Looked:
        """Tell on how many screens this is painted; wait at most ``patience`` seconds until that is as ``wanted``.

        ``key`` may be a posting's id: whatever was shown of it.
        """
        end = asyncio.get_running_loop().time() + patience
        while True:
            answered = self._answered.setdefault(target, asyncio.Event())
            answered.clear()
            since = self._database.clock() - self.dead_man
            found = await self._database.read(partial(_looked, target=target, key=key, since=since))
            done = found.painted > 0 if wanted else found.painted == 0
            if done or not found.alive or asyncio.get_running_loop().time() >= end:
                return found
            with suppress(TimeoutError):
                async with asyncio.timeout_at(end):
                    await answered.wait()

    async def state(self, target: str) -> tuple[int, list[dict[str, Any]]]:
        """Give what a target's screens are to show, the newest first, and the number of that state."""
        return await self._database.read(lambda connection: _state(connection, target))

    async def changed(self, since: float) -> Mapping[str, int]:
        """Give the numbers of the states that changed ``since`` then."""
        query = select(_d.target, _d.version).where(_d.changed > since - OVERLAP)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return {row.target: row.version for row in rows}

    async def painted(self, target: str, screen: str, keys: Collection[str]) -> bool:
        """Note what a screen shows; when that is new, whoever waits for it looks at once.

        ``False``: it is not noted, for the target has too many screens.
        """
        now = self._database.clock()
        row = {"target": target, "screen": screen, "showing": json.dumps(sorted(keys)), "seen": now}
        silent = now - 2 * self.dead_man  # since then, what was shown has long been cleared
        noted = await self._database.write(lambda one: _painted(one, row, silent, self.most), ring=True)
        if noted is _Noted.NEW:
            if answered := self._answered.get(target):
                answered.set()
            self._wake()
        return noted is not _Noted.FULL

    async def photo(self, target: str, digest: str) -> tuple[bytes, str] | None:
        """Give a photo that a target is to show now, and its media type."""
        shown = select(_m.posting).where(_m.target == target, _m.photo == digest)
        t = schema.photos.c
        data = select(t.data).where(t.digest == digest, t.state == "ready", shown.exists()).limit(1)
        found = await self._database.read(lambda connection: connection.scalar(data))
        return (found, "image/jpeg") if found else None

    def _tell(self) -> None:
        for listener in self.listeners:
            listener()


def _body(content: Content) -> dict[str, Any]:
    texts = [(content.language, content.text), *content.translations]
    return {
        "texts": [{"language": language, "text": text} for language, text in texts],
        "mark": content.mark,
        "photo": {"digest": content.photo.digest, "about": content.photo.description} if content.photo else None,
    }


def _show(connection: Connection, row: Mapping[str, Any]) -> None:
    statement = insert(connection.dialect.name, schema.display_messages).values(**row)
    changes = {name: statement.excluded[name] for name in ("key", "body", "photo", "valid_until")}
    connection.execute(statement.on_conflict_do_update(index_elements=["posting"], set_=changes))
    _count(connection, row["target"], row["at"])


def _hide(connection: Connection, posting: str, target: str, now: float) -> None:
    if connection.execute(delete(schema.display_messages).where(_m.posting == posting)).rowcount:
        _count(connection, target, now)


def _count(connection: Connection, target: str, now: float) -> None:
    statement = insert(connection.dialect.name, schema.displays).values(target=target, version=1, changed=now)
    changes = {"version": schema.displays.c.version + 1, "changed": now}
    connection.execute(statement.on_conflict_do_update(index_elements=["target"], set_=changes))


def _looked(connection: Connection, target: str, key: str, since: float) -> Looked:
    rows: Sequence[str] = connection.scalars(select(_s.showing).where(_s.target == target, _s.seen > since)).all()
    return Looked(len(rows), sum(any(one.startswith(key) for one in json.loads(showing)) for showing in rows))


def _state(connection: Connection, target: str) -> tuple[int, list[dict[str, Any]]]:
    version = connection.scalar(select(_d.version).where(_d.target == target)) or 0
    rows = connection.execute(select(schema.display_messages).where(_m.target == target).order_by(_m.at.desc()))
    shown = [{"key": row.key, "validUntil": row.valid_until, **json.loads(row.body)} for row in rows]
    return version, shown


def _painted(connection: Connection, row: Mapping[str, Any], silent: float, most: int) -> _Noted:
    """Write what a screen shows, unless there are so many; forget those that have been silent since then."""
    target, now = row["target"], row["seen"]
    mine = and_(_s.target == target, _s.screen == row["screen"])
    before = connection.scalar(select(_s.showing).where(mine))
    if before == row["showing"]:
        connection.execute(update(schema.screens).where(mine).values(seen=now))
        return _Noted.SAME
    connection.execute(delete(schema.screens).where(_s.target == target, _s.seen < silent))
    others = select(func.count()).where(_s.target == target, _s.screen != row["screen"])
    if (connection.scalar(others) or 0) >= most:
        return _Noted.FULL
    changes = {"showing": row["showing"], "seen": now}
    statement = insert(connection.dialect.name, schema.screens).values(**row)
    connection.execute(statement.on_conflict_do_update(index_elements=["target", "screen"], set_=changes))
    waiting = and_(_p.target == target, _p.adapter == "display", _p.due.is_not(None), _p.priority < LATER)
    connection.execute(update(schema.postings).where(waiting, _p.claim.is_(None)).values(due=now))
    return _Noted.NEW
