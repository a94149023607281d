"""What takes too long: boards that do not show what they should, or still show what should be gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, delete, func, insert, not_, or_, select, text, update

from bridge.core.posting import Applied, Desired, Kind
from bridge.core.target import Target
from bridge.store import schema

MOST = 5_000  # that one look takes in; the oldest first

_p, _a = schema.postings.c, schema.alarms.c
_wanted = and_(_p.desired == Desired.SHOWN.value, or_(_p.carried, not_(_p.ending)))
_as_wanted = and_(_p.applied == Applied.SHOWN.value, _p.applied_content == _p.content, not_(_p.stale))
_unproven = and_(_p.seen != "ours", _p.verified_at > 0)  # it was looked at, and was not there
_begun = case((_p.drift_at > _p.desired_at, _p.drift_at), else_=_p.desired_at)
_there = _p.applied.in_((Applied.SHOWN.value, Applied.UNKNOWN.value))


@dataclass(frozen=True, slots=True)
class Overdue:
    """A posting that has taken too long. ``since``: when it should have begun; ``seen``: what the latest look found."""

    posting: str
    case: str
    target: str
    channel: str
    what: str  # place, remove
    since: float
    applied: str
    attempts: int
    error: str
    seen: str
    seen_text: str
    verified_at: float
    contact: str = ""
    owner: str = ""
    told: int = 0


_FOUND = (
    *(_p.id, _p.case_id, _p.target, _p.channel, _begun.label("since"), _p.applied, _p.attempts, _p.error),
    *(_p.seen, _p.seen_text, _p.verified_at, _p.target_row),
)


def _late(what: str, *conditions: Any) -> Any:
    late = select(text(f"'{what}' AS what"), *_FOUND).where(*conditions, _begun <= bindparam(what))
    return late.order_by(_begun).limit(MOST)


_ON_A_BOARD = text(f"({schema.ON_A_BOARD.text})")
_TO_PLACE = _late("place", _ON_A_BOARD, _wanted, not_(_p.waits), or_(not_(_as_wanted), _unproven, _p.drift_at > 0))
_TO_REMOVE = _late("remove", _ON_A_BOARD, not_(_wanted), or_(_there, _p.gone_at > _p.dark_at))
# A post on a page that should be deleted is as bad as a board that should be dark.
_POSTS_TO_REMOVE = _late("remove", text(schema.LEFT_BEHIND.text), _p.kind == Kind.POST.value)
_LATE = (("place", _TO_PLACE), ("remove", _TO_REMOVE), ("remove", _POSTS_TO_REMOVE))


def overdue(connection: Connection, now: float, place: float, remove: float) -> list[Overdue]:
    """Find what has taken longer than ``place`` or ``remove`` seconds, the oldest first."""
    limits = {"place": now - place, "remove": now - remove}
    rows = [row for what, query in _LATE for row in connection.execute(query, {what: limits[what]})]
    rows = sorted(rows, key=lambda row: float(row.since))[:MOST]
    if not rows:
        return []
    t = schema.targets.c
    asked = select(t.id, t.body).where(t.id.in_({row.target_row for row in rows}))
    targets = {name: Target.model_validate_json(body) for name, body in map(tuple, connection.execute(asked))}
    return [_overdue(row, targets[row.target_row]) for row in rows]


def _overdue(row: Any, target: Target) -> Overdue:
    return Overdue(
        posting=row.id,
        case=row.case_id,
        target=row.target,
        channel=row.channel,
        what=row.what,
        since=row.since,
        applied=row.applied,
        attempts=row.attempts,
        error=row.error,
        seen=row.seen,
        seen_text=row.seen_text,
        verified_at=row.verified_at,
        contact=target.contact,
        owner=target.owner.name,
    )


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that operators were told of, or are to be told of."""

    posting: str
    case: str
    what: str
    since: float
    told: int
    next_at: float


def alarms(connection: Connection) -> Mapping[str, Alarm]:
    """Give what is going on, by posting."""
    return {row.posting: Alarm(*row) for row in connection.execute(select(schema.alarms))}


def keep_alarms(connection: Connection, kept: Sequence[Alarm], solved: Sequence[str]) -> None:
    """Write how often each was told and when it is told again, and forget what is solved."""
    if solved:
        connection.execute(delete(schema.alarms).where(_a.posting.in_(solved)))
    for one in kept:
        values = {"what": one.what, "since": one.since, "told": one.told, "next_at": one.next_at, "case_id": one.case}
        if not connection.execute(update(schema.alarms).where(_a.posting == one.posting).values(values)).rowcount:
            connection.execute(insert(schema.alarms).values(posting=one.posting, **values))


def how_many(connection: Connection) -> Mapping[str, int]:
    """Count what is going on: ``place`` and ``remove``."""
    counted = select(_a.what, func.count()).group_by(_a.what)
    return {row[0]: int(row[1]) for row in connection.execute(counted)}
