"""What goes wrong with NTCIP signs, what it says then, and what single signs of the field do otherwise."""

from __future__ import annotations

import re
import time
from dataclasses import replace

import pytest

from bridge.adapters.ntcip_sign import NtcipSign
from bridge.core.errors import InvalidInput, PermanentError, TransientError
from bridge.core.posting import Receipt
from bridge.protocols import ntcip_names as names
from bridge.simulators.fault import Fault
from bridge.simulators.ntcip import NtcipSimulator
from bridge.simulators.ntcip_sign import QUIRKS
from bridge.testing import CORRECTION, stored
from tests.contract.ntcip_bench import (
    QUICK,
    adapter_fixture,  # noqa: F401
    an_adapter,
    content,
    posting_on,
    simulator_fixture,  # noqa: F401
    target,
)

# What goes wrong, and what it says


async def test_every_activation_error_has_a_reason(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """Each of the sign's refusals becomes a sentence; only what our own message is the reason of is not tried again."""
    assert set(names.ACTIVATE_ERRORS) == set(range(1, 12))
    for code, why in names.ACTIVATE_ERRORS.items():
        simulator.sign.activation_error = code
        expected = PermanentError if code in (5, 8) else TransientError
        with pytest.raises(expected) as refused:
            await adapter.publish(posting_on(simulator), content(f"Tekst {code}"))
        assert why.partition("(")[0].strip() in str(refused.value)


@pytest.mark.parametrize(("code", "word"), names.MULTI_ERRORS.items())
async def test_a_refused_text_is_told_with_its_place(
    adapter: NtcipSign, simulator: NtcipSimulator, code: int, word: str
) -> None:
    """What the sign does not like about a text is said, with where it stands."""
    simulator.sign.syntax_error = code
    with pytest.raises(PermanentError, match=re.escape(f"{word} at octet 7")):
        await adapter.publish(posting_on(simulator), content())
    assert simulator.shown() == []


def test_every_fault_of_a_text_is_known() -> None:
    """The standard has fifteen words for it; the second says that there is none."""
    assert set(names.MULTI_ERRORS) == set(range(1, 16)) - {names.NONE}


async def test_a_signs_own_words_are_told(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """Where the standard has no word the sign's own are repeated, on one line."""
    simulator.sign.syntax_error = names.OTHER
    simulator.sign.registers[names.OTHER_ERROR] = b"Text off\x07 right\n edge"
    with pytest.raises(PermanentError, match="at octet 7, Text off right edge"):
        await adapter.publish(posting_on(simulator), content())


async def test_a_sign_that_takes_its_time_is_waited_for(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """Checking a text may take a while, and so may a check that somebody else has begun."""
    sign = simulator.sign
    sign.clock = time.monotonic
    sign.checks_for = 0.3
    sign.checked[1] = time.monotonic() + 0.3
    receipt = stored(await adapter.publish(posting_on(simulator), content()))
    await adapter.update(receipt, content(CORRECTION))
    assert simulator.shown() == [CORRECTION]


async def test_a_sign_without_room_for_two_messages_says_so(simulator: NtcipSimulator) -> None:
    """When our places are more than the sign has, that is the reason, not its community."""
    async with an_adapter(slot=10) as adapter:
        with pytest.raises(PermanentError, match="keeps 10 messages, ours would be up to number 11"):
            await adapter.publish(posting_on(simulator), content())


async def test_a_community_that_may_only_read_is_named(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """Both ways in which signs say it lead to the same sentence."""
    simulator.faults = {Fault.REJECTS}
    for simulator.sign.quirks in ((), ("noSuchName when read-only",)):
        with pytest.raises(PermanentError, match="may only be read with this community"):
            await adapter.publish(posting_on(simulator), content())


async def test_a_wrong_community_is_silence(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """A sign does not answer strangers; the reason says that it may be that."""
    stranger = replace(posting_on(simulator), target=target(simulator.port, "fout"))
    with pytest.raises(TransientError, match="and the community"):
        await adapter.publish(stranger, content())


async def test_a_text_that_the_sign_changed_is_not_shown(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """When the checksum tells that the sign stored something else, it is not activated (I7)."""
    simulator.sign.alters = True
    with pytest.raises(PermanentError, match="checksum"):
        await adapter.publish(posting_on(simulator), content())
    assert simulator.shown() == []


async def test_a_sign_that_forgot_is_seen_dark(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """After a reboot the sign is dark (the message may have ended meanwhile), and the read-back says so."""
    receipt = stored(await adapter.publish(posting_on(simulator), content()))
    assert (await adapter.observe(receipt)).present
    simulator.reboot()
    seen = await adapter.observe(receipt)
    assert (seen.present, seen.text) == (False, None)


async def test_half_a_lie_is_seen_through(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """A sign that names our message and shows another text is not believed."""
    receipt = stored(await adapter.publish(posting_on(simulator), content()))
    simulator.sign.buffer = replace(simulator.sign.buffer, multi=b"iets anders")
    seen = await adapter.observe(receipt)
    assert (seen.present, seen.text) == (False, "iets anders")


@pytest.mark.parametrize("quirk", sorted(QUIRKS))
async def test_a_quirk_of_the_field_is_lived_with(adapter: NtcipSign, simulator: NtcipSimulator, quirk: str) -> None:
    """A sign that does one thing otherwise than the standard says shows, corrects, is read back and clears."""
    simulator.sign.quirks = (quirk,)
    if quirk == "hangs on communication loss time":
        adapter._config = QUICK.model_copy(update={"comm_loss": 0})
    posting = posting_on(simulator)
    assert not (await adapter.observe(Receipt(posting, {}))).present
    receipt = stored(await adapter.publish(posting, content()))
    receipt = stored(await adapter.update(receipt, content(CORRECTION)))
    assert (await adapter.observe(receipt)).present
    assert simulator.shown() == [CORRECTION]
    await adapter.retract(receipt)
    assert simulator.shown() == []
    assert (await adapter.observe(receipt)).text is None


async def test_an_old_sign_says_when_it_cannot(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """A sign without pages, or one that is no text sign at all, is told apart from one that refuses."""
    simulator.sign.width, simulator.sign.height, simulator.sign.pages = 60, 8, 1
    with pytest.raises(PermanentError, match="pages of"):
        await adapter.publish(posting_on(simulator), content())
    simulator.sign.width = 0
    with pytest.raises(PermanentError, match="does not tell its size"):
        await adapter.probe(posting_on(simulator).target)


@pytest.mark.parametrize(
    ("address", "secret", "word"),
    [
        ("http://bord/", None, "host or host:port"),
        ("bord:0", None, "host or host:port"),
        ("bord:70000", None, "host or host:port"),
        ("bord", "v1:", "v1:COMMUNITY"),
        ("bord", "v3:jan:ROT13:wachtwoord", "MD5, SHA or SHA256"),
        ("bord", "v3:jan:SHA:kort", "at least 8"),
        ("bord", "v3:jan::lang-genoeg:AES:lang-genoeg", "MD5, SHA or SHA256"),
    ],
)
def test_what_cannot_be_is_refused_at_the_start(address: str, secret: str | None, word: str) -> None:
    """A wrong address or secret is one clear sentence, without the secret."""
    wrong = target(161).model_copy(update={"address": address})
    wrong = wrong.with_secret(secret) if secret else wrong
    with pytest.raises(InvalidInput, match=word) as refused:
        NtcipSign.check_target(wrong)
    assert "wachtwoord" not in str(refused.value)
    NtcipSign.check_target(target(161, "v3:jan:SHA:lang-genoeg"))
