"""Does it fit: the original text on a board, whole or not at all (R3, I7).

A board is a grid of cells (``columns`` × ``rows``), or of pixels with a font. Text is broken at white space only; no
character is left out, replaced or cut. What would not fit is refused, with how much of it would.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol
from unicodedata import category

from rich.cells import cell_len

Pages = tuple[tuple[str, ...], ...]

# Characters that a board may have, by the name of the set. White space is in none: every board can leave a cell dark.
CHARACTER_SETS: Mapping[str, frozenset[str]] = {
    "ascii": frozenset(map(chr, range(0x21, 0x7F))),
    "latin-1": frozenset(map(chr, (*range(0x21, 0x7F), *range(0xA1, 0x100)))) - {"\xad"},
}


class DoesNotFit(Exception):
    """The text cannot be shown in full on this board; the message says why, ``dutch`` too.

    ``beginning``: the longest beginning of the text, whole words, white space folded, that would fit.
    """

    def __init__(self, why: str, dutch: str, beginning: str = "") -> None:
        super().__init__(why)
        self.dutch = dutch
        self.beginning = beginning


class Face(Protocol):
    """How large text is on a board, in its own units: cells or pixels."""

    @property
    def width(self) -> int:
        """Give what one line holds."""
        ...

    @property
    def rows(self) -> int:
        """Give the lines of one page."""
        ...

    @property
    def size(self) -> str:
        """Name the size of a page, for people."""
        ...

    def measure(self, text: str) -> int:
        """Give the width of a text that this board has all characters of."""
        ...

    def missing(self, text: str) -> str:
        """Give the characters of a text that the board does not have, each once, in their order."""
        ...


@dataclass(frozen=True)
class Grid:
    """A board of cells. A wide character (as terminals know it) counts as two; an accent is in its letter's cell.

    ``characters``: what the board has; ``None``: not known, so all.
    """

    width: int
    rows: int
    characters: frozenset[str] | None = None

    @property
    def size(self) -> str:
        """Name the size of a page."""
        return f"{self.width}x{self.rows}"

    def measure(self, text: str) -> int:
        """Count cells; never too few, so that nothing is cut."""
        return len(text) if text.isascii() else max(1, sum(map(_cells, text)))

    def missing(self, text: str) -> str:
        """Give the characters that the board does not have."""
        if self.characters is None:
            return ""
        return "".join(dict.fromkeys(char for char in text if char not in self.characters and not char.isspace()))


@dataclass(frozen=True)
class Reading:
    """How fast people read from a board (R3: all of it, so it must be possible).

    A page stays for as long as its characters take, but no shorter than ``page_min`` seconds; a whole cycle that would
    take longer than ``cycle_max`` seconds is refused: nobody stands that long before a board.
    """

    characters_per_second: float = 12.0
    page_min: float = 3.0
    cycle_max: float = 120.0

    def seconds(self, page: Sequence[str]) -> float:
        """Give the time that one page stays."""
        characters = sum(map(len, page)) + max(0, len(page) - 1)
        return max(self.page_min, round(characters / self.characters_per_second, 1))


READING = Reading()


class Board(Protocol):
    """What a text on one board is held to."""

    @property
    def face(self) -> Face:
        """Give how large text is on it."""
        ...

    @property
    def pages(self) -> int:
        """Give how many pages it can show in turn."""
        ...


def lay_out(text: str, board: Board, mark: str = "", reading: Reading = READING) -> Pages:
    """Break ``text`` into pages of lines; raise ``DoesNotFit``.

    Reading the pages in order gives back the text with white space folded. ``mark`` (OEFENING, TEST) gets a page of
    its own in front.
    """
    words = text.split()

    def whole(some: Sequence[str]) -> Pages:
        return _pages(some, board, mark, reading)

    try:
        return whole(words)
    except DoesNotFit as reason:
        reason.beginning = _beginning(words, whole)
        raise


def _pages(words: Sequence[str], board: Board, mark: str, reading: Reading) -> Pages:
    face = board.face
    if missing := face.missing(mark + "".join(words)):
        raise _without(missing)
    lines = _lines(words, face)
    pages = [tuple(lines[start : start + face.rows]) for start in range(0, len(lines), face.rows)]
    if mark:
        pages = [tuple(_lines([mark], face)), *pages]
    if len(pages) > board.pages:
        raise DoesNotFit(
            f"needs {len(pages)} pages of {face.size}, the board has {board.pages}",
            f"het zijn {len(pages)} schermen van {face.size}, het bord heeft er {board.pages}",
        )
    seconds = sum(map(reading.seconds, pages))
    if len(pages) > 1 and seconds > reading.cycle_max:
        raise DoesNotFit(
            f"takes {seconds:.0f} seconds to read, a cycle may take {reading.cycle_max:.0f}",
            f"het lezen duurt {seconds:.0f} seconden, een ronde mag {reading.cycle_max:.0f} duren",
        )
    return tuple(pages)


def _lines(words: Sequence[str], face: Face) -> list[str]:
    lines: list[str] = []
    blank, used = face.measure(" "), 0
    for word in words:
        wide = face.measure(word)
        if wide > face.width:
            raise _too_wide(word, wide, face)
        if lines and used + blank + wide <= face.width:
            lines[-1] = f"{lines[-1]} {word}"
            used += blank + wide
        else:
            lines.append(word)
            used = wide
    return lines


def _too_wide(word: str, wide: int, face: Face) -> DoesNotFit:
    unit, eenheid = ("characters", "tekens") if isinstance(face, Grid) else ("pixels", "beeldpunten")
    return DoesNotFit(
        f"the word {word[:40]!r} has {wide} {unit}, a line has {face.width}",
        f"het woord {word[:40]!r} heeft {wide} {eenheid}, een regel {face.width}",
    )


def _without(missing: str) -> DoesNotFit:
    named = ", ".join(f"{char!r} (U+{ord(char):04X})" for char in missing[:5]) + (", …" if missing[5:] else "")
    return DoesNotFit(f"the board does not have {named}", f"het bord heeft geen {named}")


def _beginning(words: Sequence[str], whole: Callable[[Sequence[str]], Pages]) -> str:
    """Find the longest beginning that fits, by halving: what fits in full fits in part."""
    few, many = 0, len(words)
    while few < many:
        middle = (few + many + 1) // 2
        try:
            whole(words[:middle])
            few = middle
        except DoesNotFit:
            many = middle - 1
    return " ".join(words[:few])


EMOJI = "\ufe0f"  # makes a wide picture of the narrow character before it


@lru_cache(maxsize=4096)
def _cells(char: str) -> int:
    if char == EMOJI:
        return 1
    return 0 if category(char) in ("Mn", "Me") else max(1, cell_len(char))


@lru_cache(maxsize=256)
def characters(names: tuple[str, ...]) -> frozenset[str]:
    """Put together what a board has: each of ``names`` is that of a set, or some characters."""
    return frozenset().union(*(CHARACTER_SETS.get(name, frozenset(name)) for name in names))
