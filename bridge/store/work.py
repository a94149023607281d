"""The dispatcher's side of the store: one transaction a turn writes what came of steps and claims the next ones.

The queue is a column: ``due`` says when to look at a posting again (now, a retry, a lease that runs out, a read-back),
or nothing when it is settled. A claim is a durable intent: a posting whose lease ran out while something was being
published is *unknown*, not *not published*.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from random import Random
from typing import Any

from sqlalchemy import Connection, and_, bindparam, exists, literal_column, select, union_all, update

from bridge.core import content as contents
from bridge.core.content import Content, Photo
from bridge.core.errors import OutcomeUnknown
from bridge.core.posting import (
    Applied,
    Capabilities,
    Kind,
    Posting,
    State,
    Step,
    next_step,
)
from bridge.core.retry import Done, Timing, due_for_renewal
from bridge.core.target import Target
from bridge.store import cases, schema, sharing
from bridge.store.batches import Batch
from bridge.store.database import Database, Prepared
from bridge.store.recorder import Recorder
from bridge.store.rows import (
    CLAIM,
    STATE,
    WORK,
    Finished,
    Work,
    claim_row,
    state_of,
)
from bridge.store.wishes import LATER, NORMAL, URGENT

LEASE_MARGIN = 5.0  # seconds between a step's timeout and the end of its lease
_CACHED = 2_000  # contents kept in memory

_postings = schema.postings
_t = _postings.c

# Made once: to put a statement together takes longer than to run it.
_CONTENT = Prepared(select(schema.contents.c.body).where(schema.contents.c.id == bindparam("name")))
_TARGET = select(schema.targets.c.body).where(schema.targets.c.id == bindparam("name"))
_READ = select(*WORK, *STATE)
_DUE = (
    _READ.where(_t.adapter == bindparam("adapter"), _t.priority == bindparam("priority"), _t.due <= bindparam("now"))
    .order_by(_t.due)
    .limit(bindparam("free"))
    .with_for_update(skip_locked=True)
)
_DUE_ELSEWHERE = _DUE.where(_t.target.not_in(bindparam("busy", expanding=True)))


@dataclass(frozen=True, slots=True)
class Slots:
    """How many steps an adapter may start: endings and retractions, and everything else."""

    adapter: str
    urgent: int
    normal: int
    busy: frozenset[str] = frozenset()  # targets with a step in flight


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn gave: steps to start, and whether there is more to claim at once."""

    work: Sequence[Work]
    more: bool


class WorkStore:
    """Claims due postings and writes what came of them. One per process."""

    def __init__(
        self,
        database: Database,
        adapters: Mapping[str, Capabilities],
        find_target: Callable[[str, Callable[[], str]], Target],
        timing: Timing,
        *,
        worker: str,
        tell: bool,
        random: Random,
        traced: bool = False,
    ) -> None:
        self._database = database
        self._adapters = adapters
        self._find_target = find_target  # (digest, how to read the body) -> the target with its secret
        self._timing = timing
        self._worker = worker
        self._recorder = Recorder(adapters, timing, tell=tell, random=random)
        self._traced = traced
        self._names = list(adapters)
        self._waiting = _waiting(len(adapters))
        self._contents: dict[str, Content] = {}
        self._targets: dict[str, Target] = {}
        self._crowded: set[str] = set()  # adapters where targets with many postings stand in the way of others
        self._claims = 0

    async def turn(self, finished: Sequence[Finished], slots: Sequence[Slots], now: float) -> Turn:
        """Write results and claim due postings, in one transaction."""
        return await self._database.write(lambda connection: self._turn(connection, finished, slots, now))

    async def release_all(self, now: float) -> int:
        """Declare every claim dead: for an embedded store, which only one bridge may use."""
        dead = update(_postings).where(_t.due.is_not(None), _t.claim.is_not(None)).values(due=now)
        return await self._database.write(lambda connection: connection.execute(dead).rowcount)

    async def clock_went_back(self, seconds: float, now: float) -> None:
        """The clock was set back: what was due then is due as many seconds sooner, so that no retry waits for hours.

        A claim made while a clock was ahead ends no later than one made now: its worker may be gone.
        """
        waiting = and_(_t.due > now, _t.claim.is_(None))
        sooner = update(_postings).where(waiting).values(due=_t.due - seconds)
        longest = now + LEASE_MARGIN + max((can.timeout for can in self._adapters.values()), default=0.0)
        ends = update(_postings).where(_t.claim.is_not(None), _t.due > longest).values(due=longest)
        changes = [sooner, ends] if seconds else [ends]
        await self._database.write(lambda connection: [connection.execute(one).rowcount for one in changes])

    async def clock_was_ahead(self, now: float) -> float:
        """Tell how many seconds later than now the last step was done: by a clock that has been set back since."""
        last = select(schema.journal.c.at).order_by(schema.journal.c.id.desc()).limit(1)
        at = await self._database.read(lambda connection: connection.scalar(last))
        return max(0.0, (at or now) - now)

    def _turn(self, connection: Connection, finished: Sequence[Finished], slots: Sequence[Slots], now: float) -> Turn:
        if finished:
            self._recorder.record(connection, finished, now)
        self._claims += 1
        work: list[Work] = []
        more = False
        waiting = self._look(connection, now) if slots else ()
        for offer in slots:
            mine, passed = self._claim(connection, offer, waiting, now)
            work += mine
            more = more or passed
        if work:
            self._write_claims(connection, work)
            work = _in_traces(connection, work) if self._traced else work
        sendable: dict[str, Content] = {}
        return Turn([self._equip(connection, one, now, sendable) for one in work], more)

    def _look(self, connection: Connection, now: float) -> set[tuple[str, int]]:
        """Ask in one go at which adapters, and how urgently, anything is due: on an idle bridge nothing is."""
        named = {f"adapter{number}": name for number, name in enumerate(self._names)}
        found = self._waiting.one(connection, {"now": now, **named})
        return {(self._names[number], priority) for number, priority in map(tuple, found)}

    def _write_claims(self, connection: Connection, work: Sequence[Work]) -> None:
        claims = Batch(CLAIM)
        for one in work:
            claims.add(claim_row(one), one.posting.id)
        claims.write(connection)

    def _claim(
        self, connection: Connection, offer: Slots, waiting: Container[tuple[str, int]], now: float
    ) -> tuple[list[Work], bool]:
        """Claim what is due at one adapter, endings first, one posting a target.

        Also says whether postings were passed over that gave no step: others may stand behind them.
        """
        taken = set(offer.busy)
        seen, passed = 0, False
        work: list[Work] = []
        for priority in (URGENT, NORMAL, LATER):
            free = (offer.urgent if priority == URGENT else offer.normal) - len(work)
            if free <= 0 or (offer.adapter, priority) not in waiting:
                continue
            for row in self._due(connection, offer, priority, free, now):
                seen += 1
                if row.target in taken:
                    self._crowded.add(offer.adapter)
                    passed = True
                elif one := self._take(connection, row, now):
                    taken.add(row.target)
                    work.append(one)
                else:
                    passed = True
        if not seen:
            self._crowded.discard(offer.adapter)
        return work, passed

    def _due(self, connection: Connection, offer: Slots, priority: int, free: int, now: float) -> Sequence[Any]:
        asked = {"adapter": offer.adapter, "priority": priority, "now": now, "free": free}
        if offer.adapter in self._crowded and offer.busy:
            return connection.execute(_DUE_ELSEWHERE, {**asked, "busy": list(offer.busy)}).all()
        return connection.execute(_DUE, asked).all()

    def _take(self, connection: Connection, row: Any, now: float) -> Work | None:
        """Choose the step for a due posting; what needs none is settled here and now."""
        state, can = state_of(row), self._adapters[row.adapter]
        if row.claim is not None:
            self._take_over(connection, row, now)
            return None
        if can.holds_one and sharing.postpone(connection, row, now):
            return None
        step = next_step(state, can) or self._upkeep(state, can, now)
        if step is None:
            connection.execute(update(_postings).where(_t.id == row.id).values(due=None))
            return None
        sends = step in (Step.PUBLISH, Step.UPDATE)
        return Work(
            posting=Posting(row.id, row.case_id, self._target(connection, row.target_row)),
            channel=row.channel,
            state=state,
            step=step,
            content=None,
            content_id=state.content if sends else state.applied_content,
            ending=state.ending if sends else state.applied_ending,
            claim=f"{self._worker}/{self._claims}",
            lease=now + can.timeout + LEASE_MARGIN,
            since=now if sends else row.applied_at,
        )

    def _upkeep(self, state: State, can: Capabilities, now: float) -> Step | None:
        """There is no gap: renew what would clear itself, or read back."""
        if can.kind is not Kind.STATE or state.applied is Applied.NONE or state.rests:
            return None
        if due_for_renewal(state, can, self._timing, now) and self._until(state.content, now) > state.shown_until + 1:
            return Step.UPDATE
        return Step.OBSERVE if can.can_observe else None

    def _take_over(self, connection: Connection, row: Any, now: float) -> None:
        """The worker that held this posting is gone: nobody knows what came of its step."""
        lost = OutcomeUnknown("the worker stopped during this step")
        step = Step(row.doing)
        sent = self._sent(connection, row) if step in (Step.PUBLISH, Step.UPDATE) and row.doing_content else None
        done = Done(step, sent, row.doing_content, row.doing_ending, lost, row.doing_since)
        self._recorder.lose(connection, row, done, now)

    def _sent(self, connection: Connection, row: Any) -> Content:
        """Give what a lost worker was sending: its photo and its lease may be out there."""
        content = self._content(connection, row.doing_content)
        until = datetime.fromtimestamp(self._until(row.doing_content, row.doing_since), UTC)
        return replace(content, valid_until=until if self._adapters[row.adapter].leased else None)

    def _equip(self, connection: Connection, work: Work, now: float, sendable: dict[str, Content]) -> Work:
        """Give a claimed step what it sends or looks for; what many send alike is made once a turn."""
        can = self._adapters[work.posting.target.adapter]

        def to_send(name: str) -> Content:
            return self._sendable(connection, name, can, now, sendable)

        if work.step in (Step.PUBLISH, Step.UPDATE):
            work = work._replace(content=to_send(work.content_id), posting=self._in_doubt(connection, work))
        if can.holds_one:
            work = sharing.share(connection, work, lambda name: self._target(connection, name), to_send)
        if not work.content_id or work.content:
            return work
        content = self._content(connection, work.content_id)
        sought = replace(work.posting, attempted=content, attempted_at=datetime.fromtimestamp(work.since, UTC))
        return work._replace(content=content, posting=sought)

    def _sendable(
        self, connection: Connection, name: str, can: Capabilities, now: float, made: dict[str, Content]
    ) -> Content:
        """Give a content as it goes to an adapter: with its photo's bytes, and the time when a board clears itself."""
        key = f"{name}/{can.leased}"
        if key not in made:
            content = self._content(connection, name)
            until = datetime.fromtimestamp(self._until(name, now), UTC)
            photo = self._photo(connection, content.photo)
            made[key] = replace(content, photo=photo, valid_until=until if can.leased else None)
        return made[key]

    def _in_doubt(self, connection: Connection, work: Work) -> Posting:
        """Tell an adapter what may be there already, so that a mail goes on in the thread that may have begun."""
        tried = work.state.applied_content
        if work.state.applied is not Applied.UNKNOWN or tried in ("", work.content_id):
            return work.posting
        return replace(work.posting, attempted=self._content(connection, tried))

    def _until(self, content_id: str, now: float) -> float:
        """Until when a board may show this without hearing from us; never past the alert's own end."""
        content = self._contents.get(content_id)
        expires = content.expires if content and content.expires else float("inf")
        return min(now + self._timing.valid_for, max(expires, now + 1))

    def _content(self, connection: Connection, name: str) -> Content:
        if name not in self._contents:
            body = _CONTENT.one(connection, {"name": name}).scalar()
            _remember(self._contents, name, contents.load(body or ""))
        return self._contents[name]

    def _photo(self, connection: Connection, photo: Photo | None) -> Photo | None:
        """Load a photo's bytes; ``None`` when they were erased meanwhile."""
        if photo is None:
            return None
        t = schema.photos.c
        data = connection.scalar(select(t.data).where(t.digest == photo.digest, t.state == "ready").limit(1))
        return replace(photo, data=data) if data else None

    def forget_targets(self) -> None:
        """Look targets up anew: their secrets may have changed. From any thread."""
        self._targets = {}

    def _target(self, connection: Connection, name: str) -> Target:
        known = self._targets  # taken once: what is looked up now must not be kept after it was to be forgotten
        if name not in known:
            known[name] = self._find_target(name, lambda: connection.scalar(_TARGET, {"name": name}) or "")
        return known[name]


def _in_traces(connection: Connection, work: Sequence[Work]) -> list[Work]:
    """Put steps into the traces of the events that caused them, however long ago that was."""
    traces = cases.traces(connection, {one.posting.case for one in work})
    return [one._replace(posting=replace(one.posting, trace=traces.get(one.posting.case))) for one in work]


def _waiting(adapters: int) -> Prepared:
    """Make the question at which adapters (by their numbers), and how urgently, anything is due."""
    due = _t.due <= bindparam("now")
    return Prepared(
        union_all(
            *(
                select(literal_column(str(number)), literal_column(str(priority))).where(
                    exists().where(
                        _t.adapter == bindparam(f"adapter{number}"),
                        _t.priority == literal_column(str(priority)),
                        due,
                    )
                )
                for number in range(adapters)
                for priority in (URGENT, NORMAL, LATER)
            )
        )
    )


def _remember(cache: dict[str, Any], name: str, value: Any) -> None:
    if len(cache) >= _CACHED:
        cache.pop(next(iter(cache)))
    cache[name] = value
