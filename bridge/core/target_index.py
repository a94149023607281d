"""Finds whom an alert is meant for among very many targets: a tree of boxes first, then the exact distance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from shapely import STRtree, bounds, box

from bridge.core.alert import Alert, Area
from bridge.core.target import Target
from bridge.core.targeting import (
    EARTH_RADIUS_KM,
    KM_PER_DEGREE,
    NO_REGIONS,
    TOLERANCE_KM,
    Place,
    Regions,
    Shape,
    is_meant,
    is_national,
    place_of,
    place_of_target,
    touch,
)

FAR = 5.0  # degrees: as far as one alert, or one target, may reach for the tree to be trusted
POLAR = 70.0  # degrees of latitude, from where a degree of longitude is too short for boxes
SURE_KM = 1e-6  # a millimetre: nearer to the edge than this the one exact formula decides
_KEPT = 8  # answers that are kept: a long list of targets is planned in many steps


class TargetIndex:
    """Whom alerts are meant for, among ``targets``. Made once for a list; the answers are those of ``is_meant``."""

    def __init__(self, targets: Sequence[Target], regions: Regions = NO_REGIONS) -> None:
        self._targets = targets
        self._regions = regions
        self._places = [place_of_target(target, regions) for target in targets]
        self._anywhere = [number for number, place in enumerate(self._places) if not place]
        self._coded: dict[tuple[str, str], list[int]] = defaultdict(list)
        owners: dict[Shape, list[int]] = defaultdict(list)
        for number, place in enumerate(self._places):
            for code in place.codes:
                self._coded[code].append(number)
            for shape in place.shapes:
                owners[shape].append(number)
        self._shapes, self._owners = list(owners), list(owners.values())
        boxes, wide = _boxes(self._shapes)
        self._wide = {number for at in np.flatnonzero(wide) for number in self._owners[at]}
        self._tree = STRtree(boxes)
        self._round = np.array([shape.is_round for shape in self._shapes], dtype=bool)
        self._lat = np.radians([shape.points[0][0] for shape in self._shapes])
        self._lon = np.radians([shape.points[0][1] for shape in self._shapes])
        self._radius = np.array([shape.radius for shape in self._shapes])
        self._answers: dict[object, frozenset[str]] = {}

    def meant(self, alert: Alert) -> frozenset[str]:
        """Name the targets that an alert is meant for."""
        key = (_said(alert.area), is_national(alert))
        answer = self._answers.get(key)
        if answer is None:
            if len(self._answers) >= _KEPT:
                self._answers.clear()
            answer = self._answers[key] = frozenset(self._targets[number].id for number in self._meant(alert))
        return answer

    def _meant(self, alert: Alert) -> Iterator[int]:
        place = place_of(alert.area, self._regions)
        if not place:
            yield from self._all(alert, place, range(len(self._targets)))
            return
        yield from self._anywhere
        for code in place.codes:
            yield from self._coded.get(code, ())
        yield from self._all(alert, place, self._wide)
        boxes, wide = _boxes(place.shapes)
        for shape, box_of_it, is_wide in zip(place.shapes, boxes, wide, strict=True):
            if is_wide:
                yield from self._all(alert, place, range(len(self._targets)))
            else:
                yield from self._near(shape, self._tree.query(box_of_it))

    def _all(self, alert: Alert, place: Place, numbers: Any) -> Iterator[int]:
        return (one for one in numbers if is_meant(alert, place, self._targets[one], self._places[one]))

    def _near(self, shape: Shape, found: Any) -> Iterator[int]:
        if shape.is_round:
            inside, doubtful = self._within(shape, found[self._round[found]])
            for number in inside:
                yield from self._owners[number]
            found = np.concatenate([doubtful, found[~self._round[found]]])
        for number in found:
            if touch(shape, self._shapes[number]):
                yield from self._owners[number]

    def _within(self, shape: Shape, found: Any) -> tuple[Any, Any]:
        """Tell which points and circles a circle reaches for sure, and which are too near to its edge to say."""
        lat, lon = np.radians(shape.points[0])
        half = np.sin((self._lat[found] - lat) / 2) ** 2
        half += np.cos(lat) * np.cos(self._lat[found]) * np.sin((self._lon[found] - lon) / 2) ** 2
        away = 2 * EARTH_RADIUS_KM * np.arcsin(np.minimum(1.0, np.sqrt(half)))
        past = away - (shape.radius + self._radius[found] + TOLERANCE_KM)
        return found[past < -SURE_KM], found[np.abs(past) <= SURE_KM]


def _said(area: Area | None) -> object:
    """Give what an area says of where it is; what else stands in it does not matter."""
    if area is None:
        return None
    return area.circle, area.polygon, tuple((code.valueName, code.value) for code in area.geocode)


def _boxes(shapes: Sequence[Shape]) -> tuple[Any, Any]:
    """Give a box of degrees around each shape, never too small; and for which of them boxes are no good.

    Those are huge, near a pole, or near the date line.
    """
    extents = np.array([_extent(shape) for shape in shapes]).reshape(-1, 4)
    west, south, east, north = extents.T
    up = (np.array([shape.radius for shape in shapes]) + TOLERANCE_KM) / KM_PER_DEGREE * 1.01
    polar = np.maximum(np.abs(south), np.abs(north))
    aside = up / np.cos(np.radians(np.minimum(89.0, polar + 2 * FAR)))
    wide = (up + (north - south) > FAR) | (polar > POLAR) | (east + aside > 170) | (west - aside < -170)
    return box(west - aside, south - up, east + aside, north + up), wide


def _extent(shape: Shape) -> tuple[float, float, float, float]:
    """Give west, south, east and north of a shape, in degrees, without its radius."""
    if shape.region is not None:
        return tuple(bounds(shape.region))
    if shape.is_round:
        lat, lon = shape.points[0]
        return lon, lat, lon, lat
    lats, lons = zip(*shape.points, strict=True)
    return min(lons), min(lats), max(lons), max(lats)
