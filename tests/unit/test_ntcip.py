"""NTCIP 1203 without its wire: what a sign keeps for us, and what a strict sign finds wrong with a text."""

from __future__ import annotations

import pytest

from bridge.protocols import ntcip_names as names
from bridge.protocols.ntcip_before import SETTINGS, Before, read_owner, sign
from bridge.protocols.ntcip_multi import DARK, FOREVER, MessageName, checksum, compose
from bridge.simulators.ntcip_memory import MOST_OWNER
from bridge.simulators.ntcip_multi_check import Face, fault_of

THEIRS = MessageName(3, 10, 0xABCD)
SET = (THEIRS.octets, DARK.octets, DARK.octets, None, b"\x05\x00\x01\x00\x00", 65_535)
MINUTE = 29_399_999


@pytest.mark.parametrize(
    ("text", "crc"),
    [
        ("", 0x470F),
        ("A", 0x669A),
        ("BURGERNET", 0xF94A),
        ("[jl3]VERMIST[nl]JONGEN 8 JAAR[np]BEL 112", 0xB3D7),
        ("x [[y]]", 0x8899),
    ],
)
def test_checksums_are_the_known_ones(text: str, crc: int) -> None:
    """A message's checksum is X-25 with its two octets swapped."""
    assert checksum(text.encode()) == crc


@pytest.mark.parametrize(
    "before", [Before(), Before(THEIRS), Before(THEIRS, MINUTE), Before(THEIRS, MINUTE, SET), Before(DARK, None, SET)]
)
def test_what_was_there_is_kept_in_words(before: Before) -> None:
    """It goes there and back, with the mark of our message, in what an owner may be long."""
    assert Before.read(str(before)) == before
    owner = sign(0x0F94, before)
    assert read_owner(owner) == (0x0F94, before)
    assert len(owner) <= MOST_OWNER


def test_what_a_sign_cut_off_is_not_guessed() -> None:
    """Of an owner that a sign made shorter only what is whole counts; without our mark it is not ours."""
    owner = sign(0x0F94, Before(THEIRS, MINUTE, SET))
    for length in range(len(owner)):
        read = read_owner(owner[:length])
        assert read is None or read[0] == 0x0F94
        kept = read[1] if read else None
        assert kept is None or (kept.message == THEIRS and kept.settings in ((), SET))
    for other in (b"", b"Wegbeheerder", b"Burgernet", b"Burgernet zzzz", None, 7):
        assert read_owner(other) is None


@pytest.mark.parametrize(
    ("ends", "at", "first", "minutes"),
    [
        (None, MINUTE, THEIRS, FOREVER),
        (MINUTE + 20, MINUTE, THEIRS, 20),
        (MINUTE + 1, MINUTE + 0.9, THEIRS, 1),
        (MINUTE, MINUTE, DARK, FOREVER),
        (MINUTE, MINUTE + 90, DARK, FOREVER),
        (MINUTE + 99_999, MINUTE, THEIRS, FOREVER - 1),
    ],
)
def test_what_comes_after_us(ends: int | None, at: float, first: MessageName, minutes: int) -> None:
    """What was to stand for ever does so again, what was to end for as long as it had; darkness is the last resort."""
    after = list(Before(THEIRS, ends).successors(at * 60).items())
    assert after[0] == (first, minutes)
    assert after[-1] == (DARK, FOREVER)


def test_what_follows_a_message_that_ended_follows_it_still() -> None:
    """A sign's own end-duration message comes when the message before us would have ended, not the message itself."""
    before = Before(MessageName(3, 4, 1), MINUTE, SET)
    assert list(before.successors((MINUTE + 1) * 60)) == [THEIRS, DARK]
    assert before.ours(15)[names.END_DURATION_MESSAGE] == THEIRS.octets


def test_settings_that_others_changed_are_theirs() -> None:
    """What is still as we set it becomes what it was; everything else stays as it is now."""
    before = Before(THEIRS, None, SET)
    now = list(before.ours(15).values())
    assert before.theirs(now, 15) == SET
    now[SETTINGS.index(names.COMM_LOSS_TIME)] = 30
    assert before.theirs(now, 15) == (*SET[:-1], 30)
    assert Before(THEIRS).theirs(now, 15) == tuple(now)


def test_a_page_time_is_one_octet_of_tenths() -> None:
    """However long a page takes, its time can be written."""
    assert compose([["a"], ["b"]], [0.05, 99]) == b"[pt1o0]a[np][pt255o0]b"


@pytest.mark.parametrize(
    ("multi", "fault", "position"),
    [
        (b"[[a]]", 2, 0),
        (b"[PT30O0]a[nl]b[np]c", 2, 0),
        (b"ab[xx]", 3, 2),
        (b"a]", 3, 1),
        (b"[pt256o0]a", 4, 0),
        (b"abcd", 5, 4),
        (b"a[nl]b[nl]c", 5, 6),
        (b"a\x04", 7, 1),
        (b"a[np]b[np]c", 12, 6),
    ],
)
def test_a_strict_sign_finds_the_fault(multi: bytes, fault: int, position: int) -> None:
    """The sign that our texts are tried on names the first fault of a text and its place, as the standard does."""
    face = Face(width=5, rows=2, pages=2, wide=lambda code: int(code >= 32))
    assert fault_of(multi, face) == (fault, position)
