"""What is shown: the rendered content of one revision of a case on one channel."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Phase(StrEnum):
    """Which of a case's messages this is."""

    OPENED = "opened"
    UPDATED = "updated"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture that the bridge fetched and re-encoded; ``digest`` is the SHA-256 of ``data`` in hex."""

    digest: str
    media_type: str = "image/jpeg"
    description: str = ""
    data: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Content:
    """What to show, whole. Boards show ``pages`` (lines of the original ``text``); posts and messages show ``text``.

    ``subject`` is the headline and stays the same for the whole thread. ``exercise`` is true for every status but
    Actual. ``valid_until`` is when a board must clear itself if it hears nothing more.
    """

    case: str
    revision: int
    phase: Phase
    language: str
    subject: str
    text: str
    html: str = ""
    pages: tuple[tuple[str, ...], ...] = ()
    exercise: bool = False
    photo: Photo | None = None
    valid_until: datetime | None = None
