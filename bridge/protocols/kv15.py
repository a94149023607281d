"""KV15, free text on stop displays (BISON koppelvlak 15): what is sent, and what comes back. Pure.

A message is named by its owner, a date and a number of that day; it is never changed, only deleted and followed by
another. Everything to be done stands in one dossier.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from lxml import etree

from bridge.core.dutch_time import AMSTERDAM

NAMESPACE = "http://bison.connekt.nl/tmi8/kv15/msg"
DOSSIER = "KV15messages"
MOST_CHARACTERS = 255  # of messagecontent
MOST_NUMBER = 9_999  # of messagecodenumber: messages of one owner on one day
PRIORITIES = ("CALAMITY", "PTPROCESS", "COMMERCIAL", "MISC")
KINDS = ("GENERAL", "ADDITIONAL", "OVERRULE", "BOTTOMLINE")
OWNER = re.compile(r"[A-Za-z0-9_-]{1,10}")
STOP = re.compile(r"[A-Za-z0-9_.-]{1,10}")
# What XML 1.0 cannot carry, however it is written (section 2.2, Char).
_UNSAYABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CODE = re.compile(r"[A-Z]{2,3}")


class Key(NamedTuple):
    """The name of a message: whose it is, the day (ISO 8601) and its number on that day."""

    owner: str
    date: str
    number: int

    def __str__(self) -> str:
        return f"{self.owner} {self.date} {self.number}"


@dataclass(frozen=True, slots=True)
class StopMessage:
    """A text for some stops, from one moment to another."""

    key: Key
    stops: Sequence[str]
    content: str
    starts: datetime
    ends: datetime
    priority: str = "CALAMITY"
    kind: str = "GENERAL"


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who sends a dossier, in which version, and when."""

    subscriber: str
    version: str
    at: datetime


def unsayable(text: str) -> str:
    """Give the characters that XML cannot carry, each once, in their order."""
    return "".join(dict.fromkeys(_UNSAYABLE.findall(text)))


def write_push(envelope: Envelope, deletions: Iterable[Key], messages: Iterable[StopMessage]) -> bytes:
    """Write a dossier: first what goes, then what comes."""
    root = _under(None, "VV_TM_PUSH")
    _tell(root, SubscriberID=envelope.subscriber, Version=envelope.version, DossierName=DOSSIER)
    _tell(root, Timestamp=iso(envelope.at))
    dossier = _under(root, DOSSIER)
    for key in deletions:
        _name(_under(dossier, "DELETEMESSAGE"), key)
    for message in messages:
        _write(_under(dossier, "STOPMESSAGE"), message, envelope.at)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _write(element: Any, message: StopMessage, at: datetime) -> None:
    _name(element, message.key)
    stops = _under(element, "userstopcodes")
    for stop in message.stops:
        _tell(stops, userstopcode=stop)
    _tell(element, messagepriority=message.priority, messagetype=message.kind, messagedurationtype="ENDTIME")
    _tell(element, messagestarttime=iso(message.starts), messageendtime=iso(message.ends))
    _tell(element, messagecontent=message.content, messagetimestamp=iso(at))


def _name(element: Any, key: Key) -> None:
    _tell(element, dataownercode=key.owner, messagecodedate=key.date, messagecodenumber=str(key.number))


def _tell(parent: Any, **words: str) -> None:
    for name, text in words.items():
        _under(parent, name).text = text


def _under(parent: Any, name: str) -> Any:
    tag = f"{{{NAMESPACE}}}{name}"
    return etree.Element(tag, nsmap={"tmi8": NAMESPACE}) if parent is None else etree.SubElement(parent, tag)


def write_answer(code: str, envelope: Envelope, why: str = "", namespace: str = NAMESPACE) -> bytes:
    """Write what a receiver answers; old ones do so in the namespace of another interface."""
    root = etree.Element(f"{{{namespace}}}VV_TM_RES", nsmap={"tmi8": namespace})
    words = {
        "SubscriberID": envelope.subscriber,
        "Version": envelope.version,
        "DossierName": DOSSIER,
        "Timestamp": iso(envelope.at),
        "ResponseCode": code,
        "ResponseError": why,
    }
    for name, text in words.items():
        if text:
            etree.SubElement(root, f"{{{namespace}}}{name}").text = text
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def read_answer(body: bytes) -> str | None:
    """Give the ResponseCode of an answer, in whatever namespace; ``None`` when it is no such answer."""
    root = read_xml(body)
    if root is None or etree.QName(root).localname != "VV_TM_RES":
        return None
    for element in root:
        if isinstance(element.tag, str) and etree.QName(element).localname == "ResponseCode":
            code = (element.text or "").strip()
            return code if _CODE.fullmatch(code) else None
    return None


def read_xml(body: bytes) -> Any:
    """Give the root of a document; ``None`` for what is not XML, or brings definitions of its own (a DTD)."""
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
    return None if root.getroottree().docinfo.internalDTD is not None else root


def iso(moment: datetime) -> str:
    """Write a moment as KV15 wants it: whole seconds, Dutch time, with its zone."""
    return moment.astimezone(AMSTERDAM).isoformat(timespec="seconds")
