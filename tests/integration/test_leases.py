"""A worker that was frozen past its lease: what it did late harms nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bridge.core.content import Content, Phase
from bridge.core.errors import AdapterError, OutcomeUnknown, PermanentError, TransientError
from bridge.core.posting import Applied, Capabilities, Desired, Posting, Receipt, State, Step
from bridge.core.retry import Done
from bridge.store.database import Database
from bridge.store.rows import fenced
from bridge.store.work import LEASE_MARGIN, Turn
from tests.integration.fake_adapters import FakeMail, FakePage, wait_for
from tests.integration.spine import Spine, page
from tests.integration.spine_store import database_fixture, masters_fixture, store_url  # noqa: F401
from tests.unit.samples import target

PAGE, MAIL = FakePage().capabilities, FakeMail().capabilities
SHOWN = State(Desired.SHOWN, "new", 2, applied=Applied.SHOWN, applied_content="new", carried=True, handle={"post": "1"})
SENT = Content("zaak", 2, Phase.UPDATED, "nl", "kop", "tekst")
UNKNOWN = {"applied": "unknown", "applied_content": "old", "looks": 0}


def late(
    step: Step, result: Receipt | AdapterError, can: Capabilities = PAGE, state: State = SHOWN
) -> dict[str, object]:
    """Give what a late result changes."""
    return fenced(state, Done(step, SENT, "old", ending=False, result=result), can)


def receipt(post: str) -> Receipt:
    """Give the receipt of a post."""
    return Receipt(Posting("p", "zaak", target()), {"post": post})


@pytest.mark.parametrize("error", [TransientError("not now"), PermanentError("never")], ids=str)
@pytest.mark.parametrize("step", [Step.PUBLISH, Step.UPDATE])
def test_a_late_refusal_changes_nothing(step: Step, error: AdapterError) -> None:
    """Nothing happened at the other side, so nothing is in doubt."""
    assert late(step, error) == {}


def test_a_late_edit_makes_only_the_text_doubtful() -> None:
    """Where the post is stays known; declaring it lost would post it a second time (I4)."""
    assert late(Step.UPDATE, OutcomeUnknown("no answer")) == {"applied_content": ""}
    assert late(Step.UPDATE, receipt("1")) == {"applied_content": ""}
    assert late(Step.PUBLISH, receipt("1")) == {"applied_content": ""}


def test_a_late_publication_must_be_looked_for() -> None:
    """A second post, or one of which nobody knows where it is, is found before anything else is done."""
    assert late(Step.PUBLISH, receipt("2")) == UNKNOWN
    nowhere = State(Desired.SHOWN, "new", 2)
    assert late(Step.PUBLISH, OutcomeUnknown("no answer"), state=nowhere) == UNKNOWN
    assert late(Step.UPDATE, OutcomeUnknown("no answer"), state=nowhere) == UNKNOWN


def test_a_late_doubt_about_what_was_found_meanwhile_is_none() -> None:
    """Whoever took over looked for the post and found it: to look again for a text that it no longer has would double it."""
    assert late(Step.PUBLISH, OutcomeUnknown("no answer")) == {"applied_content": ""}


def test_a_late_mail_is_in_doubt() -> None:
    """A mail cannot be edited: of one that may have been sent late nobody knows."""
    assert late(Step.UPDATE, OutcomeUnknown("no answer"), MAIL) == UNKNOWN
    assert late(Step.UPDATE, receipt("1"), MAIL) == {}


async def test_a_frozen_edit_is_not_posted_again(database: Database) -> None:
    """A hangs in an edit past its lease, B takes over; A's late answer neither doubles the post nor leaves it behind."""
    slow = FakePage(timeout=3600.0)
    async with Spine(database, [page("p")], adapters={"page": slow}) as spine:
        spine.start("A")
        await spine.opened()
        await spine.settled()
        gate = asyncio.Event()
        slow.fail(wait_for(gate), times=1)
        await spine.updated(text="Leeftijd 46")
        await spine.until(lambda: len(slow.calls) == 2, travel=False)
        await spine.advance(4000)
        spine.start("B")
        await spine.until(lambda: slow.live("p") == ["updated Leeftijd 46"])
        gate.set()
        await spine.settled()
        assert (len(slow.posts), slow.live("p")) == (1, ["updated Leeftijd 46"])
        await spine.ended(outcome="withdrawn")
        await spine.settled()
        assert slow.live("p") == []


async def test_a_step_that_could_outlive_its_lease_is_not_begun(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn waited long for others' locks: what it claimed could be taken over, and sent again, while it is sent."""
    async with Spine(database, [page("p")]) as spine:
        store, waits = spine.start("A").store, [LEASE_MARGIN + 1]
        turn = store.turn

        async def slow(*asked: Any) -> Turn:
            given = await turn(*asked)
            if given.work and waits:
                spine.clock.now += waits.pop()
            return given

        monkeypatch.setattr(store, "turn", slow)
        await spine.opened()
        await spine.until(lambda: bool(spine.ran), travel=False)
        assert "too little of its lease is left" in str(spine.ran[0][1].done.result)
        assert not spine.page.calls
        await spine.settled()
        assert len(spine.page.live("p")) == 1


async def test_a_claim_of_a_clock_that_was_ahead_does_not_hold_up_the_others(database: Database) -> None:
    """A dies in a step while its clock is two hours ahead; who starts with the right clock posts within minutes."""
    slow = FakePage(timeout=10.0)
    async with Spine(database, [page("p")], adapters={"page": slow}) as spine:
        right = spine.clock()
        spine.clock.now += 7200
        ahead = spine.start("A")
        slow.fail(wait_for(asyncio.Event()), times=1)
        await spine.opened()
        await spine.until(lambda: len(slow.calls) == 1, travel=False)
        await ahead.kill()
        spine.clock.now = right
        spine.start("B")

        async def ends_soon() -> bool:
            return bool((await spine.posting("p"))["due"] < right + 60)

        await spine.until(ends_soon, travel=False)
        await spine.advance(60)
        await spine.until(lambda: len(slow.live("p")) == 1)
        assert spine.clock() - right < 300
