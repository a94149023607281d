"""Boards that cost next to nothing: the HTTP sign contract on bare asyncio, in a process of their own.

They show what they are told and say when: ``GET /_until/{who}/{count}`` answers as soon as exactly ``count`` messages
are shown under ``/{who}/…``, with the time of the last change on the clock that all processes of this machine share.
``GET /_told/{who}`` tells how many are shown, and how many ever were. ``GET /_down/{who}/{0 or 1}`` makes the boards of
``who`` refuse everything, and ``GET /_slow/{who}/{seconds}`` makes them take so long to show anything.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
import time
from collections import defaultdict

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Boards:
    """What is shown, by who put it there, and who waits for a change."""

    def __init__(self) -> None:
        self._shown: defaultdict[bytes, dict[bytes, bytes]] = defaultdict(dict)
        self._changed: defaultdict[bytes, int] = defaultdict(time.monotonic_ns)
        self._waiting: list[tuple[bytes, int, asyncio.Transport]] = []
        self._ever: defaultdict[bytes, set[bytes]] = defaultdict(set)
        self._down: set[bytes] = set()
        self._slow: dict[bytes, float] = {}

    def answer(self, verb: bytes, path: bytes, body: bytes, transport: asyncio.Transport) -> None:
        """Do what a request says, and note the moment it was here whole."""
        who, _, name = path[1:].partition(b"/")
        shown = self._shown[who]
        if who.startswith(b"_"):
            who = self._control(who, name, transport)
        elif who in self._down:
            transport.write(_response(b"503 Service Unavailable"))
        elif verb == b"PUT" and who in self._slow:
            asyncio.get_running_loop().call_later(self._slow[who], self._show, who, name, body, transport)
        elif verb == b"PUT":
            self._show(who, name, body, transport)
        elif verb == b"DELETE":
            self._changed[who] = time.monotonic_ns()
            found = shown.pop(name, None)
            transport.write(_response(b"404 Not Found" if found is None else b"204 No Content"))
        else:
            transport.write(_response(b"200 OK", shown[name]) if name in shown else _response(b"404 Not Found"))
        if self._waiting:
            self._tell(who)

    def _show(self, who: bytes, name: bytes, body: bytes, transport: asyncio.Transport) -> None:
        self._changed[who] = time.monotonic_ns()
        self._shown[who][name] = body
        self._ever[who].add(name)
        transport.write(_response(b"204 No Content"))
        if self._waiting:
            self._tell(who)

    def _control(self, what: bytes, rest: bytes, transport: asyncio.Transport) -> bytes:
        """Do what the benchmark asks; give whose boards it is about."""
        who, _, value = rest.partition(b"/")
        if what == b"_until":
            self._waiting.append((who, int(value), transport))
            return who
        if what == b"_down":
            (self._down.add if value == b"1" else self._down.discard)(who)
        elif what == b"_slow":
            self._slow[who] = float(value)
        told = {"shown": len(self._shown[who]), "ever": len(self._ever[who])}
        transport.write(_response(b"200 OK", json.dumps(told).encode()))
        return who

    def _tell(self, who: bytes) -> None:
        for waiter in self._waiting[:]:
            asked, count, transport = waiter
            if asked == who and len(self._shown[who]) == count:
                self._waiting.remove(waiter)
                transport.write(_response(b"200 OK", json.dumps({"at": self._changed[who]}).encode()))


class _Connection(asyncio.Protocol):
    """One HTTP/1.1 connection, kept open."""

    def __init__(self, boards: Boards) -> None:
        self._boards = boards
        self._transport: asyncio.Transport | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the way back."""
        self._transport = transport if isinstance(transport, asyncio.Transport) else None

    def data_received(self, data: bytes) -> None:
        """Serve every request that is here whole."""
        self._received += data
        while self._transport and (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._received) < whole:
                return
            body, self._received = self._received[end + 4 : whole], self._received[whole:]
            verb, path, _ = head.split(b" ", 2)
            self._boards.answer(verb, path, body, self._transport)


def _response(status: bytes, body: bytes = b"") -> bytes:
    length = b"" if status.startswith(b"204") else b"Content-Length: %d\r\n" % len(body)
    return b"HTTP/1.1 %b\r\n%b\r\n%b" % (status, length, body)


async def _serve() -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    boards = Boards()
    server = await loop.create_server(lambda: _Connection(boards), "127.0.0.1", 0, backlog=4096)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await ended.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve())
