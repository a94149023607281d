"""What tests of the queue need: names of their own, a hand on the broker, a way in between that can be cut."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from aio_pika.exceptions import ChannelNotFoundEntity
from yarl import URL

from bridge.core.case import Verdict
from bridge.core.events import Event
from bridge.intake.amqp import AmqpIntake
from bridge.settings import QueueSettings

DEADLINE = 20.0  # seconds; nothing here takes one


async def until(condition: Callable[[], bool], seconds: float = DEADLINE) -> None:
    """Wait until a condition holds, or fail."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


async def until_equal(look: Callable[[], Awaitable[Any]], value: Any, seconds: float = DEADLINE) -> None:
    """Wait until looking gives ``value``, or fail with what it gave."""
    seen = None
    try:
        async with asyncio.timeout(seconds):
            while (seen := await look()) != value:
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"{seen!r} did not become {value!r}") from None


def ended(case: str, number: int = 0, **changes: Any) -> bytes:
    """Write the shortest event there is: an ending."""
    fields = {
        "specversion": "1.0",
        "id": f"{case}-{number}",
        "source": "urn:test",
        "type": "nl.burgernet.alert.ended",
        "subject": case,
        "time": "2026-11-22T10:15:00+01:00",
        "data": {"outcome": "resolved"},
    }
    return json.dumps(fields | changes).encode()


@dataclass
class Case:
    """A fake use case: keeps the events, and does on request what a real one may do."""

    events: list[str] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    before: Callable[[Event], Awaitable[None]] | None = None

    async def accept(self, event: Event) -> Verdict:
        """Keep an event."""
        if self.before:
            await self.before(event)
        verdict = Verdict.DUPLICATE if event.id in self.events else Verdict.APPLIED
        self.events.append(event.id)
        return verdict

    def intake(self, settings: QueueSettings) -> AmqpIntake:
        """Make an intake that leads here."""
        return AmqpIntake(settings, self.accept, self.results.append)


@asynccontextmanager
async def running(part: Any) -> AsyncIterator[asyncio.Task[None]]:
    """Run a part of the service, and cancel it at the end as the service does."""
    task = asyncio.create_task(part.run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@dataclass
class Bench:
    """Settings of this test's own, and a channel straight to the broker."""

    settings: QueueSettings
    connection: AbstractConnection
    channel: AbstractChannel

    @property
    def dead(self) -> str:
        """The name of the dead-letter queue."""
        return f"{self.settings.name}.dead"

    def having(self, **changes: Any) -> QueueSettings:
        """Give the settings with changes."""
        return QueueSettings(**(dict(self.settings) | changes))

    async def put(
        self, body: bytes, *, exchange: str | None = None, key: str = "alert.ended", **properties: Any
    ) -> None:
        """Publish one message; it is on a queue when this returns."""
        name = self.settings.exchange if exchange is None else exchange
        way = await self.channel.get_exchange(name, ensure=False) if name else self.channel.default_exchange
        await way.publish(aio_pika.Message(body, **properties), key, timeout=DEADLINE)

    async def take(self, queue: str) -> AbstractIncomingMessage:
        """Take one message off a queue, waiting for it."""
        source = await self.channel.get_queue(queue, ensure=False)
        async with asyncio.timeout(DEADLINE):
            while (message := await source.get(fail=False)) is None:
                await asyncio.sleep(0.01)
        await message.ack()
        return message

    async def ready(self, queue: str | None = None) -> int:
        """Count the messages that wait in a queue; RabbitMQ 3.10 forgets to count what came back or died."""
        found = await self.channel.declare_queue(queue or self.settings.name, passive=True)
        return found.declaration_result.message_count or 0

    async def consumed(self) -> None:
        """Wait until somebody consumes the queue."""
        await until_equal(self._has_consumer, True)

    async def _has_consumer(self) -> bool:
        async with await self.connection.channel() as channel:
            try:
                found = await channel.declare_queue(self.settings.name, passive=True)
            except ChannelNotFoundEntity:
                return False
            return bool(found.declaration_result.consumer_count)

    async def reconnect(self) -> None:
        """Come back after a restart of the broker."""
        await self.connection.close()
        self.connection = await aio_pika.connect(self.settings.url.get_secret_value(), timeout=DEADLINE)
        self.channel = await self.connection.channel(on_return_raises=True)

    async def remove(self) -> None:
        """Take everything of this test off the broker."""
        for queue in (self.settings.name, self.dead):
            await self.channel.queue_delete(queue)
        for exchange in (self.settings.exchange, self.settings.dead_exchange, self.settings.status_exchange):
            await self.channel.exchange_delete(exchange)


@asynccontextmanager
async def open_bench(url: str, **changes: Any) -> AsyncIterator[Bench]:
    """Open a bench with names that nobody else has."""
    mark = uuid4().hex[:10]
    names = {
        "name": f"t.{mark}",
        "exchange": f"t.{mark}.in",
        "dead_exchange": f"t.{mark}.dead-letters",
        "status_exchange": f"t.{mark}.status",
    }
    connection = await aio_pika.connect(url, timeout=DEADLINE)
    channel = await connection.channel(on_return_raises=True)
    bench = Bench(QueueSettings(url=url, **names, **changes), connection, channel)
    try:
        yield bench
    finally:
        try:
            await bench.remove()
        finally:
            await bench.connection.close()


class Way:
    """A TCP way to a server that tests can cut, close, open and freeze; it listens on ``host``."""

    def __init__(self, url: str, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self._broker = URL(url)
        self._host = host
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._port = 0
        self.connections = 0  # ever
        self.swap: tuple[bytes, bytes] | None = None  # these bytes become those, on their way to the broker

    @property
    def url(self) -> str:
        """The server's URL by this way."""
        scheme = "amqps" if self._tls else self._broker.scheme
        return str(self._broker.with_scheme(scheme).with_host(self._host).with_port(self._port))

    async def open(self) -> None:
        """Let connections through; the port stays the same."""
        self._server = await asyncio.start_server(self._serve, self._host, self._port, ssl=self._tls)
        self._port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Kill every connection, as a cable does."""
        for writer in self._writers:
            writer.transport.abort()

    def close(self) -> None:
        """Refuse connections, and kill those there are."""
        if self._server:
            self._server.close()
        self.cut()

    def freeze(self) -> None:
        """Let nothing through, and say nothing."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Let everything through again."""
        self._flowing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(OSError):
            there, back = await asyncio.open_connection(self._broker.host, self._broker.port)
            self._writers |= {writer, back}
            try:
                await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
            finally:
                for one in (writer, back):
                    one.transport.abort()
                    self._writers.discard(one)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self._flowing.wait()
                data = data.replace(*self.swap) if self.swap else data
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


@asynccontextmanager
async def open_way(url: str, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[Way]:
    """Open a way to a server, with TLS up to here when asked for."""
    way = Way(url, tls, host)
    await way.open()
    try:
        yield way
    finally:
        way.close()
