"""A bitmap font in the Glyph Bitmap Distribution Format (BDF 2.1), as makers of matrix boards give it; and boards of pixels.

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
    def __init__(self, text: str) -> None:
        self._lines = iter(text.splitlines())
        self._number = 0

    def font(self, digest: str) -> Font:
        box = ascent = descent = None
        glyphs: dict[str, Glyph] = {}
        if self._next()[:1] != ["STARTFONT"]:
            self._bad("a BDF font begins with STARTFONT")
        while (words := self._next())[:1] != ["ENDFONT"]:
            match words:
                case ["FONTBOUNDINGBOX", *numbers]:
                    box = self._numbers(numbers, 4)
                case ["FONT_ASCENT", number]:
                    [ascent] = self._numbers([number], 1)
                case ["FONT_DESCENT", number]:
                    [descent] = self._numbers([number], 1)
                case ["STARTCHAR", *_]:
                    if found := self._glyph(box):
                        glyphs[found[0]] = found[1]
                    if len(glyphs) > MAX_GLYPHS:
                        self._bad(f"more than {MAX_GLYPHS} characters")
        if box is None:
            self._bad("FONTBOUNDINGBOX is missing")
        ascent = box[1] + box[3] if ascent is None else ascent
        height = ascent + (-box[3] if descent is None else descent)
        if not 1 <= height <= MAX_SIDE:
            self._bad(f"a line of {height} pixels; allowed: 1 to {MAX_SIDE}")
        if " " not in glyphs:
            self._bad("the space (ENCODING 32) is missing")
        return Font(ascent, height, glyphs, digest)

    def _glyph(self, box: list[int] | None) -> tuple[str, Glyph] | None:
        code, advance, rows = -1, None, None
        while (words := self._next())[:1] != ["ENDCHAR"]:
            match words:
                case ["ENCODING", number, *_]:
                    [code] = self._numbers([number], 1)
                case ["DWIDTH", *numbers]:
                    advance = self._numbers(numbers, 2)[0]
                case ["BBX", *numbers]:
                    box = self._numbers(numbers, 4)
                case ["BITMAP"]:
                    if box is None:
                        self._bad("BBX is missing")
                    rows = self._rows(box)
                    break
                case ["ENDFONT"]:
                    self._bad("ENDCHAR is missing")
        if rows is None or box is None:
            self._bad("BITMAP is missing")
        advance = box[0] if advance is None else advance
        if not 0 < advance <= MAX_SIDE:
            self._bad(f"DWIDTH {advance}; allowed: 1 to {MAX_SIDE}")
        if not 0 <= code <= 0x10FFFF or 0xD800 <= code < 0xE000:
            return None  # a glyph without a character
        return chr(code), Glyph(advance, box[0], rows, box[2], box[3])

    def _rows(self, box: list[int]) -> tuple[int, ...]:
        width, height = box[:2]
        if not (0 <= width <= MAX_SIDE and 0 <= height <= MAX_SIDE):
            self._bad(f"a character of {width}x{height} pixels; allowed: up to {MAX_SIDE}x{MAX_SIDE}")
        padding = -width % 8
        rows = []
        for _ in range(height):
            [digits] = self._next() or [""]
            if not re.fullmatch(r"[0-9A-Fa-f]+", digits, re.ASCII) or len(digits) * 4 != width + padding:
                self._bad(f"{digits[:20]!r} is not a row of {width} pixels in hexadecimal")
            rows.append(int(digits, 16) >> padding)
        if self._next()[:1] != ["ENDCHAR"]:
            self._bad("ENDCHAR is missing")
        return tuple(rows)

    def _next(self) -> list[str]:
        self._number += 1
        line = next(self._lines, None)
        if line is None:
            self._bad("it ends too soon; a BDF font ends with ENDFONT")
        return line.split()

    def _numbers(self, words: list[str], count: int) -> list[int]:
        if len(words) < count or not all(re.fullmatch(r"-?[0-9]{1,5}", word, re.ASCII) for word in words[:count]):
            self._bad(f"needs {count} whole number{'s' if count > 1 else ''}")
        return [int(word) for word in words[:count]]

    def _bad(self, why: str) -> NoReturn:
        raise BadFont(f"line {self._number}: {why}")
