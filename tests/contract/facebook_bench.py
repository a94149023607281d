"""What the tests of the Facebook adapter share: a simulated Graph API with two pages, and an adapter wired to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from bridge.adapters.facebook import Facebook, FacebookConfig
from bridge.adapters.registry import Resources
from bridge.core.content import Content, Phase, Photo
from bridge.core.posting import Posting, Receipt, posting_id
from bridge.core.target import Owner, OwnerKind, Target
from bridge.simulators.graph import EVERYTHING, GraphSimulator
from bridge.testing import OPENING, attempted

PAGE, OTHER_PAGE = "104857600", "209715200"
TOKEN, OTHER_TOKEN = "EAAB-page-token-7f3a", "EAAB-other-token-91bc"
APP_SECRET = "c0ffee-app-secret-55aa"
PHOTO = Photo(
    digest="0" * 64, media_type="image/jpeg", description="Jongen met rode jas", data=b"\xff\xd8\xff\xe0photo"
)

Step = Callable[[Facebook, Receipt], Awaitable[object]]


class FakeClock:
    """Monotonic seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


class NoOutbox:
    """Facebook has no use for the admins' outbox."""

    async def put(self, posting: Posting, content: Content) -> None:
        """Fail the test."""
        raise AssertionError("the outbox was used")


class GraphPeer:
    """The simulator, as the contract wants to steer it."""

    def __init__(self, graph: GraphSimulator) -> None:
        self.graph = graph

    async def shown(self) -> list[str]:
        """Give the texts of the live posts."""
        return [post.message for post in self.graph.posts(PAGE)]

    async def refuse_for_now(self) -> None:
        """Answer that the app reached its limit, without naming a time."""
        self.graph.fault("error", operations=EVERYTHING, code=341, status=400, times=0)

    async def refuse_for_good(self) -> None:
        """Answer that a permission is missing."""
        self.graph.fault("error", operations=EVERYTHING, code=200, status=403, times=0)

    async def lose_answers(self) -> None:
        """Do what is asked and break off."""
        self.graph.fault("disconnect_and_post", operations=EVERYTHING, times=0)

    async def vanish(self) -> None:
        """Close the port."""
        await self.graph.vanish()

    async def recover(self) -> None:
        """End the faults and open the port."""
        self.graph.clear_faults()
        await self.graph.listen()


def make_posting(page: str = PAGE, token: str = TOKEN, case: str = "2026112200042") -> Posting:
    """Give a posting of a case on a page."""
    owner = Owner(name="Gemeente Leiden", kind=OwnerKind.MUNICIPALITY)
    target = Target(id=f"fb-{page}", channel="facebook", adapter="facebook", address=page, owner=owner)
    return Posting(posting_id(case, target), case, target.with_secret(token))


def make_content(text: str = OPENING, photo: Photo | None = None) -> Content:
    """Give the first content of the case."""
    return Content("2026112200042", 1, Phase.OPENED, "nl", "Vermist: kind in Leiden", text, photo=photo)


STEPS: dict[str, Step] = {
    "update": lambda adapter, receipt: adapter.update(receipt, make_content("Gevonden.")),
    "retract": lambda adapter, receipt: adapter.retract(receipt),
    "observe": lambda adapter, receipt: adapter.observe(receipt),
    "find": lambda adapter, receipt: adapter.find(attempted(receipt.posting, make_content(), datetime.now(UTC))),
    "probe": lambda adapter, receipt: adapter.probe(receipt.posting.target),
}
ALL_STEPS: dict[str, Step] = {
    **STEPS,
    "publish": lambda adapter, receipt: adapter.publish(receipt.posting, make_content()),
}


class FacebookBench:
    """The fixtures."""

    @pytest.fixture
    async def graph(self) -> AsyncIterator[GraphSimulator]:
        """Give the simulator: two pages, and an app secret that it demands the proof of."""
        async with GraphSimulator({PAGE: TOKEN, OTHER_PAGE: OTHER_TOKEN}, APP_SECRET) as simulator:
            yield simulator

    @pytest.fixture
    def clock(self) -> FakeClock:
        """Give the clock of the usage meter."""
        return FakeClock()

    @pytest.fixture
    def secret_file(self, tmp_path: Path) -> Path:
        """Give a file with the app secret."""
        file = tmp_path / "app-secret"
        file.write_text(APP_SECRET + "\n")
        return file

    @pytest.fixture
    async def session(self) -> AsyncIterator[aiohttp.ClientSession]:
        """Give the shared HTTP session."""
        async with aiohttp.ClientSession() as http:
            yield http

    @pytest.fixture
    async def adapter(
        self, graph: GraphSimulator, session: aiohttp.ClientSession, clock: FakeClock, secret_file: Path
    ) -> AsyncIterator[Facebook]:
        """Give an open adapter with a short timeout."""
        config = FacebookConfig(base_url=graph.url, app_secret_file=secret_file, timeout=0.5)
        async with Facebook(config, Resources(session, NoOutbox()), clock=clock) as opened:
            yield opened

    @pytest.fixture
    def posting(self) -> Posting:
        """Give a posting on the first page."""
        return make_posting()
