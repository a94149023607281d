"""Does it fit: the original text on a board of columns × rows × pages, whole or not at all (R3, I7)."""

from __future__ import annotations

from bridge.core.target import Sign

Pages = tuple[tuple[str, ...], ...]


class DoesNotFit(Exception):
    """The text cannot be shown in full on this board; the message says why, ``dutch`` too."""

    def __init__(self, why: str, dutch: str) -> None:
        super().__init__(why)
        self.dutch = dutch


def lay_out(text: str, sign: Sign, mark: str = "") -> Pages:
    """Break ``text`` at white space into pages of lines; raise ``DoesNotFit`` when a word or the whole is too long.

    Reading the pages in order gives back the text with white space folded. ``mark`` (OEFENING, TEST) gets a page of
    its own in front.
    """
    lines = _lines(text.split(), sign.columns)
    pages = [tuple(lines[start : start + sign.rows]) for start in range(0, len(lines), sign.rows)]
    if mark:
        pages = [tuple(_lines([mark], sign.columns)), *pages]
    if len(pages) > sign.pages:
        size = f"{sign.columns}x{sign.rows}"
        raise DoesNotFit(
            f"needs {len(pages)} pages of {size}, the board has {sign.pages}",
            f"het zijn {len(pages)} schermen van {size}, het bord heeft er {sign.pages}",
        )
    return tuple(pages)


def _lines(words: list[str], columns: int) -> list[str]:
    lines: list[str] = []
    for word in words:
        if len(word) > columns:
            raise DoesNotFit(
                f"the word {word[:40]!r} has {len(word)} characters, a line has {columns}",
                f"het woord {word[:40]!r} heeft {len(word)} tekens, een regel {columns}",
            )
        if lines and len(lines[-1]) + 1 + len(word) <= columns:
            lines[-1] = f"{lines[-1]} {word}"
        else:
            lines.append(word)
    return lines
