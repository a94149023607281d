"""The messages in an NTCIP 1203 sign's memory: what may be written in their columns, and what can be read there."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bridge.protocols import ntcip_names as names

Value = int | bytes
MOST_OWNER = 127  # octets of an owner


class Refusal(Exception):
    """A SET that is refused: the name of the SNMP error."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


class Done(Refusal):
    """The sign did as it was told, and says that it did not."""


class Silence(Exception):
    """No answer is given."""


@dataclass(frozen=True)
class Message:
    """One message in a sign's memory."""

    multi: bytes = b""
    owner: bytes = b""
    crc: int = 0
    beacon: int = 0
    pixel_service: int = 0
    priority: int = 0
    status: int = 1


NOTHING = Message()


def changed(found: Message, column: int, value: Value) -> Message:
    """Write one column of a message; raise ``Refusal``."""
    match column:
        case names.MULTI:
            return replace(found, multi=octets(value))
        case names.OWNER:
            if len(octets(value)) > MOST_OWNER:
                raise Refusal("wrongLength")
            return replace(found, owner=octets(value))
        case names.BEACON:
            return replace(found, beacon=whole(value))
        case names.PIXEL_SERVICE:
            return replace(found, pixel_service=whole(value))
        case names.PRIORITY:
            return replace(found, priority=whole(value))
    raise Refusal("notWritable")


def columns(found: Message) -> dict[int, Value]:
    """Give every column that can be read."""
    return {
        names.MULTI: found.multi,
        names.OWNER: found.owner,
        names.CRC: found.crc,
        names.BEACON: found.beacon,
        names.PIXEL_SERVICE: found.pixel_service,
        names.PRIORITY: found.priority,
        names.STATUS: found.status,
    }


def octets(value: Value) -> bytes:
    """Take octets; raise ``Refusal`` for a number."""
    if not isinstance(value, bytes):
        raise Refusal("wrongType")
    return value


def whole(value: Value) -> int:
    """Take a number; raise ``Refusal`` for octets."""
    if not isinstance(value, int):
        raise Refusal("wrongType")
    return value
