"""What NTCIP 1203 puts on the wire, without the wire: MULTI texts, checksums, message names and activation codes."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

CHANGEABLE, CURRENT_BUFFER, SCHEDULE, BLANK = 3, 5, 6, 7  # memory types (NTCIP 1203, 5.6.8.1)
FOREVER = 65_535  # minutes
LONGEST_PAGE = 25.5  # seconds that a page can stay: a page time is one octet of tenths
_NO_MEMORY = 0  # some firmware names a dark sign so
_POLYNOMIAL = 0x8408  # CRC-16/X-25, reflected
_CODE = struct.Struct(">HBBHHI")  # duration, priority, memory type, number, CRC, source address
_NAME = struct.Struct(">BHH")
LOCALHOST = 0x7F000001


@dataclass(frozen=True, slots=True)
class MessageName:
    """Which message: its memory, its number there, and the checksum of what it says (MessageIDCode)."""

    memory: int
    number: int
    crc: int

    @classmethod
    def read(cls, octets: bytes) -> MessageName:
        """Read five octets; raise ``ValueError`` for anything else."""
        if len(octets) != _NAME.size:
            raise ValueError(f"a message name of {len(octets)} octets; allowed: 5")
        return cls(*_NAME.unpack(octets))

    @property
    def octets(self) -> bytes:
        """Write it as five octets."""
        return _NAME.pack(self.memory, self.number, self.crc)

    @property
    def is_blank(self) -> bool:
        """Whether it names a dark sign."""
        return self.memory in (BLANK, _NO_MEMORY)


DARK = MessageName(BLANK, 1, 0)


def activation(name: MessageName, minutes: int, priority: int) -> bytes:
    """Write the twelve octets that show a message for so long (MessageActivationCode)."""
    return _CODE.pack(minutes, priority, name.memory, name.number, name.crc, LOCALHOST)


def read_activation(octets: bytes) -> tuple[MessageName, int, int]:
    """Read twelve octets: the message, the minutes, the priority; raise ``ValueError`` for anything else."""
    if len(octets) != _CODE.size:
        raise ValueError(f"an activation code of {len(octets)} octets; allowed: 12")
    minutes, priority, memory, number, crc, _ = _CODE.unpack(octets)
    return MessageName(memory, number, crc), minutes, priority


def checksum(multi: bytes, beacon: int = 0, pixel_service: int = 0) -> int:
    """Give dmsMessageCRC: CRC-16/X-25 over the text and the two settings, its two octets swapped."""
    crc = 0xFFFF
    for octet in (*multi, beacon, pixel_service):
        crc ^= octet
        for _ in range(8):
            crc = (crc >> 1) ^ _POLYNOMIAL if crc & 1 else crc >> 1
    crc ^= 0xFFFF
    return (crc & 0xFF) << 8 | crc >> 8


def minutes_until(end: datetime | None, now: datetime) -> int:
    """Give the minutes until a sign is to clear itself, rounded up so that it does not do so while we renew."""
    if end is None:
        return FOREVER
    return min(FOREVER - 1, max(1, math.ceil((end - now).total_seconds() / 60)))


def escape(text: str) -> str:
    """Write a text so that no bracket in it begins a tag."""
    return text.replace("[", "[[").replace("]", "]]")


def compose(pages: Sequence[Sequence[str]], seconds: Sequence[float]) -> bytes:
    """Write pages of lines as MULTI, in ISO 8859-1; each page of several stays so many seconds."""
    written = []
    for page, stays in zip(pages, seconds, strict=True):
        time = f"[pt{math.ceil(min(stays, LONGEST_PAGE) * 10)}o0]" if len(pages) > 1 else ""
        written.append(time + "[nl]".join(map(escape, page)))
    return "[np]".join(written).encode("latin-1")


def plain(text: str) -> str:
    """Give what of a text can be read, on one line: no control character is let loose on whoever is told of it."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


_TOKEN = re.compile(r"\[\[|\]\]|\[([a-zA-Z]*[^\[\]]*)\]|[^\[\]]+|[\[\]]")


def pages_of(multi: bytes) -> list[list[str]]:
    """Give the lines of each page that people see; lenient, for others write too."""
    pages = [[""]]
    for match in _TOKEN.finditer(multi.decode("latin-1")):
        token, tag = match[0], match[1]
        if tag is None:
            pages[-1][-1] += token[0] if token in ("[[", "]]") else token
        elif tag[:2].lower() == "nl":
            pages[-1].append("")
        elif tag[:2].lower() == "np":
            pages.append([""])
    return pages


def visible(multi: bytes) -> str:
    """Give the text that people see, its lines and pages apart by one space."""
    return plain(" ".join(line for page in pages_of(multi) for line in page))
