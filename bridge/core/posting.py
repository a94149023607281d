"""A posting is one case on one target: what should be there, what is there, and the one step that closes the gap.

``next_step`` is the heart of the bridge. A lost process, a doubled event, an ending that overtakes its opening and ten
corrections in a second are all the same case: look again.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from bridge.core.content import Content
from bridge.core.target import Target
from bridge.core.trace import Trace


class Kind(StrEnum):
    """What kind of channel this is; it decides what should be there when the case ends."""

    STATE = "state"  # shows what is true now: cleared
    POST = "post"  # stays findable: replaced by the ending, or deleted
    MESSAGE = "message"  # cannot be unsent: the ending follows, to those who got the alert


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a channel can do; everything the core needs to know of an adapter.

    ``channels``: the values of a target's ``channel`` it may drive. ``board``: shown to the public in the street, so
    R1, R2, R3 and R7 hold. ``idempotent``: publishing the same posting again is harmless. ``can_find``: after an
    unknown outcome it can look whether the posting exists. ``edits_photo``: an update can add or take away the photo.
    ``max_concurrency``: steps at a time; ``timeout``: seconds for one step.
    """

    kind: Kind
    channels: frozenset[str]
    board: bool = False
    can_update: bool = True
    can_retract: bool = True
    can_observe: bool = False
    can_find: bool = False
    idempotent: bool = False
    photo: bool = False
    edits_photo: bool = True
    leased: bool = False  # what is shown clears itself at ``Content.valid_until``, so it is renewed
    holds_one: bool = False  # one message at a time: the cases of a board take turns in it (``Content.turns``)
    fits_all: bool = False  # shows any text whole, in as many pages as that takes, and all languages of a target
    max_concurrency: int = 16
    timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class Posting:
    """One case on one target, as an adapter sees it.

    ``attempted`` is what the last publication of unknown outcome tried to show, since ``attempted_at``. ``trace`` is
    where the step belongs, for those who can pass it on.
    """

    id: str
    case: str
    target: Target
    attempted: Content | None = None
    attempted_at: datetime | None = None
    trace: Trace | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof of a publication: the posting, and ``handle``, the adapter's own words to find it again (kept as JSON).

    ``cases``: those that fitted, of a board that holds one message; ``None``: all that it was given.
    """

    posting: Posting
    handle: Mapping[str, str] = field(default_factory=dict)
    cases: frozenset[str] | None = None

    def has(self, content: Content | None) -> bool:
        """Tell whether a content found room."""
        return content is None or self.cases is None or content.case in self.cases


@dataclass(frozen=True, slots=True)
class Observation:
    """What is there now. ``revision`` and ``text`` are ``None`` where the channel cannot tell.

    ``present``: what the receipt is for stands there. If not, ``text`` is what stands there instead; ``None``: nothing.
    ``ours``: what stands there instead was written by the bridge, as far as the channel can tell.
    """

    present: bool
    revision: int | None = None
    text: str | None = None
    ours: bool = False


def shows(seen: Observation, sent: Content) -> bool:
    """Tell whether what was seen is what was sent, as far as the channel can tell."""
    return seen.present and seen.revision in (None, sent.revision) and seen.text in (None, sent.text)


def posting_id(case: str, target: Target) -> str:
    """Name a posting, the same for ever, fit for a URL: 26 characters of a-z and 2-7 (130 bits).

    A target that moves to another address is another posting: the old one is taken back where it stands.
    """
    digest = hashlib.sha256(f"{case}\0{target.id}\0{target.adapter}\0{target.address}".encode()).digest()
    return base64.b32encode(digest[:20])[:26].decode().lower()  # of more bytes it would make more letters


def reference(posting: str) -> str:
    """Shorten a posting's id to what people can read to each other."""
    return posting[:8].upper()


class Desired(StrEnum):
    """What should be there."""

    SHOWN = "shown"
    GONE = "gone"
    REFUSED = "refused"  # was allowed once, and no longer is


class Applied(StrEnum):
    """What is there, as far as we know."""

    NONE = "none"  # never
    SHOWN = "shown"
    GONE = "gone"  # was there, and is not any more
    UNKNOWN = "unknown"  # the answer to a publication never came


class Step(StrEnum):
    """The one thing to do next."""

    PUBLISH = "publish"
    UPDATE = "update"
    RETRACT = "retract"
    FIND = "find"  # an unknown outcome: look first
    OBSERVE = "observe"  # nothing to close: read back


class State(NamedTuple):
    """One posting's two halves. Times are seconds since the epoch; contents and photos are named by their digest."""

    desired: Desired
    content: str = ""
    revision: int = 0
    photo: str = ""
    ending: bool = False  # the desired content tells how the case ended
    applied: Applied = Applied.NONE
    applied_content: str = ""  # while unknown: what was tried
    applied_revision: int = 0
    applied_photo: str = ""
    applied_ending: bool = False
    carried: bool = False  # the alert of this opening reached, or may have reached, this target
    stale: bool = False  # what is there cannot be edited: take it away first
    blind: int = 0  # publications whose outcome we never learned
    looks: int = 0  # times we looked since the last change
    attempts: int = 0  # failures since the last success
    error: str = ""
    waits: bool = False  # more pressing cases fill the board; the step that makes room puts it back
    shown_until: float = 0.0  # until when it may be there without us: the latest ``valid_until`` that was ever sent
    handle: Mapping[str, str] | None = None

    @property
    def wanted(self) -> bool:
        """Whether anything should be there: an ending is told only to those who got the alert (R9, I5)."""
        return self.desired is Desired.SHOWN and (self.carried or not self.ending)

    @property
    def rests(self) -> bool:
        """Whether it waits for room: then there is nothing to look at, until its case ends."""
        return self.waits and self.wanted


def next_step(state: State, can: Capabilities) -> Step | None:
    """Find the one step that closes the gap between desired and applied, or ``None`` when there is no gap."""
    if state.applied is Applied.UNKNOWN:
        return _step_from_unknown(state, can)
    there = state.applied is Applied.SHOWN
    if not state.wanted:
        return Step.RETRACT if there and can.can_retract else None
    if not there:
        return None if state.waits else Step.PUBLISH
    if state.applied_content == state.content and not state.stale:
        return None
    return Step.UPDATE if _editable(state, can) else Step.RETRACT


def _step_from_unknown(state: State, can: Capabilities) -> Step | None:
    if can.can_find and not can.idempotent:
        return Step.FIND
    if can.can_retract and (state.stale or not state.wanted):
        return Step.RETRACT
    if not state.wanted:
        return None
    # A message cannot be looked up: it is sent again (same Message-ID), or the thread goes on.
    in_thread = can.kind is Kind.MESSAGE and state.handle and not can.idempotent
    return Step.UPDATE if in_thread else Step.PUBLISH


def _editable(state: State, can: Capabilities) -> bool:
    if not can.can_retract:
        return True
    photo_kept = can.edits_photo or state.applied_photo == state.photo
    # A post about a case that ended is not edited back into an alert: nobody would see it. It is posted anew.
    reopened = can.kind is Kind.POST and state.applied_ending and not state.ending
    return can.can_update and photo_kept and not state.stale and not reopened


def is_urgent(state: State) -> bool:
    """Endings and retractions go before everything else, always."""
    return state.desired is not Desired.SHOWN or state.ending
