"""One case to many NTCIP signs and back: the whole handshake of the standard with each, over SNMP."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from typing import Any

from benchmarks.contenders import Arena, Contender
from benchmarks.events import case_events
from benchmarks.processes import cpu_seconds, first_line, peak_memory, running
from benchmarks.tally import Told

PATIENCE = 240.0  # seconds that one case may take to all the signs
ROUNDS = ("new signs", "known signs")


async def signs(arena: Arena, count: int) -> dict[str, Any]:
    """Play two cases on one bridge: in the first each sign is asked for its size and its characters too."""
    async with running(sys.executable, "-m", "benchmarks.ntcip", str(count)) as process:
        ports = json.loads(await first_line(process))
        async with arena.bridge([_sign(port) for port in ports]) as bridge:
            rounds = [{"what": what, **await _round(bridge, process, count)} for what in ROUNDS]
            memory = round(peak_memory(bridge.pids[0]), 1)
    return {"signs": count, "rounds": rounds, "memory": memory}


def _sign(port: int) -> dict[str, Any]:
    return {
        "id": f"sign-{port}",
        "channel": "sign",
        "adapter": "ntcip_sign",
        "address": f"127.0.0.1:{port}",
        "owner": {"name": "Benchmark", "kind": "municipality"},
        "sign": {"columns": 16, "rows": 5},
        "languages": ["nl"],
    }


async def _round(bridge: Contender, process: asyncio.subprocess.Process, count: int) -> dict[str, Any]:
    """Play one case; times in seconds, from just before the publication to the last sign's order to show."""
    told, found = Told(process), {}
    asked = await _asked(process, told)
    for event, way, lit in zip(case_events(), ("shown", "gone"), (count, 0), strict=True):
        cpu, signs_cpu = cpu_seconds(bridge.pids[0]), cpu_seconds(process.pid)
        sent = await bridge.send(event)
        found[way] = round((await told.until("lit", lit, PATIENCE) - sent) / 1e9, 3)
        found[f"{way}_cpu"] = round(cpu_seconds(bridge.pids[0]) - cpu, 2)
        found[f"{way}_signs_cpu"] = round(cpu_seconds(process.pid) - signs_cpu, 2)
        before, asked = asked, await _asked(process, told)
        found[f"{way}_asked"] = asked - before
    return found


async def _asked(process: asyncio.subprocess.Process, told: Told) -> int:
    """Give how many questions the signs have had."""
    process.send_signal(signal.SIGUSR1)
    return await told.count("asked", PATIENCE)
