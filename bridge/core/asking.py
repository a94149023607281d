"""What would become of events: the decisions and contents that their case would get, and nothing kept or sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bridge.core import content as contents
from bridge.core.alert import Alert, choose
from bridge.core.case import Case, Standing, fold
from bridge.core.content import Content
from bridge.core.errors import InvalidInput
from bridge.core.events import Ended, Event, Opened, Updated
from bridge.core.layout import DoesNotFit
from bridge.core.planning import Existing, Group, Judged, PhotoState, Plan, Policy, plan_end, plan_open
from bridge.core.posting import Applied, Desired, posting_id
from bridge.core.rules import Decision, Reason
from bridge.core.target import Target


@dataclass(frozen=True, slots=True)
class Answer:
    """The decision about every target, in their order; ``pictured``: the targets that would show the photo."""

    judged: Sequence[Judged]
    pictured: frozenset[str]


def ask(policy: Policy, event: Opened | Updated, now: datetime, max_lifetime: timedelta, photo: PhotoState) -> Answer:
    """Judge an event as the first of its case, by the very plan that the intake makes."""
    case, _ = fold(Case(event.subject), event, now, max_lifetime)
    plan = plan_open(case, policy, {}, photo)
    return Answer(_judged(case, plan), frozenset(wish.target.id for wish in plan.wishes if wish.target and wish.photo))


def _judged(case: Case, plan: Plan) -> Sequence[Judged]:
    if case.standing is not Standing.EXPIRED:
        return plan.judged
    # The event's own time is past: it would be kept, and shown nowhere.
    gone = Decision(allowed=False, reason=Reason.EXPIRED)
    return [replace(one, decision=gone) if one.decision.allowed else one for one in plan.judged]


@dataclass(frozen=True, slots=True)
class Scene:
    """What one target would show; no ``content``: nothing. ``too_long``: why its board cannot, and what it could."""

    target: Target
    decision: Decision
    content: Content | None = None
    too_long: DoesNotFit | None = None


@dataclass(frozen=True, slots=True)
class Foresight:
    """What all targets would show after some events of one case, in the order of the targets."""

    case: Case
    alert: Alert
    scenes: Sequence[Scene]


@dataclass
class _Told:
    """What each posting shows so far, as far as a plan asks for it."""

    existing: dict[str, Existing] = field(default_factory=dict)
    shown: dict[str, Content] = field(default_factory=dict)

    def take(self, plan: Plan) -> None:
        for wish in plan.wishes:
            if wish.desired is Desired.SHOWN:
                self.shown[wish.posting] = plan.contents[wish.content]
            else:
                self.shown.pop(wish.posting, None)
            self.existing[wish.posting] = _known(wish.desired, wish.content, plan.contents.get(wish.content))


def _known(desired: Desired, name: str, content: Content | None) -> Existing:
    return Existing(
        desired=desired,
        content=name,
        revision=content.revision if content else 0,
        reason="",
        applied=Applied.SHOWN if content else Applied.GONE,
        applied_photo="",
        carried=True,
        in_flight=False,
        held=False,
    )


def foresee(
    policy: Policy, events: Sequence[Event], now: datetime, max_lifetime: timedelta, photo: PhotoState
) -> Foresight:
    """Say what every target would show after these events of one case, in their order, by the intake's own plans.

    An update alone corrects what everybody has seen. An ending needs the alert that it ends. Raises ``InvalidInput``.
    """
    case, told = Case(events[0].subject), _Told()
    if isinstance(events[0], Updated):
        earlier = _known(Desired.SHOWN, "", None)
        heard = replace(earlier, applied=Applied.SHOWN)
        told.existing = {posting_id(case.id, target): heard for target in policy.targets}
    plan = Plan((), {}, ())
    for event in events:
        case, _ = fold(case, event, now, max_lifetime)
        if not isinstance(event, Ended):
            plan = plan_open(case, policy, told.existing, photo)
            told.take(plan)
    alert = case.registers.alert
    if alert is None:
        raise InvalidInput("type: an ending shows nothing by itself; allowed: the alert's own event before it")
    over = case.standing is not Standing.OPEN
    shown = dict(_endings(case, policy, told)) if over else told.shown
    scenes = [
        _scene(policy, case, alert, one, policy.targets[number], shown)
        for number, one in enumerate(_judged(case, plan))
    ]
    return Foresight(case, alert, scenes)


def _scene(
    policy: Policy, case: Case, alert: Alert, judged: Judged, target: Target, shown: Mapping[str, Content]
) -> Scene:
    decision = judged.decision
    if decision.reason is Reason.LAYOUT:
        return Scene(target, decision, too_long=_too_long(policy, case, alert, target))
    return Scene(target, decision, shown.get(posting_id(case.id, target)) if decision.allowed else None)


def _too_long(policy: Policy, case: Case, alert: Alert, target: Target) -> DoesNotFit | None:
    info = choose(alert.info, target.languages)
    if info is None or target.sign is None:
        return None
    try:
        contents.board(case, alert, info, target.sign, None, policy.reading)
    except DoesNotFit as reason:
        return reason
    return None


def _endings(case: Case, policy: Policy, told: _Told) -> Iterator[tuple[str, Content]]:
    """Give what stands after the ending: an outcome, or nothing."""
    for target in policy.targets:
        name = posting_id(case.id, target)
        if before := told.shown.get(name):
            group = Group(policy.adapters[target.adapter].kind, target.channel, before.language)
            [wish] = plan_end(case, [group], policy.renderer)
            if wish.content:
                yield name, wish.content
