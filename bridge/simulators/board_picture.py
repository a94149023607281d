"""How a board looks from the road: amber letters on black, for a terminal."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from rich.box import HEAVY
from rich.cells import cell_len
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from bridge.simulators.board_body import Body

_LIT = "bold #ffb000 on #000000"
_DARK = "#4d3500 on #000000"


def picture(board: str, bodies: Collection[Body], columns: int, rows: int) -> RenderableType:
    """Draw every page of everything a board shows, side by side; a dark board when it shows nothing."""
    return draw(board, [(lines, _caption(body)) for body in bodies for lines in body["pages"]], columns, rows)


def draw(board: str, pages: Iterable[tuple[Sequence[str], str]], columns: int, rows: int) -> RenderableType:
    """Draw pages (their lines, and a caption) side by side; a dark board when there are none."""
    faces = [_page(lines, caption, columns, rows) for lines, caption in pages] or [_dark(columns, rows)]
    return Group(Text(board, style="bold"), Columns(faces))


def _page(lines: Sequence[str], caption: str, columns: int, rows: int) -> Panel:
    """Draw one page. Lines are data, never markup, and are not cut: what does not fit makes the board wider."""
    width = max([columns, *map(cell_len, lines)])
    shown = [*lines, *([""] * (rows - len(lines)))]
    face = Text("\n".join(line + " " * (width - cell_len(line)) for line in shown), style=_LIT)
    return _panel(face, width, caption)


def _caption(body: Body) -> str:
    words = [f"revision {body['revision']}", body["language"]]
    if body["exercise"]:
        words.append("exercise")
    if body["photo"]:
        words.append("▣ photo")
    return " · ".join(words)


def _dark(columns: int, rows: int) -> Panel:
    return _panel(Text("\n".join(["·" * columns] * rows), style=_DARK), columns, "dark")


def _panel(face: Text, width: int, caption: str) -> Panel:
    face.no_wrap = True
    return Panel(
        face,
        box=HEAVY,
        width=max(width, len(caption) + 2) + 4,
        subtitle=Text(caption),
        style="on #000000",
        padding=(0, 1),
    )
