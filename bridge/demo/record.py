"""What the control room told, and what the other sides saw: the only two things that the invariants are judged by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from bridge.core.target import Sign

BOARD_CHANNELS = frozenset({"sign", "display"})


class Deed(StrEnum):
    """What happened to a text at a place."""

    SHOWN = "shown"  # it came: on a board, as a post, as a mail, in an outbox
    CHANGED = "changed"  # another text or photo came in its place
    GONE = "gone"
    PHOTO_GONE = "photo_gone"  # a photo left the page's album


@dataclass(frozen=True, slots=True)
class Sight:
    """One thing that one place saw. ``at`` is ``time.monotonic()`` in seconds; ``pages`` are a board's lines."""

    at: float
    place: str
    channel: str
    deed: Deed
    case: str
    text: str = ""
    pages: tuple[tuple[str, ...], ...] = ()
    photo: bool = False
    message_id: str = ""
    replies_to: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """One event that the bridge took in.

    ``texts``: the description, or how it ended, in each language. ``originals``: description and instruction as a
    board must show them. ``reach``: the places that must hear of it. ``silent``: nobody may notice it (a duplicate, an
    ending without a beginning).
    """

    at: float
    id: str
    case: str
    kind: str  # opened, updated, ended
    category: str = ""
    headline: str = ""
    outcome: str = ""
    texts: tuple[str, ...] = ()
    originals: tuple[str, ...] = ()
    reach: frozenset[str] = frozenset()
    silent: bool = False


@dataclass(frozen=True)
class Record:
    """Everything at the end. ``left``: what is still there; ``never``: places that no alert of this story may reach."""

    told: Sequence[Told]
    sights: Sequence[Sight]
    left: Sequence[Sight] = ()
    log: Sequence[str] = ()
    secrets: Sequence[str] = ()
    signs: Mapping[str, Sign] = field(default_factory=dict)
    never: frozenset[str] = frozenset()


def folded(text: str) -> str:
    """Fold all white space: how a text breaks into lines differs from channel to channel."""
    return " ".join(text.split())


def speaks_of(sight: Sight, told: Told) -> bool:
    """Whether what a place saw holds the text of this event, in whatever language."""
    seen = folded(sight.text)
    return sight.case == told.case and any(folded(text) in seen for text in told.texts)


def source_of(sight: Sight, told: Sequence[Told]) -> Told | None:
    """Find the event whose text a place saw."""
    return next((one for one in reversed(told) if not one.silent and speaks_of(sight, one)), None)


def heard(told: Told, sights: Sequence[Sight]) -> set[str]:
    """Name the places that saw the text of an event since it was told."""
    came = (Deed.SHOWN, Deed.CHANGED)
    return {one.place for one in sights if one.at >= told.at and one.deed in came and speaks_of(one, told)}
