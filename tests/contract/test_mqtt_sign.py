"""The MQTT adapter keeps the adapter contract with Debian's mosquitto between it and a strict simulated display."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import aiomqtt
import pytest

from bridge.adapters.mqtt_sign import MqttSign
from bridge.core.errors import OutcomeUnknown, PermanentError, TransientError
from bridge.core.posting import Observation, Posting, Receipt
from bridge.simulators.fault import Fault
from bridge.simulators.mqtt_display import MqttDisplay
from bridge.testing import CORRECTION, OPENING, AdapterContract
from tests.contract.mosquitto import Mosquitto, needs_mosquitto
from tests.contract.mqtt_peers import CASE, OTHER, TOPIC, a_content, a_display, a_gate, a_posting, an_adapter, retained

pytestmark = needs_mosquitto


@pytest.fixture
async def adapter() -> AsyncIterator[MqttSign]:
    """Give an adapter."""
    async with an_adapter() as adapter:
        yield adapter


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    """Give a broker."""
    async with Mosquitto(tmp_path) as broker:
        yield broker


@pytest.fixture
async def display(broker: Mosquitto) -> AsyncIterator[MqttDisplay]:
    """Give a display."""
    async with a_display(broker.port) as display:
        yield display


@pytest.fixture
def posting(broker: Mosquitto, display: MqttDisplay) -> Posting:
    """Give a posting on that display."""
    return a_posting(broker.port)


class MqttPeer:
    """Broker and display, as the contract suite steers them."""

    def __init__(self, broker: Mosquitto, display: MqttDisplay) -> None:
        self.broker, self.display = broker, display

    async def shown(self) -> list[str]:
        """Give what the display shows."""
        return self.display.shown()

    async def refuse_for_now(self) -> None:
        """Let the display be busy."""
        self.display.faults = {Fault.REFUSES}

    async def refuse_for_good(self) -> None:
        """Let the display say never."""
        self.display.faults = {Fault.REJECTS}

    async def lose_answers(self) -> None:
        """Do it, and say nothing."""
        self.display.faults = {Fault.MUTE}

    async def vanish(self) -> None:
        """Stop the broker."""
        await self.broker.stop()
        await self.display.until(lambda: not self.display.connected)

    async def recover(self) -> None:
        """Be well, at the same port."""
        self.display.faults = frozenset()
        if not self.display.connected:
            await self.broker.start()
            await self.display.until(lambda: self.display.connected)


class TestMqttSign(AdapterContract):
    """The contract, kept by ``MqttSign`` with acks."""

    refuses: ClassVar[dict[str, str]] = {"control-characters": r"U\+0004"}

    @pytest.fixture
    def peer(self, broker: Mosquitto, display: MqttDisplay) -> MqttPeer:
        """Give both."""
        return MqttPeer(broker, display)


async def test_the_broker_keeps_the_whole_state(adapter: MqttSign, broker: Mosquitto, posting: Posting) -> None:
    """A late subscriber finds all fields of the contract on the topic, with the time they have left."""
    content = a_content(exercise=True, mark="OEFENING", pages=(("OEFENING",), ("VERMIST:", "jongen")))
    receipt = await adapter.publish(posting, content)
    found = await retained(broker.port)
    assert found is not None
    assert isinstance(found.payload, bytes)
    assert json.loads(found.payload) == {
        "id": receipt.handle["id"],
        "validUntil": content.valid_until.isoformat() if content.valid_until else None,
        "messages": [
            {
                "case": CASE,
                "revision": 1,
                "language": "nl",
                "text": OPENING,
                "pages": [["OEFENING"], ["VERMIST:", "jongen"]],
                "exercise": True,
                "mark": "OEFENING",
            }
        ],
    }
    assert (found.qos, found.retain) == (1, True)
    assert 3500 < found.properties.MessageExpiryInterval <= 3600  # type: ignore[union-attr]


async def test_a_late_display_shows_it(adapter: MqttSign, broker: Mosquitto) -> None:
    """What was published while the display was away is unknown, and shown as soon as it comes."""
    posting = a_posting(broker.port)
    with pytest.raises(OutcomeUnknown, match="does not confirm"):
        await adapter.publish(posting, a_content())
    async with a_display(broker.port) as display:
        await display.until(lambda: display.shown() == [OPENING])
        receipt = await adapter.publish(posting, a_content())
        assert (await adapter.observe(receipt)).present


async def test_a_retraction_is_not_done_while_the_display_is_away(
    adapter: MqttSign, broker: Mosquitto, display: MqttDisplay, posting: Posting
) -> None:
    """A display that is away may still show it: the retraction is unknown, at once, and done when it is back (I2)."""
    receipt = await adapter.publish(posting, a_content())
    display.faults = {Fault.UNREACHABLE}
    await display.until(lambda: not display.connected)
    began = time.monotonic()
    with pytest.raises(OutcomeUnknown, match="not there"):
        await adapter.retract(receipt)
    assert time.monotonic() - began < 2
    assert display.shown() == [OPENING]
    with pytest.raises(TransientError, match="not there"):
        await adapter.observe(receipt)
    display.faults = frozenset()
    await display.until(lambda: display.connected)
    await adapter.retract(receipt)
    assert display.shown() == []
    assert await retained(broker.port) is None


async def test_it_runs_out_at_the_broker(adapter: MqttSign, broker: Mosquitto, posting: Posting) -> None:
    """A state that is not renewed is gone for late subscribers, and the display says that it is dark."""
    receipt = await adapter.publish(posting, a_content(seconds=1.2))
    async with asyncio.timeout(10):
        while await retained(broker.port) is not None:
            await asyncio.sleep(0.1)
        while (await adapter.observe(receipt)).present:
            await asyncio.sleep(0.1)
    assert await adapter.observe(receipt) == Observation(present=False)


async def test_a_display_clears_itself_with_the_broker_gone(
    adapter: MqttSign, broker: Mosquitto, display: MqttDisplay, posting: Posting
) -> None:
    """At validUntil a display is dark, though nobody can tell it."""
    await adapter.publish(posting, a_content(seconds=1.5))
    await broker.stop()
    assert display.shown() == [OPENING]
    await display.until(lambda: display.shown() == [])


async def test_a_renewal_keeps_it_lit(adapter: MqttSign, display: MqttDisplay, posting: Posting) -> None:
    """The same revision with a later end is another state, acknowledged anew; the old end passes without effect."""
    first = await adapter.publish(posting, a_content(seconds=1.2))
    second = await adapter.publish(posting, a_content(seconds=3600))
    ends = time.monotonic() + 1.5
    await display.until(lambda: time.monotonic() > ends)
    assert display.shown() == [OPENING]
    assert not (await adapter.observe(first)).present
    assert (await adapter.observe(second)).present


async def test_the_last_will_tells_of_a_display_that_dies(adapter: MqttSign, broker: Mosquitto) -> None:
    """When its connection is cut without a word, the broker says offline in its stead, and nothing is proven."""
    async with a_gate(broker.port) as (port, cut), a_display(port) as display:
        receipt = await adapter.publish(a_posting(broker.port), a_content())
        display.faults = {Fault.UNREACHABLE}  # it does not come back
        cut()
        await display.until(lambda: not display.connected)
        async with asyncio.timeout(10):
            while (found := await retained(broker.port, f"{TOPIC}/status")) is None or found.payload == b"online":
                await asyncio.sleep(0.05)
        with pytest.raises(TransientError, match="not there"):
            await adapter.observe(receipt)


async def test_two_cases_take_turns_and_one_goes_on(adapter: MqttSign, display: MqttDisplay, posting: Posting) -> None:
    """Two cases stand in one state, the most pressing first; when one ends the other is left, never dark between."""
    first, second = a_content("JONGEN 8 JAAR"), a_content("VROUW 80 JAAR", OTHER)
    receipt = await adapter.publish(posting, replace(first, turns=(second, first)))
    assert display.shown() == ["VROUW 80 JAAR", "JONGEN 8 JAAR"]
    assert receipt.cases == {CASE, OTHER}
    left = await adapter.update(receipt, second)
    assert display.shown() == ["VROUW 80 JAAR"]
    assert (await adapter.observe(left)).present
    await adapter.retract(left)
    assert display.shown() == []


async def test_what_does_not_fit_beside_waits(display: MqttDisplay, posting: Posting) -> None:
    """The most pressing case is shown whole, and the receipt says who waits; alone too large is refused."""
    first, second = a_content("A" * 300), a_content("B" * 300, OTHER)
    async with an_adapter(max_bytes=1000) as small:
        receipt = await small.publish(posting, replace(second, turns=(first, second)))
        assert display.shown() == ["A" * 300]
        assert receipt.cases == {CASE}
        with pytest.raises(PermanentError, match="room for 1000"):
            await small.publish(posting, a_content("C" * 1000))
    assert display.shown() == ["A" * 300]


async def test_a_refusal_puts_back_what_was_there(
    adapter: MqttSign, broker: Mosquitto, display: MqttDisplay, posting: Posting
) -> None:
    """After a refusal broker and display have what they had: a text that we gave up can never appear later."""
    receipt = await adapter.publish(posting, a_content())
    before = await retained(broker.port)
    display.faults = {Fault.LOCAL}
    with pytest.raises(TransientError, match="by hand"):
        await adapter.update(receipt, a_content(CORRECTION))
    after = await retained(broker.port)
    assert before is not None
    assert after is not None
    assert after.payload == before.payload
    assert after.properties.MessageExpiryInterval <= before.properties.MessageExpiryInterval  # type: ignore[union-attr]
    assert display.shown() == [OPENING]


async def test_a_display_without_room_says_so(adapter: MqttSign, broker: Mosquitto) -> None:
    """A display's own limit is a reason, and the text is nowhere."""
    async with a_display(broker.port, room=10) as display:
        with pytest.raises(PermanentError, match="no room"):
            await adapter.publish(a_posting(broker.port), a_content())
        assert display.shown() == []
    assert await retained(broker.port) is None


async def test_a_refused_retraction_stays_asked(
    adapter: MqttSign, broker: Mosquitto, display: MqttDisplay, posting: Posting
) -> None:
    """A removal that a display refuses for now is never taken back at the broker."""
    receipt = await adapter.publish(posting, a_content())
    display.faults = {Fault.REFUSES}
    with pytest.raises(TransientError, match="busy"):
        await adapter.retract(receipt)
    assert await retained(broker.port) is None


async def test_drift_is_seen(adapter: MqttSign, display: MqttDisplay, posting: Posting) -> None:
    """What somebody else wrote on the display is told, and publishing again mends it."""
    receipt = await adapter.publish(posting, a_content())
    display.write("MARKT OP ZATERDAG")
    async with asyncio.timeout(5):
        while (seen := await adapter.observe(receipt)).present:
            await asyncio.sleep(0.02)
    assert seen == Observation(present=False, text="MARKT OP ZATERDAG")
    receipt = await adapter.publish(posting, a_content())
    assert display.shown() == [OPENING]
    assert (await adapter.observe(receipt)).present


async def test_a_display_that_reboots_comes_back(adapter: MqttSign, display: MqttDisplay, posting: Posting) -> None:
    """A display that forgot everything is told by the broker, without us."""
    receipt = await adapter.publish(posting, a_content())
    display.reboot()
    assert display.shown() == []
    await display.until(lambda: display.shown() == [OPENING])
    async with asyncio.timeout(5):
        while not await seen_there(adapter, receipt):
            await asyncio.sleep(0.02)


async def seen_there(adapter: MqttSign, receipt: Receipt) -> bool:
    """Look once; a display that is just coming back cannot be seen yet."""
    try:
        return (await adapter.observe(receipt)).present
    except TransientError:
        return False


async def test_a_display_that_lies_is_believed(adapter: MqttSign, display: MqttDisplay, posting: Posting) -> None:
    """A display whose ack repeats what it was told cannot be seen through: what is proven is its word."""
    display.faults = {Fault.LIES}
    receipt = await adapter.publish(posting, a_content())
    display.write("MARKT")
    assert (await adapter.observe(receipt)).present


async def test_a_slow_display_is_waited_for(display: MqttDisplay, posting: Posting) -> None:
    """Three seconds to an ack are within the default timeout."""
    display.faults = {Fault.SLOW}
    async with an_adapter(timeout=15.0) as patient:
        await patient.publish(posting, a_content())
    assert display.shown() == [OPENING]


async def test_without_acks_the_brokers_word_counts(broker: Mosquitto, display: MqttDisplay, posting: Posting) -> None:
    """With ``ack: false`` a mute display counts as shown, and the adapter says that it cannot look."""
    display.faults = {Fault.MUTE}
    async with an_adapter(ack=False) as trusting:
        assert not trusting.capabilities.can_observe
        await trusting.probe(posting.target)
        receipt = await trusting.publish(posting, a_content())
        await display.until(lambda: display.shown() == [OPENING])
        with pytest.raises(PermanentError, match="ack"):
            await trusting.observe(receipt)
        await trusting.retract(receipt)
        await display.until(lambda: display.shown() == [])


async def test_a_moved_target_is_cleared_where_it_is_shown(
    adapter: MqttSign, broker: Mosquitto, display: MqttDisplay, posting: Posting
) -> None:
    """When the configured address changes, a retraction still goes to where the text was put."""
    receipt = await adapter.publish(posting, a_content())
    await adapter.retract(replace(receipt, posting=a_posting(broker.port, topic="elders")))
    assert display.shown() == []


@pytest.mark.parametrize(
    "ack", [b"", b"{", b"[]", b"null", b"{}", b'{"id":5}', b'{"id":"x","text":[]}', b"[" * 100_000, b"\xff"]
)
async def test_an_ack_that_cannot_be_read(broker: Mosquitto, ack: bytes) -> None:
    """What no display should say is a reason for who reads it, and no proof for who waits for one."""
    posting = a_posting(broker.port)
    mqtt = aiomqtt.Client("127.0.0.1", broker.port, protocol=aiomqtt.ProtocolVersion.V5)
    async with an_adapter(timeout=1.5) as adapter, mqtt as client:
        await client.publish(f"{TOPIC}/status", b"online", qos=1, retain=True)
        await client.publish(f"{TOPIC}/ack", ack, qos=1, retain=True)
        error: type[Exception] = PermanentError if ack else TransientError  # an empty one is none
        with pytest.raises(error):
            await adapter.observe(Receipt(posting, {"id": "x"}))
        publishing = asyncio.create_task(adapter.publish(posting, a_content()))
        await client.subscribe(TOPIC, qos=1)
        await anext(client.messages)
        await client.publish(f"{TOPIC}/ack", ack, qos=1)
        with pytest.raises(OutcomeUnknown):
            await publishing


async def test_an_old_ack_proves_nothing(adapter: MqttSign, broker: Mosquitto, display: MqttDisplay) -> None:
    """A removal is not taken for done because the display said some time ago that it was dark."""
    display.faults = {Fault.MUTE}
    with pytest.raises(OutcomeUnknown):
        await adapter.retract(Receipt(a_posting(broker.port)))
