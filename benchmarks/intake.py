"""How many events a second come in for good: a queue that is full beforehand, and who empties it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aio_pika.abc import AbstractChannel

from benchmarks.contenders import Arena, Contender, Targets
from benchmarks.events import case_events
from benchmarks.processes import Failed, cpu_seconds

PREFETCH = 32  # the default of queue.prefetch
AT_ONCE = 200  # events that are being published at a time
LOOK = 0.01  # seconds between two looks at the queue
PATIENCE = 300.0


async def intake(arena: Arena, events: int) -> dict[str, Any]:
    """Let each contender empty a queue of ``events`` openings of new cases, none of which is meant for its board."""
    rounds = []
    async with arena.bare([], "benchmarks.bare_intake", str(PREFETCH)) as contender:
        rounds.append({"who": "bare"} | await empty(arena, contender, events))
    elsewhere = _elsewhere(arena)
    async with arena.bridge(elsewhere) as contender:
        rounds.append({"who": "bridge, SQLite"} | await empty(arena, contender, events))
    if arena.postgres_url:
        async with arena.database() as store, arena.bridge(elsewhere, store=store) as contender:
            rounds.append({"who": "bridge, PostgreSQL"} | await empty(arena, contender, events))
    return {"events": events, "prefetch": PREFETCH, "rounds": rounds}


def _elsewhere(arena: Arena) -> Targets:
    """Describe one board that takes no alert that is in earnest: every event is judged, and none goes anywhere."""
    return [{**board, "accepts": {"status": ["Test"]}} for board in arena.signs("bridge", 1)]


async def empty(arena: Arena, contender: Contender, events: int) -> dict[str, float]:
    """Fill the queue while the contender is held, let it go, and wait until the queue is empty.

    The bridge also tells of every event, when the rush is over: ``told`` is when that was done.
    """
    async with held(contender.pids[0]):
        for _ in range(0, events, AT_ONCE):
            await asyncio.gather(*(contender.send(case_events()[0]) for _ in range(min(AT_ONCE, events))))
        before = cpu_seconds(contender.pids[0])
    async with arena.channel() as channel:
        results = await _results(channel, contender)
        began = time.monotonic()
        while time.monotonic() - began < PATIENCE:
            queue = await channel.declare_queue(contender.queue, passive=True)
            if queue.declaration_result.message_count == 0:
                seconds = time.monotonic() - began
                cpu = cpu_seconds(contender.pids[0]) - before
                found = {"seconds": round(seconds, 3), "rate": round(events / seconds, 1), "cpu": round(cpu, 2)}
                return found | await _told(channel, results, events, began)
            await asyncio.sleep(LOOK)
    raise Failed(f"{contender.name}: the queue was not empty after {PATIENCE:g} s")


async def _results(channel: AbstractChannel, contender: Contender) -> str:
    """Collect what the bridge tells of the events; the bare consumer tells nothing."""
    if contender.name == "bare":
        return ""
    queue = await channel.declare_queue(exclusive=True)
    await queue.bind(f"{contender.exchange.name}.status", "#")
    return queue.name


async def _told(channel: AbstractChannel, results: str, events: int, began: float) -> dict[str, float]:
    while results and time.monotonic() - began < PATIENCE:
        queue = await channel.declare_queue(results, passive=True)
        if (queue.declaration_result.message_count or 0) >= events:
            return {"told": round(time.monotonic() - began, 3)}
        await asyncio.sleep(LOOK)
    if results:
        raise Failed(f"not every event was told of after {PATIENCE:g} s")
    return {}


@asynccontextmanager
async def held(pid: int) -> AsyncIterator[None]:
    """Hold a process still meanwhile: it has started, it is connected, and it does nothing."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
