"""Each row of the reference's table of times and limits, tried."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.core.case import LONGEST, Case, Standing, fold
from bridge.core.errors import InvalidInput
from bridge.core.events import parse_structured
from bridge.core.target_index import TargetIndex
from tests.unit.samples import NOW, alert, alert_data, document, event, target

REFERENCE = (Path(__file__).parents[2] / "docs" / "reference.md").read_text("utf-8")
TABLE = re.search(r"### Times and limits\n.*?\n\n((?:\|[^\n]*\n)+)", REFERENCE, re.DOTALL)
ROWS = [row.split(" | ")[0].removeprefix("| ") for row in (TABLE[1] if TABLE else "").splitlines()[2:]]
DAY = timedelta(days=1)


def stands(**data: Any) -> Case:
    """Give the case that an opening makes at ``NOW``."""
    case, _ = fold(Case("c"), event("opened", data=alert_data(**data)), NOW, DAY)
    return case


def refused(kind: str = "opened", **changes: Any) -> str:
    """Give the reason why an event is refused."""
    with pytest.raises(InvalidInput) as error:
        parse_structured(json.dumps(document(kind, **changes)))
    return str(error.value)


def at(minutes: float) -> str:
    """Give a time so many minutes from ``NOW``."""
    return (NOW + timedelta(minutes=minutes)).isoformat()


def meant(area: Any, category: str = "missing_child", **place: Any) -> bool:
    """Tell whether a target is meant."""
    return bool(TargetIndex([target("t", **place)]).meant(alert(area=area, category=category)))


def expiry() -> None:
    """No expiry, one in the past, one before the event, one absurdly far."""
    assert stands().expires == NOW + DAY
    assert stands(expires=at(-1)).standing is Standing.EXPIRED
    ahead = event("opened", 4, data=alert_data(expires=at(3)))
    assert fold(Case("c"), ahead, NOW, DAY)[0].standing is Standing.EXPIRED
    assert stands(expires="9000-01-01T00:00:00Z").expires == NOW + LONGEST


def moments() -> None:
    """A time ahead counts as now; what is no time is refused."""
    case, _ = fold(Case("c"), event("opened", 600), NOW, DAY)
    assert case.registers.content
    assert case.registers.content.time == NOW
    for time in ("1999-12-31T00:00:00Z", "2026-11-22T10:15:00", "morgen", "2026-02-30T10:00:00Z"):
        assert "time" in refused(time=time)


def areas() -> None:
    """None, half the world, swapped, and broken."""
    leiden = {"location": {"lat": 52.16, "lon": 4.49}}
    assert meant(None, "amber_alert", **leiden)
    assert not meant(None, **leiden)
    assert not meant(None)
    assert meant({"circle": ["0,0 10000"]}, **leiden)
    assert meant({"circle": ["4.49,52.16 1"]}, **leiden)
    for area in ({"circle": ["52,4"]}, {"circle": ["91,4 1"]}, {"polygon": ["52,4 53,4"]}):
        assert "area" in refused(data=alert_data(area=area))


def endings() -> None:
    """What is no outcome ends nothing."""
    assert "outcome" in refused("ended", data={"outcome": "fine"})


PROOFS = {
    "no `expires`": expiry,
    "`expires` in the past": expiry,
    "`expires` not after the event's own `time`": expiry,
    "`expires` more than 366 days after `time`": expiry,
    "`time` more than five minutes ahead": moments,
    "`time` before 2000, without a zone, or no time": moments,
    "no `area`, `amber_alert`": areas,
    "no `area`, any other": areas,
    "an `area` of half the world": areas,
    "latitude and longitude swapped, both plainly": areas,
    "a circle without a radius, a point off the earth, a polygon of two points": areas,
    "an ending with an unknown `outcome`": endings,
}
ELSEWHERE = {"a photo that is no photo, is too large, or never comes"}  # tests/integration/test_photo_fetch.py


def test_every_row_has_its_proof() -> None:
    """The table has no row that is not tried, and no proof is without its row."""
    assert set(ROWS) == set(PROOFS) | ELSEWHERE


@pytest.mark.parametrize("row", PROOFS)
def test_each_row(row: str) -> None:
    """What the row says is what happens."""
    PROOFS[row]()
