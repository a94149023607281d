"""What may go where, whole: for each channel, owner and category a verdict, what decides, and what it hangs on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from math import prod

from bridge.core.alert import Category, Status, Urgency
from bridge.core.rule_space import OTHER, Channel, Decider, Space, union
from bridge.core.target import OwnerKind

HANGS_ON = ("statuses", "urgencies", "languages", "photo", "area")  # lists of a rule that differ within a cell


class Verdict(StrEnum):
    """Of a cell: it may go, it may not, or that hangs on more."""

    ALLOW = "allow"
    DENY = "deny"
    PARTLY = "partly"


@dataclass(frozen=True, slots=True)
class Cell:
    """One category on one channel of one kind of owner.

    ``usual`` decides for a real and urgent alert in Dutch without a photo, with a circle and a code; ``others`` decide
    otherwise, or decide the rest. The verdict is about the alert without its photo: what only the photo forbids goes.
    """

    verdict: Verdict
    usual: Decider
    others: tuple[Decider, ...]


Matrix = dict[tuple[Channel, OwnerKind, Category], Cell]


def matrix(space: Space) -> Matrix:
    """Judge every channel, owner and category; targets take the status."""
    inner = space.axes[3:]
    size = prod(map(len, inner))
    whole = (1 << size) - 1
    first = (space.axes[0][:1], space.axes[1][:1], space.axes[2][:1])
    plain = space.where(*first, None, None, None, (False,)) & whole
    spoken = ("nl",) if "nl" in space.axes[5] else (OTHER,)
    shape = (frozenset({"circle", "geocode"}),)
    usual = space.where(*first, (Status.ACTUAL,), (Urgency.IMMEDIATE,), spoken, (False,), shape) & whole
    cells: Matrix = {}
    for at, key in enumerate(_keys(space)):
        deciding = [Decider(one.decision, one.rule, one.bits >> size * at & whole) for one in space.deciders]
        cells[key] = _cell([one for one in deciding if one.bits], plain, usual)
    return cells


def _keys(space: Space) -> Iterator[tuple[Channel, OwnerKind, Category]]:
    for channel in space.channels:
        for owner in OwnerKind:
            for category in Category:
                yield channel, owner, category


def _cell(deciding: list[Decider], plain: int, usual: int) -> Cell:
    decides = next(one for one in deciding if one.bits & usual)
    allowed = union(one.bits for one in deciding if one.decision.allowed)
    verdict = Verdict.PARTLY if allowed and plain & ~allowed else Verdict.ALLOW if allowed else Verdict.DENY
    others = [
        one
        for one in deciding
        if one is not decides and (verdict is Verdict.PARTLY or one.decision.allowed != decides.decision.allowed)
    ]
    return Cell(verdict, decides, tuple(others))
