"""One posting on one channel that fails in every way, in virtual time: a small pure model of the store and the world.

The store's part (``wish``, ``end``, the claim) does to a ``State`` what intake and dispatcher do to its row. The world's
part keeps what people really see, which the bridge knows only from answers that may be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from bridge.core.content import Content, Phase, Photo
from bridge.core.errors import AdapterError, OutcomeUnknown, PermanentError, TransientError
from bridge.core.posting import (
    Applied,
    Capabilities,
    Desired,
    Kind,
    Observation,
    Posting,
    Receipt,
    State,
    Step,
    next_step,
)
from bridge.core.retry import Done, Timing, after, due_for_renewal
from tests.unit.samples import target

TIMING = Timing()
START = 1_800_000_000.0
POSTING = Posting("posting", "case", target())
LATE = 20.0  # seconds until a request that seemed lost takes effect after all
LEASE = 15.0  # seconds until the claim of a process that was killed runs out


class Fault(StrEnum):
    """What happens to one step."""

    NONE = "none"
    SLOW = "slow"  # three seconds, then it works
    REFUSED = "refused"  # not now
    BUSY = "busy"  # not now, come back in 30 s
    NEVER = "never"  # never in this form
    LOST_REQUEST = "lost request"
    LOST_ANSWER = "lost answer"
    LATE = "late"  # timed out, and takes effect later
    KILLED_BEFORE = "killed before"
    KILLED_AFTER = "killed after"


@dataclass(slots=True)
class Flight:
    """A step on its way."""

    done: Done
    ends: float
    killed: bool


class World:
    """A posting, its channel, and the faults that its steps meet one after another; after those all goes well."""

    def __init__(self, can: Capabilities, faults: Sequence[Fault]) -> None:
        self.can = can
        self.now = START
        self.state = State(Desired.GONE)
        self.due: float | None = None
        self.shown: dict[str, tuple[str, float]] = {}  # handle -> what is there, and until when
        self.inbox: list[str] = []
        self.most_at_once = 0
        self.refused_for_good: set[str] = set()
        self.may_have_come = False  # in this life of the case an alert reached, or may have reached, people
        self._faults = iter(faults)
        self._contents: dict[str, Content] = {}
        self._flight: Flight | None = None
        self._late: list[tuple[float, Callable[[], object]]] = []
        self._handles = 0
        self._sent_at = 0.0

    # The store.

    def wish(self, name: str, revision: int, *, photo: bool, anew: bool = False) -> None:
        """Say what should be there; ``anew`` when the case was opened again: what was told of its end is over."""
        if anew and self.state.applied_ending:
            self.state = self.state._replace(carried=False)
            flying = self._flight.done if self._flight else None
            self.may_have_come &= flying is not None and flying.step is not Step.OBSERVE and not flying.ending
        self._desire(Desired.SHOWN, self._keep(name, revision, photo=photo), revision, ending=False)
        self._look_now()

    def refuse(self, revision: int) -> None:
        """Say that nothing may be there any more."""
        self._desire(Desired.REFUSED, None, revision, ending=False)
        self._look_now()

    def end(self, name: str, revision: int, *, withdrawn: bool = False) -> None:
        """End the case."""
        untouched = self._is_untouched()
        content = None
        if self.can.kind is Kind.MESSAGE or (self.can.kind is Kind.POST and not withdrawn):
            content = self._keep(name, revision, photo=False)
        if withdrawn and self.can.kind is Kind.POST:
            self.state = self.state._replace(carried=False)
        self._desire(Desired.SHOWN if content else Desired.GONE, content, revision, ending=content is not None)
        self._look_now(settled=untouched)

    def expire(self, revision: int) -> None:
        """Let the case's time pass: what is not there yet is not sent any more, and photos go."""
        untouched, state = self._is_untouched(), self.state
        if self.can.kind is Kind.STATE or state.applied is not Applied.SHOWN or state.applied_photo or state.photo:
            self._desire(Desired.GONE, None, revision, ending=False)
            self._look_now(settled=untouched)

    def _desire(self, desired: Desired, content: Content | None, revision: int, *, ending: bool) -> None:
        self.state = self.state._replace(
            desired=desired,
            content=content.text if content else "",
            photo=content.photo.digest if content and content.photo else "",
            revision=revision,
            ending=ending,
        )

    def _look_now(self, *, settled: bool = False) -> None:
        if self._flight is None:
            self.due = None if settled else self.now

    def _is_untouched(self) -> bool:
        return self._flight is None and not self.state.carried and self.state.applied is Applied.NONE

    def _keep(self, name: str, revision: int, *, photo: bool) -> Content:
        picture = Photo(f"photo {name}") if photo and self.can.photo else None
        content = Content("case", revision, Phase.OPENED, "nl", "kop", name, photo=picture)
        self._contents[name] = content
        return content

    # Time.

    def run(self, until: float) -> None:
        """Let time pass; every step that comes due is taken."""
        for _ in range(5_000):
            times = [time for time, _ in self._late]
            times += [self._flight.ends] if self._flight else [self.due] if self.due is not None else []
            if not times or min(times) > until:
                self.now = until
                return
            self.now = max(self.now, min(times))
            self._turn()
            self.most_at_once = max(self.most_at_once, len(self.alive()))
        raise AssertionError(f"never settles: {self.state}")

    def _turn(self) -> None:
        landed = [land for time, land in self._late if time <= self.now]
        self._late = [(time, land) for time, land in self._late if time > self.now]
        for land in landed:
            land()
        if self._flight and self._flight.ends <= self.now:
            self._record(self._flight)
        elif self._flight is None and self.due is not None and self.due <= self.now:
            self._take()

    def _take(self) -> None:
        state = self.state
        step = next_step(state, self.can) or self._upkeep()
        if step is None:
            self.due = None
            return
        sends = step in (Step.PUBLISH, Step.UPDATE)
        name = state.content if sends else state.applied_content
        content = self._contents.get(name)
        if content and sends and self.can.leased:
            content = replace(content, valid_until=datetime.fromtimestamp(self.now + TIMING.valid_for, UTC))
        self._sent_at = self.now if sends else self._sent_at
        done = Done(step, content, name, state.ending if sends else state.applied_ending, None, self._sent_at)
        self._flight = self._fly(done, next(self._faults, Fault.NONE))

    def _upkeep(self) -> Step | None:
        if self.can.kind is not Kind.STATE or self.state.applied is Applied.NONE:
            return None
        if due_for_renewal(self.state, self.can, TIMING, self.now):
            return Step.UPDATE
        return Step.OBSERVE if self.can.can_observe else None

    def _record(self, flight: Flight) -> None:
        self._flight = None
        then = after(self.state, flight.done, self.can, TIMING, self.now, 0.5)
        self.state, self.due = then.state, then.due
        assert self.due is None or self.due >= self.now
        if flight.killed and flight.done.step in (Step.OBSERVE, Step.FIND, Step.RETRACT):
            self.due = self.now

    # The other side.

    def alive(self) -> list[str]:
        """Give what people see now, on a channel that shows."""
        return [name for name, until in self.shown.values() if until > self.now]

    def _fly(self, done: Done, fault: Fault) -> Flight:
        sends = done.step in (Step.PUBLISH, Step.UPDATE)
        clean = fault in (Fault.REFUSED, Fault.BUSY, Fault.NEVER)
        if sends and not done.ending and not clean:
            self.may_have_come = True
        if sends and fault is Fault.NEVER:
            self.refused_for_good.add(done.content_id)
        killed = fault in (Fault.KILLED_BEFORE, Fault.KILLED_AFTER)
        late = fault is Fault.LATE and (sends or done.step is Step.RETRACT)
        if late and (self.can.kind is not Kind.POST or done.step is Step.PUBLISH):
            self._late.append((self.now + LATE, self._effect(done)))
        acts = fault in (Fault.NONE, Fault.SLOW, Fault.LOST_ANSWER, Fault.KILLED_AFTER)
        result = self._effect(done)() if acts else None
        error = _ERRORS.get(fault)
        content = None if killed else done.content
        took = LEASE if killed else 3.0 if fault is Fault.SLOW else 0.1
        return Flight(done._replace(content=content, result=error or result), self.now + took, killed)

    def _effect(self, done: Done) -> Callable[[], Receipt | Observation | AdapterError | None]:
        """Give what a request does when it arrives, and the answer to it."""
        handle = (self.state.handle or {}).get("id", "")
        until = done.content.valid_until.timestamp() if done.content and done.content.valid_until else float("inf")
        match done.step:
            case Step.PUBLISH if self.can.kind is Kind.POST:
                self._handles += 1
                return self._put(f"post {self._handles}", done.content_id, until)
            case Step.PUBLISH | Step.UPDATE if self.can.kind is Kind.MESSAGE:
                return self._send(done.content_id)
            case Step.UPDATE if self.can.kind is Kind.POST:
                return self._edit(handle, done.content_id)
            case Step.PUBLISH | Step.UPDATE:
                return self._put("board", done.content_id, until)
            case Step.RETRACT:
                return lambda: self.shown.pop(handle if self.can.kind is Kind.POST else "board", None) and None
            case Step.FIND:
                return lambda: self._find(done.content_id)
            case Step.OBSERVE:
                return self._observe

    def _put(self, handle: str, name: str, until: float) -> Callable[[], Receipt]:
        def land() -> Receipt:
            self.shown[handle] = (name, until)
            return Receipt(POSTING, {"id": handle})

        return land

    def _send(self, name: str) -> Callable[[], Receipt]:
        def land() -> Receipt:
            if not (self.can.idempotent and name in self.inbox):
                self.inbox.append(name)
            return Receipt(POSTING, {"id": "thread"})

        return land

    def _edit(self, handle: str, name: str) -> Callable[[], Receipt | AdapterError]:
        def land() -> Receipt | AdapterError:
            if handle not in self.shown:
                return PermanentError("there is no such post")
            return self._put(handle, name, float("inf"))()

        return land

    def _find(self, name: str) -> Receipt | None:
        handles: Iterator[str] = (
            handle
            for handle, (there, until) in self.shown.items()
            if until > self.now and (self.can.kind is Kind.STATE or there == name)
        )
        found = next(handles, None)
        return Receipt(POSTING, {"id": found}) if found else None

    def _observe(self) -> Observation:
        if not self.alive():
            return Observation(present=False)
        [name] = self.alive()
        content = self._contents[name]
        return Observation(present=True, revision=content.revision, text=content.text)


_UNKNOWN = OutcomeUnknown("no answer")
_ERRORS: dict[Fault, AdapterError] = {
    Fault.REFUSED: TransientError("not now"),
    Fault.BUSY: TransientError("not now", retry_after=30),
    Fault.NEVER: PermanentError("not in this form"),
    Fault.LOST_REQUEST: _UNKNOWN,
    Fault.LOST_ANSWER: _UNKNOWN,
    Fault.LATE: _UNKNOWN,
    Fault.KILLED_BEFORE: _UNKNOWN,
    Fault.KILLED_AFTER: _UNKNOWN,
}
