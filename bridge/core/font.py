"""A bitmap font (Glyph Bitmap Distribution Format, BDF 2.1), as makers of boards give it; and boards of pixels.

Only what laying out and drawing needs is read: each character's advance, and its lit pixels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn

MAX_SIDE = 256  # pixels of a glyph, either way
MAX_GLYPHS = 70_000  # all of Unicode's first plane, and a little


class BadFont(Exception):
    """The text is no BDF font that can be used; the message says why, with the line."""


@dataclass(frozen=True, slots=True)
class Glyph:
    """One character: how far the pen goes on, and its lit pixels: rows from the top, bits from the left.

    ``left`` and ``bottom``: where the lower left corner of its box stands from the pen, on the base line.
    """

    advance: int
    width: int
    rows: tuple[int, ...]
    left: int
    bottom: int


@dataclass(frozen=True)
class Font:
    """A font: its ``height`` is that of a line, its ``ascent`` how much of that is above the base line."""

    ascent: int
    height: int
    glyphs: Mapping[str, Glyph]
    digest: str = ""

    def __hash__(self) -> int:
        return hash(self.digest)

    def pixels(self, char: str, x: int, y: int) -> Iterator[tuple[int, int]]:
        """Give the lit pixels of a character whose cell has its upper left corner at ``x``, ``y``."""
        glyph = self.glyphs[char]
        top = y + self.ascent - glyph.bottom - len(glyph.rows)
        for down, row in enumerate(glyph.rows):
            for right in range(glyph.width):
                if row >> (glyph.width - 1 - right) & 1:
                    yield x + glyph.left + right, top + down


@dataclass(frozen=True)
class Matrix:
    """A board of pixels that writes with a font."""

    width: int
    pixel_rows: int
    font: Font

    @property
    def rows(self) -> int:
        """Give the lines of one page."""
        return self.pixel_rows // self.font.height

    @property
    def size(self) -> str:
        """Name the size of a page."""
        return f"{self.width}x{self.pixel_rows} pixels"

    def measure(self, text: str) -> int:
        """Add up how far the pen goes."""
        return sum(self.font.glyphs[char].advance for char in text)

    def missing(self, text: str) -> str:
        """Give the characters that the font does not have."""
        return "".join(dict.fromkeys(char for char in text if char not in self.font.glyphs and not char.isspace()))


def read_font(text: str, digest: str) -> Font:
    """Read a BDF font; ``BadFont`` says what is wrong with it."""
    return _Reader(text).font(digest)


class _Reader:
    """Goes through the lines once: a head up to CHARS, then characters, each a head up to BITMAP and its rows."""

    def __init__(self, text: str) -> None:
        self._lines = iter(text.splitlines())
        self._number = 0

    def font(self, digest: str) -> Font:
        if self._next()[:1] != ["STARTFONT"]:
            self._bad("a BDF font begins with STARTFONT")
        head = self._until("CHARS")
        box = self._numbers(head, "FONTBOUNDINGBOX", 4)
        [ascent] = self._numbers(head, "FONT_ASCENT", 1, [box[1] + box[3]])
        [descent] = self._numbers(head, "FONT_DESCENT", 1, [-box[3]])
        if not 1 <= ascent + descent <= MAX_SIDE:
            self._bad(f"a line of {ascent + descent} pixels; allowed: 1 to {MAX_SIDE}")
        glyphs = dict(self._glyphs(box, ascent, descent))
        if " " not in glyphs:
            self._bad("the space (ENCODING 32) is missing")
        return Font(ascent, ascent + descent, glyphs, digest)

    def _glyphs(self, box: list[int], ascent: int, descent: int) -> Iterator[tuple[str, Glyph]]:
        count = 0
        while (words := self._next())[:1] != ["ENDFONT"]:
            if words[:1] != ["STARTCHAR"]:
                continue
            count += 1
            if count > MAX_GLYPHS:
                self._bad(f"more than {MAX_GLYPHS} characters")
            head = self._until("BITMAP")
            width, height, left, bottom = self._numbers(head, "BBX", 4, box)
            [code] = self._numbers(head, "ENCODING", 1)
            [advance] = self._numbers(head, "DWIDTH", 1, [width])
            if not 0 < advance <= MAX_SIDE:
                self._bad(f"DWIDTH {advance}; allowed: 1 to {MAX_SIDE}")
            glyph = Glyph(advance, width, self._rows(width, height), left, bottom)
            self._fits(glyph, ascent, descent)
            if 0 <= code <= 0x10FFFF and not 0xD800 <= code < 0xE000:  # others have no character
                yield chr(code), glyph

    def _fits(self, glyph: Glyph, ascent: int, descent: int) -> None:
        """Refuse light outside a character's own cell: at the edge of a board it would be cut unseen."""
        lit = [(down, row) for down, row in enumerate(glyph.rows) if row]
        if not lit:
            return
        every = 0
        for _, row in lit:
            every |= row
        first = glyph.width - every.bit_length()
        last = glyph.width - (every & -every).bit_length()
        top = ascent - glyph.bottom - len(glyph.rows)
        inside = glyph.left + first >= 0 and glyph.left + last < glyph.advance
        if not inside or top + lit[0][0] < 0 or top + lit[-1][0] >= ascent + descent:
            self._bad("the character has light outside its own cell (DWIDTH, FONT_ASCENT, FONT_DESCENT)")

    def _rows(self, width: int, height: int) -> tuple[int, ...]:
        if not (0 <= width <= MAX_SIDE and 0 <= height <= MAX_SIDE):
            self._bad(f"a character of {width}x{height} pixels; allowed: up to {MAX_SIDE}x{MAX_SIDE}")
        padding = -width % 8
        rows = []
        for _ in range(height):
            digits = " ".join(self._next())
            if not re.fullmatch(r"[0-9A-Fa-f]*", digits, re.ASCII) or len(digits) * 4 != width + padding:
                self._bad(f"{digits[:20]!r} is not a row of {width} pixels in hexadecimal")
            rows.append(int(digits or "0", 16) >> padding)
        if self._next()[:1] != ["ENDCHAR"]:
            self._bad("ENDCHAR is missing")
        return tuple(rows)

    def _until(self, keyword: str) -> dict[str, list[str]]:
        """Collect lines by their keywords, up to one."""
        found: dict[str, list[str]] = {}
        while (words := self._next())[:1] != [keyword]:
            if words[:1] in (["ENDFONT"], ["ENDCHAR"]):
                self._bad(f"{keyword} is missing")
            if words:
                found[words[0]] = words[1:]
        return found

    def _next(self) -> list[str]:
        self._number += 1
        line = next(self._lines, None)
        if line is None:
            self._bad("it ends too soon; a BDF font ends with ENDFONT")
        return line.split()

    def _numbers(
        self, found: Mapping[str, list[str]], keyword: str, count: int, otherwise: list[int] | None = None
    ) -> list[int]:
        words = found.get(keyword)
        if words is None:
            return otherwise if otherwise is not None else self._bad(f"{keyword} is missing")
        if len(words) < count or not all(re.fullmatch(r"-?[0-9]{1,7}", word, re.ASCII) for word in words[:count]):
            self._bad(f"{keyword} needs {count} whole number{'s' if count > 1 else ''}")
        return [int(word) for word in words[:count]]

    def _bad(self, why: str) -> NoReturn:
        raise BadFont(f"line {self._number}: {why}")
