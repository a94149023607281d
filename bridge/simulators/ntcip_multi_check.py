"""What a strict sign finds wrong with a text (NTCIP 1203, 6): dmsMultiSyntaxError and its position."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

NOTHING_WRONG = 2
UNSUPPORTED_TAG, UNSUPPORTED_VALUE, TOO_BIG, NO_CHARACTER, TOO_MANY_PAGES = 3, 4, 5, 7, 12
SPACING = 1  # pixels between two characters
_TAG = re.compile(rb"\[\[|\]\]|\[([^\[\]]*)\]|[\[\]]")
_KNOWN_TAG = re.compile(rb"nl|np|[jJ][lp][1-5]|fo1?|pt([0-9]{1,3})(?:o([0-9]{1,3}))?", re.IGNORECASE)


@dataclass(frozen=True)
class Face:
    """A sign's face: what a line holds, how many lines and pages there are, how wide each character is (0: none)."""

    width: int
    rows: int
    pages: int
    wide: Callable[[int], int]
    spacing: int = SPACING


def fault_of(multi: bytes, face: Face) -> tuple[int, int]:
    """Find the first thing that is wrong with a text, and where it is; 2: nothing."""
    position, used, lines, pages = 0, 0, 1, 1
    while position < len(multi):
        match = _TAG.match(multi, position)
        if match is None or match[0] in (b"[[", b"]]"):
            wide = face.wide(multi[position])
            if not wide or multi[position] < 32:
                return NO_CHARACTER, position
            used += wide + (face.spacing if used else 0)
            position += 2 if match else 1
            if used > face.width:
                return TOO_BIG, position
            continue
        known = _KNOWN_TAG.fullmatch(match[1]) if match[1] is not None else None
        if known is None:
            return UNSUPPORTED_TAG, position
        if any(int(number) > 255 for number in known.groups(b"0")):
            return UNSUPPORTED_VALUE, position
        tag = match[1].lower()
        if tag in (b"nl", b"np"):
            used, lines, pages = 0, lines + 1 if tag == b"nl" else 1, pages + (tag == b"np")
        if lines > face.rows:
            return TOO_BIG, position
        if pages > face.pages:
            return TOO_MANY_PAGES, position
        position = match.end()
    return NOTHING_WRONG, 0
