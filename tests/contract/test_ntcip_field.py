"""What happens to signs in the field: they are replaced, share a font, and are left as they were found."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest

from bridge.adapters import ntcip_snmp
from bridge.adapters.ntcip_sign import NtcipSign
from bridge.adapters.registry import Resources
from bridge.core.errors import TransientError
from bridge.protocols import ntcip_names as names
from bridge.protocols.ntcip_multi import DARK
from bridge.simulators.ntcip import AUTH_PASSWORD, PRIV_PASSWORD, USER, NtcipSimulator
from bridge.simulators.ntcip_sign import SignState
from bridge.testing import CORRECTION, OPENING, stored
from tests.contract.test_ntcip import QUICK, Nowhere, content, posting_on, target

ITS_OWN = bytes.fromhex("0300090000")  # a message of the road authority


@pytest.fixture
async def simulator() -> AsyncIterator[NtcipSimulator]:
    """Give a dark sign."""
    async with NtcipSimulator(sign=SignState(lambda: 0.0, width=400, height=160, pages=9)) as simulator:
        yield simulator


@pytest.fixture
async def adapter() -> AsyncIterator[NtcipSign]:
    """Give the adapter, open."""
    async with aiohttp.ClientSession() as http, NtcipSign(QUICK, Resources(http, Nowhere())) as adapter:
        yield adapter


async def test_a_sign_that_was_replaced_is_spoken_to(
    adapter: NtcipSign, simulator: NtcipSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With SNMPv3 another sign at the same address is another engine: after one silence it is asked who it is."""
    monkeypatch.setattr(ntcip_snmp, "RENEWED", 0.0)
    monkeypatch.setattr(ntcip_snmp, "LEFT", 0.0)
    secret = f"v3:{USER}:SHA:{AUTH_PASSWORD}:AES:{PRIV_PASSWORD}"
    posting = replace(posting_on(simulator), target=target(simulator.port, secret))
    receipt = stored(await adapter.publish(posting, content()))
    await simulator.stop()
    await simulator.start()  # each start is a new engine
    with pytest.raises(TransientError, match="no answer from the sign"):
        await adapter.update(receipt, content(CORRECTION))
    await adapter.update(receipt, content(CORRECTION))
    assert simulator.shown() == [CORRECTION]


async def test_signs_of_one_make_are_asked_for_their_characters_once(
    adapter: NtcipSign, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has a font that is known is not asked for two hundred widths again; without a version each is asked."""
    asked: list[int] = []
    glyph = SignState._glyph

    def counted(sign: SignState, code: int) -> int:
        asked.append(code)
        return glyph(sign, code)

    monkeypatch.setattr(SignState, "_glyph", counted)
    counts = []
    for version in (7, 7, 8, 0, 0):
        asked.clear()
        sign = SignState(lambda: 0.0, width=400, height=160, font_version=version)
        async with NtcipSimulator(sign=sign) as simulator:
            await adapter.probe(posting_on(simulator).target)
        counts.append(len(asked))
    assert counts[1] == 0
    assert counts[0] == counts[2] == counts[3] == counts[4] > 100


async def test_a_sign_is_left_as_it_was_found(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """What was set for silence and for a loss of power is set again when our last message goes."""
    registers = simulator.sign.registers
    registers |= {names.SHORT_LOSS_MESSAGE: ITS_OWN, names.COMM_LOSS_TIME: 60}
    found = dict(registers)
    receipt = stored(await adapter.publish(posting_on(simulator), content()))
    assert registers[names.SHORT_LOSS_MESSAGE] == DARK.octets
    assert registers[names.COMM_LOSS_TIME] == 15
    receipt = stored(await adapter.update(receipt, content(CORRECTION)))
    await adapter.retract(receipt)
    assert simulator.shown() == []
    assert registers == found


async def test_what_others_set_meanwhile_stays(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """A road authority that changes a setting while our message stands keeps it."""
    registers = simulator.sign.registers
    registers[names.COMM_LOSS_TIME] = 60
    receipt = stored(await adapter.publish(posting_on(simulator), content()))
    registers |= {names.COMM_LOSS_TIME: 30, names.LONG_LOSS_MESSAGE: ITS_OWN}
    await adapter.retract(receipt)
    assert registers[names.COMM_LOSS_TIME] == 30
    assert registers[names.LONG_LOSS_MESSAGE] == ITS_OWN


async def test_a_receipt_without_what_was_found_changes_nothing(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """Where nobody remembers how the sign was set, its message goes and its settings stay."""
    receipt = stored(await adapter.publish(posting_on(simulator), content()))
    assert simulator.shown() == [OPENING]
    await adapter.retract(replace(receipt, handle={"crc": receipt.handle["crc"]}))
    assert simulator.shown() == []
    assert simulator.sign.registers[names.COMM_LOSS_TIME] == 15
