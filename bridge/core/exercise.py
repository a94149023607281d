"""Any event as an exercise: under a case of its own, dated now, for those who exercise and nobody else."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bridge.core.alert import Status
from bridge.core.events import Ended, Event, parse_structured
from bridge.core.events import dump as dump_event

PREFIX = "oefening-"  # of the case and the event, so that both are told from the real ones


def as_exercise(event: Event, now: datetime, name: str) -> Event:
    """Make an exercise of an event. ``name``: something no other event has. Raises ``InvalidInput``.

    The events of one case stay those of one case, and ``expires`` stands as far from the event as it did.
    """
    fields: dict[str, Any] = {
        "id": f"{PREFIX}{name}",
        "subject": f"{PREFIX}{event.subject.removeprefix(PREFIX)}",
        "time": now,
        "sequence": None,  # it counted in the real case
    }
    if not isinstance(event, Ended):
        ends = {"expires": now + (event.data.expires - event.time)} if event.data.expires else {}
        fields["data"] = event.data.model_copy(update={"status": Status.EXERCISE, **ends})
    # Read anew, for what is put together here must be as good as what comes in.
    return parse_structured(dump_event(event.model_copy(update=fields)))
