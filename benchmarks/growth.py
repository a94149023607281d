"""Whether years of history make anything slower: the same work on stores with ever more postings in them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks.contenders import PROGRAM, Arena
from benchmarks.history import fill_history
from benchmarks.measure import fan_out, one_by_one
from benchmarks.processes import Failed, running
from benchmarks.tables import percentile

WARM_UP = 5  # cases


async def growth(arena: Arena, sizes: list[int], boards: int, cases: int) -> dict[str, Any]:
    """Fill a new store with so many settled postings of closed cases, and measure there; for each size."""
    rounds = [await _on(arena, size, boards, cases) for size in sizes]
    return {"boards": boards, "cases": cases, "rounds": rounds}


async def _on(arena: Arena, size: int, boards: int, cases: int) -> dict[str, Any]:
    path = arena.home / f"history-{size}.db"
    store = f"sqlite:///{path}"
    began = time.monotonic()
    await _migrate(arena.home, store)
    await fill_history(store, size)
    filled = time.monotonic() - began
    # Reading back is put off: it is not what is measured here, and comes at its own times.
    checks = {"checks": [86400]}
    async with arena.bridge(arena.signs("bridge", 1), store=store, dispatch=checks) as contender:
        ready = contender.ready_after
        await one_by_one(contender, arena.boards, WARM_UP)
        shown, gone = await one_by_one(contender, arena.boards, cases)
    async with arena.bridge(arena.signs("bridge", boards), store=store, dispatch=checks) as contender:
        one = await fan_out(arena.boards, contender, boards)
    found = {
        "postings": size,
        "bytes": sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*")),
        "filled": round(filled, 1),
        "ready": round(ready, 3),
        "shown": round(percentile(shown, 50), 3),
        "gone": round(percentile(gone, 50), 3),
        "seconds": round(one.shown + one.gone, 3),
        "cpu": one.cpu,
    }
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    return found


async def _migrate(home: Path, store: str) -> None:
    log = home / "migrate.log"
    async with running(PROGRAM, "migrate", log=log, more={"BRIDGE_STORE__URL": store}) as process:
        if await process.wait():
            raise Failed(f"the store could not be made:\n{log.read_text()[-2000:]}")
