"""NTCIP signs: every promise of an adapter, kept against a strict sign; and what single signs do otherwise."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import aiohttp
import pytest

from bridge.adapters.ntcip_sign import NtcipSign, NtcipSignConfig
from bridge.adapters.registry import Resources
from bridge.core.content import Content
from bridge.core.errors import InvalidInput, OutcomeUnknown, PermanentError, TransientError
from bridge.core.posting import Posting, Receipt, posting_id
from bridge.core.target import Target
from bridge.protocols import ntcip_names as names
from bridge.protocols.ntcip_multi import CHANGEABLE, MessageName, checksum
from bridge.simulators.fault import Fault
from bridge.simulators.ntcip import AUTH_PASSWORD, PRIV_PASSWORD, USER, NtcipSimulator
from bridge.simulators.ntcip_sign import OTHERS, QUIRKS, SignState
from bridge.testing import CORRECTION, OPENING, AdapterContract, stored
from tests.contract.test_docs_adapter import Nowhere

QUICK = NtcipSignConfig(request=0.15, repeats=1, timeout=5)


def target(port: int, secret: str | None = None, **sign: Any) -> Target:
    """Give a sign at this port."""
    owner = {"name": "Gemeente Leiden", "kind": "municipality"}
    fields: dict[str, Any] = {"id": "bord-a44", "channel": "sign", "adapter": "ntcip_sign", "owner": owner}
    size = {"columns": 20, "rows": 3, "pages": 9, **sign}
    made = Target.model_validate({**fields, "address": f"127.0.0.1:{port}", "sign": size})
    return made.with_secret(secret) if secret else made


class SignPeer:
    """A sign as the contract steers it."""

    def __init__(self, simulator: NtcipSimulator) -> None:
        self.simulator = simulator
        self._is_there = True

    async def shown(self) -> list[str]:
        """Give what can be read on it."""
        return self.simulator.shown()

    async def refuse_for_now(self) -> None:
        """Someone stands at the sign."""
        self.simulator.faults = {Fault.LOCAL}

    async def refuse_for_good(self) -> None:
        """The community may only read."""
        self.simulator.faults = {Fault.REJECTS}

    async def lose_answers(self) -> None:
        """Show and clear, and say nothing."""
        self.simulator.faults = {Fault.MUTE}

    async def vanish(self) -> None:
        """Close the port."""
        await self.simulator.stop()
        self._is_there = False

    async def recover(self) -> None:
        """Work again, at the same port."""
        self.simulator.faults = set()
        if not self._is_there:
            await self.simulator.start()
            self._is_there = True


@pytest.fixture
async def simulator() -> AsyncIterator[NtcipSimulator]:
    """Give a dark sign, large enough for every text that it has the characters of."""
    state = SignState(lambda: 0.0, width=400, height=160, pages=9, octets=9_000)
    async with NtcipSimulator(sign=state) as simulator:
        yield simulator


@pytest.fixture
async def adapter() -> AsyncIterator[NtcipSign]:
    """Give the adapter, open."""
    async with aiohttp.ClientSession() as http, NtcipSign(QUICK, Resources(http, Nowhere())) as adapter:
        yield adapter


def posting_on(simulator: NtcipSimulator, case: str = "2026112200042") -> Posting:
    """Give a case on this sign."""
    sign = target(simulator.port)
    return Posting(posting_id(case, sign), case, sign)


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


def content(text: str = OPENING, case: str = "2026112200042", minutes: float = 10, **more: Any) -> Content:
    """Make what a sign is to show."""
    posting = Posting("p", case, target(1))
    made = AdapterContract().make_content(posting, text=text)
    return replace(made, valid_until=datetime.now(UTC) + timedelta(minutes=minutes), **more)


# The handshake, in the sign's own words


async def test_the_sign_holds_what_the_standard_says(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """The message lies valid in its memory with our owner, priority and checksum, and ends by itself in minutes."""
    await adapter.publish(posting_on(simulator), content("Kind vermist [rood] ]bel[ 112", minutes=9.5))
    sign = simulator.sign
    assert (sign.shown.memory, sign.shown.number) == (CHANGEABLE, 1)
    message = sign.memory[1]
    assert message.multi == b"Kind vermist [[rood]] ]]bel[[ 112"
    assert message.crc == checksum(message.multi)
    assert (message.owner, message.priority) == (b"Burgernet before 0700010000", 120)
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


# What goes wrong, and what it says


async def test_every_activation_error_has_a_reason(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """Each of the sign's nine refusals becomes a sentence; two of them may pass."""
    for code, why in names.ACTIVATE_ERRORS.items():
        simulator.sign.activation_error = code
        expected = TransientError if code in (3, 9) else PermanentError
        with pytest.raises(expected) as refused:
            await adapter.publish(posting_on(simulator), content(f"Tekst {code}"))
        assert why.partition("(")[0].strip() in str(refused.value)


@pytest.mark.parametrize(("code", "word"), names.MULTI_ERRORS.items())
async def test_a_refused_text_is_told_with_its_place(
    adapter: NtcipSign, simulator: NtcipSimulator, code: int, word: str
) -> None:
    """What the sign does not like about a text is said, with where it stands."""
    simulator.sign.syntax_error = code
    with pytest.raises(PermanentError, match=f"{word} at octet 7"):
        await adapter.publish(posting_on(simulator), content())
    assert simulator.shown() == []


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


async def test_snmp_v3_with_a_password(adapter: NtcipSign, simulator: NtcipSimulator) -> None:
    """With a user and two passwords a sign is driven in secret; a wrong password gets nowhere."""
    secret = f"v3:{USER}:SHA:{AUTH_PASSWORD}:AES:{PRIV_PASSWORD}"
    posting = replace(posting_on(simulator), target=target(simulator.port, secret))
    receipt = await adapter.publish(posting, content())
    assert simulator.shown() == [OPENING]
    await adapter.retract(stored(receipt))
    wrong = replace(posting, target=target(simulator.port, secret.replace(AUTH_PASSWORD, "helemaal-fout")))
    with pytest.raises((TransientError, PermanentError)) as refused:
        await adapter.publish(wrong, content())
    assert "helemaal-fout" not in str(refused.value)


@pytest.mark.parametrize(
    ("address", "secret", "word"),
    [
        ("http://bord/", None, "host or host:port"),
        ("bord:0", None, "host or host:port"),
        ("bord:70000", None, "host or host:port"),
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


# The same sign through another program's eyes


@pytest.fixture
def snmp() -> Any:
    """Give net-snmp's commands, which know nothing of us."""
    if not shutil.which("snmpget"):
        pytest.skip("net-snmp (package snmp) is not installed")

    async def run(command: str, simulator: NtcipSimulator, *words: str) -> str:
        import asyncio  # noqa: PLC0415

        place = ("-v2c", "-c", "public", "-On", "-Oqv", f"127.0.0.1:{simulator.port}")
        process = await asyncio.create_subprocess_exec(
            command, *place, *words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        output, _ = await process.communicate()
        return output.decode().strip()

    return run


async def test_net_snmp_sees_the_same_sign(adapter: NtcipSign, simulator: NtcipSimulator, snmp: Any) -> None:
    """What we put there another SNMP program reads: the text, our checksum, and that it stands."""
    await adapter.publish(posting_on(simulator), content("Kind vermist"))
    assert "Kind vermist" in await snmp("snmpget", simulator, f"{names.MESSAGE}.3.5.1")
    assert await snmp("snmpget", simulator, f"{names.MESSAGE}.5.3.1") == str(checksum(b"Kind vermist"))
    shown = await snmp("snmpget", simulator, "-Ox", names.SOURCE)
    assert shown.replace(" ", "").strip('"').lower() == MessageName(3, 1, checksum(b"Kind vermist")).octets.hex()
    walked = await snmp("snmpwalk", simulator, names.ROOT)
    assert "Kind vermist" in walked


async def test_net_snmp_drives_the_same_sign(adapter: NtcipSign, simulator: NtcipSimulator, snmp: Any) -> None:
    """Another SNMP program shows a message by the standard's own steps, and we read back that it is not ours."""
    receipt = stored(await adapter.publish(posting_on(simulator), content()))
    status, multi = names.column(names.STATUS, 3, 5), names.column(names.MULTI, 3, 5)
    await snmp("snmpset", simulator, status, "i", "6")
    await snmp("snmpset", simulator, multi, "s", "BURGERNET", names.column(names.PRIORITY, 3, 5), "i", "200")
    await snmp("snmpset", simulator, status, "i", "7")
    assert await snmp("snmpget", simulator, status) == "4"
    crc = int(await snmp("snmpget", simulator, names.column(names.CRC, 3, 5)))
    assert crc == 0xF94A
    code = f"ffffff030005{crc:04x}7f000001"
    await snmp("snmpset", simulator, names.ACTIVATE, "x", code)
    assert simulator.shown() == ["BURGERNET"]
    assert (await adapter.observe(receipt)).text == "BURGERNET"
