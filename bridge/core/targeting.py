"""Who is meant: the alert's area against a target's place. On the edge counts as inside."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from math import asin, cos, radians, sin, sqrt

from shapely import Point, Polygon, make_valid
from shapely.geometry.base import BaseGeometry

from bridge.core.alert import Alert, Area, Category
from bridge.core.target import Target

EARTH_RADIUS_KM = 6371.0088  # mean radius, WGS 84
KM_PER_DEGREE = EARTH_RADIUS_KM * radians(1)
MENDABLE = 50  # points of a self-crossing ring that is untangled; a longer one is read as its hull
TOLERANCE_KM = 0.001  # a metre: what rounding of coordinates costs


@dataclass(frozen=True, slots=True)
class Shape:
    """A point, a circle (a point with a radius, km) or a polygon, as (lat, lon) pairs."""

    points: tuple[tuple[float, float], ...]
    radius: float = 0.0


@dataclass(frozen=True, slots=True)
class Place:
    """An area, read: its shapes and its codes (name, value)."""

    shapes: tuple[Shape, ...] = ()
    codes: frozenset[tuple[str, str]] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.shapes or self.codes)


def place_of(area: Area | None) -> Place:
    """Read an area of an alert, or the coverage of a target."""
    if area is None:
        return Place()
    circles = [circle.strip().rpartition(" ") for circle in area.circle]
    shapes = [Shape((_point(centre),), float(radius)) for centre, _, radius in circles]
    shapes += [Shape(tuple(_point(point) for point in polygon.split())) for polygon in area.polygon]
    return Place(tuple(shapes), frozenset((code.valueName, code.value) for code in area.geocode))


def place_of_target(target: Target) -> Place:
    """Read where a target stands and what it covers; empty means that every alert is meant for it."""
    covered = place_of(target.coverage)
    if target.location is None:
        return covered
    here = Shape(((target.location.lat, target.location.lon),))
    return Place((here, *covered.shapes), covered.codes)


def is_meant(alert: Alert, alert_place: Place, target_place: Place) -> bool:
    """Tell whether an alert is meant for a target.

    An alert without an area is meant for all when it is national by its nature (AMBER); else it is meant only for
    targets without a place.
    """
    if not target_place:
        return True
    if not alert_place:
        return alert.category is Category.AMBER_ALERT
    if alert_place.codes & target_place.codes:
        return True
    return any(_touch(ours, theirs) for ours in alert_place.shapes for theirs in target_place.shapes)


def _point(text: str) -> tuple[float, float]:
    lat, _, lon = text.partition(",")
    return float(lat), float(lon)


def _touch(one: Shape, other: Shape) -> bool:
    reach = one.radius + other.radius + TOLERANCE_KM
    if len(one.points) == 1 and len(other.points) == 1:
        return distance_km(one.points[0], other.points[0]) <= reach
    origin = one.points[0]
    return bool(_flat(one, origin).distance(_flat(other, origin)) <= reach)


def distance_km(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Great-circle distance between two (lat, lon) points, by the haversine formula."""
    (lat1, lon1), (lat2, lon2) = one, other
    half = sin(radians(lat2 - lat1) / 2) ** 2
    half += cos(radians(lat1)) * cos(radians(lat2)) * sin(radians(lon2 - lon1) / 2) ** 2
    return 2 * EARTH_RADIUS_KM * asin(min(1.0, sqrt(half)))


@lru_cache(maxsize=1024)
def _flat(shape: Shape, origin: tuple[float, float]) -> BaseGeometry:
    """Project a shape on a plane in km around ``origin``; good to a metre or so at the size of a municipality."""
    scale = cos(radians(origin[0]))
    flat = [((lon - origin[1]) * scale * KM_PER_DEGREE, (lat - origin[0]) * KM_PER_DEGREE) for lat, lon in shape.points]
    if len(flat) == 1:
        return Point(flat[0])
    ring = Polygon(flat)
    if ring.is_valid:
        return ring
    # To untangle a ring that crosses itself takes time that grows with the square of its crossings.
    return make_valid(ring) if len(flat) <= MENDABLE else ring.convex_hull


def kinds_of(places: Iterable[Area | None]) -> frozenset[str]:
    """Name the forms in which an area is given: ``circle``, ``polygon``, ``geocode`` or ``none``."""
    found = {form for area in places if area for form in ("circle", "polygon", "geocode") if getattr(area, form)}
    return frozenset(found or {"none"})
