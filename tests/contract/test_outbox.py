"""The outbox keeps what every adapter promises."""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib.metadata import entry_points
from typing import ClassVar

import aiohttp
import pytest

from bridge.adapters.outbox import Outbox, OutboxConfig
from bridge.adapters.registry import GROUP, Resources
from bridge.core.content import Content
from bridge.core.errors import InvalidInput, StoreUnavailable, TransientError
from bridge.core.posting import Posting, posting_id
from bridge.core.target import Target
from bridge.testing import AdapterContract

IN_THE_STORE = "the outbox is a table in the bridge's own store, and putting a message again is harmless"


def admin(address: str) -> Target:
    """Give a target with this admin's name."""
    owner = {"name": "Beheerder Merenwijk", "kind": "citizen"}
    return Target.model_validate(
        {"id": "beheerder-1", "channel": "outbox", "adapter": "outbox", "address": address, "owner": owner}
    )


class MemoryOutbox:
    """An admin's outbox that keeps its messages in a dictionary, and can be locked as a database can."""

    def __init__(self) -> None:
        self.messages: dict[tuple[str, int], str] = {}
        self.locked = False

    async def put(self, posting: Posting, content: Content) -> None:
        """Keep one message."""
        if self.locked:
            raise StoreUnavailable("the store is locked")
        self.messages.setdefault((posting.id, content.revision), content.text)

    async def shown(self) -> list[str]:
        """Give all messages, oldest first."""
        return list(self.messages.values())

    async def refuse_for_now(self) -> None:
        """Be locked."""
        self.locked = True

    async def recover(self) -> None:
        """Be open again."""
        self.locked = False


class TestOutbox(AdapterContract):
    """Design 3.6 for the outbox."""

    no_such_fault: ClassVar = {"refuse_for_good": IN_THE_STORE, "vanish": IN_THE_STORE, "lose_answers": IN_THE_STORE}

    @pytest.fixture
    def peer(self) -> MemoryOutbox:
        """Give an empty outbox."""
        return MemoryOutbox()

    @pytest.fixture
    def posting(self) -> Posting:
        """Give one case for one admin."""
        target = admin("merenwijk-1")
        return Posting(posting_id("2026112200042", target), "2026112200042", target)

    @pytest.fixture
    async def adapter(self, peer: MemoryOutbox) -> AsyncIterator[Outbox]:
        """Give an open adapter that puts into the outbox."""
        async with aiohttp.ClientSession() as http, Outbox(OutboxConfig(), Resources(http, peer)) as adapter:
            yield adapter

    async def test_a_locked_store_holds_up_the_whole_adapter(
        self, adapter: Outbox, posting: Posting, peer: MemoryOutbox
    ) -> None:
        """A store that is away says so for every admin, so that the others are not tried one by one."""
        await peer.refuse_for_now()
        with pytest.raises(TransientError) as refused:
            await adapter.publish(posting, self.make_content(posting))
        assert refused.value.whole_adapter


def test_it_is_found_by_its_name() -> None:
    """The entry point ``outbox`` names this adapter."""
    [point] = entry_points(group=GROUP, name="outbox")
    assert point.load() is Outbox
    assert Outbox.Config is OutboxConfig


@pytest.mark.parametrize("address", ["merenwijk-1", "A", "j.de_vries-2", "x" * 100])
def test_a_plain_name_is_an_address(address: str) -> None:
    """An admin's name may hold letters, digits, dot, underscore and hyphen."""
    Outbox.check_target(admin(address))


@pytest.mark.parametrize(
    "address", ["", "-x", ".", "../merenwijk", "a b", "a/b", "é", "x" * 101, "a@example.nl", "naam\N{NO-BREAK SPACE}"]
)
def test_anything_else_is_refused_with_a_clear_line(address: str) -> None:
    """A name that is no plain word is refused in one line that tells what is allowed."""
    with pytest.raises(InvalidInput, match=r"^address: .* is not an admin's name; allowed are") as refused:
        Outbox.check_target(admin(address))
    assert "\n" not in str(refused.value)
