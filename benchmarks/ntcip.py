"""NTCIP signs that cost next to nothing: many of the simulator's signs behind a small SNMPv2c of their own.

``python -m benchmarks.ntcip 1000`` gives each a UDP port of its own, says the ports in its first line (a list), and
then, by ``benchmarks.tally``, when all of them are ``lit`` and when none is; at SIGUSR1 how many questions they were
``asked`` so far. With pysnmp's own agent, pysnmp would be measured twice.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Iterator
from typing import cast

from benchmarks.tally import Tally, say
from bridge.protocols import ntcip_names as names
from bridge.simulators.ntcip_memory import Refusal, Value
from bridge.simulators.ntcip_sign import SignState

INTEGER, OCTETS, OBJECT, SEQUENCE, GET, RESPONSE, SET = 0x02, 0x04, 0x06, 0x30, 0xA0, 0xA2, 0xA3  # tags (RFC 3416)
NO_SUCH_INSTANCE = b"\x81\x00"
ERRORS = {"badValue": 3, "genErr": 5, "wrongType": 7, "wrongLength": 8, "notWritable": 17}
ROOT = 1, 3  # of every name here: iso.org


def fields(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """Read BER one level deep: each field's tag and content."""
    at = 0
    while at < len(octets):
        tag, length, at = octets[at], octets[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(octets[at : at + size], "big"), at + size
        yield tag, octets[at : at + length]
        at += length


def field(tag: int, content: bytes) -> bytes:
    """Write one field of BER."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def number(value: int) -> bytes:
    """Write an INTEGER."""
    return field(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def read_name(octets: bytes) -> str:
    """Read an OBJECT IDENTIFIER that begins with ``1.3``."""
    parts, part = list(ROOT), 0
    for octet in octets[1:]:
        part = part << 7 | octet & 0x7F
        if not octet & 0x80:
            parts.append(part)
            part = 0
    return ".".join(map(str, parts))


def _value(value: Value | None) -> bytes:
    if value is None:
        return NO_SUCH_INSTANCE
    return number(value) if isinstance(value, int) else field(OCTETS, value)


def answer(sign: SignState, request: bytes) -> tuple[bytes, bool]:
    """Answer one SNMPv2c message; tell too whether it was an order to show something."""
    [(_, message)] = fields(request)
    version, community, (kind, pdu) = fields(message)
    serial, _, _, (_, listed) = fields(pdu)
    pairs = [tuple(fields(pair)) for _, pair in fields(listed)]
    asked = [read_name(name) for (_, name), _ in pairs]
    error = 0
    if kind == SET:
        try:
            sign.set({name: _read(*value) for name, (_, value) in zip(asked, pairs, strict=True)})
        except Refusal as refusal:
            error = ERRORS[refusal.status]
        written = listed
    else:
        written = b"".join(
            field(SEQUENCE, field(OBJECT, name) + _value(sign.get(said)))
            for said, ((_, name), _) in zip(asked, pairs, strict=True)
        )
    body = field(*serial) + number(error) + number(int(bool(error))) + field(SEQUENCE, written)
    return field(SEQUENCE, field(*version) + field(*community) + field(RESPONSE, body)), names.ACTIVATE in asked


def _read(tag: int, content: bytes) -> Value:
    return int.from_bytes(content, "big", signed=True) if tag == INTEGER else content


class Signs:
    """All of them, and how many questions they were asked."""

    def __init__(self, total: int) -> None:
        self.asked = 0
        self.tally = Tally(total)

    def say_asked(self) -> None:
        """Say how many questions came so far."""
        say("asked", self.asked, time.monotonic_ns())


class _Sign(asyncio.DatagramProtocol):
    """One sign at one UDP port."""

    def __init__(self, signs: Signs, serial: int) -> None:
        self._signs = signs
        self._serial = serial
        self._sign = SignState(time.monotonic, height=48)
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the way back."""
        self._transport = cast("asyncio.DatagramTransport", transport)  # it is one, and Python 3.11 does not say so

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer, and note what is shown now."""
        at = time.monotonic_ns()
        self._signs.asked += 1
        reply, ordered = answer(self._sign, data)
        if self._transport:
            self._transport.sendto(reply, addr)
        if ordered:
            self._signs.tally.note("lit", self._serial, there=not self._sign.shown.is_blank, at=at)


async def _serve(total: int) -> None:
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    signs = Signs(total)
    for end in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(end, ended.set)
    loop.add_signal_handler(signal.SIGUSR1, signs.say_asked)
    ports = []
    for serial in range(total):
        transport, _ = await loop.create_datagram_endpoint(lambda serial=serial: _Sign(signs, serial), ("127.0.0.1", 0))
        ports.append(transport.get_extra_info("sockname")[1])
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()
    await ended.wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
