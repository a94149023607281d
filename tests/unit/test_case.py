"""The fold: whatever the order, the doubles and the clocks, a case is the same case."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from bridge.core.alert import Alert, Outcome
from bridge.core.case import CLOCK_SKEW, Case, Registers, Standing, Verdict, fold, settle
from bridge.core.events import Ended, Event, Opened, Updated
from tests.unit.samples import ALERT, NOW, event

LIFETIME = timedelta(hours=12)
LATER = NOW + timedelta(hours=1)


def minutes(count: float) -> datetime:
    """Give the instant so many minutes after ``NOW``."""
    return NOW + timedelta(minutes=count)


def told(text: str, **changes: Any) -> dict[str, Any]:
    """Give the data of an opening or update that says ``text``."""
    return {**ALERT, "info": [{"description": text}], **changes}


def opened(minute: float, text: str = "", **more: Any) -> Event:
    """Give an opening."""
    return event("opened", minute, data=told(text or f"opened at {minute}"), **more)


def updated(minute: float, text: str = "", **more: Any) -> Event:
    """Give an update."""
    return event("updated", minute, data=told(text or f"updated at {minute}"), **more)


def ended(minute: float, outcome: str = "resolved", **more: Any) -> Event:
    """Give an ending."""
    return event("ended", minute, data={"outcome": outcome}, **more)


def play(events: Iterable[Event], received: datetime = LATER) -> tuple[Case, list[Verdict]]:
    """Fold events into a new case, all received at the same time."""
    case, verdicts = Case("2026112200042"), []
    for one in events:
        case, verdict = fold(case, one, received, LIFETIME)
        verdicts.append(verdict)
    return case, verdicts


def seen(case: Case) -> tuple[object, ...]:
    """Everything of a case but its revision, which counts what people saw on the way."""
    return case.registers, case.standing, case.outcome, case.expires


def text_of(case: Case) -> str:
    """Give what an open case says."""
    return case.registers.alert.info[0].description if case.registers.alert else ""


def by_hand(events: Sequence[Event]) -> tuple[bool, str]:
    """Work out in another way whether a case is open and what it says: read the story in its own order."""

    def order(one: Event) -> tuple[object, ...]:
        default = -1 if isinstance(one, Opened) else 10**18
        rank = (Opened, Updated, Ended).index(type(one))
        return one.time, default if one.sequence is None else one.sequence, rank, one.source, one.id

    is_open, begun, text = False, False, ""
    story = sorted(events, key=order)
    for one in story:
        if isinstance(one, Ended):
            is_open, begun = False, True
        else:
            is_open = is_open or isinstance(one, Opened) or not begun
            begun, text = True, one.data.info[0].description
    openings = [one for one in story if isinstance(one, Opened)]
    endings = [one for one in story if isinstance(one, Ended)]
    alone = len({(one.time, one.sequence, one.source, one.id) for one in openings}) == 1
    if endings and alone and openings[0].time - endings[-1].time <= CLOCK_SKEW:
        is_open = False
    return is_open, text


STORIES = {
    "a whole case": [opened(0), updated(3), updated(5), ended(30)],
    "the ending is older than the last update": [opened(0), updated(3), ended(4), updated(5)],
    "opened again": [opened(0), updated(2), ended(10), opened(20), updated(25)],
    "opened again and ended again": [opened(0), ended(10), opened(20), ended(30, "unresolved"), updated(31)],
    "an update alone, and its end": [updated(0), updated(1), ended(2)],
    "an update between two lives": [opened(0), ended(10), updated(15), opened(20)],
    "two endings": [opened(0), ended(10), ended(12, "withdrawn"), updated(11)],
    "equal times": [opened(0), updated(0), ended(0), opened(0, name="again"), updated(0, name="more")],
    "equal times, numbered": [opened(0, sequence="1"), updated(0, sequence="2"), ended(0, sequence="3"),
                              opened(0, sequence="4", name="again"), updated(0, sequence="5", name="more")],
    "a tie that the ending wins": [opened(0), ended(10), opened(10, sequence="5"), updated(10, sequence="6")],
    "a tie that the number decides": [opened(0, name="a"), opened(0, sequence="0", name="b"), updated(0, sequence="9")],
    "clocks that differ": [ended(0), opened(4), updated(6)],
    "clocks that differ, and an update from another one": [opened(2), updated(1), ended(1.5)],
    "doubled": [opened(0), opened(0), updated(3), updated(3), ended(5), ended(5)],
    "two sources": [opened(0, name="1", source="urn:a"), opened(0, name="1", source="urn:b"), updated(1), ended(2)],
}  # fmt: skip


@pytest.mark.parametrize("story", STORIES.values(), ids=list(STORIES))
def test_every_order_of_a_story_gives_the_same_case(story: list[Event]) -> None:
    """All permutations end in one and the same case, and it is the one that reading the story in order gives."""
    expected = by_hand(story)
    cases = {seen(play(order)[0]) for order in permutations(story)}
    assert len(cases) == 1
    case, _ = play(story)
    assert (case.standing is Standing.OPEN) == expected[0]
    assert text_of(case) == expected[1]


makers = st.sampled_from([opened, updated, ended])
stories = st.lists(
    st.builds(
        lambda make, minute, sequence, source, name: make(minute, sequence=sequence, source=source, name=f"{name}"),
        makers,
        st.integers(0, 8),
        st.sampled_from([None, "0", "1", "999999999999999999"]),
        st.sampled_from(["urn:a", "urn:b"]),
        st.integers(0, 10**6),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda one: one.id,
)


@given(stories)
@settings(max_examples=150, deadline=None)
def test_any_story_in_any_order_is_one_case(story: list[Event]) -> None:
    """Random stories agree with the plain reading of them in order, however they come in."""
    assert len({seen(play(order)[0]) for order in permutations(story)}) == 1
    case, _ = play(story)
    assert ((case.standing is Standing.OPEN), text_of(case)) == by_hand(story)


@given(stories, st.data())
@settings(max_examples=100, deadline=None)
def test_duplicates_are_harmless_and_revisions_only_rise(story: list[Event], data: st.DataObject) -> None:
    """Folding in again what is there already changes nothing at all, and no event takes a revision back."""
    again = data.draw(st.lists(st.sampled_from(story), max_size=4))
    once, _ = play(story)
    twice, _ = play([*story, *again])
    assert twice == once
    revision = 0
    for count in range(1, len(story) + 1):
        case, _ = play(story[:count])
        assert 0 <= case.revision - revision <= 1
        revision = case.revision


@given(stories)
@settings(max_examples=50, deadline=None)
def test_the_registers_survive_the_store(story: list[Event]) -> None:
    """A case that was written as JSON and read again goes on as if nothing had happened."""
    adapter: TypeAdapter[Registers] = TypeAdapter(Registers)
    case = Case("2026112200042")
    for one in story:
        stored = adapter.validate_json(adapter.dump_json(case.registers, exclude_none=True))
        assert stored == case.registers
        case, _ = fold(replace(case, registers=stored), one, LATER, LIFETIME)
    assert case == play(story)[0]


def test_a_tombstone_stops_the_opening_that_comes_late() -> None:
    """An ending that arrives first ends the case that was never seen; its opening and updates then show nothing."""
    case, verdicts = play([ended(10), opened(0), updated(5)])
    assert verdicts == [Verdict.TOMBSTONE, Verdict.ENDED_ALREADY, Verdict.ENDED_ALREADY]
    assert (case.standing, case.outcome, case.revision) == (Standing.ENDED, Outcome.RESOLVED, 1)


@pytest.mark.parametrize("back", [timedelta(minutes=4), timedelta(hours=1), timedelta(days=1)], ids=str)
def test_an_ending_holds_though_our_clock_was_set_back(back: timedelta) -> None:
    """An honest ending ends its case, even when by our clock it comes from the future."""
    case, _ = fold(Case("2026112200042"), opened(0), NOW, LIFETIME)
    case, verdict = fold(case, ended(1), NOW + timedelta(minutes=1) - back, LIFETIME)
    assert (verdict, case.standing) == (Verdict.APPLIED, Standing.ENDED)


def test_an_update_after_the_end_is_kept_and_shows_nothing() -> None:
    """Only an opening opens a case again; an update after the end changes nothing that people see."""
    case, verdicts = play([opened(0), ended(10), updated(20)])
    assert verdicts == [Verdict.APPLIED, Verdict.APPLIED, Verdict.ENDED_ALREADY]
    assert (case.standing, case.revision) == (Standing.ENDED, 2)


def test_a_later_opening_opens_again_and_a_late_one_does_not() -> None:
    """A new opening with a later time starts a new life with a new revision; an old one that arrives late does not."""
    case, verdicts = play([opened(0), ended(10), opened(5, name="late"), opened(20)])
    assert verdicts[2:] == [Verdict.ENDED_ALREADY, Verdict.APPLIED]
    assert (case.standing, case.outcome, case.revision, text_of(case)) == (Standing.OPEN, None, 3, "opened at 20")
    case, verdict = fold(case, ended(15, "withdrawn"), LATER, LIFETIME)
    assert (case.standing, verdict) == (Standing.OPEN, Verdict.SUPERSEDED)


def test_a_late_correction_is_superseded() -> None:
    """Of two updates the later one counts, whichever arrives last; the earlier one costs no revision."""
    case, verdicts = play([opened(0), updated(6), updated(3)])
    assert (verdicts[-1], text_of(case), case.revision) == (Verdict.SUPERSEDED, "updated at 6", 2)


@pytest.mark.parametrize(("lead", "over"), [(0, True), (4.99, True), (5, True), (5.01, False), (600, False)])
def test_an_ending_dated_just_before_the_only_opening_still_ends_it(lead: float, over: bool) -> None:
    """Two sources' clocks may differ by ``CLOCK_SKEW``; more than that is another life of the case."""
    for order in permutations([ended(0), opened(lead)]):
        case, _ = play(order, received=minutes(1000))
        assert (case.standing is Standing.ENDED) == over, order
        assert case.standing is not Standing.OPEN or not over


def test_the_skew_rule_never_swallows_a_re_opening() -> None:
    """A case that was open before can be opened again seconds after its end."""
    for order in permutations([opened(0), ended(10), opened(10.1)]):
        case, _ = play(order)
        assert (case.standing, text_of(case)) == (Standing.OPEN, "opened at 10.1")


@pytest.mark.parametrize("ahead", [1, 4, 60, 60 * 24 * 365])
def test_a_clock_that_runs_ahead_cannot_outrun_an_honest_ending(ahead: float) -> None:
    """An opening dated in the future counts as now, so that the ending a minute later still ends it."""
    case, _ = fold(Case("1"), opened(ahead), NOW, LIFETIME)
    assert case.standing is Standing.OPEN
    case, verdict = fold(case, ended(1), minutes(1), LIFETIME)
    assert (case.standing, verdict) == (Standing.ENDED, Verdict.APPLIED)


@pytest.mark.parametrize("ahead", [60, 60 * 24 * 365])
def test_a_re_opening_far_in_the_future_can_be_ended_at_once(ahead: float) -> None:
    """A re-opening by a source with a wild clock is no zombie: the honest ending a minute later ends it."""
    case, _ = play([opened(-20), ended(-10)], received=NOW)
    case, _ = fold(case, opened(ahead), NOW, LIFETIME)
    assert case.standing is Standing.OPEN
    case, _ = fold(case, ended(1, "unresolved"), minutes(1), LIFETIME)
    assert (case.standing, case.outcome) == (Standing.ENDED, Outcome.UNRESOLVED)


def test_a_correction_far_in_the_future_does_not_silence_the_next() -> None:
    """An update by a source with a wild clock is replaced by the honest update that follows it."""
    case, _ = play([opened(-20)], received=NOW)
    case, _ = fold(case, updated(600), NOW, LIFETIME)
    case, _ = fold(case, updated(1), minutes(1), LIFETIME)
    assert text_of(case) == "updated at 1"


def test_equal_instants_in_other_zones_are_equal() -> None:
    """An ending spelled in another zone ends the case that was opened at the same instant in ours."""
    first = event("opened", time="2026-11-22T10:15:00+01:00")
    last = event("ended", time="2026-11-22T04:15:00-05:00", data={"outcome": "resolved"})
    for order in permutations([first, last]):
        assert play(order)[0].standing is Standing.ENDED


def test_a_repeated_outcome_changes_nothing_and_another_one_does() -> None:
    """The same outcome told twice is no news; a new outcome is, and the latest counts whatever came last."""
    case, _ = play([opened(0), ended(10)])
    same, _ = fold(case, ended(12), LATER, LIFETIME)
    assert (same.revision, same.outcome) == (case.revision, case.outcome)
    other, verdict = fold(same, ended(14, "unresolved"), LATER, LIFETIME)
    assert (other.revision, other.outcome, verdict) == (case.revision + 1, Outcome.UNRESOLVED, Verdict.APPLIED)
    late, verdict = fold(other, ended(13, "withdrawn"), LATER, LIFETIME)
    assert (late, verdict) == (other, Verdict.SUPERSEDED)


def test_the_same_words_twice_cost_no_revision() -> None:
    """An update that says what is shown already is no news."""
    case, _ = play([opened(0, "x"), updated(5, "x")])
    assert case.revision == 1


def test_a_case_expires_by_its_own_time_or_the_longest_life() -> None:
    """``expires`` counts; without it the latest content may stand for the longest life. No outcome is invented."""
    own = event("opened", data=told("x", expires=minutes(60).isoformat()))
    for first, end in ((own, minutes(60)), (opened(0), NOW + LIFETIME)):
        case, _ = fold(Case("1"), first, NOW, LIFETIME)
        assert (case.expires, case.standing) == (end, Standing.OPEN)
        assert settle(case, end - timedelta(microseconds=1), LIFETIME) == case
        over = settle(case, end, LIFETIME)
        assert (over.standing, over.outcome, over.registers) == (Standing.EXPIRED, None, case.registers)
        assert settle(over, end + timedelta(days=1), LIFETIME) == over


def test_an_update_with_a_later_expiry_revives_an_expired_case() -> None:
    """Expired is not ended: a correction with time left shows the case again."""
    case, _ = fold(Case("1"), event("opened", data=told("x", expires=minutes(5).isoformat())), NOW, LIFETIME)
    case = settle(case, minutes(6), LIFETIME)
    assert case.standing is Standing.EXPIRED
    more = event("updated", 7, data=told("x", expires=minutes(90).isoformat()))
    revived, verdict = fold(case, more, minutes(7), LIFETIME)
    assert (revived.standing, revived.revision, verdict) == (Standing.OPEN, case.revision + 1, Verdict.APPLIED)


def test_an_ending_after_the_expiry_supplies_the_outcome() -> None:
    """The operator is asked for an outcome; when it comes it is news."""
    case, _ = fold(Case("1"), opened(0), NOW, LIFETIME)
    case = settle(case, NOW + LIFETIME, LIFETIME)
    case, _ = fold(case, ended(14 * 60, "unresolved"), minutes(14 * 60), LIFETIME)
    assert (case.standing, case.outcome, case.revision) == (Standing.ENDED, Outcome.UNRESOLVED, 2)


def test_an_alert_that_is_over_on_arrival_is_never_open() -> None:
    """An opening that was delayed past its own ``expires`` lights nothing."""
    late = event("opened", -60, data=told("x", expires=minutes(-1).isoformat()))
    case, _ = fold(Case("1"), late, NOW, LIFETIME)
    assert case.standing is Standing.EXPIRED


@pytest.mark.parametrize(
    "end", ["9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:60Z", "9999-12-31T23:59:59-00:00", "0001-01-01T00:00:00Z"]
)
def test_any_expiry_can_be_kept_in_seconds_and_read_back(end: str) -> None:
    """.NET writes *never* as 9999-12-31T23:59:59.9999999Z; a case that has it must still be loaded when it ends."""
    case, _ = fold(Case("1"), event("opened", data=told("x", expires=end)), NOW, LIFETIME)
    assert case.expires is not None
    assert datetime.fromtimestamp(case.expires.timestamp(), UTC) == case.expires


def test_an_operators_own_ending_can_always_come_last() -> None:
    """``latest`` gives a time that an ending may follow, so that ``retract`` works whatever the clocks said."""
    case, _ = play([opened(0), ended(10), opened(20), updated(25)])
    latest = case.registers.latest()
    assert latest == minutes(25)
    after, _ = play([opened(0), ended(10), opened(20), updated(25), ended(25, "withdrawn")])
    assert (after.standing, after.outcome) == (Standing.ENDED, Outcome.WITHDRAWN)
    assert Registers().latest() is None


def test_the_content_is_the_alert_as_it_was_sent() -> None:
    """A case keeps the whole alert of its latest opening or update, to the letter."""
    case, _ = play([event("opened"), event("updated", 1, data={**ALERT, "extra": [1]})])
    assert case.registers.alert == Alert.model_validate({**ALERT, "extra": [1]})
