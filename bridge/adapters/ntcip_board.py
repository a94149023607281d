"""What one NTCIP sign can show, as it says itself: its size, its characters with their widths, its limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from bridge.adapters.ntcip_snmp import Line, Value
from bridge.core.content import Content
from bridge.core.errors import PermanentError
from bridge.core.layout import READING, DoesNotFit, Grid, Pages, lay_out
from bridge.protocols import ntcip_names as names
from bridge.protocols.ntcip_multi import LONGEST_PAGE, compose

ASKED = 40  # values in one request: well within a datagram
MOST_FONTS = 100  # that are remembered; a sign may name another each time
LATIN_1 = (*range(0x20, 0x7F), *range(0xA0, 0x100))
_MOST_ROWS = 255  # of fonts in a sign
_CHARACTERS = frozenset(map(chr, LATIN_1)) - {" ", "\xa0", "\xad"}
_SIZE = names.SIGN_HEIGHT, names.SIGN_WIDTH, names.CHARACTER_HEIGHT, names.CHARACTER_WIDTH
_SHAPE = names.FONT_HEIGHT, names.FONT_SPACING, names.FONT_LINE_SPACING, names.FONT_VERSION, names.FONT_NAME
_ANY_TAG = (1 << names.NEW_LINE_TAG) | (1 << names.NEW_PAGE_TAG) | (1 << names.PAGE_TIME_TAG)


@dataclass(frozen=True)
class Proportional:
    """A sign of pixels with a font of its own: each character has its width, and so many pixels stand between two."""

    pixels: int
    rows: int
    widths: Mapping[str, int]
    spacing: int

    @property
    def width(self) -> int:
        """Give what a line holds; the space after the last character may fall off."""
        return self.pixels + self.spacing

    @property
    def size(self) -> str:
        """Name the size of a page."""
        return f"{self.pixels} pixels x {self.rows}"

    def measure(self, text: str) -> int:
        """Give the width of a text, with the space after each character."""
        return sum(self.widths[char] + self.spacing for char in text)

    def missing(self, text: str) -> str:
        """Give the characters that the sign's font does not have."""
        return "".join(dict.fromkeys(char for char in text if char not in self.widths))


@dataclass(frozen=True)
class Board:
    """One sign. ``pages``, ``octets``: what one message holds at most; ``told``: what it said, to know it again by."""

    face: Grid | Proportional
    pages: int
    octets: int
    tags: int
    told: Mapping[str, Value | None] = field(default_factory=dict)

    def message(self, contents: Sequence[Content]) -> bytes:
        """Write the MULTI of some contents in turn, each whole; raise ``DoesNotFit``."""
        pages = [page for one in contents for page in self._pages(one, alone=len(contents) == 1)]
        if len(pages) > self.pages:
            raise DoesNotFit(
                f"needs {len(pages)} pages, the sign has {self.pages}", f"{len(pages)} schermen is te veel"
            )
        seconds = [READING.seconds(page) for page in pages]
        if len(pages) > 1 and sum(seconds) > READING.cycle_max:
            raise DoesNotFit(
                f"takes {sum(seconds):.0f} seconds to read", f"het lezen duurt {sum(seconds):.0f} seconden"
            )
        self._check_tags(pages)
        multi = compose(pages, seconds)
        if len(multi) > self.octets:
            raise _too_much(f"{len(multi)} octets, the sign takes {self.octets}", f"{len(multi)} tekens")
        return multi

    def _pages(self, content: Content, *, alone: bool) -> Pages:
        """Lay out a text; on pages of fewer lines where a whole one could not stay for as long as it takes to read."""
        for rows in range(self.face.rows, 0, -1):
            pages = lay_out(content.text, replace(self, face=replace(self.face, rows=rows)), content.mark)
            turning = not alone or len(pages) > 1
            if not turning or max(map(READING.seconds, pages)) <= LONGEST_PAGE:
                break
        return pages

    def _check_tags(self, pages: Sequence[Sequence[str]]) -> None:
        for needed, tag, name in (
            (any(len(page) > 1 for page in pages), names.NEW_LINE_TAG, "lines"),
            (len(pages) > 1, names.NEW_PAGE_TAG, "pages"),
            (len(pages) > 1, names.PAGE_TIME_TAG, "page times"),
        ):
            if needed and not self.tags >> tag & 1:
                raise DoesNotFit(f"the sign does not do {name}", f"het bord kan geen {name}")


Fonts = dict[tuple[Value | None, ...], Mapping[str, int]]
"""The widths of characters, by the version, name and size of a font: signs of one make have the same."""


async def read_board(line: Line, pages: int, last: int, fonts: Fonts) -> Board:
    """Ask a sign what it is; ``pages``: what its owner allows at most. Raise ``TransientError``, ``PermanentError``.

    ``last``: the number of our last message in its memory. ``fonts``: those that are known already, and after this the
    sign's own.
    """
    told = await _tell(line, *_SIZE, names.DEFAULT_FONT)
    height, width, char_height, char_width, font = told.values()
    tags, most, octets, many, messages = await line.get(
        names.SUPPORTED_TAGS, names.MAX_PAGES, names.MAX_LENGTH, names.FONTS, names.MAX_CHANGEABLE
    )
    if not isinstance(height, int) or not isinstance(width, int) or height <= 0 or width <= 0:
        raise PermanentError("the sign does not tell its size: is it a text sign (NTCIP 1203)?")
    if 0 < _whole(messages) < last:
        raise PermanentError(f"the sign keeps {_whole(messages)} messages, ours would be up to number {last}: see slot")
    if _whole(char_width) and _whole(char_height):
        face: Grid | Proportional = Grid(width // _whole(char_width), height // _whole(char_height), _CHARACTERS)
    else:
        index = await _find(line, _whole(many), _whole(font) or 1)
        shape = await _tell(line, *(f"{one}.{index}" for one in _SHAPE))
        face = await _own_font(line, width, height, _whole(char_height), index, shape, fonts)
        told |= shape
    if not face.rows:
        raise PermanentError(f"the sign says that not one line fits on it ({face.size})")
    return Board(face, min(pages, _whole(most) or pages), _whole(octets) or 65_535, _bits(tags), told)


async def _tell(line: Line, *asked: str) -> dict[str, Value | None]:
    return dict(zip(asked, await line.get(*asked), strict=True))


def _too_much(why: str, what: str) -> DoesNotFit:
    return DoesNotFit(why, f"{what} is te veel voor dit bord")


def _whole(value: Value | None) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _bits(tags: Value | None) -> int:
    """Read the supported tags; a sign that does not say has the plainest ones."""
    return int.from_bytes(tags, "little") if isinstance(tags, bytes) and tags else _ANY_TAG


async def _find(line: Line, fonts: int, number: int) -> int:
    """Find the row of the font that the sign uses when a message names none."""
    for start in range(1, min(fonts, _MOST_ROWS) + 1, ASKED):
        rows = range(start, min(start + ASKED, fonts + 1))
        numbers = await line.get(*(f"{names.FONT_NUMBER}.{row}" for row in rows))
        if number in numbers:
            return rows[numbers.index(number)]
    return 1


async def _own_font(
    line: Line, width: int, height: int, line_height: int, index: int, shape: Mapping[str, Value | None], fonts: Fonts
) -> Proportional:
    """Read a font, by its row; one that says its version only once, however many signs have it.

    ``line_height``: of a sign that is made of lines, where the font's own spacing counts for nothing.
    """
    tall, between, leading, version, _ = key = tuple(shape.values())
    if not _whole(tall):
        raise PermanentError(f"the sign does not tell the height of the font in row {index}")
    widths = fonts.get(key) or await _widths(line, index)
    if _whole(version):
        while len(fonts) >= MOST_FONTS:
            fonts.pop(next(iter(fonts)))
        fonts[key] = widths
    rows = height // line_height if line_height else (height + _whole(leading)) // (_whole(tall) + _whole(leading))
    return Proportional(width, rows, widths, _whole(between))


async def _widths(line: Line, index: int) -> Mapping[str, int]:
    """Read the widths of all characters of a font."""
    widths: dict[str, int] = {}
    for start in range(0, len(LATIN_1), ASKED):
        codes = LATIN_1[start : start + ASKED]
        found = await line.get(*(f"{names.GLYPH_WIDTH}.{index}.{code}" for code in codes))
        widths |= {chr(code): _whole(wide) for code, wide in zip(codes, found, strict=True) if _whole(wide)}
    if " " not in widths:
        raise PermanentError(f"the sign does not tell the widths of the characters of the font in row {index}")
    return widths
