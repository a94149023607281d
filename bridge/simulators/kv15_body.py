"""What a strict KV15 receiver accepts: a dossier read by the letter of the interface, whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from bridge.core.alert import parse_time
from bridge.protocols.kv15 import DOSSIER, KINDS, MOST_CHARACTERS, NAMESPACE, OWNER, PRIORITIES, STOP, Key, read_xml

_NUMBER = re.compile(r"[1-9][0-9]{0,3}")
_NAME = ("dataownercode", "messagecodedate", "messagecodenumber")
_MESSAGE = (
    *_NAME,
    "userstopcodes",
    "messagepriority",
    "messagetype",
    "messagedurationtype",
    "messagestarttime",
    "messageendtime",
    "messagecontent",
    "messagetimestamp",
)


class Refused(Exception):
    """A dossier that is not taken; ``code``: the ResponseCode of the answer."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


@dataclass(frozen=True, slots=True)
class Shown:
    """A message as the stops have it."""

    stops: tuple[str, ...]
    content: str
    kind: str
    ends: datetime


Order = tuple[Key, Shown | None]
"""What is to be done with a message: show it, or (``None``) delete it."""


def read_dossier(body: bytes) -> list[Order]:
    """Read a VV_TM_PUSH; raise ``Refused``."""
    root = read_xml(body)
    if root is None:
        raise Refused("SE", "not XML, or with a DTD")
    if root.tag != _tag("VV_TM_PUSH"):
        raise Refused("PE", "not a VV_TM_PUSH of KV15")
    _, version, dossier, stamp, messages = _children(
        root, ("SubscriberID", "Version", "DossierName", "Timestamp", DOSSIER)
    )
    if not _text(version).startswith("BISON 8.") or _text(dossier) != DOSSIER:
        raise Refused("NA", "another version or dossier")
    _moment(stamp)
    if not len(messages):
        raise Refused("IC", "an empty dossier")
    return [_order(element) for element in messages]


def _order(element: Any) -> Order:
    if element.tag == _tag("DELETEMESSAGE"):
        return _key(_children(element, _NAME)), None
    if element.tag != _tag("STOPMESSAGE"):
        raise Refused("SE", f"{element.tag} has no place here")
    parts = _children(element, _MESSAGE)
    stops, priority, kind, duration, starts, ends, content, stamp = parts[3:]
    _moment(stamp)
    codes = tuple(_text(stop) for stop in _stops(stops))
    if len(set(codes)) != len(codes) or not all(STOP.fullmatch(code) for code in codes):
        raise Refused("SE", "userstopcodes: each once, of 1 to 10 characters")
    if _text(priority) not in PRIORITIES or _text(kind) not in KINDS or _text(duration) != "ENDTIME":
        raise Refused("SE", "messagepriority, messagetype or messagedurationtype is not one of the interface's")
    if not 1 <= len(_text(content)) <= MOST_CHARACTERS:
        raise Refused("SE", "messagecontent: 1 to 255 characters")
    if _moment(ends) <= _moment(starts):
        raise Refused("SE", "messageendtime is not after messagestarttime")
    return _key(parts), Shown(codes, _text(content), _text(kind), _moment(ends))


def _stops(element: Any) -> Iterator[Any]:
    if not len(element):
        raise Refused("IC", "no userstopcode")
    for stop in element:
        if stop.tag != _tag("userstopcode"):
            raise Refused("SE", f"{stop.tag} has no place here")
        yield stop


def _children(element: Any, names: tuple[str, ...]) -> list[Any]:
    """Give the children, which are these in this order and no others."""
    if [child.tag for child in element] != [_tag(name) for name in names]:
        raise Refused("SE", f"{element.tag}: wanted are {', '.join(names)}, in this order")
    return list(element)


def _key(parts: list[Any]) -> Key:
    owner, day, number = map(_text, parts[:3])
    try:
        is_day = date.fromisoformat(day).isoformat() == day
    except ValueError:
        is_day = False
    if not (OWNER.fullmatch(owner) and is_day and _NUMBER.fullmatch(number)):
        raise Refused("SE", "dataownercode, messagecodedate or messagecodenumber is not as it should be")
    return Key(owner, day, int(number))


def _moment(element: Any) -> datetime:
    try:
        return parse_time(_text(element))
    except ValueError:
        raise Refused("SE", f"{element.tag}: a time with its zone is wanted") from None


def _text(element: Any) -> str:
    if len(element):
        raise Refused("SE", f"{element.tag}: only text is wanted")
    return element.text or ""


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"
