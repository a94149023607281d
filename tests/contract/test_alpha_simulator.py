"""The simulated Alpha sign is strict: it obeys whole frames of the protocol, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bridge.adapters.alpha_sign import HEAD, frame
from bridge.simulators.alpha import AlphaSimulator, Frames


@pytest.fixture
async def sign() -> AsyncIterator[AlphaSimulator]:
    """Give a sign."""
    async with AlphaSimulator() as sign:
        yield sign


async def test_the_frames_of_another_encoder_are_shown(sign: AlphaSimulator) -> None:
    """A frame that readerboard 0.7.0 made (recorded) is understood by our sign, and so by what the adapter talks to."""
    raw = bytes.fromhex("000000000000015e30300241301b20625645524d4953540d42454c3104")
    reader, writer = await asyncio.open_connection(sign.host, sign.port)
    writer.write(raw + frame(b"B0"))
    await writer.drain()
    async with asyncio.timeout(5):
        answer = await reader.readuntil(b"\x04")
    writer.transport.abort()
    assert sign.shown() == ["VERMIST\nBEL1"]
    assert answer.hex().startswith("00" * 20 + "01303030024130")


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"\0\0\0\0\x01^00\x02B0\x04", "NULs"),
        (b"GET / HTTP/1.1\r\n", "outside a frame"),
        (b"\0\0\0\0\0\x01^00A0HALLO\x04", "no STX"),
        (b"\0\0\0\0\0\x01^02\x02B0\x04", "another sign"),
        (b"\0\0\0\0\0\x01a00\x02B0\x04", "another sign"),
        (b"\0\0\0\0\0\x01^00\x02A0" + b"x" * 2000, "no end"),
        (b"\0\0\0\0\0\x01^00\x02A0\x1b bHALLO\x030000\x04", "checksum"),
    ],
)
def test_the_sign_ignores_what_is_garbled(raw: bytes, why: str) -> None:
    """The simulated sign obeys no frame that is not right, byte by byte, and finds the next one that is."""
    ignored: list[str] = []
    frames = Frames(b"01", ignored.append)
    assert [command for command in map(frames.feed, raw) if command] == []
    assert why in " ".join(ignored)
    assert [command for command in map(frames.feed, b"\x04" + frame(b"B0")) if command] == [b"B0"]


@pytest.mark.parametrize(
    "data", [b"HALLO", b"\x1b b", HEAD + b"x\x07", HEAD + b"x\x1b b", HEAD + b"\x80", HEAD + b"x" * 123, b"\x1b!bHALLO"]
)
async def test_the_sign_takes_no_text_with_commands(sign: AlphaSimulator, data: bytes) -> None:
    """The simulated sign refuses text without a mode, with a command in it, or too long for its file."""
    reader, writer = await asyncio.open_connection(sign.host, sign.port)
    writer.write(frame(b"A0" + data) + frame(b"B0"))
    async with asyncio.timeout(5):
        await reader.readuntil(b"\x04")
    writer.transport.abort()
    assert sign.shown() == []
    assert sign.ignored
