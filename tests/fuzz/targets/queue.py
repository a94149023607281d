"""What comes over the queue: properties and headers of a message as bytes, and copies for the dead letters."""

from __future__ import annotations

import json

import aiormq
from pamqp import commands, frame, header
from pamqp.exceptions import PAMQPException

from bridge.core.trace import PARENT, STATE, read_trace
from bridge.intake.amqp import read_event
from bridge.intake.broker import UNDECODABLE, failures, one_line
from bridge.intake.dead_letters import read_letter
from bridge.intake.delivery import Delivery, Tags
from bridge.intake.senders import USER_HEADER, check_sender, copy_for
from bridge.settings import QueueSettings
from tests.fuzz.harness import promise, target
from tests.fuzz.mutate import Shape
from tests.fuzz.promises import readable
from tests.fuzz.targets.events import ALERT, ENVELOPE, OPENED

TABLE = QueueSettings.model_validate({"url": "amqp://bridge:x@mq/", "senders": {"leiden": ["urn:nld:*"]}})


def _odd() -> bytes:
    """Give properties that the library itself would not write, but raise over."""
    odd = commands.Basic.Properties(content_type="application/json")
    odd.delivery_mode, odd.expiration = 26, ""
    return bytes(header.ContentHeader(0, 10, odd).marshal())


def _properties(**fields: object) -> bytes:
    return header.ContentHeader(0, 10, commands.Basic.Properties(**fields)).marshal()  # type: ignore[arg-type]


SEEDS = [
    _odd(),
    _properties(
        content_type="application/cloudevents+json", user_id="leiden", message_id="m", priority=3, expiration="5"
    ),
    _properties(
        content_type="application/json",
        headers={f"cloudEvents:{name}": value for name, value in ENVELOPE.items()} | {"x": {"y": [1, None, "é", True]}},
    ),
    _properties(
        headers={"x-death": [{"reason": "delivery_limit", "count": 3}], "x-delivery-count": 2, USER_HEADER: "x"},
        user_id="bridge",
    ),
]


@target(
    shape=Shape.JSON,
    seeds=[
        json.dumps({PARENT: f"00-{'ab' * 16}-{'cd' * 8}-01", STATE: "rojo=00f067aa0ba902b7, congo@x=t61rcWkgMzE"}),
        json.dumps({PARENT: f"cc-{'ab' * 16}-{'cd' * 8}-ff-later", STATE: ",".join(f"k{n}=v" for n in range(40))}),
    ],
    most=4_000,
)
def trace(data: bytes) -> None:
    """Where a publisher says that its event belongs: a trace by the rules that can be passed on, or none."""
    try:
        headers = dict(json.loads(data))
    except (ValueError, TypeError, RecursionError):
        return
    found = read_trace(headers)
    if found is not None:
        promise(read_trace(found.headers) == found, "a trace survives a round trip")
        promise(all(word.isascii() and word.isprintable() for word in found.headers.values()), "it fits a header")
        promise(len(found.parent) == 55 and len(found.state) <= 512, "it is no longer than all must carry")


@target(shape=Shape.BYTES, seeds=SEEDS, most=4_000)
def queue(data: bytes) -> None:
    """Properties as bytes: what the library can read at all can be judged, copied and shown; nothing forged gets through."""
    try:
        _, _, properties = frame.unmarshal(b"\x02\0\1" + len(data).to_bytes(4, "big") + data + b"\xce")
    except (*UNDECODABLE, PAMQPException):  # the library makes an InvalidFrameError of the last
        return
    if not isinstance(properties, header.ContentHeader):
        return
    for body in (json.dumps(OPENED).encode(), json.dumps(ALERT).encode(), b"\xff"):
        delivered = aiormq.abc.DeliveredMessage(commands.Basic.Deliver("c", 1, False, "", ""), properties, body, None)  # type: ignore[arg-type]
        message = Delivery(delivered, Tags(None))  # type: ignore[arg-type]
        readable(lambda message=message: check_sender(message, read_event(message).source, TABLE))  # type: ignore[misc]
        copy = copy_for(message, TABLE, without=lambda name: name == "x", extra={"x-bridge-error": one_line(str(data))})
        written = header.ContentHeader(0, len(body), copy.properties).marshal()
        promise(written, "a copy can be sent")
        promise(copy.user_id == "bridge", "a copy is ours")
        heard = copy.headers[USER_HEADER]
        promise(heard in ("", message.user_id) or message.user_id == "bridge", "nobody says who spoke but the broker")
        promise(failures(message.headers) >= 0, "failures are counted")
        letter = read_letter(1, message)
        promise(json.dumps(letter.details()), "a letter can be shown")
        promise(
            all(value.isprintable() for value in (letter.error, letter.id, letter.subject, letter.type)),
            "a list is readable",
        )
