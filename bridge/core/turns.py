"""Boards that hold one message: the cases take turns in it, each whole, the most pressing first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from bridge.core.content import Content
from bridge.core.layout import DoesNotFit

T = TypeVar("T")


def fit(contents: Sequence[Content], make: Callable[[Sequence[Content]], T]) -> tuple[T, frozenset[str]]:
    """Put as many cases as fit into one message, in their order; give it, and the cases that are in it.

    ``make`` builds the message of some contents, or raises ``DoesNotFit``. So does this, when not one fits.
    """
    kept: list[Content] = []
    made: T | None = None
    reason: DoesNotFit | None = None
    for one in contents:
        try:
            made = make([*kept, one])
            kept.append(one)
        except DoesNotFit as error:
            reason = reason or error
    if made is None:
        raise reason or DoesNotFit("there is nothing to show", "er is niets te tonen")
    return made, frozenset(one.case for one in kept)
