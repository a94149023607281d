"""Boundaries of municipalities, districts and neighbourhoods, as an administrator imports them (CBS, PDOK).

Read are GeoJSON (RFC 7946) and TopoJSON, with the properties ``statcode`` and ``statnaam``, in WGS 84 or in the Dutch
national grid (RD, EPSG:28992). Where the meaning of broken geometry is clear it is mended and told; else it is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from shapely import MultiPolygon, Polygon, from_wkb, get_coordinates, make_valid, to_wkb, transform
from shapely.errors import ShapelyError
from shapely.geometry import mapping, shape
from shapely.geometry.base import BaseGeometry

from bridge.core.errors import InvalidInput
from bridge.core.targeting import REGION, Regions, Shape

MAX_FILE = 512 * 1024 * 1024  # bytes
_BROKEN = (ShapelyError, ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError)


@dataclass
class Imported:
    """What was read: regions by their code, with their names; ``notes``: what was mended, a line each."""

    regions: dict[str, BaseGeometry] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_files(paths: Iterable[Path], track: Callable[[list[Any]], Iterable[Any]] = iter) -> Imported:
    """Read boundary files; raise ``InvalidInput`` with every fault. ``track`` may show how far it is."""
    found, problems = Imported(), []
    for path in paths:
        try:
            problems += [f"{path}: {line}" for line in add(found, _read_json(path), track)]
        except InvalidInput as error:
            problems += [f"{path}: {line}" for line in error.problems]
    if not problems and not found.regions:
        problems.append("there is no region in it; allowed: features with a statcode")
    if problems:
        raise InvalidInput(*problems[:100])
    return found


def add(found: Imported, document: Any, track: Callable[[list[Any]], Iterable[Any]] = iter) -> list[str]:
    """Take the regions of one document in; give the faults of its features, and raise ``InvalidInput`` for its own."""
    problems = []
    for number, feature in enumerate(track(_features(document)), 1):
        try:
            _add(found, feature)
        except InvalidInput as error:
            problems += [f"feature {number}: {line}" for line in error.problems]
    return problems


def _read_json(path: Path) -> Any:
    try:
        if path.stat().st_size > MAX_FILE:
            raise InvalidInput(f"has more than {MAX_FILE} bytes")
        return json.loads(path.read_bytes())
    except OSError as error:
        raise InvalidInput(f"cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise InvalidInput("is not JSON; allowed: GeoJSON or TopoJSON") from None


def _features(document: Any) -> list[Any]:
    kind = document.get("type") if isinstance(document, dict) else None
    if kind == "FeatureCollection" and isinstance(document.get("features"), list):
        return list(document["features"])
    if kind == "Topology":
        try:
            return list(_from_topology(document))
        except _BROKEN:
            raise InvalidInput("is no TopoJSON that can be read: its arcs do not fit its geometries") from None
    raise InvalidInput(
        f"type: {str(kind)[:40]!r} is not allowed; allowed: FeatureCollection (GeoJSON), Topology (TopoJSON)"
    )


def _from_topology(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Put the arcs of a TopoJSON together: neighbours share them, and one of the two has it backwards (~number)."""
    scale, shift = (document.get("transform") or {}).get("scale", (1, 1)), (0, 0)
    is_delta = "transform" in document
    if is_delta:
        shift = document["transform"]["translate"]
    arcs = []
    for arc in document["arcs"]:
        points = np.asarray(arc, dtype=float)[:, :2]
        arcs.append((np.cumsum(points, axis=0) if is_delta else points) * scale + shift)

    def ring(numbers: list[int]) -> list[list[float]]:
        parts = [arcs[number] if number >= 0 else arcs[~number][::-1] for number in numbers]
        joined = [part if place == 0 else part[1:] for place, part in enumerate(parts)]
        points: list[list[float]] = np.concatenate(joined).tolist()
        return points

    for member in document["objects"].values():
        for one in member["geometries"] if member["type"] == "GeometryCollection" else [member]:
            polygons = one["arcs"] if one["type"] == "MultiPolygon" else [one["arcs"]]
            coordinates = [[ring(numbers) for numbers in polygon] for polygon in polygons]
            geometry = {"type": "MultiPolygon", "coordinates": coordinates}
            yield {"properties": one.get("properties"), "geometry": geometry}


def _add(found: Imported, feature: Any) -> None:
    properties = feature.get("properties") if isinstance(feature, dict) else None
    properties = properties if isinstance(properties, dict) else {}
    code = properties.get("statcode")
    if not isinstance(code, str) or not code.strip() or len(code) > 64:
        raise InvalidInput("properties.statcode: is missing; allowed: a code like GM0546")
    code = code.strip()
    name = " ".join(str(properties.get("statnaam") or code).split())[:200]
    if code in found.regions:
        raise InvalidInput(f"{code}: stands twice")
    geometry, notes = _mended(code, feature.get("geometry"))
    found.regions[code], found.names[code] = geometry, name
    found.notes += [f"{code} {name}: {note}" for note in notes]


def _mended(code: str, given: Any) -> tuple[BaseGeometry, list[str]]:
    if not isinstance(given, dict) or given.get("type") not in ("Polygon", "MultiPolygon"):
        kind = given.get("type") if isinstance(given, dict) else given
        raise InvalidInput(f"{code}: geometry: {str(kind)[:40]!r} is not allowed; allowed: Polygon, MultiPolygon")
    notes = []
    try:
        if _is_open(given):
            notes.append("a ring that was not closed is closed")
        with np.errstate(invalid="ignore"):  # what is no number is refused below
            geometry = transform(shape(given), lambda points: points[:, :2])
        if geometry.is_empty or not np.isfinite(get_coordinates(geometry)).all():
            raise InvalidInput(f"{code}: geometry: has no area")
        geometry, note = _in_degrees(code, geometry)
    except _BROKEN:
        raise InvalidInput(f"{code}: geometry: its coordinates are no rings of points") from None
    notes += [note] if note else []
    if not geometry.is_valid:
        geometry = make_valid(geometry)
        notes.append("a ring that crossed itself is untangled")
    parts = [part for part in getattr(geometry, "geoms", [geometry]) if isinstance(part, (Polygon, MultiPolygon))]
    flat = [one for part in parts for one in getattr(part, "geoms", [part]) if one.area > 0]
    if not flat:
        raise InvalidInput(f"{code}: geometry: has no area")
    return MultiPolygon(flat), notes


def _is_open(given: Mapping[str, Any]) -> bool:
    polygons = given["coordinates"] if given["type"] == "MultiPolygon" else [given["coordinates"]]
    return any(list(ring[0]) != list(ring[-1]) for polygon in polygons for ring in polygon)


def _in_degrees(code: str, geometry: BaseGeometry) -> tuple[BaseGeometry, str]:
    """Give it in WGS 84 as (lon, lat), and what that took."""
    west, south, east, north = geometry.bounds
    if _is_inside(west, south, east, north):
        return geometry, ""
    if _is_inside(south, west, north, east):
        return transform(geometry, lambda points: points[:, ::-1]), "latitude and longitude were swapped"
    if west >= -10_000 and east <= 310_000 and south >= 280_000 and north <= 640_000:
        return transform(geometry, from_rd), ""
    where = f"{west:g}, {south:g} to {east:g}, {north:g}"
    raise InvalidInput(f"{code}: geometry: {where} is neither WGS 84 in or near the Netherlands, nor RD (EPSG:28992)")


def _is_inside(west: float, south: float, east: float, north: float) -> bool:
    (least, most), (left, right) = REGION
    return left <= west and east <= right and least <= south and north <= most


# Schreutelkamp and Strang van Hees (2001): RD to WGS 84, right to about half a metre. (power of x, power of y, factor)
_LAT = (
    *((0, 1, 3235.65389), (2, 0, -32.58297), (0, 2, -0.24750), (2, 1, -0.84978), (0, 3, -0.06550), (2, 2, -0.01709)),
    *((1, 0, -0.00738), (4, 0, 0.00530), (2, 3, -0.00039), (4, 1, 0.00033), (1, 1, -0.00012)),
)
_LON = (
    *((1, 0, 5260.52916), (1, 1, 105.94684), (1, 2, 2.45656), (3, 0, -0.81885), (1, 3, 0.05594), (3, 1, -0.05607)),
    *((0, 1, 0.01199), (3, 2, -0.00256), (1, 4, 0.00128), (0, 2, 0.00022), (2, 0, -0.00022), (5, 0, 0.00026)),
)


def from_rd(points: Any) -> Any:
    """Turn points of the Dutch national grid (x, y in metres) into WGS 84 (lon, lat in degrees)."""
    x, y = (points[:, 0] - 155_000) * 1e-5, (points[:, 1] - 463_000) * 1e-5
    lat = 52.15517440 + sum(factor * x**p * y**q for p, q, factor in _LAT) / 3600
    lon = 5.38720621 + sum(factor * x**p * y**q for p, q, factor in _LON) / 3600
    return np.column_stack([lon, lat])


def write(path: Path, found: Imported) -> None:
    """Keep what was imported: whole, or not at all."""
    features = [
        {
            "type": "Feature",
            "properties": {"statcode": code, "statnaam": found.names[code]},
            "geometry": mapping(geometry),
        }
        for code, geometry in sorted(found.regions.items())
    ]
    text = json.dumps({"type": "FeatureCollection", "features": features}, separators=(",", ":"))
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, "utf-8")
        part.replace(path)
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be written ({error.strerror})") from None


def load(path: Path) -> tuple[Regions, str]:
    """Read what was imported, for targeting, and a word that changes when it does; no file: no regions."""
    try:
        known = path.stat()
    except OSError:
        return {}, ""
    return _load(path, known.st_mtime_ns, known.st_size)


@lru_cache(maxsize=2)
def _load(path: Path, written: int, size: int) -> tuple[Regions, str]:
    found = read_files([path])
    regions = {}
    for code, geometry in found.regions.items():
        inside = geometry.representative_point()
        regions[code] = Shape(((inside.y, inside.x),), code=code, region=from_wkb(to_wkb(geometry)))
    return regions, f"{written}/{size}"
