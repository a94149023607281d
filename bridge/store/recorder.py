"""Writes what came of steps. What is alike in a fan-out to thousands is worked out once, and written at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from random import Random
from typing import Any

from sqlalchemy import Connection, Select, and_, case, select, update

from bridge.core.errors import TransientError
from bridge.core.posting import Capabilities, Receipt, Step
from bridge.core.retry import After, Done, Timing, after
from bridge.store import schema, sharing
from bridge.store.batches import Batch, Each, Own
from bridge.store.database import to_json
from bridge.store.rows import (
    JOURNAL,
    NOTICE,
    RESULT,
    STATE,
    WORK,
    Finished,
    Proof,
    Work,
    alike,
    fenced,
    handle_of,
    journal_row,
    notice_of,
    priority_of,
    result_row,
    state_of,
    what_to_tell,
)
from bridge.store.wishes import NORMAL

AHEAD = 0.1  # seconds by which who waits at a failing target goes before who failed; less for who failed more often

_postings = schema.postings
_t = _postings.c


class Recorder:
    """Turns results into states, rows of the journal and notices, in the transaction of a turn."""

    def __init__(self, adapters: Mapping[str, Capabilities], timing: Timing, *, tell: bool, random: Random) -> None:
        self._adapters = adapters
        self._timing = timing
        self._tell = tell
        self._random = random

    def record(self, connection: Connection, finished: Sequence[Finished], now: float) -> None:
        """Write what came of steps. Desires may have changed meanwhile, so the rows are read again."""
        wanted = {name for one in finished for name in (one.work.posting.id, *one.work.neighbours)}
        asked = {"each": to_json(dict.fromkeys(wanted))}
        rows = {row.id: row for row in connection.execute(_same(connection.dialect.name), asked)}
        known: dict[tuple[Any, ...], tuple[After, dict[str, Own]]] = {}
        results, journal, notices = Batch(RESULT), Batch(JOURNAL), []
        for one in finished:
            row, work = rows.get(one.work.posting.id), one.work
            if row is None:  # we were cut off for days: others went on, it ended and was erased
                continue
            done = sharing.recognised(row, work, one.done)
            journal.add(journal_row(now, done, work.state.revision), row.id, (one.seconds,))
            if row.claim != work.claim:
                self._fenced(connection, row, done, now)
                continue
            key = alike(row, one)
            if key in known:
                then, same = known[key]
                same[row.id] = then.due, _handle(row, done)
            else:
                then = self._after(row, done, now)
                known[key] = then, self._keep(results, row, work, done, then, now)
                self._spare_target(connection, row, done, then)
                self._keep_others(results, work, done, rows, now)
            if self._tell and (what := what_to_tell(work, done, then)):
                notices.append({"what": what, "body": to_json(notice_of(work, done, then.state, now))})
        journal.write(connection)
        NOTICE.run(connection, notices)
        results.write(connection)

    def lose(self, connection: Connection, row: Any, done: Done, now: float) -> None:
        """Write that nobody knows what came of a step, for its worker is gone."""
        then = self._after(row, done, now)
        if done.step in (Step.OBSERVE, Step.FIND, Step.RETRACT):
            then = then._replace(due=now)  # looking and taking away again harms nobody
        results, journal = Batch(RESULT), Batch(JOURNAL)
        shared = result_row(then.state, self._adapters[row.adapter], row.doing_since, Proof.of(row))
        results.add(shared, row.id, (then.due, handle_of(then.state)))
        journal.add(journal_row(now, done, row.revision), row.id, (0.0,))
        journal.write(connection)
        results.write(connection)

    def _after(self, row: Any, done: Done, now: float) -> After:
        return after(state_of(row), done, self._adapters[row.adapter], self._timing, now, self._random.random())

    def _keep(self, results: Batch, row: Any, work: Work, done: Done, then: After, now: float) -> dict[str, Own]:
        """Keep what came of a step; gives those of which the same came."""
        applied_at = row.applied_at if done.step is Step.OBSERVE else work.since or now
        proof = Proof.of(row).after(done, work.state, now)
        shared = result_row(then.state, self._adapters[row.adapter], applied_at, proof)
        return results.add(shared, row.id, (then.due, handle_of(then.state)))

    def _keep_others(self, results: Batch, work: Work, done: Done, rows: Mapping[str, Any], now: float) -> None:
        """Keep what a step made of the other cases on a board that holds one message."""
        can = self._adapters[work.posting.target.adapter]
        for name, then, shared in sharing.others_after(work, done, rows, can, self._timing, now):
            results.add(shared, name, (then.due, handle_of(then.state)))

    def _fenced(self, connection: Connection, row: Any, done: Done, now: float) -> None:
        """A step outlived its lease and someone else went on: what it did must be looked at, not forgotten."""
        state, can = state_of(row), self._adapters[row.adapter]
        values = fenced(state, done, can)
        if values:
            due = case((_t.claim.is_(None), now), else_=_t.due)
            connection.execute(update(_postings).where(_t.id == row.id).values(**values, due=due))

    def _spare_target(self, connection: Connection, row: Any, done: Done, then: After) -> None:
        """A target that fails is not asked again by others that wait to be shown there, who come before it next time.

        Endings, renewals and looks try for themselves: whatever fails there, what is shown must not end by itself.
        """
        if not isinstance(done.result, TransientError) or not then.due:
            return
        if priority_of(then.state, self._adapters[row.adapter]) != NORMAL:
            return
        there = and_(_t.target == row.target, _t.target_row == row.target_row, _t.id != row.id)
        others = and_(there, _t.claim.is_(None), _t.due < then.due, _t.priority == NORMAL)
        sooner = then.due - AHEAD / (1.0 + _t.attempts)
        connection.execute(update(_postings).where(others).values(due=sooner))


@cache
def _same(dialect: str) -> Select[Any]:
    """Ask for postings by their names, locked in one order. SQLAlchemy runs it: it remembers the many columns."""
    mine = _t.id.in_(select(Each(dialect).name))
    return select(*WORK, *STATE).where(mine).order_by(_t.id).with_for_update(of=_postings)


def _handle(row: Any, done: Done) -> str | None:
    """Write where a posting is found: as the step's receipt says, else as it was."""
    handle: str | None = row.handle
    return to_json(dict(done.result.handle)) if isinstance(done.result, Receipt) else handle
