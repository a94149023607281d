"""Every case that rules can tell apart, as the bits of one number: a set of cases is an integer, so all can be asked.

A case is a position on eight axes: channel, owner, category, status, urgency, language, photo, and the forms of the
area. A rule is the product of what its lists allow on each axis. The target accepts the status: no rule is about that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product
from math import prod
from typing import Any, get_args

from bridge.core.alert import Category, Status, Urgency
from bridge.core.rules import AreaKind, Decision, Facts, Reason, Rule, broken_invariant
from bridge.core.target import OwnerKind

OTHER = ""  # stands for every language that no rule names

_FORMS = [form for form in get_args(AreaKind) if form != "none"]
AREAS = (
    frozenset({"none"}),
    *(frozenset(some) for size in range(1, len(_FORMS) + 1) for some in combinations(_FORMS, size)),
)
_KNOWN = 4  # axes that the invariants look at: channel, owner, category, status


@dataclass(frozen=True)
class Channel:
    """A channel that an installed adapter drives, and whether it is a board."""

    name: str
    board: bool


@dataclass(frozen=True)
class Decider:
    """What decides some cases: a rule, an invariant, or that no rule allows it; ``bits`` are exactly those cases."""

    decision: Decision
    rule: Rule | None
    bits: int


class Space:
    """All cases, for the channels there are and the languages that the rules name."""

    def __init__(self, channels: Iterable[Channel], rules: Sequence[Rule]) -> None:
        self.channels = tuple(sorted(channels, key=lambda one: (not one.board, one.name)))
        self.rules = tuple(rules)
        named = {language for rule in rules for language in rule.languages or ()}
        self.axes: tuple[tuple[Any, ...], ...] = (
            *(self.channels, tuple(OwnerKind), tuple(Category), tuple(Status)),
            *(tuple(Urgency), (*sorted(named), OTHER), (False, True), AREAS),
        )
        self.size = prod(map(len, self.axes))
        self.all = (1 << self.size) - 1

    def facts(self, position: int) -> Facts:
        """Say which case a bit is."""
        case: list[Any] = []
        for axis in reversed(self.axes):
            position, at = divmod(position, len(axis))
            case.append(axis[at])
        return _facts(*reversed(case))

    def where(self, *chosen: Iterable[Any] | None) -> int:
        """Give all cases whose values are among the chosen ones, axis by axis; ``None``, and what is left out: any."""
        bits, size = 1, 1
        wanted = (*chosen, *[None] * (len(self.axes) - len(chosen)))
        for values, axis in reversed(list(zip(wanted, self.axes, strict=True))):
            among = axis if values is None else set(values)
            bits = _spread(bits, size, [at for at, value in enumerate(axis) if value in among])
            size *= len(axis)
        return bits

    def of(self, rule: Rule) -> int:
        """Give all cases that a rule matches."""
        return self.where(
            [one for one in self.channels if rule.channels is None or one.name in rule.channels],
            *(rule.owners, rule.categories, rule.statuses, rule.urgencies, rule.languages, rule.photo),
            [forms for forms in AREAS if rule.area is None or not forms.isdisjoint(rule.area)],
        )

    @cached_property
    def invariants(self) -> list[Decider]:
        """Give the cases that each invariant forbids."""
        broken: defaultdict[Reason, list[int]] = defaultdict(list)
        each = prod(map(len, self.axes[_KNOWN:]))
        usual = [axis[0] for axis in self.axes[_KNOWN:]]
        for at, case in enumerate(product(*self.axes[:_KNOWN])):
            if reason := broken_invariant(_facts(*case, *usual)):
                broken[reason].append(at)
        return [
            Decider(Decision(allowed=False, reason=reason), None, _spread((1 << each) - 1, each, places))
            for reason, places in broken.items()
        ]

    @cached_property
    def forbidden(self) -> int:
        """All cases that some invariant forbids."""
        return union(one.bits for one in self.invariants)

    @cached_property
    def deciders(self) -> list[Decider]:
        """Divide all cases by what decides them, as ``decide`` does: invariants, denies, allows, then none."""
        found = list(self.invariants)
        left = self.all & ~self.forbidden
        for effect, reason in (("deny", Reason.RULE), ("allow", Reason.ALLOWED)):
            for rule in self.rules:
                if rule.effect == effect:
                    bits = self.of(rule) & left
                    left &= ~bits
                    found.append(Decider(Decision(effect == "allow", reason, rule.name, rule.reason), rule, bits))
        return [*found, Decider(Decision(allowed=False, reason=Reason.NO_RULE), None, left)]

    @cached_property
    def allowed(self) -> int:
        """All cases that may go."""
        return union(one.bits for one in self.deciders if one.decision.allowed)


def union(sets: Iterable[int]) -> int:
    """Put sets of cases together."""
    bits = 0
    for one in sets:
        bits |= one
    return bits


def _spread(bits: int, size: int, places: Iterable[int]) -> int:
    """Repeat a pattern of ``size`` bits at each of these places."""
    return union(bits << size * at for at in places)


def _facts(
    channel: Channel, owner: OwnerKind, category: Category, status: Status, urgency: Urgency, *more: Any
) -> Facts:
    language, photo, area = more
    return Facts(
        channel=channel.name,
        board=channel.board,
        owner=owner,
        category=category,
        status=status,
        urgency=urgency,
        language=language,
        photo=photo,
        area=area,
        accepts=tuple(Status),
    )
