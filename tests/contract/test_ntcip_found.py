"""NTCIP signs are left as they were found: what stood there, for as long as it had, and how they were set."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bridge.adapters.ntcip_sign import NtcipSign
from bridge.core.errors import TransientError
from bridge.protocols import ntcip_names as names
from bridge.protocols.ntcip_multi import CHANGEABLE, CURRENT_BUFFER, DARK, MessageName, checksum
from bridge.simulators.fault import Fault
from bridge.simulators.ntcip import NtcipSimulator
from bridge.simulators.ntcip_memory import Message
from bridge.simulators.ntcip_sign import OTHERS, SignState
from bridge.testing import CORRECTION, OPENING, stored
from tests.contract.ntcip_bench import (
    adapter_fixture,  # noqa: F401
    an_adapter,
    content,
    posting_on,
    simulator_fixture,  # noqa: F401
)

ITS_OWN = bytes.fromhex("0300090000")  # a message of the road authority
THEIRS = b"A44 DICHT"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def in_our_place(sign: SignState, number: int = 1, owner: bytes = b"Wegbeheerder") -> None:
    """Let the road authority show something in the place that is ours."""
    crc = checksum(THEIRS)
    sign.memory[number] = Message(THEIRS, owner, crc, priority=100, status=names.VALID)
    sign._show(MessageName(CHANGEABLE, number, crc), 65_535)


# What stood there


async def test_a_message_in_our_place_is_not_ours(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """What others show from the first place stays in it, and comes back; its place alone does not make it ours."""
    in_our_place(simulator.sign)
    receipt = stored(await adapter.publish(posting_on(simulator), content()))
    assert simulator.sign.shown.number == 2
    await adapter.retract(receipt)
    assert simulator.shown() == ["A44 DICHT"]


@pytest.mark.parametrize("owner", [b"Wegbeheerder", None], ids=["with its owner", "with ours left there"])
async def test_who_writes_over_ours_in_its_place_keeps_it(
    adapter: NtcipSign, simulator: NtcipSimulator, owner: bytes | None
) -> None:
    """Somebody else's message in our place is seen as theirs and left alone, even where they leave our name on it."""
    receipt = stored(await adapter.publish(posting_on(simulator), content()))
    in_our_place(simulator.sign, owner=owner or simulator.sign.memory[1].owner)
    seen = await adapter.observe(receipt)
    assert (seen.present, seen.text, seen.ours) == (False, "A44 DICHT", False)
    await adapter.retract(receipt)
    assert simulator.shown() == ["A44 DICHT"]
    assert simulator.sign.memory[1].multi == THEIRS


async def test_a_message_of_ours_that_nobody_remembers_is_ours(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """A message with our mark is known without a receipt."""
    receipt = stored(await adapter.publish(posting_on(simulator), content()))
    seen = await adapter.observe(replace(receipt, handle={}))
    assert (seen.present, seen.text, seen.ours) == (False, OPENING, True)


@pytest.mark.parametrize(("away", "left"), [(10, 20), (29.5, 1), (31, None)])
async def test_what_was_to_end_ends(simulator: NtcipSimulator, away: float, left: int | None) -> None:
    """A message of half an hour gets back what is left of it; when that is over, what was to follow it."""
    now = [NOON]
    sign = simulator.sign
    sign.clock = lambda: now[0].timestamp() - NOON.timestamp()
    sign.overwrite("Wegwerk tot 12:30")
    sign.ends = 30 * 60
    async with an_adapter(lambda: now[0], comm_loss=0) as adapter:
        receipt = stored(
            await adapter.publish(posting_on(simulator), replace(content(), valid_until=NOON + timedelta(hours=1)))
        )
        assert sign.registers[names.END_DURATION_MESSAGE] == DARK.octets  # else it would stand there for ever
        now[0] += timedelta(minutes=away)
        await adapter.retract(receipt)
    assert simulator.shown() == (["Wegwerk tot 12:30"] if left else [])
    assert not left or sign.ends == (away + left) * 60


async def test_a_signs_own_calendar_goes_on(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """What a calendar showed is not put back for ever: the calendar is, with what it has by then."""
    sign = simulator.sign
    sign.follow("Brug open 9-10 u")
    receipt = stored(await adapter.publish(posting_on(simulator), content()))
    multi = b"Brug open 16-17 u"
    sign.memory[OTHERS] = replace(sign.memory[OTHERS], multi=multi, crc=checksum(multi))
    sign.calendar = MessageName(CHANGEABLE, OTHERS, checksum(multi))
    await adapter.retract(receipt)
    assert simulator.shown() == ["Brug open 16-17 u"]
    assert sign.why == names.SCHEDULER


async def test_a_dark_sign_gets_its_own_darkness_back(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """A sign can be dark at a priority: the same dark message comes back."""
    simulator.sign._show(MessageName(7, 50, 0), 65_535)
    receipt = stored(await adapter.publish(posting_on(simulator), content()))
    assert simulator.shown() == [OPENING]
    await adapter.retract(receipt)
    assert simulator.sign.shown == MessageName(7, 50, 0)


# How it was set


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


async def test_the_sign_remembers_how_it_was_set(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """Without a receipt (a lost answer, a lost database) the sign itself tells what it was before us."""
    registers = simulator.sign.registers
    registers |= {names.LONG_LOSS_MESSAGE: ITS_OWN, names.COMM_LOSS_TIME: 60}
    found = dict(registers)
    simulator.write("A44 dicht bij Leiden")
    receipt = stored(await adapter.publish(posting_on(simulator), content()))
    await adapter.retract(replace(receipt, handle={}))
    assert simulator.shown() == ["A44 dicht bij Leiden"]
    assert registers == found


async def test_a_sign_that_will_not_show_it_is_left_as_it_was(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """When a more important message stands there, nothing of what the sign is set to do has changed."""
    simulator.write("Spookrijder")
    simulator.sign.registers[names.COMM_LOSS_TIME] = 60
    found = dict(simulator.sign.registers)
    simulator.faults = {Fault.REFUSES}
    for _ in range(2):
        with pytest.raises(TransientError, match="more important"):
            await adapter.publish(posting_on(simulator), content())
    assert {key: simulator.sign.registers[key] for key in found} == found | {names.ACTIVATE_ERROR: 3}


@pytest.mark.parametrize("gone", ["overwritten", "ended"])
async def test_settings_and_texts_go_though_ours_is_gone(
    adapter: NtcipSign, simulator: NtcipSimulator, gone: str
) -> None:
    """When our message is not there any more, its settings and its text are taken out of the sign all the same (R15)."""
    sign = simulator.sign
    sign.registers[names.COMM_LOSS_TIME] = 60
    receipt = stored(await adapter.publish(posting_on(simulator), content()))
    if gone == "overwritten":
        simulator.write("Spookrijder")
    else:
        sign.ends = 0.0
    await adapter.retract(receipt)
    assert simulator.shown() == (["Spookrijder"] if gone == "overwritten" else [])
    assert sign.registers[names.COMM_LOSS_TIME] == 60
    assert not sign.memory[1].multi


async def test_what_we_set_ourselves_is_never_theirs(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """After our message ended by itself the next case finds the sign as we left it, and knows what it was before that."""
    simulator.sign.registers[names.COMM_LOSS_TIME] = 60
    await adapter.publish(posting_on(simulator), content())
    simulator.sign.ends = 0.0
    receipt = stored(await adapter.publish(posting_on(simulator, "een ander"), content(CORRECTION)))
    assert simulator.sign.registers[names.COMM_LOSS_TIME] == 15
    await adapter.retract(receipt)
    assert simulator.sign.registers[names.COMM_LOSS_TIME] == 60


# When we are gone, or it was


async def test_a_sign_that_hears_nothing_shows_what_stood_there(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """After a quarter of an hour without a word from us the communications-loss message takes over."""
    now = [0.0]
    simulator.sign.clock = lambda: now[0]
    simulator.write("A44 dicht bij Leiden")
    await adapter.publish(posting_on(simulator), content(minutes=600))
    now[0] = 14 * 60
    assert simulator.shown() == [OPENING]
    now[0] = 16 * 60
    assert simulator.shown() == ["A44 dicht bij Leiden"]


@pytest.mark.parametrize("way", ["reboot", "reset"])
async def test_nothing_of_ours_comes_back_after_a_loss_of_power(
    adapter: NtcipSign, simulator: NtcipSimulator, way: str
) -> None:
    """A sign that is set to go on with what it showed is dark after a loss of power or a reset while ours stood there."""
    registers = simulator.sign.registers
    going_on = MessageName(CURRENT_BUFFER, 1, 0).octets
    registers |= {names.SHORT_LOSS_MESSAGE: going_on, names.RESET_MESSAGE: going_on}
    receipt = stored(await adapter.publish(posting_on(simulator), content()))
    getattr(simulator.sign, way)()
    assert simulator.shown() == []
    await adapter.retract(receipt)
    assert registers[names.SHORT_LOSS_MESSAGE] == registers[names.RESET_MESSAGE] == going_on
