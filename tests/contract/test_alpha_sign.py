"""The Alpha adapter keeps the adapter contract against a strict sign, and its frames are those of another encoder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, ClassVar

import aiohttp
import pytest

from bridge.adapters.alpha_sign import HEAD, ROOM, AlphaSign, AlphaSignConfig, frame
from bridge.adapters.registry import Resources
from bridge.core.content import Content, Phase
from bridge.core.errors import InvalidInput, OutcomeUnknown, PermanentError, TransientError
from bridge.core.posting import Observation, Posting, Receipt
from bridge.core.target import Owner, OwnerKind, Sign, Target
from bridge.simulators.alpha import AlphaSimulator
from bridge.simulators.fault import Fault
from bridge.testing import CORRECTION, OPENING, AdapterContract
from tests.contract.test_http_sign import NoOutbox

CASE, OTHER = "2026112200042", "2026112200043"


def a_posting(address: str, case: str = CASE) -> Posting:
    """Make a posting on the sign at ``address``."""
    target = Target(
        id="bord-station",
        channel="sign",
        adapter="alpha_sign",
        address=address,
        owner=Owner(kind=OwnerKind.MUNICIPALITY),
        sign=Sign(columns=24, rows=2, pages=4),
    )
    return Posting(f"posting-{case}", case, target)


def a_content(text: str = OPENING, case: str = CASE, **changes: Any) -> Content:
    """Make a first revision, each line of the text a page."""
    pages = tuple((line,) for line in text.split("\n"))
    return replace(Content(case, 1, Phase.OPENED, "nl", "Vermist", text, pages=pages), **changes)


@asynccontextmanager
async def an_adapter(timeout: float = 2.0) -> AsyncIterator[AlphaSign]:
    """Open an adapter that does not wait long."""
    config = AlphaSignConfig(timeout=timeout, pause=0)
    async with aiohttp.ClientSession() as http, AlphaSign(config, Resources(http, NoOutbox())) as adapter:
        yield adapter


@pytest.fixture
async def adapter() -> AsyncIterator[AlphaSign]:
    """Give an adapter."""
    async with an_adapter() as adapter:
        yield adapter


@pytest.fixture
async def sign() -> AsyncIterator[AlphaSimulator]:
    """Give a sign."""
    async with AlphaSimulator() as sign:
        yield sign


@pytest.fixture
def posting(sign: AlphaSimulator) -> Posting:
    """Give a posting on that sign."""
    return a_posting(f"{sign.host}:{sign.port}")


class AlphaPeer:
    """The sign, as the contract suite steers it."""

    def __init__(self, sign: AlphaSimulator) -> None:
        self.sign = sign

    async def shown(self) -> list[str]:
        """Give what can be read on it."""
        return self.sign.shown()

    async def refuse_for_now(self) -> None:
        """Let somebody work at the sign: it ignores what comes, and its file stays as it was."""
        self.sign.faults = {Fault.LOCAL}

    async def refuse_for_good(self) -> None:
        """Never asked."""
        raise AssertionError("an Alpha sign cannot refuse for good")

    async def lose_answers(self) -> None:
        """Do it, and say nothing."""
        self.sign.faults = {Fault.MUTE}

    async def vanish(self) -> None:
        """Close the port."""
        await self.sign.stop()

    async def recover(self) -> None:
        """Be well, at the same port."""
        self.sign.faults = frozenset()
        await self.sign.stop()
        await self.sign.start()


class TestAlphaSign(AdapterContract):
    """The contract, kept by ``AlphaSign``."""

    no_such_fault: ClassVar[dict[str, str]] = {
        "refuse_for_good": "an Alpha sign has no word for no: it takes a text, or its file stays as it was"
    }
    refuses: ClassVar[dict[str, str]] = {
        "control-characters": r"U\+0004",
        "emoji": r"U\+1F408",
        "right-to-left": r"U\+0645",
        "five thousand characters": r"U\+00EB",
    }

    @pytest.fixture
    def peer(self, sign: AlphaSimulator) -> AlphaPeer:
        """Give the sign."""
        return AlphaPeer(sign)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"VERMIST: jongen (8). Bel 112.", "5645524d4953543a206a6f6e67656e202838292e2042656c203131322e"),
        (b"[[nl]] <b> \"q\" 'p' \\ / ` {%", "5b5b6e6c5d5d203c623e2022712220277027205c202f2060207b25"),
        (b"EEN\rTWEE\x0cDRIE", "45454e0d545745450c44524945"),
    ],
)
def test_a_write_is_what_another_encoder_makes(body: bytes, expected: str) -> None:
    """The frame of a text is, byte for byte, what readerboard 0.7.0 makes of it (recorded)."""
    assert frame(b"A0" + HEAD + body).hex() == f"000000000000015e30300241301b2062{expected}04"


@pytest.mark.parametrize(("command", "expected"), [(b"A0", "4130"), (b"B0", "4230")])
def test_clearing_and_reading_are_what_another_encoder_makes(command: bytes, expected: str) -> None:
    """So are the bare write, which alone gives the screen back, and the read."""
    assert frame(command).hex() == f"000000000000015e303002{expected}04"


@pytest.mark.parametrize("code", [*range(0x20), *range(0x7E, 0xA0), 0xE9, 0x20AC, 0x202E, 0x1F408])
async def test_a_character_that_the_sign_does_not_have_is_named(
    adapter: AlphaSign, sign: AlphaSimulator, posting: Posting, code: int
) -> None:
    """Every control character, the half space and all beyond ASCII are refused by name, and nothing is sent (R3, I7)."""
    text = f"VERMIST {chr(code)} JONGEN"
    with pytest.raises(PermanentError, match=rf"U\+{code:04X}"):
        await adapter.publish(posting, a_content(pages=((text,),), text=text))
    assert sign.shown() == sign.ignored == []


@pytest.mark.parametrize("char", ["\n", "\r", "\t"])
async def test_white_space_of_the_text_is_laid_out(
    adapter: AlphaSign, sign: AlphaSimulator, posting: Posting, char: str
) -> None:
    """A line break in the text is no command, for only the lines it was laid out in are sent."""
    await adapter.publish(posting, a_content(f"VERMIST{char}JONGEN", pages=(("VERMIST", "JONGEN"),)))
    assert sign.shown() == ["VERMIST\nJONGEN"]


async def test_every_character_that_may_pass_arrives(
    adapter: AlphaSign, sign: AlphaSimulator, posting: Posting
) -> None:
    """All printable ASCII but the tilde is shown as it is."""
    text = "".join(map(chr, range(0x20, 0x7E)))
    await adapter.publish(posting, a_content(text))
    assert sign.shown() == [text]


async def test_the_file_holds_what_fits_and_not_a_byte_more(
    adapter: AlphaSign, sign: AlphaSimulator, posting: Posting
) -> None:
    """The longest text is shown whole; one byte more is refused with both numbers."""
    longest = "x" * (ROOM - len(HEAD))
    await adapter.publish(posting, a_content(longest))
    with pytest.raises(PermanentError, match="takes 123 bytes, the sign has room for 122"):
        await adapter.publish(posting, a_content(longest + "y"))
    assert sign.shown() == [longest]


async def test_two_cases_take_turns_and_one_goes_on(adapter: AlphaSign, sign: AlphaSimulator, posting: Posting) -> None:
    """Two cases are pages of one message; when one ends the other is shown alone, with no dark moment in between."""
    first, second = a_content("JONGEN 8 JAAR"), a_content("VROUW 80 JAAR", OTHER)
    receipt = await adapter.publish(posting, replace(first, turns=(second, first)))
    assert sign.shown() == ["VROUW 80 JAAR\nJONGEN 8 JAAR"]
    assert receipt.cases == {CASE, OTHER}
    left = await adapter.update(receipt, second)
    assert sign.shown() == ["VROUW 80 JAAR"]
    assert (await adapter.observe(left)).present
    assert not (await adapter.observe(receipt)).present


async def test_what_does_not_fit_beside_waits(adapter: AlphaSign, sign: AlphaSimulator, posting: Posting) -> None:
    """The most pressing case is shown whole, and the receipt says who waits."""
    first, second = a_content("A" * 100), a_content("B" * 100, OTHER)
    receipt = await adapter.publish(posting, replace(second, turns=(first, second)))
    assert sign.shown() == ["A" * 100]
    assert receipt.cases == {CASE}


async def test_drift_is_seen(adapter: AlphaSign, sign: AlphaSimulator, posting: Posting) -> None:
    """A sign that lost power is dark, and what somebody else wrote is told."""
    receipt = await adapter.publish(posting, a_content())
    sign.reboot()
    assert await adapter.observe(receipt) == Observation(present=False, text=None)
    sign.write("MARKT OP ZATERDAG")
    assert await adapter.observe(receipt) == Observation(present=False, text="MARKT OP ZATERDAG", ours=True)
    await adapter.retract(receipt)
    assert sign.shown() == []


async def test_a_sign_that_lies_is_believed(adapter: AlphaSign, sign: AlphaSimulator, posting: Posting) -> None:
    """A sign whose read-back repeats what it was told cannot be seen through: what is proven is its word."""
    sign.faults = {Fault.LIES}
    receipt = await adapter.publish(posting, a_content())
    sign.write("MARKT")
    assert await adapter.observe(receipt) == Observation(present=True)


async def test_a_text_that_is_not_taken(adapter: AlphaSign, sign: AlphaSimulator, posting: Posting) -> None:
    """On a dark sign that ignores us nothing happened; where another text stands, what happened is not known."""
    sign.faults = {Fault.LOCAL}
    with pytest.raises(TransientError, match="did not take"):
        await adapter.publish(posting, a_content())
    sign.write("MARKT")
    with pytest.raises(OutcomeUnknown, match="another text"):
        await adapter.publish(posting, a_content())
    with pytest.raises(TransientError, match="still has one"):
        await adapter.retract(Receipt(posting))


async def test_an_unknown_correction_is_cleared_too(adapter: AlphaSign, sign: AlphaSimulator, posting: Posting) -> None:
    """A text whose arrival we never learned of is cleared with the older receipt: nothing stays behind (I2)."""
    receipt = await adapter.publish(posting, a_content())
    sign.faults = {Fault.MUTE}
    with pytest.raises(OutcomeUnknown):
        await adapter.update(receipt, a_content(CORRECTION))
    sign.faults = frozenset()
    assert sign.shown() == [CORRECTION]
    await adapter.retract(receipt)
    assert sign.shown() == []


async def test_a_moved_sign_is_cleared_where_it_was(adapter: AlphaSign, sign: AlphaSimulator, posting: Posting) -> None:
    """When the configured address changes, a retraction still goes to where the text was put."""
    receipt = await adapter.publish(posting, a_content())
    await adapter.retract(replace(receipt, posting=a_posting("127.0.0.1:1")))
    assert sign.shown() == []


async def test_a_line_that_is_dropped_is_unknown(adapter: AlphaSign, sign: AlphaSimulator, posting: Posting) -> None:
    """A device server that takes a connection and drops it may have passed on the text."""
    sign.faults = {Fault.UNREACHABLE}
    with pytest.raises(OutcomeUnknown):
        await adapter.publish(posting, a_content())
    with pytest.raises(TransientError):
        await adapter.observe(Receipt(posting))


async def test_a_slow_sign_is_waited_for(sign: AlphaSimulator, posting: Posting) -> None:
    """Six seconds for a write and a read are within the default timeout."""
    sign.faults = {Fault.SLOW}
    async with an_adapter(timeout=10) as patient:
        await patient.publish(posting, a_content())
    assert sign.shown() == [OPENING]


@asynccontextmanager
async def saying(answer: bytes) -> AsyncIterator[Posting]:
    """Give a posting on something that answers anything with just these bytes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"B0\x04")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield a_posting(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x04",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x01000\x02A0HALLO\x030000\x04",
        b"\x01000\x02A0HALLO\x03028\x04",
        b"\x01000\x02A1HALLO\x030284\x04",
        b"\x01000\x02E HALLO\x030290\x04",
        b"\x01001\x02A0HALLO\x030283\x04",
        b"x" * 100_000,
        b"\x00" * 100_000 + b"\x04",
    ],
    ids=["nothing", "end", "ssh", "sum", "short", "file A1", "register", "not an answer", "endless", "nuls"],
)
@pytest.mark.parametrize(("step", "error"), [("publish", OutcomeUnknown), ("probe", TransientError)])
async def test_an_answer_that_cannot_be_read(
    adapter: AlphaSign, answer: bytes, step: str, error: type[Exception]
) -> None:
    """Whatever comes back, a write is unknown and a read is to be repeated; never a crash, never a success."""
    async with saying(answer) as posting:
        steps: dict[str, Callable[[], Awaitable[object]]] = {
            "publish": lambda: adapter.publish(posting, a_content()),
            "probe": lambda: adapter.probe(posting.target),
        }
        with pytest.raises(error) as raised:
            await steps[step]()
        assert raised.type is error


async def test_a_true_answer_is_read(adapter: AlphaSign) -> None:
    """The answer that independent software reads as HALLO (checked with readerboard 0.7.0) is read so here."""
    raw = bytes(20) + b"\x01000\x02A0\x1b bHALLO\x030283\x04"
    async with saying(raw) as posting:
        assert (await adapter.observe(Receipt(posting))).text == "HALLO"


async def test_a_name_that_does_not_exist_is_transient(adapter: AlphaSign) -> None:
    """A name may come back."""
    with pytest.raises(TransientError, match="no connection"):
        await adapter.publish(a_posting("no-such-sign.invalid:3001"), a_content())


@pytest.mark.parametrize(
    "address",
    ["", "bord", "bord:", "bord:0", "bord:99999", ":3001", "http://bord:1", "u@bord:1", "bord:1/x", "bo rd:1", "bord:1\x04"],
)  # fmt: skip
async def test_a_wrong_address_is_refused(adapter: AlphaSign, address: str) -> None:
    """What is no host and port is named before anything is sent, and is a reason where it slipped through."""
    target = a_posting("bord:1").target.model_copy(update={"address": address})
    with pytest.raises(InvalidInput, match="address: "):
        AlphaSign.check_target(target)
    with pytest.raises(PermanentError, match="address"):
        await adapter.probe(target)


@pytest.mark.parametrize("address", ["192.0.2.10:3001", "bord.example.nl:1", "[::1]:3001"])
def test_a_plain_address_is_accepted(address: str) -> None:
    """A name or an IP address, with its port."""
    AlphaSign.check_target(a_posting(address).target)


def test_every_problem_of_a_target_is_told_at_once() -> None:
    """Address, size and a secret that would go nowhere are checked together."""
    target = a_posting("x").target.model_copy(update={"sign": None, "secret_env": "GEHEIM"})
    with pytest.raises(InvalidInput) as raised:
        AlphaSign.check_target(target)
    assert [problem.split(":")[1].strip() for problem in raised.value.problems] == ["address", "sign", "secret"]
