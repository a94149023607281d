"""The page of measurements is made from the results, and from nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from benchmarks import page, verdicts

NAMESPACE = "{http://www.w3.org/2000/svg}"


def fan_out(who: str, seconds: float) -> dict[str, Any]:
    """Invent one round of the fan-out."""
    return {"who": who, "boards": 10_000, "shown": seconds, "gone": seconds, "cpu": 1.0, "memory": 100.0}


def mailing(who: str, rate: float, received: int = 100_000) -> dict[str, Any]:
    """Invent one mailing."""
    figures = {"seconds": 100_000 / rate, "first": 0.1, "rate": rate, "cpu": 9.0, "sink_cpu": 1.0, "memory": 90.0}
    return {"who": who, "received": received, **figures}


def working(count: int, seconds: float) -> dict[str, Any]:
    """Invent a fan-out by so many workers; one request costs the bridge 600 µs and the others 400 µs."""
    cpu = {"bridge": 6.0, "PostgreSQL": 2.0, "RabbitMQ": 1.0, "boards": 1.0}
    return {"workers": count, "seconds": seconds, "cpu": cpu}


def grown(postings: int, cpu: float) -> dict[str, Any]:
    """Invent a store of some size."""
    figures = {"bytes": postings * 1000, "filled": 1.0, "ready": 1.0, "shown": 9.0, "gone": 9.0, "seconds": 2.0}
    return {"postings": postings, "cpu": cpu, **figures}


def scored(who: str, scenario: str, left: int) -> dict[str, Any]:
    """Invent how one program came through one scenario."""
    figures = {"seconds": 1.0, "lost_boards": 0, "lost_mails": 0, "doubled": 0}
    return {"who": who, "scenario": scenario, "left": left, **figures}


def lit(what: str, shown: float) -> dict[str, Any]:
    """Invent one case of a thousand signs."""
    figures = {f"{way}_{name}": 20_000 for way in ("shown", "gone") for name in ("asked", "cpu")}
    return {"what": what, "shown": shown, "gone": 5.0, **figures}


def painted(seconds: float) -> dict[str, float]:
    """Invent one case of two thousand pages."""
    return {f"{way}{name}": seconds for way in ("shown", "gone") for name in ("", "_confirmed", "_cpu")}


@pytest.fixture
def found() -> dict[str, Any]:
    """Results in which the bridge is twice as slow at everything."""
    rounds = [
        {"who": who, "seconds": 10.0, "rate": rate, "cpu": 1.0} for who, rate in (("bare", 8e3), ("bridge, X", 4e3))
    ]
    parts: dict[str, Any] = {
        "latency": {
            "bare": {"shown": [1.0, 2.0, 3.0] * 40, "gone": [1.0, 2.0, 3.0] * 40},
            "bridge": {"shown": [2.0, 4.0, 6.0] * 40, "gone": [2.0, 4.0, 6.0] * 40},
        },
        "boards": {"boards": 10_000, "rounds": [fan_out("bare", 1.0), fan_out("bridge", 2.0)]},
        "mails": {
            "mails": 100_000,
            "size": 2500,
            "ways": [
                {"connections": 32, "mails": 100_000, "rounds": [mailing("bare", 2000.0), mailing("bridge", 1000.0)]}
            ],
        },
        "intake": {"events": 10_000, "prefetch": 32, "rounds": rounds},
        "workers": {
            "boards": 5_000,
            "cores": 2,
            "rounds": [working(1, 10.0), working(2, 8.0)],
        },
        "growth": {"boards": 1_000, "cases": 40, "rounds": [grown(1_000, 1.0), grown(1_000_000, 1.2)]},
        "others": {
            "boards": 20,
            "cases": 25,
            "versions": {"bridge": "0.1.0", "X": "1.0"},
            "missing": {"Y": "no network\nmore words"},
            "scores": [scored("bridge", "A", 0), scored("X", "A", 17), {"who": "X", "scenario": "B", "failed": "why"}],
        },
        "targets": {
            "targets": 100_000,
            "build": 900.0,
            "bare": 0.2,
            "meant": 0.6,
            "plan": 230.0,
            "found": 97,
            "memory": 100.0,
        },
        "signs": {"signs": 1_000, "memory": 200.0, "rounds": [lit("new signs", 61.0), lit("known signs", 20.0)]},
        "displays": {
            "displays": 2_000,
            "opening": {"seconds": 5.0, "cpu": 4.0},
            "quiet": {"seconds": 20.0, "percent": 30.0, "wake_ups": 500.0},
            "before": 150.0,
            "each": 41.0,
            "memory": 300.0,
            "rounds": [painted(8.0), painted(9.0), painted(70.0)],
        },
        "idle": {
            "ready": [1.0, 1.5, 3.0],
            "ready_cpu": [0.9, 1.0, 1.1],
            "seconds": 10.0,
            "percent": 0.5,
            "wake_ups": 20.0,
        },
    }
    return {"machine": {"processor": "invented"}, "parts": {name: {**part, "took": 1} for name, part in parts.items()}}


def test_every_aim_is_judged_by_its_figure(found: dict[str, Any]) -> None:
    """Twice as slow is within 3× and within a half, and not within 0.7 or 0.8 of the bare rate."""
    words = {row[0]: (row[3], row[5]) for row in verdicts.rows(found)}
    assert words["event → PUT at the board, p50"] == ("2.00×", "met")
    assert words["one case to 10,000 boards and back"] == ("0.50×", "**not met**")
    assert words["100,000 mails to `smtp-sink`, 32 connections"] == ("0.50×", "**not met**")
    assert words["10,000 events taken in (X)"] == ("0.50×", "met")
    assert words["start → ready"] == ("", "met")
    assert words["decide, target and lay out for 100,000 targets"] == ("", "met")
    assert words["1,000 NTCIP signs lit, new signs"] == ("", "**not met**")
    assert words["1,000 NTCIP signs lit, known signs"] == ("", "met")
    assert words["2,000 display pages lit, by their own word"] == ("", "met")


def test_the_model_is_bound_by_the_scarcest_thing(found: dict[str, Any]) -> None:
    """One worker is bound by itself, two by two cores, and many on many cores by the boards."""
    part = found["parts"]["workers"]
    assert verdicts.bound(part, 1, 2) == pytest.approx(1 / 600e-6)
    assert verdicts.bound(part, 2, 2) == pytest.approx(2 / 1000e-6)
    assert verdicts.bound(part, 100, 100) == pytest.approx(1 / 100e-6)
    words = {row[0]: (row[3], row[5]) for row in verdicts.rows(found)}
    assert words["one worker : two, on PostgreSQL"] == ("1.25×", "2 cores allow 1.20×")
    assert words["cost of a posting on 1,000 : 1,000,000 rows"] == ("1.20×", "met")


def test_a_smaller_run_meets_no_aim(found: dict[str, Any]) -> None:
    """What the aim does not speak of is not called met."""
    found["parts"]["boards"]["boards"] = 500
    assert "(smaller run)" in verdicts.rows(found)[2]


def test_what_a_page_and_a_sign_cost_is_told(found: dict[str, Any]) -> None:
    """The memory of each open page, and the rate of signs, stand on the page as they were measured."""
    text = " ".join(page.render(found).split())
    assert "41 kB more for each open page" in text
    assert "| new signs | event → last sign lit | 61.0 | 16 |" in text


def test_mails_that_came_too_often_are_told(found: dict[str, Any]) -> None:
    """A doubled mail is on the page."""
    assert "| +3 " not in page.render(found)
    found["parts"]["mails"]["ways"][0]["rounds"][1]["received"] += 3
    assert "| +3 " in page.render(found)


def test_a_part_that_failed_is_on_the_page(found: dict[str, Any]) -> None:
    """A measurement that did not come to its end is told, and not left out."""
    found["parts"]["mails"] = {"failed": "the sink fell over", "took": 1}
    assert "the sink fell over" in page.render(found)
    assert any(row[0] == "mails" and row[5] == "**failed**" for row in verdicts.rows(found))


def test_what_others_did_is_told(found: dict[str, Any]) -> None:
    """Boards that stay lit, a program that does not come and one that does not end are on the page."""
    text = page.render(found)
    assert "Y could not be installed: no network." in text.replace("\n", " ")
    assert [line.split()[-2] for line in text.splitlines() if "| X " in line] == ["17", "|"]
    assert "did not come to its end" in text


def test_every_chart_is_well_formed_and_shows_its_figures(found: dict[str, Any]) -> None:
    """The charts are SVG with a title, drawn within their frame, and the bars carry their numbers."""
    drawn = page.draw(found)
    for drawing in drawn.values():
        root = ET.fromstring(drawing)  # noqa: S314 - we made it
        width, height = (float(root.get(name, "0")) for name in ("width", "height"))
        assert root.find(f"{NAMESPACE}title") is not None
        for text in root.iter(f"{NAMESPACE}text"):
            assert 0 <= float(text.get("x", "-1")) <= width
            assert 0 <= float(text.get("y", "-1")) <= height
    assert "2,000" in drawn["mails.svg"]
    assert "aim 0.8×" in drawn["mails.svg"]
    assert set(drawn) == {
        f"{name}.svg" for name in ("latency", "boards", "mails", "intake", "workers", "growth", "others")
    }
    assert all(f"performance/{name}" in page.render(found) for name in drawn)


def test_the_readme_gets_the_table_between_its_markers(found: dict[str, Any]) -> None:
    """What stands around the table stays."""
    start, end = page.MARKERS
    text = page.readme(f"before\n{start}\nold\n{end}\nafter\n", found)
    assert text.startswith(f"before\n{start}\n")
    assert text.endswith(f"{end}\nafter\n")
    assert "old" not in text
    assert "one case to 10,000 boards and back" in text


def test_what_is_kept_is_kept_part_by_part(found: dict[str, Any], tmp_path: Path) -> None:
    """A run of one part leaves the other parts of the page as they were."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("\n".join(page.MARKERS))
    page.keep(found, tmp_path)
    found["parts"] = {"idle": {**found["parts"]["idle"], "ready": [7.25]}}
    page.keep(found, tmp_path)
    text = (tmp_path / "docs" / "performance.md").read_text()
    assert "| start → ready" in text
    assert "7.25 s" in text
    assert "one case to 10,000 boards and back" in text
    assert "one case to 10,000 boards and back" in (tmp_path / "README.md").read_text()
    assert (tmp_path / "docs" / "performance" / "boards.svg").exists()


def test_the_page_is_what_the_stored_results_give() -> None:
    """The page, its charts and the README's table are the command's own, made from the figures that are kept."""
    stored = json.loads((page.ROOT / "docs" / "performance.json").read_text("utf-8"))
    made = page.files(stored, (page.ROOT / "README.md").read_text("utf-8"))
    assert {name for name, text in made.items() if (page.ROOT / name).read_text("utf-8") != text} == set()
    assert {f"docs/performance/{path.name}" for path in (page.ROOT / "docs" / "performance").iterdir()} <= set(made)
