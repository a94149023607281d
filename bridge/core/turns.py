"""Boards that hold one message: the cases take turns in it, each whole, the most pressing first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from bridge.core.alert import Category
from bridge.core.content import Content
from bridge.core.layout import DoesNotFit
from bridge.core.posting import Applied, Receipt, State

T = TypeVar("T")
PRECEDENCE = (Category.AMBER_ALERT, Category.MISSING_CHILD_ALERT, Category.MISSING_CHILD, Category.MISSING_PERSON)


@dataclass(frozen=True, slots=True)
class Turn:
    """One case that is to be seen on a board that holds one message."""

    posting: str
    content_id: str
    content: Content
    category: str = ""
    opened: float = 0.0  # seconds since the epoch

    @property
    def rank(self) -> tuple[int, float, str]:
        """Sort the most pressing first: by kind of case, then the newest."""
        kind = PRECEDENCE.index(Category(self.category)) if self.category in PRECEDENCE else len(PRECEDENCE)
        return kind, -self.opened, self.posting


def fit(content: Content, make: Callable[[Sequence[Content]], T]) -> tuple[T, frozenset[str]]:
    """Put as many cases as fit into one message, in their order; give it, and the cases that are in it.

    ``make`` builds the message of some contents, or raises ``DoesNotFit``. So does this when ``content`` would not even
    fit alone: it waits for nothing.
    """
    made = make([replace(content, turns=())])
    if not content.turns:
        return made, frozenset({content.case})
    kept: list[Content] = []
    for one in content.turns:
        try:
            made = make([*kept, one])
        except DoesNotFit:
            continue
        kept.append(one)
    return made, frozenset(one.case for one in kept)


def joined(own: Content, turns: Sequence[Turn]) -> Content:
    """Give what a board is to show when ``own`` changes: all cases in turn, and itself until the first of them ends."""
    ordered = [turn.content for turn in sorted(turns, key=lambda turn: turn.rank)]
    ends = [one.valid_until for one in (own, *ordered) if one.valid_until]
    return replace(own, turns=tuple(ordered) if len(ordered) > 1 else (), valid_until=min(ends, default=None))


def beside(state: State, turn: Turn, receipt: Receipt, until: float) -> State:
    """Say how a posting stands after another step wrote the message of its board; ``until``: when that clears itself.

    What no longer fits is off the board, and waits.
    """
    if not receipt.has(turn.content):
        there = state.applied in (Applied.SHOWN, Applied.UNKNOWN)
        return waiting(state, turn.content_id) if there else state
    return state._replace(
        applied=Applied.SHOWN,
        applied_content=turn.content_id,
        applied_revision=turn.content.revision,
        applied_photo=turn.content.photo.digest if turn.content.photo else "",
        applied_ending=False,
        carried=True,
        stale=False,
        blind=0,
        attempts=0,
        error="",
        waits=False,
        shown_until=max(state.shown_until, until),
        handle=receipt.handle,
    )


def waiting(state: State, tried: str) -> State:
    """Say that there was no room: it is not there, and comes back when another case leaves the board.

    A correction that came since this content was ``tried`` may fit, and waits for nothing.
    """
    gone = Applied.GONE if state.carried else Applied.NONE
    waits = tried == state.content
    return state._replace(applied=gone, applied_content="", stale=False, looks=0, waits=waits)
