"""Watches what the simulators really see, each in its own way, and writes it down as it happens."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

from bridge.demo.record import Deed, Sight
from bridge.demo.world import ADMINS, CHANNELS, PAGE, PAGE_ID, READERS, World
from bridge.simulators.board import BoardSimulator, Entry
from bridge.simulators.graph_pages import Entry as PageEntry
from bridge.simulators.smtp_sink import SunkMail

LOOK = 0.005  # seconds between looks at the page, whose history tells the moment itself
LOOK_IN_OUTBOX = 0.05
Outbox = Callable[[str], Awaitable[Sequence[Mapping[str, Any]]]]


class Witness:
    """Keeps every sight in ``sights``, in the order in which it was noticed."""

    def __init__(self, world: World, outbox: Outbox) -> None:
        self.sights: list[Sight] = []
        self._world = world
        self._outbox = outbox
        self._noticed = asyncio.Event()

    async def run(self) -> None:
        """Watch everything until cancelled."""
        async with asyncio.TaskGroup() as watches:
            for board in self._world.boards.values():
                watches.create_task(self._watch_board(board))
            watches.create_task(self._watch_mail())
            watches.create_task(self._watch_page())
            watches.create_task(self._watch_outboxes())

    async def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Return as soon as ``condition`` holds; ``False`` when it does not within ``seconds``."""
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    self._noticed.clear()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._noticed.wait(), 0.02)
        except TimeoutError:
            return False
        return True

    def left(self) -> list[Sight]:
        """Look at what is there now, at every place and in the bridge's own store of photos."""
        now = time.monotonic()
        found = [
            Sight(now, place, CHANNELS[place], Deed.SHOWN, body["case"], body["text"], photo=body["photo"] is not None)
            for board in self._world.boards.values()
            for place, shown in board.everything().items()
            for body in shown.values()
        ]
        pages = self._world.graph.pages
        found += [
            Sight(now, PAGE_ID, "facebook", Deed.SHOWN, _case_in(post.message), post.message, photo=bool(post.photo))
            for post in pages.posts(PAGE)
        ]
        found += [Sight(now, PAGE_ID, "facebook", Deed.SHOWN, "album", photo=True) for _ in pages.photos(PAGE)]
        found += [Sight(now, "store", "store", Deed.SHOWN, case, photo=True) for case in self._photos_kept()]
        return found

    def _photos_kept(self) -> list[str]:
        with contextlib.closing(sqlite3.connect(f"file:{self._world.database}?mode=ro", uri=True)) as store:
            return [row[0] for row in store.execute("SELECT case_id FROM photos WHERE data IS NOT NULL")]

    def _note(self, sight: Sight) -> None:
        self.sights.append(sight)
        self._noticed.set()

    async def _watch_board(self, board: BoardSimulator) -> None:
        watch = _BoardWatch(board, self._note)
        while True:
            with contextlib.suppress(TimeoutError):
                await board.until(watch.look, 60)

    async def _watch_mail(self) -> None:
        sink, seen = self._world.sink, 0
        while True:
            await sink.wait_for(seen + 1)
            for mail in sink.messages[seen:]:
                self._note(_mail_sight(mail))
            seen = len(sink.messages)

    async def _watch_page(self) -> None:
        graph, seen = self._world.graph, 0
        while True:
            new = graph.history[seen:]
            seen += len(new)
            pictured = {post.id for post in graph.posts(PAGE) if post.photo}
            for entry in new:
                self._note(_page_sight(entry, photo=entry.post in pictured))
            await asyncio.sleep(LOOK)

    async def _watch_outboxes(self) -> None:
        seen: dict[str, int] = {}
        while True:
            for admin, place in ADMINS.items():
                messages = await self._outbox(admin)
                for one in messages[seen.get(admin, 0) :]:
                    at = _monotonic(datetime.fromisoformat(one["at"]))
                    self._note(Sight(at, place, "outbox", Deed.SHOWN, one["case"], one["text"]))
                seen[admin] = len(messages)
            await asyncio.sleep(LOOK_IN_OUTBOX)


class _BoardWatch:
    """Reads a board's history as it grows, and at each new text what the board shows."""

    def __init__(self, board: BoardSimulator, note: Callable[[Sight], None]) -> None:
        self._board = board
        self._note = note
        self._seen = 0
        self._lit: dict[str, str] = {}  # posting -> case

    def look(self) -> bool:
        """Note what is new. Never true, so that a board's ``until`` calls it at everything that happens."""
        new = self._board.history[self._seen :]
        self._seen += len(new)
        for entry in new:
            if entry.verb == "PUT":
                self._put(entry)
            elif entry.verb != "GET" and entry.revision is not None:
                case = self._lit.pop(entry.posting, "")
                self._note(Sight(entry.at, entry.board, CHANNELS.get(entry.board, "sign"), Deed.GONE, case))
        return False

    def _put(self, entry: Entry) -> None:
        """A text that was replaced before anyone looked stays empty, and so never passes for a whole one."""
        body = self._board.shown(entry.board).get(entry.posting)
        seen = body if body and body["revision"] == entry.revision else {}
        case = seen.get("case") or self._lit.get(entry.posting, "")
        deed = Deed.CHANGED if entry.posting in self._lit else Deed.SHOWN
        self._lit[entry.posting] = case
        pages = tuple(tuple(page) for page in seen.get("pages", ()))
        channel = CHANNELS.get(entry.board, "sign")
        photo = bool(seen.get("photo"))
        self._note(Sight(entry.at, entry.board, channel, deed, case, seen.get("text", ""), pages, photo))


def _mail_sight(mail: SunkMail) -> Sight:
    message = mail.message
    plain = message.get_body(("plain",))
    text = plain.get_content() if isinstance(plain, EmailMessage) else ""
    return Sight(
        time.monotonic(),
        READERS.get(mail.recipient, mail.recipient),
        "email",
        Deed.SHOWN,
        _case_in(text),
        text,
        photo=any(part.get_content_maintype() == "image" for part in message.walk()),
        message_id=str(message["Message-ID"] or "").strip(),
        replies_to=str(message["In-Reply-To"] or "").strip(),
    )


_PAGE_DEEDS = {
    "published": Deed.SHOWN,
    "updated": Deed.CHANGED,
    "deleted": Deed.GONE,
    "photo_deleted": Deed.PHOTO_GONE,
}


def _page_sight(entry: PageEntry, *, photo: bool) -> Sight:
    deed = _PAGE_DEEDS[entry.action]
    case = _case_in(entry.message)
    return Sight(_monotonic(entry.at), PAGE_ID, "facebook", deed, case, entry.message, photo=photo)


def _case_in(text: str) -> str:
    """Read the case in the last line of a message, where every template puts it."""
    return (text.split() or [""])[-1]


def _monotonic(at: datetime) -> float:
    return time.monotonic() - (datetime.now(UTC) - at).total_seconds()
