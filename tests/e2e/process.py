"""The real program in its own process, as an administrator starts it: what it logs, what it answers, how it ends."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import isawaitable
from pathlib import Path
from typing import Any

import aiohttp

from tests.e2e.forked import Forge, Forked

PROGRAM = Path(sys.executable).with_name("burgernet-bridge")
PATIENCE = 20.0  # seconds that a condition may take on a busy machine
LOOK = 0.02  # seconds between two looks


async def until(
    condition: Callable[[], bool | Awaitable[bool]], what: str = "", seconds: float = PATIENCE, look: float = LOOK
) -> float:
    """Wait until a condition holds, and give how long that took; fail with ``what`` after ``seconds``."""
    began = time.monotonic()
    while True:
        holds = condition()
        if await holds if isawaitable(holds) else holds:
            return time.monotonic() - began
        if time.monotonic() - began > seconds:
            raise AssertionError(f"not within {seconds:g} s: {what or condition}")
        await asyncio.sleep(look)


@dataclass(frozen=True)
class Answer:
    """What a command gave: exit code, stdout and stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The stdout, which must be JSON and nothing else."""
        return json.loads(self.out)

    @property
    def problems(self) -> list[str]:
        """The lines of stderr, each an error."""
        return self.err.splitlines()


async def command(
    *words: str, folder: Path, environment: Mapping[str, str], stdin: bytes = b"", seconds: float = 60.0
) -> Answer:
    """Run one command to its end."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        str(PROGRAM), *words, cwd=folder, env=dict(environment), stdin=pipe, stdout=pipe, stderr=pipe
    )
    try:
        async with asyncio.timeout(seconds):
            out, err = await process.communicate(stdin)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Answer(process.returncode or 0, out.decode(), err.decode())


class Running:
    """A bridge that runs as a service. Its log goes to a file, as JSON lines. ``forge``: who makes it, if anybody."""

    forge: Forge | None = None

    def __init__(self, process: asyncio.subprocess.Process | Forked, log: Path) -> None:
        self.began = time.monotonic()
        self.process = process
        self.log = log
        self._port = 0

    @classmethod
    async def start(
        cls, folder: Path, environment: Mapping[str, str], log: Path, *words: str, before: Sequence[str] = ()
    ) -> Running:
        """Start ``burgernet-bridge run``, with ``before`` in front: what puts it in a network of its own, say."""
        if cls.forge and not before:
            return cls(await cls.forge.start(("run", *words), folder, environment, log), log)
        with log.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                *before, str(PROGRAM), "run", *words, cwd=folder, env=dict(environment), stdout=file, stderr=file
            )
        return cls(process, log)

    def age(self) -> float:
        """Give the seconds since the start of the process."""
        return time.monotonic() - self.began

    @property
    def text(self) -> str:
        """Everything it wrote, to stdout and stderr."""
        return self.log.read_text()

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Give the log lines of one event."""
        lines = [json.loads(line) for line in self.text.splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def failures(self, target: str) -> int:
        """Tell how often in a row steps at a target failed, as far as the log tells (1, 2, 4, 8 …)."""
        return max((line["attempts"] for line in self.logged("step failed") if line["target"] == target), default=0)

    async def until_logged(self, event: str, times: int = 1, seconds: float = PATIENCE) -> float:
        """Wait until it has logged an event."""
        return await until(lambda: len(self.logged(event)) >= times, f"{times}x {event!r} in {self.log}", seconds)

    async def get(self, path: str) -> tuple[int, str]:
        """Ask its web server."""
        if not self._port:
            await self.until_logged("web server listens")
            self._port = self.logged("web server listens")[0]["port"]
        url = f"http://127.0.0.1:{self._port}{path}"
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as http, http.get(url) as answer:
            return answer.status, await answer.text()

    async def ready(self, seconds: float = PATIENCE) -> float:
        """Wait until ``/readyz`` says so; give the seconds since the start of the process."""

        async def is_ready() -> bool:
            assert self.process.returncode is None, f"it ended with {self.process.returncode}: {self.text}"
            return bool(self.logged("web server listens")) and (await self.get("/readyz"))[0] == 200

        await until(is_ready, f"ready: {self.log}", seconds)
        return self.age()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    async def ended(self, seconds: float = PATIENCE) -> int:
        """Wait for its end; give the exit code, negative for a signal."""
        async with asyncio.timeout(seconds):
            return await self.process.wait()

    async def kill(self) -> None:
        """End it with SIGKILL, as a power cut does; harmless when it has ended."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    async def stop(self) -> None:
        """End it in order with SIGTERM."""
        self.signal(signal.SIGTERM)
        assert await self.ended() == 0, self.text
