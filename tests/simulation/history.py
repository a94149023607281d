"""What happens in one simulated day, as data: readable, so that a failure can be told; cut to pieces, to make it smaller."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

START = datetime(2026, 10, 26, 0, 15, tzinfo=UTC).timestamp()
BASE = START - 86_400  # events are dated a day back: their order is beyond doubt
SUMMER_ENDS = datetime(2026, 10, 25, 1, 0, tzinfo=UTC).timestamp()  # so that day's events say their hour twice
SKEW = 300.0  # seconds by which an ending may be dated before the only opening and still ends it
ACTIVE = 120.0  # seconds in which things happen; then the world heals
PHOTO = "https://photos.example/boy.jpg"
MISSING = "missing_child_alert"
ALLOW_ALL: tuple[dict[str, Any], ...] = ({"effect": "allow"},)
LOCAL = -1  # the zone that the clocks in the control room have: summer time until that night


@dataclass(frozen=True, slots=True)
class Message:
    """An event on its way: when the broker gets it (``at``, seconds from the start), and what it says.

    ``rank`` orders the events of a case as they really happened, ``apart`` seconds after one another; where they carry
    the same time, the sequence tells. ``name`` is the event's id, ``zone`` how its times are spelled (minutes).
    """

    at: float
    case: str
    kind: str  # opened, updated, ended; garbage
    rank: int
    name: str
    category: str = MISSING
    status: str = "Actual"
    photo: bool = False
    outcome: str = "resolved"
    expires: float | None = None  # seconds from the start
    fits: bool = True
    zone: int = 0
    apart: int = 1500

    @property
    def text(self) -> str:
        """What it says, unlike anything else that is ever said; the last word decides whether a small board takes it."""
        return f"{self.case} versie {self.rank} {'kort' if self.fits else 'eenveeltelangwoordvooreenkleinbord'}"

    @property
    def moment(self) -> float:
        """When it says that it happened, in seconds since the epoch."""
        return BASE + self.apart * self.rank

    def body(self) -> bytes:
        """Write it as the queue brings it."""
        if self.kind == "garbage":
            return b'{"specversion": "1.0", "type": "nl.burgernet.alert.begun"}'
        fields = {
            "specversion": "1.0",
            "id": self.name,
            "source": "urn:nld:oin:00000001003214345000:systeem:proef",
            "type": f"nl.burgernet.alert.{self.kind}",
            "subject": self.case,
            "time": self._spelled(self.moment),
        }
        if not self.apart:
            fields["sequence"] = str(self.rank)
        return json.dumps({**fields, "data": self._data()}).encode()

    def _spelled(self, moment: float) -> str:
        minutes = (120 if moment < SUMMER_ENDS else 60) if self.zone == LOCAL else self.zone
        return datetime.fromtimestamp(moment, timezone(timedelta(minutes=minutes))).isoformat()

    def _data(self) -> dict[str, object]:
        if self.kind == "ended":
            return {"outcome": self.outcome, "info": [{"description": self.text}]}
        data: dict[str, object] = {
            "status": self.status,
            "category": self.category,
            "info": [{"headline": f"Vermist {self.case}", "description": self.text}],
            "area": {"areaDesc": "Leiden", "circle": ["52.18,4.49 3"]},
        }
        if self.photo:
            data["resource"] = [{"uri": PHOTO, "mimeType": "image/jpeg"}]
        if self.expires is not None:
            data["expires"] = self._spelled(START + self.expires)
        return data

    def __str__(self) -> str:
        """Say it in one line."""
        if self.kind == "garbage":
            return f"{self.at:7.2f} s  the broker gets something that is no event"
        about = f"{self.outcome}" if self.kind == "ended" else f"{self.category} {self.status}"
        more = f"{' photo' if self.photo else ''}{'' if self.expires is None else f' until {self.expires:.0f} s'}"
        return f"{self.at:7.2f} s  {self.case}: {self.kind} #{self.rank} ({about}{more}) id {self.name}"


@dataclass(frozen=True, slots=True)
class Fault:
    """The ``nth`` call at a target meets this."""

    target: str
    nth: int
    what: str

    def __str__(self) -> str:
        """Say it in one line."""
        return f"           call {self.nth} at {self.target}: {self.what}"


@dataclass(frozen=True, slots=True)
class Act:
    """Something that happens to a process, the store, the broker, a board or a clock, or that an operator does."""

    at: float
    what: str
    who: str = ""
    number: float = 0.0

    def __str__(self) -> str:
        """Say it in one line."""
        number = f" {self.number:g}" if self.number else ""
        return f"{self.at:7.2f} s  {self.what} {self.who}{number}"


Part = Message | Fault | Act


@dataclass(frozen=True, slots=True)
class History:
    """Everything that one seed decides; delays on the way and the order of what comes together are the seed's as well."""

    seed: int
    workers: int  # 0: one bridge on an embedded store
    targets: tuple[str, ...]
    messages: tuple[Message, ...]
    faults: tuple[Fault, ...] = ()
    acts: tuple[Act, ...] = ()
    rules: tuple[dict[str, Any], ...] = ALLOW_ALL  # as rules.yaml has them, without their names and reasons
    rewritten: tuple[
        tuple[dict[str, Any], ...], ...
    ] = ()  # what an administrator makes of them, for acts called reload
    at_a_time: int = 0  # targets that one transaction judges; 0: all of them

    @property
    def parts(self) -> tuple[Part, ...]:
        """Give everything that can be left out."""
        return (*self.messages, *self.faults, *self.acts)

    def to_json(self) -> str:
        """Write it in one line."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> History:
        """Read what ``to_json`` wrote."""
        found: Mapping[str, Any] = json.loads(text)
        return cls(
            found["seed"],
            found["workers"],
            tuple(found["targets"]),
            tuple(Message(**one) for one in found["messages"]),
            tuple(Fault(**one) for one in found["faults"]),
            tuple(Act(**one) for one in found["acts"]),
            tuple(found.get("rules", ALLOW_ALL)),
            tuple(tuple(one) for one in found.get("rewritten", ())),
            found.get("at_a_time", 0),
        )

    def __str__(self) -> str:
        """Tell the whole history, in the order of time."""
        how = "one bridge, embedded store" if self.workers == 0 else f"{self.workers} bridges on one store"
        few = f", judged {self.at_a_time} at a time" if self.at_a_time else ""
        lines = [f"seed {self.seed}: {how}; targets {', '.join(self.targets)}{few}"]
        timed = sorted([*self.messages, *self.acts], key=lambda one: one.at)
        ruled = [] if self.rules == ALLOW_ALL else [f"           rule: {json.dumps(one)}" for one in self.rules]
        ruled += [f"           rules {n}: {json.dumps(one)}" for n, one in enumerate(self.rewritten, 1)]
        return "\n".join([*lines, *ruled, *map(str, timed), *map(str, self.faults)])
