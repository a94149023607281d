"""The invented cases of the story, as the events that a control room would put on the queue."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

Json = dict[str, Any]

SOURCE = "urn:nld:oin:00000000000000000000:systeem:demo"
SENDER = "Meldkamer Demo (verzonnen)"
AREA: Json = {
    "areaDesc": "Leiden, Merenwijk",
    "circle": ["52.180,4.495 2.0"],
    "geocode": [{"valueName": "gemeente", "value": "GM0546"}],
}

CHILD, ROBBERY, EARLY_END, OUTAGE, LOST_ANSWER = (f"20261122000{number}" for number in (42, 51, 58, 63, 77))

BOY = [
    {
        "language": "nl",
        "headline": "Vermist: jongen (8) in Leiden",
        "description": "Leiden: jongen (8) vermist. Rode jas, blauwe muts.",
        "instruction": "Gezien? Bel 112.",
    },
    {
        "language": "en",
        "headline": "Missing: boy (8) in Leiden",
        "description": "Leiden: boy (8) missing. Red coat, blue cap.",
        "instruction": "Seen him? Call 112.",
    },
]
BOY_CORRECTED = [
    {
        "language": "nl",
        "headline": "Vermist: jongen (7) in Leiden",
        "description": "Leiden: jongen (7) vermist, op step. Rode jas, blauwe muts.",
        "instruction": "Gezien? Bel 112.",
    },
    {
        "language": "en",
        "headline": "Missing: boy (7) in Leiden",
        "description": "Leiden: boy (7) missing, on a scooter. Red coat, blue cap.",
        "instruction": "Seen him? Call 112.",
    },
]
BOY_FOUND = [
    {"language": "nl", "description": "De jongen is gevonden en weer thuis."},
    {"language": "en", "description": "The boy has been found and is back home."},
]
ROBBERS = [
    {
        "headline": "Straatroof in de Merenwijk",
        "description": "Twee mannen met donkere helmen zijn na een straatroof weggereden op een witte scooter.",
        "instruction": "Ziet u hen? Bel 112 en blijf op afstand.",
    }
]
ROBBERS_NOT_FOUND = [{"description": "De twee mannen op de scooter zijn niet gevonden."}]
GIRL = [
    {
        "headline": "Vermist: meisje (6) in Leiden",
        "description": "Leiden: meisje (6) vermist. Gele regenjas.",
        "instruction": "Gezien? Bel 112.",
    }
]
GIRL_FOUND = [{"description": "Het meisje was al thuis."}]
WOMAN = [
    {
        "headline": "Vermist: vrouw (74) in Leiden",
        "description": "Leiden: vrouw (74) vermist. Grijze jas, wandelstok.",
        "instruction": "Gezien? Bel 112.",
    }
]
WOMAN_FOUND = [{"description": "De vrouw is in goede gezondheid gevonden."}]
LONG = [
    {
        "headline": "Vermist: meisje (9) in Leiden",
        "description": "Leiden: meisje (9) vermist sinds 16.00 uur. Groene jas, roze rugzak, paarse step met gele "
        "linten.",
        "instruction": "Gezien? Bel 112.",
    }
]
LONG_MISTAKE = [{"description": "Het meisje was niet vermist; de melding was een vergissing."}]


def opened(case: str, category: str, info: list[Json], *, photo: str = "", at: datetime | None = None) -> Json:
    """Make the event that opens a case."""
    return _event("opened", case, _alert(category, info, photo), at)


def updated(case: str, category: str, info: list[Json], *, photo: str = "", at: datetime | None = None) -> Json:
    """Make a correction: the whole new content."""
    return _event("updated", case, _alert(category, info, photo), at)


def ended(case: str, outcome: str, info: list[Json], *, at: datetime | None = None) -> Json:
    """Make the event that ends a case; it needs no more than the outcome."""
    return _event("ended", case, {"outcome": outcome, "info": info}, at)


def _alert(category: str, info: list[Json], photo: str) -> Json:
    expires = datetime.now(UTC) + timedelta(hours=4)
    resource = [{"uri": photo, "mimeType": "image/jpeg", "resourceDesc": "Getekende jongen"}] if photo else []
    return {
        "status": "Actual",
        "category": category,
        "urgency": "Immediate",
        "senderName": SENDER,
        "expires": expires.isoformat(),
        "info": info,
        "area": AREA,
        "resource": resource,
    }


def _event(kind: str, case: str, data: Json, at: datetime | None) -> Json:
    return {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": SOURCE,
        "type": f"nl.burgernet.alert.{kind}",
        "subject": case,
        "time": (at or datetime.now(UTC)).isoformat(),
        "datacontenttype": "application/json",
        "data": data,
    }
