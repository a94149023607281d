"""Whatever fails on the way, it ends right when the world heals.

Nothing is left behind (I2), nothing is doubled (I4), and nobody is told an outcome who never got the alert (I5).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.core.posting import Applied, Capabilities, Desired, Kind
from bridge.core.retry import BLIND_LIMIT
from tests.unit.faulty_channel import Fault, World
from tests.unit.samples import BOARD, MAIL, OUTBOX, PAGE

HOURS = 3600.0
PLAIN_BOARD = replace(BOARD, leased=False)
SEARCHED_BOARD = replace(BOARD, idempotent=False, leased=False)
BLIND_SIGN = Capabilities(kind=Kind.STATE, channels=frozenset({"sign"}), board=True)
LEASED_BLIND_SIGN = replace(BLIND_SIGN, idempotent=True, leased=True)
BOARDS = {
    "http_sign": BOARD,
    "without a lease": PLAIN_BOARD,
    "that must be searched": SEARCHED_BOARD,
    "that answers nothing": BLIND_SIGN,
    "leased, that answers nothing": LEASED_BLIND_SIGN,
}


class Act(StrEnum):
    """What the control room does."""

    OPEN = "open"
    OPEN_WITH_PHOTO = "open with photo"
    CORRECT = "correct"
    FORBID = "forbid"
    END = "end"
    WITHDRAW = "withdraw"
    EXPIRE = "expire"


OVER = (Act.END, Act.WITHDRAW, Act.EXPIRE)


@dataclass(frozen=True)
class Scene:
    """An act, and the seconds that pass before it."""

    wait: float
    act: Act


waits = st.sampled_from([0.0, 0.05, 1.0, 2.5, 10.0, 70.0, 1000.0])
scenes = st.lists(st.builds(Scene, waits, st.sampled_from(Act)), max_size=6)
faults = st.lists(st.sampled_from(Fault), max_size=10)


def play(world: World, story: list[Scene]) -> tuple[Act, str]:
    """Play a story that begins with an opening; give its last act and what should be shown then."""
    last, text, over = Act.OPEN, "", False
    for revision, scene in enumerate([Scene(0, Act.OPEN), *story], start=1):
        world.run(world.now + scene.wait)
        name = f"{scene.act} {revision}"
        if over and scene.act in (Act.CORRECT, Act.FORBID, Act.EXPIRE):
            continue  # a case that is over is not corrected
        last = scene.act
        match scene.act:
            case Act.OPEN | Act.OPEN_WITH_PHOTO | Act.CORRECT:
                world.wish(name, revision, photo=scene.act is Act.OPEN_WITH_PHOTO, anew=over)
                text, over = name, False
            case Act.FORBID:
                world.refuse(revision)
            case Act.EXPIRE:
                world.expire(revision)
                over = True
            case _:
                world.end(name, revision, withdrawn=scene.act is Act.WITHDRAW)
                text, over = name, True
    return last, text


@pytest.mark.parametrize("can", BOARDS.values(), ids=list(BOARDS))
@given(story=scenes, met=faults)
@settings(max_examples=150, deadline=None)
@example(story=[Scene(2.5, Act.END)], met=[Fault.SLOW])
@example(story=[Scene(0.05, Act.END)], met=[Fault.LATE])
@example(story=[Scene(1.0, Act.CORRECT)], met=[Fault.LOST_ANSWER, Fault.NEVER])
@example(story=[Scene(0.05, Act.CORRECT)], met=[Fault.NEVER])
def test_a_board_ends_with_the_right_text_or_dark(can: Capabilities, story: list[Scene], met: list[Fault]) -> None:
    """I2, I7: once the world has healed, a board shows the latest text, or nothing when nothing should be there."""
    if can is BLIND_SIGN:  # nobody can know what still comes to a sign that neither answers nor clears itself
        met = [fault for fault in met if fault is not Fault.LATE]
    world = World(can, met)
    last, text = play(world, story)
    world.run(world.now + 3 * HOURS)
    if last in (*OVER, Act.FORBID):
        assert world.alive() == []
    elif text in world.refused_for_good:
        comes_late = Fault.LATE in met and not can.leased
        assert comes_late or world.alive() in ([], [text])
    elif can.can_observe or Fault.LATE not in met:
        gave_up = not can.idempotent and world.state.blind >= BLIND_LIMIT
        assert world.alive() == [text] or gave_up


@pytest.mark.parametrize("can", BOARDS.values(), ids=list(BOARDS))
def test_a_board_that_can_be_reached_is_dark_at_once(can: Capabilities) -> None:
    """R5: after the step in flight, the clearing takes one step; nothing is waited for."""
    world = World(can, [Fault.NONE])
    play(world, [Scene(10, Act.END)])
    world.run(world.now + 0.2)
    assert world.alive() == []


@pytest.mark.parametrize("can", [BOARD, LEASED_BLIND_SIGN])
def test_a_leased_board_is_renewed_as_long_as_the_case_is_open(can: Capabilities) -> None:
    """A board that clears itself never goes dark while the case is open and the bridge is alive."""
    world = World(can, [])
    play(world, [])
    for _ in range(60):
        world.run(world.now + 120)
        assert world.alive() == ["open 1"]


@given(story=scenes, met=faults)
@settings(max_examples=150, deadline=None)
@example(story=[Scene(2.5, Act.CORRECT)] * 3, met=[Fault.LATE])
@example(story=[Scene(0.05, Act.CORRECT)] * 6, met=[Fault.LATE])
@example(story=[Scene(0.05, Act.EXPIRE)], met=[Fault.LOST_ANSWER])
@example(story=[Scene(70.0, Act.OPEN_WITH_PHOTO), Scene(0.05, Act.EXPIRE)], met=[Fault.NONE, Fault.NONE, Fault.LATE])
@example(story=[Scene(0.05, Act.CORRECT)], met=[Fault.NEVER])
def test_a_page_never_shows_a_case_twice_and_ends_right(story: list[Scene], met: list[Fault]) -> None:
    """I2, I4: never two posts of one case at a time, whatever is lost or killed; and the last word is the right one."""
    world = World(PAGE, met)
    last, text = play(world, story)
    world.run(world.now + 5 * HOURS)
    assert world.most_at_once <= 1
    there = world.alive()
    match last:
        case Act.WITHDRAW | Act.FORBID:
            assert there == []
        case Act.EXPIRE:
            assert not any("photo" in name for name in there)
        case Act.END:
            assert set(there) <= {text}
            assert there or not world.state.carried or text in world.refused_for_good
        case _:
            assert there == [text] or text in world.refused_for_good or world.state.blind >= BLIND_LIMIT


@pytest.mark.parametrize("can", [MAIL, OUTBOX], ids=["mail", "outbox"])
@given(story=scenes, met=faults)
@settings(max_examples=150, deadline=None)
def test_an_outcome_goes_to_those_who_got_the_alert_and_to_no_one_else(
    can: Capabilities, story: list[Scene], met: list[Fault]
) -> None:
    """I5, R9: who (maybe) got the alert hears the latest news; who certainly did not hears nothing of an ending."""
    world = World(can, met)
    last, text = play(world, story)
    world.run(world.now + 5 * HOURS)
    gave_up = text in world.refused_for_good or world.state.blind >= BLIND_LIMIT
    if last in (Act.END, Act.WITHDRAW):
        assert world.may_have_come or text not in world.inbox
        assert not world.may_have_come or text in world.inbox or gave_up
    elif last not in (Act.EXPIRE, Act.FORBID):
        assert text in world.inbox or gave_up
    assert world.due is None


@given(story=scenes, met=faults)
@settings(max_examples=150, deadline=None)
def test_no_message_is_sent_more_than_twice(story: list[Scene], met: list[Fault]) -> None:
    """I4: only a mail whose fate nobody knows goes out once more, and then a person must look."""
    world = World(MAIL, met)
    play(world, story)
    world.run(world.now + 5 * HOURS)
    assert all(world.inbox.count(name) <= BLIND_LIMIT for name in world.inbox)
    outbox = World(OUTBOX, met)
    play(outbox, story)
    outbox.run(outbox.now + 5 * HOURS)
    assert len(outbox.inbox) == len(set(outbox.inbox))


@given(
    st.integers(0, 40),
    st.sampled_from([Fault.REFUSED, Fault.NEVER, Fault.BUSY, Fault.LOST_REQUEST, Fault.KILLED_BEFORE]),
)
@settings(max_examples=60, deadline=None)
def test_a_retraction_has_no_last_try(failures: int, fault: Fault) -> None:
    """However often it fails and in whatever way, a board that is lit is asked again until it is dark."""
    world = World(PLAIN_BOARD, [Fault.NONE, *[fault] * failures])
    play(world, [Scene(1.0, Act.END)])
    world.run(world.now + 6 * HOURS)
    assert world.alive() == []
    assert world.state.applied is Applied.GONE
    assert world.state.desired is Desired.GONE
