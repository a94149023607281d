"""One process and several on one PostgreSQL, and what the processors had to do meanwhile."""

from __future__ import annotations

import os
from typing import Any

from benchmarks.contenders import Arena
from benchmarks.measure import fan_out
from benchmarks.processes import cpu_seconds, cpu_seconds_of


async def workers(arena: Arena, boards: int, most: int) -> dict[str, Any]:
    """Send one case to ``boards`` boards and back, by one process and by ``most`` on one store and one queue."""
    rounds = [await _by(arena, count, boards) for count in (1, most)]
    return {"boards": boards, "cores": os.cpu_count(), "rounds": rounds}


async def _by(arena: Arena, count: int, boards: int) -> dict[str, Any]:
    async with (
        arena.database() as store,
        arena.bridge(arena.signs("bridge", boards), store=store, workers=count) as contender,
    ):
        before = _servers(arena)
        one = await fan_out(arena.boards, contender, boards)
        cpu = {name: round(seconds - before[name], 2) for name, seconds in _servers(arena).items()}
    return {"workers": count, "seconds": round(one.shown + one.gone, 3), "cpu": {"bridge": one.cpu, **cpu}}


def _servers(arena: Arena) -> dict[str, float]:
    """Give the processor time of everything beside the bridge."""
    return {
        "PostgreSQL": cpu_seconds_of("postgres"),
        "RabbitMQ": cpu_seconds_of("beam.smp"),
        "boards": cpu_seconds(arena.boards.pid),
    }
