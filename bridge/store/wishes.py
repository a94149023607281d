"""What postings should show from now on: the plan's wishes, an ending's, an operator's; and the decisions behind it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    case,
    false,
    literal_column,
    null,
    or_,
    select,
    true,
    update,
)

from bridge.core import content as contents
from bridge.core.case import Case
from bridge.core.content import Content
from bridge.core.planning import Existing, Group, GroupWish, Judged, Plan, Wish
from bridge.core.posting import Applied, Capabilities, Desired, Kind
from bridge.core.rules import Decision, Reason
from bridge.core.target import Target
from bridge.store import schema
from bridge.store.database import Prepared, insert, insert_new, to_json
from bridge.store.writing import Writing

RESTORED = -1  # instead of how many targets were judged: a backup was made in the middle of a plan
URGENT, NORMAL, LATER = 0, 1, 2  # endings and retractions; publications and updates; read-backs and renewals

# Made once: to put a statement together takes longer than to run it, and every event waits for these.
_p, _c = schema.postings.c, schema.cases.c
_POSTING = select(
    *(_p.id, _p.desired, _p.content, _p.revision, _p.reason),
    *(_p.applied, _p.applied_photo, _p.carried, _p.claim, _p.held, _p.photo),
    *(_p.applied_content, _p.applied_revision, _p.applied_ending),
)
_EXISTING = _POSTING.where(_p.case_id == bindparam("name"))
# A posting's name is of one case only. To ask for the case as well would have SQLite look through all that it has.
_EXISTING_OF = _POSTING.where(_p.id.in_(bindparam("ids", expanding=True)))
_LOCKED = select(_p.id).where(_p.case_id == bindparam("name")).order_by(_p.id).with_for_update()
_HELD = select(schema.holds.c.target).where(schema.holds.c.case_id == bindparam("name"))
_NEXT_PLAN = Prepared(
    update(schema.cases)
    .where(_c.id == bindparam("name"))
    .values(plan=_c.plan + bindparam("p_first"), planned=bindparam("p_planned"), policy=bindparam("p_policy"))
    .returning(_c.plan)
)
_PROGRESS = select(_c.planned, _c.policy, _c.plan).where(_c.id == bindparam("name"))
_UNFINISHED = select(_c.id).where(_c.planned.is_not(None)).limit(100)
_DECISION = ("case_id", "plan", "revision", "target", "channel", "allowed", "reason", "rule", "detail", "words", "at")
_DECIDED = Prepared(schema.decisions.insert().values({name: bindparam(name) for name in _DECISION}))
# Words as SQL writes them: a statement that is made once has no values of its own.
_REFUSED: Any = literal_column(f"'{Desired.REFUSED.value}'")
_SHOWN: Any = literal_column(f"'{Applied.SHOWN.value}'")
_NONE: Any = literal_column(f"'{Applied.NONE.value}'")
_EMPTY: Any = literal_column("''")
_WAS_REFUSED = _p.desired == _REFUSED
_TOLD = case((_WAS_REFUSED, _p.applied_content), else_=_EMPTY)
_GROUPS = Prepared(
    select(_p.kind, _p.channel, _p.language, _WAS_REFUSED, _TOLD)
    .where(_p.case_id == bindparam("name"))
    .distinct()
    .order_by(_WAS_REFUSED)  # an ending makes of a refused posting one that is not: those come last
)
_NEW_CONTENT, _NEW_TARGET = (
    Prepared(
        lambda dialect, table=table, names=names: (
            insert(dialect, table).values({name: bindparam(name) for name in names}).on_conflict_do_nothing()
        )
    )
    for table, names in ((schema.contents, ("id", "case_id", "body")), (schema.targets, ("id", "name", "body")))
)
FEW = 4  # targets that are written without a look whether they are known
_KNOWN_TARGETS = select(schema.targets.c.id).where(schema.targets.c.id.in_(bindparam("ids", expanding=True)))


def existing_postings(connection: Connection, name: str, ids: Sequence[str] | None = None) -> dict[str, Existing]:
    """Load what a plan must know of a case's postings, all or some."""
    asked = (_EXISTING, {"name": name}) if ids is None else (_EXISTING_OF, {"ids": ids})
    return {row[0]: _existing(row) for row in connection.execute(*asked)}


def _existing(row: Any) -> Existing:
    return Existing(
        desired=Desired(row.desired),
        content=row.content,
        revision=row.revision,
        reason=row.reason,
        applied=Applied(row.applied),
        applied_photo=row.applied_photo,
        carried=row.carried,
        in_flight=row.claim is not None,
        held=row.held,
        photo=row.photo,
        applied_content=row.applied_content,
        applied_revision=row.applied_revision,
        applied_ending=row.applied_ending,
    )


def start_anew(connection: Connection, name: str) -> None:
    """A case opens again: who heard how its earlier life ended hears an outcome only if alerted anew."""
    told = and_(schema.postings.c.case_id == name, schema.postings.c.applied_ending)
    connection.execute(update(schema.postings).where(told).values(carried=False))


def apply_wishes(
    writing: Writing,
    after: Case,
    plan: Plan,
    adapters: Mapping[str, Capabilities],
    now: float,
    photo_deadline: float,
) -> None:
    """Write what targets should show: new postings, and changed ones. A step in flight keeps its claim."""
    writing.add(_NEW_CONTENT, _content_rows(after.id, plan.contents.items()))
    shown = [wish for wish in plan.wishes if wish.target and wish.desired is Desired.SHOWN]
    _keep_targets(writing, [wish.target for wish in shown if wish.target])
    writing.add(_UPSERT, [_row(after, wish, adapters, now, photo_deadline) for wish in shown])
    refused = [
        {"p_id": wish.posting, "p_reason": wish.reason, "p_revision": after.revision}
        for wish in plan.wishes
        if wish.desired is not Desired.SHOWN
    ]
    if refused:
        writing.connection.execute(_take_away(now), sorted(refused, key=lambda row: str(row["p_id"])))


def _row(
    after: Case, wish: Wish, adapters: Mapping[str, Capabilities], now: float, photo_deadline: float
) -> dict[str, Any]:
    target = wish.target
    if target is None:
        raise ValueError("a posting that is shown has a target")
    return {
        "id": wish.posting,
        "case_id": after.id,
        "target": target.id,
        "target_row": target.digest,
        "channel": target.channel,
        "adapter": target.adapter,
        "kind": adapters[target.adapter].kind.value,
        "language": wish.language[:35],  # RFC 5646: enough for any tag in use; only its first part is compared
        "desired": Desired.SHOWN.value,
        "content": wish.content,
        "revision": after.revision,
        "photo": wish.photo,
        "ending": False,
        "reason": wish.reason,
        "desired_at": now,
        "applied": Applied.NONE.value,
        "due": photo_deadline if wish.waits_for_photo else now,
        "priority": NORMAL,
        **_UNTOUCHED,
    }


_DESIRED = ("desired", "content", "revision", "photo", "ending", "reason", "desired_at", "language", "priority")


_ROW = (
    *("id", "case_id", "target", "target_row", "channel", "adapter", "kind", "language", "desired", "content"),
    *("revision", "photo", "ending", "reason", "desired_at", "applied", "due", "priority"),
)
_UNTOUCHED: Mapping[str, Any] = {  # what a new posting holds beside its row
    **dict.fromkeys(("applied_content", "applied_photo", "error", "doing", "doing_content", "seen", "seen_text"), ""),
    **dict.fromkeys(("applied_revision", "blind", "looks", "attempts"), 0),
    **dict.fromkeys(("applied_ending", "carried", "stale", "held", "waits", "doing_ending"), False),
    **dict.fromkeys(("shown_until", "applied_at", "verified_at", "gone_at", "dark_at", "drift_at", "doing_since"), 0.0),
}


def _upsert(dialect: str) -> Any:
    statement = insert(dialect, schema.postings).values({name: bindparam(name) for name in (*_ROW, *_UNTOUCHED)})
    new = statement.excluded
    changes: dict[str, Any] = {name: new[name] for name in (*_DESIRED, "waits")}  # another text may find room
    changes["due"] = case((schema.postings.c.claim.is_(None), new.due), else_=schema.postings.c.due)
    kept_off = schema.postings.c.held
    return statement.on_conflict_do_update(index_elements=["id"], set_=changes, where=kept_off.is_(False))


_UPSERT = Prepared(_upsert)


def _due_now(now: float) -> Any:
    """Look at it now; unless a step is in flight, whose end looks again by itself."""
    return case((schema.postings.c.claim.is_(None), now), else_=schema.postings.c.due)


def _take_away(now: float) -> Any:
    return (
        update(schema.postings)
        .where(schema.postings.c.id == bindparam("p_id"))
        .values(
            desired=Desired.REFUSED.value,
            content="",
            photo="",
            ending=False,
            reason=bindparam("p_reason"),
            revision=bindparam("p_revision"),
            desired_at=now,
            due=_due_now(now),
            priority=URGENT,
        )
    )


def hold_posting(connection: Connection, name: str, target: str, now: float) -> int:
    """Take one target's posting away and keep it away: an operator's word outlasts updates. Gives how many."""
    mine = and_(schema.postings.c.case_id == name, schema.postings.c.target == target)
    values = {"desired": Desired.GONE.value, "held": True, "reason": Reason.OPERATOR.value, "ending": False}
    changed = update(schema.postings).where(mine).values(values).values(content="", photo="")
    return connection.execute(changed.values(desired_at=now, due=_due_now(now), priority=URGENT)).rowcount


def keep_hold(connection: Connection, name: str, target: str) -> None:
    """Remember that a case is to stay off a target: it may move, or be allowed only later."""
    connection.execute(insert_new(connection, schema.holds), {"case_id": name, "target": target})


def held_targets(connection: Connection, name: str) -> frozenset[str]:
    """Name the targets that an operator keeps a case off."""
    return frozenset(connection.scalars(_HELD, {"name": name}))


def groups(connection: Connection, name: str) -> list[Group]:
    """Find the kinds, channels and languages of a case's postings, and what the refused ones were told."""
    return [
        Group(Kind(kind), channel, language, bool(is_refused), _told(connection, content), content)
        for kind, channel, language, is_refused, content in map(tuple, _GROUPS.one(connection, {"name": name}))
    ]


def _told(connection: Connection, name: str) -> Content | None:
    body = connection.scalar(select(schema.contents.c.body).where(schema.contents.c.id == name)) if name else None
    return contents.load(body) if body else None


def lock_postings(connection: Connection, name: str) -> None:
    """Let no result of a step come between what is read of a case's postings and what is written of them."""
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCKED, {"name": name}).close()


def apply_endings(connection: Connection, after: Case, wishes: Iterable[GroupWish], now: float) -> None:
    """Write an ending to all postings of a case, whole groups at a time: it must not wait for a list of 100,000."""
    for wish in wishes:
        name = contents.content_id(wish.content) if wish.content else ""
        if wish.content:
            _NEW_CONTENT.run(connection, _content_rows(after.id, [(name, wish.content)]))
        row = {
            "p_case": after.id,
            "p_kind": wish.group.kind.value,
            "p_channel": wish.group.channel,
            "p_language": wish.group.language,
            "p_told": wish.group.told_id,
            "p_desired": (Desired.SHOWN if wish.content else Desired.GONE).value,
            "p_content": name,
            "p_photo": "",
            "p_ending": wish.content is not None,
            "p_revision": after.revision,
            "p_reason": after.standing.value,
            "p_at": now,
            "p_due": now,
            "p_priority": URGENT,
        }
        _ending(wish.group.kind, wish.group.refused, wish.content is not None, wish.forget, wish.spare_sent).one(
            connection, row
        )


@cache
def _ending(kind: Kind, refused: bool, told: bool, forget: bool, spare_sent: bool) -> Prepared:
    """Make the statement that writes an ending to a group of one sort; an ending must not wait for it to be made."""
    was_refused = _p.desired == _REFUSED
    mine = [
        _p.case_id == bindparam("p_case"),
        _p.kind == bindparam("p_kind"),
        _p.channel == bindparam("p_channel"),
        _p.language == bindparam("p_language"),
        and_(was_refused, _p.applied_content == bindparam("p_told")) if refused else ~was_refused,
    ]
    if kind is Kind.POST:
        # What an operator or a rule took off a page is not brought back by the outcome.
        mine += [_p.held.is_(False), ~was_refused]
    if spare_sent:
        # What is still on its way must not be tried again when it fails, nor bring a photo.
        mine.append(or_(_p.applied != _SHOWN, _p.applied_photo != _EMPTY, _p.photo != _EMPTY))
    written = ("desired", "content", "photo", "ending", "revision", "reason", "priority")
    values: dict[str, Any] = {name: bindparam(f"p_{name}") for name in written}
    values["desired_at"] = bindparam("p_at")
    if forget:
        values["carried"] = false()
    # What was never sent is cancelled here and now, and a mail is not taken back; the rest is due at once.
    untouched = and_(_p.carried.is_(False), _p.applied == _NONE)
    final = true() if kind is Kind.MESSAGE and not told else untouched
    due = case((_p.claim.is_not(None), _p.due), (final, null()), else_=bindparam("p_due", type_=_p.due.type))
    return Prepared(update(schema.postings).where(*mine).values(values).values(due=due))


def _content_rows(name: str, made: Iterable[tuple[str, Content]]) -> list[dict[str, Any]]:
    return [{"id": key, "case_id": name, "body": contents.dump(content)} for key, content in made]


def _keep_targets(writing: Writing, wanted: Sequence[Target]) -> None:
    known: set[str] = set()
    if len(wanted) > FEW:
        asked = {"ids": [target.digest for target in wanted]}
        known = set(writing.connection.scalars(_KNOWN_TARGETS, asked))
    new = (target for target in wanted if target.digest not in known)
    rows = [{"id": target.digest, "name": target.id, "body": target.model_dump_json()} for target in new]
    writing.add(_NEW_TARGET, rows)


def unfinished_plans(connection: Connection) -> Sequence[str]:
    """Name cases of which some targets are still to be judged."""
    return connection.scalars(_UNFINISHED).all()


class Progress(NamedTuple):
    """How far a plan has come. ``judged``: so many targets; ``None``: all of them. ``look``: its number, from one."""

    judged: int | None
    look: int


def progress(connection: Connection, name: str, policy: str) -> Progress:
    """Tell how far a case's plan has come by a policy (its digest).

    What another policy judged counts for nothing: its targets stood in another order.
    """
    row = connection.execute(_PROGRESS, {"name": name}).one()
    known = row.planned is None or row.planned == RESTORED or row.policy == policy
    return Progress(row.planned if known else 0, row.plan)


def shown_postings(connection: Connection, name: str) -> list[tuple[str, str, str]]:
    """Give the postings of a case that are to be shown: each with its target's name, and digest when it was made."""
    query = select(_p.id, _p.target, _p.target_row).where(_p.case_id == name, _p.desired == Desired.SHOWN.value)
    return [(row[0], row[1], row[2]) for row in connection.execute(query)]


def note_planned(connection: Connection, name: str, policy: str, planned: int | None, *, first: bool) -> int:
    """Note how many targets a policy has judged (``None``: all), and that a look begins where it is the first.

    Gives the number of the look.
    """
    row = {"name": name, "p_policy": policy, "p_first": int(first), "p_planned": planned}
    return int(_NEXT_PLAN.one(connection, row).scalar_one())


def note_first_plan(writing: Writing, name: str, policy: str, planned: int | None) -> int:
    """Do what ``note_planned`` does for a case that nobody has heard of before."""
    writing.change_case(name, {"plan": 1, "planned": planned, "policy": policy})
    return 1


def keep_decisions(writing: Writing, after: Case, plan: int, judged: Sequence[Judged], now: float) -> None:
    """Store the decisions of one look at the targets, with their reasons."""
    words: dict[tuple[str, str, str], str] = {}  # few reasons, many targets
    rows = [
        {
            "case_id": after.id,
            "plan": plan,
            "revision": after.revision,
            "target": one.target,
            "channel": one.channel,
            "allowed": one.decision.allowed,
            "reason": one.decision.reason.value,
            "rule": one.decision.rule,
            "detail": one.decision.detail,
            "words": _words(one.decision, words),
            "at": now,
        }
        for one in judged
    ]
    writing.add(_DECIDED, rows)


def _words(decision: Decision, known: dict[tuple[str, str, str], str]) -> str:
    key = (decision.reason.value, decision.rule, decision.detail)
    if key not in known:
        known[key] = to_json({language: decision.explain(language) for language in ("nl", "en")})
    return known[key]


def stop_waiting(connection: Connection, name: str, now: float) -> None:
    """What waited for a photo goes now, with it or without."""
    t = schema.postings.c
    gap = and_(t.desired == Desired.SHOWN.value, t.applied != Applied.UNKNOWN.value, t.applied_content != t.content)
    waiting = and_(t.case_id == name, gap, t.claim.is_(None), t.attempts == 0, t.due > now)
    connection.execute(update(schema.postings).where(waiting).values(due=now))
