"""Two watches over the bridge itself: an audit of what ought to be shown, and a heart-beat that others miss."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial

import aiohttp
import structlog

from bridge.core.errors import StoreUnavailable
from bridge.core.ports import Part
from bridge.store import alarms, auditing
from bridge.store.auditing import Audit
from bridge.store.database import Connection, Database

MOST_LOGGED = 20  # findings that one audit adds to the log
BREATH = 0.05  # seconds between two cases of an audit: it takes a tenth of the processor at most
TIMEOUT = aiohttp.ClientTimeout(total=10)  # seconds

log = structlog.get_logger()


class Auditor:
    """Audits every ``interval`` seconds. A finding is told once, while it lasts."""

    def __init__(
        self, database: Database, max_lifetime: timedelta, interval: float, clock: Callable[[], float]
    ) -> None:
        self._database = database
        self._max_lifetime = max_lifetime
        self._interval = interval
        self._clock = clock
        self._told: frozenset[auditing.Finding] = frozenset()
        self.not_ready: str | None = None
        self.latest: Audit | None = None

    @property
    def findings(self) -> int:
        """Count what the latest audit found."""
        return len(self.latest.findings) if self.latest else 0

    @property
    def details(self) -> Mapping[str, object]:
        """Say what the latest audit looked at, and found."""
        if self.latest is None:
            return {}
        found = self.latest
        return {"cases": found.cases, "postings": found.postings, "findings": [one.en for one in found.findings[:20]]}

    async def run(self) -> None:
        """Audit, for ever."""
        while True:
            try:
                await self.audit()
                self.not_ready = None
            except StoreUnavailable as error:
                self.not_ready = str(error)
            await asyncio.sleep(self._interval)

    async def audit(self) -> Audit:
        """Audit once, a case at a time, for an alert may come meanwhile; log what is new."""
        audits = []
        names = await self._database.read(lambda connection: auditing.cases_that_matter(connection, self._clock()))
        for name in names:
            audits.append(await self._database.read(partial(self._audit, name=name)))
            await asyncio.sleep(BREATH)
        found = Audit(
            sum(one.cases for one in audits),
            sum(one.postings for one in audits),
            [finding for one in audits for finding in one.findings],
        )
        new = [one for one in found.findings if one not in self._told]
        for one in new[:MOST_LOGGED]:
            log.error("the audit found a difference", case=one.case, target=one.target, what=one.en)
        if len(new) > MOST_LOGGED:
            log.error("the audit found more differences", findings=len(new) - MOST_LOGGED)
        self._told, self.latest = frozenset(found.findings), found
        return found

    def _audit(self, connection: Connection, name: str) -> Audit:
        return auditing.audit(connection, self._clock(), self._max_lifetime, name)


class Heartbeat:
    """Calls a URL while all is well, so that someone notices when the bridge is gone or in trouble.

    All is well when every part is ready, nothing is too late, and the latest audit found nothing.
    """

    def __init__(
        self,
        url: str,
        interval: float,
        parts: Mapping[str, Part],
        database: Database,
        auditor: Auditor,
        http: aiohttp.ClientSession,
    ) -> None:
        self._url = url
        self._interval = interval
        self._parts = parts
        self._database = database
        self._auditor = auditor
        self._http = http
        self._well = True
        self.not_ready: str | None = None

    async def run(self) -> None:
        """Call while all is well, for ever."""
        while True:
            await self.beat()
            await asyncio.sleep(self._interval)

    async def beat(self) -> str:
        """Call once if all is well; else give what is not."""
        trouble = await self._trouble()
        if bool(trouble) is self._well:
            log.warning("the heart-beat stops" if trouble else "the heart-beat goes on", why=trouble)
        self._well = not trouble
        if not trouble:
            await self._call()
        return trouble

    async def _trouble(self) -> str:
        unready = [f"{name}: {part.not_ready}" for name, part in self._parts.items() if part.not_ready]
        try:
            late = sum((await self._database.read(alarms.how_many)).values())
        except StoreUnavailable as error:
            return str(error)
        findings = [f"the audit found {self._auditor.findings} differences"] if self._auditor.findings else []
        return "; ".join([*unready, *([f"{late} postings are too late"] if late else []), *findings])

    async def _call(self) -> None:
        try:
            async with self._http.get(self._url, timeout=TIMEOUT, allow_redirects=False) as answer:
                status = answer.status
            if not 200 <= status < 300:
                log.warning("the heart-beat was not taken", status=status)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            log.warning("the heart-beat could not be called", error=type(error).__name__)
