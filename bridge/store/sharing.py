"""Boards that hold one message: which cases stand on one together, and what a step for one does to the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, update

from bridge.core.content import Content
from bridge.core.posting import Applied, Capabilities, Observation, Receipt, State, Step, next_step
from bridge.core.retry import After, Done, Timing
from bridge.core.target import Target
from bridge.core.turns import Turn, beside, joined
from bridge.store import schema
from bridge.store.rows import STATE, WORK, Proof, Shared, Work, result_row, state_of

BUSY = 0.1  # seconds until a board is looked at again that another process is writing on

_t, _c = schema.postings.c, schema.cases.c
_READ = select(*WORK, *STATE)
_COMPANY = _READ.where(_t.target == bindparam("target"), _t.adapter == bindparam("adapter"), schema.ON_A_BOARD)
_SORTS = select(_c.id, _c.category, _c.opened).where(_c.id.in_(bindparam("ids", expanding=True)))


@dataclass(frozen=True, slots=True)
class _Neighbour:
    """Another posting on the same board."""

    row: Any
    state: State

    @property
    def is_wanted(self) -> bool:
        """Whether it is to be seen: what was refused for good, or must go first, is not."""
        given_up = self.state.applied is not Applied.SHOWN and self.row.due is None and not self.state.waits
        return self.state.wanted and not self.state.stale and not given_up


def postpone(connection: Connection, row: Any, now: float) -> bool:
    """Tell whether another process is at work on this board; then this posting waits a moment."""
    if connection.dialect.name == "postgresql":
        mine = connection.scalar(select(func.pg_try_advisory_xact_lock(func.hashtextextended(row.target, 0))))
    else:
        mine = True
    others = connection.execute(_COMPANY, {"target": row.target, "adapter": row.adapter}).all()
    busy = not mine or any(one.claim is not None and one.due > now for one in others if one.id != row.id)
    if busy:
        connection.execute(update(schema.postings).where(_t.id == row.id).values(due=now + BUSY))
    return busy


def share(
    connection: Connection,
    work: Work,
    find_target: Callable[[str], Target],
    sendable: Callable[[str], Content],
) -> Work:
    """Give a step on a board that holds one message what all its cases show; tell a look whether others are there."""
    if work.step is Step.FIND:
        return work
    mine = work.posting
    asked = {"target": mine.target.id, "adapter": mine.target.adapter}
    found = [_Neighbour(row, state_of(row)) for row in connection.execute(_COMPANY, asked) if row.id != mine.id]
    others = [one for one in found if find_target(one.row.target_row).address == mine.target.address]
    if work.step is Step.OBSERVE:
        return work._replace(shared=Shared(handle=_handle([one.state for one in others])))
    wanted = [(one.row.id, one.row.case_id, one.state.content) for one in others if one.is_wanted]
    if work.step is not Step.RETRACT:
        wanted.append((mine.id, mine.case, work.content_id))
    sorts = {row.id: row for row in connection.execute(_SORTS, {"ids": [case for _, case, _ in wanted]})}
    turns = [
        Turn(name, content, sendable(content), sorts[case].category, sorts[case].opened)
        for name, case, content in wanted
    ]
    turns.sort(key=lambda turn: turn.rank)
    shared = Shared(tuple(turns), _handle([one.state for one in others]))
    if work.step is not Step.RETRACT and work.content:
        return work._replace(content=joined(work.content, turns), shared=shared)
    return work._replace(shared=shared._replace(rest=joined(turns[0].content, turns) if turns else None))


def _handle(states: Sequence[State]) -> Mapping[str, str] | None:
    """Find how the board's message is found: whoever wrote it last, all that are on it know it."""
    there = [state for state in states if state.applied is Applied.SHOWN and state.handle is not None]
    return max(there, key=lambda state: state.shown_until).handle if there else None


def recognised(row: Any, work: Work, done: Done) -> Done:
    """Know an older message again that came back, late or after a reboot: with no other case there, it is this one's.

    Where another case is shown, that one's next look puts the board right.
    """
    seen = done.result
    if not isinstance(seen, Observation) or not seen.ours or work.shared.handle is not None or state_of(row).wanted:
        return done
    return done._replace(result=replace(seen, present=True))


def others_after(
    work: Work, done: Done, rows: Mapping[str, Any], can: Capabilities, timing: Timing, now: float
) -> Iterator[tuple[str, After, dict[str, Any]]]:
    """Say how the other postings of the board stand after a step wrote its message: their names, and what to write."""
    if not isinstance(done.result, Receipt) or not can.holds_one:
        return
    sent = work.shared.rest if done.step is Step.RETRACT else done.content
    until = sent.valid_until.timestamp() if sent and sent.valid_until else 0.0
    for turn in work.shared.turns:
        row = rows.get(turn.posting)
        if row is None or turn.posting == work.posting.id or row.claim is not None:
            continue
        before = state_of(row)
        state = beside(before, turn, done.result, until)
        if state == before:
            continue
        is_new = before.applied is not Applied.SHOWN and state.applied is Applied.SHOWN
        gap = next_step(state, can) is not None
        due = None if state.rests else now if gap else now + timing.checks[0] if is_new else row.due
        proof = Proof.of(row)
        if state.applied is not Applied.SHOWN:
            proof = proof.removed(now)
        elif is_new:
            proof = proof.placed(anew=True)
        yield row.id, After(state, due), result_row(state, can, now if is_new else row.applied_at, proof)
