"""Tells of a history that failed: made small, in few lines, with the command that plays it again."""

from __future__ import annotations

from pathlib import Path

from tests.simulation.history import History
from tests.simulation.run import run
from tests.simulation.shrink import shrink

FOLDER = Path("simulated")  # where failures are kept, in the folder in which make was called
LINES = 60


def tell(history: History, *, small: bool = True) -> str:
    """Give the whole tale; ``small``: of the smallest history that fails in the same way, which is kept in a file."""
    broken = run(history).broken
    if small:
        history = shrink(history, lambda smaller: run(smaller).broken == broken)
    verdict = run(history)
    lines = [f"{at:9.3f}  {what}" for at, what in verdict.trace]
    if len(lines) > LINES:
        half = LINES // 2
        lines = [*lines[:half], f"{'':9}  … {len(lines) - LINES} lines …", *lines[-half:]]
    told = [f"{'FAILED' if verdict.wrong else 'HELD'} {history}", "", *lines, "", *verdict.wrong]
    if small:
        told.append(f"play it again: make simulate REPLAY={keep(history)}")
    return "\n".join(told)


def keep(history: History) -> Path:
    """Write a history to a file of its own."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{history.seed}.json"
    path.write_text(history.to_json() + "\n", "utf-8")
    return path
