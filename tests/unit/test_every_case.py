"""I1 for every combination of the vocabulary, and for whatever somebody writes into the configuration."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import combinations, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from bridge.adapters.registry import find_adapters
from bridge.core.alert import Category, Status, Urgency
from bridge.core.asking import ask
from bridge.core.content import Photo
from bridge.core.events import Opened
from bridge.core.planning import PhotoState, Policy
from bridge.core.rule_space import Channel, Space, union
from bridge.core.rules import Facts, RuleFile, decide
from bridge.core.target import OwnerKind
from bridge.policy import PACKAGED, load_rules, load_targets
from bridge.rendering import Templates
from bridge.settings import Loaded, Settings
from tests.unit.hostile import CAN, CHANNELS, alerts, rule_lists, target_lists
from tests.unit.samples import rule

RULES = Path(__file__).parents[2] / "config" / "rules.yaml"
MISSING = {"amber_alert", "missing_child_alert", "missing_child", "missing_person"}
PUBLIC = {"municipality", "police", "safety_region", "public_transport"}
BOARDS = {"sign", "display"}
ALLOW_ALL = {"name": "alles", "effect": "allow", "reason": {"nl": "a", "en": "b"}}
NOW = datetime(2026, 11, 22, 9, 15, tzinfo=UTC)
ALL_CHANNELS = [Channel(name, name in BOARDS) for name in CHANNELS]
TEMPLATES = Templates(PACKAGED / "templates")
SHIPPED = RuleFile.model_validate(yaml.safe_load(RULES.read_text("utf-8"))).rules


def forbidden(channel: str, category: str, owner: str) -> bool:
    """Say I1 once more, in words of its own: what never reaches a board."""
    return channel in BOARDS and (category not in MISSING or owner not in PUBLIC)


def test_every_combination_with_the_shipped_rules() -> None:
    """All of the vocabulary, each case judged by ``decide``: boards get missing persons of public bodies, and no more.

    The rules name no language, so one stands for all; the target takes the status, as the next test takes it away.
    """
    space = Space(ALL_CHANNELS, SHIPPED)
    allowed: Counter[str] = Counter()
    for position in range(space.size):
        case = space.facts(position)
        decision = decide(case, SHIPPED)
        if decision.allowed:
            allowed[case.channel] += 1
            assert not forbidden(case.channel, case.category, case.owner), case
        assert decision.allowed == bool(space.allowed >> position & 1), case
    sizes = [len(axis) for axis in space.axes]
    assert sizes == [5, 6, 26, 3, 5, 1, 2, 8]
    assert set(allowed) == set(CHANNELS), "each channel gets something, so the walk was one"


@pytest.mark.parametrize("rules", [SHIPPED, (rule("alles"),)], ids=["shipped", "allow all"])
def test_no_status_reaches_a_target_that_does_not_take_it(rules: Any) -> None:
    """Every channel, owner, category, status and set of statuses that a target may take."""
    takes = [some for size in range(4) for some in combinations(Status, size)]
    for channel, owner, category, status, accepts in product(CHANNELS, OwnerKind, Category, Status, takes):
        case = Facts(
            *(channel, channel in BOARDS, owner, category, status, Urgency.IMMEDIATE, "nl", False),
            *(frozenset({"circle"}), accepts),
        )
        if decide(case, rules).allowed:
            assert status in accepts
            assert not forbidden(channel, category, owner)


@given(drawn=rule_lists())
@settings(max_examples=100, deadline=None)
def test_no_rule_file_opens_a_board(drawn: list[dict[str, Any]]) -> None:
    """Any rules, with one that allows everything: over every case at once, exactly the fit ones can be on a board."""
    space = Space(ALL_CHANNELS, RuleFile.model_validate({"rules": [*drawn, ALLOW_ALL]}).rules)
    boards = [one for one in ALL_CHANNELS if one.board]
    fit = space.where(boards, [OwnerKind(one) for one in PUBLIC], [Category(one) for one in MISSING])
    assert space.allowed & space.where(boards) & ~fit == 0
    denied = [one.bits for one in space.deciders if one.rule and one.rule.effect == "deny"]
    assert space.allowed & fit == fit & ~union(denied), "what is fit is only kept off by a rule"


def load(folder: Path, rules: list[dict[str, Any]], targets: list[dict[str, Any]]) -> Policy:
    """Read a configuration from its files, as the bridge does at its start."""
    (folder / "rules.yaml").write_text(yaml.safe_dump({"rules": rules}), "utf-8")
    (folder / "targets.yaml").write_text(yaml.safe_dump({"targets": targets}), "utf-8")
    loaded = Loaded(Settings(rules="rules.yaml", targets="targets.yaml"), folder)
    read = load_rules(loaded, ALL_CHANNELS)[1]
    return Policy(load_targets(loaded, find_adapters(), CAN), read.rules, CAN, TEMPLATES)


@given(rules=rule_lists(), targets=target_lists(), data=alerts())
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
def test_no_configuration_gets_a_thing_where_it_must_not_be(
    monkeypatch: pytest.MonkeyPatch, rules: list[dict[str, Any]], targets: list[dict[str, Any]], data: dict[str, Any]
) -> None:
    """Hostile rules and targets, read from files and planned for real: I1 holds, and what shows a photo may."""
    monkeypatch.setenv("FB", "token")
    with TemporaryDirectory() as folder:
        policy = load(Path(folder), [*rules, ALLOW_ALL], targets)
    event = Opened.model_validate(
        {
            "specversion": "1.0",
            "id": "1",
            "source": "s",
            "subject": "zaak",
            "time": NOW.isoformat(),
            "type": "nl.burgernet.alert.opened",
            "data": data,
        }
    )
    answer = ask(policy, event, NOW, timedelta(days=1), PhotoState(ready=Photo("digest")))
    assert [one.target for one in answer.judged] == [target["id"] for target in targets]
    for target, one in zip(targets, answer.judged, strict=True):
        if one.decision.allowed:
            assert not forbidden(target["channel"], data["category"], target["owner"]["kind"])
            assert data["status"] in target.get("accepts", {"status": ["Actual"]})["status"]
        else:
            assert one.target not in answer.pictured
            assert one.decision.explain("nl")
            assert one.decision.explain("en")
