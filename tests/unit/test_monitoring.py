"""Alert rules and dashboard: promtool reads them all, every alert fires when it should, and what they name exists."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit import test_docs

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus-alerts.yml"
TESTS = DEPLOY / "prometheus-alerts.test.yml"
DASHBOARD = DEPLOY / "grafana-dashboard.json"


def program(name: str) -> str:
    """Find a program of Debian's package ``prometheus``; without it the test is skipped, and fails in CI."""
    found = shutil.which(name)
    if found is None:
        reason = f"{name} is not installed; run: make services"
        if os.environ.get("CI", "").lower() in {"true", "1"}:
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def alerts() -> list[dict[str, Any]]:
    """Give the alert rules."""
    [group] = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return list(group["rules"])


def panels() -> list[dict[str, Any]]:
    """Give the panels of the dashboard that show something."""
    return [panel for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[str]:
    """Give every expression of the rules, and of the dashboard with its variables filled in."""
    yield from (rule["expr"] for rule in alerts())
    for panel in panels():
        for target in panel["targets"]:
            filled = target["expr"].replace("$job", "burgernet-bridge").replace("$__rate_interval", "1m")
            assert "$" not in filled
            yield filled


def promtool(*words: str) -> subprocess.CompletedProcess[str]:
    """Run promtool."""
    return subprocess.run([program("promtool"), *words], capture_output=True, text=True, timeout=60, check=False)


def test_promtool_reads_the_rules_and_tests_them() -> None:
    """The rules are valid; by their own tests each fires on what it is for, and all are silent on a healthy bridge."""
    read = promtool("check", "rules", str(RULES))
    assert read.returncode == 0, read.stdout + read.stderr
    tested = promtool("test", "rules", str(TESTS))
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.parametrize("expression", ["vector(1) < 0", "vector(1)"], ids=["never", "always"])
def test_the_tests_of_the_rules_can_fail(tmp_path: Path, expression: str) -> None:
    """An alert that never fires is found by its own test, and one that always does by the healthy bridge."""
    shutil.copy(TESTS, tmp_path)
    rules = [{**rule, "expr": expression} for rule in alerts()]
    (tmp_path / RULES.name).write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))
    tested = promtool("test", "rules", str(tmp_path / TESTS.name))
    assert tested.returncode != 0
    found = set(re.findall(r"alertname[:=] ?\\?\"?(\w+)", tested.stdout + tested.stderr))
    assert found >= {rule["alert"] for rule in rules}


def test_every_alert_is_planted_in_a_test() -> None:
    """Each rule has a test in which it fires."""
    fired = set(re.findall(r'labels: .ALERTS\{alertname="(\w+)"', TESTS.read_text("utf-8")))
    fired |= set(re.findall(r"alertname: (\w+)\n +exp_alerts", TESTS.read_text("utf-8")))
    assert fired == {rule["alert"] for rule in alerts()}


def test_every_alert_says_what_to_do() -> None:
    """In Dutch in one line what is wrong and in one what to do, in English both; and whom it wakes."""
    names = [rule["alert"] for rule in alerts()]
    assert len(set(names)) == len(names)
    for rule in alerts():
        assert set(rule["annotations"]) == {"summary", "description", "english"}, rule["alert"]
        assert rule["labels"]["severity"] in ("page", "warning", "info")


def test_what_an_alert_tells_to_do_can_be_done() -> None:
    """Each command in an annotation is read by the real command line, and each setting there is one."""
    marked = [text for rule in alerts() for text in re.findall(r"`([^`]+)`", rule["annotations"]["description"])]
    commands = [words for text in marked for words in test_docs.calls(text)]
    settings = [text.split(".") for text in marked if re.fullmatch(rf"({'|'.join(test_docs.SECTIONS)})\.\w+", text)]
    for words in commands:
        test_docs.test_every_command_exists_with_its_options("an alert", words)
    assert [path for path in settings if not test_docs.is_setting(path)] == []
    assert len(commands) > 5
    assert len(settings) > 1


def test_promtool_reads_every_expression(tmp_path: Path) -> None:
    """Those of the dashboard too, with its variables filled in."""
    rules = [{"record": f"expression:{number}", "expr": text} for number, text in enumerate(expressions())]
    file = tmp_path / "expressions.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))
    read = promtool("check", "rules", "--lint=none", str(file))
    assert read.returncode == 0, read.stdout + read.stderr


def test_every_word_that_is_asked_for_is_one_of_ours() -> None:
    """The values of labels in expressions stand in the reference, among the figures."""
    reference = (DEPLOY.parent / "docs/reference.md").read_text("utf-8")
    figures = set(re.findall(r"`(\w+)`", reference[reference.index("## Metrics") :])) | {"burgernet-bridge"}
    asked = {
        word
        for expression in expressions()
        for values in re.findall(r"\w(?:=|!=|=~)\"([^\"]*)\"", expression)
        for word in values.split("|")
    }
    assert asked <= figures
    assert {"retracting", "failed", "retract", "ok"} <= asked


def test_the_dashboard_is_in_order() -> None:
    """Panels have names of their own, explain themselves, lie beside each other on the grid and know their source."""
    board = json.loads(DASHBOARD.read_text("utf-8"))
    variables = {variable["name"] for variable in board["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)", DASHBOARD.read_text("utf-8"))) - {"__rate_interval"} == variables
    everything = board["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    for panel in panels():
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0
    for one, other in combinations(everything, 2):
        assert not _overlap(one["gridPos"], other["gridPos"]), (one["title"], other["title"])
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in everything)


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(
        one[at] < other[at] + other[size] and other[at] < one[at] + one[size] for at, size in (("x", "w"), ("y", "h"))
    )
