"""Screens without a browser: each listens to its page's events and confirms at once what it is told, as the page does.

``python -m benchmarks.screens PORT TOKENS`` opens one for every line of the file TOKENS, and says by
``benchmarks.tally`` when all of them, or none, are ``heard`` (their first word is taken), ``told`` of a message, and
``confirmed``: the bridge has taken their word that it is painted, or gone. Like a page each has two connections, and
says every quarter of the dead-man time what it shows.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.tally import Tally

HOST = "127.0.0.1"
AT_A_TIME = 50  # screens that open their page at the same time
REPEAT = 15.0  # seconds; a quarter of display.dead_man


class _Screen:
    """One screen."""

    def __init__(self, port: int, number: int, token: str, tally: Tally) -> None:
        self._port = port
        self._number = number
        self._path = f"/display/{token}"
        self._tally = tally
        self._name = f"screen-{number:06}"
        self._way: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._keys: list[str] = []
        self._news = asyncio.Event()

    async def listen(self, started: asyncio.Semaphore) -> None:
        """Follow the events until the connection ends."""
        async with started:
            reader, writer = await asyncio.open_connection(HOST, self._port)
            writer.write(f"GET {self._path}/events HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise ConnectionError(head.split(b"\r\n")[0].decode())
        try:
            received = b""
            while size := int(await reader.readuntil(b"\r\n"), 16):
                received += (await reader.readexactly(size + 2))[:-2]
                *events, received = received.split(b"\n\n")
                for event in events:
                    self._hear(event)
        finally:
            writer.close()

    def _hear(self, event: bytes) -> None:
        if not event.startswith(b"event: state"):
            return
        state: dict[str, Any] = json.loads(event.partition(b"data: ")[2])
        self._keys = [one["key"] for one in state["messages"]]
        self._tally.note("told", self._number, there=bool(self._keys))
        self._news.set()

    async def confirm(self) -> None:
        """Say what is shown: at every change, and now and then."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(REPEAT):
                    await self._news.wait()
            self._news.clear()
            keys = self._keys
            await self._say(keys)
            self._tally.note("heard", self._number, there=True)
            self._tally.note("confirmed", self._number, there=bool(keys))

    async def _say(self, keys: list[str]) -> None:
        """Say it once; over a new connection where the bridge has closed the one before."""
        body = json.dumps({"screen": self._name, "showing": keys})
        head = f"POST {self._path}/ack HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(body)}\r\n\r\n"
        while True:
            reader, writer = self._way or await asyncio.open_connection(HOST, self._port)
            try:
                writer.write(f"{head}{body}".encode())
                answer = await reader.readuntil(b"\r\n\r\n")
            except (ConnectionError, asyncio.IncompleteReadError):
                writer.close()
                self._way = None
                continue
            if not answer.startswith(b"HTTP/1.1 204"):
                raise ConnectionError(answer.split(b"\r\n")[0].decode())
            self._way = reader, writer
            return


async def _run(port: int, tokens: list[str]) -> None:
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    for end in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(end, ended.set)
    tally, started = Tally(len(tokens)), asyncio.Semaphore(AT_A_TIME)
    screens = [_Screen(port, number, token, tally) for number, token in enumerate(tokens)]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one) for screen in screens for one in (screen.listen(started), screen.confirm())]
        await ended.wait()
        for task in tasks:
            task.cancel()


if __name__ == "__main__":
    asyncio.run(_run(int(sys.argv[1]), Path(sys.argv[2]).read_text().split()))
