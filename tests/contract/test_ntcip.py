"""NTCIP signs: every promise of an adapter, kept against a strict sign; and the handshake in the sign's own words."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import pytest

from bridge.adapters.ntcip_sign import NtcipSign
from bridge.core.errors import OutcomeUnknown, TransientError
from bridge.core.posting import Posting
from bridge.protocols import ntcip_names as names
from bridge.protocols.ntcip_multi import CHANGEABLE, checksum
from bridge.simulators.fault import Fault
from bridge.simulators.ntcip import NtcipSimulator
from bridge.simulators.ntcip_sign import OTHERS
from bridge.testing import CORRECTION, OPENING, AdapterContract, stored
from tests.contract.ntcip_bench import (
    SignPeer,
    adapter_fixture,  # noqa: F401
    content,
    posting_on,
    simulator_fixture,  # noqa: F401
)


class TestNtcipSign(AdapterContract):
    """Every promise of an adapter, for a sign that speaks NTCIP 1203."""

    refuses: ClassVar = {
        "control-characters": "does not have",
        "emoji": "does not have",
        "right-to-left": "does not have",
        "five thousand characters": "seconds to read",
    }

    @pytest.fixture
    def peer(self, simulator: NtcipSimulator) -> SignPeer:
        """Give the sign."""
        return SignPeer(simulator)

    @pytest.fixture
    def posting(self, simulator: NtcipSimulator) -> Posting:
        """Give one case."""
        return posting_on(simulator)


# The handshake, in the sign's own words


async def test_the_sign_holds_what_the_standard_says(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """The message lies valid in its memory with our owner, priority and checksum, and ends by itself in minutes."""
    await adapter.publish(posting_on(simulator), content("Kind vermist [rood] ]bel[ 112", minutes=9.5))
    sign = simulator.sign
    assert (sign.shown.memory, sign.shown.number) == (CHANGEABLE, 1)
    message = sign.memory[1]
    assert message.multi == b"Kind vermist [[rood]] ]]bel[[ 112"
    assert message.crc == checksum(message.multi)
    assert message.priority == 120
    dark = "0700010000"
    assert (
        message.owner.decode() == f"Burgernet {message.crc:04x} before {dark} set {dark} {dark} {dark} {dark} {dark} 0."
    )
    assert sign.ends == 10 * 60
    assert sign.registers[names.COMM_LOSS_TIME] == 15
    assert sign.registers[names.END_DURATION_MESSAGE] == bytes.fromhex("0700010000")


async def test_text_is_laid_out_by_the_signs_own_characters(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """Narrow characters take less room than wide ones: lines break where this very sign is full, and pages take turns."""
    simulator.sign.width, simulator.sign.height = 60, 16
    await adapter.publish(posting_on(simulator), content("iiiiiiiiiiiii mmmmmm mmmmmmm " * 2))
    multi = simulator.sign.buffer.multi.decode()
    assert multi.split("[np]")[0].endswith("iiiiiiiiiiiii[nl]mmmmmm")
    assert multi.startswith("[pt30o0]")
    assert simulator.sign.get(names.SYNTAX_ERROR) == 2


async def test_a_sign_of_character_cells_is_counted_in_cells(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """A character matrix has as many cells as its width holds characters."""
    simulator.sign.cell, simulator.sign.width, simulator.sign.height = (5, 8), 50, 16
    await adapter.publish(posting_on(simulator), content("abcdefghij iiiiiiiiii"))
    assert simulator.sign.buffer.multi == b"abcdefghij[nl]iiiiiiiiii"


async def test_a_renewal_writes_nothing(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """The same text again only prolongs: the sign does not flicker."""
    posting = posting_on(simulator)
    receipt = stored(await adapter.publish(posting, content(minutes=5)))
    await adapter.update(receipt, content(minutes=30))
    assert len(simulator.sign.history) == 1
    assert simulator.sign.ends == 30 * 60


async def test_a_correction_never_goes_dark(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """The new text is written where the old one is not, and shown in its place; the next goes into the first again."""
    receipt = stored(await adapter.publish(posting_on(simulator), content()))
    for text in (CORRECTION, OPENING, CORRECTION):
        receipt = stored(await adapter.update(receipt, content(text)))
        assert simulator.shown() == [text]
    assert "" not in simulator.sign.history


async def test_a_sign_that_is_left_alone_clears_itself(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """Without a renewal the message ends at its time, with nobody there."""
    now = [0.0]
    simulator.sign.clock = lambda: now[0]
    await adapter.publish(posting_on(simulator), content(minutes=15))
    now[0] = 14 * 60
    assert simulator.shown() == [OPENING]
    now[0] = 16 * 60
    assert simulator.shown() == []


# What others put there


async def test_what_stood_there_before_comes_back(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """The road authority's own message returns when ours is taken away, also after corrections."""
    simulator.write("A44 dicht bij Leiden")
    receipt = stored(await adapter.publish(posting_on(simulator), content()))
    receipt = stored(await adapter.update(receipt, content(CORRECTION)))
    await adapter.retract(receipt)
    assert simulator.shown() == ["A44 dicht bij Leiden"]
    assert simulator.sign.shown.number == OTHERS


async def test_a_bridge_that_forgot_asks_the_sign(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """After a lost answer nobody remembers what stood there before; the sign has kept it for us."""
    simulator.write("A44 dicht bij Leiden")
    simulator.faults = {Fault.MUTE}
    with pytest.raises(OutcomeUnknown):
        await adapter.publish(posting_on(simulator), content())
    simulator.faults = set()
    receipt = await adapter.publish(posting_on(simulator), content(CORRECTION))
    await adapter.retract(stored(receipt))
    assert simulator.shown() == ["A44 dicht bij Leiden"]


async def test_what_is_gone_meanwhile_leaves_a_dark_sign(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """Where the message of before has been changed since, the sign goes dark rather than keep ours."""
    simulator.write("A44 dicht bij Leiden")
    receipt = stored(await adapter.publish(posting_on(simulator), content()))
    simulator.sign.memory[OTHERS] = replace(simulator.sign.memory[OTHERS], crc=1)
    await adapter.retract(receipt)
    assert simulator.shown() == []


async def test_someone_elses_message_is_not_removed(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """When the road authority has written over ours, taking ours away leaves theirs."""
    receipt = stored(await adapter.publish(posting_on(simulator), content()))
    simulator.write("Spookrijder")
    seen = await adapter.observe(receipt)
    assert (seen.present, seen.text) == (False, "Spookrijder")
    await adapter.retract(receipt)
    assert simulator.shown() == ["Spookrijder"]


async def test_a_more_important_message_is_reported_and_not_fought(
    adapter: NtcipSign, simulator: NtcipSimulator
) -> None:
    """A message of higher priority stays, and the reason is said; it may be gone later."""
    simulator.write("Spookrijder")
    simulator.sign.buffer = replace(simulator.sign.buffer, priority=250)
    with pytest.raises(TransientError, match="more important"):
        await adapter.publish(posting_on(simulator), content())
    assert simulator.shown() == ["Spookrijder"]


async def test_what_was_removed_does_not_stay_in_its_memory(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """After a removal our texts are not in the sign any more (R15)."""
    receipt = stored(await adapter.publish(posting_on(simulator), content()))
    receipt = stored(await adapter.update(receipt, content(CORRECTION)))
    await adapter.retract(receipt)
    assert not any(message.multi for message in simulator.sign.memory.values())


# Several cases on one sign


async def test_two_cases_take_turns(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """Both stand in one message, each whole, in their order; where one has no room it says so."""
    first, second = content(OPENING, "een"), content(CORRECTION, "twee")
    posting = posting_on(simulator, "een")
    both = replace(first, turns=(second, first))
    receipt = await adapter.publish(posting, both)
    assert receipt.cases == {"een", "twee"}
    assert simulator.shown() == [f"{CORRECTION} {OPENING}"]
    simulator.sign.octets = len(CORRECTION) + 5
    adapter._boards.clear()
    receipt = await adapter.update(stored(receipt), both)
    assert receipt.cases == {"twee"}
    assert simulator.shown() == [CORRECTION]
