"""Debian's mosquitto, started by a test on a port of its own, and a broker that answers as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import pytest

MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")  # Debian's place is not on every PATH
needs_mosquitto = pytest.mark.skipif(
    MOSQUITTO is None and os.environ.get("CI", "").lower() not in {"true", "1"},
    reason="Debian's mosquitto is not installed, so NOTHING of MQTT was tested; run: make services",
)
SETTINGS = {"allow_anonymous": "true", "log_type": "none", "persistence": "true"}


def free_port() -> int:
    """Give a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Mosquitto:
    """One broker. What is retained survives a stop in good order."""

    def __init__(self, folder: Path, **settings: str) -> None:
        """Keep its files in ``folder``; ``settings``: lines of its configuration file, by name."""
        self.port = free_port()
        self._folder = folder
        self._settings: Mapping[str, str] = SETTINGS | settings
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        """Start it."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop it."""
        await self.stop()

    async def start(self) -> None:
        """Start it, and return when it listens."""
        file = self._folder / "mosquitto.conf"
        lines = [f"listener {self.port} 127.0.0.1", f"persistence_location {self._folder}/"]
        lines += [f"{name} {value}" for name, value in self._settings.items()]
        if os.geteuid() == 0:
            lines.append("user root")
        file.write_text("\n".join(lines) + "\n")
        self._process = await asyncio.create_subprocess_exec(str(MOSQUITTO), "-c", str(file))
        async with asyncio.timeout(20):
            while not await self._listens():
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """Stop it; nobody can connect any more."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            await self._process.wait()
            self._process = None

    async def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.returncode is None, "mosquitto ended"
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except ConnectionRefusedError:
            return False
        writer.close()
        return True


@asynccontextmanager
async def scripted(
    connack: int = 0, suback: int = 1, puback: int | None = 0, goodbye: int | None = None, says: bytes = b""
) -> AsyncIterator[int]:
    """Be a broker that answers with these reason codes (MQTT 5.0 section 2.4); give its port.

    ``puback`` is ``None``: it never answers a PUBLISH; with a ``goodbye`` it answers that by hanging up with this code.
    ``says``: packets that it sends to whoever subscribes.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                kind, body = await _packet(reader)
                if kind == 1:
                    writer.write(bytes([0x20, 3, 0, connack, 0]))
                if kind == 8:
                    topics = _topics(body)
                    writer.write(bytes([0x90, 3 + topics, *body[:2], 0, *[suback] * topics]) + says)
                if kind == 3:
                    after = 2 + int.from_bytes(body[:2], "big")
                    if goodbye is not None:
                        writer.write(bytes([0xE0, 2, goodbye, 0]))
                        writer.write_eof()
                    if puback is not None:
                        writer.write(bytes([0x40, 4, *body[after : after + 2], puback, 0]))
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def a_publish(topic: str, payload: bytes) -> bytes:
    """Write a retained PUBLISH with QoS 0 (section 3.3), of less than 128 bytes."""
    body = len(topic).to_bytes(2, "big") + topic.encode() + b"\0" + payload
    return bytes([0x31, len(body)]) + body


async def _packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read one control packet (section 2.1): its type and what follows the fixed header."""
    [first] = await reader.readexactly(1)
    length = shift = 0
    while True:
        [byte] = await reader.readexactly(1)
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return first >> 4, await reader.readexactly(length)


def _topics(body: bytes) -> int:
    """Count the topics of a SUBSCRIBE (section 3.8) without properties."""
    place, count = 3, 0
    while place < len(body):
        place += 2 + int.from_bytes(body[place : place + 2], "big") + 1
        count += 1
    return count
