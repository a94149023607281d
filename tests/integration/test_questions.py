"""What an operator may ask beforehand is answered as it would be decided now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bridge.core.planning import Policy
from bridge.core.rules import RuleFile
from bridge.questions import explain
from tests.integration.fake_adapters import FakeBoard
from tests.integration.spine import ALLOW_ALL, PlainWords, board, event

NOW = datetime.now(UTC)


@pytest.mark.parametrize(("minutes", "goes"), [(60, True), (-1, False)], ids=["open", "expired"])
def test_an_alert_whose_time_is_past_goes_nowhere(minutes: int, goes: bool) -> None:
    """Explaining an event that would be expired at once says so, and not that it goes to the boards."""
    rules = RuleFile.model_validate(ALLOW_ALL).rules
    policy = Policy([board("b")], rules, {"board": FakeBoard().capabilities}, PlainWords())
    asked = event("opened", "zaak", NOW - timedelta(hours=1), expires=(NOW + timedelta(minutes=minutes)).isoformat())
    [row] = explain(policy, asked, timedelta(days=1), "en")
    assert (row["goes"], row["reason_code"]) == (goes, "allowed" if goes else "expired")
