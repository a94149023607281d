"""Makes a history from a seed: the same seed, the same history, for as long as this file stays as it is."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import yaml

from tests.simulation.history import ACTIVE, ALLOW_ALL, LOCAL, MISSING, Act, Fault, History, Message

CATEGORIES = [MISSING] * 6 + ["street_robbery", "missing_person", "hold_up", "iets_nieuws", "prevention"]
STORIES = ["oe", "oue", "ouue", "o", "ou", "oeo", "oeoe", "oeu", "oee", "e", "uoe", "ueo", "oueoue"]
KINDS = {"o": "opened", "u": "updated", "e": "ended"}
ZONES = [LOCAL, LOCAL, 0, 60, 120, -300, 345]
TARGETS = [
    *("page", "page", "page", "board-a", "board-a", "board-b", "board-b", "mail-a", "mail-a", "mail-b", "outbox"),
    *("small", "drill", "advert", "far"),
]
SILENT = {"advert", "far"}  # never called, if all is well
FAULTS = [
    *("slow", "refused", "refused", "busy", "lost request", "lost answer", "lost answer", "late", "hangs", "crash"),
    *("never", "lie", "lie", "way down", "dies before", "dies after", "dies after", "dies at the answer"),
]
STEPS = [-7200.0, -3600.0, -20.0, -2.0, -0.3, -0.02, 0.02, 0.3, 3.0, 40.0, 3600.0, 7200.0]  # of a clock, in seconds
ACTS = [
    *("kill", "kill", "kill", "cut", "store down", "lost commit", "clock", "clock", "reboot", "reboot", "photos"),
    *("operator", "freeze", "freeze"),
]

SIGNS = 0.35  # the share of days with signs that hold one message
CROWDING = [MISSING, MISSING, "missing_person", "missing_child", "amber_alert"]
RELOADS = 0.15  # the share of days on which rules change
PIECES = 0.25  # the share of days on which targets are judged a few at a time

# What rules may ask about: words that a day can have, and some that it never has.
SHIPPED = Path(__file__).parents[2] / "config" / "rules.yaml"
EFFECTS = ["allow", "allow", "deny"]
WORDS: dict[str, list[Any]] = {
    "channels": ["sign", "facebook", "email", "outbox"],
    "categories": [MISSING, "missing_person", "street_robbery", "hold_up", "prevention", "other", "fire"],
    "statuses": ["Actual", "Exercise"],
    "urgencies": ["Unknown", "Past"],
    "owners": ["municipality", "citizen", "commercial"],
    "languages": ["nl", "en"],
    "photo": [True, False],
    "area": ["circle", "none"],
}

# How many cases, targets, faults and acts: most days are short, a few are long.
SMALL = ([1], [1, 2, 3], [0, 1, 2, 3], [0, 1, 1, 2])
MIDDLE = ([1, 2, 2, 3], [3, 4, 5, 7], [0, 2, 4, 8], [0, 1, 2, 4])
LARGE = ([4, 5, 6], [8, 11, 15], [6, 12, 20], [2, 4, 8])


def generate(seed: int) -> History:
    """Make a history."""
    random = Random(seed)
    cases, shown, faulty, acting = random.choices([SMALL, MIDDLE, LARGE], [60, 35, 5])[0]
    workers = random.choice([0, 0, 2, 3])
    targets = tuple(sorted(set(random.sample(TARGETS, random.choice(shown)))))
    messages: list[Message] = []
    for number in range(random.choice(cases)):
        messages += _case(f"zaak{number}", random)
    if random.random() < 0.1:
        messages.append(Message(_moment(random), "", "garbage", 0, "garbage"))
    called = [target for target in targets if target not in SILENT] or targets
    faults = {
        (random.choice(called), min(int(random.expovariate(0.4)), 12)): random.choice(FAULTS)
        for _ in range(random.choice(faulty))
    }
    names = [f"bridge{number}" for number in range(max(1, workers))]
    acts = [act for _ in range(random.choice(acting)) for act in _acts(random, names, targets, messages)]
    broken = tuple(Fault(target, nth, what) for (target, nth), what in sorted(faults.items()))
    # Drawn apart, so that whatever else a seed makes stays as it is.
    rules = _rules(Random(f"{seed}/rules"))
    rewritten = _rewritten(Random(f"{seed}/rewritten"))
    acts += [Act(at, "reload", "", number) for number, (at, _) in enumerate(rewritten, 1)]
    day = History(
        seed, workers, targets, tuple(messages), broken, tuple(acts), rules, tuple(two for _, two in rewritten)
    )
    day = replace(day, at_a_time=_at_a_time(Random(f"{seed}/at a time")))
    return _with_signs(day, Random(f"{seed}/signs"))


def _at_a_time(random: Random) -> int:
    """Have some days on which targets are judged a few at a time, as they are where there are very many."""
    return random.choice([1, 2, 3]) if random.random() < PIECES else 0


def _with_signs(day: History, random: Random) -> History:
    """Add, on some days, signs that hold one message, the cases that crowd them, and what befalls such signs."""
    if random.random() > SIGNS:
        return day
    signs = random.choice([("sign-a",), ("sign-b",), ("sign-a", "sign-b")])
    first = len({one.case for one in day.messages if one.case})
    more: list[Message] = []
    for number in range(random.choice([1, 2, 2, 3])):
        sort = random.choice(CROWDING)
        case = _case(f"zaak{first + number}", random)
        more += [replace(one, category=sort) if one.rank == 1 else one for one in case]
    broken = {
        (random.choice(signs), min(int(random.expovariate(0.3)), 12)): random.choice(FAULTS)
        for _ in range(random.choice([0, 0, 1, 2, 4]))
    }
    return replace(
        day,
        targets=tuple(sorted({*day.targets, *signs})),
        messages=(*day.messages, *more),
        faults=(*day.faults, *(Fault(target, nth, what) for (target, nth), what in sorted(broken.items()))),
        acts=(*day.acts, *(_befalls(random, random.choice(signs)) for _ in range(random.choice([0, 0, 1, 2, 3])))),
    )


def _befalls(random: Random, sign: str) -> Act:
    what = random.choice(["reboots dark", "reboots lit", "someone writes", "someone writes", "lies"])
    return Act(_moment(random), what, sign, random.choice([0, 1]) if what in ("reboots lit", "lies") else 0)


def _rewritten(random: Random) -> list[tuple[float, tuple[dict[str, Any], ...]]]:
    """Let an administrator write other rules on some days, at some moments."""
    if random.random() > RELOADS:
        return []
    return [(_moment(random), _rules(random)) for _ in range(random.choice([1, 1, 2]))]


def _rules(random: Random) -> tuple[dict[str, Any], ...]:
    """Make the rules of the day: often all is allowed, for faults show best then; else the shipped ones, or any."""
    kind = random.random()
    if kind < 0.6:
        return ALLOW_ALL
    if kind < 0.75:
        return shipped()
    rules = [{"effect": effect, **_lists(random)} for effect in random.choices(EFFECTS, k=random.randint(1, 6))]
    return tuple(rules) if random.random() < 0.3 else (*rules, *ALLOW_ALL)


def _lists(random: Random) -> dict[str, Any]:
    names = random.sample(sorted(WORDS), random.choice([0, 1, 1, 1, 2, 3]))
    return {name: random.sample(WORDS[name], random.randint(1, len(WORDS[name]))) for name in names}


@cache
def shipped() -> tuple[dict[str, Any], ...]:
    """Read the shipped rules, without their names and reasons."""
    left_out = {"name", "serves", "reason"}
    read = yaml.safe_load(SHIPPED.read_text("utf-8"))["rules"]
    return tuple({key: value for key, value in rule.items() if key not in left_out} for rule in read)


def _moment(random: Random) -> float:
    return round(random.uniform(0, ACTIVE), 2)


def _case(case: str, random: Random) -> list[Message]:
    """Make the events of one case, and the ways they take: late, twice, in any order."""
    category, status = random.choice(CATEGORIES), random.choice(["Actual"] * 5 + ["Exercise"])
    photo, moment, messages = random.random() < 0.3, random.uniform(0, 20), []
    expires = round(random.uniform(20, 150), 1) if random.random() < 0.15 else None
    apart = random.choice([1500, 1500, 1500, 0])
    for rank, letter in enumerate(random.choice(STORIES), 1):
        if letter != "e" and random.random() < 0.15:
            category = random.choice(CATEGORIES)
        moment += random.choice([0.0, 0.01, 0.3, 2.0, 12.0, 40.0]) * random.random()
        message = Message(
            at=round(min(moment + (random.uniform(0, 30) if random.random() < 0.2 else 0), ACTIVE), 2),
            case=case,
            kind=KINDS[letter],
            rank=rank,
            name=f"{case}-{rank}",
            category=category,
            status=status,
            photo=photo and letter != "e" and random.random() < 0.9,
            outcome=random.choice(["resolved", "resolved", "unresolved", "withdrawn"]),
            expires=expires,
            fits=random.random() < 0.9,
            zone=random.choice(ZONES),
            apart=apart,
        )
        messages += [message] * (2 if random.random() < 0.15 else 1)
    return messages


def _acts(random: Random, names: list[str], targets: tuple[str, ...], messages: list[Message]) -> list[Act]:
    """Make something that happens; a kill tells most just after an event came, when steps run."""
    at, name, what = _moment(random), random.choice(names), random.choice(ACTS)
    boards = [target for target in targets if target.startswith("board")]
    match what:
        case "kill":
            near = random.choice(messages).at if random.random() < 0.8 else at
            again = near + 0.5 + random.choice([0.0, 1.0, 30.0]) * random.random()
            fuse = random.randrange(80)
            return [
                Act(round(near + random.random() * 0.4, 3), "kill", name, fuse),
                Act(round(again, 2), "start", name),
            ]
        case "cut":
            return [Act(at, "broker cuts", name)]
        case "store down" | "lost commit":
            return [Act(at, what, name, random.choice([0.2, 3.0, 12.0]))]
        case "clock":
            # One process's clock, or that of the machine they all run on.
            return [Act(at, "clock steps", random.choice([name, "all"]), random.choice(STEPS))]
        case "reboot" if boards:
            return [Act(at, random.choice(["reboots dark", "reboots lit"]), random.choice(boards))]
        case "photos":
            return [Act(0.0, "photos", random.choice(["hang", "slow", "refused", "gone"]))]
        case "operator":
            case = random.choice(messages).case or "zaak0"
            return [
                Act(at, "withdraw", case) if random.random() < 0.3 else Act(at, f"hold {case}", random.choice(targets))
            ]
        case "freeze":
            how = random.choice(["freeze", "freeze at a claim"])
            return [
                Act(
                    round(at / 4, 2) if how.endswith("claim") else at, how, name, random.choice([1.0, 18.0, 40.0, 90.0])
                )
            ]
        case _:
            return []
