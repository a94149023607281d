"""The programs that are measured, each a real process with a queue of its own: the bridge, and the bare one."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aio_pika
import aiohttp
from pamqp.common import FieldTable

START_SECONDS = 60.0


class Failed(Exception):
    """A measurement that did not come to its end; the message says why."""


@dataclass(frozen=True)
class Contender:
    """A running program: where its events go, and the name that its boards know it by."""

    name: str
    exchange: aio_pika.abc.AbstractExchange
    pid: int

    async def send(self, event: bytes) -> int:
        """Publish one event; give the moment just before, in nanoseconds on the machine's monotonic clock."""
        message = aio_pika.Message(
            event, content_type="application/cloudevents+json", delivery_mode=aio_pika.DeliveryMode.PERSISTENT
        )
        before = time.monotonic_ns()
        await self.exchange.publish(message, "alert.bench")
        return before

    @property
    def peak_memory(self) -> float:
        """The most memory it ever held (VmHWM), in MB."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
        raise Failed("the kernel does not tell VmHWM")


class Boards:
    """The process of the boards, and how to wait for what they show."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._session = session

    async def until(self, who: str, count: int, seconds: float) -> int:
        """Wait until exactly ``count`` messages of ``who`` are shown; give the moment of the change, in ns."""
        try:
            async with asyncio.timeout(seconds), self._session.get(f"{self.url}/_until/{who}/{count}") as answer:
                return int((await answer.json(content_type=None))["at"])
        except TimeoutError:
            raise Failed(f"{who}: after {seconds:g} s the boards still do not show {count} messages") from None


@asynccontextmanager
async def open_boards() -> AsyncIterator[Boards]:
    """Start the boards."""
    async with _process(sys.executable, "-m", "benchmarks.boards") as process, aiohttp.ClientSession() as session:
        yield Boards(await _first_line(process), session)


class Arena:
    """What all contenders share: the broker, the boards, a directory that goes away."""

    def __init__(self, amqp_url: str, boards: Boards, home: Path) -> None:
        self._amqp_url = amqp_url
        self._boards = boards
        self._home = home
        self._count = 0

    @asynccontextmanager
    async def bare(self, boards: int) -> AsyncIterator[Contender]:
        """Run the bare contender over so many boards."""
        place = self._place("bare", boards)
        async with self._channel() as channel:
            exchange, queue = await _declare(channel, f"bench.{place.name}")
            command = (sys.executable, "-m", "benchmarks.bare", self._amqp_url, queue.name, str(place / "targets.json"))
            try:
                async with _process(*command) as process:
                    await _first_line(process)
                    yield Contender("bare", exchange, process.pid)
            finally:
                await _remove(channel, [exchange.name], [queue.name])

    @asynccontextmanager
    async def bridge(self, boards: int, **settings: Any) -> AsyncIterator[Contender]:
        """Run the real bridge over so many boards; ``settings`` are sections of its bridge.yaml."""
        place = self._place("bridge", boards)
        name = f"bench.{place.name}"
        async with self._channel() as channel:
            names = {"name": f"{name}.alerts", "exchange": name}
            more = {"dead_exchange": f"{name}.dead", "status_exchange": f"{name}.status"}
            config = {
                "store": {"url": f"sqlite:///{place}/bridge.db"},
                "queue": {"url": self._amqp_url, **names, **more},
                "web": {"port": _free_port()},
                "targets": "targets.json",
                **settings,
            }
            path = place / "bridge.yaml"
            path.write_text(json.dumps(config))  # JSON is YAML
            program = Path(sys.executable).with_name("burgernet-bridge")
            try:
                async with _process(str(program), "run", "--config", str(path), log=place / "log") as process:
                    await _until_ready(process, config["web"]["port"], place / "log")
                    yield Contender("bridge", await channel.get_exchange(name), process.pid)
            finally:
                exchanges = [name, f"{name}.dead", f"{name}.status"]
                await _remove(channel, exchanges, [f"{name}.alerts", f"{name}.alerts.dead"])

    def _place(self, who: str, boards: int) -> Path:
        """Make a directory with a list of targets."""
        self._count += 1
        place = self._home / f"{who}-{self._home.name}-{self._count}"
        place.mkdir()
        targets = [_target(f"{self._boards.url}/{who}", number) for number in range(boards)]
        (place / "targets.json").write_text(json.dumps({"targets": targets}))
        return place

    @asynccontextmanager
    async def _channel(self) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
        async with await aio_pika.connect(self._amqp_url) as connection:
            yield await connection.channel()


def _target(url: str, number: int) -> dict[str, Any]:
    return {
        "id": f"board-{number}",
        "channel": "sign",
        "adapter": "http_sign",
        "address": f"{url}/board-{number}",
        "owner": {"name": "Benchmark", "kind": "municipality"},
        "sign": {"columns": 16, "rows": 5},
        "languages": ["nl"],
    }


async def _declare(
    channel: aio_pika.abc.AbstractChannel, name: str
) -> tuple[aio_pika.abc.AbstractExchange, aio_pika.abc.AbstractQueue]:
    """Make what the bridge makes for itself: a topic exchange and a quorum queue."""
    exchange = await channel.declare_exchange(name, aio_pika.ExchangeType.TOPIC, durable=True)
    arguments: FieldTable = {"x-queue-type": "quorum", "x-delivery-limit": 20}
    queue = await channel.declare_queue(f"{name}.alerts", durable=True, arguments=arguments)
    await queue.bind(exchange, "alert.#")
    return exchange, queue


async def _remove(channel: aio_pika.abc.AbstractChannel, exchanges: list[str], queues: list[str]) -> None:
    for queue in queues:
        await channel.queue_delete(queue)
    for exchange in exchanges:
        await channel.exchange_delete(exchange)


@asynccontextmanager
async def _process(*command: str, log: Path | None = None) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program; it is stopped at the end, and killed when it does not listen."""
    errors = log.open("wb") if log else None
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=errors or asyncio.subprocess.PIPE, stderr=errors
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), 30)
        except TimeoutError:
            process.kill()
            await process.wait()
        if errors:
            errors.close()


async def _first_line(process: asyncio.subprocess.Process) -> str:
    if process.stdout is None:
        raise Failed("a program without output")
    line = await asyncio.wait_for(process.stdout.readline(), START_SECONDS)
    if not line:
        raise Failed("a program ended before it began; its words stand above")
    return line.decode().strip()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


async def _until_ready(process: asyncio.subprocess.Process, port: int, log: Path) -> None:
    """Wait for the bridge's own word that it is ready."""
    url, end = f"http://127.0.0.1:{port}/readyz", time.monotonic() + START_SECONDS
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < end and process.returncode is None:
            try:
                async with session.get(url, timeout=aiohttp.ClientTimeout(total=5)) as answer:
                    if answer.status == 200:
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass  # not listening yet
            await asyncio.sleep(0.1)
    raise Failed(f"the bridge did not become ready; the end of its log:\n{log.read_text()[-2000:]}")
