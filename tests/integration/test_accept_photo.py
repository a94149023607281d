"""A photo comes later than the text: boards do not wait for it, posts and mails do for a while, and it goes with the case."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta

import pytest

from bridge.core.content import Photo
from bridge.core.posting import Step
from bridge.store import schema
from bridge.store.database import Database
from tests.integration.fake_adapters import act_and_wait_for, lose_answer
from tests.integration.spine import ALLOW_ALL, PHOTO_URI, START, Spine, board, mail, page, with_photo
from tests.integration.spine_store import database_fixture, masters_fixture, store_url  # noqa: F401

BYTES = b"\xff\xd8 a picture of a boy \xff\xd9"
PHOTO = Photo(hashlib.sha256(BYTES).hexdigest(), description="Jongen met rode jas", data=BYTES)
TARGETS = [board("pictures", photo=True), board("letters"), page("p"), mail("m")]
NO_PHOTO_ON_PAGES = {
    "name": "no-photo",
    "effect": "deny",
    "channels": ["facebook"],
    "photo": [True],
    "serves": ["R14"],
    "reason": {"nl": "geen foto", "en": "no photo"},
}


async def keep(spine: Spine, photo: Photo | None = PHOTO, error: str = "") -> bool:
    """Bring the photo in."""
    return await spine.intake.keep_photo("zaak", PHOTO_URI, photo, error)


def pictured(spine: Spine, target: str) -> bool:
    """Whether a board shows the photo."""
    return [bool(content.photo) for name, content in spine.board.shown.values() if name == target] == [True]


async def test_boards_show_the_text_first_and_the_photo_when_it_comes(database: Database) -> None:
    """Boards are lit at once; one that can show pictures gets the photo as an update of the same revision (R4, R6)."""
    async with Spine(database, TARGETS) as spine:
        spine.start()
        await spine.opened(resource=with_photo())
        await spine.until(lambda: len(spine.board.shown) == 2, travel=False)
        assert not pictured(spine, "pictures")
        assert await keep(spine)
        await spine.settled()
        assert pictured(spine, "pictures")
        assert not pictured(spine, "letters")
        assert len(spine.board.steps(Step.PUBLISH, "letters") + spine.board.steps(Step.UPDATE, "letters")) == 1
        assert (await spine.posting("pictures"))["revision"] == 1


async def test_posts_and_mails_wait_for_the_photo_and_go_once(database: Database) -> None:
    """A post and a mail go out once, with the photo in them, as soon as it is there."""
    async with Spine(database, TARGETS) as spine:
        spine.start()
        await spine.opened(resource=with_photo())
        await spine.until(lambda: len(spine.board.shown) == 2, travel=False)
        assert (spine.page.calls, spine.mail.calls) == ([], [])
        await keep(spine)
        await spine.settled()
        assert spine.clock() < START + 5, "nobody waited for a deadline"
        assert [(post.photo, post.live) for post in spine.page.posts] == [(PHOTO.digest, True)]
        assert spine.mail.inbox("m") == ["opened"]
        assert (await spine.posting("m"))["applied_photo"] == PHOTO.digest


@pytest.mark.parametrize("told", [True, False], ids=["refused", "never answered"])
async def test_posts_and_mails_go_without_a_photo_that_does_not_come(database: Database, *, told: bool) -> None:
    """Without a photo they go at once when it is known that there is none, and at the deadline when nothing is known."""
    async with Spine(database, TARGETS) as spine:
        spine.start()
        await spine.opened(resource=with_photo())
        if told:
            assert await keep(spine, None, "photo: the server answered 404")
        await spine.settled()
        waited = spine.clock() - START
        assert waited < 5 if told else 15 <= waited < 20
        assert [(post.photo, post.live) for post in spine.page.posts] == [("", True)]
        assert spine.mail.inbox("m") == ["opened"]


async def test_a_photo_that_came_is_not_fetched_again(database: Database) -> None:
    """A correction with the same photo goes out with it at once, everywhere."""
    async with Spine(database, TARGETS) as spine:
        spine.start()
        await spine.opened(resource=with_photo())
        await keep(spine)
        await spine.settled()
        await spine.updated(text="Leeftijd 46", resource=with_photo())
        await spine.settled()
        assert [row["state"] for row in await spine.rows(schema.photos)] == ["ready"]
        assert spine.page.live("p") == ["updated Leeftijd 46"]
        assert len(spine.page.posts) == 1, "the post was edited"
        assert pictured(spine, "pictures")


async def test_a_correction_without_the_photo_takes_it_away(database: Database) -> None:
    """A photo that a correction leaves out disappears from board and page; the page gets one new post without it."""
    async with Spine(database, TARGETS) as spine:
        spine.start()
        await spine.opened(resource=with_photo())
        await keep(spine)
        await spine.settled()
        await spine.updated(text="Leeftijd 46")
        await spine.settled()
        assert not pictured(spine, "pictures")
        assert [(post.photo, post.live) for post in spine.page.posts] == [(PHOTO.digest, False), ("", True)]
        assert spine.page.most_live == 1


async def test_a_correction_does_not_wait_for_a_photo_that_was_refused(database: Database) -> None:
    """The correction brings another photo, which there is not: the page is corrected as soon as that is known."""
    async with Spine(database, TARGETS) as spine:
        spine.start()
        await spine.opened()
        await spine.settled()
        await spine.updated(text="Leeftijd 46", resource=with_photo())
        told = spine.clock()
        assert await keep(spine, None, "photo: the server answered 404")
        await spine.until(lambda: spine.page.live("p") == ["updated Leeftijd 46"])
        assert spine.clock() < told + 5


async def test_a_longer_validity_is_no_correction(database: Database) -> None:
    """An update that only moves ``expires`` is news for boards; the page says nothing of a correction, then or later."""
    async with Spine(database, TARGETS) as spine:
        spine.start()
        await spine.opened()
        await spine.settled()
        longer = (spine.clock.instant() + timedelta(hours=2)).isoformat()
        assert (await spine.updated(expires=longer)).revision == 2
        await spine.settled()
        assert (spine.page.live("p"), len(spine.page.calls)) == (["opened Jongen met rode jas"], 1)
        await spine.updated(text="Leeftijd 46", expires=longer)
        await spine.settled()
        assert spine.page.live("p") == ["updated Leeftijd 46"]


async def test_the_photo_is_erased_when_the_case_ends(database: Database) -> None:
    """At the end no board and no post shows the photo, and its bytes are gone from the store in the same transaction (R15)."""
    async with Spine(database, TARGETS) as spine:
        spine.start()
        await spine.opened(resource=with_photo())
        await keep(spine)
        await spine.settled()
        await spine.ended()
        [row] = await spine.rows(schema.photos)
        assert (row["state"], row["data"], row["digest"], row["description"]) == ("erased", None, "", "")
        await spine.settled()
        assert spine.board.shown == {}
        assert [(post.photo, post.live) for post in spine.page.posts] == [(PHOTO.digest, False), ("", True)]
        assert spine.page.live("p") == ["ended resolved"]


async def test_a_photo_that_comes_after_the_end_is_not_kept(database: Database) -> None:
    """A fetch that was under way when the case ended brings nothing back."""
    async with Spine(database, TARGETS) as spine:
        spine.start()
        await spine.opened(resource=with_photo())
        await spine.ended()
        assert not await keep(spine)
        await spine.settled()
        [row] = await spine.rows(schema.photos)
        assert (row["state"], row["data"]) == ("erased", None)
        assert (spine.board.shown, spine.page.posts, spine.mail.sent) == ({}, [], [])


async def test_a_case_that_opens_again_wants_its_photo_again(database: Database) -> None:
    """The photo that was erased at the end is fetched anew when the case opens again."""
    spine = Spine(database, TARGETS)
    await spine.opened(resource=with_photo())
    await keep(spine)
    await spine.ended()
    await spine.opened(text="Opnieuw", resource=with_photo())
    [row] = await spine.rows(schema.photos)
    assert (row["state"], row["data"], row["deadline"]) == ("wanted", None, spine.clock() + 15)


async def test_a_rule_against_photos_sends_the_text_at_once(database: Database) -> None:
    """Where only the photo is forbidden the text goes, without it and without waiting for it (R14)."""
    rules = {"rules": [NO_PHOTO_ON_PAGES, *ALLOW_ALL["rules"]]}
    async with Spine(database, TARGETS, rules=rules) as spine:
        spine.start()
        await spine.opened(resource=with_photo())
        await spine.until(lambda: len(spine.page.posts) == 1, travel=False)
        await keep(spine)
        await spine.settled()
        assert [(post.photo, post.live) for post in spine.page.posts] == [("", True)]
        assert pictured(spine, "pictures")


async def test_a_late_photo_mails_nobody_twice(database: Database) -> None:
    """A mail that went without the photo, at the deadline, is not followed by one with it."""
    async with Spine(database, [mail("m")]) as spine:
        spine.start()
        await spine.opened(resource=with_photo())
        await spine.settled()
        await keep(spine)
        await spine.settled()
        assert spine.mail.inbox("m") == ["opened"]


async def test_an_expired_case_leaves_no_photo_anywhere(database: Database) -> None:
    """When a case expires, board and post with the photo go, and its bytes are erased; posts without one stay."""
    async with Spine(database, [*TARGETS, page("text")], rules=ALLOW_ALL) as spine:
        spine.start()
        await spine.opened(resource=with_photo())
        await keep(spine)
        await spine.settled()
        await spine.advance(4 * 3600)
        assert await spine.intake.expire() == 1
        await spine.settled()
        assert spine.board.shown == {}
        assert [post.live for post in spine.page.posts] == [False, False]
        assert [(row["state"], row["data"]) for row in await spine.rows(schema.photos)] == [("erased", None)]
        assert spine.mail.inbox("m") == ["opened"], "nobody said how it ended, so nothing is said"


@pytest.mark.parametrize("how", ["in flight", "unknown"])
async def test_a_photo_post_under_way_when_the_case_expires_goes_as_well(database: Database, how: str) -> None:
    """A post with a photo that is still being sent, or whose answer was lost, is taken away after the expiry (R15)."""
    async with Spine(database, [page("p")]) as spine:
        gate = asyncio.Event()
        spine.page.fail(act_and_wait_for(gate) if how == "in flight" else lose_answer, step=Step.PUBLISH)
        spine.start()
        await spine.opened(resource=with_photo())
        await keep(spine)
        await spine.until(lambda: len(spine.page.posts) == 1, travel=False)
        await spine.advance(4 * 3600)
        assert await spine.intake.expire() == 1
        gate.set()
        await spine.settled()
        assert [post.live for post in spine.page.posts] == [False]


async def test_the_failure_of_an_old_photo_releases_nothing(database: Database) -> None:
    """A correction brought another photo: what waits for it does not go because the first one was refused."""
    async with Spine(database, TARGETS) as spine:
        spine.start()
        await spine.opened(resource=with_photo())
        await spine.updated(resource=with_photo("https://photos.example/other.jpg"))
        await keep(spine, None, "photo: the server answered 404")
        await spine.until(lambda: len(spine.board.shown) == 2, travel=False)
        assert (spine.page.calls, spine.mail.calls) == ([], [])
