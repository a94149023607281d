"""Changes an input by its shape: JSON stays JSON for the most part, text is cut and sewn, bytes are bent."""

from __future__ import annotations

import json
import random
import re
import struct
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any


class Shape(Enum):
    """What an input looks like when it is good."""

    JSON = "json"
    TEXT = "text"
    BYTES = "bytes"


_DEEP: Any = 1
for _ in range(300):
    _DEEP = [_DEEP]

HOSTILE_TEXTS = (
    "",
    " ",
    "\x00",
    "\x1b[2J\x1b]0;x\x07",
    "a\nb",
    "a\r\nBcc: eva@example.nl\r\n\r\n<script>alert(1)</script>",
    "\r\n.\r\nMAIL FROM:<eva@example.nl>\r\n",
    "\n2026-11-22T10:00:00Z [info] all is well",
    "\u202e\u2066\u200f\ufeff\u2028\u2029\x85",
    "\ud800",
    "\U000e0001\U0010ffff",
    "a" + "\u0315\u0300" * 200,
    "=?utf-8?q?=0D=0ABcc:_eva@example.nl?=",
    "<img src=x onerror=alert(1)>\"'&<>",
    "{{ 7*7 }}{% include '/etc/passwd' %}${7*7}%s%n{0.__class__}",
    "../../../etc/passwd",
    "'; DROP TABLE postings; --",
    "x" * 3_000,
    "W" * 501 + " ",
    "http://127.0.0.1/",
    "http://[::ffff:127.0.0.1]/",
    "http://2130706433/",
    "http://0x7f.1/",
    "http://user:pass@example.nl/",
    "http://example.nl\\@127.0.0.1/",
    "file:///etc/passwd",
    "//127.0.0.1/",
    "2026-11-22T10:15:00+01:00",
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00Z",
    "52.180,4.495 2.0",
    "52.1,4.4 52.2,4.4 52.1,4.5",
    "nan,nan inf",
    "1e309,-0 1e-400",
    "٣",
    "ＧＭ０５４６",
    "Infinity",
    "null",
    "true",
    "urn:nld:oin:00000001003214345000:systeem:meldkamer",
    "nl.burgernet.alert.opened",
    "nl.burgernet.alert.ended",
    "whsec_AAAA",
    "data:image/jpeg;base64,AAAA",
)
HOSTILE_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1.5,
    2**31,
    2**63,
    -(2**64),
    10**400,
    1e308,
    -0.0,
    1e-320,
    [],
    {},
    [[]],
    [None],
    {"": ""},
    _DEEP,
    [0] * 200,
    *HOSTILE_TEXTS,
)
HOSTILE_TOKENS = (
    *(text.encode("utf-8", "surrogatepass") for text in HOSTILE_TEXTS),
    *(b"[" * 100, b"{" * 100, b"- " * 60, b"&a ", b"*a", b"<<: *a", b"? ", b"!!timestamp x", b"!!binary =", b"!!set "),
    *(b"!!python/object:os.system x", b"---\n", b"...\n", b"%YAML 1.1\n", b"|\n", b">-\n", b"\t", b"'", b'"', b"0x1"),
    *(b"1e999", b"9" * 5_000, b"-9" * 30, b"\xff\xfe", b"\xef\xbb\xbf", b"\xc0\x80", b"\xed\xa0\x80", b"\x00" * 8),
    *(
        b"250-",
        b"250 ",
        b"421 ",
        b"354 ",
        b"550 5.1.1 ",
        b"Content-Type: text/html\r\n",
        b"\r\n",
        b"\n\n",
        b"Retry-After: ",
    ),
    *(
        b"\xff\xd8\xff\xe1",
        b"\xff\xda",
        b"\xff\xd9",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"RIFF",
        b"WEBPVP8 ",
        b"IHDR",
        b"IDAT",
    ),
)
_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_SMALL = 10_000  # bytes; what is larger is not made larger still
_NUMBER = re.compile(rb"-?\d+(\.\d+)?")


def mutate(data: bytes, rng: random.Random, shape: Shape, others: Sequence[bytes], most: int) -> bytes:
    """Give another input made of this one, at most ``most`` bytes long."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        if shape is Shape.JSON and rng.random() < 0.85:
            try:
                data = _json(data, rng, others)
            except RecursionError:
                data = rng.choice(others)
        elif shape is Shape.BYTES and rng.random() < 0.7:
            data = rng.choice(_BENDS)(data, rng)
        else:
            data = rng.choice(_CUTS)(data, rng, others)
        data = data[:most]
    return data


def _json(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    """Change one node of a document, or exchange it with one of another document."""
    try:
        document = json.loads(data)
    except ValueError:
        return rng.choice(_CUTS)(data, rng, others)
    holder = [document]
    places = list(_places(holder))[:2_000]
    parent, key = rng.choice(places)
    match rng.randrange(8):
        case 0 if isinstance(parent, dict):
            del parent[key]
        case 1 if isinstance(parent, dict):
            parent[rng.choice(HOSTILE_TEXTS)] = parent[key]
        case 2 if isinstance(parent, list) and parent is not holder and len(data) < _SMALL:
            parent[:] = parent * rng.choice((0, 2, 50))
        case 3:
            other, place = rng.choice(places)
            parent[key] = json.loads(json.dumps(other[place]))
        case 4 if isinstance(parent[key], str):
            text, at = parent[key], rng.randrange(len(parent[key]) + 1)
            parent[key] = text[:at] + rng.choice(HOSTILE_TEXTS) + text[at:]
        case 5 if isinstance(parent[key], str) and len(data) < _SMALL:
            parent[key] *= rng.choice((2, 10, 100))
        case 6:
            parent[key] = rng.choice(([parent[key]], {"x": parent[key]}, str(parent[key])))
        case _:
            parent[key] = rng.choice(HOSTILE_VALUES)
    try:
        return json.dumps(holder[0], ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    except ValueError:  # a number of more than 4300 digits
        return data


def _places(parent: Any) -> Any:
    keys = list(parent) if isinstance(parent, dict) else range(len(parent))
    for key in keys:
        yield parent, key
        if isinstance(parent[key], (dict, list)):
            yield from _places(parent[key])


def _slice(data: bytes, rng: random.Random) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.choice((1, 2, 4, 16, 64, 300)))


def _insert(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(HOSTILE_TOKENS) + data[at:]


def _replace(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    start, end = _slice(data, rng)
    return data[:start] + rng.choice(HOSTILE_TOKENS) + data[end:]


def _delete(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    start, end = _slice(data, rng)
    return data[:start] + data[end:]


def _repeat(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    start, end = _slice(data, rng)
    return data[:start] + data[start:end] * rng.choice((2, 3, 100)) + data[end:]


def _lines(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    lines = data.split(b"\n")
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
    return b"\n".join(lines)


def _number(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    found = list(_NUMBER.finditer(data))
    if not found:
        return data
    one = rng.choice(found)
    other = rng.choice((b"0", b"-1", b"1e999", b"nan", b"%d" % rng.choice(_EXTREMES), b"9" * rng.choice((20, 5_000))))
    return data[: one.start()] + other + data[one.end() :]


def _sew(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    other = rng.choice(others) if others else data
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def _flip(data: bytes, rng: random.Random) -> bytes:
    if not data:
        return b"\x00"
    bent = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        bent[rng.randrange(len(bent))] ^= 1 << rng.randrange(8)
    return bytes(bent)


def _extreme(data: bytes, rng: random.Random) -> bytes:
    size, form = rng.choice(((1, "B"), (2, ">H"), (2, "<H"), (4, ">I"), (4, "<I")))
    at = rng.randrange(max(1, len(data) - size + 1))
    return data[:at] + struct.pack(form, rng.choice(_EXTREMES) % 256**size) + data[at + size :]


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


_CUTS: tuple[Callable[[bytes, random.Random, Sequence[bytes]], bytes], ...] = (
    *(_insert, _insert, _replace, _delete, _repeat, _lines, _number, _sew),
)
_BENDS: tuple[Callable[[bytes, random.Random], bytes], ...] = (_flip, _flip, _extreme, _extreme, _cut)
