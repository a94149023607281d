"""May it go there: the invariants hold for every combination and every rule file, and nothing is allowed by default."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bridge.core.alert import Category, Status, Urgency
from bridge.core.rules import (
    BOARD_CATEGORIES,
    NEVER_ON_A_BOARD,
    WORDS,
    Decision,
    Facts,
    Reason,
    Rule,
    RuleFile,
    broken_invariant,
    decide,
)
from bridge.core.target import OwnerKind
from tests.unit.samples import rule

MISSING = {"amber_alert", "missing_child_alert", "missing_child", "missing_person"}
PUBLIC = {"municipality", "police", "safety_region", "public_transport"}
ALLOW_ALL = rule("alles")
ACCEPTS = [(), (Status.ACTUAL,), (Status.EXERCISE, Status.TEST), tuple(Status)]


def facts(**changes: Any) -> Facts:
    """Give the facts of a missing child for a municipality's board."""
    usual: dict[str, Any] = {
        "channel": "sign",
        "board": True,
        "owner": OwnerKind.MUNICIPALITY,
        "category": Category.MISSING_CHILD_ALERT,
        "status": Status.ACTUAL,
        "urgency": Urgency.IMMEDIATE,
        "language": "nl",
        "photo": False,
        "area": frozenset({"circle"}),
        "accepts": (Status.ACTUAL,),
    }
    return Facts(**{**usual, **changes})


EVERYTHING = [
    facts(board=board, owner=owner, category=category, status=status, accepts=accepts)
    for board, owner, category, status, accepts in product((True, False), OwnerKind, Category, Status, ACCEPTS)
]


def test_no_rule_can_switch_an_invariant_off() -> None:
    """R1, R2, R7 and the status hold for every combination, with a rule that allows everything."""
    for one in EVERYTHING:
        decision = decide(one, [ALLOW_ALL])
        accepted = one.status in one.accepts
        fit_for_a_board = one.category.value in MISSING and one.owner.value in PUBLIC
        assert decision.allowed == (accepted and (not one.board or fit_for_a_board))
        assert (decision.rule == "") == (not decision.allowed)


def test_a_broken_invariant_names_itself() -> None:
    """The reason is the rule that was broken; a robbery is named as such even on a commercial screen."""
    for one in EVERYTHING:
        expected = None
        if one.status not in one.accepts:
            expected = Reason.STATUS
        elif one.board and one.category.value in ("street_robbery", "hold_up"):
            expected = Reason.BOARD_ROBBERY
        elif one.board and one.category.value not in MISSING:
            expected = Reason.BOARD_CATEGORY
        elif one.board and one.owner.value not in PUBLIC:
            expected = Reason.BOARD_OWNER
        assert broken_invariant(one) is expected


def test_the_whitelist_is_the_four_words_of_the_domain() -> None:
    """R1 is a whitelist: exactly the missing-person categories, and never what R2 names or an unknown word."""
    assert {category.value for category in BOARD_CATEGORIES} == MISSING
    assert not BOARD_CATEGORIES & NEVER_ON_A_BOARD
    assert Category.OTHER not in BOARD_CATEGORIES


def test_without_a_rule_nothing_is_allowed() -> None:
    """Default deny: an empty rule file, or one that matches nothing, sends nothing anywhere."""
    for rules in ([], [rule("elders", channels=["fax"])], [rule("leeg", categories=[])]):
        decision = decide(facts(), rules)
        assert (decision.allowed, decision.reason) == (False, Reason.NO_RULE)


lists = st.fixed_dictionaries(
    {},
    optional={
        "channels": st.lists(st.sampled_from(["sign", "email", "facebook"]), max_size=3),
        "categories": st.lists(st.sampled_from([category.value for category in Category]), max_size=5),
        "owners": st.lists(st.sampled_from([owner.value for owner in OwnerKind]), max_size=5),
        "languages": st.lists(st.sampled_from(["nl", "de"]), max_size=2),
        "photo": st.lists(st.booleans(), max_size=2),
        "area": st.lists(st.sampled_from(["circle", "polygon", "geocode", "none"]), max_size=3),
    },
)
rules = st.lists(st.tuples(st.sampled_from(["allow", "deny"]), lists), max_size=6).map(
    lambda drawn: [rule(f"r{number}", effect, **given_) for number, (effect, given_) in enumerate(drawn)]
)
any_facts = st.builds(
    facts,
    channel=st.sampled_from(["sign", "email"]),
    board=st.booleans(),
    owner=st.sampled_from(OwnerKind),
    category=st.sampled_from(Category),
    language=st.sampled_from(["nl", "de", ""]),
    photo=st.booleans(),
    area=st.sets(st.sampled_from(["circle", "polygon", "geocode"]), min_size=1).map(frozenset),
)


def fits(one: Rule, about: Facts) -> bool:
    """Say in another way whether a rule is about these facts."""
    asked = {
        "channels": about.channel,
        "categories": about.category,
        "owners": about.owner,
        "languages": about.language,
        "photo": about.photo,
    }
    plain = all(getattr(one, name) is None or value in getattr(one, name) for name, value in asked.items())
    return plain and (one.area is None or any(kind in one.area for kind in about.area))


@given(about=any_facts, given_rules=rules)
@settings(max_examples=200, deadline=None)
def test_deny_overrides_allow_whatever_their_order(about: Facts, given_rules: list[Rule]) -> None:
    """One rule that denies outweighs all that allow; the first of its kind is named; the order changes no verdict."""
    matching = [one for one in given_rules if fits(one, about)]
    denying = [one.name for one in matching if one.effect == "deny"]
    allowing = [one.name for one in matching if one.effect == "allow"]
    decision = decide(about, given_rules)
    if broken_invariant(about):
        assert decision == Decision(False, broken_invariant(about) or Reason.ALLOWED)
    elif denying:
        assert (decision.allowed, decision.reason, decision.rule) == (False, Reason.RULE, denying[0])
    elif allowing:
        assert (decision.allowed, decision.reason, decision.rule) == (True, Reason.ALLOWED, allowing[0])
    else:
        assert (decision.allowed, decision.reason) == (False, Reason.NO_RULE)
    assert decide(about, given_rules[::-1]).allowed == decision.allowed


@pytest.mark.parametrize(
    ("about", "matches"),
    [
        ({"channel": "email"}, False),
        ({"category": Category.FIRE}, False),
        ({"status": Status.TEST}, False),
        ({"urgency": Urgency.PAST}, False),
        ({"owner": OwnerKind.CITIZEN}, False),
        ({"language": "de"}, False),
        ({"photo": True}, False),
        ({"area": frozenset({"geocode"})}, False),
        ({"area": frozenset({"geocode", "circle"})}, True),
        ({}, True),
    ],
)
def test_each_list_of_a_rule_is_asked(about: dict[str, Any], matches: bool) -> None:
    """A rule that names everything matches only when every one of its lists holds the fact."""
    narrow = rule(
        "smal",
        channels=["sign"],
        categories=["missing_child_alert"],
        statuses=["Actual"],
        urgencies=["Immediate"],
        owners=["municipality"],
        languages=["nl"],
        photo=[False],
        area=["circle", "polygon"],
    )
    assert narrow.matches(facts(**about)) == matches


@pytest.mark.parametrize("written", ["nl", "NL", "nl-NL"])
def test_a_language_in_a_rule_is_read_as_in_an_alert(written: str) -> None:
    """A rule that denies ``NL`` or ``nl-NL`` means Dutch; a spelling must not open what a rule closes."""
    decision = decide(facts(), [ALLOW_ALL, rule("geen-nl", "deny", languages=[written])])
    assert (decision.allowed, decision.rule) == (False, "geen-nl")


def test_every_reason_has_words_in_both_languages() -> None:
    """An operator never reads a bare code; the rule's own words come before ours, and a detail follows."""
    assert set(WORDS) == set(Reason)
    assert all(set(words) == {"nl", "en"} and all(words.values()) for words in WORDS.values())
    denied = decide(facts(), [rule("nee", "deny")])
    assert (denied.explain("nl"), denied.explain("en")) == ("nl nee", "nee")
    too_long = Decision(allowed=False, reason=Reason.LAYOUT, detail="needs 5 pages", detail_nl="het zijn 5 schermen")
    assert too_long.explain("en") == "the text does not fit this board in full: needs 5 pages"
    assert too_long.explain("nl") == "de tekst past niet volledig op dit bord: het zijn 5 schermen"


@pytest.mark.parametrize(
    "wrong",
    [
        {"effect": "maybe"},
        {"categories": ["kat"]},
        {"statuses": ["actual"]},
        {"owners": ["company"]},
        {"photo": ["yes"]},
        {"area": ["square"]},
        {"langauges": ["nl"]},
        {"reason": {"nl": "x"}},
        {"name": ""},
    ],
)
def test_a_rule_with_an_unknown_word_is_refused(wrong: dict[str, Any]) -> None:
    """The vocabulary is closed: a misspelt word is an error, not a rule that never matches."""
    usual = {"name": "r", "effect": "allow", "reason": {"nl": "x", "en": "y"}}
    RuleFile.model_validate({"rules": [usual]})
    with pytest.raises(ValidationError):
        RuleFile.model_validate({"rules": [{**usual, **wrong}]})
