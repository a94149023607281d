"""Times as people in the Netherlands read them, wherever the bridge runs."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

AMSTERDAM = ZoneInfo("Europe/Amsterdam")


def clock_time(seconds: float) -> str:
    """Give the time of day, like 14:05:09, of a moment in seconds since the epoch."""
    return datetime.fromtimestamp(seconds, AMSTERDAM).strftime("%H:%M:%S")


def day_and_time(moment: datetime) -> str:
    """Give a day and a time, like 26-11-2026 14:05."""
    return moment.astimezone(AMSTERDAM).strftime("%d-%m-%Y %H:%M")
