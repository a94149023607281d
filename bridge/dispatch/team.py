"""The processes that share one PostgreSQL, as one of them sees it: it says that it lives, hears the rest, may lead."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog

from bridge.core.errors import StoreUnavailable
from bridge.core.ports import Part
from bridge.store import workers
from bridge.store.database import Database, Line
from bridge.store.workers import Member

BEAT = 2.0  # seconds between two signs of life
AGAIN = 1.0  # seconds until the next try when the database is away

log = structlog.get_logger()


class Team:
    """Keeps this process on the list of those that are alive, by the database's clock.

    ``on_ring`` is called when another process changed what should be shown. ``needed``: roles that somebody must have;
    while nobody has, ``not_ready`` says so.
    """

    def __init__(self, database: Database, me: Member, on_ring: Callable[[], None], needed: Sequence[str] = ()) -> None:
        self.not_ready: str | None = "has not joined the other processes yet"
        self._database = database
        self._me = me
        self._on_ring = on_ring
        self._needed = needed
        self._leading = asyncio.Event()
        self._following = asyncio.Event()
        self._following.set()
        self._left = False
        self._said = asyncio.Event()  # no beat is on its way
        self._said.set()

    async def run(self) -> None:
        """Beat for ever, over as many connections as it takes."""
        while not self._left:
            try:
                async with self._database.line(self._on_ring) as line:
                    self._on_ring()  # nobody heard the rings of the time without a connection
                    await self._beats(line)
            except StoreUnavailable as error:
                self._lead(leads=False)
                self.not_ready = str(error)
                await asyncio.sleep(AGAIN)
        await asyncio.Event().wait()  # a part of the service ends by being cancelled

    async def leave(self) -> None:
        """Stop leading, and take this process off the list: the others need not wait for its silence."""
        self._left = True
        self._lead(leads=False)
        with suppress(StoreUnavailable):  # then its silence must do
            await self._said.wait()  # a beat on its way would put it back on the list
            now = self._database.clock()
            await self._database.write(lambda connection: workers.leave(connection, self._me.id, now))

    async def until(self, *, leads: bool) -> None:
        """Wait until this process leads, or no longer does."""
        await (self._leading if leads else self._following).wait()

    async def _beats(self, line: Line) -> None:
        began = time.monotonic()
        while not self._left:
            # Who was away itself takes nobody for dead: they may all be coming back together.
            may_bury = time.monotonic() - began > workers.DEAD
            self._said.clear()
            try:
                async with asyncio.timeout(workers.DEAD / 2):
                    await self._beat(line, may_bury=may_bury)
            finally:
                self._said.set()
            await asyncio.sleep(BEAT)

    async def _beat(self, line: Line, *, may_bury: bool) -> None:
        await line.set_clock()
        now = self._database.clock()
        roll = await line.write(lambda connection: workers.beat(connection, self._me, now, may_bury=may_bury))
        for name in roll.buried:
            log.warning("a process is gone; its steps are taken over", worker=name)
            self._on_ring()
        self._lead(leads=not self._left and roll.leader("dispatch") == self._me.id)
        missing = " and ".join(roll.missing(self._needed))
        self.not_ready = f"no process has the role {missing}" if missing else None

    def _lead(self, *, leads: bool) -> None:
        if leads == self._leading.is_set():
            return
        log.info("leads the others" if leads else "no longer leads", worker=self._me.id)
        now, before = (self._leading, self._following) if leads else (self._following, self._leading)
        before.clear()
        now.set()


class Led:
    """A part that one process runs for all of them: the one that leads."""

    def __init__(self, part: Part, team: Team) -> None:
        self._part = part
        self._team = team
        self._runs = False

    @property
    def not_ready(self) -> str | None:
        """Why the part is not ready, where it runs."""
        return self._part.not_ready if self._runs else None

    async def run(self) -> None:
        """Run the part while this process leads."""
        while True:
            await self._team.until(leads=True)
            async with asyncio.TaskGroup() as group:
                self._runs = True
                running = group.create_task(_forever(self._part))
                await self._team.until(leads=False)
                self._runs = False
                running.cancel()


async def _forever(part: Part) -> None:
    await part.run()
    raise RuntimeError("it returned")
