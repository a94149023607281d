"""The commands for rules, as an administrator uses them: the matrix in each form, tests, and what ``check`` says of faults."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.bench import Bench, event

RULES = """\
rules:
  - {name: alles, effect: allow, channels: [email, facebook, outbox], reason: {nl: mag, en: may}}
  - name: dicht
    effect: deny
    channels: [sign, display]
    serves: [R7]
    reason: {nl: geen borden, en: no boards}
"""
DEAD = """\
  - name: dood
    effect: allow
    channels: [sign]
    reason: {nl: toch, en: still}
"""
TESTS = """\
tests:
  - name: brand per mail
    serves: [R1, R2, R7]
    event: {category: fire}
    expect: {email: allow, sign: {verdict: deny, by: board_category}}
"""


@pytest.fixture
def ruled(alone: Bench) -> Bench:
    """Give a bench with rules and tests of its own."""
    alone.add(boards=1)
    (alone.folder / "rules.yaml").write_text(RULES)
    (alone.folder / "rules.test.yaml").write_text(TESTS)
    alone.settings |= {"rules": str(alone.folder / "rules.yaml")}
    alone.write()
    return alone


async def test_the_matrix_in_every_form(ruled: Bench) -> None:
    """A page, Markdown, CSV, JSON and a table say the same of one cell; nothing is on stderr."""
    told = {
        form: await ruled.run("rules", "matrix", "--format", form) for form in ("table", "html", "md", "csv", "json")
    }
    assert {answer.err for answer in told.values()} == {""}
    assert told["html"].out.startswith('<!doctype html>\n<html lang="nl">')
    assert told["html"].out.endswith("</html>\n")
    assert told["md"].out.startswith("# Wat waar getoond mag worden\n")
    assert "fire,sign,municipality,nee,board_category," in told["csv"].out
    assert (await ruled.run("rules", "matrix", "--json")).json == told["json"].json
    assert "dicht" in told["table"].out
    english = await ruled.run("rules", "matrix", "--format", "html", "--language", "en")
    assert '<html lang="en">' in english.out


async def test_a_rule_that_cannot_fire_fails_check_matrix_and_tests(ruled: Bench) -> None:
    """The matrix is printed all the same, and file and line of the mistake are on stderr, with exit code 2."""
    rules = ruled.folder / "rules.yaml"
    rules.write_text(RULES + DEAD)
    line = f"error: {rules}:8: rule dood: is contradicted: all that it allows is denied by dicht"
    for words in (("check",), ("rules", "matrix"), ("rules", "test")):
        answer = await ruled.run(*words, code=2)
        assert answer.problems == [line], words
    assert "dicht" in (await ruled.run("rules", "matrix", code=2)).out


async def test_tests_of_rules_are_played_alone_and_by_check(ruled: Bench) -> None:
    """What holds is counted; a difference is shown with exit code 1, and by ``check`` with all other faults."""
    assert (await ruled.run("rules", "test")).out == "1 of 1 tests hold\n"
    assert "2 rules, 1 tests of rules," in (await ruled.run("check")).out
    other = ruled.folder / "andere.yaml"
    other.write_text(TESTS.replace("email: allow", "email: deny"))
    failed = await ruled.run("rules", "test", "--file", str(other), code=1)
    assert failed.out == (f"{other}:2: brand per mail\n  email\n  - deny\n  + allow by alles: mag\n0 of 1 tests hold\n")
    found: Any = (await ruled.run("rules", "test", "--file", str(other), "--json", code=1)).json
    assert [one["holds"] for one in found["tests"]] == [False]
    other.rename(ruled.folder / "rules.test.yaml")
    answer = await ruled.run("check", code=2)
    tests = ruled.folder / "rules.test.yaml"
    assert answer.problems == [f"error: {tests}:2: test 'brand per mail': email: expected deny; found allow by alles"]
    tests.write_text("tests: [{name: x}]\n")
    answer = await ruled.run("check", code=2)
    assert answer.problems == [
        f"error: {tests}:1: tests.0.event: is missing; it is required",
        f"error: {tests}:1: tests.0.expect: is missing; it is required",
    ]


async def test_explain_names_what_decides(ruled: Bench) -> None:
    """For each target the part that decides, its rule, and the reason in words."""
    rows = (await ruled.run("rules", "explain", "-", "--json", stdin=event("zaak", "opened"))).json["targets"]
    [board] = [row for row in rows if row["target"] == "bord-0"]
    assert (board["goes"], board["decided_by"], board["rule"], board["reason"]) == (
        False,
        "rule",
        "dicht",
        "geen borden",
    )
    shown = (await ruled.run("rules", "explain", "-", stdin=event("zaak", "opened"))).out
    assert "regel dicht" in " ".join(shown.split())
