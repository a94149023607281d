"""What is wrong with rules is found over every case: rules that never fire, that others contradict, channels left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.adapters.registry import find_adapters
from bridge.core.rule_check import check
from bridge.core.rule_space import Channel, Space, union
from bridge.core.rules import RuleFile, decide
from bridge.policy import load_policy
from bridge.settings import Loaded, Settings
from tests.unit.hostile import CAN, rule_lists
from tests.unit.samples import rule

CONFIG = Path(__file__).parents[2] / "config"
CHANNELS = [Channel(name, name in ("sign", "display")) for name in ("sign", "display", "email", "facebook", "outbox")]
TYPES = find_adapters()
ALL = rule("alles")


def found(*rules: Any) -> list[str]:
    """Give what the checker says of rules on two channels, a board and mail."""
    return [one.words for one in check(Space([Channel("sign", board=True), Channel("email", board=False)], rules))]


@given(drawn=rule_lists(), at=st.floats(0, 1, exclude_max=True))
@settings(max_examples=150, deadline=None)
def test_every_case_is_decided_by_exactly_what_decide_says(drawn: list[dict[str, Any]], at: float) -> None:
    """The sets of cases divide all of them, and name for each the decision that ``decide`` makes of it."""
    rules = RuleFile.model_validate({"rules": drawn}).rules
    space = Space(CHANNELS, rules)
    position = int(at * space.size)
    holding = [one for one in space.deciders if one.bits >> position & 1]
    assert [one.decision for one in holding] == [decide(space.facts(position), rules)]
    assert union(one.bits for one in space.deciders) == space.all
    assert sum(one.bits.bit_count() for one in space.deciders) == space.size


@given(drawn=rule_lists())
@settings(max_examples=60, deadline=None)
def test_a_rule_is_dead_exactly_when_it_decides_nothing(drawn: list[dict[str, Any]]) -> None:
    """A rule is found if and only if it decides no case at all, save a deny that repeats an invariant."""
    rules = RuleFile.model_validate({"rules": drawn}).rules
    space = Space(CHANNELS, rules)
    dead = {one.rule.name for one in space.deciders if one.rule and not one.bits}
    repeating = {
        one.name for one in rules if one.effect == "deny" and space.of(one) and not space.of(one) & ~space.forbidden
    }
    assert {rules[one.rule].name for one in check(space) if one.rule is not None} == dead - repeating


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([ALL, rule("leeg", categories=[])], "rule leeg: can never fire: categories is an empty list"),
        (
            [ALL, rule("dubbel", categories=["fire"])],
            "rule dubbel: can never fire: all of it is allowed earlier, by alles",
        ),
        (
            [ALL, rule("nee", "deny", categories=["fire", "hazard"]), rule("ook", "deny", categories=["fire"])],
            "rule ook: can never fire: all of it is denied earlier, by nee",
        ),
        (
            [ALL, rule("nee", "deny", categories=["fire"]), rule("toch", categories=["fire"])],
            "rule toch: is contradicted: all that it allows is denied by nee",
        ),
        (
            [
                rule("toch", channels=["email"], urgencies=["Past", "Future"]),
                rule("a", "deny", urgencies=["Past"]),
                rule("b", "deny", urgencies=["Future"]),
                ALL,
            ],
            "rule toch: is contradicted: all that it allows is denied by a, b",
        ),
        (
            [ALL, rule("bord", channels=["sign"], categories=["hold_up"])],
            "rule bord: is contradicted: all that it allows is denied by the fixed rules (board_robbery)",
        ),
        (
            [rule("bord", channels=["sign"], owners=["citizen", "police"]), rule("p", "deny", owners=["police"]), ALL],
            "rule bord: is contradicted: all that it allows is denied by p and the fixed rules (board_category, ",
        ),
        (
            [rule("geel", languages=["nl"]), rule("n", "deny", languages=["nl-NL"]), ALL],
            "rule geel: is contradicted: all that it allows is denied by n",
        ),
        (
            [rule("vlak", area=["circle"]), rule("c", "deny", area=["circle", "polygon"]), ALL],
            "rule vlak: is contradicted: all that it allows is denied by c",
        ),
        ([rule("post", channels=["email"])], "channels: no rule allows 'sign'; allow it, or close it with a deny"),
    ],
)
def test_each_mistake_is_named(rules: list[Any], words: str) -> None:
    """One mistake, one sentence, that names the rules which make it one."""
    [one] = found(*rules)
    assert one.startswith(words)


def test_what_is_meant_is_no_mistake() -> None:
    """Exceptions, a repeated invariant, a rule for one language, and a channel that is closed on purpose."""
    assert (
        found(
            ALL, rule("nooit", "deny", channels=["sign"], categories=["hold_up"]), rule("fr", "deny", languages=["fr"])
        )
        == []
    )
    assert found(rule("post", channels=["email"]), rule("dicht", "deny", channels=["sign"])) == []


def test_two_denies_that_cover_a_third_together_are_both_named() -> None:
    """No single rule makes the third dead; the two do."""
    rules = [
        ALL,
        rule("a", "deny", urgencies=["Past"]),
        rule("b", "deny", photo=[True]),
        rule("c", "deny", urgencies=["Past"], photo=[True]),
    ]
    assert found(*rules) == ["rule c: can never fire: all of it is denied earlier, by a"]
    rules = [
        ALL,
        rule("a", "deny", photo=[False]),
        rule("b", "deny", photo=[True]),
        rule("c", "deny", categories=["fire"]),
    ]
    assert "rule c: can never fire: all of it is denied earlier, by a, b" in found(*rules)


def test_findings_have_file_and_line_and_stop_nothing(tmp_path: Path) -> None:
    """A policy with such rules is loaded, for nothing is unsafe by them; its findings say where they stand."""
    path = tmp_path / "rules.yaml"
    path.write_text(
        "rules:\n"
        "  - {name: mail, effect: allow, channels: [email, facebook], reason: {nl: a, en: b}}\n"
        "  - name: weer\n"
        "    effect: allow\n"
        "    channels: [email]\n"
        "    reason: {nl: a, en: b}\n"
        "  - {name: dicht, effect: deny, channels: [sign, display], reason: {nl: a, en: b}}\n"
    )
    configured = load_policy(Loaded(Settings(rules="rules.yaml"), tmp_path), TYPES, CAN)
    assert list(configured.findings) == [
        f"{path}:3: rule weer: can never fire: all of it is allowed earlier, by mail",
        f"{path}:1: channels: no rule allows 'outbox'; allow it, or close it with a deny for channels: [outbox]",
    ]
    assert len(configured.policy.rules) == 3


def test_the_shipped_rules_have_no_mistake() -> None:
    """The checker finds nothing in the rules that come with the bridge."""
    assert load_policy(Loaded(Settings(rules="rules.yaml"), CONFIG), TYPES, CAN).findings == ()
