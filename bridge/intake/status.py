"""Tells the status exchange what became of the postings, as CloudEvents (``nl.burgernet.posting.*``)."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

import structlog
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from bridge.core.errors import StoreUnavailable
from bridge.intake.amqp import passes
from bridge.intake.broker import BrokerError, Publisher, Queue, event_message, one_line

BATCH = 100
PAUSE = 0.1  # seconds before and after a batch: telling must not take the processor from showing and clearing
PATIENCE = 5.0  # seconds that results wait at most while many steps are under way
POLL = 1.0  # seconds

log = structlog.get_logger()


class NoticeSource(Protocol):
    """Where notices wait until they are told. Both calls may raise ``StoreUnavailable``."""

    def take(self, limit: int) -> Awaitable[list[tuple[int, str, str]]]:
        """Give the oldest: id, what (applied, retracted, failed, refused), body (JSON with ``case`` and ``at``)."""
        ...

    def forget(self, ids: Sequence[int]) -> Awaitable[None]:
        """Drop what has been told."""
        ...


class StatusPublisher:
    """Publishes each notice at least once, the oldest first; a reader that cares drops doubles by ``id``.

    ``instance`` names this bridge among others, the same after a restart; ``source`` is a URN. While ``busy`` says that
    many steps are under way, results wait.
    """

    def __init__(
        self,
        settings: Queue,
        notices: NoticeSource,
        instance: str,
        source: str = "urn:burgernet-bridge",
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self.not_ready: str | None = None
        self._queue = settings
        self._notices = notices
        self._instance = instance
        self._source = source
        self._busy = busy
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look now: there may be something to tell."""
        self._wake.set()

    async def run(self) -> None:
        """Tell when woken, and look every second; for ever."""
        failures = 0
        async with Publisher(self._queue, "status") as publisher:
            while True:
                self._wake.clear()
                await self._let_pass()
                try:
                    told = await self._tell(publisher)
                except (BrokerError, StoreUnavailable) as error:
                    self._failed(error)
                    await asyncio.sleep(self._wait(failures))
                    failures += 1
                    continue
                failures, self.not_ready = 0, None
                if told < BATCH:
                    await passes(self._wake, POLL)

    async def _let_pass(self) -> None:
        """Let the steps of what just happened go first."""
        clock = asyncio.get_running_loop().time
        end = clock() + PATIENCE
        await asyncio.sleep(PAUSE)
        while self._busy() and clock() < end:  # noqa: ASYNC110 - nobody rings when the rush is over
            await asyncio.sleep(PAUSE)

    async def _tell(self, publisher: Publisher) -> int:
        notices = await self._notices.take(BATCH)
        results = await asyncio.gather(
            *(self._publish(publisher, *notice) for notice in notices), return_exceptions=True
        )
        told = [notice[0] for notice, error in zip(notices, results, strict=True) if error is None]
        if told:
            await self._notices.forget(told)
        for error in results:
            if error is not None:
                raise error
        return len(told)

    async def _publish(self, publisher: Publisher, number: int, what: str, body: str) -> None:
        data = json.loads(body)
        trace = data.pop("trace", {})
        # SQLite counts anew once all is told, so the moment makes the id unlike every other.
        name = f"{self._instance}.{number}.{round(data['at'] * 1e6)}"
        event = CloudEvent(
            {
                "id": name,
                "source": self._source,
                "type": f"nl.burgernet.posting.{what}",
                "subject": data["case"],
                "time": datetime.fromtimestamp(data["at"], UTC),
                "datacontenttype": "application/json",
                **trace,  # CloudEvents' extension "distributed tracing"
            },
            data,
        )
        message = event_message(JSONFormat().write(event), name, headers=trace)
        await publisher.publish(message, self._queue.status_exchange, f"posting.{what}", mandatory=False)

    def _failed(self, error: Exception) -> None:
        if self.not_ready is None:
            log.warning("results wait to be told", error=one_line(str(error)))
        self.not_ready = f"results wait to be told: {error}"

    def _wait(self, failures: int) -> float:
        return min(self._queue.retry_max, 0.5 * 2.0 ** min(failures, 20)) * random.uniform(0.5, 1.0)
