"""What the Graph API answers, and what an answer means for the step that asked.

Messages of the API are never repeated in an error: they may quote a token or a text. The code and the trace id are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from pydantic import AwareDatetime, BaseModel, Field, StringConstraints, ValidationError

from bridge.core.errors import AdapterError, OutcomeUnknown, PermanentError, TransientError

THROTTLE_PAUSE = 300.0
"""Seconds to wait after "too many calls" when the answer names no time; the limits are of a sliding hour."""

_HTTP_GOOD = range(200, 300)
_HTTP_TIMEOUT = 408
_HTTP_TOO_MANY = 429
_HTTP_SERVER_ERROR = 500


class Verdict(StrEnum):
    """What an error of the Graph API means for a step."""

    UNCLEAR = "unclear"  # it may have happened: unknown for a publication, transient for what can be repeated
    THROTTLED = "throttled"  # nothing happened; later it may
    REFUSED = "refused"  # nothing happened, nor will it
    GONE = "gone"  # there is no such post (any more)
    DUPLICATE = "duplicate"  # this text is on the page already
    DISALLOWED = "disallowed"  # blocked, or this text is on the page already: the code does not tell


_PERMISSION = (Verdict.REFUSED, "the app lacks a permission for this page")

ERRORS: Mapping[tuple[int, int | None], tuple[Verdict, str]] = {
    (1, None): (Verdict.UNCLEAR, "an unknown error at Facebook"),
    (2, None): (Verdict.UNCLEAR, "Facebook is out of service for a moment"),
    (4, None): (Verdict.THROTTLED, "the app made too many calls"),
    (17, None): (Verdict.THROTTLED, "the user of the token made too many calls"),
    (32, None): (Verdict.THROTTLED, "too many calls for this page"),
    (341, None): (Verdict.THROTTLED, "the app reached its limit"),
    (613, None): (Verdict.THROTTLED, "too many calls of this kind"),
    (80001, None): (Verdict.THROTTLED, "too many calls for this page"),
    (368, 1390008): (Verdict.THROTTLED, "posts follow one another too fast"),
    (368, None): (Verdict.DISALLOWED, "Facebook blocked this action"),
    (506, None): (Verdict.DUPLICATE, "Facebook says that this text was posted already"),
    (100, 33): (Verdict.GONE, "the post or page is gone, or closed to this token"),
    (102, None): (Verdict.REFUSED, "the page token is no longer valid: make a new one"),
    (190, None): (Verdict.REFUSED, "the page token is no longer valid: make a new one"),
    (3, None): _PERMISSION,
    (10, None): _PERMISSION,
    **{(code, None): _PERMISSION for code in range(200, 300)},
}
"""(code, subcode; ``None`` = any other) → meaning. Source: Graph API, "Handling Errors"."""


class PostGoneError(PermanentError):
    """There is no such post."""


class DuplicateError(OutcomeUnknown):
    """An earlier attempt may have posted this text."""


class DisallowedError(PermanentError):
    """Blocked, perhaps because an earlier attempt posted this text."""


@dataclass(frozen=True)
class Step:
    """How to speak of a request that failed, and whether it may go out when the page is near its limit.

    ``lost`` is for a request without an answer, ``failed`` for an answer that leaves the effect open.
    """

    lost: type[AdapterError]
    failed: type[AdapterError]
    urgent: bool = False


PUBLISH = Step(lost=OutcomeUnknown, failed=OutcomeUnknown)
# The same edit again, with the same receipt, is harmless, while a search by text might miss the post half way.
UPDATE = Step(lost=TransientError, failed=TransientError)
RETRACT = Step(lost=OutcomeUnknown, failed=TransientError, urgent=True)
READ = Step(lost=TransientError, failed=TransientError)
FIND = Step(lost=TransientError, failed=TransientError, urgent=True)

# Ids become part of a path, so nothing else than these characters may come back from the API.
_GraphId = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_]{1,200}$")]


class GraphError(BaseModel):
    """The ``error`` of an answer, as far as it can be trusted."""

    code: int = Field(ge=0, lt=10**8)
    error_subcode: int | None = Field(None, ge=0, lt=10**8)
    is_transient: bool = False
    fbtrace_id: Any = None


class _Failure(BaseModel):
    error: GraphError


class Published(BaseModel):
    """Answer to a text post."""

    id: _GraphId


class PublishedPhoto(BaseModel):
    """Answer to a photo: its own id, and the post it stands in."""

    id: _GraphId
    post_id: _GraphId


class Done(BaseModel):
    """Answer to an edit or a removal."""

    success: bool = Field(strict=True)


class Reference(BaseModel):
    """Anything that has an id."""

    id: _GraphId | None = None


class Attachment(BaseModel):
    """What hangs under a post; ``target`` is the photo when ``media_type`` is photo."""

    media_type: str = ""
    target: Reference = Reference()


class Attachments(BaseModel):
    """The list of them."""

    data: list[Attachment] = []


class Message(BaseModel):
    """A post's text; stories and bare photos have none."""

    id: _GraphId
    message: str | None = None


class Post(Message):
    """One post of a feed."""

    created_time: AwareDatetime
    author: Reference = Field(Reference(), alias="from")
    attachments: Attachments = Attachments()

    def handle(self) -> dict[str, str]:
        """Give the handle of a receipt for this post: ``post`` and ``photo`` (empty without one)."""
        photos = (each.target.id for each in self.attachments.data if each.media_type == "photo" and each.target.id)
        return {"post": self.id, "photo": next(photos, "") or ""}


class Paging(BaseModel):
    """Where a feed goes on."""

    next: str | None = None


class Feed(BaseModel):
    """One page of a feed, newest first."""

    data: list[Any]
    paging: Paging = Paging()

    def posts_with(self, wanted: Callable[[str], bool]) -> list[Post] | None:
        """Give the posts whose text is wanted, and ``None`` when one of them cannot be read.

        Any other post that cannot be read is passed over: one strange post must not hide ours for ever.
        """
        posts: list[Post] = []
        for raw in self.data:
            text = raw.get("message") if isinstance(raw, dict) else None
            if isinstance(text, str) and wanted(text):
                try:
                    posts.append(Post.model_validate(raw))
                except ValidationError:
                    return None
        return posts


Model = TypeVar("Model", bound=BaseModel)


def _parse(model: type[Model], body: bytes) -> Model | None:
    try:
        return model.model_validate_json(body)
    except ValidationError:  # its text quotes the input, so it is not chained to anything
        return None


def expect(model: type[Model], body: bytes, step: Step) -> Model:
    """Read a good answer; one that cannot be read leaves open what happened."""
    answer = _parse(model, body)
    if answer is None or (isinstance(answer, Done) and not answer.success):
        raise step.failed("Facebook gave an answer that does not tell whether it was done")
    return answer


def judge(step: Step, status: int, body: bytes, wait: float | None) -> bytes:
    """Return the body of a good answer, or raise what it means for this step; ``wait``: seconds the answer named."""
    failure = _parse(_Failure, body)
    if failure is None and status in _HTTP_GOOD:
        return body
    verdict, reason = _meaning(status, failure.error if failure else None)
    match verdict:
        case Verdict.UNCLEAR:
            raise step.failed(reason)
        case Verdict.THROTTLED:
            raise TransientError(reason, retry_after=wait or THROTTLE_PAUSE)
        case Verdict.GONE:
            raise PostGoneError(reason)
        case Verdict.DUPLICATE:
            raise DuplicateError(reason)
        case Verdict.DISALLOWED:
            raise DisallowedError(reason)
        case Verdict.REFUSED:
            raise PermanentError(reason)


def _meaning(status: int, error: GraphError | None) -> tuple[Verdict, str]:
    if error is None:
        return _meaning_of_status(status), f"Facebook answered HTTP {status} without a reason"
    known = ERRORS.get((error.code, error.error_subcode)) or ERRORS.get((error.code, None))
    verdict, reason = known or (_meaning_of_status(status), "Facebook refused the request")
    if known is None and error.is_transient:
        verdict = Verdict.UNCLEAR
    subcode = f"/{error.error_subcode}" if error.error_subcode else ""
    trace = error.fbtrace_id if re.fullmatch(r"[\w-]{1,40}", str(error.fbtrace_id), re.ASCII) else "none"
    return verdict, f"{reason} (Graph error {error.code}{subcode}, trace {trace})"


def _meaning_of_status(status: int) -> Verdict:
    if status == _HTTP_TOO_MANY:
        return Verdict.THROTTLED
    if status == _HTTP_TIMEOUT or status >= _HTTP_SERVER_ERROR or status in _HTTP_GOOD:
        return Verdict.UNCLEAR
    return Verdict.REFUSED


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read ``Retry-After`` in seconds; ``None`` when it is missing or no such number."""
    seconds = headers.get("Retry-After", "")
    return float(seconds) if re.fullmatch(r"[0-9]{1,5}", seconds) else None
