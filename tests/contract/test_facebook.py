"""The Facebook adapter against the simulated Graph API: the contract, the error table, and the unknown outcome."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from bridge.adapters.facebook import Facebook
from bridge.core.content import Photo
from bridge.core.errors import AdapterError, OutcomeUnknown, PermanentError, TransientError
from bridge.simulators.graph import EVERYTHING, GraphSimulator
from bridge.testing import OPENING, AdapterContract, attempted, stored
from tests.contract.facebook_bench import (
    PAGE,
    PHOTO,
    STEPS,
    FacebookBench,
    GraphPeer,
    Step,
    make_content,
    make_posting,
)

THROTTLES = [(4, None), (17, None), (32, None), (341, None), (613, None), (80001, None), (368, 1390008)]
REFUSALS = [(3, None), (10, None), (102, None), (190, None), (190, 463), (200, None), (230, None), (299, None)]


class TestFacebookContract(FacebookBench, AdapterContract):
    """What every adapter promises."""

    @pytest.fixture
    def peer(self, graph: GraphSimulator) -> GraphPeer:
        """Give the simulator, as the contract steers it."""
        return GraphPeer(graph)


class TestErrors(FacebookBench):
    """What an error means for each step."""

    @pytest.mark.parametrize(
        ("code", "subcode", "status", "error"),
        [
            *((code, None, status, OutcomeUnknown) for code in (1, 2) for status in (200, 400, 500, 503)),
            *((code, subcode, status, TransientError) for code, subcode in THROTTLES for status in (400, 403, 500)),
            *((code, subcode, 400, PermanentError) for code, subcode in REFUSALS),
            (100, None, 400, PermanentError),
            (100, 33, 400, PermanentError),
            (368, None, 400, PermanentError),
            (506, None, 400, OutcomeUnknown),
            (987654, None, 400, PermanentError),
            (987654, None, 429, TransientError),
            (987654, None, 500, OutcomeUnknown),
            (987654, None, 200, OutcomeUnknown),
        ],
    )
    async def test_every_error_code_on_a_publication(
        self,
        graph: GraphSimulator,
        adapter: Facebook,
        code: int,
        subcode: int | None,
        status: int,
        error: type[AdapterError],
    ) -> None:
        """Each Graph error has one meaning for a publication, whatever the HTTP status beside it."""
        graph.fault("error", code=code, subcode=subcode, status=status)
        with pytest.raises(error, match=f"Graph error {code}") as raised:
            await adapter.publish(make_posting(), make_content())
        if isinstance(raised.value, TransientError):
            assert raised.value.retry_after == 300

    @pytest.mark.parametrize(
        ("status", "error"),
        [
            (200, OutcomeUnknown),
            (302, PermanentError),
            (400, PermanentError),
            (401, PermanentError),
            (403, PermanentError),
            (404, PermanentError),
            (408, OutcomeUnknown),
            (413, PermanentError),
            (429, TransientError),
            (500, OutcomeUnknown),
            (502, OutcomeUnknown),
            (503, OutcomeUnknown),
            (504, OutcomeUnknown),
        ],
    )
    async def test_every_status_without_json_on_a_publication(
        self, graph: GraphSimulator, adapter: Facebook, status: int, error: type[AdapterError]
    ) -> None:
        """An answer that is no JSON means what its status means, and redirects are not followed."""
        headers = {"Location": f"{graph.url}/v25.0/{PAGE}"}
        graph.fault("error", body=b"<html>error</html>", status=status, headers=headers)
        with pytest.raises(error):
            await adapter.publish(make_posting(), make_content())
        assert len(graph.calls) == 1

    async def test_retry_after_is_honoured(self, graph: GraphSimulator, adapter: Facebook) -> None:
        """The seconds of a 429's Retry-After reach the dispatcher."""
        graph.fault("error", body=b"", status=429, headers={"Retry-After": "17"})
        with pytest.raises(TransientError) as raised:
            await adapter.publish(make_posting(), make_content())
        assert raised.value.retry_after == 17

    @pytest.mark.parametrize(
        ("code", "subcode", "status", "error"),
        [
            (1, None, 500, TransientError),
            (2, None, 500, TransientError),
            *((code, subcode, 400, TransientError) for code, subcode in THROTTLES),
            *((code, subcode, 400, PermanentError) for code, subcode in REFUSALS),
            (100, None, 400, PermanentError),
            (987654, None, 500, TransientError),
        ],
    )
    @pytest.mark.parametrize("step", STEPS.values(), ids=STEPS.keys())
    async def test_every_error_code_on_what_can_be_repeated(
        self,
        graph: GraphSimulator,
        adapter: Facebook,
        step: Step,
        code: int,
        subcode: int | None,
        status: int,
        error: type[AdapterError],
    ) -> None:
        """Edits, removals and readings can be repeated, so an unclear error is transient for them."""
        receipt = await adapter.publish(make_posting(), make_content())
        graph.fault("error", operations=EVERYTHING, code=code, subcode=subcode, status=status)
        with pytest.raises(error):
            await step(adapter, receipt)

    async def test_a_post_that_a_person_removed(self, graph: GraphSimulator, adapter: Facebook) -> None:
        """A post that is gone is absent to a reading, done to a removal, and a permanent error to an edit."""
        receipt = await adapter.publish(make_posting(), make_content())
        graph.pages.delete(receipt.handle["post"])
        assert not (await adapter.observe(receipt)).present
        with pytest.raises(PermanentError, match="gone"):
            await adapter.update(receipt, make_content("Gevonden."))
        await adapter.retract(receipt)

    async def test_a_lost_answer_to_an_edit_is_transient(self, graph: GraphSimulator, adapter: Facebook) -> None:
        """An edit whose answer is lost may be repeated with the same receipt, and leaves one post."""
        receipt = await adapter.publish(make_posting(), make_content())
        graph.fault("disconnect_and_post", operations=EVERYTHING, times=0)
        with pytest.raises(TransientError):
            await adapter.update(receipt, make_content("Gevonden."))
        graph.clear_faults()
        await adapter.update(receipt, make_content("Gevonden."))
        assert [post.message for post in graph.posts(PAGE)] == ["Gevonden."]


class TestUnknownOutcome(FacebookBench):
    """The API has no idempotency key (I4)."""

    @pytest.mark.parametrize("photo", [None, PHOTO], ids=["text", "photo"])
    @pytest.mark.parametrize("fault", ["fail_and_post", "hang_and_post", "disconnect_and_post"])
    async def test_posted_without_a_good_answer_is_adopted(
        self, graph: GraphSimulator, adapter: Facebook, fault: str, photo: Photo | None
    ) -> None:
        """A publication that happened in spite of its answer is found by its text, and can be taken back whole (I4, I2)."""
        content, begun = make_content(photo=photo), datetime.now(UTC)
        graph.fault(fault)
        with pytest.raises(OutcomeUnknown):
            await adapter.publish(make_posting(), content)
        found = await adapter.find(attempted(make_posting(), content, begun))
        assert found is not None
        [post] = graph.posts(PAGE)
        assert dict(found.handle) == {"post": post.id, "photo": post.photo}
        await adapter.retract(stored(found))
        assert graph.posts(PAGE) == []
        assert graph.pages.photos(PAGE) == []

    @pytest.mark.parametrize("fault", ["fail", "hang", "disconnect"])
    async def test_not_posted_is_not_found(self, graph: GraphSimulator, adapter: Facebook, fault: str) -> None:
        """A publication that failed for real is not found, so that it may be tried again."""
        begun = datetime.now(UTC)
        graph.fault(fault)
        with pytest.raises(OutcomeUnknown):
            await adapter.publish(make_posting(), make_content())
        assert await adapter.find(attempted(make_posting(), make_content(), begun)) is None

    async def test_a_post_that_appears_late_is_found_later(self, graph: GraphSimulator, adapter: Facebook) -> None:
        """Looking again finds a post that Facebook made long after the request was given up."""
        sought = attempted(make_posting(), make_content(), datetime.now(UTC))
        graph.fault("hang_then_post")
        with pytest.raises(OutcomeUnknown):
            await adapter.publish(make_posting(), make_content())
        assert await adapter.find(sought) is None
        graph.release()
        async with asyncio.timeout(5):
            while await adapter.find(sought) is None:
                pass
        assert len(graph.posts(PAGE)) == 1

    @pytest.mark.parametrize("code", [506, 368])
    async def test_a_duplicate_is_adopted(self, graph: GraphSimulator, adapter: Facebook, code: int) -> None:
        """When Facebook says that the text was posted already, that post becomes ours and no second one appears."""
        earlier = graph.pages.put_post(PAGE, OPENING, created_time=datetime.now(UTC) - timedelta(minutes=10))
        graph.fault("duplicate", code=code)
        receipt = await adapter.publish(make_posting(), make_content())
        assert receipt.handle["post"] == earlier.id
        assert len(graph.posts(PAGE)) == 1

    async def test_a_duplicate_that_cannot_be_looked_up_is_unknown(
        self, graph: GraphSimulator, adapter: Facebook
    ) -> None:
        """A duplicate whose post cannot be read stays unknown; it is not taken for nothing."""
        graph.fault("duplicate", code=368)
        graph.fault("error", operations=EVERYTHING, code=2, status=500, times=0)
        with pytest.raises(OutcomeUnknown, match="cannot be read"):
            await adapter.publish(make_posting(), make_content())


class TestFeed(FacebookBench):
    """What is found and what is not."""

    @pytest.mark.parametrize(
        ("text", "age", "author"),
        [
            pytest.param(OPENING, timedelta(seconds=130), "", id="older than the attempt"),
            pytest.param(OPENING, timedelta(0), "998877", id="written by a visitor"),
            pytest.param(OPENING + " Deel dit.", timedelta(0), "", id="another text"),
        ],
    )
    async def test_what_is_not_ours_is_not_adopted(
        self, graph: GraphSimulator, adapter: Facebook, text: str, age: timedelta, author: str
    ) -> None:
        """Only the page's own post, made since the attempt, with exactly our text is ours."""
        now = datetime.now(UTC)
        graph.pages.put_post(PAGE, text, created_time=now - age, author=author)
        assert await adapter.find(attempted(make_posting(), make_content(), now)) is None

    async def test_texts_are_compared_as_facebook_keeps_them(self, graph: GraphSimulator, adapter: Facebook) -> None:
        """White space around, line endings and the composition of accents do not hide our own post."""
        sent = "  Vermist: Rene\u0301.\r\nGezien? Bel 112.\r\n"
        graph.pages.put_post(PAGE, "Vermist: Ren\u00e9.\nGezien? Bel 112.")
        assert await adapter.find(attempted(make_posting(), make_content(sent), datetime.now(UTC))) is not None

    async def test_the_oldest_match_is_adopted_across_pages_of_the_feed(
        self, graph: GraphSimulator, adapter: Facebook
    ) -> None:
        """The feed is followed to its end without its token-bearing links, and the first of two equal posts is ours."""
        now = datetime.now(UTC)
        first = graph.pages.put_post(PAGE, OPENING, created_time=now - timedelta(seconds=60))
        for number in range(120):
            graph.pages.put_post(PAGE, f"Bericht {number}")
        graph.pages.put_post(PAGE, OPENING)
        found = await adapter.find(attempted(make_posting(), make_content(), now))
        assert found is not None
        assert found.handle["post"] == first.id
        assert len(graph.calls) == 3

    async def test_an_endless_feed_is_not_taken_for_absence(self, graph: GraphSimulator, adapter: Facebook) -> None:
        """A feed that is longer than we read says nothing about absence: to say "not there" would post twice."""
        for number in range(501):
            graph.pages.put_post(PAGE, f"Bericht {number}")
        with pytest.raises(TransientError, match="too long"):
            await adapter.find(attempted(make_posting(), make_content(), datetime.now(UTC)))
        assert len(graph.calls) == 10

    async def test_nothing_was_attempted_so_nothing_is_found(self, graph: GraphSimulator, adapter: Facebook) -> None:
        """Without an attempt there is nothing to look for, and no call is made."""
        assert await adapter.find(make_posting()) is None
        assert graph.calls == []


class TestPhotos(FacebookBench):
    """A photo cannot be taken out of a post."""

    async def test_a_photo_post_carries_the_photo_and_leaves_nothing_behind(
        self, graph: GraphSimulator, adapter: Facebook
    ) -> None:
        """The photo goes up as it is with the text beside it, the text can be edited, and both are deleted (R19)."""
        receipt = await adapter.publish(make_posting(), make_content(photo=PHOTO))
        assert graph.pages.photos(PAGE) == [PHOTO.data]
        await adapter.update(receipt, make_content("Gevonden."))
        assert [post.message for post in graph.posts(PAGE)] == ["Gevonden."]
        await adapter.retract(stored(receipt))
        assert graph.posts(PAGE) == []
        assert graph.pages.photos(PAGE) == []

    async def test_a_half_done_removal_of_a_photo_post_is_finished(
        self, graph: GraphSimulator, adapter: Facebook
    ) -> None:
        """When the post went and the photo did not, the same retraction again removes the photo."""
        receipt = await adapter.publish(make_posting(), make_content(photo=PHOTO))
        graph.pages.delete(receipt.handle["post"])
        graph.fault("error", operations={"delete"}, times=2)
        for _ in range(2):
            with pytest.raises(TransientError):
                await adapter.retract(receipt)
        await adapter.retract(receipt)
        assert graph.pages.photos(PAGE) == []
