"""What should be where: from a case, the targets and the rules to one wish for each target.

A wish changes what a posting desires; closing the difference is the dispatcher's work. An ending asks no rule, no area
and no target list: it goes to what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bridge.core import content as contents
from bridge.core.advice import ADVISING, Advising
from bridge.core.alert import Alert, Info, Outcome, choose
from bridge.core.case import Case, Standing
from bridge.core.content import Content, Phase, Photo, Renderer
from bridge.core.layout import READING, DoesNotFit, Reading
from bridge.core.posting import Applied, Capabilities, Desired, Kind, posting_id
from bridge.core.rules import Decision, Facts, Reason, Rule, decide
from bridge.core.target import Target
from bridge.core.target_index import TargetIndex
from bridge.core.targeting import has_place, kinds_of


@dataclass(frozen=True, slots=True)
class Existing:
    """What the plan must know of a posting that is already there."""

    desired: Desired
    content: str
    revision: int
    reason: str
    applied: Applied
    applied_photo: str
    carried: bool
    in_flight: bool
    held: bool  # an operator took it away
    photo: str = ""
    applied_content: str = ""
    applied_revision: int = 0
    applied_ending: bool = False

    @property
    def touched(self) -> bool:
        """Whether the target has, or may have, seen something of this case."""
        return self.carried or self.in_flight or self.applied in (Applied.SHOWN, Applied.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Wish:
    """What one target should show from now on."""

    posting: str
    target: Target | None  # None: a target that is no longer in the list
    desired: Desired
    content: str = ""
    photo: str = ""
    reason: str = ""
    waits_for_photo: bool = False
    language: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """The decision about one target, to be kept with its reason."""

    target: str
    channel: str
    decision: Decision


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that one look at an open case changes. ``contents`` by their names."""

    wishes: Sequence[Wish]
    contents: Mapping[str, Content]
    judged: Sequence[Judged]


@dataclass(frozen=True, slots=True)
class Policy:
    """What decides: the targets, the rules, what each adapter can do, the templates, and how fast boards are read.

    ``digest`` changes when any of these does. ``advising``: what those who write texts want to be warned of.
    """

    targets: Sequence[Target]
    rules: Sequence[Rule]
    adapters: Mapping[str, Capabilities]
    renderer: Renderer
    digest: str = ""
    reading: Reading = READING
    advising: Advising = ADVISING
    index: TargetIndex | None = None  # of all targets; ``None``: made when it is needed


@dataclass(frozen=True, slots=True)
class PhotoState:
    """The case's photo: ready, or still to come; neither: there is none to wait for."""

    ready: Photo | None = None
    coming: bool = False


def plan_open(
    case: Case,
    policy: Policy,
    existing: Mapping[str, Existing],
    photo: PhotoState,
    held: Collection[str] = (),
) -> Plan:
    """Look at an open case: judge every target, and wish what differs from what is desired already.

    ``held``: the targets that an operator keeps the case off, wherever they move.
    """
    alert = case.registers.alert
    if alert is None:
        return Plan((), {}, ())
    judge = Judge(alert, policy)
    desk = _Desk(case, alert, policy, photo, judge)
    wishes: list[Wish] = []
    judged: list[Judged] = []
    listed: set[str] = set()
    for target in policy.targets:
        decision, info = judge.about(target)
        if target.id in held:
            decision = Decision(allowed=False, reason=Reason.OPERATOR)
        if not existing and not decision.allowed:  # most of very many: a name takes longer to make than all of this
            judged.append(Judged(target.id, target.channel, decision))
            continue
        name = posting_id(case.id, target)
        listed.add(name)
        before = existing.get(name)
        wish = None
        if decision.allowed and info:
            decision, wish = desk.wish(name, target, info, before, decision)
        if not decision.allowed and before:
            wish = Wish(name, target, Desired.REFUSED, reason=decision.reason)
        judged.append(Judged(target.id, target.channel, decision))
        if wish and _differs(wish, before):
            wishes.append(wish)
    gone = (name for name, before in existing.items() if name not in listed and before.desired is Desired.SHOWN)
    return Plan([*wishes, *plan_removed(gone).wishes], desk.contents, judged)


def plan_removed(postings: Iterable[str]) -> Plan:
    """Wish nothing at targets that are not in the list any more."""
    return Plan([Wish(name, None, Desired.REFUSED, reason=Reason.TARGET_REMOVED) for name in postings], {}, ())


def _differs(wish: Wish, before: Existing | None) -> bool:
    if before is None:
        return wish.desired is Desired.SHOWN
    return not before.held and (wish.desired, wish.content) != (before.desired, before.content)


class Judge:
    """Judges one alert for many targets: rules first, then place, then language."""

    def __init__(self, alert: Alert, policy: Policy) -> None:
        self._alert = alert
        self._policy = policy
        index = policy.index or TargetIndex(policy.targets)
        self._meant = index.meant(alert)
        reason = Reason.AREA if has_place(alert) else Reason.NO_AREA
        self._elsewhere = Decision(allowed=False, reason=reason)
        self._alike: dict[object, tuple[Decision, Info | None, bool]] = {}
        self._area = kinds_of([alert.area])
        self._decided: dict[Facts, Decision] = {}

    def about(self, target: Target) -> tuple[Decision, Info | None]:
        """Say whether the alert goes to ``target``, why, and in which text."""
        decision, info, _ = self._by_rules(target)
        if not decision.allowed:
            return decision, None
        if target.id not in self._meant:
            return self._elsewhere, None
        if info is None:
            return Decision(allowed=False, reason=Reason.LANGUAGE, detail=", ".join(target.languages)), None
        return decision, info

    def takes_photo(self, target: Target) -> bool:
        """Say whether the photo may go there too (R14)."""
        return self._by_rules(target)[2]

    def _by_rules(self, target: Target) -> tuple[Decision, Info | None, bool]:
        """Judge once what many targets have alike."""
        pictured = target.sign is None or target.sign.photo
        alike = (target.channel, target.adapter, target.owner.kind, target.accepts, target.languages, pictured)
        known = self._alike.get(alike)
        if known is None:
            info = choose(self._alert.info, target.languages)
            decision, with_photo = self.with_photo(target, info)
            known = self._alike[alike] = decision, info, with_photo
        return known

    def with_photo(self, target: Target, info: Info | None) -> tuple[Decision, bool]:
        """Judge with the photo; what only the photo forbids goes without it (R14)."""
        can = self._policy.adapters[target.adapter]
        carries = can.photo and self._alert.photo is not None and (target.sign is None or target.sign.photo)
        if carries and (decision := self._decide(target, can, info, photo=True)).allowed:
            return decision, True
        return self._decide(target, can, info, photo=False), False

    def _decide(self, target: Target, can: Capabilities, info: Info | None, *, photo: bool) -> Decision:
        facts = Facts(
            channel=target.channel,
            board=can.board,
            owner=target.owner.kind,
            category=self._alert.category,
            status=self._alert.status,
            urgency=self._alert.urgency,
            language=info.language.split("-")[0].lower() if info else "",
            photo=photo,
            area=self._area,
            accepts=target.accepts.status,
        )
        if facts not in self._decided:
            self._decided[facts] = decide(facts, self._policy.rules)
        return self._decided[facts]


class _Desk:
    """Makes contents, each once, and the wishes that show them."""

    def __init__(self, case: Case, alert: Alert, policy: Policy, photo: PhotoState, judge: Judge) -> None:
        self.contents: dict[str, Content] = {}
        self._case = case
        self._alert = alert
        self._policy = policy
        self._photo = photo
        self._judge = judge
        self._made: dict[object, tuple[str, str] | DoesNotFit] = {}

    def wish(
        self, name: str, target: Target, info: Info, before: Existing | None, decision: Decision
    ) -> tuple[Decision, Wish | None]:
        """Wish that ``target`` shows ``info``, or refuse it because the board cannot show it in full."""
        can = self._policy.adapters[target.adapter]
        touched = before is not None and before.touched
        again = before is not None and (before.desired, before.revision) == (Desired.SHOWN, self._case.revision)
        heard = before is not None and before.desired is Desired.SHOWN and before.revision >= self._case.worded
        if heard and touched and can.kind is Kind.MESSAGE:
            return decision, None  # a photo that came late, or a longer validity, is no news of the case
        if before and can.kind is Kind.MESSAGE and self._was_told(before):
            # It was forbidden for a while and no longer is; who has this very alert is not mailed again.
            told = (before.applied_content, before.applied_photo)
            return decision, Wish(name, target, Desired.SHOWN, *told, decision.rule, language=info.language)
        follow_up = touched and before is not None and before.carried and can.kind is Kind.MESSAGE
        pictured = self._judge.takes_photo(target) and not follow_up
        photo = self._photo.ready if pictured else None
        made = self._content(target, can, info, photo, updated=touched and not again and not heard)
        if isinstance(made, DoesNotFit):
            refused = Decision(allowed=False, reason=Reason.LAYOUT, detail=str(made), detail_nl=made.dutch)
            return refused, None
        waits = pictured and self._photo.coming and can.kind is not Kind.STATE
        if heard and touched and not again and before and before.photo == made[1] and can.kind is Kind.POST:
            return decision, None  # the same words and picture: a longer validity is no correction
        wish = Wish(name, target, Desired.SHOWN, made[0], made[1], decision.rule, waits, info.language)
        return decision, wish

    def _was_told(self, before: Existing) -> bool:
        """Whether a target that was refused since has the case as it is said now."""
        there = before.applied is Applied.SHOWN and not before.applied_ending
        return before.desired is Desired.REFUSED and there and before.applied_revision >= self._case.worded

    def _content(
        self, target: Target, can: Capabilities, info: Info, photo: Photo | None, *, updated: bool
    ) -> tuple[str, str] | DoesNotFit:
        sign = target.sign if can.board and not can.fits_all else None
        several = target.languages if can.fits_all else ()
        key = (target.channel, info.language, photo is None, can.board, sign, several, updated and not can.board)
        if key not in self._made:
            self._made[key] = self._make(target, can, info, photo, updated=updated)
        return self._made[key]

    def _others(self, target: Target, info: Info) -> list[Info]:
        """Give the texts in a target's other languages that may go there."""
        found = (choose(self._alert.info, (language,)) for language in target.languages)
        wanted = {id(one): one for one in found if one is not None and one is not info}
        return [one for one in wanted.values() if self._judge.with_photo(target, one)[0].allowed]

    def _make(
        self, target: Target, can: Capabilities, info: Info, photo: Photo | None, *, updated: bool
    ) -> tuple[str, str] | DoesNotFit:
        if can.board:
            sign = None if can.fits_all else target.sign
            if sign is None and not can.fits_all:
                return DoesNotFit("its size is not known", "de afmetingen zijn niet bekend")
            others = self._others(target, info) if can.fits_all else ()
            try:
                made = contents.board(self._case, self._alert, info, sign, photo, self._policy.reading, others)
            except DoesNotFit as reason:
                return reason
        else:
            phase = Phase.UPDATED if updated else Phase.OPENED
            words = contents.words_of(self._case.id, phase, self._alert, info, photo=photo is not None)
            made = contents.message(target.channel, words, self._policy.renderer, self._case.revision, photo)
        name = contents.content_id(made)
        self.contents[name] = made
        return name, made.photo.digest if made.photo else ""


@dataclass(frozen=True, slots=True)
class Group:
    """Postings that an ending treats alike.

    ``refused``: the latest content was kept from them, so the ending speaks of what they were ``told`` last.
    """

    kind: Kind
    channel: str
    language: str
    refused: bool = False
    told: Content | None = None
    told_id: str = ""


@dataclass(frozen=True, slots=True)
class GroupWish:
    """What an ending makes of a group: a content that tells the outcome, or nothing there."""

    group: Group
    content: Content | None
    forget: bool = False  # nothing more is ever told here
    spare_sent: bool = False  # what was sent without a photo stays as it is


def plan_end(case: Case, groups: Iterable[Group], renderer: Renderer) -> list[GroupWish]:
    """Look at a case that is over or past its time: boards go dark, and who got the alert hears how it ended."""
    wish: Callable[[Group], GroupWish]
    if case.standing is Standing.EXPIRED:
        wish = _at_expiry
    else:

        def wish(group: Group) -> GroupWish:
            return _at_end(case, group, renderer)

    return [wish(group) for group in groups]


def _at_expiry(group: Group) -> GroupWish:
    """Nobody said how it ended, so nothing is said; boards go dark, photos go, and what waits is not sent."""
    return GroupWish(group, None, spare_sent=group.kind is not Kind.STATE)


def _at_end(case: Case, group: Group, renderer: Renderer) -> GroupWish:
    alert, ending = case.registers.alert, case.registers.ending
    if group.kind is Kind.STATE or alert is None or ending is None:
        return GroupWish(group, None)
    if group.kind is Kind.MESSAGE and not case.registers.is_told:
        return GroupWish(group, None, forget=True)  # R16
    if group.kind is Kind.POST and ending.outcome is Outcome.WITHDRAWN:
        return GroupWish(group, None, forget=True)
    words = contents.ending_words(case.id, alert, ending, group.language)
    if group.refused:
        words = contents.words_for_refused(words, group.told)
    return GroupWish(group, contents.message(group.channel, words, renderer, case.revision))
