"""What is desired comes to be: endings before everything, one step at a time, and nothing stays behind."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest
from sqlalchemy import update

from bridge.core.errors import PermanentError, TransientError
from bridge.core.posting import Step
from bridge.core.retry import Timing
from bridge.store import schema
from bridge.store.database import Database
from bridge.store.wishes import URGENT
from tests.integration.fake_adapters import FakeBoard, act_and_wait_for, refuse, wait_for
from tests.integration.spine import Spine, board, mail, page
from tests.integration.spine_store import database_fixture, masters_fixture, store_url  # noqa: F401

TARGETS = [board("b"), page("p"), mail("m")]
T = schema.postings.c


async def test_an_ending_goes_before_thousands_of_publications(database: Database) -> None:
    """While 2,000 boards still wait for another alert, the board of a case that ended is put out as good as next."""
    async with Spine(database, [board("ended")]) as spine:
        spine.start()
        await spine.opened("ended")
        await spine.settled()
        spine.policy = replace(spine.policy, targets=[board(f"b{number}") for number in range(2000)])
        await spine.opened("big")
        await spine.until(lambda: len(spine.board.shown) > 50, travel=False)
        await spine.ended("ended")
        asked = len(spine.board.calls)
        await spine.until(lambda: spine.board.showing("ended") == [], travel=False)
        order = [call.step for call in spine.board.calls[asked:]]
        assert order.index(Step.RETRACT) <= 2 * spine.board.capabilities.max_concurrency
        assert await spine.count(schema.postings, T.applied == "none") > 1000


@pytest.mark.parametrize("most", [1, 2, 4, 16])
async def test_publications_that_hang_leave_room_for_endings(database: Database, most: int) -> None:
    """However many publications hang, an adapter with four slots or more always has one free for an ending."""
    async with Spine(
        database, [board("ended")], adapters={"board": (slow := FakeBoard(max_concurrency=most))}
    ) as spine:
        spine.start()
        await spine.opened("ended")
        await spine.settled()
        spine.policy = replace(spine.policy, targets=[board(f"b{number}") for number in range(40)])
        gate = asyncio.Event()
        slow.fail(wait_for(gate), step=Step.PUBLISH)
        await spine.opened("big")
        await spine.until(lambda: slow.load.now == most - most // 4, travel=False)
        await spine.ended("ended")
        if most < 4:
            gate.set()
        await spine.until(lambda: slow.showing("ended") == [], travel=False)
        assert slow.load.most <= most
        gate.set()
        await spine.settled()
        assert len(slow.shown) == 40


async def test_an_ending_waits_only_for_the_step_in_flight(database: Database) -> None:
    """An ending that comes while the alert is being shown follows it at once: dark, replaced, followed up (zombie B)."""
    async with Spine(database, TARGETS) as spine:
        gate = asyncio.Event()
        for channel in (spine.board, spine.page, spine.mail):
            channel.fail(act_and_wait_for(gate), times=1)
        spine.start()
        await spine.opened()
        await spine.until(lambda: spine.board.load.now + spine.page.load.now + spine.mail.load.now == 3, travel=False)
        await spine.ended()
        gate.set()
        await spine.until(spine.is_closed, travel=False)
        assert spine.board.history == [("b", "Jongen met rode jas"), ("b", "")]
        assert spine.page.live("p") == ["ended resolved"]
        assert spine.mail.inbox("m") == ["opened", "ended"]


async def test_an_ending_waits_no_longer_than_the_timeout_of_a_step(database: Database) -> None:
    """A publication that never ends is cut off by its timeout, and the board that may be lit is put out right after."""
    async with Spine(database, [board("b")], adapters={"board": (slow := FakeBoard(timeout=0.05))}) as spine:
        slow.fail(act_and_wait_for(asyncio.Event()), step=Step.PUBLISH)
        spine.start()
        await spine.opened()
        await spine.until(lambda: slow.load.now == 1, travel=False)
        await spine.ended()
        await spine.until(lambda: slow.history == [("b", "Jongen met rode jas"), ("b", "")], travel=False)


@pytest.mark.parametrize(
    "error",
    [TransientError("no route"), PermanentError("forbidden"), RuntimeError("a bug")],
    ids=lambda e: type(e).__name__,
)
async def test_a_retraction_has_no_last_try(database: Database, error: Exception) -> None:
    """A board that cannot be reached for a day when its case ends is put out when it is back, whatever it said (zombie A)."""
    async with Spine(database, [board("b"), page("p")]) as spine:
        spine.start()
        await spine.opened()
        await spine.settled()
        spine.board.fail(refuse(error))
        spine.page.fail(refuse(error), step=Step.RETRACT)
        await spine.ended(outcome="withdrawn")
        await spine.until(lambda: len(spine.board.steps(Step.RETRACT)) > 8)
        await spine.advance(86_400)
        await spine.until(lambda: len(spine.board.steps(Step.RETRACT)) > 12)
        assert spine.board.showing("b") == ["Jongen met rode jas"]
        spine.board.heal()
        spine.page.heal()
        await spine.settled()
        assert (spine.board.showing("b"), spine.page.live("p")) == ([], [])


async def test_an_alert_that_ended_while_its_board_was_down_is_never_shown(database: Database) -> None:
    """What waited for a board that was down is dropped when the case ends, and does not come when the board is back."""
    async with Spine(database, TARGETS) as spine:
        for channel in (spine.board, spine.page, spine.mail):
            channel.fail(refuse(TransientError("no route")))
        spine.start()
        await spine.opened()
        await spine.until(lambda: min(len(spine.board.calls), len(spine.page.calls), len(spine.mail.calls)) > 2)
        await spine.ended()
        for channel in (spine.board, spine.page, spine.mail):
            channel.heal()
        await spine.settled()
        await spine.advance(86_400)
        await spine.settled()
        assert (spine.board.shown, spine.page.posts, spine.mail.sent) == ({}, [], [])


async def test_of_ten_corrections_only_the_last_is_shown(database: Database) -> None:
    """Corrections that come while a step is in flight are not replayed one by one."""
    async with Spine(database, TARGETS) as spine:
        gate = asyncio.Event()
        for channel in (spine.board, spine.page, spine.mail):
            channel.fail(act_and_wait_for(gate), times=1)
        spine.start()
        await spine.opened()
        await spine.until(lambda: spine.board.load.now + spine.page.load.now + spine.mail.load.now == 3, travel=False)
        for number in range(10):
            await spine.updated(text=f"Leeftijd {number}")
        gate.set()
        await spine.settled()
        assert spine.board.history == [("b", "Jongen met rode jas"), ("b", "Leeftijd 9")]
        assert spine.page.live("p") == ["updated Leeftijd 9"]
        assert [message.text for message in spine.mail.sent] == ["opened Jongen met rode jas", "updated Leeftijd 9"]


async def test_a_board_that_lost_its_message_gets_it_back(database: Database) -> None:
    """A read-back that finds a board dark, or with another text, mends it."""
    async with Spine(database, [board("b")]) as spine:
        spine.start()
        await spine.opened()
        await spine.settled()
        spine.board.shown.clear()
        await spine.until(lambda: spine.board.showing("b") == ["Jongen met rode jas"])
        [(name, (target, content))] = spine.board.shown.items()
        spine.board.shown[name] = (target, replace(content, text="Reclame"))
        await spine.until(lambda: spine.board.showing("b") == ["Jongen met rode jas"])


async def test_a_board_that_lights_up_again_after_the_end_is_put_out_again(database: Database) -> None:
    """A message that comes back after a power loss does not stay (zombie of the signs)."""
    async with Spine(database, [board("b")]) as spine:
        spine.start()
        await spine.opened()
        await spine.settled()
        lit = dict(spine.board.shown)
        await spine.ended()
        await spine.settled()
        spine.board.shown.update(lit)
        await spine.until(lambda: spine.board.showing("b") == [])


async def test_a_message_that_clears_itself_is_renewed_while_the_case_is_open(database: Database) -> None:
    """``validUntil`` never runs out on an open case, and never outlasts the alert's own end."""
    async with Spine(database, [board("b")], timing=Timing(valid_for=100)) as spine:
        spine.start()
        end = spine.clock() + 1000
        await spine.opened(
            expires=spine.clock.instant().fromtimestamp(end, tz=spine.clock.instant().tzinfo).isoformat()
        )
        await spine.settled()

        def until() -> float:
            [(_, content)] = spine.board.shown.values()
            return content.valid_until.timestamp() if content.valid_until else 0.0

        while spine.clock() < end - 1:
            assert spine.clock() < until() <= end
            looked, now = len(spine.ran), spine.clock()
            await spine.until(lambda looked=looked, now=now: len(spine.ran) > looked or spine.clock() > now)  # type: ignore[misc]
            await spine.until(lambda: spine.board.load.now == 0, travel=False)


async def test_a_target_that_left_the_list_is_still_taken_back(database: Database) -> None:
    """What was put on a board that is removed, or moved to another address, is taken away at the old place."""
    async with Spine(database, [board("removed"), board("moved", address="old")]) as spine:
        spine.start()
        await spine.opened()
        await spine.settled()
        spine.policy = replace(spine.policy, targets=[board("moved", address="new")], digest="2")
        await spine.intake.replan()
        await spine.settled()
        assert spine.board.showing("removed") == []
        old, new = await spine.rows(schema.postings, T.target == "moved")
        assert {(row["desired"], row["applied"]) for row in (old, new)} == {("refused", "gone"), ("shown", "shown")}
        assert spine.board.showing("moved") == ["Jongen met rode jas"]


async def test_a_target_that_left_the_list_hears_the_ending(database: Database) -> None:
    """A case that ends after all its targets were removed is still closed everywhere it was shown."""
    async with Spine(database, TARGETS) as spine:
        spine.start()
        await spine.opened()
        await spine.settled()
        await spine.crash()
        spine.policy = replace(spine.policy, targets=[])
        await spine.restart()
        await spine.ended()
        await spine.settled()
        assert spine.board.showing("b") == []
        assert spine.page.live("p") == ["ended resolved"]
        assert spine.mail.inbox("m") == ["opened", "ended"]


async def test_stop_waits_for_the_steps_in_flight_and_starts_no_more(database: Database) -> None:
    """An ordered stop writes down what was under way, and leaves the rest to the next start."""
    async with Spine(database, [board(f"b{number}") for number in range(40)]) as spine:
        gate = asyncio.Event()
        spine.board.fail(wait_for(gate))
        worker = spine.start()
        await spine.opened()
        await spine.until(lambda: spine.board.load.now == 12, travel=False)
        stopping = asyncio.create_task(worker.stop())
        await asyncio.sleep(0)
        assert not stopping.done()
        gate.set()
        await stopping
        assert len(spine.board.shown) == 12
        assert await spine.count(schema.postings, T.applied == "shown") == 12
        assert await spine.count(schema.postings, T.claim.is_not(None)) == 0


async def test_a_cancelled_dispatcher_ends_whatever_comes_at_the_same_moment(database: Database) -> None:
    """A kill that coincides with a wake-up is not lost."""
    for turns in range(8):
        spine = Spine(database, TARGETS)
        worker = spine.start()
        await spine.until(lambda worker=worker: worker.dispatcher.not_ready is None)  # type: ignore[misc]
        worker.dispatcher.wake()
        for _ in range(turns):
            await asyncio.sleep(0)
        worker.task.cancel()
        ended, _ = await asyncio.wait([worker.task], timeout=5)
        assert ended


async def test_the_end_of_a_newsletter_leaves_nothing_to_do(database: Database) -> None:
    """Mail-only cases get no outcome (R16), so their end keeps no queue busy, however many got the mail."""
    async with Spine(database, [mail(f"m{number}") for number in range(50)]) as spine:
        spine.start()
        await spine.opened(category="newsletter")
        await spine.settled()
        await spine.crash()
        await spine.ended()
        assert await spine.count(schema.postings, T.due.is_not(None)) == 0
        assert len(spine.mail.sent) == 50


async def test_what_needs_no_step_does_not_hold_up_what_does(database: Database) -> None:
    """Hundreds of postings that turn out to be settled are passed over without a pause, and a retraction behind them goes."""
    async with Spine(database, [board("last")]) as spine:
        spine.start()
        await spine.opened()
        await spine.settled()
        await spine.crash()
        spine.policy = replace(spine.policy, targets=[board(f"b{number}") for number in range(500)])
        await spine.opened("idle")
        idle = update(schema.postings).where(T.case_id == "idle").values(desired="gone", content="", priority=URGENT)
        await database.write(lambda connection: connection.execute(idle))
        await spine.ended()
        started = time.monotonic()
        spine.start()
        await spine.until(lambda: not spine.board.showing("last"), travel=False)
        assert time.monotonic() - started < 3


async def test_a_target_with_many_postings_does_not_keep_others_waiting(database: Database) -> None:
    """A board that must be put out for thirty cases takes its turn; a board that comes after it does not wait for all."""
    async with Spine(database, [board("crowd")]) as spine:
        spine.start()
        for number in range(30):
            await spine.opened(f"zaak-{number}")
        spine.policy = replace(spine.policy, targets=[board("other")])
        await spine.opened("other")
        await spine.settled()
        await spine.crash()
        for number in range(30):
            await spine.ended(f"zaak-{number}")
        await spine.ended("other")
        asked = len(spine.board.calls)
        spine.start()
        await spine.until(lambda: not spine.board.showing("other"), travel=False)
        assert len(spine.board.calls) - asked < 10
        await spine.settled()
        assert spine.board.shown == {}
        assert spine.board.load.most_per_target == 1
