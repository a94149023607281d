"""What a posting of a backup is worth: boards are looked at, posts are looked for, and no message goes twice."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from bridge.core.posting import Applied, Capabilities, Desired, Kind, State, Step, next_step
from bridge.core.restoring import Kept, after_restore
from bridge.core.retry import After, Timing
from tests.unit.samples import BOARD, MAIL, OUTBOX, PAGE

NOW = 1_000_000.0
TIMING = Timing()


def state(desired: str = "shown", applied: str = "none", **more: Any) -> State:
    """Give a posting's two halves; what is there is the first content, what is wanted the second."""
    there = "c1" if applied in ("shown", "unknown") else ""
    fields = {"content": "c2" if desired == "shown" else "", "applied_content": there, "carried": applied != "none"}
    return State(Desired(desired), applied=Applied(applied), **{**fields, **more})


def restored(kept: State, can: Capabilities, *, due: float | None = 1.0, is_open: bool = True, **more: Any) -> After:
    """Restore one posting now."""
    return after_restore(Kept(kept, due, is_open, **more), can, TIMING, NOW)


ALL = [state(desired, applied) for desired, applied in itertools.product(Desired, Applied)]


@pytest.mark.parametrize("kept", ALL, ids=lambda one: f"{one.desired}-{one.applied}")
@pytest.mark.parametrize("due", [None, 1.0])
def test_every_board_of_an_open_case_is_touched_once_more(kept: State, due: float | None) -> None:
    """Whatever a backup says of a board, it is shown what is wanted or cleared at once, and read back long enough (I2)."""
    then = restored(kept, BOARD, due=due)
    assert then.due == NOW
    assert next_step(then.state, BOARD) is (Step.PUBLISH if kept.wanted else Step.RETRACT)
    assert then.state.shown_until >= NOW + TIMING.valid_for


@pytest.mark.parametrize("can", [BOARD, PAGE, MAIL, OUTBOX], ids=lambda can: can.kind.value)
@pytest.mark.parametrize("kept", ALL, ids=lambda one: f"{one.desired}-{one.applied}")
def test_what_was_over_stays_as_it_was(kept: State, can: Capabilities) -> None:
    """A settled posting of a closed case is history."""
    assert restored(kept, can, due=None, is_open=False) == After(kept, None)


@pytest.mark.parametrize("ending", [False, True])
@pytest.mark.parametrize("applied", list(Applied))
def test_a_mail_that_waited_is_not_sent_again(applied: str, ending: bool) -> None:
    """What may have been mailed after the backup is taken for sent (I4), and hears the outcome (R9)."""
    kept = state("shown", applied, ending=ending, carried=True)
    then = restored(kept, MAIL)
    assert (then.due, then.state.applied, then.state.applied_content) == (None, Applied.UNKNOWN, "c2")
    assert then.state.carried
    assert then.state.error


def test_who_never_got_an_alert_hears_no_outcome_after_a_restore_either() -> None:
    """An ending that waits where nothing was carried is no step, and stays none (I5)."""
    kept = state("shown", "none", ending=True, carried=False)
    assert restored(kept, MAIL, is_open=False) == After(kept, NOW)
    assert next_step(kept, MAIL) is None


def test_a_mail_in_flight_may_have_been_read() -> None:
    """An alert that was being sent while its outcome waited already counts as carried."""
    kept = state("shown", "none", ending=True, carried=False)
    then = restored(kept, MAIL, flying=("c1", False))
    assert (then.due, then.state.applied, then.state.carried) == (None, Applied.UNKNOWN, True)


def test_a_mail_that_was_sent_is_as_it_was() -> None:
    """A settled mail of an open case needs nothing."""
    kept = state("shown", "shown", applied_content="c2")
    assert restored(kept, MAIL, due=None) == After(kept, None)


def test_an_outbox_is_in_the_same_backup() -> None:
    """A message to an admin that was not kept yet is put there: the outbox was restored from the same moment."""
    then = restored(state("shown", "none"), OUTBOX)
    assert (then.due, next_step(then.state, OUTBOX)) == (NOW, Step.PUBLISH)


def test_a_post_that_waited_is_looked_for_first() -> None:
    """A page may show the post already: it is found, and only then posted (I4)."""
    then = restored(state("shown", "none"), PAGE)
    assert (then.due, next_step(then.state, PAGE), then.state.applied_content) == (NOW, Step.FIND, "c2")
    flying = restored(state("shown", "none"), PAGE, flying=("c1", False))
    assert flying.state.applied_content == "c1"


def test_a_post_that_was_there_is_edited_or_taken_away_as_planned() -> None:
    """We know where it is, so doing the step again harms nobody."""
    assert restored(state("shown", "shown"), PAGE) == After(state("shown", "shown"), NOW)
    assert restored(state("gone", "shown"), PAGE, is_open=False) == After(state("gone", "shown"), NOW)


@pytest.mark.parametrize("can", [BOARD, PAGE, MAIL, OUTBOX], ids=lambda can: can.kind.value)
@pytest.mark.parametrize("kept", ALL, ids=lambda one: f"{one.desired}-{one.applied}")
@pytest.mark.parametrize("is_open", [False, True])
def test_no_restore_forgets_that_something_may_be_there(kept: State, can: Capabilities, is_open: bool) -> None:
    """What was shown or unknown is never called gone by a restore (I2)."""
    then = restored(kept, can, is_open=is_open)
    there = (Applied.SHOWN, Applied.UNKNOWN)
    assert kept.applied not in there or then.state.applied in there
    assert can.kind is Kind.MESSAGE or then.due == NOW
