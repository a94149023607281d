"""What comes of a step: total, bounded, and never an error that turns *may be lit* into *is dark*."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.content import Content, Phase, Photo
from bridge.core.errors import AdapterError, OutcomeUnknown, PermanentError, TransientError
from bridge.core.posting import Applied, Capabilities, Desired, Kind, Observation, Posting, Receipt, State, Step
from bridge.core.retry import BLIND_LIMIT, After, Breaker, Done, Timing, after, backoff, due_for_renewal
from tests.unit.samples import BOARD, MAIL, OUTBOX, PAGE, target

NOW = 1_800_000_000.0
TIMING = Timing()
POSTING = Posting("p", "c", target())
RECEIPT = Receipt(POSTING, {"id": "1"})
TRANSIENT, BUSY = TransientError("down"), TransientError("busy", retry_after=120.0)
PERMANENT, UNKNOWN = PermanentError("never"), OutcomeUnknown("no answer")
ERRORS = (TRANSIENT, BUSY, PERMANENT, UNKNOWN)
CHANNELS = (BOARD, PAGE, MAIL, OUTBOX, replace(BOARD, idempotent=False), Capabilities(Kind.STATE, frozenset()))
SHOWN = State(Desired.SHOWN, "r1", 1, applied=Applied.SHOWN, applied_content="r1", carried=True, handle={"id": "1"})


def content(name: str = "r1", until: float | None = None, *, photo: bool = False) -> Content:
    """Give a content that is called what it says."""
    picture = Photo("p") if photo else None
    valid_until = datetime.fromtimestamp(until, UTC) if until else None
    return Content("c", 1, Phase.OPENED, "nl", "kop", name, photo=picture, valid_until=valid_until)


def done(step: Step, result: Any = None, name: str = "r1", **more: Any) -> Done:
    """Give a step that ran."""
    return Done(step, more.pop("content", content(name)), name, more.pop("ending", False), result, **more)


def then(state: State, ran: Done, can: Capabilities, jitter: float = 0.5) -> After:
    """Give what comes of a step at ``NOW``."""
    return after(state, ran, can, TIMING, NOW, jitter)


def results(step: Step) -> tuple[Any, ...]:
    """Give every result that a step may have."""
    match step:
        case Step.PUBLISH | Step.UPDATE:
            return (RECEIPT, *ERRORS)
        case Step.FIND:
            return (RECEIPT, None, *ERRORS)
        case Step.OBSERVE:
            return (Observation(True, 1, "r1"), Observation(True, 9), Observation(True), Observation(False), *ERRORS)
        case Step.RETRACT:
            return (None, *ERRORS)


def states() -> Iterator[State]:
    """Give every sort of state a step may come back to; desires may have changed while it ran."""
    desires = [(Desired.SHOWN, "r1", False), (Desired.SHOWN, "r2", True), (Desired.GONE, "", False)]
    parts = product(desires, Applied, ("r1", ""), (False, True), (False, True), (0, 2), (0, 3, 9))
    for (desired, name, ending), applied, there, carried, stale, blind, looks in parts:
        state = State(desired, name, 1, ending=ending, applied=applied, applied_content=there, carried=carried)
        yield state._replace(stale=stale, blind=blind, looks=looks, attempts=looks)


RAN = [
    (state, ran, can, then(state, ran, can))
    for can in CHANNELS
    for step in Step
    for result in results(step)
    for ran in (done(step, result, "r1"), done(step, result, "r2"))
    for state in states()
]


def test_every_step_with_every_result_gives_a_state_and_a_time() -> None:
    """The function is total, and never asks for a look in the past or for a time that is no number."""
    assert len(RAN) > 50_000
    for state, ran, _, outcome in RAN:
        assert outcome.due is None or NOW <= outcome.due <= NOW + 3600
        failed = isinstance(ran.result, AdapterError)
        assert outcome.state.attempts == (state.attempts + 1 if failed else 0)
        assert bool(outcome.state.error) == failed or outcome.state.error.startswith("outcome unknown twice")
        halves = ("desired", "content", "revision", "photo", "ending")
        assert all(getattr(outcome.state, name) == getattr(state, name) for name in halves)


def test_no_error_makes_anything_less_than_it_may_be() -> None:
    """I2: after an error what is shown or may be shown stays so, and an unknown answer never means *nothing there*."""
    for state, ran, _, came in RAN:
        if not isinstance(ran.result, AdapterError):
            continue
        outcome = came.state
        if state.applied in (Applied.SHOWN, Applied.UNKNOWN):
            assert outcome.applied in (Applied.SHOWN, Applied.UNKNOWN)
        if isinstance(ran.result, OutcomeUnknown) and ran.step is Step.PUBLISH:
            assert outcome.applied is Applied.UNKNOWN
        assert outcome.carried >= state.carried


def test_taking_away_has_no_last_try() -> None:
    """Whatever the error, a retraction and a look are tried again within five minutes, or when the other side said so."""
    for _, ran, _, outcome in RAN:
        if ran.step in (Step.RETRACT, Step.FIND, Step.OBSERVE) and isinstance(ran.result, AdapterError):
            assert outcome.due is not None
            assert outcome.due <= NOW + TIMING.check_interval


def test_what_may_be_lit_and_is_not_wanted_is_never_left_alone() -> None:
    """I2: no result settles a board (or a post that can be searched) that should be dark and may be lit."""
    for _, _, can, outcome in RAN:
        lit = outcome.state.applied in (Applied.SHOWN, Applied.UNKNOWN)
        if can.can_retract and lit and not outcome.state.wanted:
            assert outcome.due is not None


def test_a_refusal_of_an_old_text_does_not_settle_the_new_one() -> None:
    """The board refused revision 1 while revision 2 was already wanted: revision 2 is tried at once."""
    waiting = State(Desired.SHOWN, "r2", 2)
    for can in CHANNELS:
        outcome = then(waiting, done(Step.PUBLISH, PERMANENT), can)
        assert outcome.due == NOW
        assert then(outcome.state, done(Step.PUBLISH, PERMANENT, "r2"), can).due is None


def test_an_old_text_that_cannot_be_replaced_is_taken_away() -> None:
    """A correction that is refused for good takes the outdated text down, also where the first answer was lost."""
    corrected = SHOWN._replace(content="r2")
    for state in (corrected, corrected._replace(applied=Applied.UNKNOWN)):
        step = Step.UPDATE if state.applied is Applied.SHOWN else Step.PUBLISH
        outcome = then(state, done(step, PERMANENT, "r2"), BOARD)
        assert (outcome.state.stale, outcome.due) == (True, NOW)
        cleared = then(outcome.state, done(Step.RETRACT), BOARD)
        assert (cleared.state.applied, cleared.state.stale, cleared.due) == (Applied.GONE, False, NOW)


def test_what_was_tried_is_remembered_while_unknown() -> None:
    """A post whose answer was lost may carry a photo and stand until its lease ends: both are taken into account."""
    tried = done(Step.PUBLISH, UNKNOWN, content=content("r1", NOW + 900, photo=True), ending=False)
    state = then(State(Desired.SHOWN, "r1", 1, "p", looks=6), tried, PAGE).state
    assert state.looks == 0
    assert (state.applied, state.applied_content, state.applied_photo) == (Applied.UNKNOWN, "r1", "p")
    assert (state.shown_until, state.blind, state.carried) == (NOW + 900, 1, False)


def test_a_told_ending_does_not_count_as_the_alert() -> None:
    """I5: an old ending that was still on its way when the case opened again makes nobody a reader of the new alert."""
    anew = State(Desired.SHOWN, "r3", 3, applied=Applied.SHOWN, applied_ending=True, handle={"id": "1"})
    for can, step, result in product((MAIL, OUTBOX), (Step.PUBLISH, Step.UPDATE), (RECEIPT, UNKNOWN)):
        assert not then(anew, done(step, result, "r2", ending=True), can).state.carried
        assert then(anew, done(step, result, "r3"), can).state.carried


def test_looking_finds_adopts_or_gives_up_in_time() -> None:
    """Four looks over a minute, then it is published once more; a post that is found is adopted with what was tried."""
    state = then(State(Desired.SHOWN, "r1"), done(Step.PUBLISH, UNKNOWN), PAGE).state
    dues, now = [], NOW
    while state.applied is Applied.UNKNOWN:
        now += TIMING.looks[min(state.looks, 3)]
        outcome = after(state, done(Step.FIND, None, since=NOW), PAGE, TIMING, now, 0.5)
        state = outcome.state
        dues.append((outcome.due or 0) - NOW)
    assert dues == [8, 23, 60, 60]
    assert (state.applied, state.looks) == (Applied.NONE, 0)
    found = then(state._replace(applied=Applied.UNKNOWN), done(Step.FIND, RECEIPT, since=NOW), PAGE)
    assert (found.state.applied, found.state.applied_content, found.due) == (Applied.SHOWN, "r1", None)
    assert found.state.carried


def test_hurried_looks_do_not_shorten_the_wait() -> None:
    """I4: ten corrections in a second make ten looks, and not a second post while the first is still on its way."""
    state = then(State(Desired.SHOWN, "r1"), done(Step.PUBLISH, UNKNOWN), PAGE).state
    for tenth in range(10):
        outcome = after(state, done(Step.FIND, None, since=NOW), PAGE, TIMING, NOW + tenth / 10, 0.5)
        state = outcome.state
        assert state.applied is Applied.UNKNOWN
    assert outcome.due is not None
    assert after(state, done(Step.FIND, None, since=NOW), PAGE, TIMING, NOW + 61, 0.5).state.applied is Applied.NONE


def test_looking_ends_though_the_clock_that_told_when_was_hours_ahead() -> None:
    """A worker two hours ahead died while it posted: the others look four times, and do not wait two hours to post."""
    state = SHOWN._replace(applied=Applied.UNKNOWN, blind=1)
    for _ in TIMING.looks:
        assert state.applied is Applied.UNKNOWN
        state = then(state, done(Step.FIND, None, since=NOW + 7200), PAGE).state
    assert state.applied is Applied.NONE


def test_a_post_that_is_not_wanted_any_more_is_looked_for_longer() -> None:
    """A withdrawn post that may still surface is looked for during more than an hour, and then left to rest."""
    state = State(Desired.GONE, applied=Applied.UNKNOWN, applied_content="r1", looks=3)
    dues = []
    while state.applied is Applied.UNKNOWN:
        outcome = then(state, done(Step.FIND, None), PAGE)
        state = outcome.state
        dues.append(outcome.due)
    assert dues == [NOW + 300, NOW + 3600, None]


@pytest.mark.parametrize("can", [MAIL, PAGE], ids=["mail", "page"])
def test_after_two_lost_answers_a_person_must_look(can: Capabilities) -> None:
    """I4: no third publication goes out blindly; the state says so."""
    assert BLIND_LIMIT == 2
    state = State(Desired.SHOWN, "r1")
    for _ in range(BLIND_LIMIT):
        outcome = then(state._replace(applied=Applied.NONE, looks=0), done(Step.PUBLISH, UNKNOWN), can)
        state = outcome.state
    if can is PAGE:
        for _ in range(len(TIMING.looks) + len(TIMING.late_looks)):
            outcome = then(outcome.state, done(Step.FIND, None), can)
        assert "by hand" in outcome.state.error
    assert outcome.due is None


def test_a_board_is_read_back_soon_then_now_and_then() -> None:
    """After a change at 5 s and 60 s, then every five minutes; dark it is looked at until all leases must be over."""
    state, can = SHOWN._replace(shown_until=NOW + 10_000), replace(BOARD, leased=False)
    waits = []
    for _ in range(4):
        outcome = then(state, done(Step.OBSERVE, Observation(True, 1, "r1")), can)
        waits.append((outcome.due or 0) - NOW)
        state = outcome.state
    assert waits == [60, 300, 300, 300]
    cleared = then(state._replace(desired=Desired.GONE), done(Step.RETRACT), can)
    assert cleared.due == NOW + 5
    dark = State(Desired.GONE, applied=Applied.GONE, looks=2, shown_until=NOW + 1)
    assert then(dark, done(Step.OBSERVE, Observation(False)), BOARD).due == NOW + 300
    assert then(dark._replace(shown_until=NOW - 1), done(Step.OBSERVE, Observation(False)), BOARD).due is None


def test_hurried_looks_do_not_shorten_the_watch_over_a_dark_board() -> None:
    """A request that was lost may land for a minute after it was sent, however often a change made us look meanwhile."""
    dark, can = State(Desired.GONE, applied=Applied.GONE, looks=9), replace(BOARD, leased=False)
    for sent, due in ((NOW - 2, NOW + 60), (NOW - 100, None)):
        seen = done(Step.OBSERVE, Observation(False), since=sent)
        assert then(dark, seen, can).due == due


def test_drift_is_closed_by_the_next_step() -> None:
    """A board that came back with an old message, another text, or none, is due at once."""
    for seen in (Observation(False), Observation(True, 7, "r1"), Observation(True, 1, "anders")):
        assert then(SHOWN, done(Step.OBSERVE, seen), BOARD).due == NOW
    dark = State(Desired.GONE, applied=Applied.GONE)
    woken = then(dark, done(Step.OBSERVE, Observation(True, 1, "r1"), ""), BOARD)
    assert (woken.state.applied, woken.due) == (Applied.SHOWN, NOW)


@pytest.mark.parametrize("can", [BOARD, replace(BOARD, can_observe=False)])
def test_a_lease_is_renewed_before_half_of_it_is_over(can: Capabilities) -> None:
    """A board that clears itself is due for renewal halfway, whether it can be read back or not."""
    fresh = then(SHOWN, done(Step.UPDATE, RECEIPT, content=content("r1", NOW + 900)), can).state
    settled = fresh._replace(looks=9)
    outcome = then(settled, done(Step.UPDATE, RECEIPT, content=content("r1", NOW + 500)), can)
    assert outcome.due is not None
    assert outcome.due <= NOW + 450
    assert not due_for_renewal(fresh, can, TIMING, NOW)
    assert due_for_renewal(fresh, can, TIMING, NOW + 450)
    assert not due_for_renewal(fresh._replace(applied=Applied.GONE), can, TIMING, NOW + 450)


def test_a_clock_that_was_ahead_does_not_put_off_a_renewal() -> None:
    """A text was sent while the clock was an hour ahead: what is sent now is renewed halfway through what it was given now."""
    ahead = SHOWN._replace(shown_until=NOW + 3600 + 900)
    outcome = then(ahead, done(Step.UPDATE, RECEIPT, "r2", content=content("r2", NOW + 900)), BOARD)
    assert due_for_renewal(outcome.state, BOARD, TIMING, NOW + 450)


@given(
    attempts=st.integers(0, 10_000),
    jitter=st.floats(0, 1, exclude_max=True),
    longest=st.sampled_from([TIMING.retry_max, TIMING.urgent_max, TIMING.check_interval]),
    retry_after=st.none() | st.floats(-10, 1e9) | st.just(float("nan")) | st.just(float("inf")),
)
def test_the_back_off_is_bounded(attempts: int, jitter: float, longest: float, retry_after: float | None) -> None:
    """Never sooner than asked (up to an hour), never later than the longest wait, and never a number that is none."""
    plain = backoff(1.0, longest, attempts, jitter)
    assert 0.25 <= plain <= longest
    wait = backoff(1.0, longest, attempts, jitter, retry_after)
    assert plain <= wait <= max(plain, 3600.0)
    if retry_after is not None and retry_after <= 3600:
        assert wait >= retry_after


def test_the_back_off_doubles_with_jitter() -> None:
    """1, 2, 4 … 60 seconds, of which jitter takes up to half."""
    assert [backoff(1.0, 60.0, n, 0.999999999) for n in range(1, 8)] == pytest.approx([1, 2, 4, 8, 16, 32, 60])
    assert [backoff(1.0, 60.0, n, 0.0) for n in range(1, 8)] == pytest.approx([0.5, 1, 2, 4, 8, 16, 30])


def test_retry_after_is_honoured_unless_something_else_is_wanted() -> None:
    """A busy board is left in peace as long as it asked; an ending does not wait for the alert's turn, a removal a minute."""
    waiting = State(Desired.SHOWN, "r1")
    assert then(waiting, done(Step.PUBLISH, BUSY), BOARD).due == NOW + 120
    assert then(State(Desired.GONE), done(Step.PUBLISH, BUSY), BOARD).due == NOW
    assert then(SHOWN._replace(desired=Desired.GONE), done(Step.RETRACT, BUSY), BOARD).due == NOW + 60


def test_endings_are_tried_again_sooner() -> None:
    """After many failures an alert waits up to a minute, a retraction at most fifteen seconds."""
    tired = SHOWN._replace(attempts=20)
    alert = then(tired._replace(applied=Applied.NONE), done(Step.PUBLISH, TRANSIENT), BOARD, 0.99).due
    ending = then(tired._replace(desired=Desired.GONE), done(Step.RETRACT, TRANSIENT), BOARD, 0.99).due
    assert NOW + 30 <= (alert or 0) <= NOW + 60
    assert NOW + 7 <= (ending or 0) <= NOW + 15


def test_the_breaker_opens_for_the_shared_way_only() -> None:
    """One target's trouble closes nothing; the mail server's does: nothing for a while, then one at a time, then all."""
    breaker = Breaker()
    for error in (TRANSIENT, PERMANENT, UNKNOWN, BUSY):
        breaker.record(error, TIMING, NOW, 0.5)
    assert breaker.slots(16, 3, NOW) == 16
    breaker.record(TransientError("the server is down", whole_adapter=True), TIMING, NOW, 0.5)
    assert breaker.slots(16, 0, NOW) == 0
    assert (breaker.slots(16, 0, NOW + 1), breaker.slots(15, 1, NOW + 1)) == (1, 0)
    breaker.record(None, TIMING, NOW + 1, 0.5)
    assert breaker.slots(16, 0, NOW + 1) == 16


def test_the_breaker_waits_longer_each_time_but_never_for_good() -> None:
    """However long the way is down, it is tried at least every fifteen seconds, or when the server said."""
    breaker, now = Breaker(), NOW
    for _ in range(100):
        breaker.record(TransientError("down", whole_adapter=True), TIMING, now, 0.99)
        assert now < breaker.closed_until <= now + TIMING.urgent_max
        now = breaker.closed_until
        assert breaker.slots(16, 0, now) == 1
    breaker.record(TransientError("down", retry_after=600, whole_adapter=True), TIMING, now, 0.99)
    assert breaker.closed_until == now + 600
