"""What happens in one simulated day: made from a seed, and readable, so that a failure can be told and made smaller."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from random import Random

START = datetime(2026, 11, 22, 9, 15, tzinfo=UTC).timestamp()
BASE = START - 86_400  # events are dated a day back, ten minutes apart: their order is beyond doubt
ACTIVE = 120.0  # seconds in which things happen; then the world heals
PHOTO = "https://photos.example/boy.jpg"
MISSING = "missing_child_alert"
CATEGORIES = [MISSING] * 6 + ["street_robbery", "missing_person", "hold_up", "iets_nieuws", "prevention"]
ZONES = [0, 60, 120, -300, 345]  # minutes: the same instant in other spellings
FAULTS = [
    *("slow", "refused", "refused", "busy", "lost request", "lost answer", "lost answer", "late", "hangs", "crash"),
    *("never", "lie", "way down"),
]
TARGETS = ("board-a", "board-b", "page", "mail-a", "mail-b", "outbox", "small", "advert", "drill", "far")


@dataclass(frozen=True, slots=True)
class Message:
    """An event on its way: when the broker gets it (``at``, seconds from the start), and what it says.

    ``rank`` orders the events of a case as they really happened; ``name`` is the event's id.
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

    @property
    def text(self) -> str:
        """What it says, unlike anything else that is ever said; the last word decides whether a small board takes it."""
        return f"{self.case} versie {self.rank} {'kort' if self.fits else 'eenveeltelangwoordvooreenkleinbord'}"

    def body(self) -> bytes:
        """Write it as the queue brings it."""
        if self.kind == "garbage":
            return b'{"specversion": "1.0", "type": "nl.burgernet.alert.begun"}'
        zone = timezone(timedelta(minutes=self.zone))
        when = datetime.fromtimestamp(BASE + 600 * self.rank, UTC).astimezone(zone)
        fields = {
            "specversion": "1.0",
            "id": self.name,
            "source": "urn:nld:oin:00000001003214345000:systeem:proef",
            "type": f"nl.burgernet.alert.{self.kind}",
            "subject": self.case,
            "time": when.isoformat(),
        }
        return json.dumps({**fields, "data": self._data(zone)}).encode()

    def _data(self, zone: timezone) -> dict[str, object]:
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
            data["expires"] = datetime.fromtimestamp(START + self.expires, UTC).astimezone(zone).isoformat()
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


@dataclass(frozen=True, slots=True)
class History:
    """Everything that one seed decides; delays on the way come from the seed as well."""

    seed: int
    workers: int  # 0: one bridge on an embedded store
    targets: tuple[str, ...]
    messages: tuple[Message, ...]
    faults: tuple[Fault, ...] = ()
    acts: tuple[Act, ...] = field(default=())

    def __str__(self) -> str:
        """Tell the whole history, in the order of time."""
        how = "one bridge, embedded store" if self.workers == 0 else f"{self.workers} bridges on one store"
        lines = [f"seed {self.seed}: {how}; targets {', '.join(self.targets)}"]
        timed = sorted([*self.messages, *self.acts], key=lambda one: one.at)
        return "\n".join([*lines, *map(str, timed), *map(str, self.faults)])


def generate(seed: int) -> History:
    """Make a history from a seed."""
    random = Random(seed)
    workers = random.choice([0, 0, 2, 3])
    targets = tuple(sorted(random.sample(TARGETS, random.randint(2, 5))))
    messages: list[Message] = []
    for number in range(random.choice([1, 1, 1, 2, 2, 3])):
        messages += _case(f"zaak{number}", random)
    if random.random() < 0.1:
        messages.append(Message(random.uniform(0, ACTIVE), "", "garbage", 0, "garbage"))
    some = [target for target in targets for _ in range(2)]
    faults = {
        (random.choice(some), min(int(random.expovariate(0.4)), 12)): random.choice(FAULTS)
        for _ in range(random.choice([0, 1, 2, 4, 8]))
    }
    broken = tuple(Fault(target, nth, what) for (target, nth), what in sorted(faults.items()))
    return History(seed, workers, targets, tuple(messages), broken, tuple(_acts(random, workers, targets, messages)))


def _case(case: str, random: Random) -> list[Message]:
    """Make the events of one case, and the ways they take: late, twice, in any order."""
    story = random.choice(["oe", "oue", "ouue", "o", "ou", "oeo", "oeoe", "oeu", "oee", "e", "uoe", "ueo", "oueoue"])
    kinds = {"o": "opened", "u": "updated", "e": "ended"}
    category, status = random.choice(CATEGORIES), random.choice(["Actual"] * 5 + ["Exercise"])
    photo, moment, messages = random.random() < 0.3, random.uniform(0, 20), []
    expires = random.uniform(20, 150) if random.random() < 0.15 else None
    for rank, letter in enumerate(story, 1):
        if letter != "e" and random.random() < 0.15:
            category = random.choice(CATEGORIES)
        moment += random.choice([0.0, 0.01, 0.3, 2.0, 12.0, 40.0]) * random.random()
        message = Message(
            at=min(moment + (random.uniform(0, 30) if random.random() < 0.2 else 0), ACTIVE),
            case=case,
            kind=kinds[letter],
            rank=rank,
            name=f"{case}-{rank}",
            category=category,
            status=status,
            photo=photo and letter != "e" and random.random() < 0.9,
            outcome=random.choice(["resolved", "resolved", "unresolved", "withdrawn"]),
            expires=expires,
            fits=random.random() < 0.9,
            zone=random.choice(ZONES),
        )
        messages += [message] * (2 if random.random() < 0.15 else 1)
    return messages


def _acts(random: Random, workers: int, targets: tuple[str, ...], messages: list[Message]) -> list[Act]:
    names = [f"bridge{number}" for number in range(max(1, workers))]
    boards = [target for target in targets if target.startswith("board")]
    acts = []
    for _ in range(random.choice([0, 0, 1, 1, 2, 4])):
        at, name = random.uniform(0, ACTIVE), random.choice(names)
        what = random.choice(
            ["kill", "kill", "kill", "cut", "store down", "lost commit", "clock", "reboot", "photos", "op"]
        )
        if what == "kill":
            # Just after an event came, a step runs: there a kill tells most.
            near = random.choice(messages).at if random.random() < 0.8 else at
            acts.append(Act(near + random.random() * 0.4, "kill", name, random.randrange(40)))
            acts.append(Act(near + 0.5 + random.choice([0.0, 1.0, 30.0]) * random.random(), "start", name))
        elif what == "cut":
            acts.append(Act(at, "broker cuts", name))
        elif what in ("store down", "lost commit"):
            acts.append(Act(at, what, name, random.choice([0.2, 3.0, 12.0])))
        elif what == "clock":
            acts.append(Act(at, "clock steps", name, random.choice([-20.0, -2.0, 3.0, 40.0])))
        elif what == "reboot" and boards:
            acts.append(Act(at, random.choice(["reboots dark", "reboots lit"]), random.choice(boards)))
        elif what == "photos":
            acts.append(Act(0.0, "photos", random.choice(["hang", "slow", "refused", "gone"])))
        elif what == "op":
            case = random.choice(messages).case or "zaak0"
            acts.append(
                Act(at, "withdraw", case) if random.random() < 0.3 else Act(at, f"hold {case}", random.choice(targets))
            )
        if workers > 1 and random.random() < 0.3:
            acts.append(
                Act(random.uniform(0, ACTIVE), "freeze", random.choice(names), random.choice([1.0, 18.0, 40.0]))
            )
    return acts
