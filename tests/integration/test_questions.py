"""What an operator may ask beforehand is answered as it would be decided now."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge.core.planning import Policy
from bridge.core.rules import RuleFile
from bridge.questions import explain
from bridge.store import reading, schema
from bridge.store.database import Database
from tests.integration.fake_adapters import FakeBoard
from tests.integration.spine import ALLOW_ALL, PlainWords, Spine, board, event, mail, page
from tests.integration.spine_store import database_fixture, masters_fixture, store_url  # noqa: F401

NOW = datetime.now(UTC)


@pytest.mark.parametrize(("minutes", "goes"), [(60, True), (-1, False)], ids=["open", "expired"])
def test_an_alert_whose_time_is_past_goes_nowhere(minutes: int, goes: bool) -> None:
    """Explaining an event that would be expired at once says so, and not that it goes to the boards."""
    rules = RuleFile.model_validate(ALLOW_ALL).rules
    policy = Policy([board("b")], rules, {"board": FakeBoard().capabilities}, PlainWords())
    asked = event("opened", "zaak", NOW - timedelta(hours=1), expires=(NOW + timedelta(minutes=minutes)).isoformat())
    [row] = explain(policy, asked, NOW, timedelta(days=1), "en")
    assert (row["goes"], row["reason_code"]) == (goes, "allowed" if goes else "expired")


FAR, NEAR = {"location": {"lat": 53.22, "lon": 6.57}}, {"location": {"lat": 52.18, "lon": 4.49}}
ADVERT = {"owner": {"kind": "commercial"}}
RULES: dict[str, Any] = {
    "rules": [
        {
            "name": "mail",
            "effect": "allow",
            "channels": ["email"],
            "reason": {"nl": "mag per mail", "en": "may be mailed"},
        },
        {"name": "geen-foto", "effect": "deny", "photo": [True], "reason": {"nl": "geen foto", "en": "no photo"}},
        {
            "name": "bord",
            "effect": "allow",
            "channels": ["sign"],
            "reason": {"nl": "mag op een bord", "en": "may be shown"},
        },
        {
            "name": "nee",
            "effect": "deny",
            "owners": ["police"],
            "reason": {"nl": "niet de politie", "en": "not the police"},
        },
    ]
}
TARGETS = [
    board("open"),
    board("dichtbij").model_validate({**board("dichtbij").model_dump(), **NEAR}),
    board("ver").model_validate({**board("ver").model_dump(), **FAR}),
    board("smal", columns=4),
    board("reclame").model_validate({**board("reclame").model_dump(), **ADVERT}),
    mail("ans"),
    mail("emma", languages=["en"]),
    mail("agent").model_validate({**mail("agent").model_dump(), "owner": {"kind": "police"}}),
    page("fb"),
]
LOCAL = {"areaDesc": "Leiden", "circle": ["52.18,4.49 3"]}


@pytest.mark.parametrize(
    ("data", "reasons"),
    [
        (
            {"area": LOCAL},
            {"allowed", "area", "layout", "board_owner", "language", "rule", "no_rule"},
        ),
        ({"area": LOCAL, "category": "hold_up"}, {"allowed", "board_robbery", "language", "rule", "no_rule"}),
        ({"category": "burglary"}, {"allowed", "board_category", "language", "rule", "no_rule"}),
        ({"area": None}, {"no_area", "board_owner", "rule", "no_rule"}),
        ({"status": "Exercise"}, {"status"}),
    ],
    ids=["local", "robbery", "burglary", "nowhere", "exercise"],
)
async def test_what_is_explained_is_what_is_decided_and_kept(
    database: Database, data: dict[str, Any], reasons: set[str]
) -> None:
    """Explaining an event tells, target by target and word for word, what the store keeps when it really comes."""
    spine = Spine(database, TARGETS, rules=RULES)
    asked = event("opened", "zaak", spine.clock.instant() + timedelta(seconds=1), **data)
    told = {
        language: explain(spine.policy, asked, spine.clock.instant(), timedelta(hours=4), language)
        for language in ("nl", "en")
    }
    await spine.opened(**data)
    kept = {row["target"]: row for row in await spine.rows(schema.decisions)}
    assert {row["reason_code"] for row in told["nl"]} == reasons
    for dutch, english in zip(told["nl"], told["en"], strict=True):
        row = kept.pop(dutch["target"])
        assert (dutch["goes"], dutch["reason_code"], dutch["rule"]) == (row["allowed"], row["reason"], row["rule"])
        assert {"nl": dutch["reason"], "en": english["reason"]} == json.loads(row["words"])
    assert kept == {}
    for language, rows in told.items():
        found = await database.read(lambda connection, language=language: reading.status(connection, "zaak", language))
        shown = {one["target"]: one for one in found["cases"][0]["postings"]}
        for row in rows:
            one = shown[row["target"]]
            assert (one["reason"], one["reason_code"], one["rule"]) == (row["reason"], row["reason_code"], row["rule"])
            assert one["desired"] == ("shown" if row["goes"] else "refused")
