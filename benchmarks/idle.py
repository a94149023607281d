"""What the bridge costs when nothing happens: its start, and its processor time while it waits."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from benchmarks.contenders import Arena
from benchmarks.processes import cpu_seconds

SETTLE = 2.0  # seconds after the start that do not count as idle


async def idle(arena: Arena, seconds: float, repeat: int) -> dict[str, Any]:
    """Start the bridge some times, with the broker and one board; the last one is watched while it is idle."""
    ready, cpu = [], []
    for number in range(repeat):
        async with arena.bridge(arena.signs("bridge", 1)) as contender:
            ready.append(round(contender.ready_after, 3))
            cpu.append(round(contender.ready_cpu, 2))
            if number == repeat - 1:
                watched = await watch(contender.pids[0], seconds)
    return {"ready": ready, "ready_cpu": cpu, **watched}


async def watch(pid: int, seconds: float) -> dict[str, float]:
    """Give the percentage of one core that an idle process takes, and how often a second it wakes up."""
    await asyncio.sleep(SETTLE)
    began, cpu, woken = time.monotonic(), cpu_seconds(pid), _wake_ups(pid)
    await asyncio.sleep(seconds)
    took = time.monotonic() - began
    percent = 100 * (cpu_seconds(pid) - cpu) / took
    return {"seconds": seconds, "percent": round(percent, 2), "wake_ups": round((_wake_ups(pid) - woken) / took, 1)}


def _wake_ups(pid: int) -> int:
    """Count how often the threads of a process went to sleep by themselves."""
    count = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        for line in status.read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                count += int(line.split()[1])
    return count
