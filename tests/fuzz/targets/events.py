"""Events: structured, binary, and what becomes of an alert on every channel."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bridge.core import content
from bridge.core.alert import Alert, Area, Info
from bridge.core.content import Content, Phase
from bridge.core.events import Ended, Event, dump, parse_binary, parse_structured
from bridge.core.target import Target
from bridge.core.target_index import TargetIndex
from bridge.core.targeting import is_meant, place_of, place_of_target, touch
from tests.fuzz.harness import promise, target
from tests.fuzz.mutate import Shape
from tests.fuzz.promises import readable

ENVELOPE: Mapping[str, Any] = {
    "specversion": "1.0",
    "id": "event-1",
    "source": "urn:nld:oin:00000001003214345000:systeem:meldkamer",
    "type": "nl.burgernet.alert.opened",
    "subject": "2026112200042",
    "time": "2026-11-22T10:15:00+01:00",
    "sequence": "7",
    "datacontenttype": "application/json",
}
ALERT: Mapping[str, Any] = {
    "status": "Actual",
    "category": "missing_child_alert",
    "urgency": "Immediate",
    "senderName": "Meldkamer Den Haag",
    "expires": "2026-11-22T14:15:00+01:00",
    "info": [
        {"language": "nl", "headline": "Vermist: jongen (8)", "description": "Rode jas.", "instruction": "Bel 112."},
        {"language": "en", "description": "Red coat & blue hat."},
    ],
    "area": {
        "areaDesc": "Leiden",
        "circle": ["52.180,4.495 2.0"],
        "polygon": ["52.1,4.4 52.2,4.4 52.2,4.5 52.1,4.5 52.1,4.4"],
        "geocode": [{"valueName": "gemeente", "value": "GM0546"}],
    },
    "resource": [{"uri": "https://example.nl/foto.jpg", "mimeType": "image/jpeg", "resourceDesc": "Rode jas"}],
}
OPENED = {**ENVELOPE, "data": ALERT}
ENDED = {
    **ENVELOPE,
    "type": "nl.burgernet.alert.ended",
    "data": {"outcome": "resolved", "info": [{"description": "Terecht."}]},
}
COILED = " ".join(f"{52 + n * 37 % 100 / 100},{4 + n * 61 % 100 / 100}" for n in range(2_000))

SEEDS = [
    json.dumps(OPENED),
    json.dumps(ENDED),
    json.dumps({**ENVELOPE, "data_base64": base64.b64encode(json.dumps(ALERT).encode()).decode()}),
    json.dumps({**OPENED, "data": {**ALERT, "area": {"polygon": [COILED]}}}),
    json.dumps({**OPENED, "type": "nl.burgernet.alert.updated", "time": None}),
    b"[" * 1_000_000,
    b'{"a":' * 100_000,
    b'{"id":' + b"9" * 900_000 + b"}",
    b'{"a":1e' + b"9" * 900_000 + b"}",
    b'"' + b"\\u0000" * 100_000 + b'"',
    json.dumps(OPENED).replace('"id"', '"id": "x", "id"', 1),
    json.dumps(OPENED).encode("utf-16"),
    b"\xef\xbb\xbf" + json.dumps(OPENED).encode(),
]


def _kept(event: Event) -> None:
    """Check that an event survives a round trip, and that its names are one line each."""
    promise(parse_structured(dump(event)) == event, "an event survives a round trip")
    for name in (event.id, event.source, event.subject):
        promise(name and len(name) <= 255 and not set(name) & set("\r\n\t\0\x1b\x85"), "a name is one line")
    promise(event.time.utcoffset() is not None, "a time has a zone")


@target(shape=Shape.JSON, seeds=SEEDS)
def event(data: bytes) -> None:
    """A structured event."""
    read = readable(lambda: parse_structured(data))
    if read is not None:
        _kept(read)


@target(
    shape=Shape.JSON,
    seeds=[
        json.dumps(
            {
                "headers": {f"cloudEvents{mark}{name}": value for name, value in ENVELOPE.items()} | {"x": 1},
                "content_type": "application/json; charset=utf-8",
                "body": json.dumps(ALERT),
            }
        )
        for mark in ":_"
    ],
)
def binary(data: bytes) -> None:
    """An event whose attributes are headers, with the types that AMQP has and JSON has not."""
    try:
        parts = json.loads(data)
        headers = {str(name): _native(value) for name, value in dict(parts["headers"]).items()}
        content_type, body = str(parts["content_type"]), str(parts["body"]).encode()
    except (ValueError, KeyError, TypeError, RecursionError):
        return
    read = readable(lambda: parse_binary(headers, content_type, body))
    if read is not None:
        _kept(read)


def _native(value: Any) -> Any:
    match value:
        case str() if value.startswith("\x00"):
            return bytearray(value.encode("utf-8", "replace"))
        case float() if abs(value) < 1e9:
            return datetime.fromtimestamp(value)  # noqa: DTZ006 - the library gives both kinds
        case _:
            return value


@target(
    shape=Shape.JSON,
    seeds=[
        json.dumps(ALERT["area"]),
        json.dumps({"polygon": [COILED]}),
        json.dumps({"circle": ["90,180 20040", "-90,-180 0"]}),
    ],
    most=60_000,
)
def area(data: bytes) -> None:
    """An area against a board, a municipality and a coil of a polygon."""
    try:
        fields = json.loads(data)
        read = Area.model_validate(fields)
    except (ValueError, RecursionError):
        return
    place = place_of(read)
    alert = Alert.model_validate(ALERT)
    said = {one.id for one in _TARGETS if is_meant(alert, place, one, place_of_target(one))}
    promise(_INDEX.meant(alert.model_copy(update={"area": read})) == said, "the index says what each target says")
    touches = all(touch(shape, shape) for shape in place.shapes)
    promise(touches or len(place.shapes) > 1, "a shape touches itself")


_BOARD: Mapping[str, Any] = {
    "id": "b",
    "channel": "sign",
    "adapter": "http_sign",
    "address": "http://x/",
    "owner": {"kind": "police"},
}
_TARGETS = [
    Target.model_validate({**_BOARD, "id": f"b{number}", **place})
    for number, place in enumerate(
        (
            {"location": {"lat": 52.17, "lon": 4.46}},
            {"coverage": {"polygon": ["52,4 53,4 53,5 52,5"]}},
            {"coverage": {"polygon": [COILED], "circle": ["0,0 1"]}},
            {},
        )
    )
]
_INDEX = TargetIndex(_TARGETS)


def contents(read: Event) -> list[Content]:
    """Give what an event would say on each channel that has words."""
    from tests.fuzz.targets.texts import TEMPLATES  # noqa: PLC0415 - compiled when first needed

    alert = read.data if isinstance(read.data, Alert) else Alert.model_validate(ALERT)
    made = []
    for info in alert.info[:2]:
        words = _words(read, alert, info)
        made += [content.message(channel, words, TEMPLATES, 1) for channel in ("email", "facebook", "outbox")]
    for one in made:
        promise(content.load(content.dump(one)) == one, "a content survives a round trip")
        promise("\n" not in one.subject and "\r" not in one.subject, "a subject is one line")
        promise(one.text.strip(), "a message says something")
    return made


def _words(read: Event, alert: Alert, info: Info) -> content.Words:
    if isinstance(read, Ended):
        return content.ending_words(read.subject, alert, read.data, info.language)
    return content.words_of(read.subject, Phase.OPENED, alert, info, photo=alert.photo is not None)


@target(shape=Shape.JSON, seeds=SEEDS[:3])
def alert(data: bytes) -> None:
    """An event, up to the messages that every channel would send."""
    read = readable(lambda: parse_structured(data))
    if read is None:
        return
    for one, channel in zip(contents(read), ("email", "facebook", "outbox") * 2, strict=False):
        if channel == "outbox":
            promise(one.text.endswith(tuple(content.R8_LINES.values())), "an admin is told to call 112 (R8)")
