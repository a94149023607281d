"""How the boards look from the road, side by side: amber letters, and the photo as the board itself got it."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from io import BytesIO

from PIL import Image
from rich.box import HEAVY
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bridge.core.target import Sign
from bridge.demo.words import Words
from bridge.demo.world import SIGNS, World
from bridge.simulators.board_body import Body

_LIT = "bold #ffb000 on #000000"
_UNLIT = "#4d3500 on #000000"
_SHADES = " ░▒▓█"
_FRAME = 4  # columns: an edge and a blank on both sides
_PHOTO = 10  # columns


def street(world: World, words: Words, width: int, *, colours: bool) -> RenderableType:
    """Draw every board that may show alerts, as many beside each other as fit in ``width`` columns."""
    return _rows(
        [face for name in ("bord-a44", "lichtkrant", "halte") for face in faces(name, world, words, colours)], width
    )


def faces(name: str, world: World, words: Words, colours: bool) -> list[Panel]:
    """Draw one board: one face for every page of everything that it shows, or one dark face."""
    sign, reachable = SIGNS[name], name not in world.unreachable
    bodies = list(world.boards[name].shown(name).values())
    lost = "" if reachable else words("face.unreachable")
    title = words.place(name)
    found = []
    for body in bodies:
        for number, page in enumerate(body["pages"], 1):
            pages = words("face.page", number=number, of=len(body["pages"])) if len(body["pages"]) > 1 else ""
            caption = lost or " · ".join(filter(None, (words("face.version", number=body["revision"]), pages)))
            found.append(_face(title, caption, _content(page, body, sign, colours), sign, alarm=bool(lost)))
    return found or [_face(title, lost or words("face.dark"), _dark(sign), sign, alarm=bool(lost))]


def _face(title: str, caption: str, content: RenderableType, sign: Sign, *, alarm: bool) -> Panel:
    return Panel(
        content,
        box=HEAVY,
        title=Text(title, style="bold"),
        subtitle=Text(caption, style="bold red" if alarm else "dim"),
        width=_width(sign),
        height=sign.rows + 2,
        border_style="red" if alarm else "",
        style="on #000000",
        padding=(0, 1),
    )


def _width(sign: Sign) -> int:
    return sign.columns + (_PHOTO + 1 if sign.photo else 0) + _FRAME


def _content(page: Sequence[str], body: Body, sign: Sign, colours: bool) -> RenderableType:
    lines = [*page, *([""] * (sign.rows - len(page)))]
    text = Text("\n".join(line.ljust(sign.columns) for line in lines), style=_LIT, no_wrap=True)
    if not sign.photo or not body["photo"]:
        return text
    beside = Table.grid(padding=(0, 1, 0, 0))
    beside.add_row(text, _thumbnail(body["photo"]["uri"], sign.rows, colours))
    return beside


def _dark(sign: Sign) -> Text:
    width = _width(sign) - _FRAME
    return Text("\n".join(["·" * width] * sign.rows), style=_UNLIT, no_wrap=True)


def _thumbnail(uri: str, rows: int, colours: bool) -> Text:
    """Draw a JPEG (a data URI) in half blocks, two dots to a character; in shades where there are no colours."""
    with Image.open(BytesIO(base64.b64decode(uri.partition(",")[2]))) as photo:
        if not colours:
            small = photo.convert("L").resize((_PHOTO, rows))
            dots = [small.getpixel((x, y)) for y in range(rows) for x in range(_PHOTO)]
            shades = "".join(_SHADES[min(4, (255 - int(str(dot))) * 5 // 256)] for dot in dots)
            return Text("\n".join(shades[start : start + _PHOTO] for start in range(0, len(shades), _PHOTO)))
        small = photo.convert("RGB").resize((_PHOTO, rows * 2))
    drawn = Text(no_wrap=True)
    for y in range(0, rows * 2, 2):
        for x in range(_PHOTO):
            drawn.append("▀", f"{_colour(small, x, y)} on {_colour(small, x, y + 1)}")
        drawn.append("\n" if y < rows * 2 - 2 else "")
    return drawn


def _colour(image: Image.Image, x: int, y: int) -> str:
    dot = image.getpixel((x, y))
    red, green, blue = dot[:3] if isinstance(dot, tuple) else (0, 0, 0)
    return f"#{int(red):02x}{int(green):02x}{int(blue):02x}"


def _rows(panels: Sequence[Panel], width: int) -> RenderableType:
    """Put panels beside each other, and below each other when a row is full."""
    rows: list[list[Panel]] = [[]]
    used = 0
    for panel in panels:
        wide = (panel.width or 0) + 1
        if rows[-1] and used + wide > width:
            rows.append([])
            used = 0
        rows[-1].append(panel)
        used += wide
    return Group(*(_row(row) for row in rows))


def _row(panels: Iterable[Panel]) -> Table:
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_row(*panels)
    return grid
