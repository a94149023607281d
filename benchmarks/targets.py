"""Decide, target and lay out one alert for very many targets, beside a bare query of a tree of points.

Run by itself (``python -m benchmarks.targets 100000``) it measures in a process of its own and prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import numpy as np
from shapely import Point, STRtree, points

from benchmarks.processes import Failed
from bridge.core.alert import Alert
from bridge.core.case import Case, fold
from bridge.core.events import Opened
from bridge.core.planning import PhotoState, Policy, plan_open
from bridge.core.posting import Capabilities, Kind
from bridge.core.rules import RuleFile
from bridge.core.target import Target
from bridge.core.target_index import TargetIndex

NOW = datetime(2026, 11, 22, 9, 15, tzinfo=UTC)
RADIUS = 5.0  # km of the alert's circle
ROUNDS = 9  # alerts, each at another place
TEXT = "Leiden: jongen (8) vermist. Rode jas, blauwe muts. Gezien? Bel 112."
RULES = {"rules": [{"name": "alles", "effect": "allow", "reason": {"nl": "mag", "en": "may"}}]}
BOARD = Capabilities(kind=Kind.STATE, channels=frozenset({"sign"}), board=True)


async def targets(count: int) -> dict[str, Any]:
    """Measure in a process of its own, so that its memory can be told."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.targets", str(count), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise Failed("the measurement of targets ended by itself")
    found: dict[str, Any] = json.loads(said)
    return found


class _NoWords:
    def render(self, channel: str, words: object) -> tuple[str, str]:
        """Boards need no template."""
        raise NotImplementedError(channel)


def _make(count: int, random: Random) -> list[Target]:
    sizes = [{"columns": columns, "rows": rows, "pages": 4} for columns in (16, 20, 24, 40) for rows in (4, 5)]
    return [
        Target.model_validate(
            {
                "id": f"b{number}",
                "channel": "sign",
                "adapter": "http_sign",
                "address": f"http://127.0.0.1:9100/{number}",
                "owner": {"kind": "municipality"},
                "location": {"lat": random.uniform(50.8, 53.5), "lon": random.uniform(3.4, 7.2)},
                "sign": random.choice(sizes),
            }
        )
        for number in range(count)
    ]


def _event(lat: float, lon: float) -> Opened:
    data = Alert.model_validate(
        {
            "category": "missing_child",
            "info": [{"description": TEXT}],
            "area": {"circle": [f"{lat:.5f},{lon:.5f} {RADIUS}"]},
        }
    )
    return Opened(
        specversion="1.0", id="e", source="s", subject="c", time=NOW, type="nl.burgernet.alert.opened", data=data
    )


def _timed(act: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = act()
    return time.perf_counter() - began, result


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(count: int) -> dict[str, Any]:
    """Measure; times in milliseconds, medians of some alerts."""
    random = Random(2026)
    listed = _make(count, random)
    places = np.array([(one.location.lon, one.location.lat) for one in listed if one.location])
    tree = STRtree(points(places))
    before = _memory()
    build, index = _timed(lambda: TargetIndex(listed))
    policy = Policy(listed, RuleFile.model_validate(RULES).rules, {"http_sign": BOARD}, _NoWords(), index=index)
    bare, meant, plan, found = [], [], [], []
    for _ in range(ROUNDS):
        lat, lon = random.uniform(51.5, 52.5), random.uniform(4.5, 6.5)
        event = _event(lat, lon)
        case, _ = fold(Case("c"), event, NOW, timedelta(days=1))
        circle = Point(lon, lat)
        bare.append(_timed(lambda circle=circle: tree.query(circle, predicate="dwithin", distance=RADIUS / 111.2))[0])
        meant.append(_timed(lambda event=event: index.meant(event.data))[0])
        whole, made = _timed(lambda case=case: plan_open(case, replace(policy), {}, PhotoState()))
        plan.append(whole)
        found.append(len(made.wishes))
    return {
        "targets": count,
        "build": round(build * 1000, 1),
        "bare": round(statistics.median(bare) * 1000, 3),
        "meant": round(statistics.median(meant) * 1000, 3),
        "plan": round(statistics.median(plan) * 1000, 1),
        "found": int(statistics.median(found)),
        "memory": round(_memory() - before, 1),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(int(sys.argv[1]))))
