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

from bridge.core.content import Content
from bridge.core.target import Target


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
    max_concurrency: int = 16
    timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class Posting:
    """One case on one target, as an adapter sees it.

    ``attempted`` is what the last publication of unknown outcome tried to show, since ``attempted_at``.
    """

    id: str
    case: str
    target: Target
    attempted: Content | None = None
    attempted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof of a publication: the posting, and ``handle``, the adapter's own words to find it again (kept as JSON)."""

    posting: Posting
    handle: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observation:
    """What is there now. ``revision`` and ``text`` are ``None`` where the channel cannot tell."""

    present: bool
    revision: int | None = None
    text: str | None = None


def posting_id(case: str, target: str) -> str:
    """Name a posting, the same for ever, fit for a URL: 26 characters of a-z and 2-7 (130 bits)."""
    digest = hashlib.sha256(f"{case}\0{target}".encode()).digest()
    return base64.b32encode(digest)[:26].decode().lower()
