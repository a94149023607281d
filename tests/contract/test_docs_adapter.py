"""The adapter in docs/adapters.md is taken from the page, installed, and keeps what every adapter promises."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, ClassVar

import aiohttp
import pytest
from aiohttp import web

from bridge.adapters.registry import GROUP, AdapterType, Resources, find_adapters
from bridge.core.content import Content
from bridge.core.errors import InvalidInput, OutcomeUnknown, PermanentError, TransientError
from bridge.core.ports import Adapter
from bridge.core.posting import Posting, posting_id
from bridge.core.target import Target
from bridge.testing import AdapterContract

PAGE = (Path(__file__).parents[2] / "docs" / "adapters.md").read_text("utf-8")
TOKEN = "Zo-geheim-als-het-maar-kan"
MOST_LINES = 60


def block(language: str) -> str:
    """Give the one block of the page in this language."""
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdapterType]:
    """Install the page's package where Python looks for packages, and find its adapter as the bridge does."""
    folder = tmp_path_factory.mktemp("packages")
    entries = tomllib.loads(block("toml"))["project"]["entry-points"]
    [(name, place)] = entries[GROUP].items()
    module = place.partition(":")[0]
    (folder / f"{module}.py").write_text(block("python"), "utf-8")
    about = folder / f"{module}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n", "utf-8")
    (about / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {place}\n", "utf-8")
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    yield find_adapters()[name]
    sys.path.remove(str(folder))
    sys.modules.pop(module, None)
    importlib.invalidate_caches()


class Room:
    """A chat room behind a web hook, whose server can refuse, lose its answers and vanish."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.refusal: web.Response | None = None
        self.port = 0
        self._lost = False
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen, at the same port as before."""
        app = web.Application()
        app.router.add_route("*", "/hooks/burgernet", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    async def _answer(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.Response(status=401)
        if self.refusal:
            return web.Response(status=self.refusal.status, headers=self.refusal.headers)
        if request.method == "POST":
            self.texts.append((await request.json())["text"])
        if self._lost and request.transport:
            request.transport.abort()
        return web.Response(text="ok")

    async def shown(self) -> list[str]:
        """Give every message that arrived."""
        return self.texts

    async def refuse_for_now(self) -> None:
        """Say that there are too many messages."""
        self.refusal = web.Response(status=429, headers={"Retry-After": "7"})

    async def refuse_for_good(self) -> None:
        """Say that the hook is gone."""
        self.refusal = web.Response(status=410)

    async def lose_answers(self) -> None:
        """Keep the message and hang up."""
        self._lost = True

    async def vanish(self) -> None:
        """Refuse connections."""
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def recover(self) -> None:
        """Work again."""
        self.refusal, self._lost = None, False
        if self._runner is None:
            await self.start()


def room_target(address: str) -> Target:
    """Give a target for a hook at this address."""
    owner = {"name": "Meldkamer", "kind": "police"}
    fields: dict[str, Any] = {"id": "meldkamer-chat", "channel": "chat", "adapter": "chat", "owner": owner}
    return Target.model_validate({**fields, "address": address}).with_secret(TOKEN)


class TestChat(AdapterContract):
    """Design 3.6 for the page's adapter."""

    no_such_fault: ClassVar[dict[str, str]] = {}

    @pytest.fixture
    async def peer(self) -> AsyncIterator[Room]:
        """Give an empty room that listens."""
        room = Room()
        await room.start()
        yield room
        await room.vanish()

    @pytest.fixture
    def posting(self, peer: Room) -> Posting:
        """Give one case for the room."""
        target = room_target(f"http://127.0.0.1:{peer.port}/hooks/burgernet")
        return Posting(posting_id("2026112200042", target), "2026112200042", target)

    @pytest.fixture
    async def adapter(self, chat: AdapterType) -> AsyncIterator[Adapter]:
        """Give the page's adapter, opened as the bridge opens it."""
        async with (
            aiohttp.ClientSession() as http,
            chat(chat.Config.model_validate({"timeout": 2}), Resources(http, Nowhere())) as adapter,
        ):
            yield adapter

    async def test_each_refusal_is_told_as_what_it_is(self, adapter: Adapter, posting: Posting, peer: Room) -> None:
        """The page's three errors stand for the statuses that it names, and the server's wait is passed on."""
        for status, error in ((429, TransientError), (500, OutcomeUnknown), (301, PermanentError)):
            peer.refusal = web.Response(status=status, headers={"Retry-After": "7"})
            with pytest.raises(error) as refused:
                await adapter.publish(posting, self.make_content(posting))
            assert TOKEN not in str(refused.value)
            assert error is not TransientError or refused.value.retry_after == 7.0


class Nowhere:
    """An admin's outbox that nothing is put into."""

    async def put(self, posting: Posting, content: Content) -> None:
        """Never happens."""
        raise NotImplementedError


def test_it_says_which_targets_it_can_reach(chat: AdapterType) -> None:
    """The page's target is fine with its token, and one without a token is refused."""
    chat.check_target(room_target("https://chat.example.nl/hooks/burgernet"))
    with pytest.raises(InvalidInput):
        chat.check_target(room_target("naar het prikbord"))


def test_it_is_small() -> None:
    """The adapter on the page can be read in one go."""
    lines = [line for line in block("python").splitlines() if line.strip()]
    assert len(lines) <= MOST_LINES
