"""Any event as an exercise: never a real one, and as long as it was."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bridge.core.alert import Status
from bridge.core.events import Ended, dump, parse_structured
from bridge.core.exercise import as_exercise
from tests.unit.samples import NOW, alert_data, event

LATER = NOW + timedelta(days=400)


@pytest.mark.parametrize("kind", ["opened", "updated"])
@pytest.mark.parametrize("status", ["Actual", "Test", "Exercise"])
def test_an_alert_becomes_an_exercise(kind: str, status: str) -> None:
    """It has a case and an id of its own, is dated now, expires as much later, and says the same."""
    given = event(kind, sequence="7", data=alert_data(status=status, expires=(NOW + timedelta(hours=2)).isoformat()))
    made = as_exercise(given, LATER, "a")
    assert not isinstance(made, Ended)
    assert made.data.status is Status.EXERCISE
    assert (made.subject, made.id, made.time) == (f"oefening-{given.subject}", "oefening-a", LATER)
    assert made.data.expires == LATER + timedelta(hours=2)
    assert made.sequence is None
    assert made.data.info == given.data.info  # type: ignore[union-attr]
    assert parse_structured(dump(made)) == made


def test_an_ending_ends_the_exercise_and_not_the_case() -> None:
    """The ending of the same case, made an exercise, belongs to the exercise; again made one, it stays there."""
    made = as_exercise(event("ended"), LATER, "b")
    assert isinstance(made, Ended)
    assert made.subject == as_exercise(event("opened"), LATER, "c").subject
    assert as_exercise(made, LATER, "d").subject == made.subject
