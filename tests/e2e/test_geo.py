"""Boundaries, imported while the bridge runs: what codes stand for, and what cannot be read."""

from __future__ import annotations

import json

from tests.e2e.bench import Bench, event
from tests.e2e.process import until

CASE = "2026112200042"
LEIDEN = {"geocode": [{"valueName": "gemeente", "value": "GM0546"}]}
SQUARE = [[4.4, 52.1], [4.6, 52.1], [4.6, 52.2], [4.4, 52.2]]


def collection(ring: object) -> str:
    """Write a file of one municipality."""
    geometry = {"type": "Polygon", "coordinates": [ring]}
    feature = {"type": "Feature", "properties": {"statcode": "GM0546", "statnaam": "Leiden"}, "geometry": geometry}
    return json.dumps({"type": "FeatureCollection", "features": [feature]})


async def test_a_code_becomes_a_shape(alone: Bench) -> None:
    """An alert for a municipality reaches the board that stands in it, once its boundary was imported and reloaded."""
    alone.add(boards=2)
    alone.targets[0]["location"] = {"lat": 52.16, "lon": 4.49}
    alone.targets[1]["location"] = {"lat": 53.22, "lon": 6.57}
    await alone.start()
    await alone.run("send", "-", stdin=event(CASE, "opened", area=LEIDEN))
    await alone.until_settled(CASE)
    assert not alone.lit()

    (alone.folder / "gemeenten.json").write_text(collection(SQUARE))
    told = await alone.run("geo", "import", "gemeenten.json")
    assert told.out.splitlines()[0] == "GM0546 Leiden: a ring that was not closed is closed"
    assert told.out.endswith("boundaries.geojson: 1 municipalities\n")
    await alone.run("reload")
    await until(lambda: list(alone.boards.everything()) == ["bord-0"], "the board in the municipality is lit")


async def test_what_is_no_boundary_leaves_the_old_ones(alone: Bench) -> None:
    """A file that cannot be read is refused with the region; what was imported before stays."""
    alone.add(boards=1)
    alone.write()
    (alone.folder / "good.json").write_text(collection(SQUARE))
    (alone.folder / "bad.json").write_text(collection([[104, 52], [105, 52], [105, 53]]))
    await alone.run("geo", "import", "good.json")
    kept = (alone.folder / "config" / "boundaries.geojson").read_bytes()
    told = await alone.run("geo", "import", "bad.json", code=2)
    assert "bad.json: feature 1: GM0546: geometry: 104, 52 to 105, 53 is neither WGS 84" in told.err
    assert (alone.folder / "config" / "boundaries.geojson").read_bytes() == kept


async def test_a_target_whose_place_is_turned_around_is_mended_and_told(alone: Bench) -> None:
    """It gets what is meant for where it plainly stands; check and the log say what to put right."""
    alone.add(boards=1)
    alone.targets[0]["location"] = {"lat": 4.495, "lon": 52.18}
    bridge = await alone.start()
    told = "target bord-0: latitude and longitude are swapped"
    assert told in str(bridge.logged("mended"))
    assert told in (await alone.run("check", code=2)).err
    await alone.run("send", "-", stdin=event(CASE, "opened"))
    await alone.until_settled(CASE)
    assert alone.lit() == 1
