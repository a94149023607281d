"""The wire contract: CloudEvents 1.0 in the NL GOV profile, structured or in AMQP binary mode.

``parse_structured`` and ``parse_binary`` are the only ways in. They return an ``Event`` or raise ``InvalidInput`` whose
lines each name the field, the value and what is allowed.
"""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import isinf
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import ErrorDetails, from_json

from bridge.core.alert import Alert, CapModel, Ending, Instant, Line
from bridge.core.errors import InvalidInput
from bridge.core.trace import STATE, Trace
from bridge.core.words import nearest

OPENED = "nl.burgernet.alert.opened"
UPDATED = "nl.burgernet.alert.updated"
ENDED = "nl.burgernet.alert.ended"

MAX_BODY = 1_000_000  # bytes; a full event with the longest texts in four languages is well below
HIDDEN = "hidden"  # the type of an error whose value is a secret
_EXPLAINED = 20  # faults of one event that are told
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST = datetime.max.replace(tzinfo=UTC) - timedelta(days=366)
_SHOWN = 60  # characters of a refused value that an error repeats

Place = tuple[int | str, ...]  # the keys and positions that lead to a value

Identifier = Annotated[Line, StringConstraints(min_length=1, max_length=255)]


def _sequence(value: Any) -> Any:
    """Read the ``sequence`` extension: an integer as string; AMQP headers may carry it as a number."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not text.isascii() or not text.isdigit() or len(text) > 18:
        raise ValueError("an integer as string, at most 18 digits")
    return int(text)


_AS_STRING = PlainSerializer(str, when_used="json-unless-none")


class _Event(CapModel):
    model_config = ConfigDict(frozen=True, extra="allow", strict=True, revalidate_instances="never")

    specversion: Literal["1.0"]
    id: Identifier
    source: Identifier
    subject: Identifier
    time: Instant
    datacontenttype: Line = "application/json"
    sequence: Annotated[int | None, BeforeValidator(_sequence), _AS_STRING] = Field(
        None, json_schema_extra={"type": "string", "pattern": "^[0-9]{1,18}$"}
    )


class Opened(_Event):
    """A case starts, or starts again."""

    type: Literal["nl.burgernet.alert.opened"]
    data: Alert


class Updated(_Event):
    """A correction: the whole new content."""

    type: Literal["nl.burgernet.alert.updated"]
    data: Alert


class Ended(_Event):
    """A case is over; needs no knowledge of what was opened."""

    type: Literal["nl.burgernet.alert.ended"]
    data: Ending


Event = Opened | Updated | Ended
_EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="type")])


def json_schema() -> dict[str, Any]:
    """Give the JSON Schema of the events that the bridge reads."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Burgernet bridge events (CloudEvents 1.0, structured)",
        **_EVENT.json_schema(mode="validation"),
    }


def parse_structured(body: bytes | str) -> Event:
    """Read one structured CloudEvent (``application/cloudevents+json``)."""
    return _validate(_read_json(body))


def parse_binary(headers: Mapping[str, Any], content_type: str, body: bytes) -> Event:
    """Read one CloudEvent in AMQP binary mode: attributes in ``cloudEvents:*`` or ``cloudEvents_*`` headers."""
    if content_type and not _is_json(content_type):
        raise InvalidInput(f"datacontenttype: {_show(content_type)} is not allowed; allowed: application/json")
    attributes = once([(key[12:], _plain(key[12:], value)) for key, value in headers.items() if is_attribute(key)])
    return _validate({"datacontenttype": "application/json", **attributes, "data": _read_data(body)})


def is_attribute(header: str) -> bool:
    """Tell whether an AMQP header carries a CloudEvents attribute."""
    return header.startswith(("cloudEvents:", "cloudEvents_"))


def dump(event: Event) -> str:
    """Write an event as structured JSON, ASCII only, unknown fields included."""
    return event.model_dump_json(exclude_unset=True, ensure_ascii=True)  # a null that was sent is kept


def with_trace(event: Event, trace: Trace) -> Event:
    """Put an event into the trace that came beside it; a ``tracestate`` of its own belongs to another place."""
    own = {STATE: None} if STATE in (event.model_extra or {}) else {}
    return event.model_copy(update=own | trace.headers)


def _plain(name: str, value: Any) -> Any:
    """Turn AMQP's native types into the ones that attributes have; a timestamp may come as whole milliseconds."""
    match value:
        case bytes():
            return value.decode("utf-8", errors="replace")
        case datetime():
            return value.replace(tzinfo=value.tzinfo or UTC)
        case int() if name == "time" and 0 <= value < 10**14:
            return datetime.fromtimestamp(value / 1000, UTC)
        case None | str() | int():
            return value
        case _:
            return str(value)  # no type of an attribute (CloudEvents 1.0, section 3.1): kept as words


def _is_json(content_type: str) -> bool:
    media = content_type.partition(";")[0].strip().lower()
    return media.endswith(("/json", "+json"))


def _read_json(body: bytes | str) -> Any:
    body = body.removeprefix("\ufeff") if isinstance(body, str) else body.removeprefix(b"\xef\xbb\xbf")  # Windows' mark
    if len(body) > MAX_BODY:
        raise InvalidInput(f"body: {len(body)} bytes is too much; allowed: at most {MAX_BODY}")
    try:
        body = body.encode() if isinstance(body, str) else body
        value = from_json(body, allow_inf_nan=False)
        _CHECKED.decode(body.decode())
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            f"body: not JSON ({_one_line(str(error))}); allowed: one CloudEvent as a JSON object"
        ) from None
    return value


def once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Make the object of its names and values; raise ``InvalidInput`` for a name that stands twice.

    Of two the last would win in silence here, and the first elsewhere: a checker before us may have read the other one.
    """
    fields = dict(pairs)
    if len(fields) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        name = next(key for key, count in counts.items() if count > 1)
        raise InvalidInput(f"{_one_line(name)[:_SHOWN] or 'body'}: stands twice; allowed: every name once")
    return fields


def _finite(text: str) -> float:
    if isinf(number := float(text)):
        raise ValueError("a number out of range")
    return number


_CHECKED = json.JSONDecoder(object_pairs_hook=once, parse_float=_finite)  # for what the quicker one lets pass


def _read_data(body: bytes) -> Any:
    """Read data that came apart from its event, no deeper than it can be read again inside one."""
    _read_json(body)
    return _read_json(b'{"data":%b}' % body)["data"]


def _validate(fields: Any) -> Event:
    if not isinstance(fields, dict):
        raise InvalidInput(f"body: {_show(fields)} is not an object; allowed: one CloudEvent as a JSON object")
    fields = {key: value for key, value in fields.items() if value is not None}  # null: the same as absent
    if "data_base64" in fields and "data" not in fields:
        fields = {key: value for key, value in fields.items() if key != "data_base64"} | _decoded(fields["data_base64"])
    try:
        event = _EVENT.validate_python(fields)
    except ValidationError as error:
        raise InvalidInput(*explain(error)) from None
    if not _EARLIEST <= event.time <= _LATEST:
        raise InvalidInput(f"time: {_show(fields['time'])} is not allowed; allowed: a time since the year 2000")
    return event


def _decoded(data: Any) -> dict[str, Any]:
    """Read ``data_base64``, the form that publishers of bytes use."""
    try:
        return {"data": _read_data(base64.b64decode(data, validate=True))}
    except (TypeError, ValueError):
        raise InvalidInput("data_base64: is not base64; allowed: the JSON data as base64") from None


def explain(error: ValidationError) -> list[str]:
    """Say each fault of a pydantic validation in one line: field, value, what is allowed."""
    return [line for _, line in faults(error, _EXPLAINED)]


def faults(error: ValidationError, most: int) -> list[tuple[Place, str]]:
    """Give the first faults of a pydantic validation: where, and the line that ``explain`` has for it."""
    return [(detail["loc"], _problem(detail)) for detail in error.errors(include_url=False)[:most]]


def _problem(detail: ErrorDetails) -> str:
    path = ".".join(str(part) for part in detail["loc"] if part not in (OPENED, UPDATED, ENDED)) or "event"
    context = detail.get("ctx", {})
    if detail["type"] == HIDDEN:
        return f"{path}: is not allowed; allowed: {detail['msg']}"
    match detail["type"]:
        case "missing":
            return f"{path}: is missing; it is required"
        case "union_tag_not_found":
            return f"type: is missing; allowed: {OPENED}, {UPDATED}, {ENDED}"
        case "union_tag_invalid":
            return f"type: {_show(context.get('tag'))} is not allowed; allowed: {OPENED}, {UPDATED}, {ENDED}"
        case "enum" | "literal_error":
            near = nearest(detail["input"], re.findall(r"'([^']*)'", str(context.get("expected"))))
            hint = f"; nearest: {near}" if near else ""
            return f"{path}: {_show(detail['input'])} is not allowed; allowed: {context.get('expected')}{hint}"
        case "value_error":
            return f"{path}: {_show(detail['input'])} is not allowed; allowed: {context.get('error')}"
        case "too_short" | "too_long" | "string_too_short" | "string_too_long":
            return f"{path}: {_show(detail['input'])} is not allowed; allowed: {_length(context, detail['input'])}"
        case "extra_forbidden":
            return f"{path}: is not a known key"
        case _:
            return f"{path}: {_show(detail['input'])} is not allowed; {_one_line(detail['msg'])}"


def _length(context: Mapping[str, Any], value: Any) -> str:
    least, most = context.get("min_length"), context.get("max_length")
    bound = f"at least {least}" if most is None else f"at most {most}"
    return f"{bound} {'characters' if isinstance(value, str) else 'items'}"


def _show(value: Any) -> str:
    try:
        text = _one_line(json.dumps(value, ensure_ascii=False, default=str))
    except (TypeError, ValueError, RecursionError):  # YAML has numbers and keys that JSON has no word for
        return f"a {type(value).__name__} that cannot be shown"
    size = len(value) if isinstance(value, str) else len(text)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({size} characters)"


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)
