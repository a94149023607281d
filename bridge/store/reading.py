"""What people and machines ask of the store: how every case stands everywhere, and the figures that tell of trouble."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, and_, case, func, literal, or_, select

from bridge.core.advice import on_boards
from bridge.core.case import Standing
from bridge.core.posting import Applied, Desired, Kind
from bridge.core.rules import WORDS, Reason
from bridge.store import schema
from bridge.store.alarms import how_many
from bridge.store.workers import DEAD

__all__ = ["Gauges", "LeftBehind", "gauges", "status"]

MOST_CASES = 50
LATE = 10.0  # seconds after which what waits is called late
_WAITING = frozenset({"pending", "retracting", "unknown"})
MOST_POSTINGS = 200  # of one case, where no case is asked for

_p = schema.postings.c
_d = schema.decisions.c
_c = schema.cases.c
_POSTING = (
    *(_p.target, _p.channel, _p.kind, _p.desired, _p.content, _p.ending, _p.carried, _p.reason, _p.held),
    *(_p.applied, _p.applied_content, _p.applied_revision, _p.stale, _p.attempts, _p.error, _p.due, _p.waits),
    *(_p.verified_at, _p.seen, _p.seen_text, _p.gone_at, _p.dark_at),
)
_DECISION = (_d.reason.label("why"), _d.rule, _d.words)


def status(connection: Connection, name: str | None = None, language: str = "nl") -> dict[str, Any]:
    """Tell of one case, or of the latest ``MOST_CASES``, what every target should show and does show.

    The shape is that of ``status --json``: ``{"cases": [{"case", "state", "revision", "category", "outcome",
    "postings": [{"target", "channel", "desired", "applied", "revision", "attempts", "error", "reason"}]}]}``.
    A posting's ``revision`` is the one that was last there, ``attempts`` counts the failures since the last success,
    and ``reason`` is in ``language`` (nl or en). Beside these a case has ``expired``, ``headline``, ``opened``,
    ``changed``, ``erased`` (RFC 3339), ``advice`` (on its texts) and ``truncated`` (there are more postings; where
    no case is asked for), and a posting has ``settled`` (what should be there is there), ``reason_code``, ``rule``,
    ``due``, and what was ``seen`` at ``verified_at`` (ours, dark, or other: ``seen_text``). ``gone_at`` and ``dark_at``
    tell when it was taken away, and first seen to be. An unknown case gives no case.
    """
    table = select(schema.cases)
    if name is not None:
        rows, most = connection.execute(table.where(_c.id == name)).all(), None
    else:
        rows, most = connection.execute(table.order_by(_c.changed.desc()).limit(MOST_CASES)).all(), MOST_POSTINGS
    return {"cases": [_case(connection, row, language, most) for row in rows]}


def _case(connection: Connection, row: Any, language: str, most: int | None) -> dict[str, Any]:
    limit = None if most is None else most + 1
    found = [_posting(one, language) for one in connection.execute(_postings_of(row, limit))]
    found += [_refusal(one, language) for one in connection.execute(_refusals_of(row, limit))]
    return {
        "case": row.id,
        "state": "open" if row.standing == Standing.OPEN else "ended",
        "revision": row.revision,
        "category": row.category,
        "outcome": row.outcome or None,
        "expired": row.standing == Standing.EXPIRED,
        "headline": row.headline,
        "opened": _time(row.opened),
        "changed": _time(row.changed),
        "erased": _time(row.erased),
        "truncated": most is not None and len(found) > most,
        "advice": _advice(connection, row, language),
        "postings": sorted(found[:most], key=lambda one: str(one["target"])),
    }


def retraction(connection: Connection, name: str, language: str = "nl") -> dict[str, Any] | None:
    """Prove for one case that it is gone everywhere; ``None`` when it is not known.

    Gives ``case``, ``state``, ``outcome``, ``proven``, and ``targets``: postings as ``status`` gives them, each with a
    ``proof``: ``dark`` (seen to be gone), ``gone`` (taken away where nobody can look), ``told`` (what was sent cannot
    be taken back), ``never`` (nothing was there) or ``not_yet``.
    """
    case = connection.execute(select(schema.cases).where(_c.id == name)).first()
    if case is None:
        return None
    rows = connection.execute(_postings_of(case, None)).all()
    targets = [{"proof": _proof(row), **_posting(row, language)} for row in rows]
    over = case.standing != Standing.OPEN
    return {
        "case": name,
        "state": "ended" if over else "open",
        "outcome": case.outcome or None,
        "proven": over and all(one["proof"] != "not_yet" for one in targets),
        "targets": targets,
    }


def _proof(row: Any) -> str:
    """Name how sure it is that nothing stands there any more."""
    if row.kind == Kind.MESSAGE or (row.kind == Kind.POST and row.ending and row.applied == Applied.SHOWN):
        return "told" if row.due is None or row.applied != Applied.SHOWN or _compare(row)[2] else "not_yet"
    if row.desired == Desired.SHOWN or row.applied in (Applied.SHOWN, Applied.UNKNOWN):
        return "not_yet"
    if row.dark_at:
        return "dark"
    if row.gone_at and row.due is not None:
        return "not_yet"  # it is still to be looked at
    return "gone" if row.applied == Applied.GONE else "never"


def _advice(connection: Connection, row: Any, language: str) -> list[str]:
    """Give the advice on the texts, and while the case is open on how many boards they fit."""
    told = [words[0 if language == "nl" else 1] for words in json.loads(row.advice or "[]")]
    if row.standing != Standing.OPEN:
        return told
    small = and_(_d.case_id == row.id, _d.plan == row.plan, _d.reason == Reason.LAYOUT.value)
    shown = and_(_p.case_id == row.id, _p.kind == Kind.STATE.value, _p.desired == Desired.SHOWN.value)
    small_boards = connection.scalar(select(func.count()).select_from(schema.decisions).where(small)) or 0
    boards = connection.scalar(select(func.count()).select_from(schema.postings).where(shown)) or 0
    return told + [one.say(language) for one in on_boards(boards, boards + small_boards)]


def _postings_of(row: Any, limit: int | None) -> Any:
    latest = and_(_d.case_id == _p.case_id, _d.plan == row.plan, _d.target == _p.target)
    both = schema.postings.outerjoin(schema.decisions, latest)
    return select(*_POSTING, *_DECISION).select_from(both).where(_p.case_id == row.id).order_by(_p.target).limit(limit)


def _refusals_of(row: Any, limit: int | None) -> Any:
    """Find the targets that were judged last and got nothing, now or before."""
    has_posting = select(literal(1)).where(_p.case_id == _d.case_id, _p.target == _d.target).exists()
    judged = and_(_d.case_id == row.id, _d.plan == row.plan, _d.allowed.is_(False), ~has_posting)
    return select(_d.target, _d.channel, *_DECISION).where(judged).order_by(_d.target).limit(limit)


def _posting(row: Any, language: str) -> dict[str, Any]:
    desired, applied, settled = _compare(row)
    return {
        "target": row.target,
        "channel": row.channel,
        "desired": desired,
        "applied": applied,
        "revision": row.applied_revision,
        "attempts": row.attempts,
        "error": row.error or None,
        "settled": settled,
        **_reason(row, language),
        "verified_at": _time(row.verified_at),
        "seen": row.seen or None,
        "seen_text": row.seen_text or None,
        "gone_at": _time(row.gone_at),
        "dark_at": _time(row.dark_at),
        "due": _time(row.due),
    }


def _refusal(row: Any, language: str) -> dict[str, Any]:
    return {
        "target": row.target,
        "channel": row.channel,
        "desired": "refused",
        "applied": "none",
        "revision": 0,
        "attempts": 0,
        "error": None,
        "settled": True,
        **_told(row, language),
        "verified_at": None,
        "seen": None,
        "seen_text": None,
        "gone_at": None,
        "dark_at": None,
        "due": None,
    }


def _compare(row: Any) -> tuple[str, str, bool]:
    """Name what should be there and what is there, and tell whether they agree."""
    wanted = row.desired == Desired.SHOWN and (row.carried or not row.ending)  # as State.wanted
    there = row.applied == Applied.SHOWN
    as_wanted = there and row.applied_content == row.content and not row.stale
    if row.kind == Kind.MESSAGE:
        return _compare_message(row, wanted=wanted, as_wanted=as_wanted)
    if wanted:
        return "shown", row.applied, as_wanted
    desired = "refused" if row.desired == Desired.REFUSED else "gone"
    return desired, row.applied, row.applied in (Applied.NONE, Applied.GONE)


def _compare_message(row: Any, *, wanted: bool, as_wanted: bool) -> tuple[str, str, bool]:
    """A message is *shown* when the latest one was handed over; what was sent stays sent."""
    sent = row.applied == Applied.SHOWN
    lost = row.applied == Applied.UNKNOWN
    if wanted:
        return "shown", "unknown" if lost else "shown" if as_wanted else "none", as_wanted
    is_over = row.desired != Desired.REFUSED and not row.held
    if is_over and (sent or lost):
        return "shown", row.applied, sent
    desired = "refused" if row.desired == Desired.REFUSED else "gone"
    return desired, row.applied if sent or lost else "none", not lost


def _reason(row: Any, language: str) -> dict[str, Any]:
    """Give the reason of the latest decision, unless an ending, an operator or a removal decided since."""
    decided_here = row.desired == Desired.SHOWN and not row.ending
    if row.waits and decided_here:
        return {"reason": _in(WORDS[Reason.WAITS], language), "reason_code": Reason.WAITS.value, "rule": ""}
    if row.words and (decided_here or row.why == row.reason):
        return _told(row, language)
    reason = Reason.ALLOWED if decided_here else Reason(row.reason)
    return {"reason": _in(WORDS[reason], language), "reason_code": reason.value, "rule": ""}


def _told(row: Any, language: str) -> dict[str, Any]:
    return {"reason": _in(json.loads(row.words), language), "reason_code": row.why, "rule": row.rule}


def _in(words: Mapping[str, str], language: str) -> str:
    return words.get(language) or words["nl"]


def _time(seconds: float | None) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds") if seconds else None


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """A posting that should be gone and is not, or may not be; ``seconds``: for how long."""

    case: str
    target: str
    channel: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Late:
    """Postings of one channel that wait: ``seconds``: for how long the oldest has been wanted otherwise."""

    channel: str
    state: str  # pending, retracting or unknown
    postings: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Gauges:
    """How things stand now. History does not count: only open cases, and what is still to be done."""

    postings: Mapping[tuple[str, str], int]  # (channel, state) -> how many; the states are those of ``_state``
    due: Mapping[str, int]  # channel -> how many wait for a step that could start now
    late: Sequence[Late]  # what has been waiting for more than ``LATE`` seconds, the oldest first
    oldest_left_behind: LeftBehind | None
    outcome_wanted: int  # expired cases: nobody has said how they ended
    notices: int  # delivery results that are still to be told
    overdue: Mapping[str, int]  # place, remove -> how many postings took too long, as operators were told
    workers: Mapping[str, int]  # role -> how many processes that share the database have it


def gauges(connection: Connection, now: float) -> Gauges:
    """Read the gauges; ``now`` in seconds since the epoch. Every query follows an index past the history."""
    postings: Counter[tuple[str, str]] = Counter()
    due: Counter[str] = Counter()
    since: dict[tuple[str, str], float] = {}
    for query in (_of_open_cases(now), _unsettled(now)):
        for channel, state, number, waiting, oldest in connection.execute(query):
            postings[channel, state] += number
            due[channel] += waiting
            if state in _WAITING and oldest is not None:
                since[channel, state] = min(oldest, since.get((channel, state), oldest))
    late = [Late(*key, postings[key], now - oldest) for key, oldest in since.items() if now - oldest > LATE]
    # Once its words are erased, nobody can be told any more how a case ended.
    expired = select(func.count()).where(_c.standing == Standing.EXPIRED.value, schema.ERASABLE)
    notices = select(func.count()).select_from(schema.notices)
    return Gauges(
        postings=postings,
        due=due,
        late=sorted(late, key=lambda one: one.seconds, reverse=True),
        oldest_left_behind=_oldest_left_behind(connection, now),
        outcome_wanted=connection.scalar(expired) or 0,
        notices=connection.scalar(notices) or 0,
        overdue=how_many(connection),
        workers=_workers(connection, now),
    )


def _workers(connection: Connection, now: float) -> Counter[str]:
    alive = select(schema.workers.c.roles).where(schema.workers.c.seen >= now - DEAD)
    return Counter(role for roles in connection.scalars(alive) for role in roles.split(","))


def _state() -> Any:
    """Name how a posting stands: the difference between desired and applied in one word."""
    wanted = and_(_p.desired == Desired.SHOWN.value, or_(_p.carried, ~_p.ending))
    there = _p.applied == Applied.SHOWN.value
    as_wanted = and_(there, _p.applied_content == _p.content, ~_p.stale)
    return case(
        (_p.applied == Applied.UNKNOWN.value, "unknown"),
        (and_(wanted, as_wanted), "shown"),
        (and_(wanted, _p.waits), "waiting"),
        (and_(wanted, _p.due.is_(None)), "failed"),
        (wanted, "pending"),
        (and_(there, _p.kind == Kind.MESSAGE.value), "shown"),  # what was sent stays sent
        (there, "retracting"),
        else_="gone",
    )


def _count(now: float, *conditions: Any) -> Any:
    state = _state().label("state")
    waiting = func.sum(case((_p.due <= now, 1), else_=0))
    oldest = func.min(case((_p.due.is_not(None), _p.desired_at)))  # what was given up waits for nothing
    return select(_p.channel, state, func.count(), waiting, oldest).where(*conditions).group_by(_p.channel, state)


def _open_cases() -> Any:
    return select(_c.id).where(_c.standing == Standing.OPEN.value)


def _of_open_cases(now: float) -> Any:
    return _count(now, _p.case_id.in_(_open_cases()))


def _unsettled(now: float) -> Any:
    return _count(now, _p.due.is_not(None), _p.case_id.not_in(_open_cases()))


def _oldest_left_behind(connection: Connection, now: float) -> LeftBehind | None:
    oldest = select(_p.case_id, _p.target, _p.channel, _p.desired_at).where(schema.LEFT_BEHIND)
    row = connection.execute(oldest.order_by(_p.desired_at).limit(1)).first()
    return LeftBehind(row.case_id, row.target, row.channel, max(0.0, now - row.desired_at)) if row else None
