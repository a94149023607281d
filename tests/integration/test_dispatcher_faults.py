"""Targets and channels that fail: each for itself, not hammered, and never at the cost of the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from bridge.core.errors import OutcomeUnknown, PermanentError, TransientError
from bridge.core.posting import Step
from bridge.store import schema
from bridge.store.database import Database
from tests.integration.fake_adapters import FakeBoard, act_and_wait_for, refuse, wait_for
from tests.integration.spine import Spine, board, mail, page
from tests.integration.spine_store import database_fixture, masters_fixture, store_url  # noqa: F401

T = schema.postings.c
J = schema.journal.c


async def tries(spine: Spine, target: str, case: str = "zaak") -> list[float]:
    """Give the times at which steps on a posting ended, oldest first."""
    mine = J.posting == spine.posting_id(target, case)
    return sorted(row["at"] for row in await spine.rows(schema.journal, mine))


async def test_a_failing_board_does_not_slow_the_others(database: Database) -> None:
    """One board of fifty is down: the others are lit at once, and the one is tried ever less often."""
    async with Spine(database, [board(f"b{number}") for number in range(50)]) as spine:
        spine.board.fail(refuse(TransientError("no route")), target="b7")
        spine.start()
        await spine.opened()
        await spine.until(lambda: len(spine.board.shown) == 49, travel=False)
        await spine.until(lambda: len(spine.board.steps(Step.PUBLISH, "b7")) == 9)
        gaps = [later - earlier for earlier, later in pairwise(await tries(spine, "b7"))]
        assert all(0.5 * 2**number <= gap <= 2**number + 0.5 for number, gap in enumerate(gaps[:6])), gaps
        assert max(gaps) <= 60.5
        spine.board.heal()
        await spine.settled()
        assert len(spine.board.shown) == 50


async def test_a_failing_board_with_many_cases_is_not_hammered(database: Database) -> None:
    """Twenty cases on one dead board together knock at it about once a second, not twenty times."""
    async with Spine(database, [board("b")]) as spine:
        spine.board.fail(refuse(TransientError("no route")))
        for number in range(20):
            await spine.opened(f"zaak-{number}")
        start = spine.clock()
        spine.start()
        await spine.until(lambda: spine.clock() >= start + 60)
        assert len(spine.board.calls) <= 75
        assert spine.board.load.most_per_target == 1
        spine.board.heal()
        await spine.settled()
        assert len(spine.board.shown) == 20


async def test_one_step_at_a_time_for_each_target(database: Database) -> None:
    """Ten cases on each of three boards are shown side by side for the boards, one after the other on each."""
    async with Spine(database, [board(name) for name in ("a", "b", "c")]) as spine:
        for number in range(10):
            await spine.opened(f"zaak-{number}")
        spine.start()
        await spine.settled()
        assert len(spine.board.shown) == 30
        assert spine.board.load.most_per_target == 1
        assert spine.board.load.most > 1


async def test_no_more_steps_at_a_time_than_an_adapter_can_take(database: Database) -> None:
    """Sixteen steps at a time on boards and four on pages, each for itself."""
    targets = [*(board(f"b{number}") for number in range(100)), *(page(f"p{number}") for number in range(30))]
    async with Spine(database, targets) as spine:
        gate = asyncio.Event()
        spine.board.fail(wait_for(gate))
        spine.page.fail(wait_for(gate))
        spine.start()
        await spine.opened()
        await spine.until(lambda: (spine.board.load.now, spine.page.load.now) == (12, 3), travel=False)
        gate.set()
        await spine.settled()
        assert 12 <= spine.board.load.most <= 16
        assert 3 <= spine.page.load.most <= 4
        assert (len(spine.board.shown), len(spine.page.posts)) == (100, 30)


async def test_retry_after_is_honoured(database: Database) -> None:
    """A target that names a time is left alone until then."""
    async with Spine(database, [board("b")]) as spine:
        spine.board.fail(refuse(TransientError("slow down", retry_after=120)), times=2)
        spine.start()
        await spine.opened()
        await spine.settled()
        first, second, third = await tries(spine, "b")
        assert second - first >= 120
        assert third - second >= 120


async def test_a_dead_channel_is_tried_by_one_until_it_is_back(database: Database) -> None:
    """When the mail server is down, 200 mails wait for a single try now and then; when it is back, each goes once."""
    async with Spine(database, [mail(f"m{number}") for number in range(200)]) as spine:
        spine.mail.fail(refuse(TransientError("no server", whole_adapter=True)))
        spine.start()
        await spine.opened()
        await spine.until(lambda: len(spine.mail.calls) >= 12, travel=False)
        first = len(spine.mail.calls)
        start = spine.clock()
        await spine.until(lambda: spine.clock() >= start + 600)
        assert first <= 12
        assert len(spine.mail.calls) - first <= 100, "one try in 7.5 to 15 seconds, after the first few"
        spine.mail.heal()
        await spine.settled()
        assert sorted(message.target for message in spine.mail.sent) == sorted(f"m{number}" for number in range(200))


async def test_a_blocked_channel_is_left_alone_for_the_time_it_names(database: Database) -> None:
    """A ``Retry-After`` of the whole channel holds for all its targets, and for no other channel."""
    async with Spine(database, [page("p1"), page("p2"), page("p3"), page("p4"), board("b")]) as spine:
        spine.page.fail(refuse(TransientError("blocked", retry_after=300, whole_adapter=True)), times=3)
        spine.start()
        await spine.opened()
        start = spine.clock()
        await spine.until(lambda: len(spine.page.calls) == 3 and bool(spine.board.shown), travel=False)
        await spine.until(lambda: len(spine.page.calls) > 3)
        assert spine.clock() >= start + 300
        await spine.settled()
        assert len(spine.page.posts) == 4


async def test_what_is_refused_for_good_is_not_tried_again(database: Database) -> None:
    """A mailbox that does not exist is asked once, the reason is kept, and the others get their mail and outcome."""
    async with Spine(database, [mail("gone"), mail("ok")]) as spine:
        spine.mail.fail(refuse(PermanentError("550 no such mailbox")), target="gone")
        spine.start()
        await spine.opened()
        await spine.settled()
        row = await spine.posting("gone")
        assert (row["applied"], row["due"], row["error"]) == ("none", None, "550 no such mailbox")
        await spine.ended()
        await spine.settled()
        assert len(spine.mail.steps(Step.PUBLISH, "gone")) == 1
        assert spine.mail.inbox("ok") == ["opened", "ended"]


async def test_a_correction_gives_a_refused_target_another_chance(database: Database) -> None:
    """What was refused for one text is tried again with the next one."""
    async with Spine(database, [board("b")]) as spine:
        spine.board.fail(refuse(PermanentError("this text is not accepted")), times=1)
        spine.start()
        await spine.opened()
        await spine.settled()
        await spine.updated(text="Leeftijd 46")
        await spine.settled()
        assert spine.board.showing("b") == ["Leeftijd 46"]


@pytest.mark.parametrize("target", [board("x"), page("x")], ids=["board", "page"])
async def test_an_old_text_does_not_stay_because_the_new_one_is_refused(database: Database, target: object) -> None:
    """A correction that is refused for good takes the outdated text away."""
    async with Spine(database, [target]) as spine:  # type: ignore[list-item]
        spine.start()
        await spine.opened()
        await spine.settled()
        for channel in (spine.board, spine.page):
            channel.fail(refuse(PermanentError("this text is not accepted")), step=Step.UPDATE)
            channel.fail(refuse(PermanentError("this text is not accepted")), step=Step.PUBLISH)
        await spine.updated(text="Leeftijd 46")
        await spine.settled()
        assert (spine.board.showing("x"), spine.page.live("x")) == ([], [])


@pytest.mark.parametrize("error", [RuntimeError("a bug"), OutcomeUnknown("a reset")], ids=["bug", "unknown"])
async def test_a_bug_in_an_adapter_stops_nobody(database: Database, error: Exception) -> None:
    """An adapter that raises anything else than the three errors is treated as an unknown outcome; others go on."""
    async with Spine(database, [board("bad"), board("good"), page("p")]) as spine:
        spine.board.fail(refuse(error), target="bad", times=3)
        spine.start()
        await spine.opened()
        await spine.until(lambda: bool(spine.board.showing("good") and spine.page.posts), travel=False)
        await spine.settled()
        assert spine.board.showing("bad") == ["Jongen met rode jas"]


async def test_a_step_without_a_receipt_is_no_success(database: Database) -> None:
    """An adapter that forgets to give a receipt for a post: it is looked for, and taken back when the case ends."""

    async def forgets(act: Callable[[], Any]) -> None:
        act()

    async with Spine(database, [page("p")]) as spine:
        spine.page.fail(forgets, step=Step.PUBLISH, times=1)
        spine.start()
        await spine.opened()
        await spine.settled()
        assert len(spine.page.live("p")) == 1
        await spine.updated(text="Leeftijd 46")
        await spine.settled()
        assert spine.page.live("p") == ["updated Leeftijd 46"]


async def test_a_step_that_hangs_is_cut_off(database: Database) -> None:
    """A board that accepts and never answers costs its own timeout, and is tried again."""
    async with Spine(database, [board("b")], adapters={"board": (slow := FakeBoard(timeout=0.5))}) as spine:
        slow.fail(act_and_wait_for(asyncio.Event()), times=2)
        spine.start()
        await spine.opened()
        await spine.settled()
        attempts = sorted(await spine.rows(schema.journal), key=lambda row: row["id"])
        assert [row["result"] for row in attempts] == ["unknown", "unknown", "ok"]
        assert slow.load.now == 0


@pytest.mark.parametrize("text", ["nul \x00 byte", "half a surrogate \udc80", "\x1b[31mred", "x" * 9_000], ids=range(4))
async def test_whatever_a_peer_says_can_be_kept(database: Database, text: str) -> None:
    """An error's text comes from the other side: no byte of it can stop the dispatcher (PostgreSQL takes no NUL)."""
    async with Spine(database, [board("b"), mail("m")], tell=True) as spine:
        spine.board.fail(refuse(TransientError(text)), times=2)
        spine.mail.fail(refuse(PermanentError(text)))
        worker = spine.start()
        await spine.opened()
        await spine.settled()
        assert spine.board.showing("b") == ["Jongen met rode jas"]
        error = (await spine.posting("m"))["error"]
        assert error
        assert error.isprintable()
        assert len(error) <= 500
        assert not worker.task.done()


async def test_retries_do_not_wait_for_the_time_that_a_clock_was_set_back(database: Database) -> None:
    """The clock goes back an hour while a board cannot be cleared and a channel is left alone: a minute later all is well."""
    async with Spine(database, [board("b"), mail("m")]) as spine:
        spine.start()
        await spine.opened()
        await spine.settled()
        spine.board.fail(refuse(TransientError("no route")), step=Step.RETRACT)
        spine.mail.fail(refuse(TransientError("no server", whole_adapter=True)))
        await spine.ended()
        await spine.until(lambda: len(spine.board.steps(Step.RETRACT)) == 3)
        spine.clock.now -= 3600
        back = spine.clock()
        spine.wake()

        async def is_due_soon() -> bool:
            dues = [(await spine.posting(name))["due"] for name in ("b", "m")]
            return max(dues) < back + 60

        await spine.until(is_due_soon, travel=False)
        spine.board.heal()
        spine.mail.heal()
        await spine.settled()
        assert spine.board.showing("b") == []
        assert spine.mail.inbox("m") == ["opened", "ended"]
        assert spine.clock() - back < 120


@pytest.mark.parametrize("failing", [Step.PUBLISH, Step.RETRACT])
async def test_what_fails_on_a_board_starves_nothing_else_there(database: Database, failing: Step) -> None:
    """While one case can for hours not be put on a board, or not be taken off it, the others there are renewed."""
    async with Spine(database, [board("b")]) as spine:
        spine.start()
        await spine.opened("stays")
        await spine.opened("goes")
        await spine.settled()
        start = spine.clock()
        spine.board.fail(refuse(TransientError("not this one")), step=failing)
        await (spine.opened("comes") if failing is Step.PUBLISH else spine.ended("goes"))

        def left() -> float:
            until = spine.board.shown[spine.posting_id("b", "stays")][1].valid_until
            return until.timestamp() - spine.clock() if until else 0.0

        least: list[float] = []

        def over() -> bool:
            least.append(left())
            return spine.clock() > start + 3 * spine.timing.valid_for

        await spine.until(over)
        assert min(least) > spine.timing.valid_for / 4


async def test_who_fails_comes_after_who_waits(database: Database) -> None:
    """A correction that found its board away for a moment does not wait for the cases that never get there."""
    async with Spine(database, [board("b")]) as spine:
        spine.start()
        await spine.opened("corrected")
        await spine.settled()
        spine.board.fail(refuse(TransientError("not this one")), step=Step.PUBLISH)
        for number in range(5):
            await spine.opened(f"never-{number}")
        await spine.until(lambda: len(spine.board.steps(Step.PUBLISH)) == 20)
        spine.board.fail(refuse(TransientError("away")), step=Step.UPDATE, times=4)
        await spine.updated("corrected", text="Jongen met groene jas")
        await spine.until(lambda: len(spine.board.steps(Step.UPDATE)) == 4)
        start = spine.clock()
        await spine.until(lambda: spine.board.showing("b") == ["Jongen met groene jas"])
        assert spine.clock() - start <= 2 * spine.timing.retry_max
