r"""KV8, what stop displays are told (BISON koppelvlak 8, as it goes over ZeroMQ): free texts, coming and going. Pure.

A message is some frames: the topic first, then tables of pipe-delimited lines, usually in gzip. ``\G`` begins a
message, ``\T`` a table, ``\L`` names its columns; what else there is are rows, in which ``\0`` is nothing at all.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from bridge.core.alert import parse_time
from bridge.protocols.kv15 import OWNER, Key, iso

MOST_BYTES = 1_000_000  # of one message, unpacked
MOST_KEPT = 1_000  # characters of a text and of a point: ours are shorter, and of others no more is told
TOPIC = b"/GOVI/KV8generalmessages/"
_UPDATE, _DELETE = "GENERALMESSAGEUPDATE", "GENERALMESSAGEDELETE"
_KEY = ("DataOwnerCode", "MessageCodeDate", "MessageCodeNumber")
_POINT = ("TimingPointDataOwnerCode", "TimingPointCode")
_REST = ("MessageType", "MessageDurationType", "MessageStartTime", "MessageEndTime", "MessageContent")
_NOTHING = r"\0"
_ESCAPES = {"r": "\r", "n": "\n", "p": "|", "i": "\\", "\\": "\\"}
_ESCAPED = re.compile(r"\\([rnpi\\])")
_TO_ESCAPE = str.maketrans({"\r": r"\r", "\n": r"\n", "|": r"\p", "\\": r"\i"})
_NUMBER = re.compile(r"0*[1-9][0-9]{0,3}")


@dataclass(frozen=True, slots=True)
class Told:
    """What the feed tells of one message at one timing point. ``content``: ``None`` when it is gone."""

    key: Key
    point: str
    content: str | None
    ends: datetime | None = None


def read_frames(frames: Sequence[bytes]) -> list[Told]:
    """Read one message of the feed; what cannot be understood of it tells nothing, and raises nothing."""
    text = _unpack(b"".join(frames[1:]))
    told: list[Told] = []
    table, columns = "", list[str]()
    for line in re.split(r"\r?\n", text):
        if line.startswith("\\T"):
            table, columns = line[2:].split("|")[0], []
        elif line.startswith("\\L"):
            columns = line[2:].split("|")
        elif line and not line.startswith("\\G") and table in (_UPDATE, _DELETE):
            told += _read_row(table, dict(zip(columns, line.split("|"), strict=False)))
    return told


def _unpack(body: bytes) -> str:
    try:
        if body.startswith(b"\x1f\x8b"):
            packed = zlib.decompressobj(31)
            body = packed.decompress(body, MOST_BYTES)
            if not packed.eof:
                return ""  # cut off, or larger than anything that is meant well
        return body.decode("utf-8-sig") if len(body) <= MOST_BYTES else ""
    except (zlib.error, UnicodeDecodeError):
        return ""


def _read_row(table: str, row: Mapping[str, str]) -> list[Told]:
    key = _read_key(row)
    if key is None:
        return []
    point = ":".join(_field(row, name) for name in _POINT)[:MOST_KEPT]
    if table == _DELETE:
        return [Told(key, point, None)]
    return [Told(key, point, _field(row, "MessageContent")[:MOST_KEPT], _read_time(_field(row, "MessageEndTime")))]


def _read_key(row: Mapping[str, str]) -> Key | None:
    """Give the name the message was sent with: a feed that renumbers says so in columns of their own."""
    owner, day, number = (_field(row, f"Original{name}") or _field(row, name) for name in _KEY)
    try:
        known = OWNER.fullmatch(owner) and _NUMBER.fullmatch(number) and date.fromisoformat(day).isoformat() == day
    except ValueError:
        return None
    return Key(owner, day, int(number)) if known else None


def _field(row: Mapping[str, str], name: str) -> str:
    value = row.get(name, _NOTHING)
    return "" if value == _NOTHING else _ESCAPED.sub(lambda found: _ESCAPES[found[1]], value)


def _read_time(text: str) -> datetime | None:
    try:
        return parse_time(text)
    except ValueError:
        return None  # none is given, or none that means anything


def write_frames(told: Iterable[Told], at: datetime) -> list[bytes]:
    """Write a message as the feed does: every row in a table of its own kind."""
    lines = [f"\\GKV8turbo_generalmessages|KV8turbo_generalmessages|bridge|||UTF-8|0.1|{iso(at)}|\ufeff"]
    for one in told:
        table, columns = (_DELETE, (*_KEY, *_POINT)) if one.content is None else (_UPDATE, (*_KEY, *_POINT, *_REST))
        values = [*map(str, one.key), *one.point.split(":")]
        if one.content is not None:
            ends = iso(one.ends) if one.ends else _NOTHING
            values += ["GENERAL", "ENDTIME", iso(at), ends, one.content.translate(_TO_ESCAPE)]
        lines += [f"\\T{table}|{table}|start object", "\\L" + "|".join(columns), "|".join(values)]
    return [TOPIC, gzip.compress("\r\n".join([*lines, ""]).encode())]
