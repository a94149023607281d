"""One case to many display pages and back, all open on one bridge: what each costs, and how long the last one waits."""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from typing import Any

from benchmarks.contenders import Arena, Contender
from benchmarks.events import case_events
from benchmarks.idle import watch
from benchmarks.processes import cpu_seconds, memory, peak_memory, running
from benchmarks.tally import Told

PATIENCE = 120.0  # seconds that the pages may take for one step
QUIET = 20.0  # seconds in which nothing happens but what pages and bridge say to each other
ROUNDS = 3


async def displays(arena: Arena, count: int) -> dict[str, Any]:
    """Open one page for each of so many targets; look at what that takes, then play some cases."""
    tokens = arena.home / "tokens"
    tokens.mkdir()
    words = [secrets.token_urlsafe(24) for _ in range(count)]
    for number, word in enumerate(words):
        (tokens / str(number)).write_text(word)
    (arena.home / "all-tokens").write_text("\n".join(words))
    targets = [_display(number, str(tokens / str(number))) for number in range(count)]
    async with arena.bridge(targets) as bridge:
        pid, port = bridge.pids[0], bridge.web.rpartition(":")[2]
        before, began, cpu = memory(pid), time.monotonic(), cpu_seconds(pid)
        program = (sys.executable, "-m", "benchmarks.screens", port, arena.home / "all-tokens")
        async with running(*program) as process:
            told = Told(process)
            await told.until("heard", count, PATIENCE)
            opening = {"seconds": round(time.monotonic() - began, 2), "cpu": round(cpu_seconds(pid) - cpu, 2)}
            quiet = await watch(pid, QUIET)
            each = (memory(pid) - before) * 1000 / count
            rounds = [await _round(bridge, process, told, count) for _ in range(ROUNDS)]
            peak = round(peak_memory(pid), 1)
    return {
        "displays": count,
        "opening": opening,
        "quiet": quiet,
        "before": round(before, 1),
        "each": round(each, 1),
        "rounds": rounds,
        "memory": peak,
    }


def _display(number: int, secret_file: str) -> dict[str, Any]:
    return {
        "id": f"display-{number}",
        "channel": "display",
        "adapter": "display",
        "address": f"screen {number}",
        "owner": {"name": "Benchmark", "kind": "municipality"},
        "languages": ["nl"],
        "secret_file": secret_file,
    }


async def _round(bridge: Contender, process: asyncio.subprocess.Process, told: Told, count: int) -> dict[str, Any]:
    """Play one case; times in seconds, from just before the publication until the last page has been told."""
    found: dict[str, Any] = {}
    for event, way, all_or_none in zip(case_events(), ("shown", "gone"), (count, 0), strict=True):
        cpu, screens_cpu = cpu_seconds(bridge.pids[0]), cpu_seconds(process.pid)
        sent = await bridge.send(event)
        found[way] = round((await told.until("told", all_or_none, PATIENCE) - sent) / 1e9, 3)
        found[f"{way}_confirmed"] = round((await told.until("confirmed", all_or_none, PATIENCE) - sent) / 1e9, 3)
        found[f"{way}_cpu"] = round(cpu_seconds(bridge.pids[0]) - cpu, 2)
        found[f"{way}_screens_cpu"] = round(cpu_seconds(process.pid) - screens_cpu, 2)
    return found
