"""Makes a history that fails small: parts are left out and words made plain for as long as it fails in the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.simulation.history import ALLOW_ALL, Act, Fault, History, Message, Part

PLAIN = (("zone", 0), ("photo", False), ("expires", None), ("fits", True), ("status", "Actual"), ("apart", 1500))


def shrink(history: History, fails: Callable[[History], bool], most: int = 400) -> History:
    """Give the smallest history found that still fails; ``most`` is how often it may be tried."""
    tries = iter(range(most))

    def holds_still(smaller: History) -> bool:
        return next(tries, None) is not None and fails(smaller)

    before = None
    while before != history:
        before = history
        history = _fewer(history, holds_still)
        for simpler in _simpler(history):
            if simpler != history and holds_still(simpler):
                history = simpler
    return history


def _fewer(history: History, fails: Callable[[History], bool]) -> History:
    """Leave out halves, quarters, … and single parts (delta debugging)."""
    size = len(history.parts) // 2
    while size:
        start = 0
        while start < len(history.parts):
            parts = history.parts
            smaller = _of(history, (*parts[:start], *parts[start + size :]))
            if smaller.messages and fails(smaller):
                history = smaller
            else:
                start += size
        size //= 2
    return history


def _of(history: History, parts: tuple[Part, ...]) -> History:
    return replace(
        history,
        messages=tuple(part for part in parts if isinstance(part, Message)),
        faults=tuple(part for part in parts if isinstance(part, Fault)),
        acts=tuple(part for part in parts if isinstance(part, Act)),
    )


def _simpler(history: History) -> Iterator[History]:
    """Give histories with one thing less in them, each from the one that was given: fewer targets, bridges, words, digits."""
    for target in history.targets:
        rest = tuple(one for one in history.targets if one != target)
        if rest:
            yield replace(history, targets=rest, faults=tuple(one for one in history.faults if one.target != target))
    if history.rules != ALLOW_ALL:
        yield replace(history, rules=ALLOW_ALL)
        for number in range(len(history.rules)):
            yield replace(history, rules=(*history.rules[:number], *history.rules[number + 1 :]))
    for workers in range(history.workers):
        yield replace(history, workers=workers)
    for name, plain in PLAIN:
        yield replace(history, messages=tuple(replace(one, **{name: plain}) for one in history.messages))
    for digits in (0, 1):
        yield replace(
            history,
            messages=tuple(replace(one, at=round(one.at, digits)) for one in history.messages),
            acts=tuple(replace(one, at=round(one.at, digits)) for one in history.acts),
        )
