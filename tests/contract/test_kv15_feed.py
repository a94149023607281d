"""Stop displays read back from a KV8 feed: what it tells is seen, what it does not tell is no absence."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from bridge.adapters.kv15_feed import MOST_MESSAGES, MOST_POINTS, Feed
from bridge.core.errors import OutcomeUnknown, PermanentError
from bridge.core.posting import Observation, Posting
from bridge.protocols.kv8 import TOPIC, Told, write_frames
from bridge.protocols.kv15 import Key
from bridge.simulators.fault import Fault
from bridge.simulators.kv15 import Kv15Simulator
from bridge.store.counters import CounterStore
from bridge.testing import CORRECTION, OPENING, stored
from tests.contract.kv15_bench import (
    adapter_fixture,  # noqa: F401
    an_adapter,
    connected,
    content,
    counter_fixture,  # noqa: F401
    posting_fixture,  # noqa: F401
    receiver_fixture,  # noqa: F401
    seen,
)


async def test_the_feed_tells_of_every_step(receiver: Kv15Simulator, counter: CounterStore, posting: Posting) -> None:
    """Shown, corrected, overwritten by another text, deleted: a look tells each, with the revision."""
    async with an_adapter(counter, kv8_url=receiver.kv8_url) as adapter:
        await connected(receiver)
        receipt = stored(await adapter.publish(posting, content("regel een\nregel | twee \\p")))
        assert await adapter.observe(receipt) == Observation(present=True, revision=1)
        receipt = stored(await adapter.update(receipt, content(CORRECTION, revision=2)))
        assert await adapter.observe(receipt) == Observation(present=True, revision=2)
        key = Key("HTM", receipt.handle["date"], 2)
        receiver.tell(write_frames([Told(key, "ALGEMEEN:1234", "REIS VEILIG")], datetime.now(UTC)))
        receiver.tell(write_frames([Told(Key("HTM", "2026-01-01", 1), "x:1", None)], datetime.now(UTC)))
        assert await seen(adapter, receipt, lambda found: found.text is not None) == Observation(
            present=True, text="REIS VEILIG"
        )
        await adapter.retract(receipt)
        assert await seen(adapter, receipt, lambda found: not found.present) == Observation(present=False)


async def test_silence_of_the_feed_is_no_absence(
    receiver: Kv15Simulator, counter: CounterStore, posting: Posting
) -> None:
    """A feed that has told nothing of a message proves nothing, until the message has ended by itself."""
    receiver.faults = {Fault.MUTE}
    now = datetime.now(UTC)
    async with an_adapter(counter) as deaf:
        with pytest.raises(OutcomeUnknown):
            await deaf.publish(posting, content())
        receiver.faults = set()
        receipt = await deaf.publish(posting, content(valid_until=now + timedelta(minutes=10)))
        with pytest.raises(PermanentError, match="kv8_url"):
            await deaf.observe(receipt)
    for minutes, silent in ((9, True), (11, False)):
        then = now + timedelta(minutes=minutes)
        async with an_adapter(counter, lambda: then, kv8_url=receiver.kv8_url, kv8_wait=0) as adapter:  # noqa: B023
            if silent:
                with pytest.raises(OutcomeUnknown, match=r"HTM .* 2 yet"):
                    await adapter.observe(receipt)
            else:
                assert await adapter.observe(receipt) == Observation(present=False)


async def test_a_message_that_has_ended_is_gone(
    receiver: Kv15Simulator, counter: CounterStore, posting: Posting
) -> None:
    """A message that the feed told of with its end is seen until then, and not after, though nobody deleted it."""
    moments = [datetime.now(UTC)]
    async with an_adapter(counter, lambda: moments[-1], kv8_url=receiver.kv8_url) as adapter:
        await connected(receiver)
        receipt = await adapter.publish(posting, content(valid_until=moments[0] + timedelta(minutes=10)))
        for minutes, present in ((0, True), (9, True), (10, False)):
            moments.append(moments[0] + timedelta(minutes=minutes))
            assert (await adapter.observe(receipt)).present is present


async def test_a_lie_of_the_feed_is_what_is_seen(
    receiver: Kv15Simulator, counter: CounterStore, posting: Posting
) -> None:
    """What the feed says is all that can be seen: a receiver that announces and does not show is believed."""
    receiver.faults = {Fault.LIES}
    async with an_adapter(counter, kv8_url=receiver.kv8_url) as adapter:
        await connected(receiver)
        receipt = await adapter.publish(posting, content())
        assert (await adapter.observe(receipt)).present
    assert receiver.shown() == []


async def test_a_message_that_surfaces_late_is_seen(
    receiver: Kv15Simulator, counter: CounterStore, posting: Posting
) -> None:
    """A number of unknown outcome that stands after all is present, though the receipt's own is gone."""
    async with an_adapter(counter, kv8_url=receiver.kv8_url) as adapter:
        await connected(receiver)
        receiver.faults = {Fault.MUTE}
        with pytest.raises(OutcomeUnknown):
            await adapter.publish(posting, content())
        receiver.faults = set()
        receipt = await adapter.publish(posting, content())
        await adapter.retract(receipt)
        await seen(adapter, receipt, lambda found: not found.present)
        late = Told(Key("HTM", receipt.handle["date"], 1), "ALGEMEEN:1234", OPENING)
        receiver.tell(write_frames([late], datetime.now(UTC)))
        await seen(adapter, receipt, lambda found: found.present)
        await adapter.retract(receipt)
    assert receiver.dossiers[-1] == [(Key("HTM", receipt.handle["date"], number), None) for number in (1, 2)]


async def test_garbage_on_the_feed_is_passed_over(
    receiver: Kv15Simulator, counter: CounterStore, posting: Posting
) -> None:
    """Between ten thousand broken frames the one that matters is heard."""
    async with an_adapter(counter, kv8_url=receiver.kv8_url) as adapter:
        await connected(receiver)
        for count in range(5_000):
            receiver.tell([TOPIC, b"\x1f\x8b" + bytes([count % 256]) * 20])
        receipt = await adapter.publish(posting, content())
        for _ in range(2_000):
            receiver.tell([b"x"])
        assert (await adapter.observe(receipt)).present


async def test_a_feed_that_floods_us_keeps_nobody_waiting(
    receiver: Kv15Simulator, counter: CounterStore, posting: Posting
) -> None:
    """Messages of thousands of rows, packed small, without end: texts are shown and taken away meanwhile."""
    rows = [Told(Key("RET", "2026-11-22", number % 9_999 + 1), f"A:{number}", "x") for number in range(3_000)]
    flood = write_frames(rows, datetime.now(UTC))

    async def pour() -> None:
        while True:
            receiver.tell(flood)
            await asyncio.sleep(0)

    async with an_adapter(counter, kv8_url=receiver.kv8_url) as adapter, asyncio.TaskGroup() as group:
        assert adapter._feed
        await connected(receiver)
        pouring = group.create_task(pour())
        await adapter._feed.hear(lambda: adapter._feed.knows(rows[0].key), 10)  # type: ignore[union-attr]
        began = asyncio.get_running_loop().time()
        receipt = stored(await adapter.publish(posting, content()))
        await adapter.retract(receipt)
        assert asyncio.get_running_loop().time() - began < 2
        assert receiver.shown() == []
        pouring.cancel()


async def test_what_a_feed_tells_is_remembered_within_bounds() -> None:
    """However many messages at however many points it tells of, the latest are known and memory has an end."""
    feed = Feed("tcp://127.0.0.1:1", "")
    for number in range(MOST_POINTS + 500):
        feed._remember(Told(Key("HTM", "2026-11-22", number // 50 + 1), f"A:{number}", "x"))
    assert len(feed._told) <= MOST_MESSAGES
    assert sum(map(len, feed._told.values())) == feed._points <= MOST_POINTS
    assert feed.knows(Key("HTM", "2026-11-22", (MOST_POINTS + 499) // 50 + 1))
    assert not feed.knows(Key("HTM", "2026-11-22", 1))
