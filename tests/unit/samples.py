"""Invented events, alerts and targets for the tests of the core."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from bridge.core.alert import Alert
from bridge.core.events import Event, parse_structured
from bridge.core.posting import Capabilities, Kind
from bridge.core.rules import Rule
from bridge.core.target import Target

NOW = datetime(2026, 11, 22, 9, 15, tzinfo=UTC)
HEADLINE = "Vermist: jongen (8) in Leiden"
ORIGINAL = "In de Merenwijk is een jongen van 8 jaar vermist. Hij draagt een rode jas."

ALERT: Mapping[str, Any] = {
    "status": "Actual",
    "category": "missing_child_alert",
    "urgency": "Immediate",
    "senderName": "Meldkamer Den Haag",
    "info": [{"language": "nl", "headline": HEADLINE, "description": ORIGINAL, "instruction": "Gezien? Bel 112."}],
    "area": {
        "areaDesc": "Leiden, Merenwijk",
        "circle": ["52.180,4.495 2.0"],
        "polygon": [],
        "geocode": [{"valueName": "gemeente", "value": "GM0546"}],
    },
    "resource": [{"uri": "https://example.nl/foto.jpg", "mimeType": "image/jpeg", "resourceDesc": "Jongen, rode jas"}],
}
ENVELOPE: Mapping[str, Any] = {
    "specversion": "1.0",
    "id": "event-1",
    "source": "urn:nld:oin:00000001003214345000:systeem:meldkamer",
    "type": "nl.burgernet.alert.opened",
    "subject": "2026112200042",
    "time": "2026-11-22T10:15:00+01:00",
    "datacontenttype": "application/json",
}

BOARD = Capabilities(
    kind=Kind.STATE,
    channels=frozenset({"sign"}),
    board=True,
    can_observe=True,
    can_find=True,
    idempotent=True,
    photo=True,
    leased=True,
)
PAGE = Capabilities(
    kind=Kind.POST, channels=frozenset({"facebook"}), can_observe=True, can_find=True, photo=True, edits_photo=False
)
MAIL = Capabilities(kind=Kind.MESSAGE, channels=frozenset({"email"}), can_retract=False, photo=True)
OUTBOX = Capabilities(kind=Kind.MESSAGE, channels=frozenset({"outbox"}), can_retract=False, idempotent=True)


def document(kind: str = "opened", **changes: Any) -> dict[str, Any]:
    """Give a structured event as a dictionary of its own, with some of its attributes changed."""
    data = {"outcome": "resolved"} if kind == "ended" else ALERT
    return copy.deepcopy({**ENVELOPE, "type": f"nl.burgernet.alert.{kind}", "data": data, **changes})


def event(kind: str, minute: float = 0, *, name: str = "", **changes: Any) -> Event:
    """Give an event so many minutes after ``NOW``; its id says what it is, unless ``name`` does."""
    changes.setdefault("time", (NOW + timedelta(minutes=minute)).isoformat())
    return parse_structured(json.dumps(document(kind, id=name or f"{kind}-{minute}", **changes)))


def alert_data(**changes: Any) -> dict[str, Any]:
    """Give the ``data`` of an opening, with some of its fields changed."""
    return copy.deepcopy({**ALERT, **changes})


def alert(**changes: Any) -> Alert:
    """Give an alert, with some of its fields changed."""
    return Alert.model_validate(alert_data(**changes))


def target(name: str = "bord", channel: str = "sign", **changes: Any) -> Target:
    """Give a target without a place, owned by a municipality."""
    adapter = {"sign": "http_sign"}.get(channel, channel)
    fields: dict[str, Any] = {
        "id": name,
        "channel": channel,
        "adapter": adapter,
        "address": f"http://127.0.0.1:9100/{name}",
        "owner": {"name": "Gemeente Leiden", "kind": "municipality"},
        "languages": ["nl"],
    }
    if channel == "sign":
        fields["sign"] = {"columns": 16, "rows": 5, "pages": 4}
    return Target.model_validate({**fields, **changes})


def rule(name: str, effect: str = "allow", **lists: Any) -> Rule:
    """Give a rule."""
    return Rule.model_validate({"name": name, "effect": effect, "reason": {"nl": f"nl {name}", "en": name}, **lists})
