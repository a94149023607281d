"""Tells operators what takes too long: once, then again at growing intervals until it is solved, and that it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import structlog

from bridge.core.dutch_time import clock_time
from bridge.core.errors import AdapterError, StoreUnavailable
from bridge.store import alarms
from bridge.store.alarms import Alarm, Overdue
from bridge.store.database import Connection, Database

LOOK = 5.0  # seconds between looks
MOST_NAMED = 50  # boards that one message names; the rest is counted
MOST_LOGGED = 20  # lines that one look adds to the log

WHAT = {"place": "niet te zien", "remove": "nog te zien"}
SEEN = {"dark": "het bord is donker", "other": "er staat iets anders", "ours": "onze melding staat er"}

log = structlog.get_logger()


class Way(Protocol):
    """One way to reach operators. ``tell`` raises one of the three errors of an adapter."""

    def tell(self, subject: str, text: str, facts: Mapping[str, Any]) -> Awaitable[None]:
        """Tell them: in one line, whole, and as facts for machines."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds until it is late (``place``, ``remove``), and until it is told again (``repeat``; the last one stays)."""

    place: float = 60.0
    remove: float = 60.0
    repeat: Sequence[float] = (300.0, 900.0, 3600.0)

    def again(self, told: int) -> float:
        """Give the seconds until the next telling, after so many."""
        return self.repeat[min(told, len(self.repeat)) - 1]


@dataclass(frozen=True, slots=True)
class Notice:
    """What operators are told: what is late now (``late``), and how many of what they were told before are solved."""

    late: Sequence[Overdue]
    solved: int
    at: float

    @property
    def subject(self) -> str:
        """Give it in one line."""
        still = sum(one.what == "remove" for one in self.late)
        parts = []
        if still:
            parts.append(f"{still} {_boards(still)} met een melding die weg moet zijn")
        if missing := len(self.late) - still:
            parts.append(f"{missing} {_boards(missing)} zonder de melding")
        if self.solved:
            parts.append(f"{self.solved} opgelost")
        return "Burgernet-brug: " + ", ".join(parts)

    @property
    def text(self) -> str:
        """Give it whole, for people."""
        lines = [self.subject, ""]
        for one in sorted(self.late, key=lambda one: one.what != "remove")[:MOST_NAMED]:
            lines += [*describe(one, self.at), ""]
        if len(self.late) > MOST_NAMED:
            lines.append(f"En nog {len(self.late) - MOST_NAMED} andere; zie: burgernet-bridge status")
        return "\n".join(lines).rstrip() + "\n"

    @property
    def facts(self) -> dict[str, Any]:
        """Give it for machines: fit for JSON."""
        return {"late": [asdict(one) for one in self.late], "solved": self.solved, "at": self.at}


def _boards(number: int) -> str:
    return "plek" if number == 1 else "plekken"


def describe(one: Overdue, now: float) -> list[str]:
    """Tell all that is known of one board that is late, in Dutch."""
    lines = [f"{one.target} ({one.channel}): zaak {one.case} is al {_duration(now - one.since)} {WHAT[one.what]}"]
    seen = SEEN.get(one.seen, "")
    if seen:
        lines.append(
            f"  gezien om {clock_time(one.verified_at)}: {seen}" + (f": {one.seen_text}" if one.seen_text else "")
        )
    else:
        lines.append("  nog niet gezien wat er staat")
    tried = f"{one.attempts} keer geprobeerd" if one.attempts else "wordt geprobeerd"
    lines.append(f"  {tried}" + (f": {one.error}" if one.error else ""))
    if one.contact or one.owner:
        lines.append(f"  bellen: {', '.join(filter(None, (one.owner, one.contact)))}")
    return lines


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} seconden"
    return f"{seconds / 60:.0f} minuten" if seconds < 7200 else f"{seconds / 3600:.0f} uur"


class Escalation:
    """Looks every few seconds what is late, and tells whom it may concern."""

    def __init__(self, database: Database, limits: Limits, ways: Sequence[Way], clock: Callable[[], float]) -> None:
        self._database = database
        self._limits = limits
        self._ways = ways
        self._clock = clock
        self.not_ready: str | None = None

    async def run(self) -> None:
        """Look and tell, for ever."""
        while True:
            try:
                await self.look()
                self.not_ready = None
            except StoreUnavailable as error:
                self.not_ready = str(error)
            await asyncio.sleep(LOOK)

    async def look(self) -> Notice:
        """Find what is late, tell what is to be told, and give it."""
        now = self._clock()
        late, known = await self._database.read(lambda connection: self._find(connection, now))
        to_tell = [one for one in late if self._is_to_tell(known.get(one.posting), one, now)]
        solved = sorted(known.keys() - {one.posting for one in late})
        notice = Notice(to_tell, len(solved), now)
        if to_tell or solved:
            self._log(notice, [known[name] for name in solved])
            await self._tell(notice)
            # Kept when it was told: who is killed in between tells it twice, and nobody misses it.
            kept = [self._kept(known.get(one.posting), one, now) for one in to_tell]
            await self._database.write(lambda connection: alarms.keep_alarms(connection, kept, solved))
        return notice

    def _find(self, connection: Connection, now: float) -> tuple[list[Overdue], Mapping[str, Alarm]]:
        return alarms.overdue(connection, now, self._limits.place, self._limits.remove), alarms.alarms(connection)

    def _is_to_tell(self, before: Alarm | None, one: Overdue, now: float) -> bool:
        return before is None or before.what != one.what or before.next_at <= now

    def _kept(self, before: Alarm | None, one: Overdue, now: float) -> Alarm:
        told = before.told + 1 if before and before.what == one.what else 1
        return Alarm(one.posting, one.case, one.what, one.since, told, now + self._limits.again(told))

    async def _tell(self, notice: Notice) -> None:
        for way in self._ways:
            try:
                await way.tell(notice.subject, notice.text, notice.facts)
            except AdapterError as error:
                log.error("operators were not told", way=type(way).__name__, error=str(error))  # noqa: TRY400

    def _log(self, notice: Notice, solved: Sequence[Alarm]) -> None:
        for one in notice.late[:MOST_LOGGED]:
            log.error(
                "too late",
                what=one.what,
                case=one.case,
                target=one.target,
                seconds=round(notice.at - one.since),
                seen=one.seen,
                attempts=one.attempts,
                error=one.error,
                contact=one.contact,
            )
        if len(notice.late) > MOST_LOGGED:
            log.error("and others are too late", postings=len(notice.late) - MOST_LOGGED)
        for alarm in solved[:MOST_LOGGED]:
            log.warning("solved", what=alarm.what, case=alarm.case, posting=alarm.posting, told=alarm.told)
