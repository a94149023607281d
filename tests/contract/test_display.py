"""Display pages: every promise of an adapter, kept with a screen that answers as a browser does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import aiohttp
import pytest

from bridge.adapters.display import Display, DisplayConfig
from bridge.adapters.registry import Resources
from bridge.core.errors import InvalidInput, OutcomeUnknown, TransientError
from bridge.core.posting import Posting, posting_id
from bridge.core.target import Target
from bridge.store.database import Database
from bridge.store.displays import DisplayStore
from bridge.store.migrate import migrate
from bridge.testing import OPENING, AdapterContract
from tests.contract.test_docs_adapter import Nowhere

TOKEN = "scherm-stadhuis-0123456789"
IN_THE_STORE = "pages are told through the bridge's own store, which refuses nothing"


def target(secret: str = TOKEN) -> Target:
    """Give a screen."""
    owner = {"name": "Gemeente Leiden", "kind": "municipality"}
    fields: dict[str, Any] = {"id": "stadhuis", "channel": "display", "adapter": "display", "owner": owner}
    return Target.model_validate({**fields, "address": "stadhuis"}).with_secret(secret)


class Screen:
    """A screen that paints what it is told as soon as it hears of it."""

    def __init__(self, store: DisplayStore) -> None:
        self.store = store
        self.texts: list[str] = []
        self.is_deaf = False
        self._wake = asyncio.Event()
        store.listeners.append(self._wake.set)

    async def run(self) -> None:
        """Look, paint, confirm; for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.look()

    async def look(self) -> None:
        """Paint what is to be seen now, and say so."""
        if not self.is_deaf:
            _, messages = await self.store.state("stadhuis")
            self.texts = [one["texts"][0]["text"] for one in messages]
            await self.store.painted("stadhuis", "een-scherm", [one["key"] for one in messages])

    async def shown(self) -> list[str]:
        """Give what stands on it."""
        return self.texts


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[DisplayStore]:
    """Give the store's side of pages that clear themselves after a minute of silence."""
    database = Database(f"sqlite:///{tmp_path}/bridge.db")
    await migrate(database)
    yield DisplayStore(database, 60.0, lambda: None)
    await database.close()


@pytest.fixture
async def peer(store: DisplayStore) -> AsyncIterator[Screen]:
    """Give a screen that is on."""
    screen = Screen(store)
    await screen.look()
    running = asyncio.create_task(screen.run())
    yield screen
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


@pytest.fixture
async def adapter(store: DisplayStore) -> AsyncIterator[Display]:
    """Give the adapter."""
    config = DisplayConfig(patience=0.3)
    async with aiohttp.ClientSession() as http, Display(config, Resources(http, Nowhere(), store)) as adapter:
        yield adapter


@pytest.fixture
def posting() -> Posting:
    """Give one case."""
    return Posting(posting_id("2026112200042", target()), "2026112200042", target())


class TestDisplay(AdapterContract):
    """Every promise of an adapter, for a page on a screen."""

    no_such_fault: ClassVar = dict.fromkeys(
        ("refuse_for_now", "refuse_for_good", "vanish", "lose_answers"), IN_THE_STORE
    )


async def test_what_nobody_painted_is_not_there(adapter: Display, posting: Posting, peer: Screen) -> None:
    """Without a confirmation the outcome is unknown, and says why; a screen that paints it later settles it."""
    peer.is_deaf = True
    content = AdapterContract().make_content(posting)
    with pytest.raises(OutcomeUnknown, match="none has painted it yet"):
        await adapter.publish(posting, content)
    peer.is_deaf = False
    await adapter.publish(posting, content)
    assert peer.texts == [OPENING]


async def test_what_a_screen_may_still_show_is_not_gone(adapter: Display, posting: Posting, peer: Screen) -> None:
    """A screen that has not answered keeps a retraction open; when it has, it is gone."""
    receipt = await adapter.publish(posting, AdapterContract().make_content(posting))
    peer.is_deaf = True
    with pytest.raises(OutcomeUnknown, match="have not said yet"):
        await adapter.retract(receipt)
    peer.is_deaf = False
    await peer.look()
    await adapter.retract(receipt)
    assert not (await adapter.observe(receipt)).present


async def test_a_screen_that_is_silent_has_cleared_itself(
    adapter: Display, posting: Posting, peer: Screen, store: DisplayStore
) -> None:
    """Once a screen has been silent for longer than its page lives without us, what it showed counts as gone."""
    receipt = await adapter.publish(posting, AdapterContract().make_content(posting))
    peer.is_deaf = True
    store.dead_man = 0.0
    await adapter.retract(receipt)
    with pytest.raises(TransientError, match="no screen has the page open"):
        await adapter.probe(posting.target)


@pytest.mark.parametrize("token", ["", "kort", "met een spatie erin, en lang genoeg", "a/b?c#d-en-lang-genoeg-hoor"])
def test_a_page_needs_a_long_secret(token: str) -> None:
    """A token that could be guessed, or would not fit an address, is refused in one sentence."""
    with pytest.raises(InvalidInput, match="at least 20 letters"):
        Display.check_target(target(token))
    Display.check_target(target())
