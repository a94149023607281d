"""What every target would show: the same decisions and words as the intake's own plans give, step by step."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bridge.core.asking import Foresight, Scene, foresee
from bridge.core.content import Phase, Photo
from bridge.core.errors import InvalidInput
from bridge.core.planning import PhotoState, Policy
from bridge.core.rules import Reason
from bridge.policy import PACKAGED
from bridge.preview.report import make
from bridge.rendering import Templates
from tests.unit.samples import BOARD, MAIL, NOW, OUTBOX, PAGE, alert_data, event, rule, target

POLICY = Policy(
    targets=(
        target("bord", sign={"columns": 16, "rows": 5, "pages": 4}),
        target("klein", sign={"columns": 16, "rows": 2, "pages": 1}),
        target("nog-kleiner", sign={"columns": 9, "rows": 2, "pages": 1}),
        target("pagina", channel="facebook", adapter="page"),
        target("mail", channel="email", adapter="mail"),
        target("beheerder", channel="outbox", adapter="outbox"),
        target("ver", channel="email", adapter="mail", location={"lat": 53.2, "lon": 6.5}),
    ),
    rules=(rule("alles"),),
    adapters={"http_sign": BOARD, "page": PAGE, "mail": MAIL, "outbox": OUTBOX},
    renderer=Templates(PACKAGED / "templates"),
)


def see(*events: Any) -> dict[str, Scene]:
    """Give what each target would show."""
    return {scene.target.id: scene for scene in foreseen(*events).scenes}


def foreseen(*events: Any) -> Foresight:
    """Look ahead, a minute after the first event."""
    later = NOW + timedelta(minutes=1)
    return foresee(POLICY, events, later, timedelta(days=1), PhotoState(ready=Photo("foto")))


def test_an_opening() -> None:
    """Every target shows what it gets, with its photo, or says why it shows nothing."""
    seen = see(event("opened"))
    assert {name for name, scene in seen.items() if scene.content} == {"bord", "pagina", "mail", "beheerder"}
    assert seen["ver"].decision.reason is Reason.AREA
    assert seen["klein"].decision.reason is Reason.LAYOUT
    assert seen["klein"].too_long
    assert seen["klein"].too_long.beginning == "In de Merenwijk is een jongen"
    assert seen["pagina"].content
    assert seen["pagina"].content.photo
    assert seen["bord"].content
    assert seen["bord"].content.pages[0][0] == "In de Merenwijk"


def test_a_correction() -> None:
    """Alone it corrects what all have seen; after its opening it is the same."""
    update = event("updated", 1, data=alert_data(info=[{"description": "Hij is 9 jaar."}]))
    for events in ([update], [event("opened"), update]):
        seen = see(*events)
        assert seen["mail"].content
        assert (seen["mail"].content.phase, "Hij is 9 jaar." in seen["mail"].content.text) == (Phase.UPDATED, True)
        assert seen["klein"].content
        assert seen["klein"].content.text == "Hij is 9 jaar."


def test_an_ending() -> None:
    """Boards are dark, who got the alert hears the outcome, who did not hears nothing."""
    seen = see(event("opened"), event("ended", 1))
    assert seen["bord"].content is None
    assert seen["bord"].decision.allowed
    assert {name for name, scene in seen.items() if scene.content} == {"pagina", "mail", "beheerder"}
    assert seen["mail"].content
    assert seen["mail"].content.phase is Phase.ENDED
    with pytest.raises(InvalidInput, match="an ending shows nothing by itself"):
        see(event("ended"))


def test_an_alert_whose_time_is_past() -> None:
    """It would be kept, and shown nowhere."""
    expired = event("opened", data=alert_data(expires=(NOW - timedelta(hours=1)).isoformat()))
    assert {scene.decision.reason for scene in see(expired).values()} >= {Reason.EXPIRED}
    assert not any(scene.content for scene in see(expired).values())


def test_the_report() -> None:
    """Boards that cannot show the text stand with what they could, and what reaches all of them is the shortest."""
    made = make(foreseen(event("opened")), POLICY, "nl")
    assert (made.boards, made.too_small) == (3, 2)
    assert [one.beginning for one in made.shortenings] == ["In de Merenwijk is een jongen", "In de Merenwijk"]
    assert made.reach == "In de Merenwijk"
    assert [one.topic.value for one in made.advice] == ["boards"]
    assert [(len(one.targets), one.reason) for one in made.refusals] == [(1, "ligt buiten het gebied van de melding")]
    alone = make(foreseen(event("opened")), POLICY, "en", "klein")
    assert (alone.boards, len(alone.views), alone.reach) == (1, 0, "In de Merenwijk is een jongen")
