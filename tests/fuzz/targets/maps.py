"""Boundaries and fonts: files that an administrator got from somebody else."""

from __future__ import annotations

import json

from bridge.boundaries import Imported, add
from bridge.core.errors import InvalidInput
from bridge.core.font import MAX_SIDE, BadFont, read_font
from bridge.core.layout import DoesNotFit, lay_out
from bridge.core.target import Sign
from bridge.core.targeting import REGION
from bridge.files import OWN_FONT
from tests.fuzz.harness import promise, target
from tests.fuzz.mutate import Shape


def printable(line: str) -> None:
    """A reason is one printable line."""
    promise(line.isprintable() and len(line) <= 1_000, "a problem is one printable line, and no page")


RING = [[4.4, 52.1], [4.6, 52.1], [4.6, 52.2], [4.4, 52.2], [4.4, 52.1]]
FEATURE = {
    "type": "Feature",
    "properties": {"statcode": "GM0546", "statnaam": "Leiden"},
    "geometry": {"type": "Polygon", "coordinates": [RING]},
}
RD = [[93_000, 463_000], [95_000, 463_000], [95_000, 465_000], [93_000, 463_000]]
TOPOLOGY = {
    "type": "Topology",
    "transform": {"scale": [0.1, 0.1], "translate": [4.0, 52.0]},
    "arcs": [[[5, 1], [0, 1]], [[5, 2], [-1, 0], [0, -1], [1, 0]]],
    "objects": {"x": {"type": "Polygon", "arcs": [[0, 1]], "properties": {"statcode": "GM1"}}},
}


@target(
    shape=Shape.JSON,
    seeds=[
        json.dumps({"type": "FeatureCollection", "features": [FEATURE]}),
        json.dumps(
            {
                "type": "FeatureCollection",
                "features": [FEATURE | {"geometry": {"type": "Polygon", "coordinates": [RD]}}],
            }
        ),
        json.dumps(TOPOLOGY),
    ],
    most=40_000,
)
def boundaries(data: bytes) -> None:
    """Boundaries: regions near here that are whole, or a reason."""
    found = Imported()
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return
    try:
        problems = add(found, document)
    except InvalidInput as error:
        problems = list(error.problems)
    for line in problems:
        printable(line)
    (south, north), (west, east) = REGION
    for geometry in found.regions.values():
        left, low, right, high = geometry.bounds
        promise(geometry.is_valid and geometry.area > 0, "a region is whole")
        promise(
            west - 1 <= left <= right <= east + 1 and south - 1 <= low <= high <= north + 1, "a region is near here"
        )


FONT = OWN_FONT.read_text("latin-1")
SMALL = FONT[: FONT.index("STARTCHAR U+0023")] + "ENDFONT\n"


@target(shape=Shape.TEXT, seeds=[SMALL], most=20_000)
def font(data: bytes) -> None:
    """A BDF font: lays out and draws within its bounds, or a reason with its line."""
    try:
        read = read_font(data.decode("latin-1"), "x")
    except BadFont as error:
        printable(str(error))
        promise(str(error).startswith("line "), "a fault has its line")
        return
    promise(1 <= read.height <= MAX_SIDE, "a line has a height")
    sign = Sign(width=60, height=read.height, pages=3).with_font(read)
    try:
        lay_out('! " !!', sign)
    except DoesNotFit as refusal:
        printable(str(refusal))
    for char in list(read.glyphs)[:20]:
        promise(
            sum(1 for _ in read.pixels(char, 0, 0)) <= MAX_SIDE * MAX_SIDE, "a character has so many lights at most"
        )
