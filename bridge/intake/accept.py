"""The one use case of the intake: dedupe → fold → decide → plan, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar
from uuid import uuid4

import structlog

from bridge.core.advice import advise
from bridge.core.alert import Ending, Outcome
from bridge.core.case import Case, Registers, Standing, Verdict, fold, settle
from bridge.core.content import Photo
from bridge.core.errors import BridgeError, InvalidInput
from bridge.core.events import Ended, Event, Opened
from bridge.core.planning import Existing, PhotoState, Policy, plan_end, plan_open, plan_removed
from bridge.core.posting import Kind, posting_id
from bridge.core.target import Target
from bridge.core.targeting import goes_nowhere
from bridge.core.trace import UNTRACED, Trace, Tracer, read_trace, trace_words
from bridge.store import cases, notices, photos, wishes
from bridge.store.database import Database
from bridge.store.together import Together
from bridge.store.writing import Writing, whole

OPERATOR = "urn:burgernet-bridge:operator"
AT_A_TIME = 250  # targets that one transaction judges at most: an ending of another case waits no longer than for that

T = TypeVar("T")
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Accepted:
    """What an event did: the verdict, and how the case stands after it."""

    verdict: Verdict
    standing: Standing
    revision: int


@dataclass(frozen=True, slots=True)
class _Arrival:
    event: Event
    now: datetime
    trace: Trace | None


class Intake:
    """Turns events into desired states. It never calls an adapter; ``wake`` tells the dispatcher to look."""

    def __init__(
        self,
        database: Database,
        policy: Callable[[], Policy],
        *,
        max_lifetime: timedelta,
        photo_wait: float,
        tell: bool,
        wake: Callable[[], None],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        tracer: Tracer = UNTRACED,
        at_a_time: int = AT_A_TIME,
    ) -> None:
        self._database = database
        self._policy = policy
        self._max_lifetime = max_lifetime
        self._photo_wait = photo_wait
        self._tell = tell
        self._wake = wake
        self._clock = clock
        self._tracer = tracer
        self._at_a_time = at_a_time
        self._ordered: tuple[Policy, Policy] | None = None
        self._openings = Together(self._write_openings, self._openings_at_a_time)

    async def accept(self, event: Event) -> Accepted:
        """Take one event in, durably. Raises ``StoreUnavailable`` when it could not be kept."""
        now = self._clock()
        kind = event.type.rpartition(".")[2]
        cause = read_trace(event.model_extra or {})
        with self._tracer.span(f"alert.{kind}", cause, "consumer", case=event.subject) as span:
            accepted = await self._keep(_Arrival(event, now, span.trace))
            span.note(verdict=accepted.verdict.value, revision=accepted.revision)
        log.info(
            "event",
            case=event.subject,
            type=kind,
            verdict=accepted.verdict.value,
            standing=accepted.standing.value,
            revision=accepted.revision,
            **trace_words(span.trace),
        )
        return accepted

    async def _keep(self, arrival: _Arrival) -> Accepted:
        """Openings of new cases go together, for many of them may wait; all else goes at once, and by itself."""
        if isinstance(arrival.event, Opened) and (accepted := await self._openings.add(arrival)):
            return accepted
        return await self._write(partial(self._take_alone, arrival=arrival))

    async def _write_openings(self, arrivals: Sequence[_Arrival]) -> Sequence[Accepted | None]:
        return await self._write(partial(self._take_together, arrivals=arrivals))

    def _openings_at_a_time(self) -> int:
        """Say how many openings have no more targets together than one transaction judges."""
        return max(1, self._at_a_time // max(1, len(self._policy().targets)))

    async def _write(self, change: Callable[[Writing], T]) -> T:
        """Change what is desired, and tell everyone who closes the difference, here and in other processes."""
        result = await self._database.write(whole(change), ring=True)
        self._wake()
        return result

    def _take_alone(self, writing: Writing, arrival: _Arrival) -> Accepted:
        event, connection = arrival.event, writing.connection
        before = cases.lock_case(connection, event.subject)
        if cases.known_events(connection, [event]):
            if before.registers == Registers():
                cases.forget_new(connection, [event.subject])
            return Accepted(Verdict.DUPLICATE, before.standing, before.revision)
        return self._accept(writing, before, arrival)

    def _take_together(self, writing: Writing, arrivals: Sequence[_Arrival]) -> Sequence[Accepted | None]:
        """Take in the first events of their cases; ``None`` for any other.

        Of a known case there may be postings, which a transaction of many cases would lock in no good order.
        """
        connection = writing.connection
        new = cases.make_new(connection, {one.event.subject for one in arrivals})
        known = cases.known_events(connection, [one.event for one in arrivals])
        results: list[Accepted | None] = []
        for arrival in arrivals:
            event = arrival.event
            is_first = event.subject in new and (event.source, event.id) not in known
            results.append(self._accept(writing, Case(event.subject), arrival) if is_first else None)
            if is_first:
                new.discard(event.subject)
                known.add((event.source, event.id))
        cases.forget_new(connection, new)
        return results

    def _accept(self, writing: Writing, before: Case, arrival: _Arrival) -> Accepted:
        event, now, trace = arrival.event, arrival.now, arrival.trace
        after, verdict = fold(before, event, now, self._max_lifetime)
        cases.record_event(writing, event, now, verdict)
        if after != before:
            with self._tracer.span("plan", trace, "internal", case=after.id, revision=after.revision):
                self._change(writing, before, after, now, trace)
        else:
            cases.note_words(writing.connection, event.subject)
        return Accepted(verdict, after.standing, after.revision)

    def _change(self, writing: Writing, before: Case, after: Case, now: datetime, trace: Trace | None = None) -> None:
        stands = (after.revision, after.standing) == (before.revision, before.standing)
        alert = after.registers.alert
        advice = advise(alert, self._policy().advising) if alert else ()
        cases.save_case(writing, after, now, None if stands else trace, advice)
        if stands:
            return
        if after.standing is Standing.OPEN:
            if before.standing is Standing.ENDED and before.revision:
                wishes.start_anew(writing.connection, after.id)
            self._open(writing, after, now, trace, is_new=before.registers == Registers())
        else:
            self._close(writing, after, now)

    def _open(
        self, writing: Writing, case: Case, now: datetime, trace: Trace | None = None, *, is_new: bool = False
    ) -> None:
        """Judge the first targets in this transaction; very many are judged a few at a time (``plan_more``).

        ``is_new``: nobody has heard of the case before, so nothing of it stands anywhere, nor is kept off a target.
        """
        if case.registers.alert and goes_nowhere(case.registers.alert):
            log.warning("an alert without an area goes nowhere", case=case.id)
        self._plan(writing, case, self._policy(), now, 0, trace, is_new=is_new)

    def _plan(
        self,
        writing: Writing,
        case: Case,
        policy: Policy,
        now: datetime,
        start: int,
        trace: Trace | None = None,
        *,
        is_new: bool = False,
        is_first: bool = False,
    ) -> None:
        """Judge targets from ``start``, boards first, and note how far that has come.

        The policy is taken once for what belongs together: a reload may put another in its place at any moment.
        ``is_first``: nobody has looked at these targets for this case before, so nothing of it stands there.
        """
        stamp = now.timestamp()
        ordered = self._in_order(policy)
        targets = ordered.targets
        end = start + self._at_a_time
        whole = start == 0 and len(targets) <= end
        some = ordered if whole else replace(ordered, targets=targets[start:end])
        deadline = stamp + self._photo_wait
        photo = photos.want_photo(writing.connection, case, stamp, deadline)
        held = () if is_new else wishes.held_targets(writing.connection, case.id)
        existing: Mapping[str, Existing] = {}
        if not (is_new or is_first):
            ids = None if whole else [posting_id(case.id, target) for target in some.targets]
            existing = wishes.existing_postings(writing.connection, case.id, ids)
        plan = plan_open(case, some, existing, photo, held)
        wishes.apply_wishes(writing, case, plan, policy.adapters, stamp, deadline)
        # What is left when all are judged is to look for what stands at targets that are not listed any more.
        planned = None if whole else min(end, len(targets))
        if is_new:
            number = wishes.note_first_plan(writing, case.id, policy.digest, planned)
        else:
            number = wishes.note_planned(writing.connection, case.id, policy.digest, planned, first=start == 0)
        wishes.keep_decisions(writing, case, number, plan.judged, stamp)
        if self._tell:
            notices.keep_refusals(writing, case, plan.judged, stamp, trace)

    def _in_order(self, policy: Policy) -> Policy:
        """Give the policy with its targets in order, boards first: they must be fast (R4)."""
        if self._ordered is None or self._ordered[0] is not policy:
            ranked = sorted(policy.targets, key=lambda target: policy.adapters[target.adapter].kind is not Kind.STATE)
            self._ordered = policy, replace(policy, targets=ranked)
        return self._ordered[1]

    async def plan_more(self) -> int:
        """Judge some more targets of each case whose plan is not finished; give how many such cases there were."""
        names = await self._database.read(wishes.unfinished_plans)
        for name in names:
            await self._plan_more(name)
        return len(names)

    async def _plan_more(self, name: str) -> None:
        policy = self._policy()
        start, _ = await self._database.read(partial(wishes.progress, name=name, policy=policy.digest))
        if start is None or start < len(policy.targets):
            await self._write(partial(self._plan_next, name=name))
            return
        shown = await self._database.read(lambda connection: wishes.shown_postings(connection, name))
        await self._write(partial(self._plan_end, name=name, gone=_unlisted(name, shown, policy.targets)))

    def _plan_next(self, writing: Writing, name: str) -> None:
        case, policy = cases.lock_case(writing.connection, name), self._policy()
        start, look = wishes.progress(writing.connection, name, policy.digest)
        if start is None:
            return  # another process was here
        if case.standing is not Standing.OPEN:
            wishes.note_planned(writing.connection, name, policy.digest, None, first=False)
        elif start == wishes.RESTORED:
            self._plan_restored(writing, case, policy)
        elif start < len(policy.targets):
            self._plan(writing, case, policy, self._clock(), start, is_first=start > 0 and look == 1)

    def _plan_restored(self, writing: Writing, case: Case, policy: Policy) -> None:
        """A backup was made in the middle of a plan: judge boards, and posts that are there; nobody is mailed anew."""
        there = wishes.existing_postings(writing.connection, case.id)
        named = {target.id: posting_id(case.id, target) for target in policy.targets}
        kinds = {target.id: policy.adapters[target.adapter].kind for target in policy.targets}
        safe = [
            target
            for target in policy.targets
            if kinds[target.id] is Kind.STATE or (kinds[target.id] is Kind.POST and named[target.id] in there)
        ]
        existing = {named[target.id]: there[named[target.id]] for target in safe if named[target.id] in there}
        now = self._clock().timestamp()
        held = wishes.held_targets(writing.connection, case.id)
        plan = plan_open(case, replace(policy, targets=safe), existing, PhotoState(), held)
        wishes.apply_wishes(writing, case, plan, policy.adapters, now, now)
        number = wishes.note_planned(writing.connection, case.id, policy.digest, None, first=True)
        wishes.keep_decisions(writing, case, number, plan.judged, now)

    def _plan_end(self, writing: Writing, name: str, gone: set[str]) -> None:
        """Take away what stands at targets that left the list, unless the plan began anew meanwhile."""
        case, policy = cases.lock_case(writing.connection, name), self._policy()
        start, _ = wishes.progress(writing.connection, name, policy.digest)
        if start is None or start < len(policy.targets):
            return
        if case.standing is Standing.OPEN:
            removed = plan_removed(gone)
            wishes.apply_wishes(writing, case, removed, {}, self._clock().timestamp(), 0.0)
        wishes.note_planned(writing.connection, name, policy.digest, None, first=False)

    def _close(self, writing: Writing, case: Case, now: datetime) -> None:
        photos.erase_photos(writing.connection, case.id)
        wishes.lock_postings(writing.connection, case.id)
        groups = wishes.groups(writing.connection, case.id)
        wishes.apply_endings(writing.connection, case, plan_end(case, groups, self._policy().renderer), now.timestamp())
        if case.standing is Standing.EXPIRED:
            log.warning("outcome wanted: the alert expired and nobody said how it ended", case=case.id)

    async def expire(self) -> int:
        """Close the cases whose time has passed; give how many."""
        now = self._clock()
        late = await self._database.read(lambda connection: cases.expired_cases(connection, now.timestamp()))
        for name in late:
            await self._write(partial(self._settle, name=name, now=now))
        return len(late)

    def _settle(self, writing: Writing, name: str, now: datetime) -> None:
        before = cases.lock_case(writing.connection, name)
        self._change(writing, before, settle(before, now, self._max_lifetime), now)

    async def keep_photo(self, case: str, uri: str, photo: Photo | None, error: str = "") -> bool:
        """Take a fetched photo (or the reason why there is none) into an open case, and send what waited for it."""
        return await self._write(lambda writing: self._keep_photo(writing, case, uri, photo, error))

    def _keep_photo(self, writing: Writing, name: str, uri: str, photo: Photo | None, error: str) -> bool:
        now = self._clock()
        case = cases.lock_case(writing.connection, name)
        if case.standing is not Standing.OPEN or not photos.keep_photo(writing.connection, name, uri, photo, error):
            return False
        wanted = case.registers.alert.photo if case.registers.alert else None
        if wanted is None or wanted.uri == uri:  # not one that a correction has replaced meanwhile
            wishes.stop_waiting(writing.connection, name, now.timestamp())
            if photo:
                self._open(writing, case, now)
        return True

    async def replan(self) -> int:
        """Judge the open cases anew that were judged by other rules, targets or templates; give how many."""
        digest = self._policy().digest
        names = await self._database.read(lambda connection: cases.judged_otherwise(connection, digest))
        for name in names:
            await self._write(partial(self._reopen, name=name))
        if names:
            log.info("open cases were judged anew", cases=len(names))
        return len(names)

    def _reopen(self, writing: Writing, name: str) -> None:
        case = cases.lock_case(writing.connection, name)
        if case.standing is Standing.OPEN:
            self._open(writing, case, self._clock())

    async def withdraw(self, case: str) -> Accepted:
        """Take a whole case back, as an operator: it ends as *withdrawn*, and those who got it are told so."""
        latest = await self._database.read(lambda connection: cases.latest_time(connection, case))
        if latest is None:
            raise BridgeError(f"case: {case!r} is not known")
        time = max(self._clock(), latest + timedelta(microseconds=1))
        event = Ended(
            specversion="1.0",
            id=str(uuid4()),
            source=OPERATOR,
            type="nl.burgernet.alert.ended",
            subject=case,
            time=time,
            data=Ending(outcome=Outcome.WITHDRAWN),
        )
        return await self.accept(event)

    async def hold(self, case: str, target: str) -> None:
        """Take a case off one target, as an operator, and keep it off; or never let it go there."""
        await self._write(lambda writing: self._hold(writing, case, target))

    def _hold(self, writing: Writing, case: str, target: str) -> None:
        if cases.find_case(writing.connection, case) is None:
            raise BridgeError(f"case: {case!r} is not known")
        cases.lock_case(writing.connection, case)  # a plan that is being made does not know of the hold yet
        taken_away = wishes.hold_posting(writing.connection, case, target, self._clock().timestamp())
        if not taken_away and target not in {one.id for one in self._policy().targets}:
            raise InvalidInput(f"target: {target!r} is not known; allowed: a target of targets.yaml, or of this case")
        wishes.keep_hold(writing.connection, case, target)


def _unlisted(case: str, shown: Iterable[tuple[str, str, str]], targets: Sequence[Target]) -> set[str]:
    """Find the postings whose targets left the list, by the name and the digest that each was made for.

    To name the postings of 100,000 targets would hold up everything else; a target that is as it was needs no look.
    """
    listed = {target.digest for target in targets}
    doubtful = {posting: target for posting, target, digest in shown if digest not in listed}
    names = set(doubtful.values())
    return set(doubtful) - {posting_id(case, target) for target in targets if target.id in names}
