"""Signs that answer what was not asked, name sizes that cannot be, or would have old alerts put back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from pyasn1.codec.ber import decoder, encoder
from pysnmp.proto import api
from pysnmp.proto.rfc1902 import Integer32, ObjectName, OctetString

from bridge.adapters.ntcip_board import MOST_FONTS
from bridge.adapters.ntcip_sign import NtcipSign
from bridge.core.errors import PermanentError, TransientError
from bridge.core.posting import Posting, Receipt
from bridge.protocols import ntcip_names as names
from bridge.protocols.ntcip_before import Before
from bridge.protocols.ntcip_before import sign as sign_with
from bridge.simulators.ntcip import NtcipSimulator
from bridge.testing import OPENING, stored
from tests.contract.ntcip_bench import (
    adapter_fixture,  # noqa: F401
    an_adapter,
    content,
    posting_on,
    simulator_fixture,  # noqa: F401
    target,
)

Rows = list[tuple[Any, Any]]
V2C = api.PROTOCOL_MODULES[api.SNMP_VERSION_2C]
GRID: Mapping[str, Any] = {
    names.SIGN_HEIGHT: 24,
    names.SIGN_WIDTH: 96,
    names.CHARACTER_HEIGHT: 8,
    names.CHARACTER_WIDTH: 6,
    names.CONTROL_MODE: 4,
    names.SOURCE: b"\x07\0\x01\0\0",
}
FONT: Mapping[str, Any] = {
    **GRID,
    names.CHARACTER_HEIGHT: 0,
    names.CHARACTER_WIDTH: 0,
    names.FONTS: 1,
    names.DEFAULT_FONT: 1,
    f"{names.FONT_NUMBER}.1": 1,
    f"{names.FONT_HEIGHT}.1": 7,
    f"{names.FONT_VERSION}.1": 1,
    **{f"{names.GLYPH_WIDTH}.1.{code}": 5 for code in range(32, 127)},
}


class Liar(asyncio.DatagramProtocol):
    """A sign that answers every question with what it has, twisted."""

    def __init__(self, values: Mapping[str, Any], twist: Callable[[Rows], Rows]) -> None:
        self.values = dict(values)
        self.twist = twist

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        """Answer."""
        question, _ = decoder.decode(data, asn1Spec=V2C.Message())
        answer = V2C.apiMessage.get_response(question)
        asked = V2C.apiPDU.get_varbinds(V2C.apiMessage.get_pdu(question))
        rows = self.twist([(name, self._value(str(name))) for name, _ in asked])
        V2C.apiPDU.set_varbinds(V2C.apiMessage.get_pdu(answer), rows)
        self.transport.sendto(encoder.encode(answer), address)  # type: ignore[attr-defined]

    def _value(self, name: str) -> Any:
        value = self.values.get(name)
        if value is None:
            return V2C.NoSuchInstance()
        return Integer32(value) if isinstance(value, int) else OctetString(value)


@asynccontextmanager
async def lying(values: Mapping[str, Any], twist: Callable[[Rows], Rows] = list) -> AsyncIterator[tuple[Posting, Liar]]:
    """Give a case on a sign that lies."""
    loop = asyncio.get_running_loop()
    transport, liar = await loop.create_datagram_endpoint(lambda: Liar(values, twist), local_addr=("127.0.0.1", 0))
    yield Posting("p1", "zaak", target(transport.get_extra_info("sockname")[1])), liar
    transport.close()


TWISTS: Mapping[str, Callable[[Rows], Rows]] = {
    "nothing": lambda _: [],
    "too little": lambda rows: rows[:-1],
    "too much": lambda rows: rows * 2,
    "another order": lambda rows: rows[::-1],
    "something else": lambda rows: [(ObjectName("1.3.6.1.2.1.1.1.0"), value) for _, value in rows],
}


@pytest.mark.parametrize("twist", TWISTS)
async def test_what_was_not_asked_is_no_answer(adapter: NtcipSign, twist: str) -> None:
    """Values for other questions, more or fewer than were asked: every step says so, and takes none for its own."""
    async with lying(GRID, TWISTS[twist]) as (posting, _):
        for step in (
            adapter.publish(posting, content()),
            adapter.observe(Receipt(posting, {"crc": "0000"})),
            adapter.retract(Receipt(posting)),
            adapter.probe(posting.target),
        ):
            with pytest.raises(TransientError, match="something else than it was asked"):
                await step


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        ({**GRID, names.SIGN_HEIGHT: 4}, "not one line"),
        ({**FONT, names.SIGN_HEIGHT: 3}, "not one line"),
        ({**GRID, names.SIGN_WIDTH: 4}, "a line has 0"),
        ({**FONT, **{f"{names.GLYPH_WIDTH}.1.{code}": -5 for code in range(32, 127)}}, "does not tell the widths"),
        ({**GRID, names.SOURCE: b"x" * 9_000}, "does not tell what it shows"),
    ],
)
async def test_a_sign_that_cannot_be_is_refused(
    adapter: NtcipSign,
    odd: Mapping[str, Any],
    why: str,
) -> None:
    """No line fits, characters of less than nothing, a name of nine thousand octets: refused, with the reason."""
    async with lying(odd) as (posting, _):
        with pytest.raises(PermanentError, match=why):
            await adapter.publish(posting, content())


async def test_a_control_mode_of_many_octets_is_not_told(adapter: NtcipSign) -> None:
    """What a sign says instead of a number stays out of the reason."""
    async with lying({**GRID, names.CONTROL_MODE: b"\x1b[2J" * 100}) as (posting, _):
        with pytest.raises(TransientError, match=r"on the spot \(control mode unknown\)"):
            await adapter.publish(posting, content())


async def test_a_sign_with_ever_other_fonts_fills_no_memory(adapter: NtcipSign) -> None:
    """A sign that names another font each time it is asked is remembered so many times, and no more."""
    async with lying(FONT) as (posting, liar):
        for version in range(1, MOST_FONTS + 20):
            liar.values[f"{names.FONT_VERSION}.1"] = version
            await adapter.probe(posting.target)
    assert len(adapter._fonts) == MOST_FONTS


async def test_our_own_message_is_never_put_back(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """A sign that says that an alert of ours stood there before ours goes dark all the same."""
    posting, sign = posting_on(simulator), simulator.sign
    receipt = stored(await adapter.publish(posting, content()))
    owner = sign_with(sign.shown.crc, Before(sign.shown))
    sign.memory[sign.shown.number] = replace(sign.memory[sign.shown.number], owner=owner)
    await adapter.retract(Receipt(posting, {"crc": receipt.handle["crc"]}))  # a crash lost what stood there
    assert simulator.shown() == []
    assert not (await adapter.observe(receipt)).present


async def test_the_alert_of_another_bridge_is_not_put_back(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """Two bridges, or one whose ``slot`` was changed: what stood there before both of them comes back, not an alert."""
    simulator.sign.overwrite("Omleiding")
    async with an_adapter(slot=5) as other:
        first = stored(await other.publish(posting_on(simulator, "other"), content()))
        mine = stored(await adapter.publish(posting_on(simulator), content()))
        await other.retract(first)  # not its own any more: left alone
        assert simulator.shown() == [OPENING]
        await adapter.retract(mine)
    assert simulator.shown() == ["Omleiding"]
