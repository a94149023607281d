"""The shipped ``rules.yaml`` keeps the agreements of domain.md, for every combination of facts."""

from __future__ import annotations

from functools import cache
from itertools import product
from pathlib import Path

import pytest
import yaml

from bridge.core.alert import Category, Status, Urgency
from bridge.core.rules import BOARD_CATEGORIES, Decision, Facts, Reason, Rule, RuleFile, decide
from bridge.core.target import OwnerKind

RULES = Path(__file__).parents[2] / "config" / "rules.yaml"
BOARDS = ("sign", "display")
OTHERS = ("email", "facebook", "outbox", "feed")
EVERY_STATUS = tuple(Status)

MISSING = ["amber_alert", "missing_child_alert", "missing_child", "missing_person"]
ACUTE = [
    *MISSING,
    *[
        "confused_person",
        "wanted_person",
        "suspect",
        "burglary",
        "attempted_burglary",
        "doorstep_scam",
        "street_robbery",
        "hold_up",
    ],
    *["vehicle_theft", "vandalism", "hit_and_run", "violence", "fire", "hazard"],
]
NO_PHOTO = [
    "missing_child",
    "confused_person",
    "witness_appeal",
    "burglary",
    "attempted_burglary",
    "doorstep_scam",
    "bicycle_theft",
    "vandalism",
    "drugs",
    "nuisance",
    "other",
]


@cache
def shipped() -> tuple[Rule, ...]:
    """Read the shipped rules."""
    return RuleFile.model_validate(yaml.safe_load(RULES.read_text("utf-8"))).rules


def facts(channel: str, category: str, **others: object) -> Facts:
    """Make the facts of an ordinary alert: real, now, on a municipality's target, without a photo."""
    usual: dict[str, object] = {
        "board": channel in BOARDS,
        "owner": OwnerKind.MUNICIPALITY,
        "status": Status.ACTUAL,
        "urgency": Urgency.IMMEDIATE,
        "language": "nl",
        "photo": False,
        "area": frozenset({"circle"}),
        "accepts": (Status.ACTUAL,),
    }
    return Facts(channel=channel, category=Category(category), **{**usual, **others})  # type: ignore[arg-type]


@cache
def everything() -> tuple[tuple[Facts, Decision], ...]:
    """Judge every combination, on targets that accept every status."""
    asked: list[Facts] = []
    combinations = product((*BOARDS, *OTHERS), Category, OwnerKind, Status, Urgency, (False, True))
    for channel, category, owner, status, urgency, photo in combinations:
        others = {"owner": owner, "status": status, "urgency": urgency, "photo": photo, "accepts": EVERY_STATUS}
        asked.append(facts(channel, category, **others))
    return tuple((each, decide(each, shipped())) for each in asked)


def judge(channel: str, category: str, **others: object) -> Decision:
    """Judge one alert."""
    return decide(facts(channel, category, **others), shipped())


def test_what_is_allowed_is_exactly_what_was_agreed() -> None:
    """Over all combinations the verdict is the one that domain.md gives, and no other."""
    for asked, decision in everything():
        assert decision.allowed == agreed(asked), (asked, decision)


def agreed(asked: Facts) -> bool:
    """Say it once more, in other words than the rules do."""
    if asked.owner is OwnerKind.COMMERCIAL:  # R24
        return False
    if asked.photo and (asked.category in NO_PHOTO or asked.urgency is Urgency.PAST):  # R14
        return False
    match asked.channel:
        case "sign" | "display":  # R1, R2, R7
            return asked.category in MISSING and asked.owner is not OwnerKind.CITIZEN
        case "email":  # R16
            return True
        case "facebook":
            return asked.category is not Category.NEWSLETTER
        case "outbox":  # R10
            return asked.category in ACUTE and asked.urgency not in (Urgency.FUTURE, Urgency.PAST) and not asked.photo
    return False


def test_boards_carry_missing_persons_of_public_bodies_only() -> None:
    """I1 with R1, R2 and R7: nothing else ever gets onto a board, whoever owns it."""
    carried = {(asked.category, asked.owner) for asked, decision in everything() if asked.board and decision.allowed}
    public = set(OwnerKind) - {OwnerKind.CITIZEN, OwnerKind.COMMERCIAL}
    assert carried == set(product(BOARD_CATEGORIES, public))


def test_the_rules_keep_boards_clean_by_themselves() -> None:
    """Even an adapter that forgot to call itself a board gets no more from these rules."""
    for asked, decision in everything():
        if asked.channel in BOARDS:
            blind = facts(
                asked.channel, asked.category, board=False, owner=asked.owner, urgency=asked.urgency, photo=asked.photo
            )
            assert decide(blind, shipped()).allowed == decision.allowed


def test_exercises_go_only_where_they_are_accepted() -> None:
    """An exercise or test never reaches a target that takes real alerts only."""
    for channel, category, status in product((*BOARDS, *OTHERS), Category, (Status.EXERCISE, Status.TEST)):
        assert judge(channel, category, status=status).reason is Reason.STATUS


def test_an_alert_that_may_go_goes_without_its_photo() -> None:
    """A rule about a photo never stops the alert itself (R14)."""
    for asked, decision in everything():
        if asked.photo and decision.allowed:
            without = {"owner": asked.owner, "status": asked.status, "urgency": asked.urgency, "accepts": EVERY_STATUS}
            assert judge(asked.channel, asked.category, **without).allowed


def test_nothing_for_groups_that_may_not_be_on_facebook() -> None:
    """What admins get could also stand on a public page (R14)."""
    for asked, decision in everything():
        if asked.channel == "outbox" and decision.allowed:
            assert judge("facebook", asked.category, owner=asked.owner, urgency=asked.urgency).allowed


@pytest.mark.parametrize(
    ("channel", "category", "others", "reason", "rule"),
    [
        ("sign", "missing_child_alert", {}, Reason.ALLOWED, "bord-bij-vermissing"),
        ("display", "amber_alert", {"photo": True}, Reason.ALLOWED, "bord-bij-vermissing"),
        ("display", "missing_child", {"photo": True}, Reason.RULE, "foto-niet-bij-lokaal-vermist-kind"),
        ("sign", "confused_person", {}, Reason.BOARD_CATEGORY, ""),
        ("sign", "other", {}, Reason.BOARD_CATEGORY, ""),
        ("sign", "street_robbery", {}, Reason.BOARD_ROBBERY, ""),
        ("display", "hold_up", {}, Reason.BOARD_ROBBERY, ""),
        ("sign", "missing_person", {"owner": OwnerKind.CITIZEN}, Reason.BOARD_OWNER, ""),
        ("sign", "missing_person", {"owner": OwnerKind.PUBLIC_TRANSPORT}, Reason.ALLOWED, "bord-bij-vermissing"),
        ("sign", "hold_up", {"board": False}, Reason.RULE, "bord-nooit-bij-roof"),
        ("sign", "missing_person", {"board": False, "owner": OwnerKind.CITIZEN}, Reason.RULE, "bord-niet-van-burgers"),
        ("email", "newsletter", {"owner": OwnerKind.CITIZEN}, Reason.ALLOWED, "mail-alles"),
        ("email", "witness_appeal", {"urgency": Urgency.PAST}, Reason.ALLOWED, "mail-alles"),
        ("email", "street_robbery", {}, Reason.ALLOWED, "mail-alles"),
        ("email", "amber_alert", {"owner": OwnerKind.COMMERCIAL}, Reason.RULE, "geen-commerciele-doelen"),
        ("facebook", "newsletter", {}, Reason.RULE, "facebook-geen-nieuwsbrief"),
        ("facebook", "confused_person", {}, Reason.ALLOWED, "facebook-overig"),
        ("facebook", "confused_person", {"photo": True}, Reason.RULE, "foto-niet-bij-kwetsbare-persoon"),
        ("facebook", "burglary", {"photo": True}, Reason.RULE, "foto-niet-bij-minder-ernstige-zaken"),
        ("facebook", "suspect", {"photo": True, "urgency": Urgency.PAST}, Reason.RULE, "foto-niet-bij-wat-voorbij-is"),
        ("facebook", "missing_child_alert", {"photo": True}, Reason.ALLOWED, "facebook-overig"),
        ("outbox", "street_robbery", {}, Reason.ALLOWED, "beheerder-acuut"),
        ("outbox", "street_robbery", {"urgency": Urgency.UNKNOWN}, Reason.ALLOWED, "beheerder-acuut"),
        ("outbox", "burglary", {"urgency": Urgency.PAST}, Reason.RULE, "beheerder-niet-later-of-voorbij"),
        ("outbox", "hazard", {"urgency": Urgency.FUTURE}, Reason.RULE, "beheerder-niet-later-of-voorbij"),
        ("outbox", "prevention", {}, Reason.RULE, "beheerder-alleen-acuut"),
        ("outbox", "witness_appeal", {}, Reason.RULE, "beheerder-alleen-acuut"),
        ("outbox", "amber_alert", {"photo": True}, Reason.RULE, "foto-niet-naar-groepen"),
        ("feed", "amber_alert", {}, Reason.NO_RULE, ""),
    ],
)
def test_verdicts(channel: str, category: str, others: dict[str, object], reason: Reason, rule: str) -> None:
    """The cases that people will ask about get the named answer."""
    decision = judge(channel, category, **others)
    assert (decision.reason, decision.rule) == (reason, rule)


def test_every_rule_decides_something() -> None:
    """No rule is dead: each one decides some case (the boards' own, where the code would not have)."""
    deciding = {decision.rule for _, decision in everything()}
    deciding |= {judge("sign", "hold_up", board=False).rule}
    deciding |= {judge("sign", "missing_person", board=False, owner=OwnerKind.CITIZEN).rule}
    assert {rule.name for rule in shipped()} <= deciding


def test_rules_are_named_once_and_say_what_they_serve() -> None:
    """Each rule has its own name, the agreements it keeps, and a reason in two languages."""
    assert len({rule.name for rule in shipped()}) == len(shipped())
    served = {number for rule in shipped() for number in rule.serves}
    assert {"R1", "R2", "R7", "R10", "R14", "R16", "R24"} <= served
    for rule in shipped():
        assert rule.serves
        assert rule.reason.nl.strip() != rule.reason.en.strip()
