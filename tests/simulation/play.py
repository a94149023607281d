"""Plays many histories on all processors, and adds up what they gave."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

import structlog

from tests.simulation.generate import generate
from tests.simulation.history import History
from tests.simulation.judge import listen
from tests.simulation.run import run

CHUNK = 25  # histories that a process plays before it reports


@dataclass
class Sum:
    """What many histories gave: counts, those that failed (with what was wrong), and the processor time they took."""

    counts: Counter[str] = field(default_factory=Counter)
    failed: list[tuple[History, str]] = field(default_factory=list)
    cpu: float = 0.0
    wall: float = 0.0
    processes: int = 1

    def add(self, other: Sum) -> None:
        """Take another sum in."""
        self.counts.update(other.counts)
        self.failed += other.failed
        self.cpu += other.cpu


def prepare() -> None:
    """Let the judge read what the bridge logs; killed processes leave coroutines that never end, as it should be."""
    structlog.configure(processors=[listen], wrapper_class=structlog.make_filtering_bound_logger(0))
    sys.unraisablehook = lambda _: None


def play(histories: Sequence[History | int]) -> Sum:
    """Play some histories, or those of some seeds, in this process."""
    total = Sum()
    begun = time.process_time()
    for one in histories:
        verdict = run(generate(one) if isinstance(one, int) else one)
        total.counts.update(verdict.counts)
        if verdict.wrong:
            total.failed.append((verdict.history, verdict.wrong[0]))
    total.cpu = time.process_time() - begun
    return total


def play_on_all(histories: Sequence[History | int], processes: int) -> Sum:
    """Play histories on several processors."""
    total, begun = Sum(processes=processes), time.perf_counter()
    if processes == 1:
        prepare()
        total.add(play(histories))
    else:
        # A fork has everything imported already.
        context = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(processes, mp_context=context, initializer=prepare) as pool:
            for part in pool.map(play, _chunks(histories)):
                total.add(part)
    total.wall = time.perf_counter() - begun
    return total


def _chunks(histories: Sequence[History | int]) -> Iterator[Sequence[History | int]]:
    for start in range(0, len(histories), CHUNK):
        yield histories[start : start + CHUNK]


def processors() -> int:
    """Say how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
