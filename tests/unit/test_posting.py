"""The step table: every combination of what is there, what should be, and what the channel can do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from string import ascii_lowercase

import pytest

from bridge.core.posting import Applied, Capabilities, Desired, Kind, State, Step, is_urgent, next_step, posting_id
from tests.unit.samples import BOARD, MAIL, OUTBOX, PAGE, target

YES_NO = (False, True)


def channels() -> Iterator[Capabilities]:
    """Give every channel that could exist, as far as the table asks."""
    for kind, update, retract, find, again, photo in product(Kind, YES_NO, YES_NO, YES_NO, YES_NO, YES_NO):
        can = Capabilities(kind, frozenset(), can_update=update, can_retract=retract)
        yield replace(can, can_find=find, idempotent=again, edits_photo=photo)


def states() -> Iterator[State]:
    """Give every state of a posting, as far as the table asks."""
    there = list(product(Applied, ("old", "new"), ("", "photo"), YES_NO, YES_NO, YES_NO, (None, {"id": "1"})))
    nothing = ((Desired.GONE, "", False), (Desired.REFUSED, "", False))
    wanted = [*nothing, *product((Desired.SHOWN,), ("", "photo"), YES_NO)]
    for half, (desired, photo, ending) in product(there, wanted):
        applied, content, old_photo, old_ending, carried, stale, handle = half
        yield State(
            desired=desired,
            content="new" if desired is Desired.SHOWN else "",
            photo=photo,
            ending=ending,
            applied=applied,
            applied_content=content,
            applied_photo=old_photo,
            applied_ending=old_ending,
            carried=carried,
            stale=stale,
            handle=handle,
        )


CASES = [(state, can) for state in states() for can in channels()]
STEPS = [(state, can, next_step(state, can)) for state, can in CASES]


def by_the_design(state: State, can: Capabilities) -> Step | None:
    """Read the table of design 1 aloud: applied, desired, step."""
    nothing_wanted = state.desired is not Desired.SHOWN or (state.ending and not state.carried)
    take_away = Step.RETRACT if can.can_retract else None
    match state.applied, nothing_wanted:
        case Applied.NONE | Applied.GONE, True:
            return None
        case Applied.NONE | Applied.GONE, False:
            return Step.PUBLISH
        case Applied.SHOWN, True:
            return take_away
        case Applied.SHOWN, False:
            return None if state.applied_content == state.content and not state.stale else _change(state, can)
        case Applied.UNKNOWN, True:
            return Step.FIND if can.can_find and not can.idempotent else take_away
        case _:
            return _mend(state, can)


def _change(state: State, can: Capabilities) -> Step:
    """Something else should be there: edit it where that can be done and seen; else take away first."""
    obstacles = (
        not can.can_update,
        state.stale,
        state.photo != state.applied_photo and not can.edits_photo,
        can.kind is Kind.POST and state.applied_ending and not state.ending,
    )
    return Step.RETRACT if any(obstacles) and can.can_retract else Step.UPDATE


def _mend(state: State, can: Capabilities) -> Step:
    """Nobody knows what is there: doing it again must be harmless, or we look first, or it can only be sent again."""
    if can.can_find and not can.idempotent:
        return Step.FIND
    if state.stale and can.can_retract:
        return Step.RETRACT
    told_before = can.kind is Kind.MESSAGE and not can.idempotent and state.handle is not None
    return Step.UPDATE if told_before else Step.PUBLISH


def test_the_table_is_the_designs_table() -> None:
    """Each of the combinations gives the step that the design's table gives, read in another way."""
    assert len(CASES) > 100_000
    wrong = [(state, can) for state, can, step in STEPS if step is not by_the_design(state, can)]
    assert not wrong, wrong[0]


def test_an_ending_that_nobody_was_promised_is_never_published() -> None:
    """I5, R9: an outcome goes only to those who got the alert; to others nothing is sent, and never an edit."""
    for state, _, step in STEPS:
        if state.ending and not state.carried:
            assert step not in (Step.PUBLISH, Step.UPDATE)


def test_an_unknown_outcome_is_looked_up_before_anything_is_posted_again() -> None:
    """I4: where a second publication would be a second post and the channel can look, it looks first."""
    for state, can, step in STEPS:
        if state.applied is Applied.UNKNOWN and can.can_find and not can.idempotent:
            assert step is Step.FIND


def test_only_what_is_wanted_is_ever_shown() -> None:
    """I1: a posting that is refused, gone or held is never published or edited, whatever is there."""
    for state, _, step in STEPS:
        if state.desired is not Desired.SHOWN:
            assert step in (None, Step.RETRACT, Step.FIND)


def test_no_channel_is_asked_for_what_it_cannot_do() -> None:
    """An ability that the capabilities deny is not asked for (a message channel's follow-up is its update)."""
    for state, can, step in STEPS:
        assert step is not Step.RETRACT or can.can_retract
        assert step is not Step.FIND or can.can_find
        follows_up = can.kind is Kind.MESSAGE and state.applied is Applied.UNKNOWN
        assert step is not Step.UPDATE or can.can_update or not can.can_retract or follows_up


def test_what_may_be_lit_is_put_out() -> None:
    """I2: on a channel that can take back, something unwanted that is or may be there always has a next step."""
    for state, can, step in STEPS:
        if can.can_retract and not state.wanted and state.applied in (Applied.SHOWN, Applied.UNKNOWN):
            assert step in (Step.RETRACT, Step.FIND)


def test_steps_that_succeed_close_every_gap() -> None:
    """From any state, doing what the table says two or three times leaves no gap (looking finds what was tried)."""
    for start, can, first in STEPS[::3]:
        state, step, steps = start, first, 0
        while step is not None:
            steps += 1
            assert steps <= 3, (start, can)
            match step:
                case Step.RETRACT:
                    state = state._replace(applied=Applied.GONE, applied_content="", stale=False)
                case Step.FIND:
                    state = state._replace(applied=Applied.SHOWN, carried=True, stale=False)
                case _:
                    state = state._replace(
                        applied=Applied.SHOWN,
                        applied_content=state.content,
                        applied_photo=state.photo,
                        applied_ending=state.ending,
                        carried=True,
                        stale=False,
                    )
            step = next_step(state, can)
        assert state.applied is not Applied.UNKNOWN or not can.can_retract


@pytest.mark.parametrize(
    ("applied", "desired", "expected"),
    [
        (Applied.NONE, "r1", Step.PUBLISH),
        (Applied.GONE, "r1", Step.PUBLISH),
        (Applied.SHOWN, "r3", Step.UPDATE),
        (Applied.SHOWN, "r1", None),
        (Applied.SHOWN, "", Step.RETRACT),
        (Applied.NONE, "", None),
        (Applied.GONE, "", None),
    ],
)
def test_the_table_of_the_design_word_for_word(applied: Applied, desired: str, expected: Step | None) -> None:
    """The rows of design 1 for a board: revision 1 is there, revision 3 wanted; 2 is never shown."""
    there = "r1" if applied is Applied.SHOWN else ""
    state = State(Desired.SHOWN if desired else Desired.GONE, desired, applied=applied, applied_content=there)
    assert next_step(state, BOARD) is expected


def test_the_real_channels_know_what_to_do_when_nobody_knows() -> None:
    """After a timeout: a board is told again or cleared, a page is searched, a mail goes again, an outbox is asked nothing."""
    wanted = State(Desired.SHOWN, "r1", applied=Applied.UNKNOWN, carried=True)
    gone = State(Desired.GONE, applied=Applied.UNKNOWN, carried=True)
    assert (next_step(wanted, BOARD), next_step(gone, BOARD)) == (Step.PUBLISH, Step.RETRACT)
    assert (next_step(wanted, PAGE), next_step(gone, PAGE)) == (Step.FIND, Step.FIND)
    assert (next_step(wanted, MAIL), next_step(gone, MAIL)) == (Step.PUBLISH, None)
    assert (next_step(wanted, OUTBOX), next_step(gone, OUTBOX)) == (Step.PUBLISH, None)
    follow_up = wanted._replace(handle={"message_id": "<1@x>"})
    assert next_step(follow_up, MAIL) is Step.UPDATE


def test_a_photo_that_cannot_be_edited_out_costs_the_post() -> None:
    """R15: at the end a post with a photo is taken away, then the outcome is posted as text."""
    state = State(Desired.SHOWN, "end", ending=True, carried=True, applied=Applied.SHOWN, applied_content="r1")
    assert next_step(state, PAGE) is Step.UPDATE
    pictured = state._replace(applied_photo="p")
    assert next_step(pictured, PAGE) is Step.RETRACT
    assert next_step(pictured._replace(applied=Applied.GONE, applied_content=""), PAGE) is Step.PUBLISH


def test_a_post_that_told_the_end_is_not_edited_back_into_an_alert() -> None:
    """A re-opened case gets a new post: nobody would see an edit of the old one. A mail thread just goes on."""
    state = State(Desired.SHOWN, "r3", applied=Applied.SHOWN, applied_content="end", applied_ending=True)
    assert next_step(state, PAGE) is Step.RETRACT
    assert next_step(state._replace(handle={"message_id": "<1@x>"}), MAIL) is Step.UPDATE


def test_endings_and_retractions_are_urgent_and_nothing_else_is() -> None:
    """What takes something away goes first: gone, refused and endings; an alert or a correction waits its turn."""
    for state, _ in CASES[:: len(list(channels()))]:
        assert is_urgent(state) == (state.desired is not Desired.SHOWN or state.ending)


def test_the_name_of_a_posting_is_stable_and_fit_for_a_url() -> None:
    """The name is the same for ever (receipts hang on it), and another case, target, adapter or address is another."""
    bord = target("bord-1", address="http://127.0.0.1:9100/messages")
    name = posting_id("2026112200042", bord)
    assert name == "q4v3wls7uavtfz5a2tltnt2aeo"
    assert set(name) <= set(ascii_lowercase + "234567")
    others = [
        posting_id("2026112200043", bord),
        posting_id("2026112200042", target("bord-2", address=bord.address)),
        posting_id("2026112200042", target("bord-1", address="http://127.0.0.2:9100/messages")),
        posting_id("2026112200042", target("bord-1", address=bord.address, adapter="display")),
    ]
    assert len({name, *others}) == 5
    assert posting_id("2026112200042", target("bord-1", address=bord.address, languages=["de"])) == name
