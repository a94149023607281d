"""What is measured: the way of one event to one board, and of one case to many boards and back."""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from benchmarks.contenders import Arena, Boards, Contender

IDLE = 0.03  # seconds between events, so that each one finds its program with nothing to do
WARM_UP = 20  # events before the first that counts
PATIENCE = 120.0  # seconds that one case may take to all its boards

# Five lines of sixteen characters: what a board's layout makes of it is what it was.
TEXT = "VERMIST: JONGEN\n8 JAAR IN LEIDEN\nRODE JAS, BLAUWE\nMUTS. GEZIEN?\nBEL 112"

_serial = itertools.count(1)


@dataclass
class Latencies:
    """Milliseconds from an event's publication to the board: an opening's PUT, an ending's DELETE."""

    shown: list[float] = field(default_factory=list)
    gone: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class FanOut:
    """One case to all boards and back, in seconds, and what it took."""

    boards: int
    shown: float
    gone: float
    peak_memory: float

    @property
    def rate(self) -> float:
        """Requests a second, both ways."""
        return 2 * self.boards / (self.shown + self.gone)


async def latency(arena: Arena, boards: Boards, events: int, rounds: int) -> dict[str, Latencies]:
    """Measure both contenders in turns, so that what else the machine does hits both."""
    found = {"bare": Latencies(), "bridge": Latencies()}
    # Reading back is put off, for a board that is being read is not idle.
    async with arena.bare(1) as bare, arena.bridge(1, dispatch={"checks": [86400]}) as bridge:
        for contender in (bare, bridge):
            await _round(contender, boards, WARM_UP)
        for _ in range(rounds):
            for contender in (bare, bridge):
                seen = await _round(contender, boards, max(1, events // rounds))
                found[contender.name].shown += seen.shown
                found[contender.name].gone += seen.gone
    return found


async def _round(contender: Contender, boards: Boards, events: int) -> Latencies:
    seen = Latencies()
    for _ in range(events):
        opened, ended = case_events()
        for event, count, list_of in ((opened, 1, seen.shown), (ended, 0, seen.gone)):
            await asyncio.sleep(IDLE)
            sent = await contender.send(event)
            list_of.append((await boards.until(contender.name, count, PATIENCE) - sent) / 1e6)
    return seen


async def fan_out(boards: Boards, contender: Contender, count: int) -> FanOut:
    """Send one case to ``count`` boards, wait until the last shows it, end it, wait until the last is dark."""
    opened, ended = case_events()
    sent = await contender.send(opened)
    shown = await boards.until(contender.name, count, PATIENCE) - sent
    sent = await contender.send(ended)
    gone = await boards.until(contender.name, 0, PATIENCE) - sent
    return FanOut(count, shown / 1e9, gone / 1e9, contender.peak_memory)


def case_events() -> tuple[bytes, bytes]:
    """Write the opening and the ending of a new case."""
    number = next(_serial)
    alert = {
        "category": "missing_child_alert",
        "info": [{"language": "nl", "headline": "Vermist", "description": TEXT}],
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


def percentile(values: Sequence[float], share: int) -> float:
    """Give the value that ``share`` percent of the values stay under."""
    return statistics.quantiles(values, n=100, method="inclusive")[share - 1]
