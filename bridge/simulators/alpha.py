"""An Alpha sign behind a serial device server, as far as its priority text file goes; strict where real ones shrug.

It reads frames byte by byte (Alpha Sign Communications Protocol, form 9708-8061, sections 5.1 and 6.1), ignores what it
does not understand, as signs do, and tells in ``ignored`` why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Generator
from typing import Self

from rich.console import RenderableType

from bridge.simulators.board_picture import draw
from bridge.simulators.fault import SLOW, Fault

_NUL, _SOH, _STX, _ETX, _EOT, _ESC = 0, 1, 2, 3, 4, 0x1B
_POSITIONS = b"\x20\x22\x26\x30\x31\x32"  # middle, top, bottom, fill, left, right
_BREAKS = b"\r\x0c"  # a new line, a new page; any other control character is a command
_ROOM = 125
_LONGEST = 1_024  # bytes of a command


class Garbled(Exception):
    """A frame that no sign would understand; the message says why."""


class Frames:
    """Finds commands in a stream, one byte at a time; what is garbled is left out, and told to ``ignored``."""

    def __init__(self, address: bytes, ignored: Callable[[str], None]) -> None:
        self._address = address
        self._ignored = ignored
        self._step = self._frame()
        self._command: bytes | None = None
        next(self._step)

    def feed(self, byte: int) -> bytes | None:
        """Take one byte; give the command that it completes, if it does."""
        self._command = None
        try:
            self._step.send(byte)
        except Garbled as why:
            self._ignored(str(why))
            self._step = self._frame()
            next(self._step)
        return self._command

    def _frame(self) -> Generator[None, int, None]:
        while True:
            nuls, byte = 0, (yield)
            while byte == _NUL:
                nuls, byte = nuls + 1, (yield)
            if byte != _SOH:
                raise Garbled(f"a byte {byte:02X} outside a frame")
            if nuls < 5:
                raise Garbled(f"{nuls} NULs before a frame do not wake the line, 5 do")
            kind, address = (yield), bytes([(yield), (yield)])
            if (yield) != _STX:
                raise Garbled("no STX after type and address")
            command = yield from self._body()
            if kind in b"^Z!" and address in (b"00", self._address):
                self._command = command
            else:
                self._ignored(f"for another sign (type {chr(kind)!r}, address {address!r})")

    def _body(self) -> Generator[None, int, bytes]:
        body = bytearray()
        while (byte := (yield)) not in (_ETX, _EOT):
            body.append(byte)
            if byte in (_SOH, _STX) or len(body) > _LONGEST:
                raise Garbled("no end of the command")
        if byte == _ETX:
            digits = bytes([(yield), (yield), (yield), (yield)])
            if digits != _checksum(bytes([_STX, *body, _ETX])) or (yield) != _EOT:
                raise Garbled("a wrong checksum")
        return bytes(body)


class AlphaSimulator:
    """One sign that listens on a TCP port. Only its priority text file can be written and read."""

    known_faults: Collection[Fault] = (Fault.SLOW, Fault.UNREACHABLE, Fault.LOCAL, Fault.MUTE, Fault.LIES)

    def __init__(self, port: int = 0, *, host: str = "127.0.0.1", address: str = "01", slow: float = SLOW) -> None:
        """Take port 0 for any free one; ``address``: its own, two hexadecimal digits, beside ``00`` for all.

        ``slow``: seconds for each command with that fault.
        """
        self.host = host
        self.faults: Collection[Fault] = frozenset()
        self.ignored: list[str] = []
        self._address = address.encode()
        self._slow = slow
        self._port = port
        self._file = b""
        self._told = b""  # what it was told last, for a sign that lies
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        """Listen."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the port."""
        await self.stop()

    @property
    def port(self) -> int:
        """Where it listens, once it is started."""
        return self._port

    async def start(self) -> None:
        """Listen, after a ``stop`` at the same port and with what it showed."""
        self._server = await asyncio.start_server(self._serve, self.host, self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections, and break off those that there are."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._lines:
            writer.transport.abort()

    def reboot(self) -> None:
        """Forget the priority file, and what it was told: both are in volatile memory."""
        self._file = self._told = b""

    def write(self, text: str) -> None:
        """Let someone else write the priority file."""
        self._file = bytes([_ESC, 0x20, 0x62]) + text.encode("ascii", "replace")

    def shown(self) -> list[str]:
        """Give the text that is to be read on it; a line or page of the sign is a line of the text."""
        return ["\n".join(line for page in self._pages() for line in page)] if self._pages() else []

    def picture(self) -> RenderableType:
        """Draw its pages."""
        return draw("alpha", [(page, f"page {number}") for number, page in enumerate(self._pages(), 1)], 24, 2)

    def _pages(self) -> list[list[str]]:
        text = self._file[3:].decode("ascii", "replace")
        return [page.split("\r") for page in text.split("\x0c")] if text else []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._lines.add(writer)
        frames = Frames(self._address, self.ignored.append)
        try:
            while Fault.UNREACHABLE not in self.faults and (data := await reader.read(4_096)):
                for command in filter(None, map(frames.feed, data)):
                    await self._obey(command, writer)
        except ConnectionError:
            self.ignored.append("the line broke")
        finally:
            self._lines.discard(writer)
            writer.transport.abort()

    async def _obey(self, command: bytes, writer: asyncio.StreamWriter) -> None:
        if Fault.SLOW in self.faults:
            await asyncio.sleep(self._slow)
        if command[:2] == b"A0":
            self._write(command[2:])
        elif command == b"B0":
            if Fault.MUTE not in self.faults:
                writer.write(_answer(self._told if Fault.LIES in self.faults else self._file))
                await writer.drain()
        else:
            self.ignored.append(f"a command {command[:2]!r} that is not of the priority file")

    def _write(self, data: bytes) -> None:
        try:
            _check(data)
        except Garbled as why:
            self.ignored.append(str(why))
            return
        if Fault.LOCAL not in self.faults:
            self._file = self._told = data


def _check(data: bytes) -> None:
    """Raise ``Garbled`` unless this is nothing at all, or text and how to show it."""
    if not data:
        return
    if len(data) > _ROOM:
        raise Garbled(f"{len(data)} bytes, the priority file has {_ROOM}")
    if len(data) < 4 or data[0] != _ESC or data[1] not in _POSITIONS or not chr(data[2]).islower():
        raise Garbled("no position and mode before the text")
    for byte in data[3:]:
        if not (0x20 <= byte < 0x7E or byte in _BREAKS):
            raise Garbled(f"a byte {byte:02X} in the text is a command")


def _answer(data: bytes) -> bytes:
    """Answer as signs do: twenty NULs, type and address 0, the *write* command, and a checksum."""
    body = bytes([_STX]) + b"A0" + data + bytes([_ETX])
    return bytes(20) + bytes([_SOH]) + b"000" + body + _checksum(body) + bytes([_EOT])


def _checksum(body: bytes) -> bytes:
    """Sum up the bytes from STX to ETX: four hexadecimal digits."""
    return b"%04X" % (sum(body) & 0xFFFF)
