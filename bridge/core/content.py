"""What is shown: the rendered content of one revision of a case on one channel."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from bridge.core.alert import Alert, Category, Ending, Info, OutcomeInfo, Status, choose
from bridge.core.case import Case
from bridge.core.layout import READING, Reading, lay_out
from bridge.core.target import Sign


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
    Actual; ``mark`` is what a board then says first. ``valid_until`` is when a board must clear itself if it hears
    nothing more. ``turns``: the contents of all cases of a board that holds one message, the most pressing first.
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
    expires: float | None = None  # seconds since the epoch: the alert's own end
    photo: Photo | None = None
    valid_until: datetime | None = None
    mark: str = ""
    translations: tuple[tuple[str, str], ...] = ()  # language and text, where a board shows several in turn
    turns: tuple[Content, ...] = ()

    @property
    def each(self) -> tuple[Content, ...]:
        """Give what is to be shown in turn: this alone, where there are no others."""
        return self.turns or (self,)


@dataclass(frozen=True, slots=True)
class Words:
    """What a template is given: the alert in one language, nothing else. All of it is untrusted text."""

    case: str
    phase: Phase
    language: str
    category: str
    headline: str
    description: str
    instruction: str
    sender: str
    area: str
    mark: str = ""  # OEFENING or TEST, empty for the real thing
    outcome: str = ""  # resolved, unresolved, withdrawn; empty before the end
    photo: bool = False


class Renderer(Protocol):
    """Turns words into a message by the templates of a channel."""

    def render(self, channel: str, words: Words) -> tuple[str, str]:
        """Give the message as plain text and as HTML (empty when the channel has no HTML template)."""
        ...


MARKS = {Status.ACTUAL: "", Status.EXERCISE: "OEFENING", Status.TEST: "TEST"}

# R8, in code and not in a template, so that no configuration can leave it out.
R8_LINES = {
    "nl": "Bel bij nood direct 112. Geen spoed, wel politie: 0900-8844. Reageer niet alleen in WhatsApp.",
    "en": "In an emergency call 112 at once. Not urgent: 0900-8844. Never reply in WhatsApp only.",
    "de": "Im Notfall sofort 112 anrufen. Nicht dringend: 0900-8844. Antworten Sie nie nur in WhatsApp.",
    "fr": "En cas d'urgence, appelez le 112. Sans urgence : 0900-8844. Ne répondez jamais seulement dans WhatsApp.",
}
PHOTO_PLACEHOLDER = "cid:photo"  # where a template wants the picture in its HTML
ADMIN_CHANNELS = frozenset({"outbox"})


def words_of(case: str, phase: Phase, alert: Alert, info: Info, *, photo: bool) -> Words:
    """Collect what a template may use of an alert."""
    return Words(
        case=case,
        phase=phase,
        language=info.language.split("-")[0].lower(),
        category=alert.category.value,
        headline=one_line(info.headline) or one_line(info.description)[:80],
        description=info.description,
        instruction=info.instruction,
        sender=one_line(alert.senderName),
        area=one_line(alert.area.areaDesc) if alert.area else "",
        mark=MARKS[alert.status],
        photo=photo,
    )


def ending_words(case: str, alert: Alert, ending: Ending, language: str) -> Words:
    """Collect what a template may use of an ending: the outcome, and the alert's headline so that people know which."""
    info = choose(alert.info, (language,)) or alert.info[0]
    told = choose(ending.info, (language,)) or OutcomeInfo()
    words = words_of(case, Phase.ENDED, alert, info, photo=False)
    return replace(words, outcome=ending.outcome.value, description=told.description, instruction=told.instruction)


def words_for_refused(words: Words, told: Content | None) -> Words:
    """Speak of what was told last, and say nothing of what was kept from this reader since (I1)."""
    headline = told.subject if told else words.case
    for mark in filter(None, MARKS.values()):
        headline = headline.removeprefix(f"{mark}: ")
    mark = words.mark if told and told.exercise else ""
    return replace(words, headline=headline, category=Category.OTHER.value, sender="", area="", mark=mark)


def message(channel: str, words: Words, renderer: Renderer, revision: int, photo: Photo | None = None) -> Content:
    """Make the content of a post or a message."""
    text, html = renderer.render(channel, words)
    if channel in ADMIN_CHANNELS:
        text = f"{text.rstrip()}\n\n{R8_LINES.get(words.language, R8_LINES['nl'])}"
    subject = f"{words.mark}: {words.headline}" if words.mark else words.headline
    return Content(
        case=words.case,
        revision=revision,
        phase=words.phase,
        language=words.language,
        subject=subject[:200],
        text=text,
        html=html,
        exercise=bool(words.mark),
        photo=photo,
    )


def board(
    case: Case,
    alert: Alert,
    info: Info,
    sign: Sign | None,
    photo: Photo | None,
    reading: Reading = READING,
    others: Sequence[Info] = (),
) -> Content:
    """Make the content of a board: the original text, laid out whole (R3); raise ``DoesNotFit``.

    Without a ``sign`` it is one that fits all. ``others``: the text in other languages, for a board that shows several.
    """
    mark = MARKS[alert.status]
    return Content(
        case=case.id,
        revision=case.revision,
        phase=Phase.OPENED,
        language=info.language,
        subject=one_line(info.headline)[:200],
        text=info.original_text,
        pages=lay_out(info.original_text, sign, mark, reading) if sign else (),
        mark=mark,
        translations=tuple((one.language, one.original_text) for one in others),
        exercise=alert.status is not Status.ACTUAL,
        expires=case.expires.timestamp() if case.expires else None,
        photo=photo if sign is None or sign.photo else None,
    )


def one_line(text: str) -> str:
    """Fold all white space, line breaks included, into single spaces."""
    return " ".join(text.split())


def content_id(content: Content) -> str:
    """Name a content by what it says; 100,000 postings that say the same share one row."""
    return hashlib.sha256(dump(content).encode()).hexdigest()


def dump(content: Content) -> str:
    """Write a content as JSON, without the photo's bytes and without the time of one delivery."""
    fields = asdict(replace(content, photo=replace(content.photo, data=b"") if content.photo else None, turns=()))
    del fields["valid_until"], fields["turns"]
    for name in ("mark", "translations"):  # what was kept before they were there keeps its name
        if not fields[name]:
            del fields[name]
    if fields["photo"]:
        del fields["photo"]["data"]
    return json.dumps(fields, separators=(",", ":"), sort_keys=True)


def load(body: str) -> Content:
    """Read what ``dump`` wrote."""
    fields = json.loads(body)
    fields["phase"] = Phase(fields["phase"])
    fields["pages"] = tuple(tuple(page) for page in fields["pages"])
    fields["translations"] = tuple((language, text) for language, text in fields.get("translations", ()))
    fields["photo"] = Photo(**fields["photo"]) if fields["photo"] else None
    return Content(**fields)
