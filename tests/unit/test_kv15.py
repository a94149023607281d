"""KV15 dossiers as they are written, answers and dossiers as they are read, and what a strict receiver refuses."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from bridge.protocols.kv15 import (
    NAMESPACE,
    Envelope,
    Key,
    StopMessage,
    read_answer,
    unsayable,
    write_answer,
    write_push,
)
from bridge.simulators.kv15_body import Refused, Shown, read_dossier

NOW = datetime(2026, 7, 1, 10, 15, 30, 999_999, tzinfo=UTC)  # in summer time
ENVELOPE = Envelope("Burgernet", "BISON 8.3.0.0", NOW)
KEY = Key("HTM", "2026-07-01", 17)


def message(content: str = "Kind vermist", number: int = 17) -> StopMessage:
    """Give a message for two stops."""
    return StopMessage(KEY._replace(number=number), ("1234", "1235"), content, NOW, NOW + timedelta(minutes=15))


def test_a_dossier_is_written_as_the_interface_has_it() -> None:
    """Elements, their order, the times with their zone: byte for byte."""
    old = KEY._replace(number=16)
    assert write_push(ENVELOPE, [old], [message("Bel 112 & <kijk> uit € 🚨\r\nDank")]).decode() == (
        "<?xml version='1.0' encoding='UTF-8'?>\n"
        f'<tmi8:VV_TM_PUSH xmlns:tmi8="{NAMESPACE}">'
        "<tmi8:SubscriberID>Burgernet</tmi8:SubscriberID><tmi8:Version>BISON 8.3.0.0</tmi8:Version>"
        "<tmi8:DossierName>KV15messages</tmi8:DossierName><tmi8:Timestamp>2026-07-01T12:15:30+02:00</tmi8:Timestamp>"
        "<tmi8:KV15messages><tmi8:DELETEMESSAGE><tmi8:dataownercode>HTM</tmi8:dataownercode>"
        "<tmi8:messagecodedate>2026-07-01</tmi8:messagecodedate><tmi8:messagecodenumber>16</tmi8:messagecodenumber>"
        "</tmi8:DELETEMESSAGE><tmi8:STOPMESSAGE><tmi8:dataownercode>HTM</tmi8:dataownercode>"
        "<tmi8:messagecodedate>2026-07-01</tmi8:messagecodedate><tmi8:messagecodenumber>17</tmi8:messagecodenumber>"
        "<tmi8:userstopcodes><tmi8:userstopcode>1234</tmi8:userstopcode><tmi8:userstopcode>1235</tmi8:userstopcode>"
        "</tmi8:userstopcodes><tmi8:messagepriority>CALAMITY</tmi8:messagepriority>"
        "<tmi8:messagetype>GENERAL</tmi8:messagetype><tmi8:messagedurationtype>ENDTIME</tmi8:messagedurationtype>"
        "<tmi8:messagestarttime>2026-07-01T12:15:30+02:00</tmi8:messagestarttime>"
        "<tmi8:messageendtime>2026-07-01T12:30:30+02:00</tmi8:messageendtime>"
        "<tmi8:messagecontent>Bel 112 &amp; &lt;kijk&gt; uit € 🚨&#13;\nDank</tmi8:messagecontent>"
        "<tmi8:messagetimestamp>2026-07-01T12:15:30+02:00</tmi8:messagetimestamp></tmi8:STOPMESSAGE>"
        "</tmi8:KV15messages></tmi8:VV_TM_PUSH>"
    )


def test_a_receiver_reads_what_was_written() -> None:
    """Every character arrives, white space and markup included."""
    text = " Bel 112 & <kijk> ]]> \"uit\" 'nu'\r\n\t€ 🚨 مفقود "
    [gone, (key, shown)] = read_dossier(write_push(ENVELOPE, [KEY], [message(text, 18)]))
    assert gone == (KEY, None)
    ends = (NOW + timedelta(minutes=15)).replace(microsecond=0)
    assert (key, shown) == (KEY._replace(number=18), Shown(("1234", "1235"), text, "GENERAL", ends))


def test_what_xml_cannot_carry_is_named() -> None:
    """Each such character once, in its order; all others pass."""
    assert unsayable("a\x04b\x00\x04\x1b\ufffe\ud800\uffff") == "\x04\x00\x1b\ufffe\ud800\uffff"
    assert unsayable("\t\n\r €\x7f\x85\u2028\ufffd🚨") == ""


@pytest.mark.parametrize("namespace", [NAMESPACE, "http://bison.connekt.nl/tmi8/kv6/msg", "x"])
def test_an_answer_is_read_in_any_namespace(namespace: str) -> None:
    """The local name counts."""
    assert read_answer(write_answer("NOK", ENVELOPE, "waarom", namespace)) == "NOK"
    assert read_answer(b"<VV_TM_RES><!-- x --><?y?><ResponseCode> OK\n</ResponseCode></VV_TM_RES>") == "OK"


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"OK",
        b"<html><ResponseCode>OK</ResponseCode></html>",
        b"<VV_TM_RES/>",
        b"<VV_TM_RES><ResponseCode/></VV_TM_RES>",
        b"<VV_TM_RES><ResponseCode>oke</ResponseCode></VV_TM_RES>",
        b"<VV_TM_RES><ResponseCode>OKOK</ResponseCode></VV_TM_RES>",
        b"<VV_TM_RES><x><ResponseCode>OK</ResponseCode></x></VV_TM_RES>",
        b"<VV_TM_RES><ResponseCode>OK</ResponseCode>",
        BOMB + b"<VV_TM_RES><ResponseCode>OK</ResponseCode></VV_TM_RES>",
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><VV_TM_RES><ResponseCode>OK</ResponseCode></VV_TM_RES>',
        b"<a>" * 100_000,
        b"\xff\xfe\x00",
        b"<?xml version='1.0' encoding='nonsense'?><VV_TM_RES/>",
        b"<VV_TM_RES><ResponseCode>\x00OK</ResponseCode></VV_TM_RES>",
    ],
)
def test_what_is_no_answer_has_no_code(answer: bytes) -> None:
    """Broken, hostile or of another kind: no code, and no crash."""
    assert read_answer(answer) is None


def test_bent_answers_never_crash() -> None:
    """Ten thousand answers with some bytes changed have the code that they had, another, or none."""
    dice, whole = random.Random(15), write_answer("OK", ENVELOPE)
    for _ in range(10_000):
        bent = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            bent[dice.randrange(len(bent))] = dice.randrange(256)
        code = read_answer(bytes(bent))
        assert code is None or (code.isascii() and 2 <= len(code) <= 3)


def without(part: str) -> Callable[[str], str]:
    """Leave out a part of a dossier."""
    return lambda dossier: dossier.replace(part, "", 1)


def instead(part: str, other: str) -> Callable[[str], str]:
    """Put another in its place."""
    return lambda dossier: dossier.replace(part, other, 1)


@pytest.mark.parametrize(
    ("bend", "code"),
    [
        (lambda _: "nonsense", "SE"),
        (lambda dossier: BOMB.decode() + dossier.partition("\n")[2], "SE"),
        (instead("kv15/msg", "kv6/msg"), "PE"),
        (lambda dossier: dossier.replace("VV_TM_PUSH", "VV_TM_RES"), "PE"),
        (instead("BISON 8.3.0.0", "8.3"), "NA"),
        (instead("<tmi8:DossierName>KV15messages", "<tmi8:DossierName>KV17cvlinfo"), "NA"),
        (without("<tmi8:Version>BISON 8.3.0.0</tmi8:Version>"), "SE"),
        (without("<tmi8:messagetype>GENERAL</tmi8:messagetype>"), "SE"),
        (instead("GENERAL", "SHOUT"), "SE"),
        (instead("CALAMITY", "URGENT"), "SE"),
        (instead("ENDTIME", "FOREVER"), "SE"),
        (instead("12:30:30+02:00", "12:30:30"), "SE"),
        (instead("12:30:30+02:00", "12:15:30+02:00"), "SE"),
        (instead(">17<", ">0<"), "SE"),
        (instead(">17<", ">10000<"), "SE"),
        (instead("codedate>2026-07-01", "codedate>20260701"), "SE"),
        (instead(">HTM<", "> <"), "SE"),
        (instead(">1235<", ">1234<"), "SE"),
        (instead(">1235<", "><"), "SE"),
        (instead("Kind vermist", ""), "SE"),
        (instead("Kind vermist", "<b>Kind</b>"), "SE"),
        (instead("Kind vermist", "x" * 256), "SE"),
        (lambda dossier: dossier.replace("STOPMESSAGE", "BUSMESSAGE"), "SE"),
        (lambda dossier: dossier.replace("tmi8:userstopcode>", "tmi8:stop>"), "SE"),
    ],
)
def test_a_strict_receiver_refuses_what_is_not_so(bend: Callable[[str], str], code: str) -> None:
    """Every part of a dossier is looked at: left out, misspelt or of another kind it is refused with the right code."""
    dossier = write_push(ENVELOPE, [], [message()]).decode()
    assert read_dossier(dossier.encode())
    bent = bend(dossier)
    assert bent != dossier
    with pytest.raises(Refused) as refused:
        read_dossier(bent.encode())
    assert refused.value.code == code


def test_an_empty_dossier_is_incomplete() -> None:
    """A dossier without messages, and a message without stops, are answered with IC."""
    for dossier in (
        write_push(ENVELOPE, [], []),
        write_push(ENVELOPE, [], [StopMessage(KEY, (), "x", NOW, NOW + timedelta(minutes=1))]),
    ):
        with pytest.raises(Refused) as refused:
            read_dossier(dossier)
        assert refused.value.code == "IC"
