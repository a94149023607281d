"""What a board accepts: the body of the HTTP sign contract, read as strictly as a careful vendor would."""

from __future__ import annotations

import base64
import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from bridge.core.alert import Instant, Language, Line

Body = dict[str, Any]
"""A body as it was sent: case, revision, text, pages, language, photo, validUntil, exercise."""

_JPEG_URI = "data:image/jpeg;base64,"


class Refused(ValueError):
    """A request a board cannot obey; the message is the one sentence it answers."""


def _jpeg(uri: str) -> str:
    if not uri.startswith(_JPEG_URI):
        raise ValueError("a data URI of a JPEG is wanted")
    if not base64.b64decode(uri.removeprefix(_JPEG_URI), validate=True).startswith(b"\xff\xd8\xff"):
        raise ValueError("the bytes are no JPEG")
    return uri


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class _Picture(_Strict):
    uri: Annotated[str, AfterValidator(_jpeg)]
    mimeType: Literal["image/jpeg"]
    description: str


class _Body(_Strict):
    case: Annotated[str, StringConstraints(min_length=1)]
    revision: int = Field(ge=0)
    text: Annotated[str, StringConstraints(min_length=1)]
    pages: list[Annotated[list[Line], Field(min_length=1)]] = Field(min_length=1)
    language: Language
    photo: _Picture | None
    validUntil: Instant | None
    exercise: bool


_READER = TypeAdapter(_Body)


def read_body(raw: bytes) -> Body:
    """Read and check the body of a PUT; raise ``Refused`` naming the first thing that is wrong."""
    try:
        body = json.loads(raw)
        _READER.validate_python(body)
    except ValidationError as error:
        raise Refused(sentence(error)) from error
    except (ValueError, RecursionError) as error:
        raise Refused("The body is not JSON.") from error
    return dict(body)


def sentence(error: ValidationError) -> str:
    """Say the first problem as one sentence: where, and what is allowed there."""
    problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(map(str, problem["loc"])) or "body"
    return f"{where}: {problem['msg'].removeprefix('Value error, ')}."
