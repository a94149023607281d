"""What a step's result makes of a posting, and when to look at it again. A decision is a value; nobody sleeps.

``after`` is total: every step with every result gives a new state and a time, and no failure ever turns *unknown* into
*none*, for a board that may be lit must be put out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bridge.core.content import Content
from bridge.core.errors import AdapterError, OutcomeUnknown, PermanentError, TransientError
from bridge.core.posting import (
    Applied,
    Capabilities,
    Kind,
    Observation,
    Receipt,
    State,
    Step,
    is_urgent,
    next_step,
    shows,
)
from bridge.core.turns import waiting

BLIND_LIMIT = 2  # publications without an answer; after that a person must look
AFTERWARDS = 86_400.0  # seconds; a board that does not clear itself may come back with what was taken away from it
URGENT_RETRY_AFTER = 60.0  # seconds; what must go does not wait longer because the other side asks for it


@dataclass(frozen=True, slots=True)
class Timing:
    """When to look again; all in seconds.

    ``retry_base`` doubles up to ``retry_max`` (``urgent_max`` for endings and retractions), with jitter. ``valid_for``:
    how long a board shows a message without hearing from us. ``looks``: after an unknown outcome, when to look.
    ``checks``: when to read back after a change; then every ``check_interval``.
    """

    retry_base: float = 1.0
    retry_max: float = 60.0
    urgent_max: float = 15.0
    valid_for: float = 900.0
    looks: Sequence[float] = (2.0, 6.0, 15.0, 37.0)
    late_looks: Sequence[float] = (300.0, 3600.0)
    checks: Sequence[float] = (5.0, 60.0)
    check_interval: float = 300.0


class Done(NamedTuple):
    """A step that ran: what it did, and what came of it (``None``: it was asked for nothing).

    ``since``: when something was last sent there, in seconds since the epoch. It is later than now when the clock that
    told it was ahead: then no wait is counted from it.
    """

    step: Step
    content: Content | None  # what was sent, photo and ``valid_until`` included
    content_id: str  # for FIND and OBSERVE: what was looked for
    ending: bool
    result: Receipt | Observation | AdapterError | None
    since: float = 0.0


class After(NamedTuple):
    """The state after a step, and when the posting is due again (``None``: settled)."""

    state: State
    due: float | None


def after(state: State, done: Done, can: Capabilities, timing: Timing, now: float, jitter: float) -> After:
    """Work out what comes of one step. ``jitter`` is a random number in [0, 1)."""
    # A clock that was hours ahead promised more than any board was told since: it must not put off the next renewal.
    longest = timing.valid_for if can.leased else AFTERWARDS
    state = state._replace(shown_until=min(state.shown_until, now + longest))
    if isinstance(done.result, AdapterError):
        return _failed(state, done, can, timing, now, jitter)
    changed = _succeeded(state, done)
    if changed.applied is Applied.GONE and state.applied is not Applied.GONE and not can.leased:
        changed = changed._replace(shown_until=now + AFTERWARDS)
    if changed.attempts or changed.error:
        changed = changed._replace(attempts=0, error="")
    if next_step(changed, can) not in (None, Step.FIND):
        return After(changed, now)
    if changed.applied is Applied.UNKNOWN:
        return _look_again(changed, done.since, timing, now)
    return After(changed, _next_check(changed, done.since, can, timing, now))


def _succeeded(state: State, done: Done) -> State:
    match done.step:
        case Step.PUBLISH | Step.UPDATE:
            return _shown(state, done)
        case Step.RETRACT:
            return state._replace(applied=Applied.GONE, applied_content="", stale=False, looks=0)
        case Step.FIND:
            return _found(state, done)
        case Step.OBSERVE:
            return _observed(state, done)


def _shown(state: State, done: Done) -> State:
    content, receipt = done.content, done.result
    if isinstance(receipt, Receipt) and not receipt.has(content):
        return waiting(state, done.content_id)
    same = state.applied_content == done.content_id and state.applied is Applied.SHOWN
    return state._replace(
        applied=Applied.SHOWN,
        applied_content=done.content_id,
        applied_revision=content.revision if content else 0,
        applied_photo=_photo(content),
        applied_ending=done.ending,
        carried=state.carried or not done.ending,
        stale=False,
        waits=False,
        blind=0,
        looks=state.looks if same else 0,
        shown_until=max(state.shown_until, _until(content)),
        handle=receipt.handle if isinstance(receipt, Receipt) else None,
    )


def _photo(content: Content | None) -> str:
    return content.photo.digest if content and content.photo else ""


def _until(content: Content | None) -> float:
    return content.valid_until.timestamp() if content and content.valid_until else 0.0


def _found(state: State, done: Done) -> State:
    """Adopt what was found; else, after enough looks, call it *none* so that it is published once more."""
    if isinstance(done.result, Receipt):
        return _shown(state, done)
    return state._replace(looks=state.looks + 1)


def _observed(state: State, done: Done) -> State:
    """Take what was seen as what is there: drift is closed by the next step."""
    seen = done.result
    if not isinstance(seen, Observation):
        return state
    state = state._replace(looks=state.looks + 1)
    if not seen.present:
        gone = Applied.GONE if state.applied is Applied.SHOWN else state.applied
        return state._replace(applied=gone, applied_content="")
    sent = done.content
    if state.applied is Applied.SHOWN and sent and shows(seen, sent):
        return state
    return state._replace(applied=Applied.SHOWN, applied_content="")


def _look_again(state: State, since: float, timing: Timing, now: float) -> After:
    """Plan the next look for a publication of unknown outcome."""
    looks, last = state.looks, len(timing.looks) - 1
    if since <= now < since + sum(timing.looks):
        looks = min(looks, last)  # looks that a correction hurried do not shorten the wait for a slow post
    if looks <= last:
        return After(state._replace(applied=Applied.UNKNOWN, looks=looks), now + timing.looks[looks])
    late = looks - len(timing.looks)
    if not state.wanted or state.blind >= BLIND_LIMIT:
        # Not to be shown (again): it may still surface, so look a few times more and then let it rest.
        due = now + timing.late_looks[late] if late < len(timing.late_looks) else None
        error = state.error if not state.wanted else "outcome unknown twice: look at the page by hand"
        return After(state._replace(applied=Applied.UNKNOWN if due else Applied.NONE, error=error), due)
    return After(state._replace(applied=Applied.NONE, looks=0), now)


def _next_check(state: State, since: float, can: Capabilities, timing: Timing, now: float) -> float | None:
    """Plan the next read-back or renewal of a posting that has no gap."""
    if can.kind is not Kind.STATE or state.applied is Applied.NONE or state.rests:
        return None
    leased = can.leased and state.applied is Applied.SHOWN
    renew = state.shown_until - timing.valid_for / 2
    if not can.can_observe:
        return max(now, renew) if leased else None
    last = len(timing.checks) - 1
    early = state.looks <= last or since <= now < since + sum(timing.checks)
    check = now + (timing.checks[min(state.looks, last)] if early else timing.check_interval)
    if state.applied is Applied.SHOWN:
        return renew if leased and now < renew < check else check
    # Dark: look until even a message that was lost on its way must have cleared itself.
    return check if early or state.shown_until > now else None


def due_for_renewal(state: State, can: Capabilities, timing: Timing, now: float) -> bool:
    """Tell whether a board's message would clear itself too soon."""
    return can.leased and state.applied is Applied.SHOWN and state.shown_until - now <= timing.valid_for / 2


def _failed(state: State, done: Done, can: Capabilities, timing: Timing, now: float, jitter: float) -> After:
    error = done.result
    failed = state._replace(attempts=state.attempts + 1, error=str(error))
    retry_after = error.retry_after if isinstance(error, (TransientError, OutcomeUnknown)) else None
    longest = timing.urgent_max if is_urgent(state) else timing.retry_max
    if isinstance(error, PermanentError) or done.step is Step.OBSERVE:
        longest = timing.check_interval
    if retry_after is not None and is_urgent(state):
        retry_after = min(retry_after, URGENT_RETRY_AFTER)
    again = now + backoff(timing.retry_base, longest, failed.attempts, jitter, retry_after)
    if done.step in (Step.OBSERVE, Step.FIND, Step.RETRACT):
        return After(failed, again)  # looking and taking away have no last try
    if done.content_id != state.content:
        again = now  # what failed is not what is wanted any more
    if isinstance(error, TransientError):
        return After(failed, again)
    if isinstance(error, PermanentError):
        return _refused(failed, done, can, now, again)
    return _unknown(failed, done, can, now + timing.looks[0], again)


def _refused(state: State, done: Done, can: Capabilities, now: float, again: float) -> After:
    """The other side will never take this. What cannot be edited is taken away, so that no old text stays."""
    if can.can_retract and (done.step is Step.UPDATE or state.applied is Applied.UNKNOWN):
        return After(state._replace(stale=True), now)
    outdated = done.content_id != state.content  # what is wanted now has not been refused
    return After(state, again if outdated or (can.can_retract and is_urgent(state)) else None)


def _unknown(state: State, done: Done, can: Capabilities, look: float, again: float) -> After:
    if done.step is Step.UPDATE and can.kind is not Kind.MESSAGE:
        # We know where it is; which text it shows is for the next update to settle.
        return After(state._replace(applied_content=""), again)
    blind = state.blind + 1
    carried = state.carried or (can.kind is Kind.MESSAGE and not done.ending)  # it may have been read
    unknown = state._replace(applied=Applied.UNKNOWN, blind=blind, looks=0, carried=carried)
    unknown = unknown._replace(applied_content=done.content_id, applied_ending=done.ending)
    until = max(state.shown_until, _until(done.content))
    unknown = unknown._replace(applied_photo=_photo(done.content), shown_until=until)
    if can.idempotent:
        return After(unknown, again)
    if can.can_find:
        return After(unknown, look)
    return After(unknown, again if blind < BLIND_LIMIT or not unknown.wanted else None)


def backoff(base: float, longest: float, attempts: int, jitter: float, retry_after: float | None = None) -> float:
    """Give the seconds until the next try: exponential with jitter, never sooner than ``Retry-After``."""
    wait = min(longest, base * 2.0 ** min(attempts - 1, 30)) * (0.5 + jitter / 2)
    return max(wait, min(retry_after or 0.0, 3600.0))


def is_news(count: int) -> bool:
    """Tell whether the 1st, 2nd, 3rd … time of the same thing is worth telling: the 1st, 2nd, 4th, 8th … is."""
    return count & (count - 1) == 0


@dataclass(slots=True)
class Breaker:
    """Keeps an adapter whose shared way is down from being hammered: no steps for a while, then one, then all."""

    failures: int = 0
    closed_until: float = 0.0

    def record(self, error: AdapterError | None, timing: Timing, now: float, jitter: float) -> None:
        """Count a result; only faults of the shared way count."""
        if isinstance(error, TransientError) and error.whole_adapter:
            self.failures += 1
            wait = backoff(timing.retry_base, timing.urgent_max, self.failures, jitter, error.retry_after)
            self.closed_until = max(self.closed_until, now + wait)
        elif error is None or isinstance(error, PermanentError):
            self.failures, self.closed_until = 0, 0.0

    def slots(self, free: int, busy: int, now: float) -> int:
        """Say how many steps may start: all, none, or one to try the way."""
        if not self.failures:
            return free
        if now < self.closed_until:
            return 0
        return 1 if busy == 0 else 0
