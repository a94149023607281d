"""Programs that run beside the measurement: started, watched from outside through ``/proc``, and ended."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

START_SECONDS = 60.0
_TICK = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A measurement that did not come to its end; the message says why."""


@asynccontextmanager
async def running(
    *command: str | Path, log: Path | None = None, more: Mapping[str, str] | None = None, stdin: bool = False
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program; it is stopped at the end, and killed when it does not listen.

    ``log`` takes what it says; without it, its output is a pipe. ``more`` is added to the environment.
    """
    errors = log.open("ab") if log else None
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
        stdout=errors or asyncio.subprocess.PIPE,
        stderr=errors,
        env={**os.environ, **(more or {})},
    )
    try:
        yield process
    finally:
        await end(process)
        if errors:
            errors.close()


async def end(process: asyncio.subprocess.Process, seconds: float = 30.0) -> None:
    """Ask a program to stop; kill it when it does not."""
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), seconds)
    except TimeoutError:
        process.kill()
        await process.wait()


async def first_line(process: asyncio.subprocess.Process) -> str:
    """Give the first line that a program says: it is ready."""
    if process.stdout is None:
        raise Failed("a program without output")
    line = await asyncio.wait_for(process.stdout.readline(), START_SECONDS)
    if not line:
        raise Failed("a program ended before it began; its words stand above")
    return line.decode().strip()


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def cpu_seconds(pid: int) -> float:
    """Give the processor time that a process has had, user and system, with that of its ended children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICK


def cpu_seconds_of(name: str) -> float:
    """Give the processor time of all processes that are called so: a server of many processes."""
    total = 0.0
    for status in Path("/proc").glob("[0-9]*/comm"):
        try:
            if status.read_text().strip() == name:
                total += cpu_seconds(int(status.parent.name))
        except OSError:
            continue  # it ended meanwhile
    return total


def peak_memory(pid: int) -> float:
    """Give the most memory that a process ever held (VmHWM), in MB."""
    return _told_by_kernel(pid, "VmHWM")


def memory(pid: int) -> float:
    """Give the memory that a process holds now (VmRSS), in MB; what the kernel holds for its sockets is not in it."""
    return _told_by_kernel(pid, "VmRSS")


def _told_by_kernel(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise Failed(f"the kernel does not tell {name}")
