"""Erases what is kept of cases that are over for long enough, a little at a time: no alert waits for it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection
from functools import partial
from typing import TypeVar

import structlog

from bridge.core.errors import StoreUnavailable
from bridge.store import erasure
from bridge.store.database import Connection, Database

DAY = 86400.0
INTERVAL = 300.0  # seconds between two rounds: a day or more has passed anyway
SHARE = 9  # for each second that the store works for us, so many are left to others
PATIENCE = 5.0  # seconds that a transaction waits for a rush: boards that are down for days must not stop all erasing
LEAST = 0.002  # seconds that a transaction counts for at least
PAGE = 100  # cases that are looked up at a time

T = TypeVar("T")

log = structlog.get_logger()


class Retention:
    """Erases the words of a case ``days`` after its last change, once nothing of it is to be done or seen any more.

    ``configured`` gives the digests of the targets that are in use, whose addresses stay. ``on_erased`` hears a table
    and a number of rows. While ``busy`` says that many steps are under way, little is erased. Several processes may do
    this side by side: each transaction looks again.
    """

    def __init__(
        self,
        database: Database,
        days: int,
        configured: Callable[[], Collection[str]],
        on_erased: Callable[[str, int], None],
        *,
        busy: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.time,
        share: int = SHARE,
    ) -> None:
        self._database = database
        self._seconds = days * DAY
        self._configured = configured
        self._on_erased = on_erased
        self._busy = busy
        self._clock = clock
        self._share = share
        self._kept = 0  # cases that could not be erased in the round before
        self._targets_at = 0.0  # when to look for unused targets again
        self.not_ready: str | None = None

    async def run(self) -> None:
        """Erase what is due, every ``INTERVAL`` seconds, for ever."""
        while True:
            try:
                await self.erase()
                self.not_ready = None
            except StoreUnavailable as error:
                self.not_ready = str(error)
            await asyncio.sleep(INTERVAL)

    async def erase(self) -> Counter[str]:
        """Erase all that is due now; give how many rows of each table."""
        total: Counter[str] = Counter()
        before = self._clock() - self._seconds
        await self._erase_cases(before, total)
        while await self._write(lambda connection: erasure.erase_old_journal(connection, before), total):
            pass
        while await self._write(lambda connection: erasure.erase_old_notices(connection, before), total):
            pass
        if total["notices"]:
            log.warning("results that no broker took were dropped", results=total["notices"])
        await self._erase_targets(total)
        while await self._gently(erasure.give_back_space):
            pass
        if total:
            log.info("erased after the retention period", **total)
        return total

    async def _erase_cases(self, before: float, total: Counter[str]) -> None:
        last, kept = (0.0, ""), 0
        while page := await self._database.read(partial(erasure.cases_to_erase, before=before, last=last, limit=PAGE)):
            for _, name in page:
                if await self._database.read(partial(erasure.has_work_left, name=name)):
                    kept += 1
                else:
                    await self._erase_case(name, before, total)
            last = page[-1]
        if kept and kept != self._kept:
            log.warning("cases are kept longer: something of them is still to be done or still to be seen", cases=kept)
        self._kept = kept

    async def _erase_case(self, name: str, before: float, total: Counter[str]) -> None:
        more = True
        while more:
            some = partial(erasure.erase_some, name=name, before=before, now=self._clock())
            gone, more = await self._gently(some)
            self._count(gone, total)

    async def _erase_targets(self, total: Counter[str]) -> None:
        """Forget addresses that nothing needs any more: a look at every posting, so once a day is enough."""
        if self._clock() < self._targets_at:
            return
        unused = await self._database.read(partial(erasure.unused_targets, configured=self._configured()))
        for start in range(0, len(unused), erasure.CHUNK):
            some = unused[start : start + erasure.CHUNK]
            await self._write(partial(erasure.erase_targets, ids=some), total)
        self._targets_at = self._clock() + DAY

    async def _write(self, change: Callable[[Connection], Counter[str]], total: Counter[str]) -> int:
        gone = await self._gently(change)
        self._count(gone, total)
        return gone.total()

    def _count(self, gone: Counter[str], total: Counter[str]) -> None:
        for what, rows in (+gone).items():
            self._on_erased(what, rows)
        total += gone

    async def _gently(self, change: Callable[[Connection], T]) -> T:
        """Let others go first, and for most of the time."""
        end = time.monotonic() + PATIENCE
        while self._busy() and time.monotonic() < end:  # noqa: ASYNC110 - nobody rings when the rush is over
            await asyncio.sleep(0.1)
        started = time.perf_counter()
        result = await self._database.write(change)
        await asyncio.sleep(self._share * max(LEAST, time.perf_counter() - started))
        return result
