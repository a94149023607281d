"""How the dispatcher's objects and the rows of the store become each other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import bindparam, insert, null, select, update

from bridge.core.content import Content
from bridge.core.errors import AdapterError, PermanentError, TransientError, printable
from bridge.core.posting import (
    Applied,
    Capabilities,
    Desired,
    Kind,
    Observation,
    Posting,
    Receipt,
    State,
    Step,
    is_urgent,
    next_step,
    shows,
)
from bridge.core.retry import After, Done
from bridge.core.turns import Turn
from bridge.store import schema
from bridge.store.batches import of_each
from bridge.store.database import Prepared, to_json
from bridge.store.wishes import LATER, NORMAL, URGENT

_postings = schema.postings
_t = _postings.c
STATE = tuple(_t[name] for name in State._fields)
_DESIRED_HALF = 5  # the first fields of a State are the intake's to write
_APPLIED_HALF = tuple(f"p_{name}" for name in State._fields[_DESIRED_HALF:-1])
WORK = (
    *(_t.id, _t.case_id, _t.target, _t.target_row, _t.channel, _t.adapter),
    *(_t.claim, _t.due, _t.doing, _t.doing_content, _t.doing_ending, _t.doing_since),
    *(_t.applied_at, _t.verified_at, _t.seen, _t.seen_text, _t.gone_at, _t.dark_at, _t.drift_at),
)
_FIRST, _PROOF = len(WORK), len(WORK) - 6  # where a posting's two halves begin, and what was seen of it
_DESIRES: Mapping[str, Desired] = {one.value: one for one in Desired}
_APPLIED: Mapping[str, Applied] = {one.value: one for one in Applied}
_NOWHERE = (None, "{}")  # a handle that says nothing of where a posting is
MOST_SEEN = 300  # characters that are kept of what stands on a board instead of ours

CLAIM = of_each(
    lambda each: (
        update(_postings)
        .where(_t.id == each.name)
        .values(
            claim=bindparam("p_claim"),
            due=bindparam("p_due"),
            doing=bindparam("p_doing"),
            doing_content=bindparam("p_content"),
            doing_ending=bindparam("p_ending"),
            doing_since=bindparam("p_since"),
        )
    )
)


class Proof(NamedTuple):
    """What was seen of a posting where it is; times in seconds since the epoch, nought: never."""

    verified_at: float = 0.0
    seen: str = ""  # ours, dark, other
    seen_text: str = ""  # what stands there instead
    gone_at: float = 0.0
    dark_at: float = 0.0
    drift_at: float = 0.0  # since when every look has found something else than what was done

    @classmethod
    def of(cls, row: Any) -> Proof:
        """Read it from a posting."""
        return cls(*row[_PROOF:_FIRST])

    def after(self, done: Done, before: State, now: float) -> Proof:
        """Take in what came of a step."""
        match done.step, done.result:
            case _, AdapterError():
                return self
            case Step.RETRACT, _:
                return self.removed(now)
            case ((Step.PUBLISH | Step.UPDATE), Receipt() as given) if not given.has(done.content):
                return self.removed(now) if before.applied is not Applied.NONE else self
            case ((Step.PUBLISH | Step.UPDATE), _):
                return self.placed(anew=before.applied_content not in ("", done.content_id))
            case Step.OBSERVE, Observation() as found:
                return self._looked(found, done.content, before, now)
            case _:
                return self._replace(verified_at=now)

    def placed(self, *, anew: bool) -> Proof:
        """It was placed; what was seen before says nothing of another text."""
        there = self._replace(gone_at=0.0, dark_at=0.0)
        return there._replace(seen="", seen_text="") if anew else there

    def removed(self, now: float) -> Proof:
        """It was taken away, and is still to be seen gone."""
        return self._replace(gone_at=now, dark_at=0.0, seen="", seen_text="")

    def _looked(self, found: Observation, sent: Content | None, before: State, now: float) -> Proof:
        ours = found.present and (sent is None or shows(found, sent))
        seen = "ours" if ours else "dark" if found.text is None else "other"
        there = printable((found.text or "")[:MOST_SEEN]) if seen == "other" else ""
        vanished = before.applied is Applied.SHOWN and not found.present  # nobody took it away
        gone_at = self.gone_at or (now if vanished else 0.0)
        dark_at = self.dark_at or now if gone_at and not found.present else 0.0
        as_told = not found.present if self.gone_at else ours
        drift_at = 0.0 if as_told else self.drift_at or now
        proof = self._replace(verified_at=now, seen=seen, seen_text=there)
        return proof._replace(gone_at=gone_at, dark_at=dark_at, drift_at=drift_at)


RESULT = of_each(
    lambda each: (
        update(_postings)
        .where(_t.id == each.name)
        .values(
            claim=null(),
            due=each.number(0),
            handle=each.text(1),
            priority=bindparam("p_priority"),
            **{name: bindparam(f"p_{name}") for name in ("applied_at", *Proof._fields)},
            **{name.removeprefix("p_"): bindparam(name) for name in _APPLIED_HALF},
        )
    )
)
_JOURNAL = ("at", "step", "revision", "result", "error")
JOURNAL = of_each(
    lambda each: insert(schema.journal).from_select(
        ["posting", "seconds", *_JOURNAL],
        select(each.name, each.number(0), *(bindparam(name, type_=schema.journal.c[name].type) for name in _JOURNAL)),
    )
)
NOTICE = Prepared(insert(schema.notices).values({name: bindparam(name) for name in ("what", "body")}))


class Shared(NamedTuple):
    """Who is on a board that holds one message, and how that is found. ``rest``: what a retraction leaves."""

    turns: tuple[Turn, ...] = ()
    handle: Mapping[str, str] | None = None
    rest: Content | None = None


ALONE = Shared()


class Work(NamedTuple):
    """A claimed posting, with everything its one step needs."""

    posting: Posting
    channel: str
    state: State
    step: Step
    content: Content | None
    content_id: str
    ending: bool
    claim: str
    lease: float
    since: float
    shared: Shared = ALONE

    @property
    def receipt(self) -> Receipt:
        """The receipt of what is there now: all on a board know its message, but each looks for its own."""
        others = None if self.step is Step.OBSERVE else self.shared.handle
        return Receipt(self.posting, self.state.handle or others or {})

    @property
    def neighbours(self) -> list[str]:
        """Name the other postings that the same message shows."""
        return [turn.posting for turn in self.shared.turns if turn.posting != self.posting.id]


class Finished(NamedTuple):
    """A step that ran; ``seconds`` is how long it took."""

    work: Work
    done: Done
    seconds: float

    @property
    def is_drift(self) -> bool:
        """Whether a look found it otherwise than it was left."""
        seen, state = self.done.result, self.work.state
        if not isinstance(seen, Observation):
            return False
        if state.applied is Applied.SHOWN:
            return not (self.done.content is None or shows(seen, self.done.content))
        return state.applied is Applied.GONE and seen.present


def state_of(row: Any) -> State:
    """Read the two halves of a posting."""
    values = list(row[_FIRST:])
    values[0], values[5] = _DESIRES[values[0]], _APPLIED[values[5]]
    if values[-1]:
        values[-1] = json.loads(values[-1])
    return State(*values)


def alike(row: Any, finished: Finished) -> tuple[Any, ...]:
    """Give all that decides what a step makes of a posting: in a fan-out it is the same for thousands of them.

    Where they stand (the handle) decides nothing but itself; a failure is waited for each time anew, and who is on a
    board that holds one message is looked at one by one.
    """
    work, result = finished.work, finished.done.result
    shared = work.shared is not ALONE or (isinstance(result, Receipt) and result.cases is not None)
    if shared or isinstance(result, AdapterError):
        return (row.id,)
    came = result if isinstance(result, Observation) else result is None
    asked = (work.step, work.content_id, id(work.content), work.ending, work.since)
    known = row.handle not in _NOWHERE
    return row.adapter, row[_PROOF - 1 : -1], known, work.state[:-1], asked, came


def state_in(row: Mapping[str, Any]) -> State:
    """Read the two halves of a posting from a row of the whole table."""
    values = {column.name: row[column.name] for column in STATE}
    handle = json.loads(values["handle"]) if values["handle"] else None
    return State(
        **values | {"desired": Desired(values["desired"]), "applied": Applied(values["applied"]), "handle": handle}
    )


def claim_row(work: Work) -> dict[str, Any]:
    """Write a claim: who does what, until when."""
    return {
        "p_claim": work.claim,
        "p_due": work.lease,
        "p_doing": work.step.value,
        "p_content": work.content_id,
        "p_ending": work.ending,
        "p_since": work.since,
    }


def result_row(state: State, can: Capabilities, applied_at: float, proof: Proof) -> dict[str, Any]:
    """Write what came of a step; when to look again, and where it is found, is each posting's own."""
    seen = {f"p_{key}": value for key, value in proof._asdict().items()}
    row = dict(zip(_APPLIED_HALF, state[_DESIRED_HALF:-1], strict=True))
    return {
        **row,
        "p_applied": state.applied.value,
        "p_priority": priority_of(state, can),
        "p_applied_at": applied_at,
        **seen,
    }


def priority_of(state: State, can: Capabilities) -> int:
    """Say how pressing the next step is."""
    gap = next_step(state, can) is not None
    return LATER if not gap else URGENT if is_urgent(state) else NORMAL


def handle_of(state: State) -> str | None:
    """Write where a posting is found."""
    return to_json(dict(state.handle)) if state.handle is not None else None


def result_word(done: Done) -> str:
    """Name a result: ok, transient, permanent or unknown."""
    match done.result:
        case TransientError():
            return "transient"
        case PermanentError():
            return "permanent"
        case AdapterError():
            return "unknown"
        case _:
            return "ok"


def journal_row(now: float, done: Done, revision: int) -> dict[str, Any]:
    """Write one attempt; how long it took is its own."""
    failed = isinstance(done.result, AdapterError)
    return {
        "at": now,
        "step": done.step.value,
        "revision": done.content.revision if done.content else revision,
        "result": result_word(done),
        "error": str(done.result) if failed else "",
    }


def fenced(state: State, done: Done, can: Capabilities) -> dict[str, Any]:
    """Work out what the late result of a step makes of a posting that someone else has taken over meanwhile."""
    if done.step not in (Step.PUBLISH, Step.UPDATE) or isinstance(done.result, (TransientError, PermanentError)):
        return {}  # nothing happened there
    known = state.applied is Applied.SHOWN and state.handle is not None
    if isinstance(done.result, Receipt) and known and dict(done.result.handle) == dict(state.handle or {}):
        same_text = done.content_id == state.applied_content
        return {} if same_text or can.kind is Kind.MESSAGE else {"applied_content": ""}
    in_doubt = done.step is Step.UPDATE or not isinstance(done.result, Receipt)
    if in_doubt and known and can.kind is not Kind.MESSAGE:
        # We know where it is (a late publication was looked for, and found); its text is for an update to settle.
        return {"applied_content": ""}
    return {"applied": Applied.UNKNOWN.value, "applied_content": done.content_id, "looks": 0}


def what_to_tell(work: Work, done: Done, then: After) -> str | None:
    """Name what the status exchange is told of a step: a change, or a first or final failure; not a renewal."""
    if isinstance(done.result, AdapterError):
        return "failed" if then.state.attempts == 1 or then.due is None else None
    return what_changed(work, done)


def what_changed(work: Work, done: Done) -> str | None:
    """Name what a step changed at a target: ``applied``, ``retracted``, or nothing (a failure, a look, a renewal)."""
    if isinstance(done.result, AdapterError):
        return None
    if done.step is Step.RETRACT:
        return "retracted"
    if done.step in (Step.PUBLISH, Step.UPDATE) and work.state.applied_content != done.content_id:
        return "applied"
    return "applied" if done.step is Step.FIND and isinstance(done.result, Receipt) else None


def notice_of(work: Work, done: Done, state: State, now: float) -> dict[str, Any]:
    """Write what the status exchange is told."""
    trace = work.posting.trace
    return {
        "case": work.posting.case,
        "target": work.posting.target.id,
        "channel": work.channel,
        "step": done.step.value,
        "revision": state.applied_revision,
        "error": state.error,
        "at": now,
        **({"trace": trace.headers} if trace else {}),
    }
