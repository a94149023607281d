"""The cases that are played: the same words for everyone, a new case each time."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from datetime import UTC, datetime

# Five lines of sixteen characters: what a board's layout makes of it is what it was.
TEXT = "VERMIST: JONGEN\n8 JAAR IN LEIDEN\nRODE JAS, BLAUWE\nMUTS. GEZIEN?\nBEL 112"

_serial = itertools.count(1)


def case_events() -> tuple[bytes, bytes]:
    """Write the opening and the ending of a new case."""
    number = next(_serial)
    alert = {
        "category": "missing_child_alert",
        "info": [{"language": "nl", "headline": f"Vermist {number}", "description": TEXT}],
        "area": {"circle": ["52.180,4.495 2.0"]},
    }
    return _event(number, "opened", alert), _event(number, "ended", {"outcome": "resolved"})


def _event(number: int, what: str, data: Mapping[str, object]) -> bytes:
    event = {
        "specversion": "1.0",
        "id": f"{number}-{what}",
        "source": "urn:burgernet-bridge:benchmark",
        "type": f"nl.burgernet.alert.{what}",
        "subject": f"bench-{number}",
        "time": datetime.now(UTC).isoformat(),
        "datacontenttype": "application/json",
        "data": data,
    }
    return json.dumps(event).encode()
