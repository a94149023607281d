"""How each program is installed, started, fed, killed and taken away; the bridge is one of them."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import aio_pika
import aiohttp

from benchmarks.contenders import PROGRAM, Arena, remove
from benchmarks.others import node_red
from benchmarks.others.install import pip, run
from benchmarks.processes import START_SECONDS, Failed, end, first_line, free_port

HERE = Path(__file__).parent
LOOK = 0.01
SEND_SECONDS = 20.0  # a client that cannot hand over an event tries again for so long


@dataclass(frozen=True)
class Job:
    """What all do the same: so many boards under ``boards``, a mail server, a broker, a name that is free there."""

    name: str
    boards: str
    count: int
    smtp: int
    amqp: str
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        """Tell it to a program."""
        told = {"BOARDS": self.boards, "COUNT": self.count, "SMTP": self.smtp, "AMQP": self.amqp, "QUEUE": self.name}
        return {f"JOB_{name}": str(value) for name, value in told.items()}


class Contestant(ABC):
    """One program (or a few that belong together) that does the job."""

    title: ClassVar[str]

    def __init__(
        self,
        cache: Path,
        arena: Arena,
        job: Job,
        session: aiohttp.ClientSession,
        channel: aio_pika.abc.AbstractChannel,
    ) -> None:
        self.cache = cache
        self.arena = arena
        self.job = job
        self.session = session
        self.channel = channel
        self.processes: list[asyncio.subprocess.Process] = []
        self.port = free_port()
        self.second_port = free_port()

    @classmethod
    @abstractmethod
    async def install(cls, cache: Path) -> str:
        """Install it by its package where it is missing; give its version. Raises ``Failed``."""

    @abstractmethod
    async def prepare(self) -> Sequence[Sequence[str | Path]]:
        """Write its files; give the commands that it consists of."""

    @abstractmethod
    async def is_ready(self) -> bool:
        """Tell whether it takes events."""

    @abstractmethod
    async def send(self, event: bytes) -> None:
        """Give it one event."""

    def more(self) -> Mapping[str, str]:
        """Give what else its environment needs."""
        return {}

    async def start(self) -> None:
        """Start it, and wait until it takes events."""
        environment = {**os.environ, **self.job.environment, **self.more()}
        for words in await self.prepare():
            with (self.job.home / "log").open("ab") as log:
                process = await asyncio.create_subprocess_exec(
                    *map(str, words),
                    env=environment,
                    cwd=self.job.home,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            self.processes.append(process)
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and all(process.returncode is None for process in self.processes):
            if await self.is_ready():
                return
            await asyncio.sleep(LOOK)
        log_end = (self.job.home / "log").read_text(errors="replace")[-1000:]
        raise Failed(f"{self.title} did not start:\n{log_end}")

    async def kill(self, number: int = signal.SIGKILL) -> None:
        """Kill it with all its children, as a power cut does."""
        for process in self.processes:
            if process.returncode is None:
                os.killpg(process.pid, number)
        for process in self.processes:
            await process.wait()
        self.processes.clear()

    async def close(self) -> None:
        """End it, and take away what it made at the broker."""
        await self.kill()

    async def answers(self, url: str) -> bool:
        """Tell whether a page is there."""
        try:
            async with self.session.get(url, timeout=aiohttp.ClientTimeout(total=5)) as answer:
                return answer.status < 300
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def post(self, url: str, body: Any) -> None:
        """Hand over an event by HTTP; a program that is away is tried again for a while."""
        for _ in range(int(SEND_SECONDS / 0.2)):
            try:
                async with self.session.post(url, json=body, timeout=aiohttp.ClientTimeout(total=5)) as answer:
                    answer.raise_for_status()
                    return
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(0.2)

    async def has_consumer(self, queue: str) -> bool:
        """Tell whether somebody takes messages from a queue."""
        try:
            async with self.arena.channel() as channel:
                found = await channel.declare_queue(queue, passive=True)
                return bool(found.declaration_result.consumer_count)
        except aio_pika.exceptions.ChannelNotFoundEntity:
            return False

    async def remove(self, exchanges: Sequence[str], queues: Sequence[str]) -> None:
        """Take queues and exchanges away."""
        async with self.arena.channel() as channel:
            await remove(channel, exchanges, queues)

    async def publish(self, exchange: str, key: str, body: bytes, content_type: str) -> None:
        """Put a message on the broker, to stay."""
        to = await self.channel.get_exchange(exchange, ensure=False) if exchange else self.channel.default_exchange
        kept = aio_pika.DeliveryMode.PERSISTENT
        await to.publish(aio_pika.Message(body, content_type=content_type, delivery_mode=kept), key)


class Bridge(Contestant):
    """The bridge."""

    title = "bridge"

    @classmethod
    async def install(cls, cache: Path) -> str:  # noqa: ARG003 - it is here
        """Give its version."""
        return (await run(PROGRAM, "--version")).split()[-1]

    async def prepare(self) -> Sequence[Sequence[str | Path]]:
        """Write its settings and targets."""
        name = self.job.name
        queue = {"url": self.job.amqp, "name": f"{name}.alerts", "exchange": name}
        queue |= {"dead_exchange": f"{name}.dead", "status_exchange": f"{name}.status"}
        reader = {"id": "reader", "channel": "email", "adapter": "email", "address": "reader@example.nl"}
        reader |= {"owner": {"name": "Benchmark", "kind": "citizen"}, "languages": ["nl"]}
        targets = [*self.arena.signs(self.job.boards.rpartition("/")[2], self.job.count), reader]
        (self.job.home / "targets.json").write_text(json.dumps({"targets": targets}))
        config = {
            "store": {"url": f"sqlite:///{self.job.home}/bridge.db"},
            "queue": queue,
            "web": {"port": self.port},
            "targets": "targets.json",
            "adapters": {"email": {"port": self.job.smtp, "security": "none"}},
        }
        path = self.job.home / "bridge.yaml"
        path.write_text(json.dumps(config))
        return [(PROGRAM, "run", "--config", path)]

    async def is_ready(self) -> bool:
        """Ask it."""
        return await self.answers(f"http://127.0.0.1:{self.port}/readyz")

    async def send(self, event: bytes) -> None:
        """Publish the event on its exchange."""
        await self.publish(self.job.name, "alert.bench", event, "application/cloudevents+json")

    async def close(self) -> None:
        """Take its queues away too."""
        await super().close()
        name = self.job.name
        await self.remove([name, f"{name}.dead", f"{name}.status"], [f"{name}.alerts", f"{name}.alerts.dead"])


class FastStream(Contestant):
    """A FastStream handler."""

    title = "FastStream"

    @classmethod
    async def install(cls, cache: Path) -> str:
        """Install it into a virtual environment of its own."""
        return await pip(cache / "faststream", "faststream", "faststream[rabbit,cli]", "aiohttp", "aiosmtplib")

    async def prepare(self) -> Sequence[Sequence[str | Path]]:
        """Run it by its own command."""
        command = self.cache / "faststream" / "bin" / "faststream"
        return [(command, "run", "--app-dir", HERE, "faststream_app:app")]

    async def is_ready(self) -> bool:
        """Look whether it consumes."""
        return await self.has_consumer(self.job.name)

    async def send(self, event: bytes) -> None:
        """Publish the event on its queue."""
        await self.publish("", self.job.name, event, "application/json")

    async def close(self) -> None:
        """Take its queue away too."""
        await super().close()
        await self.remove([], [self.job.name])


class Celery(Contestant):
    """Celery tasks."""

    title = "Celery"
    feeder: asyncio.subprocess.Process | None = None

    @classmethod
    async def install(cls, cache: Path) -> str:
        """Install it into a virtual environment of its own."""
        return await pip(cache / "celery", "celery", "celery", "requests")

    async def prepare(self) -> Sequence[Sequence[str | Path]]:
        """Run a worker with a few processes."""
        command = self.cache / "celery" / "bin" / "celery"
        return [(command, "-A", "celery_app", "worker", "--concurrency", "8", "--loglevel", "WARNING")]

    def more(self) -> Mapping[str, str]:
        """Let it find its tasks; and it may run as root here."""
        return {"PYTHONPATH": str(HERE), "C_FORCE_ROOT": "1"}

    async def is_ready(self) -> bool:
        """Look whether it consumes."""
        return await self.has_consumer(self.job.name)

    async def start(self) -> None:
        """Start Celery's own client too, once: it puts the events on the queue, and is not killed with the worker."""
        await super().start()
        if self.feeder is None:
            environment = {**os.environ, **self.job.environment, **self.more()}
            words = (str(self.cache / "celery" / "bin" / "python"), "-c", "from celery_app import feed; feed()")
            pipe = asyncio.subprocess.PIPE
            self.feeder = await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe, env=environment)
            await first_line(self.feeder)

    async def send(self, event: bytes) -> None:
        """Let the client put the event on its queue."""
        if self.feeder is None or self.feeder.stdin is None:
            raise Failed("Celery's client is not there")
        self.feeder.stdin.write(event + b"\n")
        await self.feeder.stdin.drain()

    async def close(self) -> None:
        """Take its queues away too."""
        await super().close()
        if self.feeder is not None:
            await end(self.feeder)
        await self.remove([], [self.job.name])


class NodeRed(Contestant):
    """A Node-RED flow; its way in is its own HTTP node, for it has none for AMQP."""

    title = "Node-RED"

    @classmethod
    async def install(cls, cache: Path) -> str:
        """Install it with npm: version 4, which still runs on the Node.js of Debian and Ubuntu LTS."""
        folder = cache / "node-red"
        if not (folder / "node_modules" / "node-red-node-email").is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            options = ("--no-audit", "--no-fund", "--loglevel", "error")
            await run("npm", "install", "--prefix", folder, *options, "node-red@4", "node-red-node-email")
        return str(json.loads((folder / "node_modules" / "node-red" / "package.json").read_text())["version"])

    async def prepare(self) -> Sequence[Sequence[str | Path]]:
        """Write the flow."""
        flow = self.job.home / "flows.json"
        flow.write_text(json.dumps(node_red.flow(self.job.boards, self.job.count, self.job.smtp)))
        command = self.cache / "node-red" / "node_modules" / ".bin" / "node-red"
        return [(command, "--userDir", self.job.home, "--port", str(self.port), flow)]

    async def is_ready(self) -> bool:
        """Ask the flow."""
        return await self.answers(f"http://127.0.0.1:{self.port}/ready")

    async def send(self, event: bytes) -> None:
        """Post the event to the flow."""
        await self.post(f"http://127.0.0.1:{self.port}/event", json.loads(event))


class Alertmanager(Contestant):
    """Prometheus's Alertmanager with a web-hook receiver: one alert for each board of a case, and one for the mail.

    Alertmanager keeps no alerts over a restart: Prometheus sends the active ones again, every minute. The scenarios
    here are shorter than that.
    """

    title = "Alertmanager"

    @classmethod
    async def install(cls, cache: Path) -> str:  # noqa: ARG003 - it is a package of the system
        """Install Debian's package."""
        if shutil.which("prometheus-alertmanager") is None:
            await run("apt-get", "install", "-y", "--no-install-recommends", "prometheus-alertmanager")
        return (await run("prometheus-alertmanager", "--version")).split()[2]

    async def prepare(self) -> Sequence[Sequence[str | Path]]:
        """Write its routes: nothing waits to be grouped, for an alert is urgent."""
        hook = int(self.more()["JOB_HOOK"])
        mail = {
            "to": "reader@example.nl",
            "from": "burgernet@localhost",
            "smarthost": f"127.0.0.1:{self.job.smtp}",
            "require_tls": False,
            "send_resolved": True,
            "headers": {"Subject": '{{ if eq .Status "resolved" }}Afloop: {{ end }}Vermist {{ .CommonLabels.case }}'},
        }
        at_once = {"group_by": ["case", "board"], "group_wait": "0s", "group_interval": "1s", "repeat_interval": "4h"}
        config = {
            "route": {"receiver": "boards", **at_once, "routes": [{"receiver": "mail", "matchers": ['board="mail"']}]},
            "receivers": [
                {"name": "boards", "webhook_configs": [{"url": f"http://127.0.0.1:{hook}/", "send_resolved": True}]},
                {"name": "mail", "email_configs": [mail]},
            ],
        }
        path = self.job.home / "alertmanager.yml"
        path.write_text(json.dumps(config))
        listen = (f"--web.listen-address=127.0.0.1:{self.port}", "--cluster.listen-address=")
        own = ("prometheus-alertmanager", f"--config.file={path}", f"--storage.path={self.job.home}/data", *listen)
        return [own, (sys.executable, HERE / "alertmanager_app.py")]

    def more(self) -> Mapping[str, str]:
        """Tell the receiver its port."""
        return {"JOB_HOOK": str(self.second_port)}

    async def is_ready(self) -> bool:
        """Ask it."""
        return await self.answers(f"http://127.0.0.1:{self.port}/-/ready")

    async def send(self, event: bytes) -> None:
        """Post the event's alerts, as Prometheus does."""
        read = json.loads(event)
        now = read["time"]
        boards = [*(f"board-{number}" for number in range(self.job.count)), "mail"]
        alerts = [{"labels": {"alertname": "Vermist", "case": read["subject"], "board": board}} for board in boards]
        for alert in alerts:
            if read["type"].endswith(".ended"):
                alert |= {"endsAt": now}  # type: ignore[dict-item]
            else:
                alert |= {"startsAt": now, "annotations": {"text": "Vermist"}}  # type: ignore[dict-item]
        await self.post(f"http://127.0.0.1:{self.port}/api/v2/alerts", alerts)


ALL: Sequence[type[Contestant]] = (Bridge, FastStream, Celery, NodeRed, Alertmanager)
