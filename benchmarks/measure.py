"""The way of one event to one board, and of one case to many boards and back."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.contenders import Arena, Boards, Contender
from benchmarks.events import case_events
from benchmarks.processes import cpu_seconds, peak_memory

IDLE = 0.03  # seconds between events, so that each one finds its program with nothing to do
WARM_UP = 20  # events before the first that counts
PATIENCE = 180.0  # seconds that one case may take to all its boards


@dataclass(frozen=True)
class FanOut:
    """One case to all boards and back, in seconds; ``cpu`` is the program's processor time meanwhile."""

    who: str
    boards: int
    shown: float
    gone: float
    cpu: float
    memory: float


async def latency(arena: Arena, events: int, rounds: int) -> dict[str, Any]:
    """Measure both contenders in turns, so that what else the machine does hits both. Times are in ms."""
    found: dict[str, dict[str, list[float]]] = {who: {"shown": [], "gone": []} for who in ("bare", "bridge")}
    # Reading back is put off, for a board that is being read is not idle.
    checks = {"checks": [86400]}
    async with (
        arena.bare(arena.signs("bare", 1)) as bare,
        arena.bridge(arena.signs("bridge", 1), dispatch=checks) as bridge,
    ):
        for contender in (bare, bridge):
            await one_by_one(contender, arena.boards, WARM_UP)
        for _ in range(rounds):
            for contender in (bare, bridge):
                shown, gone = await one_by_one(contender, arena.boards, max(1, events // rounds))
                found[contender.name]["shown"] += shown
                found[contender.name]["gone"] += gone
    return dict(found)


async def one_by_one(contender: Contender, boards: Boards, events: int) -> tuple[list[float], list[float]]:
    """Send cases one by one to one board; give the ms from publication to the opening's PUT and the ending's DELETE."""
    shown: list[float] = []
    gone: list[float] = []
    for _ in range(events):
        opened, ended = case_events()
        for event, count, list_of in ((opened, 1, shown), (ended, 0, gone)):
            await asyncio.sleep(IDLE)
            sent = await contender.send(event)
            took = await boards.until(contender.name, count, PATIENCE) - sent
            list_of.append(round(took / 1e6, 3))
    return shown, gone


async def fan_outs(arena: Arena, count: int, repeat: int) -> dict[str, Any]:
    """Run the contenders in turns, each time as a new process with a new store."""
    rounds = []
    for _ in range(repeat):
        async with arena.bare(arena.signs("bare", count)) as contender:
            rounds.append(await fan_out(arena.boards, contender, count))
        async with arena.bridge(arena.signs("bridge", count)) as contender:
            rounds.append(await fan_out(arena.boards, contender, count))
    return {"boards": count, "rounds": [asdict(one) for one in rounds]}


async def fan_out(boards: Boards, contender: Contender, count: int) -> FanOut:
    """Send one case to ``count`` boards, wait until the last shows it, end it, wait until the last is dark."""
    opened, ended = case_events()
    before = sum(map(cpu_seconds, contender.pids))
    sent = await contender.send(opened)
    shown = await boards.until(contender.name, count, PATIENCE) - sent
    sent = await contender.send(ended)
    gone = await boards.until(contender.name, 0, PATIENCE) - sent
    cpu = sum(map(cpu_seconds, contender.pids)) - before
    memory = max(map(peak_memory, contender.pids))
    return FanOut(contender.name, count, round(shown / 1e9, 4), round(gone / 1e9, 4), round(cpu, 2), round(memory, 1))
