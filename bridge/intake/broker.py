"""RabbitMQ as the bridge uses it; the only importer of aio_pika.

The library tells of a lost connection in many ways: by its own errors, a ``RuntimeError``, a bare ``Exception``, even a
``CancelledError`` that nobody asked for. ``Talk`` makes one ``BrokerError`` of them all, and bounds every wait.
"""
# ruff: noqa: D102
# The properties of Queue mean what QueueSettings says of them.

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress
from decimal import Decimal
from types import TracebackType
from typing import Any, Protocol, Self

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import CONNECTION_EXCEPTIONS, InvalidFrameError, PublishError
from aiormq.abc import DeliveredMessage
from pydantic import SecretStr
from yarl import URL

from bridge.core.errors import BridgeError, InvalidInput
from bridge.intake.delivery import Delivery, Tags

Channel = AbstractChannel
Message = aio_pika.Message

CONNECT_TIMEOUT = 15.0  # seconds, for opening a connection and for the topology each
TIMEOUT = 10.0  # seconds, for everything else
CLOSE_TIMEOUT = 5.0
HEARTBEAT = "10"  # seconds; the library's 60 would let a broker that vanished go unnoticed for three minutes

# A quorum queue counts how often a letter was looked at, and RabbitMQ 4 drops it after 20 times unless told otherwise.
NO_LIMIT = 1_000_000_000

# What the broker adds, obeys on every publication (CC, BCC), or counts anew.
_BROKERS_OWN = frozenset({"CC", "BCC", "x-delivery-count", "x-acquired-count"})

UNDECODABLE = (InvalidFrameError, ValueError, RecursionError)
_FAILURES = (*CONNECTION_EXCEPTIONS, *UNDECODABLE)

for _name in ("aio_pika", "aiormq", "pamqp"):
    logging.getLogger(_name).setLevel(
        logging.WARNING
    )  # at DEBUG they write every frame: the log-in, and all bodies (I6)


class BrokerError(BridgeError):
    """The broker cannot be reached, or refuses; the same call may succeed later."""


class Unroutable(BrokerError):
    """The broker took a message and found no queue for it."""


class Queue(Protocol):
    """The section ``queue`` of the settings, as far as it is needed here."""

    @property
    def url(self) -> SecretStr: ...
    @property
    def name(self) -> str: ...
    @property
    def exchange(self) -> str: ...
    @property
    def binding(self) -> str: ...
    @property
    def dead_exchange(self) -> str: ...
    @property
    def status_exchange(self) -> str: ...
    @property
    def declare(self) -> bool: ...
    @property
    def prefetch(self) -> int: ...
    @property
    def delivery_limit(self) -> int: ...
    @property
    def retry_max(self) -> float: ...
    @property
    def senders(self) -> Mapping[str, Sequence[str]]: ...


def dead_queue(queue: Queue) -> str:
    """Name the queue of the dead letters."""
    return f"{queue.name}.dead"


def read_url(queue: Queue) -> URL:
    """Read ``queue.url``; raise ``InvalidInput`` when it is no address of a broker."""
    try:
        url = URL(queue.url.get_secret_value())
    except (ValueError, IndexError):  # the second over "amqp://[::1]@/"
        url = URL()
    if url.scheme not in ("amqp", "amqps") or not url.host:
        raise InvalidInput("queue.url: is not allowed; allowed: amqp://user:password@host:port/vhost or amqps://…")
    return url


def own_user(queue: Queue) -> str | None:
    """Name the user that we log in as; ``None`` where a certificate says it, and not the URL."""
    url = read_url(queue)
    return (url.user or "guest") if url.query.get("auth", "plain").lower() == "plain" else None


def address(queue: Queue) -> str:
    """Give the broker's address without the log-in, fit for a log."""
    return str(read_url(queue).with_user(None).with_query(None))


def one_line(text: str, limit: int = 500) -> str:
    """Make any text fit for one line of a log, a header or a terminal."""
    return "".join(char if char.isprintable() else " " for char in text[:limit]).strip()


class Talk:
    """Bounds a talk with the broker, and raises ``BrokerError`` for whatever the library says when it fails."""

    def __init__(self, queue: Queue, seconds: float = TIMEOUT) -> None:
        self._queue = queue
        self._seconds = seconds
        self._bound = asyncio.timeout(seconds)

    async def __aenter__(self) -> None:
        await self._bound.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._bound.__aexit__(kind, error, trace)
        except TimeoutError:
            raise BrokerError(f"the broker did not answer within {self._seconds:g} s") from None
        if isinstance(error, PublishError):  # it holds the message, so it is not passed on
            raise Unroutable(f"no queue takes it ({self._why(error)})") from None
        if error is not None and _is_loss(error):
            raise BrokerError(self._why(error)) from None

    def _why(self, error: BaseException) -> str:
        text = one_line(str(error)) or "the connection was lost"
        password = read_url(self._queue).password
        text = text.replace(password, "******") if password else text
        if "Connection.Close" in text:  # what the library says when the broker closes instead of opening
            return f"the broker refused the virtual host {read_url(self._queue).path!r} of queue.url"
        broken = "a message has properties that cannot be decoded: " if isinstance(error, InvalidFrameError) else ""
        return f"{broken}{type(error).__name__}: {text}"


def _is_loss(error: BaseException) -> bool:
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and not task.cancelling()  # a future of a lost connection was cancelled, not we
    return isinstance(error, _FAILURES) or type(error) is Exception


@asynccontextmanager
async def linked(queue: Queue, purpose: str, *, confirms: bool = True) -> AsyncIterator[Channel]:
    """Open a connection with one channel, and the topology in place; ``BrokerError`` when that cannot be."""
    url = read_url(queue)
    wishes = {"heartbeat": HEARTBEAT, "name": f"burgernet-bridge {purpose}"}
    url = url.update_query({key: value for key, value in wishes.items() if key not in url.query})
    async with Talk(queue, CONNECT_TIMEOUT):
        connection = await aio_pika.connect(url, timeout=CONNECT_TIMEOUT)
    try:
        async with Talk(queue, CONNECT_TIMEOUT):
            channel = await connection.channel(publisher_confirms=confirms, on_return_raises=confirms)
            await _prepare(channel, queue)
        yield channel
    finally:
        await _close(queue, connection)


async def _close(queue: Queue, connection: AbstractConnection) -> None:
    with suppress(BrokerError):
        async with Talk(queue, CLOSE_TIMEOUT):
            await connection.close()


async def _prepare(channel: Channel, queue: Queue) -> None:
    """Declare what the bridge needs, or only check that it is there."""
    passive = not queue.declare
    alerts = await channel.declare_exchange(queue.exchange, "topic", durable=True, passive=passive)
    dead = await channel.declare_exchange(queue.dead_exchange, "direct", durable=True, passive=passive)
    await channel.declare_exchange(queue.status_exchange, "topic", durable=True, passive=passive)
    letters = await channel.declare_queue(
        dead_queue(queue), durable=True, passive=passive, arguments=_quorum({"x-delivery-limit": NO_LIMIT})
    )
    arguments = {
        "x-delivery-limit": queue.delivery_limit,
        "x-dead-letter-exchange": queue.dead_exchange,
        "x-dead-letter-routing-key": queue.name,
    }
    events = await channel.declare_queue(queue.name, durable=True, passive=passive, arguments=_quorum(arguments))
    if queue.declare:
        await letters.bind(dead, queue.name)
        await events.bind(alerts, queue.binding)


def _quorum(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {"x-queue-type": "quorum", **arguments}


async def take_one(channel: Channel, name: str) -> Delivery | None:
    """Take the next message of a queue, to be answered like a delivered one; ``None`` when there is none."""
    below = await channel.get_underlay_channel()
    delivered = await below.basic_get(name)
    return Delivery(delivered, Tags(below)) if delivered.delivery_tag else None


class Subscription:
    """One consumer on one connection. ``over`` is set when it takes no more: lost, or stopped."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self.over = asyncio.Event()
        self.loss: str | None = None
        self.undecodable = False  # a frame came that the library cannot read: a message with broken properties
        self._stack = AsyncExitStack()
        self._cancel: Callable[[], Awaitable[object]]

    @classmethod
    async def open(cls, queue: Queue, prefetch: int, take: Callable[[Delivery, asyncio.Event], None]) -> Subscription:
        """Connect and consume: ``take`` gets each message, in order, with ``over``. May raise ``BrokerError``."""
        subscription = cls(queue)
        async with AsyncExitStack() as stack:
            channel = await stack.enter_async_context(linked(queue, "intake", confirms=False))
            await subscription._consume(channel, prefetch, take)
            subscription._stack = stack.pop_all()
        return subscription

    async def _consume(self, channel: Channel, prefetch: int, take: Callable[[Delivery, asyncio.Event], None]) -> None:
        async with Talk(self._queue):
            channel.close_callbacks.add(self._on_close)
            below = await channel.get_underlay_channel()
            tags = Tags(below)

            async def pass_on(delivered: DeliveredMessage) -> None:
                take(Delivery(delivered, tags), self.over)

            below.on_consumer_cancel_callbacks.add(self._on_cancel)
            await channel.set_qos(prefetch)  # of each consumer: quorum queues refuse a global one
            consuming = await below.basic_consume(self._queue.name, pass_on)
        self._cancel = lambda: below.basic_cancel(str(consuming.consumer_tag))

    def _on_close(self, _channel: object, error: BaseException | None) -> None:
        self.undecodable = isinstance(error, UNDECODABLE)
        self._lost(f"{type(error).__name__}: {one_line(str(error))}" if error else "the broker closed the connection")

    def _on_cancel(self, _frame: object) -> None:
        self._lost("the broker cancelled the consumer: the queue is gone")

    def _lost(self, reason: str) -> None:
        if not self.over.is_set():
            self.loss = reason
            self.over.set()

    async def stop(self) -> None:
        """Take no more messages; those taken can still be acknowledged until ``close``."""
        with suppress(BrokerError):
            async with Talk(self._queue):
                await self._cancel()
        self.over.set()

    async def close(self) -> None:
        """Close the connection; what was not acknowledged goes back to the queue."""
        await self._stack.aclose()


class Publisher:
    """Publishes with confirms, on a connection of its own that is opened when needed and again after a failure.

    Of its own, because a broker that is short of memory stops reading from connections that publish, and no
    acknowledgement may wait behind that.
    """

    def __init__(self, queue: Queue, purpose: str) -> None:
        self._queue = queue
        self._purpose = purpose
        self._channel: Channel | None = None
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._alone = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._drop(self._channel)

    async def publish(self, message: Message, exchange: str, key: str, *, mandatory: bool = True) -> None:
        """Publish, and return when the broker has it. Raises ``BrokerError``, or ``Unroutable`` where that matters."""
        # The library finds a returned message by its id, and ids of strangers need not be unique: one at a time.
        async with self._alone if mandatory else nullcontext():
            channel = await self._open()
            try:
                async with Talk(self._queue):
                    await publish(channel, message, exchange, key, mandatory=mandatory)
            except BrokerError:
                await self._drop(channel)
                raise

    async def _open(self) -> Channel:
        async with self._opening:
            if self._channel is None or self._channel.is_closed:
                await self._drop(self._channel)
                async with AsyncExitStack() as stack:
                    self._channel = await stack.enter_async_context(linked(self._queue, self._purpose))
                    self._stack = stack.pop_all()
            return self._channel

    async def _drop(self, channel: Channel | None) -> None:
        if channel is self._channel:
            self._channel, stack, self._stack = None, self._stack, AsyncExitStack()
            await stack.aclose()


async def publish(channel: Channel, message: Message, exchange: str, key: str, *, mandatory: bool = True) -> None:
    """Publish on a channel; an empty ``exchange`` is the default one, whose keys are names of queues."""
    way = await channel.get_exchange(exchange, ensure=False) if exchange else channel.default_exchange
    await way.publish(message, key, mandatory=mandatory)


def event_message(
    body: bytes, name: str, *, headers: Mapping[str, str] | None = None, user: str | None = None
) -> Message:
    """Make the message of one structured CloudEvent; the broker refuses a ``user`` other than our own."""
    return Message(
        body,
        headers=dict(headers or {}),
        content_type="application/cloudevents+json",
        message_id=name if len(name.encode()) <= 255 else None,  # an AMQP short string
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        user_id=user,
    )


def copy_of(
    message: Delivery, *, without: Callable[[str], bool], extra: Mapping[str, Any], user: str | None = None
) -> Message:
    """Copy a message for another queue, as published by ``user``.

    It leaves out what would make the broker refuse it (the log-in of another), lose it (an expiry) or send it astray.
    """
    kept = {key: value for key, value in message.headers.items() if key not in _BROKERS_OWN and not without(key)}
    return Message(
        message.body,
        headers={**{key: _sendable(value) for key, value in kept.items()}, **extra},
        content_type=message.content_type,
        content_encoding=message.content_encoding,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        priority=message.priority,
        correlation_id=message.correlation_id,
        reply_to=message.reply_to,
        message_id=message.message_id,
        timestamp=message.timestamp,
        type=message.type,
        app_id=message.app_id,
        user_id=user,
    )


def _sendable(value: Any) -> Any:
    """Give a header's value in a type that the library can write: it reads some that it cannot."""
    match value:
        case bytes():
            return bytearray(value)
        case float() | Decimal():
            return str(value)
        case dict():
            return {key: _sendable(one) for key, one in value.items()}
        case list():
            return [_sendable(one) for one in value]
        case _:
            return value


def failures(headers: Mapping[str, Any]) -> int:
    """Tell how often a message failed before, as the broker counts."""
    count = headers.get("x-delivery-count", 0)
    return max(0, count) if isinstance(count, int) else 0
