"""KV8: what a feed tells of stop messages is read, and whatever else it may say is passed over."""

from __future__ import annotations

import gzip
import random
import zlib
from datetime import UTC, datetime

import pytest

from bridge.protocols.kv8 import MOST_BYTES, TOPIC, Told, read_frames, write_frames
from bridge.protocols.kv15 import Key

NOW = datetime(2026, 11, 26, 19, 0, tzinfo=UTC)
KEY = Key("RET", "2026-11-26", 27)
HEAD = (
    r"\GKV8turbo_generalmessages|KV8turbo_generalmessages|openOV RET|||UTF-8|0.1|2026-11-26T20:00:00+01:00|" + "\ufeff"
)
UPDATE = r"\TGENERALMESSAGEUPDATE|GENERALMESSAGEUPDATE|start object"
DELETE = r"\TGENERALMESSAGEDELETE|GENERALMESSAGEDELETE|start object"
NAMES = "DataOwnerCode|MessageCodeDate|MessageCodeNumber|TimingPointDataOwnerCode|TimingPointCode"
COLUMNS = rf"\L{NAMES}|MessageType|MessageDurationType|MessageStartTime|MessageEndTime|MessageContent|ReasonType"
ROW = r"RET|2026-11-26|27|ALGEMEEN|31001347|GENERAL|ENDTIME|2026-11-26T20:00:00+01:00|2026-11-26T20:15:00+01:00|Kind vermist|0"
ENDS = datetime(2026, 11, 26, 19, 15, tzinfo=UTC)


def frames(*lines: str, packed: bool = True, end: str = "\r\n") -> list[bytes]:
    """Give the frames of a message of these lines."""
    body = end.join([*lines, ""]).encode()
    return [TOPIC, gzip.compress(body) if packed else body]


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_a_message_is_read(packed: bool, end: str) -> None:
    """Whose, which, where, what and until when: packed or not, whatever ends the lines."""
    assert read_frames(frames(HEAD, UPDATE, COLUMNS, ROW, packed=packed, end=end)) == [
        Told(KEY, "ALGEMEEN:31001347", "Kind vermist", ENDS)
    ]


def test_a_deletion_is_read() -> None:
    """A message that is gone has no content any more."""
    row = "RET|2026-11-26|27|ALGEMEEN|31001347"
    assert read_frames(frames(HEAD, DELETE, rf"\L{NAMES}", row)) == [Told(KEY, "ALGEMEEN:31001347", None)]


def test_the_original_number_counts() -> None:
    """Where a feed numbers anew, the number that the message was sent with is read; elsewhere its only one."""
    columns = rf"\L{NAMES}|OriginalMessageCodeNumber"
    rows = [f"RET|2026-11-26|900|ALGEMEEN|1|{number}" for number in ("27", r"\0")]
    assert [told.key.number for told in read_frames(frames(HEAD, DELETE, columns, *rows))] == [27, 900]


def test_escapes_are_undone_once() -> None:
    r"""Bars, breaks and backslashes of a text are those of the text; ``\0`` is nothing."""
    row = ROW.replace("Kind vermist", r"a\pb\r\nc\ip\qd")
    [told] = read_frames(frames(HEAD, UPDATE, COLUMNS, row))
    assert told.content == "a|b\r\nc\\p\\qd"
    [told] = read_frames(frames(HEAD, UPDATE, COLUMNS, ROW.replace("2026-11-26T20:15:00+01:00", r"\0")))
    assert told.ends is None


@pytest.mark.parametrize(
    "text",
    ["", "a|b", "\\0", "\\", "\r\n", "\\n|\\p", "é € 🚨 \u2028 \x85 \x0b", r"\GHEAD", r"\TGENERALMESSAGEDELETE|x"],
)
def test_what_is_written_is_read(text: str) -> None:
    """Any text survives the feed, and is never taken for a line of its own."""
    told = [Told(KEY, "ALGEMEEN:1", text, ENDS), Told(KEY, "ALGEMEEN:2", None)]
    assert read_frames(write_frames(told, NOW)) == told


@pytest.mark.parametrize(
    "told",
    [
        [],
        [TOPIC],
        [TOPIC, b""],
        [TOPIC, b"\x1f\x8b"],
        [TOPIC, b"\x1f\x8bgarbage"],
        [TOPIC, gzip.compress(ROW.encode())[:-9]],
        [TOPIC, b"\xff\xfe|"],
        frames(ROW),
        frames(UPDATE, ROW),
        frames(HEAD, r"\TDATEDPASSTIME|x", COLUMNS, ROW),
        frames(HEAD, UPDATE, r"\L", ROW),
        frames(HEAD, UPDATE, COLUMNS, "RET|2026-11-26"),
        frames(HEAD, UPDATE, COLUMNS, ROW.replace("|27|", "|0|")),
        frames(HEAD, UPDATE, COLUMNS, ROW.replace("|27|", "|12345|")),
        frames(HEAD, UPDATE, COLUMNS, ROW.replace("|27|", "|２７|")),
        frames(HEAD, UPDATE, COLUMNS, ROW.replace("RET", "R E T")),
        frames(HEAD, UPDATE, COLUMNS, ROW.replace("2026-11-26|", "2026-13-26|", 1)),
        frames(HEAD, UPDATE, COLUMNS, ROW.replace("2026-11-26|", "20261126|", 1)),
        frames(HEAD, r"\L", r"\T", r"\G", "\\", "|", "||||||||||||||||||||||||"),
    ],
)
def test_what_is_not_understood_tells_nothing(told: list[bytes]) -> None:
    """Broken, cut off, of another table or without a name: nothing is told, and nothing raised."""
    assert read_frames(told) == []


def test_a_bomb_does_not_go_off() -> None:
    """A frame that would unpack to a thousand times its size is let lie, whole."""
    packer = zlib.compressobj(9, wbits=31)
    packed = packer.compress(f"{HEAD}\r\n{UPDATE}\r\n{COLUMNS}\r\n{ROW}".encode() + b"\r\n" + bytes(8 * MOST_BYTES))
    bomb = packed + packer.flush()
    assert len(bomb) < MOST_BYTES / 10
    assert read_frames([TOPIC, bomb]) == []
    assert read_frames([TOPIC, bytes(MOST_BYTES + 1)]) == []


def test_bent_frames_never_crash() -> None:
    """Ten thousand messages with some bytes changed or cut tell something, or nothing."""
    dice = random.Random(8)
    body = "\r\n".join([HEAD, UPDATE, COLUMNS, ROW, DELETE, rf"\L{NAMES}", "RET|2026-11-26|28|A|1", ""]).encode()
    for _ in range(10_000):
        bent = bytearray(body)
        for _ in range(dice.randint(1, 6)):
            bent[dice.randrange(len(bent))] = dice.choice(b"\\|\r\n0GTL\xff\x00")
        for told in read_frames([TOPIC, bytes(bent[: dice.randint(0, len(bent))])]):
            assert 1 <= told.key.number <= 9_999
