"""A case whose time has passed: dark and quiet, without an outcome that nobody told, until somebody tells it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from bridge.core.case import Standing, Verdict
from bridge.core.errors import TransientError
from bridge.dispatch.parts import Expiry
from bridge.store import schema
from bridge.store.database import Database
from tests.integration.fake_adapters import refuse
from tests.integration.spine import Spine, board, mail, page
from tests.integration.spine_store import database_fixture, masters_fixture, store_url  # noqa: F401

TARGETS = [board("b"), page("p"), mail("m")]
LIFETIME = 4 * 3600  # seconds, as the spine is put together


async def test_an_alert_without_an_end_expires_after_the_maximum_lifetime(database: Database) -> None:
    """Without ``expires`` the configured lifetime counts: one second before it all stands, after it the case is expired."""
    spine = Spine(database, TARGETS)
    await spine.opened()
    await spine.advance(LIFETIME - 1)
    assert await spine.intake.expire() == 0
    await spine.advance(1)
    assert await spine.intake.expire() == 1
    assert await spine.intake.expire() == 0
    assert (await spine.case())["standing"] == "expired"


async def test_an_expired_case_goes_dark_and_tells_no_outcome(database: Database) -> None:
    """Boards go dark; posts and mails that were sent stay as they are, for nobody said how it ended."""
    async with Spine(database, TARGETS) as spine:
        spine.start()
        await spine.opened(expires=(spine.clock.instant() + timedelta(minutes=10)).isoformat())
        await spine.settled()
        await spine.advance(600)
        assert await spine.intake.expire() == 1
        await spine.settled()
        assert spine.board.showing("b") == []
        assert spine.page.live("p") == ["opened Jongen met rode jas"]
        assert spine.mail.inbox("m") == ["opened"]
        case = await spine.case()
        assert (case["standing"], case["outcome"], case["revision"]) == ("expired", "", 1)


async def test_what_waits_when_a_case_expires_is_not_sent_any_more(database: Database) -> None:
    """A mail that could not be sent while the case was open is cancelled, and its reader hears no outcome later."""
    async with Spine(database, TARGETS) as spine:
        spine.mail.fail(refuse(TransientError("the mail server is down")))
        spine.start()
        await spine.opened()
        await spine.until(lambda: len(spine.mail.calls) > 2)
        await spine.advance(LIFETIME)
        await spine.intake.expire()
        spine.mail.heal()
        await spine.settled()
        await spine.ended()
        await spine.settled()
        assert spine.mail.inbox("m") == []
        assert spine.page.live("p") == ["ended resolved"]


async def test_what_is_in_flight_when_a_case_expires_is_not_tried_again(database: Database) -> None:
    """A mail and a post whose sending fails just after the expiry are given up; the board is put out."""
    async with Spine(database, TARGETS) as spine:
        gate = asyncio.Event()

        async def fail_late(act: Callable[[], Any]) -> Any:
            await gate.wait()
            raise TransientError("not now")

        for channel in (spine.board, spine.page, spine.mail):
            channel.fail(fail_late, times=1)
        spine.start()
        await spine.opened()
        await spine.until(lambda: spine.board.load.now + spine.page.load.now + spine.mail.load.now == 3, travel=False)
        await spine.advance(LIFETIME)
        await spine.intake.expire()
        gate.set()
        await spine.settled()
        assert (spine.board.shown, spine.page.posts, spine.mail.sent) == ({}, [], [])


async def test_the_outcome_of_an_expired_case_still_goes_to_those_who_got_it(database: Database) -> None:
    """An ending that comes after the expiry replaces the post and follows the mail."""
    async with Spine(database, TARGETS) as spine:
        spine.start()
        await spine.opened()
        await spine.settled()
        await spine.advance(LIFETIME)
        await spine.intake.expire()
        await spine.settled()
        ended = await spine.ended(outcome="unresolved")
        assert (ended.verdict, ended.standing) == (Verdict.APPLIED, Standing.ENDED)
        await spine.settled()
        assert spine.page.live("p") == ["ended unresolved"]
        assert spine.mail.inbox("m") == ["opened", "ended"]
        assert spine.board.showing("b") == []


async def test_a_correction_with_a_later_end_revives_an_expired_case(database: Database) -> None:
    """An update that names a later end lights the boards again."""
    async with Spine(database, TARGETS) as spine:
        spine.start()
        await spine.opened()
        await spine.settled()
        await spine.advance(LIFETIME)
        await spine.intake.expire()
        await spine.settled()
        longer = (spine.clock.instant() + timedelta(hours=1)).isoformat()
        assert (await spine.updated(text="Nog steeds vermist", expires=longer)).standing is Standing.OPEN
        await spine.settled()
        assert spine.board.showing("b") == ["Nog steeds vermist"]
        assert spine.page.live("p") == ["updated Nog steeds vermist"]
        assert spine.mail.inbox("m") == ["opened", "updated"]


async def test_an_alert_that_comes_after_its_own_end_shows_nothing(database: Database) -> None:
    """An opening whose ``expires`` has passed is kept as an expired case and reaches nobody."""
    spine = Spine(database, TARGETS)
    opened = await spine.opened(expires=(spine.clock.instant() - timedelta(minutes=1)).isoformat())
    assert opened.standing is Standing.EXPIRED
    assert await spine.count(schema.postings) == 0


async def test_the_clock_closes_cases_by_itself(database: Database) -> None:
    """The expiry part of the service finds the cases whose time has passed, without an event."""
    async with Spine(database, [board("b")]) as spine:
        spine.start()
        await spine.opened()
        await spine.settled()
        await spine.advance(LIFETIME)
        async with spine.running(Expiry(spine.intake).run()):
            await spine.until(lambda: spine.board.showing("b") == [])
