"""What a case is, whatever the order in which its events came in.

The fold keeps six registers, each the earliest or latest event of its sort. Joining is max and min, so duplicates,
late events and any order give the same case; an ending that comes before its opening is a tombstone by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from bridge.core.alert import Alert, Ending, Outcome
from bridge.core.events import Ended, Event, Opened
from bridge.core.rules import MAIL_ONLY

# Two sources' clocks may differ by this much: an ending dated just before the only opening still ends it.
CLOCK_SKEW = timedelta(minutes=5)
_LAST = 10**18
# "Never", as some write it (9999-12-31T23:59:59.9999999), is not to be kept in seconds; the day before it is.
LONGEST = timedelta(days=366)  # an alert that is to stand for longer is a mistake: it stands for so long
_FOREVER = datetime(9999, 12, 31, tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """When an event happened, as a total order: time, then ``sequence``, then opened < updated < ended."""

    time: datetime
    sequence: int
    rank: int
    source: str
    id: str

    @classmethod
    def of(cls, event: Event, received: datetime) -> Key:
        """Order an event; a time in the future counts as now, or no honest ending could follow it at once."""
        rank = {"opened": 0, "updated": 1, "ended": 2}[event.type.rpartition(".")[2]]
        default = -1 if isinstance(event, Opened) else _LAST
        sequence = default if event.sequence is None else event.sequence
        time = event.time if event.time <= received + CLOCK_SKEW else received
        return cls(time, sequence, rank, event.source, event.id)


class Standing(StrEnum):
    """How a case stands."""

    OPEN = "open"
    EXPIRED = "expired"  # past its time without an ending: dark, but nobody said how it ended
    ENDED = "ended"


class Verdict(StrEnum):
    """What an event did to its case."""

    APPLIED = "applied"
    SUPERSEDED = "superseded"  # a later event was here first
    TOMBSTONE = "tombstone"  # an ending of a case that was never opened here
    ENDED_ALREADY = "ended_already"  # an opening or update of a case that is over
    DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True)
class Registers:
    """The fold's whole memory of a case."""

    first: Key | None = None  # the earliest opening or update
    first_opened: Key | None = None  # the earliest opening
    opened: Key | None = None  # the latest opening
    acute: Key | None = None  # the latest of them that asked people to look out: its end is told (R16)
    content: Key | None = None  # the latest opening or update, and what it said
    ended: Key | None = None  # the latest ending, and what it said
    alert: Alert | None = None
    ending: Ending | None = None

    def join(self, event: Event, received: datetime) -> Registers:
        """Take one more event in.

        What the case knows already has happened, whatever our clock says: after it was set back an hour, an honest
        ending must not count as older than the opening it ends.
        """
        key = Key.of(event, max(received, self.latest() or received))
        if isinstance(event, Ended):
            if self.ended is not None and key <= self.ended:
                return self
            return replace(self, ended=key, ending=event.data)
        changes: dict[str, Any] = {"first": key if self.first is None else min(self.first, key)}
        if isinstance(event, Opened):
            changes["first_opened"] = key if self.first_opened is None else min(self.first_opened, key)
            changes["opened"] = key if self.opened is None else max(self.opened, key)
        if event.data.category not in MAIL_ONLY and (self.acute is None or key > self.acute):
            changes["acute"] = key
        if self.content is None or key > self.content:
            changes |= {"content": key, "alert": event.data}
        return replace(self, **changes)

    @property
    def is_over(self) -> bool:
        """Whether the latest ending still stands: no opening came after it."""
        if self.ended is None:
            return False
        if self.opened is None or self.opened < self.ended:
            return True
        only_opening = self.first_opened == self.opened
        return only_opening and self.opened.time - self.ended.time <= CLOCK_SKEW

    @property
    def is_told(self) -> bool:
        """Whether people who got a message of this life of the case hear how it ended."""
        return self.acute is not None and (self.opened is None or self.acute >= self.opened)

    def without_words(self) -> Registers:
        """Keep when things happened and how they ended, and not a word of what was said (R15)."""
        ending = Ending(outcome=self.ending.outcome) if self.ending else None
        return replace(self, alert=None, ending=ending)

    def latest(self) -> datetime | None:
        """Give the time of the latest event, so that an operator's own ending can come after it."""
        return max((key.time for key in (self.content, self.ended) if key), default=None)


@dataclass(frozen=True, slots=True)
class Case:
    """A case as it should be shown. ``revision`` rises with every change that people would see.

    ``worded`` is the revision that last changed what is said: a longer ``expires`` is no reason to mail everyone again.
    """

    id: str
    registers: Registers = Registers()
    standing: Standing = Standing.OPEN
    revision: int = 0
    worded: int = 0
    expires: datetime | None = None

    @property
    def outcome(self) -> Outcome | None:
        """How it ended, when that was told."""
        ending = self.registers.ending
        return ending.outcome if ending and self.standing is Standing.ENDED else None


def fold(case: Case, event: Event, received: datetime, max_lifetime: timedelta) -> tuple[Case, Verdict]:
    """Take one event into a case: the case after it, and what the event did."""
    registers = case.registers.join(event, received)
    after = _stand(case, registers, received, max_lifetime)
    return after, _verdict(case.registers, registers, ending=isinstance(event, Ended))


def _verdict(before: Registers, after: Registers, *, ending: bool) -> Verdict:
    if ending and after.is_over and after.ended != before.ended:
        return Verdict.APPLIED if after.alert else Verdict.TOMBSTONE
    if not ending and after.is_over:
        return Verdict.ENDED_ALREADY
    if not ending and (after.content != before.content or before.is_over):
        return Verdict.APPLIED
    return Verdict.SUPERSEDED


def settle(case: Case, now: datetime, max_lifetime: timedelta) -> Case:
    """Work out how a case stands at ``now``; the clock calls this when ``expires`` has passed."""
    return _stand(case, case.registers, now, max_lifetime)


def _stand(case: Case, registers: Registers, now: datetime, max_lifetime: timedelta) -> Case:
    if registers.is_over or registers.alert is None or registers.content is None:
        standing, expires = Standing.ENDED, None
    else:
        began = registers.content.time
        expires = min(registers.alert.expires or began + max_lifetime, began + LONGEST, _FOREVER)
        standing = Standing.OPEN if expires > max(now, began) else Standing.EXPIRED  # past before it began: a mistake
    after = Case(case.id, registers, standing, case.revision, case.worded, expires)
    if _visible(after) == _visible(case):
        return after
    revision = case.revision + 1
    worded = revision if _said(after) != _said(case) else case.worded
    return Case(case.id, registers, standing, revision, worded, expires)


def _said(case: Case) -> tuple[object, ...]:
    """What messages say of a case: everything that ``content.words_of`` takes from an alert."""
    alert = case.registers.alert if case.standing is not Standing.ENDED else None
    area = alert.area.areaDesc if alert and alert.area else ""
    texts = [(one.language, one.headline, one.description, one.instruction) for one in alert.info] if alert else []
    words = (texts, alert.category, alert.status, alert.senderName, area) if alert else None
    return (case.standing is Standing.ENDED, case.outcome, words)


def _visible(case: Case) -> tuple[object, ...]:
    """What people would see of a case; an ending that only repeats the outcome changes nothing."""
    if case.revision == 0 and case.registers == Registers():
        return ()
    alert = case.registers.alert if case.standing is not Standing.ENDED else None
    return (case.standing is Standing.ENDED, case.outcome, alert)
