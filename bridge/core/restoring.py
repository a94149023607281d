"""What a posting of a backup is worth: the world went on after it was made, and nobody remembers how.

What can be looked at, or done twice without harm, is done again. What cannot be taken back is not sent twice: a message
that was waiting when the backup was made is taken for sent.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.core.posting import Applied, Capabilities, Kind, State, Step, next_step
from bridge.core.retry import BLIND_LIMIT, After, Timing

TAKEN_FOR_SENT = "restored from a backup: it may have been sent since, and is not sent again"


@dataclass(frozen=True, slots=True)
class Kept:
    """A posting as a backup holds it. ``flying``: what a step was sending just then, and whether it was an ending."""

    state: State
    due: float | None
    is_open: bool  # its case
    flying: tuple[str, bool] | None = None


def after_restore(kept: Kept, can: Capabilities, timing: Timing, now: float) -> After:
    """Say what is known of a posting after a restore, and when to look at it."""
    state = kept.state
    if kept.due is None and not kept.is_open:
        return After(state, None)  # it was over before the backup, and nothing was to be done
    if can.kind is Kind.STATE:
        return _look_at_board(state, can, timing, now)
    step = next_step(state, can) if kept.due is not None else None
    again = None if kept.due is None else now
    if can.kind is Kind.MESSAGE and (step or kept.flying) and not can.idempotent:
        return _take_for_sent(kept)
    if can.kind is Kind.POST and step is Step.PUBLISH:
        sought = kept.flying[0] if kept.flying else state.content
        return After(state._replace(applied=Applied.UNKNOWN, applied_content=sought, looks=0), now)
    return After(state, again)


def _look_at_board(state: State, can: Capabilities, timing: Timing, now: float) -> After:
    """Whatever it shows: it is shown what is wanted once more, or cleared, and read back until it must be right."""
    until = max(state.shown_until, now + timing.valid_for) if can.leased else state.shown_until
    tried = state.content if state.wanted else state.applied_content
    return After(state._replace(applied=Applied.UNKNOWN, applied_content=tried, shown_until=until, looks=0), now)


def _take_for_sent(kept: Kept) -> After:
    state = kept.state
    alerted = not state.ending or (kept.flying is not None and not kept.flying[1])
    sent = state._replace(
        applied=Applied.UNKNOWN,
        applied_content=state.content or state.applied_content,
        applied_ending=state.ending,
        carried=state.carried or alerted,
        blind=BLIND_LIMIT,
        error=TAKEN_FOR_SENT,
    )
    return After(sent, None)
