"""Stop displays over KV15: every promise of an adapter, kept against a strict receiver; and what receivers do besides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import aiohttp
import pytest

from bridge.adapters.kv15 import Kv15, Kv15Config
from bridge.adapters.registry import Resources
from bridge.core.dutch_time import AMSTERDAM
from bridge.core.errors import OutcomeUnknown, PermanentError, StoreUnavailable, TransientError
from bridge.core.posting import Posting, Receipt
from bridge.protocols.kv15 import Key
from bridge.simulators.fault import Fault
from bridge.simulators.kv15 import Kv15Simulator
from bridge.store.counters import CounterStore
from bridge.testing import CORRECTION, OPENING, AdapterContract, stored
from tests.contract.kv15_bench import (
    ReceiverPeer,
    a_counter,
    adapter_fixture,  # noqa: F401
    an_adapter,
    connected,
    content,
    counter_fixture,  # noqa: F401
    posting_at,
    posting_fixture,  # noqa: F401
    receiver_fixture,  # noqa: F401
    use_up,
)
from tests.contract.test_docs_adapter import Nowhere


class TestKv15(AdapterContract):
    """Every promise of an adapter, for stops without a feed to read back from."""

    refuses: ClassVar = {"control-characters": r"XML cannot carry: U\+0004", "five thousand characters": "holds 255"}

    @pytest.fixture
    def peer(self, receiver: Kv15Simulator) -> ReceiverPeer:
        """Give the receiver."""
        return ReceiverPeer(receiver)


class TestKv15WithKv8(TestKv15):
    """Every promise of an adapter, for stops that are read back from a KV8 feed; dossiers are packed here."""

    @pytest.fixture
    async def adapter(self, receiver: Kv15Simulator, counter: CounterStore) -> AsyncIterator[Kv15]:
        """Give an adapter that listens."""
        async with an_adapter(counter, kv8_url=receiver.kv8_url, gzip="content-encoding") as adapter:
            await connected(receiver)
            yield adapter


class TestKv15OldReceiver(TestKv15):
    """Every promise of an adapter, for a receiver that answers in an old namespace and wants a packed type."""

    @pytest.fixture
    async def receiver(self) -> AsyncIterator[Kv15Simulator]:
        """Give an old receiver."""
        async with Kv15Simulator(old_namespace=True) as receiver:
            yield receiver

    @pytest.fixture
    async def adapter(self, counter: CounterStore) -> AsyncIterator[Kv15]:
        """Give an adapter set up for it."""
        async with an_adapter(counter, gzip="content-type", version="BISON 8.1.0.1") as adapter:
            yield adapter


# Dossiers and their numbers


async def test_one_message_for_many_stops(adapter: Kv15, receiver: Kv15Simulator, posting: Posting) -> None:
    """All stops of the target stand in one message, with our end; the handle names it."""
    until = datetime.now(UTC) + timedelta(minutes=15)
    receipt = await adapter.publish(posting, content(valid_until=until))
    [[(key, shown)]] = receiver.dossiers
    assert shown
    assert shown.stops == ("1234", "1235")
    assert shown.ends == until.replace(microsecond=0)
    assert receiver.at("1234") == receiver.at("1235") == [OPENING]
    assert [receipt.handle[name] for name in ("owner", "date", "number")] == [*map(str, key)]


async def test_an_update_is_one_dossier(adapter: Kv15, receiver: Kv15Simulator, posting: Posting) -> None:
    """A correction deletes the old number and sends the next one, together, so that the stops are never dark."""
    receipt = stored(await adapter.publish(posting, content()))
    await adapter.update(receipt, content(CORRECTION, revision=2))
    assert [[(key.number, bool(shown)) for key, shown in orders] for orders in receiver.dossiers] == [
        [(1, True)],
        [(1, False), (2, True)],
    ]


async def test_what_is_gone_is_deleted_once(
    adapter: Kv15, counter: CounterStore, receiver: Kv15Simulator, posting: Posting
) -> None:
    """Renewal after renewal deletes the number before and no other; after the retraction none is left to delete."""
    receipt = await adapter.publish(posting, content())
    for _ in range(3):
        receipt = stored(await adapter.update(receipt, content()))
    assert [key.number for orders in receiver.dossiers for key, shown in orders if not shown] == [1, 2, 3]
    assert [number for _, number in await counter.held(posting.id)] == [4]
    await adapter.retract(receipt)
    assert await counter.held(posting.id) == []


async def test_cases_stand_beside_each_other(adapter: Kv15, receiver: Kv15Simulator, posting: Posting) -> None:
    """Two cases at the same stops have a message each, and ending one leaves the other."""
    other = posting_at(posting.target.address, "2026112200043")
    await adapter.publish(posting, content())
    receipt = await adapter.publish(other, content(CORRECTION))
    assert receiver.shown() == [OPENING, CORRECTION]
    await adapter.retract(receipt)
    assert receiver.shown() == [OPENING]


async def test_numbers_go_on_after_a_restart(tmp_path: Path, receiver: Kv15Simulator, posting: Posting) -> None:
    """A bridge that starts again counts on, and takes back by its receipt what it showed before."""
    for _ in range(2):
        async with a_counter(tmp_path) as counter, an_adapter(counter) as adapter:
            receipt = stored(await adapter.publish(posting, content()))
    assert receipt.handle["number"] == "2"
    assert receiver.shown() == [OPENING]
    async with a_counter(tmp_path) as counter, an_adapter(counter) as adapter:
        await adapter.retract(receipt)
    assert receiver.shown() == []


async def test_a_lost_receipt_leaves_nothing_behind(tmp_path: Path, receiver: Kv15Simulator, posting: Posting) -> None:
    """What was sent and never answered, by a process that died, is deleted without its receipt (I2)."""
    receiver.faults = {Fault.MUTE}
    async with a_counter(tmp_path) as counter, an_adapter(counter) as adapter:
        with pytest.raises(OutcomeUnknown):
            await adapter.publish(posting, content())
    receiver.faults = set()
    assert receiver.shown() == [OPENING]
    async with a_counter(tmp_path) as counter, an_adapter(counter) as adapter:
        await adapter.retract(Receipt(posting))
    assert receiver.shown() == []


async def test_a_late_message_is_taken_back(counter: CounterStore, receiver: Kv15Simulator, posting: Posting) -> None:
    """A message that a slow receiver shows after its retraction is deleted by the next one."""
    receiver.faults = {Fault.SLOW}
    async with an_adapter(counter, timeout=0.4) as hasty:
        with pytest.raises(OutcomeUnknown):
            await hasty.publish(posting, content())
    receiver.faults = set()
    async with an_adapter(counter) as adapter:
        await adapter.retract(Receipt(posting))
        assert receiver.shown() == []
        async with asyncio.timeout(10):
            while not receiver.shown():  # now the late one arrives
                await asyncio.sleep(0.01)
        await adapter.retract(Receipt(posting))
    assert receiver.shown() == []


async def test_refusals_do_not_pile_up(
    adapter: Kv15, counter: CounterStore, receiver: Kv15Simulator, posting: Posting
) -> None:
    """A number that was refused is not deleted later: it never stood anywhere."""
    receiver.faults = {Fault.REFUSES}
    for _ in range(3):
        with pytest.raises(TransientError):
            await adapter.publish(posting, content())
    assert await counter.held(posting.id) == []
    receiver.faults = set()
    await adapter.publish(posting, content())
    assert [[(key.number, bool(shown)) for key, shown in orders] for orders in receiver.dossiers] == [[(4, True)]]


async def test_the_day_is_the_dutch_one(counter: CounterStore, receiver: Kv15Simulator, posting: Posting) -> None:
    """Numbers begin anew at midnight in the Netherlands; a message of yesterday is deleted under its own date."""
    now = datetime.now(AMSTERDAM).replace(hour=23, minute=59, second=0, microsecond=0)
    moments = [now]
    async with an_adapter(counter, clock=lambda: moments[-1]) as adapter:
        receipt = await adapter.publish(posting, content(valid_until=now + timedelta(minutes=15)))
        moments.append(now + timedelta(minutes=2))
        receipt = await adapter.update(receipt, content(valid_until=now + timedelta(minutes=30)))
    yesterday, today = (moment.date().isoformat() for moment in moments)
    [_, [(gone, _), (new, _)]] = receiver.dossiers
    assert [gone, new] == [Key("HTM", yesterday, 1), Key("HTM", today, 1)]
    assert receipt.handle["date"] == today


async def test_after_the_last_number_it_says_so(
    adapter: Kv15, counter: CounterStore, receiver: Kv15Simulator, posting: Posting
) -> None:
    """An owner's 10,000th message of a day is refused with the reason; taking away needs no number."""
    receipt = await adapter.publish(posting, content())
    await use_up(counter)
    receipt = await adapter.update(receipt, content())
    assert receipt.handle["number"] == "9999"
    with pytest.raises(PermanentError, match="up to 9999"):
        await adapter.update(receipt, content(CORRECTION))
    await adapter.retract(receipt)
    assert receiver.shown() == []


class Down:
    """A counter whose store is away."""

    async def next(self, name: str, most: int, holder: str = "", until: float = 0.0) -> int:
        """Fail."""
        raise StoreUnavailable("the database did not answer")

    async def held(self, holder: str) -> list[tuple[str, int]]:
        """Fail."""
        raise StoreUnavailable("the database did not answer")

    async def release(self, holder: str, numbers: object) -> None:
        """Fail."""
        raise StoreUnavailable("the database did not answer")


async def test_without_its_store_nothing_is_sent(receiver: Kv15Simulator, posting: Posting) -> None:
    """A number that cannot be remembered is not used; it is tried again later."""
    async with (
        aiohttp.ClientSession() as http,
        Kv15(Kv15Config(), Resources(http, Nowhere(), counter=Down())) as adapter,
    ):
        for step in (adapter.publish(posting, content()), adapter.retract(Receipt(posting))):
            with pytest.raises(TransientError, match="database"):
                await step
    assert receiver.dossiers == []


async def test_without_a_store_at_all_it_says_so(receiver: Kv15Simulator, posting: Posting) -> None:
    """An adapter that was given no counter refuses to show."""
    async with aiohttp.ClientSession() as http, Kv15(Kv15Config(), Resources(http, Nowhere())) as adapter:
        with pytest.raises(PermanentError, match="no store"):
            await adapter.publish(posting, content())
    assert receiver.dossiers == []


# Texts


@pytest.mark.parametrize("text", ["x" * 255, "é" * 255, "🚨" * 255, "a\r\nb\tc", "]]>&<!--'\"", "   "])
async def test_what_fits_is_verbatim(adapter: Kv15, receiver: Kv15Simulator, posting: Posting, text: str) -> None:
    """255 characters of any kind arrive, to the last white space."""
    await adapter.publish(posting, content(text))
    assert receiver.shown() == [text]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x" * 256, "has 256 characters"),
        ("a\x04b\x1bc", r"U\+0004, U\+001B$"),
        ("\x00", r"U\+0000"),
        ("\ufffe", r"U\+FFFE"),
        ("half \ud83d", r"U\+D83D"),
    ],
)
async def test_what_does_not_fit_is_refused(
    adapter: Kv15, receiver: Kv15Simulator, posting: Posting, text: str, reason: str
) -> None:
    """Too long, or not for XML: the reason names it, nothing is sent, and no number is used."""
    with pytest.raises(PermanentError, match=reason):
        await adapter.publish(posting, content(text))
    assert receiver.dossiers == []


async def test_an_exercise_says_so_first(adapter: Kv15, receiver: Kv15Simulator, posting: Posting) -> None:
    """The mark of an exercise stands before the text, and counts."""
    await adapter.publish(posting, content(mark="OEFENING"))
    assert receiver.shown() == [f"OEFENING: {OPENING}"]
    with pytest.raises(PermanentError, match="265"):
        await adapter.publish(posting, content("x" * 255, mark="OEFENING"))
