"""Tests of the rules as data: they are decided as events are, a failure shows the difference, a fault has its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.core.alert import Category
from bridge.core.errors import InvalidInput
from bridge.core.rule_space import Channel
from bridge.core.rule_trial import uncovered
from bridge.core.rules import Rule
from bridge.policy import load_rules
from bridge.rulebook import formats
from bridge.rulebook.trial import Played, load_tests, play, trials_path
from bridge.settings import Loaded, Settings
from tests.unit.hostile import CAN, CHANNELS
from tests.unit.samples import rule

CONFIG = Path(__file__).parents[2] / "config"
PHOTO = '[{uri: "https://example.nl/foto.jpg"}]'


def shipped() -> tuple[Rule, ...]:
    """Read the shipped rules."""
    return load_rules(Loaded(Settings(rules="rules.yaml"), CONFIG), [Channel(one, board=False) for one in CHANNELS])[
        1
    ].rules


def played(folder: Path, text: str, *rules: Rule) -> list[Played]:
    """Write tests and play them."""
    path = folder / "rules.test.yaml"
    path.write_text(text, "utf-8")
    return play(*load_tests(path, CAN), rules or shipped(), CAN)


def refused(folder: Path, text: str) -> list[str]:
    """Give the faults of tests that cannot be read, without the name of the file."""
    with pytest.raises(InvalidInput) as problem:
        played(folder, text)
    return [line.removeprefix(f"{folder}/rules.test.yaml:") for line in problem.value.problems]


def test_the_shipped_tests_hold_and_serve_every_agreement() -> None:
    """The file beside the shipped rules is clean, and has a test for every number that a rule or an invariant serves."""
    found = play(*load_tests(trials_path(CONFIG / "rules.yaml"), CAN), shipped(), CAN)
    assert [line for one in found for line in one.problems()] == []
    assert uncovered([one.trial for one in found], shipped()) == []
    assert {"R1", "R2", "R7", "R10", "R14", "R16", "R24"} <= {number for one in found for number in one.trial.serves}
    assert {channel for one in found for channel in one.trial.expect} == set(CHANNELS)


@pytest.mark.parametrize("gone", range(15))
def test_no_shipped_rule_can_go_unnoticed(gone: int) -> None:
    """Without any one rule some test fails, but for those that repeat what an invariant or the outbox does anyway."""
    rules = shipped()
    left = [*rules[:gone], *rules[gone + 1 :]]
    failed = [one for one in play(*load_tests(CONFIG / "rules.test.yaml", CAN), left, CAN) if one.failed]
    assert len(rules) == 15
    repeating = ("bord-nooit-bij-roof", "bord-niet-van-burgers", "foto-niet-naar-groepen")
    assert bool(failed) == (rules[gone].name not in repeating)


def test_a_failure_shows_the_difference(tmp_path: Path) -> None:
    """File and line of the test, the channel, what was expected and what is; only what was asked is compared."""
    text = f"""tests:
  - name: mag
    event: {{category: fire, resource: {PHOTO}}}
    expect: {{email: allow}}
  - name: mag niet
    serves: [R9]
    event: {{category: fire, resource: {PHOTO}}}
    expect:
      email: deny
      facebook: {{verdict: allow, by: anders, photo: false}}
      sign: {{verdict: deny, by: board_category}}
"""
    rules = (rule("alles"),)
    found = played(tmp_path, text, *rules)
    path = tmp_path / "rules.test.yaml"
    assert [line for one in found for line in one.problems()] == [
        f"{path}:5: test 'mag niet': email: expected deny; found allow by alles",
        f"{path}:5: test 'mag niet': facebook: expected allow by anders without photo; found allow by alles with photo",
    ]
    assert list(formats.tests_lines(found, ["R1"], "en")) == [
        f"{path}:5: mag niet",
        "  email",
        "  - deny",
        "  + allow by alles: alles",
        "  facebook",
        "  - allow by anders without photo",
        "  + allow by alles with photo: alles",
        "1 of 2 tests hold",
        "no test serves R1",
    ]
    data = formats.tests_data(found, ["R1"])
    assert [one["holds"] for one in data["tests"]] == [True, False]
    assert data["unserved"] == ["R1"]
    assert uncovered([one.trial for one in found], rules) == ["R1", "R2", "R7"]


def test_a_test_is_decided_as_an_event_is(tmp_path: Path) -> None:
    """Place, language, layout, status and photo decide in a test as they do for an event, for the target it describes."""
    text = """tests:
  - {name: ver, event: {category: missing_person, area: {circle: ["52.18,4.49 3"]}},
     target: {location: {lat: 53.22, lon: 6.57}}, expect: {sign: {verdict: deny, by: area}, email: {verdict: deny, by: area}}}
  - {name: nergens, event: {category: missing_person, area: null},
     target: {location: {lat: 53.22, lon: 6.57}}, expect: {sign: {verdict: deny, by: no_area}}}
  - {name: taal, event: {category: missing_person}, target: {languages: [fr]}, expect: {sign: {verdict: deny, by: language}}}
  - {name: past niet, event: {category: missing_person}, target: {sign: {columns: 3, rows: 1}}, expect: {sign: {verdict: deny, by: layout}}}
  - {name: verlopen, event: {category: missing_person, expires: "2025-01-01T00:00:00Z"}, expect: {sign: {verdict: deny, by: expired}}}
  - {name: oefening, event: {category: missing_person, status: Exercise}, expect: {sign: {verdict: deny, by: status}}}
  - {name: matrixbord, event: {category: missing_person, resource: [{uri: "https://example.nl/f.jpg"}]},
     target: {sign: {columns: 40, rows: 5}}, expect: {sign: {verdict: allow, photo: false}}}
"""
    assert [line for one in played(tmp_path, text) for line in one.problems()] == []


@pytest.mark.parametrize(
    ("test", "problems"),
    [
        ("{naam: x, event: {category: fire}, expect: {email: allow}}", ["2: tests.0.name: is missing", "2: tests.0.naam: is not a known key; nearest: name"]),
        ("{name: x, event: {category: fire}, expect: {}}", ["2: tests.0.expect: {} is not allowed; allowed: at least 1"]),
        ("{name: x, event: {category: fire}, expect: {email: alow}}", ["2: tests.0.expect.email.verdict: \"alow\" is not allowed; allowed: 'allow' or 'deny'; nearest: allow"]),
        ("{name: x, event: {category: fire}, expect: {emial: allow}}", ["2: test x: expect: 'emial' is not allowed; allowed: display, email, facebook, outbox, sign; nearest: email"]),
        ("{name: x, event: {category: street_robery}, expect: {sign: deny}}", ["2: test x: event.category: 'street_robery' is not a known category; nearest: street_robbery; another"]),
        ("{name: x, event: {category: fire, urgncy: Past}, expect: {email: allow}}", ["2: test x: event.urgncy: is not a known key; nearest: urgency"]),
        ("{name: x, event: {category: fire, urgency: past}, expect: {email: allow}}", ['2: test x: event.urgency: "past" is not allowed; ']),
        ("{name: x, event: {}, expect: {email: allow}}", ["2: test x: event.category: is missing; it is required"]),
        ("{name: x, event: {category: fire}, target: {owner: {kind: king}}, expect: {email: allow}}", ['2: test x: target.owner.kind: "king" is not allowed; ']),
        ("{name: x, event: {category: fire}, target: {channel: sign}, expect: {email: allow}}", ["2: test x: target.channel: is not allowed; each channel gives its own"]),
    ],
)  # fmt: skip
def test_a_fault_in_a_test_has_its_line(tmp_path: Path, test: str, problems: list[str]) -> None:
    """A test that says something else than its author means would hold for nothing; so every slip is refused."""
    found = refused(tmp_path, f"tests:\n  - {test}\n")
    assert len(found) == len(problems), found
    for line, start in zip(sorted(found), sorted(problems), strict=True):
        assert line.startswith(start), found


@pytest.mark.parametrize("category", ["iets-heel-nieuws", "MISSING", *Category])
def test_a_category_that_is_no_slip_may_be_tested(tmp_path: Path, category: str) -> None:
    """What is like no known word is meant so: it is read as other, as in an event."""
    text = f"tests:\n  - {{name: x, event: {{category: {category}}}, expect: {{email: allow}}}}\n"
    assert [one.failed for one in played(tmp_path, text)] == [[]]


def test_all_faults_of_all_tests_come_at_once(tmp_path: Path) -> None:
    """Each with the line of its own test."""
    slip = "{name: x, event: {category: fire, urgncy: Past}, expect: {emial: allow}}"
    found = refused(tmp_path, f"tests:\n  - {slip}\n  - {slip}\n")
    assert [line.split(":")[0] for line in found] == ["2", "2", "3", "3"]


def test_the_tests_stand_beside_the_rules() -> None:
    """``rules.test.yaml`` for ``rules.yaml``, whatever the file is called."""
    assert trials_path(Path("/etc/bridge/rules.yaml")) == Path("/etc/bridge/rules.test.yaml")
    assert trials_path(Path("leiden.json")) == Path("leiden.test.json")
