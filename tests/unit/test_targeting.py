"""Who is meant: circles, polygons and codes against a target's place; the edge is inside, a kilometre further is not."""

from __future__ import annotations

from math import cos, radians
from random import Random
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bridge.core.alert import Area
from bridge.core.target_index import TargetIndex
from bridge.core.targeting import KM_PER_DEGREE, distance_km, is_meant, kinds_of, place_of, place_of_target
from tests.unit.samples import alert, target

LEIDEN = (52.160, 4.497)
GEMEENTE = {"valueName": "gemeente", "value": "GM0546"}
SQUARE = "52.10,4.40 52.10,4.60 52.20,4.60 52.20,4.40"

latitudes, longitudes = st.floats(50.5, 53.7), st.floats(3.2, 7.3)
points = st.tuples(latitudes, longitudes)


def meant(area: dict[str, Any] | None, category: str = "missing_child_alert", **place: Any) -> bool:
    """Tell whether an alert for ``area`` is meant for a target at ``place``."""
    sent = alert(area=area, category=category)
    there = target(**place)
    answer = is_meant(sent, place_of(sent.area), there, place_of_target(there))
    assert ("bord" in TargetIndex([there]).meant(sent)) == answer
    return answer


def at(lat: float, lon: float) -> dict[str, Any]:
    """Give a target's location."""
    return {"location": {"lat": lat, "lon": lon}}


def circle(lat: float, lon: float, km: float) -> dict[str, Any]:
    """Give an area that is one circle."""
    return {"circle": [f"{lat!r},{lon!r} {km!r}"]}


def east(km: float, lat: float, lon: float) -> tuple[float, float]:
    """Go so many kilometres east."""
    return lat, lon + km / (KM_PER_DEGREE * cos(radians(lat)))


@pytest.mark.parametrize(
    ("one", "other", "km"),
    [
        ((52.3676, 4.9041), (51.9244, 4.4777), 57.3),  # Amsterdam - Rotterdam
        ((52.0907, 5.1214), (50.8514, 5.6910), 143.1),  # Utrecht - Maastricht
        ((0.0, 0.0), (0.0, 180.0), 20015.1),
        ((90.0, 0.0), (-90.0, 77.0), 20015.1),
        ((52.0, 179.999), (52.0, -179.999), 0.137),
        ((52.0, 4.0), (52.0, 4.0), 0.0),
    ],
)
def test_distances_are_those_of_the_globe(one: tuple[float, float], other: tuple[float, float], km: float) -> None:
    """Known distances, the antipodes and the date line; the same both ways."""
    assert distance_km(one, other) == pytest.approx(km, rel=0.005, abs=0.001)
    assert distance_km(one, other) == distance_km(other, one)


@given(centre=points, here=points, km=st.floats(0, 300))
def test_a_circle_reaches_as_far_as_its_radius(
    centre: tuple[float, float], here: tuple[float, float], km: float
) -> None:
    """A target is meant when its distance is at most the radius, in kilometres as CAP has it."""
    away = distance_km(centre, here)
    assume(abs(away - km) > 0.002)
    assert meant(circle(*centre, km), **at(*here)) == (away < km)


@given(centre=points, km=st.floats(0.1, 50))
def test_the_edge_of_a_circle_is_inside(centre: tuple[float, float], km: float) -> None:
    """On the edge counts as inside, ten metres past it does not."""
    assert meant(circle(*centre, km), **at(*east(km, *centre)))
    assert not meant(circle(*centre, km), **at(*east(km * 1.001 + 0.01, *centre)))


@pytest.mark.parametrize(
    ("here", "inside"),
    [
        (LEIDEN, True),
        ((52.10, 4.40), True),
        ((52.15, 4.40), True),
        ((52.20, 4.50), True),
        ((52.2001, 4.50), False),
        ((52.15, 4.601), False),
        ((4.497, 52.160), True),  # latitude and longitude swapped: read as they were meant
    ],
)
@pytest.mark.parametrize("closed", [False, True])
def test_a_polygon_holds_what_is_in_it_and_on_its_edge(here: tuple[float, float], inside: bool, closed: bool) -> None:
    """Latitude comes first; a ring may be closed or not; ten metres outside is outside."""
    ring = f"{SQUARE} 52.10,4.40" if closed else SQUARE
    assert meant({"polygon": [ring]}, **at(*here)) == inside


@given(here=points)
def test_a_polygon_agrees_with_plain_arithmetic(here: tuple[float, float]) -> None:
    """For a rectangle of meridians and parallels, inside is a comparison of numbers."""
    lat, lon = here
    assume(min(abs(lat - 51.5), abs(lat - 52.5), abs(lon - 4.0), abs(lon - 6.0)) > 0.0001)
    box = "51.5,4.0 51.5,6.0 52.5,6.0 52.5,4.0"
    assert meant({"polygon": [box]}, **at(lat, lon)) == (51.5 < lat < 52.5 and 4.0 < lon < 6.0)


@pytest.mark.parametrize("area", [circle(*LEIDEN, 3.0), {"polygon": [SQUARE]}])
@pytest.mark.parametrize(
    ("coverage", "touches"),
    [
        (circle(*LEIDEN, 0.1), True),
        (circle(52.35, 4.5, 20.0), True),
        (circle(52.60, 4.5, 20.0), False),
        ({"polygon": ["52.15,4.45 52.17,4.45 52.17,4.55"]}, True),
        ({"polygon": ["51.0,4.0 51.0,5.0 53.0,5.0 53.0,4.0"]}, True),
        ({"polygon": ["52.5,4.4 52.5,4.6 52.6,4.6"]}, False),
    ],
)
def test_areas_that_touch_are_meant(area: dict[str, Any], coverage: dict[str, Any], touches: bool) -> None:
    """A covered area counts when it overlaps, holds or lies in the alert's; whichever of them is the larger."""
    assert meant(area, coverage=coverage) == touches
    assert meant(coverage, coverage=area) == touches


@pytest.mark.parametrize("km", [0.5, 5.0, 15.0])
@pytest.mark.parametrize("side", ["west", "south"])
def test_a_circle_reaches_a_polygon_over_its_radius(km: float, side: str) -> None:
    """From outside, a circle touches a town when its radius is the distance to the nearest edge, in any direction."""
    here = east(-km, 52.15, 4.40) if side == "west" else (52.10 - km / KM_PER_DEGREE, 4.50)
    for radius, touches in ((km * 1.01, True), (km * 0.99 - 0.002, False)):
        assert meant(circle(*here, radius), coverage={"polygon": [SQUARE]}) == touches
        assert meant({"polygon": [SQUARE]}, coverage=circle(*here, radius)) == touches


@pytest.mark.parametrize(
    "odd",
    [
        "52,4 53,5 52,4",
        "52,4 52,4 52,4",
        "52,4 53,5 54,6",
        "52,4 53,5 53,5",
        "52,4 53,4 52,5 53,5",
        "90,0 90,90 90,180",
    ],
)
def test_odd_polygons_are_read_without_a_fault(odd: str) -> None:
    """A flat, crossing or one-point polygon is a real publisher's mistake: it holds its own points and stops nothing."""
    lat, lon = (float(part) for part in odd.partition(" ")[0].split(","))
    assert meant({"polygon": [odd]}, **at(lat, lon))
    assert not meant({"polygon": [odd]}, **at(-40.0, 100.0))
    assert meant({"polygon": [odd]}, coverage={"polygon": [odd]})


@settings(max_examples=200)
@given(st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), min_size=3, max_size=6), points)
def test_no_polygon_on_earth_makes_a_fault(ring: list[tuple[float, float]], here: tuple[float, float]) -> None:
    """Whatever the corners, the answer is yes or no: one bad area cannot stop the intake."""
    text = " ".join(f"{lat!r},{lon!r}" for lat, lon in ring)
    assert meant({"polygon": [text]}, **at(*here)) in (True, False)
    assert meant(circle(*here, 5.0), coverage={"polygon": [text]}) in (True, False)


def test_codes_are_equal_or_they_are_not() -> None:
    """A geocode matches by name and value, to the letter; another scheme with the same value is another place."""
    area = {"geocode": [GEMEENTE]}
    assert meant(area, coverage={"geocode": [{"valueName": "gemeente", "value": "GM0537"}, GEMEENTE]})
    for other in ({"valueName": "wijk", "value": "GM0546"}, {"valueName": "gemeente", "value": "gm0546"}):
        assert not meant(area, coverage={"geocode": [other]})
    assert not meant(area, **at(*LEIDEN))
    both = {**area, **circle(*LEIDEN, 1.0)}
    assert meant(both, **at(*LEIDEN))
    assert meant(both, coverage=area)


def test_a_location_and_a_coverage_both_count() -> None:
    """A board that stands in one town and covers another is meant by alerts for either."""
    place = {**at(*LEIDEN), "coverage": circle(51.0, 5.0, 1.0)}
    assert meant(circle(*LEIDEN, 0.5), **place)
    assert meant(circle(51.0, 5.0, 0.5), **place)
    assert not meant(circle(51.6, 5.0, 0.5), **place)


@pytest.mark.parametrize("area", [None, {}, {"areaDesc": "Leiden"}, {"circle": [], "polygon": [], "geocode": []}])
def test_an_alert_without_an_area_is_national_only_by_its_nature(area: dict[str, Any] | None) -> None:
    """Only an AMBER alert goes to places without naming one, but not where they want none; any other goes nowhere."""
    for category, national in (("amber_alert", True), ("missing_child_alert", False), ("missing_person", False)):
        assert meant(area, category, **at(*LEIDEN)) == national
        assert meant(area, category, coverage={"geocode": [GEMEENTE]}) == national
        assert meant(area, category) == national
        assert not meant(area, category, **at(*LEIDEN), accepts={"national": False})


def test_a_target_without_a_place_is_meant_by_every_alert_with_an_area() -> None:
    """No location and no coverage: the whole country; an empty coverage is no coverage."""
    assert meant(circle(*LEIDEN, 0.1))
    assert meant({"geocode": [GEMEENTE]}, coverage={})


def test_the_forms_of_an_area_are_named() -> None:
    """Rules ask in which form an area was given; none at all has a name too."""
    full = Area.model_validate({"circle": ["52,4 1"], "geocode": [GEMEENTE]})
    assert kinds_of([full]) == {"circle", "geocode"}
    assert kinds_of([full, Area(polygon=(SQUARE,))]) == {"circle", "geocode", "polygon"}
    assert kinds_of([None]) == kinds_of([Area()]) == kinds_of([]) == {"none"}


def test_a_ring_that_crosses_itself_everywhere_costs_nothing() -> None:
    """Six hundred random points would take minutes to untangle; they are read as their hull, at once."""
    random = Random(1)
    ring = " ".join(f"{52 + random.random() / 10:.4f},{4 + random.random() / 10:.4f}" for _ in range(600))
    assert meant({"polygon": [ring]}, **at(52.05, 4.05))
    assert not meant({"polygon": [ring]}, **at(52.5, 4.05))
