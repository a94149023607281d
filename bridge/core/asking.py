"""What would become of an event: the decisions that a case of its own would get, and nothing kept or sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bridge.core.case import Case, Standing, fold
from bridge.core.events import Opened, Updated
from bridge.core.planning import Judged, PhotoState, Policy, plan_open
from bridge.core.rules import Decision, Reason


@dataclass(frozen=True, slots=True)
class Answer:
    """The decision about every target, in their order; ``pictured``: the targets that would show the photo."""

    judged: Sequence[Judged]
    pictured: frozenset[str]


def ask(policy: Policy, event: Opened | Updated, now: datetime, max_lifetime: timedelta, photo: PhotoState) -> Answer:
    """Judge an event as the first of its case, by the very plan that the intake makes."""
    case, _ = fold(Case(event.subject), event, now, max_lifetime)
    plan = plan_open(case, policy, {}, photo)
    judged = plan.judged
    if case.standing is Standing.EXPIRED:  # the event's own time is past: it would be kept, and shown nowhere
        gone = Decision(allowed=False, reason=Reason.EXPIRED)
        judged = [replace(one, decision=gone) if one.decision.allowed else one for one in judged]
    return Answer(judged, frozenset(wish.target.id for wish in plan.wishes if wish.target and wish.photo))
