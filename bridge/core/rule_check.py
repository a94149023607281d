"""What is wrong with rules that can be read: those that never fire, those that others contradict, channels left out.

Exact, over every case (see ``rule_space``). None of it is unsafe, for the default is to deny; all of it is a mistake.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bridge.core.rule_space import Space, union
from bridge.core.rules import Rule

_LISTS = ("channels", "categories", "statuses", "urgencies", "owners", "languages", "photo", "area")


class Finding(NamedTuple):
    """A mistake: the position of the rule (``None``: the file as a whole), and the sentence."""

    rule: int | None
    words: str


def check(space: Space) -> list[Finding]:
    """Find every mistake at once, in the order of the rules."""
    known = {rule.name: space.of(rule) for rule in space.rules}
    found = []
    for number, rule in enumerate(space.rules):
        look = _denies if rule.effect == "deny" else _allows
        words = _empty(rule) or look(space, rule, known, space.rules[:number])
        if words:
            found.append(Finding(number, f"rule {rule.name}: {words}"))
    return [*found, *_left_out(space, known)]


def _empty(rule: Rule) -> str:
    empty = next((name for name in _LISTS if getattr(rule, name) == ()), "")
    return (
        f"can never fire: {empty} is an empty list, which matches nothing; leave it out to match all" if empty else ""
    )


def _denies(space: Space, rule: Rule, known: dict[str, int], earlier: Sequence[Rule]) -> str:
    """A deny that says what an invariant says too stays: people read the file, not the code."""
    rest = known[rule.name] & ~space.forbidden
    return _first(rest, known, [one for one in earlier if one.effect == "deny"], "all of it is denied") if rest else ""


def _allows(space: Space, rule: Rule, known: dict[str, int], earlier: Sequence[Rule]) -> str:
    mine = known[rule.name]
    denies = [one for one in space.rules if one.effect == "deny"]
    open_to_it = mine & ~union(known[one.name] for one in denies)
    if rest := open_to_it & ~space.forbidden:
        return _first(rest, known, [one for one in earlier if one.effect == "allow"], "all of it is allowed")
    against = [one.decision.reason.value for one in space.invariants if one.bits & open_to_it]
    fixed = f"the fixed rules ({', '.join(against)})" if against else ""
    names = _names(mine & ~space.forbidden, known, denies)
    return f"is contradicted: all that it allows is denied by {' and '.join(filter(None, (names, fixed)))}"


def _first(rest: int, known: dict[str, int], earlier: Sequence[Rule], verb: str) -> str:
    if rest & ~union(known[one.name] for one in earlier):
        return ""
    return f"can never fire: {verb} earlier, by {_names(rest, known, earlier)}"


def _names(rest: int, known: dict[str, int], rules: Sequence[Rule]) -> str:
    """Name the rules that together take these cases away: the one that does it alone, else each that takes some."""
    alone = [rule.name for rule in rules if not rest & ~known[rule.name]]
    names = []
    for rule in rules:
        if rest & known[rule.name]:
            names.append(rule.name)
            rest &= ~known[rule.name]
    return ", ".join(alone[:1] or names)


def _left_out(space: Space, known: dict[str, int]) -> Iterator[Finding]:
    """A channel that is closed on purpose has rules that deny all of it."""
    denied = union(known[rule.name] for rule in space.rules if rule.effect == "deny") | space.forbidden
    for name in dict.fromkeys(one.name for one in space.channels):
        cases = space.where([one for one in space.channels if one.name == name])
        if not cases & space.allowed and cases & ~denied:
            yield Finding(
                None, f"channels: no rule allows {name!r}; allow it, or close it with a deny for channels: [{name}]"
            )
