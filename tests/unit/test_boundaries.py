"""Boundaries as CBS and PDOK publish them, and as they should not be: mended and told, or refused with the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shapely.geometry import Point, mapping
from shapely.geometry.base import BaseGeometry

from bridge import boundaries
from bridge.boundaries import from_rd
from bridge.core.errors import InvalidInput

SQUARE = [[4.4, 52.1], [4.6, 52.1], [4.6, 52.2], [4.4, 52.2], [4.4, 52.1]]
INSIDE = Point(4.5, 52.15)


def collection(*features: tuple[str, Any], **more: Any) -> dict[str, Any]:
    """Make a GeoJSON of codes and geometries."""
    listed = [
        {"type": "Feature", "properties": {"statcode": code, "statnaam": f"Naam van {code}"}, "geometry": geometry}
        for code, geometry in features
    ]
    return {"type": "FeatureCollection", "features": listed, **more}


def polygon(*rings: Any) -> dict[str, Any]:
    """Make a polygon."""
    return {"type": "Polygon", "coordinates": list(rings)}


def read(tmp_path: Path, document: Any) -> boundaries.Imported:
    """Read one file."""
    file = tmp_path / "in.json"
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    return boundaries.read_files([file])


def the_one(found: boundaries.Imported) -> BaseGeometry:
    """Give the only region."""
    [geometry] = found.regions.values()
    return geometry


def test_geojson(tmp_path: Path) -> None:
    """Codes, names and shapes, heights left out."""
    high = [[*point, 3.0] for point in SQUARE]
    found = read(tmp_path, collection(("GM0546", polygon(high)), ("WK054601", mapping(INSIDE.buffer(0.01)))))
    assert (list(found.regions), found.notes) == (["GM0546", "WK054601"], [])
    assert found.names["GM0546"] == "Naam van GM0546"
    assert found.regions["GM0546"].contains(INSIDE)


def test_topojson(tmp_path: Path) -> None:
    """Two neighbours that share an arc, one of them backwards; numbers are steps from the one before."""
    topology = {
        "type": "Topology",
        "transform": {"scale": [0.1, 0.1], "translate": [4.0, 52.0]},
        "arcs": [[[5, 1], [0, 1]], [[5, 2], [-1, 0], [0, -1], [1, 0]], [[5, 1], [1, 0], [0, 1], [-1, 0]]],
        "objects": {
            "gemeenten": {
                "type": "GeometryCollection",
                "geometries": [
                    {"type": "Polygon", "arcs": [[0, 1]], "properties": {"statcode": "GM1", "statnaam": "West"}},
                    {"type": "MultiPolygon", "arcs": [[[~0, 2]]], "properties": {"statcode": "GM2"}},
                ],
            }
        },
    }
    found = read(tmp_path, topology)
    assert found.regions["GM1"].bounds == pytest.approx((4.4, 52.1, 4.5, 52.2))
    assert found.regions["GM2"].bounds == pytest.approx((4.5, 52.1, 4.6, 52.2))
    assert found.names == {"GM1": "West", "GM2": "GM2"}
    assert found.regions["GM1"].touches(found.regions["GM2"])


@pytest.mark.parametrize(
    ("rd", "wgs84"),
    [
        ((155_000, 463_000), (52.15517440, 5.38720621)),  # Amersfoort, the origin
        ((233_883.131, 582_065.167), (53.21938317, 6.56820053)),  # Groningen, Martinitoren
        ((120_700.723, 487_525.501), (52.37453253, 4.88352559)),  # Amsterdam, Westertoren
    ],
)
def test_the_dutch_grid(rd: tuple[float, float], wgs84: tuple[float, float]) -> None:
    """Known towers come out where they stand, to a metre."""
    [(lon, lat)] = from_rd(np.array([rd]))
    assert abs(lat - wgs84[0]) * 111_000 < 1
    assert abs(lon - wgs84[1]) * 68_000 < 1


def test_what_is_in_the_dutch_grid_is_converted(tmp_path: Path) -> None:
    """PDOK gives RD where it is not asked for anything else."""
    ring = [[93_000, 463_000], [95_000, 463_000], [95_000, 465_000], [93_000, 465_000], [93_000, 463_000]]
    found = read(tmp_path, collection(("GM0546", polygon(ring))))
    west, south, east, north = the_one(found).bounds
    assert 4.4 < west < east < 4.6
    assert 52.1 < south < north < 52.2
    assert found.notes == []


@pytest.mark.parametrize(
    ("ring", "note"),
    [
        (SQUARE[:-1], "a ring that was not closed is closed"),
        ([[lat, lon] for lon, lat in SQUARE], "latitude and longitude were swapped"),
        ([SQUARE[0], SQUARE[2], SQUARE[1], SQUARE[3], SQUARE[0]], "a ring that crossed itself is untangled"),
    ],
)
def test_clear_mistakes_are_mended_and_told(tmp_path: Path, ring: Any, note: str) -> None:
    """The region is where it should be, and the note names it."""
    found = read(tmp_path, collection(("GM0546", polygon(ring))))
    assert found.notes == [f"GM0546 Naam van GM0546: {note}"]
    assert the_one(found).bounds == pytest.approx((4.4, 52.1, 4.6, 52.2))
    assert the_one(found).is_valid


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ("hello", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ({"type": "Feature"}, "type: 'Feature' is not allowed"),
        ([], "type: 'None' is not allowed"),
        ({"type": "Topology"}, "is no TopoJSON that can be read"),
        (collection(), "there is no region in it"),
        (collection(("", polygon(SQUARE))), "properties.statcode: is missing"),
        (collection(("GM1", None)), "GM1: geometry: 'None' is not allowed"),
        (collection(("GM1", mapping(INSIDE))), "GM1: geometry: 'Point' is not allowed"),
        (collection(("GM1", polygon("x"))), "GM1: geometry: its coordinates are no rings of points"),
        (collection(("GM1", polygon([[4, 52], [5, 52]]))), "GM1: geometry: its coordinates are no rings of points"),
        (collection(("GM1", polygon([[4, 52], [4, 52], [4, 52], [4, 52]]))), "GM1: geometry: has no area"),
        (
            collection(("GM1", polygon([[x + 100, y] for x, y in SQUARE]))),
            "GM1: geometry: 104.4, 52.1 to 104.6, 52.2 is",
        ),
        (collection(("GM1", polygon([[float("nan")] * 2] * 4))), "GM1: geometry: "),
        (collection(("GM1", polygon(SQUARE)), ("GM1", polygon(SQUARE))), "feature 2: GM1: stands twice"),
    ],
)
def test_what_is_not_clear_is_refused(tmp_path: Path, document: Any, why: str) -> None:
    """Nothing is guessed: the fault is named with its region."""
    with pytest.raises(InvalidInput) as error:
        read(tmp_path, document)
    assert why in str(error.value)


def test_kept_and_read_again(tmp_path: Path) -> None:
    """What was imported is a file of its own; another import takes its place, and no file means no regions."""
    kept = tmp_path / "config" / "boundaries.geojson"
    assert boundaries.load(kept) == ({}, "")
    boundaries.write(kept, read(tmp_path, collection(("GM0546", polygon(SQUARE)))))
    regions, mark = boundaries.load(kept)
    assert regions["GM0546"].region
    assert regions["GM0546"].region.contains(INSIDE)
    assert mark
    boundaries.write(kept, read(tmp_path, collection(("GM0547", polygon(SQUARE)), ("GM1", polygon(SQUARE)))))
    assert list(boundaries.load(kept)[0]) == ["GM0547", "GM1"]
    assert boundaries.load(kept)[1] != mark
    assert [path.name for path in kept.parent.iterdir()] == ["boundaries.geojson"]
