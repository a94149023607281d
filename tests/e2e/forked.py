"""Bridges without half of their start-up time: a process that has the libraries loaded makes a copy of itself for each.

The copy is a process of its own, with its own environment, folder and log, and loads the bridge itself: names that a
process gives itself, when it is loaded, are its own. There are two hundred starts in these tests.
``python -m tests.e2e.forked`` is the process that makes the copies.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from tests.e2e.warm import Kept, live

LIBRARIES = (
    *("aio_pika", "aiohttp.web", "aiosmtplib", "alembic.command", "asyncpg", "email_validator"),
    *("jinja2.sandbox", "PIL.Image", "prometheus_client", "pydantic_settings", "rich.console", "shapely"),
    *("sqlalchemy.dialects.postgresql", "sqlalchemy.dialects.sqlite", "sqlalchemy.ext.asyncio", "structlog"),
    *("tenacity", "typer", "yaml"),
)
LOOK = 0.01  # seconds between two looks for an end


class Forked:
    """A process as ``asyncio.subprocess`` would give it; how it ended is in a file beside its log."""

    def __init__(self, pid: int, end: Path) -> None:
        self.pid = pid
        self._end = end

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; nothing while it runs."""
        try:
            return int(self._end.read_text())
        except FileNotFoundError:
            return None

    def send_signal(self, number: int) -> None:
        """Send a signal; harmless when it has ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        """Wait for its end."""
        while (code := self.returncode) is None:
            await asyncio.sleep(LOOK)
        return code


class Forge(Kept):
    """Makes the copies, which go on when it stops."""

    def __init__(self) -> None:
        super().__init__("tests.e2e.forked")

    async def start(self, words: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path) -> Forked:
        """Start the program with these words; all that it says goes to ``log``."""
        log.write_bytes(b"")  # there from the start
        return Forked(int(await self.ask(words, folder, environment, log=str(log))), _end_of(log))


def serve() -> None:
    """Make a copy for each line of stdin, and tell its number on stdout."""
    for name in LIBRARIES:
        import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who stands by a copy is waited for by nobody
    for line in sys.stdin:
        reading, writing = os.pipe()
        if os.fork() == 0:
            os.close(reading)
            stand_by(json.loads(line), writing)
        os.close(writing)
        with os.fdopen(reading) as told:
            sys.stdout.write(f"{told.read()}\n")
        sys.stdout.flush()


def stand_by(request: Any, writing: int) -> NoReturn:
    """Make the copy, tell its number, and write down how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        os.close(writing)
        become(request)
    os.write(writing, str(pid).encode())
    os.close(writing)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    end = _end_of(Path(request["log"]))
    end.with_suffix(".ending").write_text(str(code))
    end.with_suffix(".ending").rename(end)
    os._exit(0)


def become(request: Any) -> NoReturn:
    """Be the bridge, from its first word to its exit code."""
    log = os.open(request["log"], os.O_WRONLY | os.O_APPEND)
    for number, file in enumerate((os.open(os.devnull, os.O_RDONLY), log, log)):
        os.dup2(file, number)
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
    random.seed()
    live(request, _load_and_run)


def _load_and_run() -> None:
    time.tzset()
    import_module("bridge.__main__").main()


def _end_of(log: Path) -> Path:
    return log.with_suffix(".end")


if __name__ == "__main__":
    serve()
