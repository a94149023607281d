"""Who is meant: the alert's area against a target's place. On the edge counts as inside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import asin, cos, radians, sin, sqrt

from shapely import Point, Polygon, make_valid, transform
from shapely.geometry.base import BaseGeometry

from bridge.core.alert import Alert, Area, Category
from bridge.core.target import Target

EARTH_RADIUS_KM = 6371.0088  # mean radius, WGS 84
KM_PER_DEGREE = EARTH_RADIUS_KM * radians(1)
MENDABLE = 50  # points of a self-crossing ring that is untangled; a longer one is read as its hull
TOLERANCE_KM = 0.001  # a metre: what rounding of coordinates costs


# Where the people whom Burgernet serves are, and their neighbours: degrees (south, north), (west, east).
REGION = (49.0, 56.0), (1.0, 10.0)


@dataclass(frozen=True, slots=True)
class Shape:
    """A point, a circle (a point with a radius, km), a polygon, as (lat, lon) pairs; or a region, named by its code."""

    points: tuple[tuple[float, float], ...]
    radius: float = 0.0
    code: str = ""
    region: BaseGeometry | None = field(default=None, compare=False)  # (lon, lat); ``points`` has one within it

    @property
    def is_round(self) -> bool:
        """Whether it is a point or a circle."""
        return len(self.points) == 1 and self.region is None


@dataclass(frozen=True, slots=True)
class Place:
    """An area, read: its shapes and codes (name, value). ``swapped``: latitude and longitude were, and are mended."""

    shapes: tuple[Shape, ...] = ()
    codes: frozenset[tuple[str, str]] = frozenset()
    swapped: bool = False

    def __bool__(self) -> bool:
        return bool(self.shapes or self.codes)


Regions = Mapping[str, Shape]  # by their codes: what an administrator imported
NO_REGIONS: Regions = {}


def place_of(area: Area | None, regions: Regions = NO_REGIONS) -> Place:
    """Read an area of an alert, or the coverage of a target; codes of known regions are shapes as well."""
    if area is None:
        return Place()
    circles = [circle.strip().rpartition(" ") for circle in area.circle]
    shapes = [Shape((_point(centre),), float(radius)) for centre, _, radius in circles]
    shapes += [Shape(tuple(_point(point) for point in polygon.split())) for polygon in area.polygon]
    mended = [_unswapped(shape) for shape in shapes]
    codes = frozenset((code.valueName, code.value) for code in area.geocode)
    known = [regions[value] for _, value in sorted(codes) if value in regions]
    return Place((*mended, *known), codes, swapped=mended != shapes)


def _unswapped(shape: Shape) -> Shape:
    """Turn latitude and longitude around where that is plainly meant: far from here, and here the other way about."""
    if any(map(_is_near, shape.points)):
        return shape
    turned = tuple((lon, lat) for lat, lon in shape.points)
    return replace(shape, points=turned) if all(map(_is_near, turned)) else shape


def _is_near(point: tuple[float, float]) -> bool:
    (south, north), (west, east) = REGION
    return south <= point[0] <= north and west <= point[1] <= east


def place_of_target(target: Target, regions: Regions = NO_REGIONS) -> Place:
    """Read where a target stands and what it covers; empty means that every alert with an area is meant for it."""
    covered = place_of(target.coverage, regions)
    if target.location is None:
        return covered
    written = Shape(((target.location.lat, target.location.lon),))
    here = _unswapped(written)
    return replace(covered, shapes=(here, *covered.shapes), swapped=covered.swapped or here != written)


def is_national(alert: Alert) -> bool:
    """Tell whether an alert is for the whole country by its nature (AMBER), so that it needs no area."""
    return alert.category is Category.AMBER_ALERT


def goes_nowhere(alert: Alert) -> bool:
    """Tell whether an alert says neither where it is meant nor that it is for all."""
    return not is_national(alert) and not has_place(alert)


def has_place(alert: Alert) -> bool:
    """Tell whether an alert says where it is meant."""
    area = alert.area
    return bool(area and (area.circle or area.polygon or area.geocode))


def is_meant(alert: Alert, alert_place: Place, target: Target, target_place: Place) -> bool:
    """Tell whether an alert is meant for a target.

    An alert without an area is meant for those that accept national alerts when it is one; else it is meant for nobody.
    """
    if not alert_place:
        return is_national(alert) and target.accepts.national
    if not target_place or alert_place.codes & target_place.codes:
        return True
    return any(touch(ours, theirs) for ours in alert_place.shapes for theirs in target_place.shapes)


def _point(text: str) -> tuple[float, float]:
    lat, _, lon = text.partition(",")
    return float(lat), float(lon)


def touch(one: Shape, other: Shape) -> bool:
    """Tell whether two shapes meet; on the edge counts."""
    reach = one.radius + other.radius + TOLERANCE_KM
    if one.is_round and other.is_round:
        return distance_km(one.points[0], other.points[0]) <= reach
    origin = (other if other.region is not None else one).points[0]  # a region is flattened once
    return bool(flat(one, origin).distance(flat(other, origin)) <= reach)


def distance_km(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Great-circle distance between two (lat, lon) points, by the haversine formula."""
    (lat1, lon1), (lat2, lon2) = one, other
    half = sin(radians(lat2 - lat1) / 2) ** 2
    half += cos(radians(lat1)) * cos(radians(lat2)) * sin(radians(lon2 - lon1) / 2) ** 2
    return 2 * EARTH_RADIUS_KM * asin(min(1.0, sqrt(half)))


@lru_cache(maxsize=4096)
def flat(shape: Shape, origin: tuple[float, float]) -> BaseGeometry:
    """Project a shape on a plane in km around ``origin``; good to a metre or so at the size of a municipality."""
    scale = cos(radians(origin[0]))
    if shape.region is not None:
        factors = (scale * KM_PER_DEGREE, KM_PER_DEGREE)
        return transform(shape.region, lambda points: (points - (origin[1], origin[0])) * factors)
    north, east = origin
    points = [((lon - east) * scale * KM_PER_DEGREE, (lat - north) * KM_PER_DEGREE) for lat, lon in shape.points]
    if len(points) == 1:
        return Point(points[0])
    ring = Polygon(points)
    if ring.is_valid:
        return ring
    # To untangle a ring that crosses itself takes time that grows with the square of its crossings.
    return make_valid(ring) if len(points) <= MENDABLE else ring.convex_hull


def kinds_of(places: Iterable[Area | None]) -> frozenset[str]:
    """Name the forms in which an area is given: ``circle``, ``polygon``, ``geocode`` or ``none``."""
    found = {form for area in places if area for form in ("circle", "polygon", "geocode") if getattr(area, form)}
    return frozenset(found or {"none"})
