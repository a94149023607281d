"""What signs answer, and what hostile texts become on their way to one: MULTI, SNMP names, KV15, KV8, alpha, MQTT."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress
from datetime import UTC, datetime
from unittest.mock import patch

from pysnmp.hlapi.v3arch.asyncio import UsmUserData

from bridge.adapters import alpha_sign
from bridge.adapters.alpha_sign import AlphaSign, AlphaSignConfig
from bridge.adapters.kv15 import verdict
from bridge.adapters.mqtt_sign import maker, read_ack
from bridge.adapters.ntcip_snmp import credentials
from bridge.adapters.registry import Resources
from bridge.core.content import Content, Phase
from bridge.core.errors import AdapterError
from bridge.core.layout import DoesNotFit
from bridge.core.posting import Observation, Posting, Receipt
from bridge.core.target import Target
from bridge.protocols import kv8, kv15, ntcip_before, ntcip_multi
from bridge.simulators.alpha import Frames
from bridge.simulators.kv15_body import Refused, read_dossier
from bridge.web.displays import read_acknowledgement
from tests.fuzz.harness import promise, target
from tests.fuzz.mutate import Shape
from tests.fuzz.promises import readable, said

LOOP = asyncio.new_event_loop()
NOW = datetime(2026, 11, 22, 9, 15, tzinfo=UTC)
LATER = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
TEXT = "Leiden: jongen (8) vermist. Rode jas."


def _content(text: str) -> Content:
    return Content("zaak", 1, Phase.OPENED, "nl", "Vermist", text, pages=((text,),))


# --- NTCIP 1203

_TAG = re.compile(r"\[(nl|np|pt[0-9]{1,3}o0)\]")


def _shown(multi: str) -> list[str]:
    """Read a text as a strict sign does: its lines; ``ValueError`` for a bracket or a tag that is not ours."""
    lines = [""]
    while multi:
        if multi[:2] in ("[[", "]]"):
            lines[-1] += multi[0]
            multi = multi[2:]
        elif found := _TAG.match(multi):
            lines += [""] * (found[1] in ("nl", "np"))
            multi = multi[found.end() :]
        elif multi[0] in "[]":
            raise ValueError(multi[:10])
        else:
            lines[-1] += multi[0]
            multi = multi[1:]
    return lines


@target(
    shape=Shape.TEXT,
    seeds=[
        TEXT,
        "[pt50o0]VERMIST[nl]JONGEN (8)[np]BEL 0800",
        "[fo2][jl3][cb9][f1,5]x[[y]]",
        "[" * 1_000,
        "]]][[[nl][/fl][mvtdlw100,1,10,x]",
        b"\x04\x00\xff[nl\n]",
    ],
    most=1_500,  # as many as the longest message of a sign
)
def multi(data: bytes) -> None:
    """MULTI that stands on a sign is read leniently; in MULTI that is written no text is ever a tag."""
    seen = ntcip_multi.visible(data)
    promise("  " not in seen and (not seen or seen.isprintable()), "what is seen is told in one line that can be read")
    text = data.decode("latin-1")
    lines = text.split("\n")
    half = len(lines) // 2
    pages = [lines[:half], lines[half:]] if half else [lines]
    written = ntcip_multi.compose(pages, [2.0] * len(pages)).decode("latin-1")
    promise(_shown(written) == lines, "every bracket of a text is a bracket on the sign")
    promise(0 <= ntcip_multi.checksum(data) <= 0xFFFF, "a checksum is two octets")


@target(
    shape=Shape.BYTES,
    seeds=[
        ntcip_multi.DARK.octets,
        ntcip_multi.activation(ntcip_multi.MessageName(3, 1, 0xABCD), 15, 240),
        b"Burgernet 0f94 before 03000aabcd until 29399999 set 0700010000 0700010000 - - 0500010000 65535.",
        b"v3:user:SHA:password1:AES:password2",
        b"v3:user:MD5:short",
        b"v3::::",
        b"public",
    ],
    most=200,
)
def snmp(data: bytes) -> None:
    """Names of messages and activation codes go there and back; a secret that is no login is never repeated."""
    with suppress(ValueError):
        promise(ntcip_multi.MessageName.read(data).octets == data, "a message's name goes there and back")
    for kept in (ntcip_before.Before.read(data.decode("latin-1")), (ntcip_before.read_owner(data) or (0, None))[1]):
        if kept is not None:
            promise(ntcip_before.Before.read(str(kept)) == kept, "what a sign kept for us is kept on")
            promise(0 <= kept.minutes(0) <= ntcip_multi.FOREVER, "a time that is left can be written")
    with suppress(ValueError):
        name, minutes, priority = ntcip_multi.read_activation(data)
        again = ntcip_multi.activation(name, minutes, priority)
        promise(again[:8] == data[:8], "an activation code goes there and back")
    secret = data.decode("utf-8", "replace")
    who = readable(lambda: credentials(secret))
    if secret.startswith("v3:") and who is not None:
        promise(isinstance(who, UsmUserData), "who asks for version 3 gets it")


# --- KV15 and KV8

_ENVELOPE = kv15.Envelope("leiden", "BISON 8.1.1.0", NOW)
_KEY = kv15.Key("ABC", "2026-11-22", 7)


def _push(text: str) -> bytes:
    message = kv15.StopMessage(_KEY, ["12345678", "31000001"], text, NOW, LATER)
    return kv15.write_push(_ENVELOPE, [kv15.Key("ABC", "2026-11-22", 6)], [message])


@target(
    shape=Shape.TEXT,
    seeds=[
        kv15.write_answer("OK", _ENVELOPE),
        kv15.write_answer("NOK", _ENVELOPE, "x", namespace="http://bison.connekt.nl/tmi8/kv6/msg"),
        _push(TEXT),
        b'<!DOCTYPE x [<!ENTITY a "b"><!ENTITY c "&a;&a;">]><x>&c;</x>',
        b"<VV_TM_RES><ResponseCode>OK</ResponseCode></VV_TM_RES>",
        "<a>]]>&amp;&#10;</a>",
    ],
)
def stop_message(data: bytes) -> None:
    """Whatever a receiver answers is one of four things; a dossier is taken or refused; a text in XML is a text."""
    for status in (200, 500):
        if error := verdict(status, data):
            said(error)
    with suppress(Refused):
        for key, _ in read_dossier(data):
            promise(kv15.OWNER.fullmatch(key.owner), "an owner is a code")
    text = data.decode("utf-8", "replace")
    if kv15.unsayable(text):
        return
    # XML 1.0, 2.11: a reader takes every end of a line for "\n" unless it is written as a reference, as it is here.
    text = " ".join(text.split())[: kv15.MOST_CHARACTERS]
    if text:
        [_, (key, shown)] = read_dossier(_push(text))
        promise(key == _KEY and shown and shown.content == text, "a text goes there and back, and is no element")


@target(
    shape=Shape.BYTES,
    seeds=[
        b"\n".join(kv8.write_frames([kv8.Told(_KEY, "ALGEMEEN:31000001", TEXT, LATER)], NOW)),
        b"\n".join(kv8.write_frames([kv8.Told(_KEY, "ALGEMEEN:31000001", None)], NOW)),
        b"t\n\\GKV8|x\r\n\\TGENERALMESSAGEUPDATE|x\r\n\\LDataOwnerCode|MessageCodeDate|MessageCodeNumber\r\nABC|2026-11-22|7",
        b"t\n\\TGENERALMESSAGEDELETE\r\n\\LOriginalDataOwnerCode|MessageCodeDate|MessageCodeNumber\r\n\\0|\\0|\\0",
        b"t\n\x1f\x8b\x08\x00",
    ],
)
def feed(data: bytes) -> None:
    """A message of the KV8 feed tells of messages with names, or nothing; a text goes there and back."""
    topic, _, body = data.partition(b"\n")
    for told in kv8.read_frames([topic, body]):
        promise(kv15.OWNER.fullmatch(told.key.owner), "an owner is a code")
        promise(1 <= told.key.number <= kv15.MOST_NUMBER, "a number is one of that day's")
    text = body.decode("utf-8", "replace")[:1_000]
    [again] = kv8.read_frames(kv8.write_frames([kv8.Told(_KEY, "ALGEMEEN:1", text, LATER)], NOW))
    promise(again.content == ("" if text == r"\0" else text), "a text is no row, no column and no table")
    promise(again.ends == LATER, "its end goes there and back")


# --- alpha


class _Wire:
    """A connection on which the sign has answered already; keeps what was written."""

    def __init__(self, answer: bytes) -> None:
        self.reader = asyncio.StreamReader(loop=LOOP)
        self.reader.feed_data(answer)
        self.reader.feed_eof()
        self.written = b""
        self.transport = self

    def write(self, data: bytes) -> None:
        """Keep what is sent."""
        self.written += data

    async def drain(self) -> None:
        """It is sent."""

    def abort(self) -> None:
        """Hang up."""


_ALPHA = AlphaSign(AlphaSignConfig(pause=0), Resources(None, None))  # type: ignore[arg-type]
_SIGN = Posting(
    "p1",
    "zaak",
    Target.model_validate(
        {
            "id": "b",
            "channel": "sign",
            "adapter": "alpha_sign",
            "address": "192.0.2.1:3001",
            "owner": {"kind": "police"},
        }
        | {"sign": {"columns": 16}}
    ),
)


def _ask(wire: _Wire, step: object) -> object:
    async def open_connection(*_: object) -> tuple[asyncio.StreamReader, _Wire]:
        return wire.reader, wire

    with patch.object(alpha_sign.asyncio, "open_connection", open_connection):
        try:
            return LOOP.run_until_complete(step)  # type: ignore[arg-type]
        except AdapterError as error:
            said(error)
            return error


def _file(text: bytes) -> bytes:
    body = b"\x02A0" + text + b"\x03"
    return bytes(20) + b"\x01000" + body + b"%04X" % (sum(body) & 0xFFFF) + b"\x04"


@target(
    shape=Shape.BYTES,
    seeds=[
        _file(b"\x1b\x20bVERMIST: JONGEN (8)\x0cRODE JAS"),
        _file(b""),
        _file(b"\x1b\x20b\x1c1\x05"),
        _file(b"x")[:-3],
        b"\x04" * 200,
        b"\x00" * 70_000,
    ],
)
def alpha_answer(data: bytes) -> None:
    """Whatever a sign answers to a read-back is a text, nothing, or one of the three errors."""
    seen = _ask(_Wire(data), _ALPHA.observe(Receipt(_SIGN, {"digest": "0"})))
    promise(isinstance(seen, (Observation, AdapterError)), "to look gives what is there, or says why not")
    if isinstance(seen, Observation):
        promise(not seen.present, "what we did not write is not ours to see")
    _ask(_Wire(data), _ALPHA.publish(_SIGN, _content(TEXT)))
    _ask(_Wire(data), _ALPHA.retract(Receipt(_SIGN)))


@target(
    shape=Shape.TEXT,
    seeds=[TEXT, "\x04\x01^00\x02E$", "a\x0cb\x1bc", "\u20ac 5 {~}", "x" * 123, "\x00\x1c1"],
    most=400,
)
def alpha_text(data: bytes) -> None:
    """A text that goes out is one write of the priority file, with just these characters; or it is refused."""
    text = data.decode("utf-8", "replace")
    wire = _Wire(b"")
    _ask(wire, _ALPHA.publish(_SIGN, _content(text)))
    ignored: list[str] = []
    frames = Frames(b"01", ignored.append)
    commands = [command for byte in wire.written if (command := frames.feed(byte)) is not None]
    promise(not ignored, "nothing that is sent is garbled")
    promise(commands in ([], [b"A0\x1b\x20b" + text.encode("utf-8", "replace"), b"B0"]), "a text is never a command")


# --- MQTT and pages

_MAKE = maker(LATER, 4_000)


@target(
    shape=Shape.JSON,
    seeds=[
        '{"id": "0123456789abcdef", "text": "VERMIST", "refused": null, "reason": null}',
        '{"id": null, "refused": "x", "reason": "too long"}',
        '{"screen": "0123456789abcdef", "showing": ["aaaaaaaaaaaaaaaaaaaaaaaaaa.1"]}',
        '{"showing": "aa", "screen": {}}',
        "[" * 50_000,
        '{"id": "\\ud800"}',
    ],
)
def ack(data: bytes) -> None:
    """Acks of displays and of pages are words, or no acks; a text in a state is that text, whatever stands in it."""
    with suppress(ValueError):
        said_it = read_ack(data)
        promise(all(one is None or isinstance(one, str) for one in said_it), "an ack is four words at most")
    text = data.decode("utf-8", "replace")
    with suppress(ValueError):
        screen, keys = read_acknowledgement(text)
        promise(screen.isascii() and all(key.isascii() for key in keys), "a page names itself and what it shows")
    with suppress(DoesNotFit):
        state = _MAKE([_content(text)])
        promise(json.loads(state.payload)["messages"][0]["text"] == text, "a text goes there and back")
        promise(len(state.payload) <= 4_000, "a state has room")
