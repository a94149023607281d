"""What one NTCIP sign can show, as it says itself: its size, its characters with their widths, its limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bridge.adapters.ntcip_snmp import Line, Value
from bridge.core.content import Content
from bridge.core.errors import PermanentError
from bridge.core.layout import READING, DoesNotFit, Face, Grid, lay_out
from bridge.protocols import ntcip_names as names
from bridge.protocols.ntcip_multi import compose

ASKED = 40  # values in one request: well within a datagram
MOST_FONTS = 100  # that are remembered; a sign may name another each time
LATIN_1 = (*range(0x20, 0x7F), *range(0xA0, 0x100))
_CHARACTERS = frozenset(map(chr, LATIN_1)) - {" ", "\xa0", "\xad"}
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
    """One sign. ``pages`` and ``octets``: what one message holds at most."""

    face: Face
    pages: int
    octets: int
    tags: int

    def message(self, contents: Sequence[Content]) -> bytes:
        """Write the MULTI of some contents in turn, each whole; raise ``DoesNotFit``."""
        pages = [page for one in contents for page in lay_out(one.text, self, one.mark)]
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


async def read_board(line: Line, pages: int, fonts: Fonts) -> Board:
    """Ask a sign what it is; ``pages``: what its owner allows at most. Raise ``TransientError``, ``PermanentError``.

    ``fonts``: those that are known already, and after this the sign's own.
    """
    height, width, char_height, char_width, tags, most, octets, many, font = await line.get(
        names.SIGN_HEIGHT,
        names.SIGN_WIDTH,
        names.CHARACTER_HEIGHT,
        names.CHARACTER_WIDTH,
        names.SUPPORTED_TAGS,
        names.MAX_PAGES,
        names.MAX_LENGTH,
        names.FONTS,
        names.DEFAULT_FONT,
    )
    if not isinstance(height, int) or not isinstance(width, int) or height <= 0 or width <= 0:
        raise PermanentError("the sign does not tell its size: is it a text sign (NTCIP 1203)?")
    if _whole(char_width) and _whole(char_height):
        face: Face = Grid(width // _whole(char_width), height // _whole(char_height), _CHARACTERS)
    else:
        face = await _own_font(line, width, height, await _find(line, _whole(many), _whole(font) or 1), fonts)
    if not face.rows:
        raise PermanentError(f"the sign says that not one line fits on it ({face.size})")
    allowed = min(pages, _whole(most) or pages)
    return Board(face, allowed, _whole(octets) or 65_535, _bits(tags))


def _too_much(why: str, what: str) -> DoesNotFit:
    return DoesNotFit(why, f"{what} is te veel voor dit bord")


def _whole(value: Value | None) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _bits(tags: Value | None) -> int:
    """Read the supported tags; a sign that does not say has the plainest ones."""
    return int.from_bytes(tags, "little") if isinstance(tags, bytes) and tags else _ANY_TAG


async def _find(line: Line, fonts: int, number: int) -> int:
    """Find the row of the font that the sign uses when a message names none."""
    numbers = await line.get(*(f"{names.FONT_NUMBER}.{index}" for index in range(1, min(fonts, ASKED) + 1)))
    return numbers.index(number) + 1 if number in numbers else 1


async def _own_font(line: Line, width: int, height: int, index: int, fonts: Fonts) -> Proportional:
    """Read a font, by its row; one that says its version only once, however many signs have it."""
    tall, between, leading, version, name = await line.get(
        *(f"{one}.{index}" for one in (names.FONT_HEIGHT, names.FONT_SPACING, names.FONT_LINE_SPACING)),
        *(f"{one}.{index}" for one in (names.FONT_VERSION, names.FONT_NAME)),
    )
    if not _whole(tall):
        raise PermanentError(f"the sign does not tell the height of the font in row {index}")
    key = (version, name, tall, between, leading)
    widths = fonts.get(key) or await _widths(line, index)
    if _whole(version):
        while len(fonts) >= MOST_FONTS:
            fonts.pop(next(iter(fonts)))
        fonts[key] = widths
    rows = (height + _whole(leading)) // (_whole(tall) + _whole(leading))
    return Proportional(width, rows, widths, _whole(between))


async def _widths(line: Line, index: int) -> Mapping[str, int]:
    """Read the widths of all characters of a font."""
    widths: dict[str, int] = {}
    for start in range(0, len(LATIN_1), ASKED):
        codes = LATIN_1[start : start + ASKED]
        found = await line.get(*(f"{names.GLYPH_WIDTH}.{index}.{code}" for code in codes))
        widths |= {
            chr(code): wide for code, wide in zip(codes, found, strict=True) if isinstance(wide, int) and wide > 0
        }
    if " " not in widths:
        raise PermanentError(f"the sign does not tell the widths of the characters of the font in row {index}")
    return widths
