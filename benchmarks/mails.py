"""How long one case takes to many readers: the bridge, a bare pool of connections, and one that keeps what it does.

Postfix's ``smtp-sink`` takes everything and counts it: what arrived, and whether it arrived once, is its word.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from benchmarks.contenders import Arena, Contender
from benchmarks.events import case_events
from benchmarks.processes import Failed, cpu_seconds, free_port, peak_memory, running

CONNECTIONS = (32, 8)  # at a time: for a mailing of this size, and the default of adapters.email.connections
FEWER = 5  # times fewer mails over the default, which takes longer
LOOK = 0.02  # seconds between two looks at the count
STILL = 30.0  # seconds without a single mail after which a contender has failed
_COUNT = re.compile(rb"mesg=(\d+)")


class Mailbox:
    """A mail server of our own that keeps every mail: for few of them."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.port = 0

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - its name
        """Keep one mail."""
        self.mails.append(envelope.original_content or b"")
        return "250 OK"


@asynccontextmanager
async def open_mailbox() -> AsyncIterator[Mailbox]:
    """Start it."""
    mailbox, loop = Mailbox(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(mailbox, loop=loop), "127.0.0.1", 0)
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        server.close()


class Sink:
    """Postfix's ``smtp-sink``, and what it has counted."""

    def __init__(self, port: int, pid: int) -> None:
        self.port = port
        self.pid = pid
        self.received = 0

    async def count(self, output: asyncio.StreamReader) -> None:
        """Follow its count until it ends."""
        while chunk := await output.read(65536):
            if told := _COUNT.findall(chunk):
                self.received = int(told[-1])
            await asyncio.sleep(LOOK)


@asynccontextmanager
async def open_sink() -> AsyncIterator[Sink]:
    """Start it."""
    program = shutil.which("smtp-sink", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if program is None:
        raise Failed("smtp-sink is not installed (Debian's package postfix)")
    port = free_port()
    who = ("-u", "nobody") if os.geteuid() == 0 else ()
    async with running(program, *who, "-c", f"127.0.0.1:{port}", "1000") as process:
        sink = Sink(port, process.pid)
        if process.stdout is None:
            raise Failed("smtp-sink has no output")
        counting = asyncio.ensure_future(sink.count(process.stdout))
        try:
            await _until_open(port)
            yield sink
        finally:
            counting.cancel()


async def _until_open(port: int) -> None:
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise Failed("smtp-sink does not listen")


async def mails(arena: Arena, count: int) -> dict[str, Any]:
    """Send one case to ``count`` readers, with each contender in turn, over many connections; to fewer over few."""
    template = await _template(arena)
    many, few = CONNECTIONS
    async with open_sink() as sink:
        ways = [
            await _over(arena, sink, template, many, count),
            await _over(arena, sink, template, few, count // FEWER),
        ]
    return {"mails": count, "size": template.stat().st_size, "ways": ways}


async def _over(arena: Arena, sink: Sink, template: Path, connections: int, count: int) -> dict[str, Any]:
    readers = [_reader(number) for number in range(count)]
    words = (str(sink.port), str(connections), str(template))
    async with arena.bare(readers, "benchmarks.bare_mail", *words) as contender:
        bare = await _mailing(contender, sink, count)
    async with arena.bare(readers, "benchmarks.durable_mail", *words) as contender:
        durable = await _mailing(contender, sink, count) | {"who": "durable"}
    async with arena.bridge(readers, adapters={"email": _way(sink.port, connections)}) as contender:
        bridge = await _mailing(contender, sink, count)
    return {"connections": connections, "mails": count, "rounds": [bare, durable, bridge]}


async def _mailing(contender: Contender, sink: Sink, count: int) -> dict[str, Any]:
    before, cpu = sink.received, sum(map(cpu_seconds, contender.pids))
    sink_cpu = cpu_seconds(sink.pid)
    opened, _ = case_events()
    began = moved = time.monotonic()
    await contender.send(opened)
    first, latest = 0.0, before
    while sink.received - before < count:
        await asyncio.sleep(LOOK)
        if sink.received != latest:
            latest, moved = sink.received, time.monotonic()
            first = first or moved - began
        elif time.monotonic() - moved > STILL:
            raise Failed(f"{contender.name}: {latest - before:,} of {count:,} mails, and then none for {STILL:g} s")
    seconds = time.monotonic() - began
    cpu = sum(map(cpu_seconds, contender.pids)) - cpu
    return {
        "who": contender.name,
        "seconds": round(seconds, 3),
        "first": round(first, 3),
        "rate": round(count / seconds, 1),
        "cpu": round(cpu, 2),
        "sink_cpu": round(cpu_seconds(sink.pid) - sink_cpu, 2),
        "memory": round(max(map(peak_memory, contender.pids)), 1),
        "received": sink.received - before,
    }


async def _template(arena: Arena) -> Path:
    """Let the bridge write one mail; the bare mailer sends the same, with another reader and Message-ID in it."""
    async with (
        open_mailbox() as mailbox,
        arena.bridge([_reader(0)], adapters={"email": _way(mailbox.port, 1)}) as bridge,
    ):
        await bridge.send(case_events()[0])
        for _ in range(1000):
            if mailbox.mails:
                break
            await asyncio.sleep(LOOK)
        else:
            raise Failed("the bridge's first mail did not come")
    mail = mailbox.mails[0]
    read = message_from_bytes(mail)
    name = str(read["Message-ID"]).strip("<>").partition("@")[0]
    mail = mail.replace(str(read["To"]).encode(), b"{reader}").replace(name.encode(), b"{number}")
    path = arena.home / "mail.eml"
    path.write_bytes(mail)
    return path


def _way(port: int, connections: int) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": port, "security": "none", "connections": connections}


def _reader(number: int) -> dict[str, Any]:
    return {
        "id": f"reader-{number}",
        "channel": "email",
        "adapter": "email",
        "address": f"reader-{number:06}@example.nl",
        "owner": {"name": "Benchmark", "kind": "citizen"},
        "languages": ["nl"],
    }
