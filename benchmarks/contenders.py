"""What all measurements share: the broker, the boards, a directory that goes away, and the programs that are measured.

Each contender is a real process with a queue of its own: the bridge, or a bare program that keeps nothing.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aio_pika
import aiohttp
import asyncpg
from pamqp.common import FieldTable

from benchmarks.processes import START_SECONDS, Failed, cpu_seconds, first_line, free_port, running

PROGRAM = Path(sys.executable).with_name("burgernet-bridge")
LOOK = 0.005  # seconds between two looks at whether a program is ready

Targets = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Contender:
    """A running program: where its events go, its processes, and the seconds from its start to being ready."""

    name: str
    exchange: aio_pika.abc.AbstractExchange
    queue: str
    pids: Sequence[int]
    ready_after: float
    ready_cpu: float = 0.0
    store: str = ""
    web: str = ""

    async def send(self, event: bytes) -> int:
        """Publish one event; give the moment just before, in nanoseconds on the machine's monotonic clock."""
        message = aio_pika.Message(
            event, content_type="application/cloudevents+json", delivery_mode=aio_pika.DeliveryMode.PERSISTENT
        )
        before = time.monotonic_ns()
        await self.exchange.publish(message, "alert.bench")
        return before


class Boards:
    """The process of the boards, and how to wait for what they show."""

    def __init__(self, url: str, pid: int, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.pid = pid
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
    async with running(sys.executable, "-m", "benchmarks.boards") as process, aiohttp.ClientSession() as session:
        yield Boards(await first_line(process), process.pid, session)


class Arena:
    """Gives each contender a place, a queue and, where asked, a database of its own, and takes them away again."""

    def __init__(self, amqp_url: str, postgres_url: str, boards: Boards, home: Path, seed: int) -> None:
        self.amqp_url = amqp_url
        self.postgres_url = postgres_url
        self.boards = boards
        self.home = home
        self.seed = seed
        self._count = 0

    @asynccontextmanager
    async def bare(self, targets: Targets, program: str = "benchmarks.bare", *more: str) -> AsyncIterator[Contender]:
        """Run a bare contender over so many targets."""
        place = self.place("bare", targets)
        async with self.channel() as channel:
            exchange, queue = await _declare(channel, f"bench.{place.name}")
            words = (self.amqp_url, queue.name, str(place / "targets.json"), *more)
            try:
                began = time.monotonic()
                async with running(sys.executable, "-m", program, *words) as process:
                    await first_line(process)
                    yield Contender("bare", exchange, queue.name, [process.pid], time.monotonic() - began)
            finally:
                await remove(channel, [exchange.name], [queue.name])

    @asynccontextmanager
    async def bridge(
        self, targets: Targets, *, store: str = "", workers: int = 1, **settings: Any
    ) -> AsyncIterator[Contender]:
        """Run the real bridge over so many targets; ``settings`` are sections of its bridge.yaml.

        ``store`` is a database URL, a new SQLite file by default; ``workers`` is how many processes share it.
        """
        place = self.place("bridge", targets)
        name = f"bench.{place.name}"
        store = store or f"sqlite:///{place}/bridge.db"
        queue = {"url": self.amqp_url, "name": f"{name}.alerts", "exchange": name}
        queue |= {"dead_exchange": f"{name}.dead", "status_exchange": f"{name}.status"}
        config = {"store": {"url": store}, "queue": queue, "targets": "targets.json", **settings}
        path = place / "bridge.yaml"
        path.write_text(json.dumps(config))  # JSON is YAML
        async with self.channel() as channel:
            try:
                async with AsyncExitStack() as stack:
                    pids, ready_after, ready_cpu, web = [], 0.0, 0.0, ""
                    for number in range(workers):
                        web = f"http://127.0.0.1:{free_port()}"
                        log = place / f"log-{number}"
                        more = {"BRIDGE_WEB__PORT": web.rpartition(":")[2]}
                        began = time.monotonic()
                        start = running(PROGRAM, "run", "--config", path, log=log, more=more)
                        process = await stack.enter_async_context(start)
                        await _until_ready(process, web, log)
                        ready_after = max(ready_after, time.monotonic() - began)
                        ready_cpu = max(ready_cpu, cpu_seconds(process.pid))
                        pids.append(process.pid)
                    exchange = await channel.get_exchange(name)
                    yield Contender("bridge", exchange, queue["name"], pids, ready_after, ready_cpu, store, web)
            finally:
                exchanges = [name, f"{name}.dead", f"{name}.status"]
                await remove(channel, exchanges, [queue["name"], f"{queue['name']}.dead"])

    @asynccontextmanager
    async def database(self) -> AsyncIterator[str]:
        """Make a PostgreSQL database with the bridge's tables; give its URL."""
        self._count += 1
        name = f"bench_{self.home.name}_{self._count}".lower().replace("-", "_")
        url = f"{self.postgres_url.rpartition('/')[0]}/{name}"
        await self._run_sql(f'CREATE DATABASE "{name}"')
        try:
            config = self.home / f"{name}.yaml"
            config.write_text(json.dumps({"store": {"url": url}}))
            log = self.home / f"{name}.log"
            async with running(PROGRAM, "migrate", "--config", config, log=log) as process:
                if await process.wait():
                    raise Failed(f"the database could not be made:\n{log.read_text()[-2000:]}")
            yield url
        finally:
            await self._run_sql(f'DROP DATABASE "{name}" WITH (FORCE)')

    async def _run_sql(self, statement: str) -> None:
        connection = await asyncpg.connect(self.postgres_url, timeout=10)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def place(self, who: str, targets: Targets) -> Path:
        """Make a directory with a list of targets."""
        self._count += 1
        place = self.home / f"{who}-{self.home.name}-{self._count}"
        place.mkdir()
        (place / "targets.json").write_text(json.dumps({"targets": targets}))
        return place

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
        """Open a channel to the broker."""
        async with await aio_pika.connect(self.amqp_url) as connection:
            yield await connection.channel()

    def signs(self, who: str, count: int) -> Targets:
        """Describe so many boards, which know the contender by the name ``who``."""
        return [_sign(f"{self.boards.url}/{who}", number) for number in range(count)]


def _sign(url: str, number: int) -> dict[str, Any]:
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


async def remove(channel: aio_pika.abc.AbstractChannel, exchanges: Sequence[str], queues: Sequence[str]) -> None:
    """Take queues and exchanges away; one that is not there is fine."""
    for queue in queues:
        await channel.queue_delete(queue)
    for exchange in exchanges:
        await channel.exchange_delete(exchange)


async def _until_ready(process: asyncio.subprocess.Process, url: str, log: Path) -> None:
    """Wait for the bridge's own word that it is ready."""
    end = time.monotonic() + START_SECONDS
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < end and process.returncode is None:
            try:
                async with session.get(f"{url}/readyz", timeout=aiohttp.ClientTimeout(total=5)) as answer:
                    if answer.status == 200:
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass  # not listening yet
            await asyncio.sleep(LOOK)
    raise Failed(f"the bridge did not become ready; the end of its log:\n{log.read_text()[-2000:]}")
