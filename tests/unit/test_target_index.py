"""The index answers as each target would for itself: any targets, any alert, regions too."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import MultiPolygon, Polygon

from bridge.core.alert import Area
from bridge.core.target_index import TargetIndex
from bridge.core.targeting import Shape, is_meant, place_of, place_of_target
from tests.unit.samples import alert, target

CODES = ("GM0001", "GM0002", "WK0003")


def region(code: str, west: float, south: float, size: float) -> Shape:
    """Make a square region with a hole and an island."""
    square = Polygon([(west, south), (west + size, south), (west + size, south + size), (west, south + size)])
    hole = square.buffer(-size / 3)
    island = Polygon([(west + 2 * size, south), (west + 2.2 * size, south), (west + 2.2 * size, south + size / 4)])
    inside = square.difference(hole).representative_point()
    shape = MultiPolygon([square.difference(hole), island])
    return Shape(((inside.y, inside.x),), code=code, region=shape)


REGIONS = {
    "GM0001": region("GM0001", 4.4, 52.1, 0.1),
    "GM0002": region("GM0002", 4.5, 52.1, 0.1),
    "WK0003": region("WK0003", 6.0, 51.0, 0.5),
}
near = st.tuples(st.floats(51.9, 52.4), st.floats(4.2, 4.8))
anywhere = st.tuples(st.floats(-90, 90), st.floats(-180, 180))
points = near | near | anywhere
circles = st.builds(
    lambda point, km: f"{point[0]!r},{point[1]!r} {km!r}",
    points,
    st.floats(0, 30) | st.sampled_from([0.0, 1.0, 500.0, 700.0, 20_040.0]),
)
rings = st.lists(points, min_size=3, max_size=6).map(lambda ring: " ".join(f"{lat!r},{lon!r}" for lat, lon in ring))
areas = st.fixed_dictionaries(
    {},
    optional={
        "circle": st.lists(circles, max_size=2),
        "polygon": st.lists(rings, max_size=2),
        "geocode": st.lists(st.sampled_from(CODES), max_size=2).map(
            lambda codes: [{"valueName": "code", "value": code} for code in codes]
        ),
    },
)
places = st.fixed_dictionaries(
    {"accepts": st.sampled_from([{}, {"national": False}])},
    optional={"location": points.map(lambda point: {"lat": point[0], "lon": point[1]}), "coverage": areas},
)


@given(
    st.lists(places, max_size=8),
    areas | st.none(),
    st.sampled_from(["amber_alert", "missing_child"]),
    st.sampled_from([{}, REGIONS]),
)
@settings(max_examples=400, deadline=None)
def test_the_index_says_what_each_target_says(
    given_places: list[dict[str, Any]], area: dict[str, Any] | None, category: str, regions: dict[str, Shape]
) -> None:
    """The tree of boxes leaves nobody out and lets nobody in, near the poles and the date line as well."""
    targets = [target(f"t{number}", **place) for number, place in enumerate(given_places)]
    sent = alert(area=area, category=category)
    place = place_of(sent.area, regions)
    one_by_one = {one.id for one in targets if is_meant(sent, place, one, place_of_target(one, regions))}
    index = TargetIndex(targets, regions)
    assert index.meant(sent) == one_by_one
    assert index.meant(sent) == one_by_one, "kept answers are the same"


def test_a_code_is_a_shape_once_its_boundary_is_known() -> None:
    """Who stands in the region is meant, who stands in its hole or outside is not; without boundaries only equal codes."""
    code = {"geocode": [{"valueName": "gemeente", "value": "GM0001"}]}
    targets = [
        target("in", location={"lat": 52.11, "lon": 4.41}),
        target("edge", location={"lat": 52.15, "lon": 4.4}),
        target("hole", location={"lat": 52.15, "lon": 4.45}),
        target("island", location={"lat": 52.101, "lon": 4.615}),
        target("out", location={"lat": 52.25, "lon": 4.45}),
        target("same", coverage=code),
        target("neighbour", coverage={"geocode": [{"valueName": "gemeente", "value": "GM0002"}]}),
        target("far", coverage={"geocode": [{"valueName": "wijk", "value": "WK0003"}]}),
        target("reader", coverage={"circle": ["52.23,4.45 4"]}),
    ]
    sent = alert(area=code)
    assert TargetIndex(targets).meant(sent) == {"same"}
    assert TargetIndex(targets, REGIONS).meant(sent) == {"in", "edge", "island", "same", "neighbour", "reader"}


def test_swapped_coordinates_are_read_as_they_were_meant() -> None:
    """Only where it is plain: here the other way about, and far away as written; the Caribbean stays where it is."""
    assert place_of(Area(circle=("4.49,52.16 1",))).swapped
    assert place_of(Area(circle=("4.49,52.16 1",))).shapes == place_of(Area(circle=("52.16,4.49 1",))).shapes
    for as_it_is in ("12.15,-68.27 5", "52.16,4.49 1", "5.2,5.3 1", "52.1,52.2 1"):
        assert not place_of(Area(circle=(as_it_is,))).swapped
