"""A page of a board as a picture: amber lights on black, one dot a light, in the board's own size."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from functools import lru_cache

from PIL import Image, ImageChops, ImageDraw

from bridge.core.font import Font, Matrix
from bridge.core.layout import Grid
from bridge.core.target import Sign
from bridge.files import OWN_FONT, load_font

DOT = 5  # pixels of the picture for one light, either way
EDGE = 6  # black pixels around the board
DARK, LIT = (34, 24, 8), (255, 176, 0)
MOST = 4_000_000  # pixels of a picture; a larger board gets smaller dots

# The box for a character that this font cannot draw; the board itself may be able to.
_UNKNOWN = ("####.", "#..#.", "#..#.", "#..#.", "#..#.", "#..#.", "####.")


def draw(page: Sequence[str], sign: Sign) -> bytes:
    """Draw one page as PNG."""
    face = sign.face
    font = face.font if isinstance(face, Matrix) else load_font(OWN_FONT)
    wide, high = size(sign)
    lights = Image.new("RGB", (wide, high), DARK)
    for x, y in _lit(page, face, font):
        if 0 <= x < wide and 0 <= y < high:
            lights.putpixel((x, y), LIT)
    dot = max(1, min(DOT, int((MOST / (wide * high)) ** 0.5)))
    picture = lights.resize((wide * dot, high * dot), Image.Resampling.NEAREST)
    if dot > 2:
        picture = ImageChops.multiply(picture, _dots(wide, high, dot))
    framed = Image.new("RGB", (picture.width + 2 * EDGE, picture.height + 2 * EDGE))
    framed.paste(picture, (EDGE, EDGE))
    written = io.BytesIO()
    framed.quantize(16).save(written, "PNG", optimize=True)
    return written.getvalue()


def size(sign: Sign) -> tuple[int, int]:
    """Give the lights of a board, across and down; one of cells is drawn with the bridge's own font."""
    face = sign.face
    if isinstance(face, Matrix):
        return face.width, face.pixel_rows
    font = load_font(OWN_FONT)
    return face.width * font.glyphs[" "].advance, face.rows * font.height


def undrawable(page: Sequence[str], sign: Sign) -> str:
    """Give the characters of a page that get a box in its picture."""
    font = load_font(OWN_FONT)
    return "" if isinstance(sign.face, Matrix) else Matrix(1, font.height, font).missing("".join(page))


def _lit(page: Sequence[str], face: object, font: Font) -> Iterator[tuple[int, int]]:
    for number, line in enumerate(page):
        x, y = 0, number * font.height
        for char in line:
            if char in font.glyphs:
                yield from font.pixels(char, x, y)
                x += font.glyphs[char].advance
            else:
                yield from _box(x, y + font.ascent - len(_UNKNOWN))
                x += (face.measure(char) if isinstance(face, Grid) else 1) * font.glyphs[" "].advance


def _box(x: int, y: int) -> Iterator[tuple[int, int]]:
    for down, row in enumerate(_UNKNOWN):
        yield from ((x + right, y + down) for right, light in enumerate(row) if light == "#")


@lru_cache(maxsize=32)
def _dots(wide: int, high: int, dot: int) -> Image.Image:
    """Make the mask that turns squares into round lights."""
    one = Image.new("L", (dot * 4, dot * 4))
    ImageDraw.Draw(one).ellipse((1, 1, dot * 4 - 3, dot * 4 - 3), fill=255)
    tile = one.resize((dot, dot), Image.Resampling.BOX)
    mask = Image.new("L", (wide * dot, high * dot))
    row = Image.new("L", (wide * dot, dot))
    for column in range(wide):
        row.paste(tile, (column * dot, 0))
    for line in range(high):
        mask.paste(row, (0, line * dot))
    return Image.merge("RGB", (mask, mask, mask))


@lru_cache(maxsize=2)
def stand_in(words: str) -> str:
    """Give a grey picture with ``words``, as a data URI, where a photo would be: nothing is fetched."""
    font = load_font(OWN_FONT)
    wide, high = 160, 120
    drawn = Image.new("L", (wide, high), 215)
    x = (wide - Matrix(1, font.height, font).measure(words)) // 2
    for char in words:
        for at in font.pixels(char, x, (high - font.height) // 2):
            drawn.putpixel(at, 60)
        x += font.glyphs[char].advance
    written = io.BytesIO()
    drawn.resize((wide * 2, high * 2), Image.Resampling.NEAREST).save(written, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(written.getvalue()).decode()
