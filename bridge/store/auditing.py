"""The audit: what ought to be shown, worked out anew from what came in, beside what is recorded and what was seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select, text

from bridge.core.case import Case, Standing, fold, settle
from bridge.core.errors import InvalidInput
from bridge.core.events import parse_structured
from bridge.core.posting import Applied, Desired, Kind, Step
from bridge.store import schema
from bridge.store.cases import find_case

LATE = 120.0  # seconds that a difference may last before it is a finding: what is under way is none
RECENT = (
    7 * 86400.0
)  # seconds after its last change that a case which is over is audited, unless it still stands somewhere
MOST = 500  # cases of one audit, the latest first

_c, _p, _e, _j = schema.cases.c, schema.postings.c, schema.events.c, schema.journal.c
_ON_A_BOARD = text(f"({schema.ON_A_BOARD.text})")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it ought to be, in one sentence each for Dutch and English."""

    case: str
    target: str
    nl: str
    en: str


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit looked at, and what it found."""

    cases: int
    postings: int
    findings: Sequence[Finding]


def audit(connection: Connection, now: float, max_lifetime: timedelta, name: str | None = None) -> Audit:
    """Audit the cases that matter now, or one."""
    findings: list[Finding] = []
    postings = 0
    names = [name] if name is not None else cases_that_matter(connection, now)
    for one in names:
        found = find_case(connection, one)
        if found is None:
            return Audit(0, 0, ())
        ought = _refold(connection, one, now, max_lifetime)
        findings += _compare_case(found, ought, now)
        rows = connection.execute(select(schema.postings).where(_p.case_id == one, _p.kind == Kind.STATE.value)).all()
        postings += len(rows)
        latest = _latest_steps(connection, [row.id for row in rows])
        for row in rows:
            findings += _compare_posting(row, ought, latest.get(row.id, ""), now)
    return Audit(len(names), postings, findings)


def cases_that_matter(connection: Connection, now: float) -> Sequence[str]:
    """Name open cases, those that changed of late, and those that may still stand somewhere."""
    shown = select(_p.case_id).where(_ON_A_BOARD)
    matters = or_(_c.standing == Standing.OPEN.value, _c.changed > now - RECENT, _c.id.in_(shown))
    return connection.scalars(
        select(_c.id).where(matters, _c.erased.is_(None)).order_by(_c.changed.desc()).limit(MOST)
    ).all()


def _refold(connection: Connection, name: str, now: float, max_lifetime: timedelta) -> Case | None:
    """Fold every event that was accepted, in the order in which they came; ``None`` when not all can be read."""
    case = Case(name)
    rows = connection.execute(select(_e.body, _e.received).where(_e.case_id == name).order_by(_e.received))
    for body, received in map(tuple, rows):
        try:
            event = parse_structured(body)
        except InvalidInput:
            return None
        case, _ = fold(case, event, datetime.fromtimestamp(received, UTC), max_lifetime)
    return settle(case, datetime.fromtimestamp(now, UTC), max_lifetime) if case.revision else None


def _compare_case(found: Case, ought: Case | None, now: float) -> list[Finding]:
    if ought is None:
        return [
            Finding(
                found.id, "",
                "de berichten van deze zaak zijn niet allemaal te lezen; niet na te rekenen",
                "not every event of this case can be read; it cannot be worked out anew",
            )
        ]  # fmt: skip
    expired_now = found.expires is not None and now - found.expires.timestamp() < LATE
    if found.standing is ought.standing or expired_now:
        return []
    return [
        Finding(
            found.id, "",
            f"volgens de berichten is de zaak {ought.standing}, volgens de administratie {found.standing}",
            f"by its events the case is {ought.standing}, by the record it is {found.standing}",
        )
    ]  # fmt: skip


def _latest_steps(connection: Connection, ids: Sequence[str]) -> dict[str, str]:
    """Give the last step of each posting that changed something, by the journal."""
    changes = (Step.PUBLISH.value, Step.UPDATE.value, Step.RETRACT.value)
    last = (
        select(_j.posting, func.max(_j.id).label("id"))
        .where(_j.posting.in_(ids), _j.step.in_(changes), _j.result == "ok")
        .group_by(_j.posting)
        .subquery()
    )
    steps = select(_j.posting, _j.step).join(last, and_(_j.id == last.c.id))
    return {row[0]: row[1] for row in connection.execute(steps)}


def _compare_posting(row: Any, ought: Case | None, step: str, now: float) -> list[Finding]:
    """Compare one board: ought to be, recorded, done, seen."""
    if now - row.desired_at < LATE:
        return []
    found = []
    over = ought is not None and ought.standing is not Standing.OPEN

    def note(nl: str, en: str) -> None:
        found.append(Finding(row.case_id, row.target, nl, en))

    if over and row.desired == Desired.SHOWN.value:
        note("de zaak is voorbij, en toch hoort zij hier te staan", "the case is over, and yet it is to stand here")
    if over and row.applied in (Applied.SHOWN.value, Applied.UNKNOWN.value):
        note("de zaak is voorbij, en zij staat er misschien nog", "the case is over, and it may still be shown")
    if row.seen == "ours" and row.gone_at:
        note("is weggehaald, en toch gezien", "it was taken away, and seen all the same")
    if row.seen in ("dark", "other") and row.applied == Applied.SHOWN.value and not row.gone_at:
        note("hoort er te staan, en is er niet gezien", "it should be shown, and was not seen")
    done = {Step.PUBLISH.value: Applied.SHOWN.value, Step.UPDATE.value: Applied.SHOWN.value}.get(step)
    if step == Step.RETRACT.value and row.applied == Applied.SHOWN.value and not row.seen:
        note("het laatste wat is gedaan, is weghalen", "the last thing that was done is to take it away")
    if done and row.applied == Applied.NONE.value and not row.waits:
        note("volgens het logboek is zij geplaatst", "by the journal it was placed")
    return found
