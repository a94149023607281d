"""The one use case of the intake: dedupe → fold → decide → plan, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import structlog

from bridge.core.alert import Ending, Outcome
from bridge.core.case import Case, Standing, Verdict, fold, settle
from bridge.core.content import Photo
from bridge.core.errors import BridgeError, InvalidInput
from bridge.core.events import Ended, Event
from bridge.core.planning import Policy, plan_end, plan_open, plan_removed
from bridge.core.posting import Kind, posting_id
from bridge.core.target import Target
from bridge.store import cases, notices, photos, wishes
from bridge.store.database import Connection, Database

OPERATOR = "urn:burgernet-bridge:operator"
POLICY_FACT = "policy"
AT_A_TIME = 250  # targets that one transaction judges at most: an ending of another case waits no longer than for that

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Accepted:
    """What an event did: the verdict, and how the case stands after it."""

    verdict: Verdict
    standing: Standing
    revision: int


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
        at_a_time: int = AT_A_TIME,
    ) -> None:
        self._database = database
        self._policy = policy
        self._max_lifetime = max_lifetime
        self._photo_wait = photo_wait
        self._tell = tell
        self._wake = wake
        self._clock = clock
        self._at_a_time = at_a_time
        self._ordered: tuple[Policy | None, Sequence[Target]] = (None, ())

    async def accept(self, event: Event) -> Accepted:
        """Take one event in, durably. Raises ``StoreUnavailable`` when it could not be kept."""
        now = self._clock()
        accepted = await self._database.write(lambda connection: self._accept(connection, event, now))
        log.info(
            "event",
            case=event.subject,
            type=event.type.rpartition(".")[2],
            verdict=accepted.verdict.value,
            standing=accepted.standing.value,
            revision=accepted.revision,
        )
        self._wake()
        return accepted

    def _accept(self, connection: Connection, event: Event, now: datetime) -> Accepted:
        if not cases.record_event(connection, event, now):
            known = cases.find_case(connection, event.subject) or Case(event.subject)
            return Accepted(Verdict.DUPLICATE, known.standing, known.revision)
        before = cases.lock_case(connection, event.subject)
        after, verdict = fold(before, event, now, self._max_lifetime)
        cases.record_verdict(connection, event, verdict)
        if after != before:
            self._change(connection, before, after, now)
        else:
            cases.note_words(connection, event.subject)
        return Accepted(verdict, after.standing, after.revision)

    def _change(self, connection: Connection, before: Case, after: Case, now: datetime) -> None:
        cases.save_case(connection, after, now)
        if (after.revision, after.standing) == (before.revision, before.standing):
            return
        if after.standing is Standing.OPEN:
            if before.standing is Standing.ENDED and before.revision:
                wishes.start_anew(connection, after.id)
            self._open(connection, after, now)
        else:
            self._close(connection, after, now)

    def _open(self, connection: Connection, case: Case, now: datetime) -> None:
        """Judge the first targets in this transaction; very many are judged a few at a time (``plan_more``)."""
        self._plan(connection, case, now, 0)

    def _plan(self, connection: Connection, case: Case, now: datetime, start: int) -> None:
        """Judge targets from ``start``, boards first, and note how far that has come."""
        stamp, policy = now.timestamp(), self._policy()
        targets = self._in_order(policy)
        end = start + self._at_a_time
        rest = len(targets) > end
        some = replace(policy, targets=targets[start:end])
        whole = start == 0 and not rest
        ids = None if whole else [posting_id(case.id, target) for target in some.targets]
        deadline = stamp + self._photo_wait
        photo = photos.want_photo(connection, case, stamp, deadline)
        plan = plan_open(case, some, wishes.existing_postings(connection, case.id, ids), photo)
        wishes.apply_wishes(connection, case, plan, policy.adapters, stamp, deadline)
        # What is left when all are judged is to look for what stands at targets that are not listed any more.
        wishes.note_planned(connection, case.id, None if whole else min(end, len(targets)), first=start == 0)
        wishes.keep_decisions(connection, case, plan.judged, stamp)
        if self._tell:
            notices.keep_refusals(connection, case, plan.judged, stamp)

    def _in_order(self, policy: Policy) -> Sequence[Target]:
        """Give the targets, boards first: they must be fast (R4)."""
        if self._ordered[0] is not policy:
            ranked = sorted(policy.targets, key=lambda target: policy.adapters[target.adapter].kind is not Kind.STATE)
            self._ordered = policy, ranked
        return self._ordered[1]

    async def plan_more(self) -> int:
        """Judge some more targets of each case whose plan is not finished; give how many such cases there were."""
        names = await self._database.read(wishes.unfinished_plans)
        for name in names:
            await self._plan_more(name)
            self._wake()
        return len(names)

    async def _plan_more(self, name: str) -> None:
        targets = self._in_order(self._policy())
        start = await self._database.read(lambda connection: wishes.planned_so_far(connection, name))
        if start is None or start < len(targets):
            await self._database.write(lambda connection: self._plan_next(connection, name))
            return
        shown = await self._database.read(lambda connection: wishes.shown_postings(connection, name))
        gone = set(shown) - {posting_id(name, target) for target in targets}
        await self._database.write(lambda connection: self._plan_end(connection, name, gone))

    def _plan_next(self, connection: Connection, name: str) -> None:
        case = cases.lock_case(connection, name)
        start = wishes.planned_so_far(connection, name)
        if start is None:
            return  # another process was here
        if case.standing is not Standing.OPEN:
            wishes.note_planned(connection, name, None, first=False)
        elif start < len(self._in_order(self._policy())):
            self._plan(connection, case, self._clock(), start)

    def _plan_end(self, connection: Connection, name: str, gone: set[str]) -> None:
        """Take away what stands at targets that left the list, unless the plan began anew meanwhile."""
        case = cases.lock_case(connection, name)
        start = wishes.planned_so_far(connection, name)
        if start is None or start < len(self._in_order(self._policy())):
            return
        if case.standing is Standing.OPEN:
            removed = plan_removed(gone)
            wishes.apply_wishes(connection, case, removed, {}, self._clock().timestamp(), 0.0)
        wishes.note_planned(connection, name, None, first=False)

    def _close(self, connection: Connection, case: Case, now: datetime) -> None:
        photos.erase_photos(connection, case.id)
        groups = wishes.groups(connection, case.id)
        wishes.apply_endings(connection, case, plan_end(case, groups, self._policy().renderer), now.timestamp())
        if case.standing is Standing.EXPIRED:
            log.warning("outcome wanted: the alert expired and nobody said how it ended", case=case.id)

    async def expire(self) -> int:
        """Close the cases whose time has passed; give how many."""
        now = self._clock()
        late = await self._database.read(lambda connection: cases.expired_cases(connection, now.timestamp()))
        for name in late:
            await self._database.write(lambda connection, name=name: self._settle(connection, name, now))  # type: ignore[misc]
        if late:
            self._wake()
        return len(late)

    def _settle(self, connection: Connection, name: str, now: datetime) -> None:
        before = cases.lock_case(connection, name)
        self._change(connection, before, settle(before, now, self._max_lifetime), now)

    async def keep_photo(self, case: str, uri: str, photo: Photo | None, error: str = "") -> bool:
        """Take a fetched photo (or the reason why there is none) into an open case, and send what waited for it."""
        kept = await self._database.write(lambda connection: self._keep_photo(connection, case, uri, photo, error))
        self._wake()
        return kept

    def _keep_photo(self, connection: Connection, name: str, uri: str, photo: Photo | None, error: str) -> bool:
        now = self._clock()
        case = cases.lock_case(connection, name)
        if case.standing is not Standing.OPEN or not photos.keep_photo(connection, name, uri, photo, error):
            return False
        wishes.stop_waiting(connection, name, now.timestamp())
        if photo:
            self._open(connection, case, now)
        return True

    async def replan(self, digest: str) -> int:
        """Judge all open cases anew when rules, targets or templates have changed since; give how many."""
        names = await self._database.write(lambda connection: self._stale(connection, digest))
        for name in names:
            await self._database.write(lambda connection, name=name: self._reopen(connection, name))  # type: ignore[misc]
        if names:
            await self._database.write(lambda connection: cases.note_fact(connection, POLICY_FACT, digest))
            log.info("open cases were judged anew", cases=len(names))
        return len(names)

    def _stale(self, connection: Connection, digest: str) -> list[str]:
        if cases.fact(connection, POLICY_FACT) == digest:
            return []
        names = list(cases.open_cases(connection))
        if not names:
            cases.note_fact(connection, POLICY_FACT, digest)
        return names

    def _reopen(self, connection: Connection, name: str) -> None:
        case = cases.lock_case(connection, name)
        if case.standing is Standing.OPEN:
            self._open(connection, case, self._clock())

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
        """Take a case off one target, as an operator, and keep it off."""
        now = self._clock().timestamp()
        changed = await self._database.write(lambda connection: wishes.hold_posting(connection, case, target, now))
        if not changed:
            raise InvalidInput(
                f"target: {target!r} shows nothing of case {case!r} and is not meant to;"
                " allowed: a target that its status does not call refused (niet hier)"
            )
        self._wake()
