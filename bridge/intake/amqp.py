"""Events from RabbitMQ: read, accepted, and acknowledged only after the commit.

A message ends in one of three ways. It is accepted, and acknowledged. It cannot be read: then it is put aside in the
dead-letter queue, with the reason. Or it fails on our side: then it comes again, until the broker's delivery limit
puts it aside too. While the store is down messages are held here, which costs them nothing. Whatever is not
acknowledged when a connection or this process ends comes again, so accepting must be idempotent.
"""

from __future__ import annotations

import asyncio
import math
import random
import traceback
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from weakref import WeakValueDictionary

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from bridge.core.case import Verdict
from bridge.core.errors import InvalidInput, StoreUnavailable
from bridge.core.events import Event, is_attribute, parse_binary, parse_structured, with_trace
from bridge.core.trace import UNTRACED, Tracer, read_trace, trace_words
from bridge.intake.broker import (
    BrokerError,
    Publisher,
    Queue,
    Subscription,
    Talk,
    address,
    event_message,
    failures,
    one_line,
    own_user,
)
from bridge.intake.delivery import Delivery
from bridge.intake.senders import check_sender, copy_for

ERROR_HEADER = "x-bridge-error"
TIME_HEADER = "x-bridge-time"

STORE_WAIT = 2.0  # seconds at most between two tries while the store is down: alerts wait for it
FAULT_WAIT = 30.0  # seconds at most before a message that hits a fault of ours comes again
SHORT_WAIT = 0.2  # seconds, when many wait already
PAUSE = (0.1, 1.0)  # seconds between two connections, so that many bridges do not come back at the same moment
CAREFUL = 60.0  # seconds of taking messages one by one after a connection broke on one that nobody can decode

Subscribe = Callable[[Queue, int, Callable[[Delivery, asyncio.Event], None]], Awaitable[Subscription]]

log = structlog.get_logger()


class AmqpIntake:
    """Takes events from the queue and gives them to ``accept``, those of one case strictly in the order of arrival.

    ``on_result`` gets one word for each message that is done with: a verdict, ``unreadable`` or ``failed``.
    ``not_ready`` says why no events come in, else it is ``None``. ``subscribe`` and ``aside`` are the two ways to the
    broker; without them it is RabbitMQ.
    """

    def __init__(
        self,
        settings: Queue,
        accept: Callable[[Event], Awaitable[Verdict]],
        on_result: Callable[[str], None],
        *,
        subscribe: Subscribe = Subscription.open,
        aside: Publisher | None = None,
        tracer: Tracer = UNTRACED,
    ) -> None:
        self.not_ready: str | None = None
        self._queue = settings
        self._accept = accept
        self._on_result = on_result
        self._subscribe_to = subscribe
        self._aside = aside or Publisher(settings, "dead letters")
        self._tracer = tracer
        self._problems: dict[str, str] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._subscription: Subscription | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = False
        self._careful_until = 0.0
        self._in_hand = 0
        self._crowded_at = -math.inf
        self._failing = 0  # messages that wait to come again after a fault of ours
        self._note("broker", "not connected yet")

    @property
    def busy(self) -> bool:
        """Whether events stood in line a moment ago: what can wait should."""
        return asyncio.get_running_loop().time() - self._crowded_at < 1.0

    async def run(self) -> None:
        """Consume until cancelled, over as many connections as it takes."""
        async with self._aside:
            while not self._stopping:
                await self._consume()
                await asyncio.sleep(random.uniform(*PAUSE))
            await asyncio.Event().wait()  # a part of the service ends by being cancelled

    async def stop_consuming(self) -> None:
        """Take no more messages; return when those in hand are done with. What had to wait goes back to the queue."""
        self._stopping = True
        self._note("broker", "stopping")
        if self._subscription:
            await self._subscription.stop()
        await self._idle.wait()

    async def _consume(self) -> None:
        """Consume over one connection, until it is lost or consuming is stopped."""
        async with AsyncExitStack() as connection:
            async with asyncio.TaskGroup() as handlers:
                subscription = await self._subscribe(handlers)
                connection.push_async_callback(subscription.close)  # after the last handler, who may acknowledge
                await self._until_over(subscription)
            self._subscription = None
            self._idle.set()
        for part in ("store", "dead letters"):  # the next connection tells
            self._note(part, None)

    async def _subscribe(self, handlers: asyncio.TaskGroup) -> Subscription:
        """Wait for the broker, however long that takes."""

        def take(message: Delivery, over: asyncio.Event) -> None:
            if not over.is_set():
                handlers.create_task(self._handle(message, over))

        retrying = AsyncRetrying(
            retry=retry_if_exception_type(BrokerError),
            wait=wait_random_exponential(multiplier=0.5, min=0.1, max=self._queue.retry_max),
            before_sleep=self._broker_failed,
        )
        prefetch = 1 if self._is_careful() else self._queue.prefetch
        return await retrying(self._subscribe_to, self._queue, prefetch, take)

    def _broker_failed(self, state: RetryCallState) -> None:
        error = str(state.outcome.exception()) if state.outcome else ""
        self._note("broker", f"no queue at {address(self._queue)}: {error}")
        log.warning(
            "waiting for the broker",
            broker=address(self._queue),
            error=error,
            attempt=state.attempt_number,
            retry_in=round(state.upcoming_sleep, 1),
        )

    async def _until_over(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self._idle.clear()
        try:
            if self._stopping:
                await subscription.stop()
                return
            self._note("broker", None)
            careful = self._is_careful()
            log.info("taking events", broker=address(self._queue), queue=self._queue.name, one_by_one=careful)
            if not await passes(subscription.over, CAREFUL if careful else None):
                await subscription.stop()
        finally:
            subscription.over.set()  # whoever waits for its turn, for the store or for a retry gives up
        if subscription.loss and not self._stopping:
            self._lost(subscription)

    def _lost(self, subscription: Subscription) -> None:
        reason = subscription.loss or ""
        self._note("broker", f"connection lost: {reason}")
        log.warning("connection lost", broker=address(self._queue), error=reason)
        if subscription.undecodable:
            # Each lost connection counts against the delivery limit of every message in hand: let it be that one's.
            self._careful_until = asyncio.get_running_loop().time() + CAREFUL

    def _is_careful(self) -> bool:
        return asyncio.get_running_loop().time() < self._careful_until

    async def _handle(self, message: Delivery, over: asyncio.Event) -> None:
        """Bring one message to its end."""
        self._in_hand += 1
        if self._in_hand >= max(2, self._queue.prefetch // 2):
            self._crowded_at = asyncio.get_running_loop().time()
        try:
            await self._take(message, over)
        except Exception as fault:  # noqa: BLE001 - the one boundary: whatever is wrong with us, the event comes again
            await self._fail(message, fault, over)
        finally:
            self._in_hand -= 1

    async def _take(self, message: Delivery, over: asyncio.Event) -> None:
        """Accept an event in its turn. Handlers start in the order of arrival, and so queue for their turns in it."""
        try:
            event = read_event(message)
            check_sender(message, event.source, self._queue)
        except InvalidInput as problem:
            await self._put_aside(message, problem, over)
            return
        async with self._turns.setdefault(event.subject, asyncio.Lock()):
            verdict = await self._until_kept(event, over)
        if verdict is not None:
            await self._answer(message.ack())
            self._on_result(verdict.value)

    async def _until_kept(self, event: Event, over: asyncio.Event) -> Verdict | None:
        """Accept an event, however long the store is away; ``None`` when that took too long for this connection."""
        tries = 0
        while not over.is_set():
            try:
                verdict = await self._accept(event)
            except StoreUnavailable as error:
                if self._note("store", f"events wait for the store: {error}"):
                    log.warning("events wait for the store", error=one_line(str(error)))
                await passes(over, min(STORE_WAIT, 0.1 * 2**tries) * random.uniform(0.5, 1.0))
                tries = min(tries + 1, 10)
            else:
                if self._note("store", None):
                    log.info("the store is back")
                return verdict
        return None

    async def _put_aside(self, message: Delivery, problem: InvalidInput, over: asyncio.Event) -> None:
        """Move what cannot be read to the dead letters, with the reason."""
        reason = {ERROR_HEADER: one_line(str(problem)), TIME_HEADER: datetime.now(UTC)}
        letter = copy_for(message, self._queue, without=lambda name: name in reason, extra=reason)
        try:
            await self._aside.publish(letter, self._queue.dead_exchange, self._queue.name)
        except BrokerError as error:
            if self._note("dead letters", f"unreadable messages cannot be put aside: {error}"):
                log.warning("unreadable messages cannot be put aside", error=str(error))
            if not await passes(over, _fault_wait(message)):
                await self._answer(message.nack(requeue=True))
            return
        self._note("dead letters", None)
        # Not the lines themselves: they quote what was sent (I6).
        fields = [one_line(line.partition(":")[0], 80) for line in problem.problems]
        size, cause = len(message.body), read_trace(message.headers)
        with self._tracer.span("alert.unreadable", cause, "consumer", bytes=size) as span:
            span.fail("unreadable")
        told = {"bytes": size, "message_id": _name(message), **trace_words(span.trace)}
        log.warning("unreadable message put aside", fields=fields, **told)
        await self._answer(message.ack())
        self._on_result("unreadable")

    async def _fail(self, message: Delivery, fault: Exception, over: asyncio.Event) -> None:
        """Let a message that hit a fault of ours come again, later each time.

        The others go on, those of the same case too: an ending must not wait behind what may never succeed.
        """
        # Those that wait hold a place each; the last places are for others, for one of them may be an ending.
        wait = _fault_wait(message) if self._failing < max(1, self._queue.prefetch // 4) else SHORT_WAIT
        log.error(
            "event failed on our side; it comes again",
            error=type(fault).__name__,  # the text of an unknown error may quote the event (I6)
            at=_place(fault),
            failures=failures(message.headers) + 1,
            retry_in=wait,
            message_id=_name(message),
        )
        self._on_result("failed")
        self._failing += 1
        try:
            ended = await passes(over, wait)
        finally:
            self._failing -= 1
        if not ended:
            # Reject, for RabbitMQ 4.3 no longer counts a nack that requeues against the delivery limit.
            await self._answer(message.reject(requeue=True))

    async def _answer(self, answer: Awaitable[None]) -> None:
        """Tell the broker. When it cannot be told the connection is gone, and the message comes again."""
        try:
            async with Talk(self._queue):
                await answer
        except BrokerError as error:
            log.info("not acknowledged; it comes again", error=str(error))

    def _note(self, part: str, problem: str | None) -> bool:
        """Keep ``not_ready``; tell whether this is news."""
        before = self._problems.pop(part, None)
        if problem is not None:
            self._problems[part] = problem
        self.not_ready = "; ".join(self._problems.values()) or None
        return (before is None) != (problem is None)


def read_event(message: Delivery) -> Event:
    """Read a message in either of CloudEvents' AMQP modes; raise ``InvalidInput`` when it is no event.

    A trace in the headers is where this message belongs; the one in the event is where the event began.
    """
    event = _read(message)
    trace = read_trace(message.headers)
    return with_trace(event, trace) if trace else event


def _read(message: Delivery) -> Event:
    content_type = message.content_type or ""
    media = content_type.partition(";")[0].strip().lower()
    if (message.content_encoding or "").lower() not in ("", "identity", "utf-8", "utf8"):
        raise InvalidInput(f"content encoding: {one_line(message.content_encoding or '', 60)!r}; allowed: none")
    if media.startswith("application/cloudevents"):
        if media != "application/cloudevents+json":
            raise InvalidInput(f"content type: {one_line(media, 60)!r}; allowed: application/cloudevents+json")
    elif any(is_attribute(name) for name in message.headers):
        return parse_binary(message.headers, content_type, message.body)
    return parse_structured(message.body)


async def send_events(settings: Queue, events: Sequence[bytes | str]) -> None:
    """Put structured events (JSON) on the exchange of alerts; return when the broker has them all.

    All are checked before any is sent. Raises ``InvalidInput`` or ``BrokerError``.
    """
    checked = [(body, parse_structured(body)) for body in events]
    async with Publisher(settings, "send") as publisher:
        for body, event in checked:
            message = event_message(body.encode() if isinstance(body, str) else body, event.id, user=own_user(settings))
            await publisher.publish(message, settings.exchange, event.type.removeprefix("nl.burgernet."))


async def passes(event: asyncio.Event, seconds: float | None) -> bool:
    """Wait for an event, at most ``seconds``; tell whether it came."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


def _fault_wait(message: Delivery) -> float:
    return min(FAULT_WAIT, 2.0 ** min(failures(message.headers), 10))


def _name(message: Delivery) -> str:
    return one_line(message.message_id or "", 80)


def _place(fault: Exception) -> str:
    frames = traceback.extract_tb(fault.__traceback__)
    return f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""
