"""How much of its call limit a Facebook page has used, as every answer of the Graph API tells in its headers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bridge.core.errors import TransientError

FULL = 95.0
"""Percentage of a limit from which nothing new is sent: a call over the limit would prolong the block."""

FULL_PAUSE = 60.0
"""Seconds until a full page is tried again, so that a fresh reading comes in."""

LONGEST_PAUSE = 3_600.0
"""Seconds; the limits are of a sliding hour, so a reading that names more is not believed."""

URGENT_PAUSE = 60.0
"""Seconds that a removal or a look waits at most: what must go is tried again, whatever a header says."""


class _Usage(BaseModel):
    """One reading: percentages of the limits, and minutes until access comes back (0: there is access)."""

    model_config = ConfigDict(allow_inf_nan=False)

    call_count: float = Field(0, ge=0)
    total_time: float = Field(0, ge=0)
    total_cputime: float = Field(0, ge=0)
    estimated_time_to_regain_access: float = Field(0, ge=0)

    @property
    def percent(self) -> float:
        return max(self.call_count, self.total_time, self.total_cputime)


_BY_BUSINESS = TypeAdapter(dict[str, list[_Usage]])


@dataclass(frozen=True)
class _Pause:
    until: float
    urgent_until: float  # for removals and looks; 0: they go out


class UsageMeter:
    """Remembers for each page until when not to call. ``clock`` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._pauses: dict[str, _Pause] = {}

    def admit(self, page: str, *, urgent: bool) -> None:
        """Raise ``TransientError`` while the page is full or blocked; a block holds what is urgent for a minute."""
        pause = self._pauses.get(page)
        if pause is None:
            return
        now = self._clock()
        if pause.until <= now:
            del self._pauses[page]
        elif (remaining := (pause.urgent_until if urgent else pause.until) - now) > 0:
            why = (
                "Facebook blocks this page for too many calls"
                if pause.urgent_until
                else "this page is close to its limit of calls"
            )
            raise TransientError(why, retry_after=remaining)

    def note(self, page: str, headers: Mapping[str, str]) -> float | None:
        """Take the reading in an answer's headers; return the seconds of a block, ``None`` when there is none.

        An answer without a reading changes nothing.
        """
        readings = _readings(headers)
        if not readings:
            return None
        minutes = max(reading.estimated_time_to_regain_access for reading in readings)
        blocked = min(minutes * 60, LONGEST_PAUSE)
        if blocked:
            now = self._clock()
            self._pauses[page] = _Pause(now + blocked, now + min(blocked, URGENT_PAUSE))
        elif max(reading.percent for reading in readings) >= FULL:
            self._pauses[page] = _Pause(self._clock() + FULL_PAUSE, 0.0)
        else:
            self._pauses.pop(page, None)
        return blocked or None


def _readings(headers: Mapping[str, str]) -> list[_Usage]:
    """Read the three headers; one that cannot be read is as good as none."""
    found: list[_Usage] = []
    try:
        if value := headers.get("X-Business-Use-Case-Usage"):
            found += [usage for usages in _BY_BUSINESS.validate_json(value).values() for usage in usages]
        for name in ("X-App-Usage", "X-Page-Usage"):
            if value := headers.get(name):
                found.append(_Usage.model_validate_json(value))
    except ValidationError:
        return found
    return found
