"""The small parts beside the dispatcher: the clock that lets alerts expire, and the photos of cases."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import structlog

from bridge.core.content import Photo
from bridge.core.errors import PermanentError, StoreUnavailable, TransientError
from bridge.dispatch.photo_fetch import PhotoFetcher
from bridge.intake.accept import Intake
from bridge.store import photos
from bridge.store.database import Database

LONGEST = 60.0  # seconds that a photo is tried for at most, whatever the clock says
BREATH = 0.02  # seconds from an event to a look for its photo: the texts go first

log = structlog.get_logger()


class Expiry:
    """Closes cases whose time has passed, within a second."""

    def __init__(self, intake: Intake, interval: float = 1.0) -> None:
        self._intake = intake
        self._interval = interval
        self.not_ready: str | None = None

    async def run(self) -> None:
        """Look every ``interval`` seconds, for ever."""
        while True:
            try:
                await self._intake.expire()
                self.not_ready = None
            except StoreUnavailable as error:
                self.not_ready = str(error)
            await asyncio.sleep(self._interval)


class PhotoDesk:
    """Fetches each case's photo once, and gives it to the intake; a photo that does not come in time is left out."""

    most = 4  # at a time

    def __init__(
        self,
        database: Database,
        intake: Intake,
        fetcher: PhotoFetcher,
        clock: Callable[[], float] = time.time,
        *,
        longest: float = LONGEST,
    ) -> None:
        self._database = database
        self._intake = intake
        self._fetcher = fetcher
        self._clock = clock
        self._longest = longest
        self._wake = asyncio.Event()
        self._fetching: set[tuple[str, str]] = set()
        self.not_ready: str | None = None

    def wake(self) -> None:
        """Look now: an event may have brought a photo."""
        self._wake.set()

    async def run(self) -> None:
        """Look when woken, and once a second for what another process brought."""
        async with asyncio.TaskGroup() as fetches:
            while True:
                self._wake.clear()
                try:
                    wanted = await self._database.read(photos.wanted_photos)
                    self.not_ready = None
                except StoreUnavailable as error:
                    self.not_ready, wanted = str(error), []
                for case, uri, deadline in wanted:
                    if (case, uri) not in self._fetching and len(self._fetching) < self.most:
                        self._fetching.add((case, uri))
                        fetches.create_task(self._fetch(case, uri, deadline))
                # Not wait_for: before Python 3.12 it swallows a cancellation that comes together with the wake-up.
                with suppress(TimeoutError):
                    async with asyncio.timeout(1.0):
                        await self._wake.wait()
                await asyncio.sleep(BREATH)

    async def _fetch(self, case: str, uri: str, deadline: float) -> None:
        try:
            photo, error = await self._in_time(case, uri, deadline)
            await self._intake.keep_photo(case, uri, photo, error)
        except StoreUnavailable as unavailable:
            self.not_ready = str(unavailable)  # it stays wanted, and is left out after its deadline
        finally:  # also when another process goes on with it
            self._fetching.discard((case, uri))
            self._wake.set()

    async def _in_time(self, case: str, uri: str, deadline: float) -> tuple[Photo | None, str]:
        try:
            # A deadline is a time of day, and the clock may have been set back since it was written.
            async with asyncio.timeout(min(max(0.0, deadline - self._clock()), self._longest)):
                return await self._try(case, uri)
        except TimeoutError:
            error = "it did not come in time"
            log.warning("photo left out", case=case, error=error)
            return None, error

    async def _try(self, case: str, uri: str) -> tuple[Photo | None, str]:
        """Try until the deadline cuts it short; a refusal is final."""
        wait = 0.5
        while True:
            try:
                return await self._fetcher.fetch(uri), ""
            except PermanentError as error:
                log.warning("photo left out", case=case, error=str(error))
                return None, str(error)
            except TransientError as error:
                log.info("photo not there yet", case=case, error=str(error))
                await asyncio.sleep(wait)
                wait *= 2
