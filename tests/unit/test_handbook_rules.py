"""The examples on rules in the operator's guide work as the guide says."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.core.errors import InvalidInput
from bridge.core.rule_check import check
from bridge.core.rule_space import Channel, Space
from bridge.core.rules import RuleFile
from bridge.policy import load_rules
from bridge.rulebook.trial import load_tests, play
from bridge.settings import Loaded, Settings
from tests.unit.hostile import CAN, CHANNELS
from tests.unit.test_docs import blocks, read

CONFIG = Path(__file__).parents[2] / "config"
ALL_CHANNELS = [Channel(name, name in ("sign", "display")) for name in CHANNELS]
RULES, TESTS = (
    next(block.text for block in blocks("docs/handleiding.md", "yaml") if block.text.startswith(kind))
    for kind in ("rules:", "tests:")
)


def rules(folder: Path, text: str) -> RuleFile:
    """Read rules from a file."""
    (folder / "rules.yaml").write_text(text, "utf-8")
    return load_rules(Loaded(Settings(rules="rules.yaml"), folder), ALL_CHANNELS)[1]


@pytest.mark.parametrize("added", [True, False], ids=["with the rule", "without it"])
def test_the_tests_of_the_guide_prove_its_rule(tmp_path: Path, added: bool) -> None:
    """Added to the shipped rules, the rule makes its tests hold and leaves no mistake; without it a test fails."""
    shipped = rules(tmp_path, (CONFIG / "rules.yaml").read_text("utf-8")).rules
    own = rules(tmp_path, RULES).rules
    every = (*shipped, *own) if added else shipped
    path = tmp_path / "rules.test.yaml"
    path.write_text(TESTS, "utf-8")
    failed = [one.trial.name for one in play(*load_tests(path, CAN), every, CAN) if one.failed]
    assert failed == ([] if added else ["drugs gaan per mail en niet op Facebook"])
    assert check(Space(ALL_CHANNELS, every)) == []


def test_the_guide_quotes_what_is_said_of_a_fault(tmp_path: Path) -> None:
    """A misspelt channel and an empty list give the very lines that stand in the guide."""
    page = read("docs/handleiding.md")
    with pytest.raises(InvalidInput) as refused:
        rules(tmp_path, RULES.replace("[facebook]", "[facebok]"))
    [line] = refused.value.problems
    assert line.removeprefix(f"{tmp_path}/") in page
    empty = rules(tmp_path, RULES.replace("[drugs]", "[]")).rules
    [words] = [one.words for one in check(Space(ALL_CHANNELS, empty)) if one.rule == 0]
    assert f"rules.yaml:2: {words}" in page
