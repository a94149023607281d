"""The signs of the benchmark speak the SNMP that everybody speaks, and its programs say when all or none are there."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from pyasn1.codec.ber import decoder, encoder
from pysnmp.proto.api import v2c

from benchmarks.ntcip import answer, number
from benchmarks.tally import Tally
from bridge.protocols import ntcip_names as names
from bridge.protocols.ntcip_multi import CHANGEABLE, MessageName, activation, checksum
from bridge.simulators.ntcip_sign import SignState

STATUS, MULTI = (names.column(column, CHANGEABLE, 1) for column in (names.STATUS, names.MULTI))


def ask(sign: SignState, pdu: Any, values: dict[str, Any]) -> tuple[int, list[Any], bool]:
    """Have pysnmp write a request and read the answer: its error, its values, and whether it was an order to show."""
    v2c.apiPDU.set_defaults(pdu)
    v2c.apiPDU.set_varbinds(pdu, list(values.items()))
    message = v2c.Message()
    v2c.apiMessage.set_defaults(message)
    v2c.apiMessage.set_community(message, "public")
    v2c.apiMessage.set_pdu(message, pdu)
    reply, ordered = answer(sign, encoder.encode(message))
    read = v2c.apiMessage.get_pdu(decoder.decode(reply, asn1Spec=v2c.Message())[0])
    assert v2c.apiPDU.get_request_id(read) == v2c.apiPDU.get_request_id(pdu)
    found = v2c.apiPDU.get_varbinds(read)
    assert [str(name) for name, _ in found] == list(values)
    return int(v2c.apiPDU.get_error_status(read)), [value for _, value in found], ordered


def test_a_sign_takes_the_whole_handshake() -> None:
    """Written, checked and shown by requests that pysnmp wrote, its text is the one that was sent."""
    sign, text = SignState(time.monotonic), b"VERMIST[nl]" + b"A" * 16
    order = activation(MessageName(CHANGEABLE, 1, checksum(text)), 15, 120)
    for values, ordered in (
        ({STATUS: v2c.Integer(names.MODIFY)}, False),
        ({MULTI: v2c.OctetString(text)}, False),
        ({STATUS: v2c.Integer(names.VALIDATE)}, False),
        ({names.ACTIVATE: v2c.OctetString(order)}, True),
    ):
        assert ask(sign, v2c.SetRequestPDU(), values)[::2] == (0, ordered)
    assert sign.text == f"VERMIST {'A' * 16}"


def test_a_sign_answers_many_questions_at_once() -> None:
    """Numbers, octets, long answers and what it does not have are read by pysnmp as what they are."""
    sign = SignState(time.monotonic)
    asked = [names.SIGN_WIDTH, names.SOURCE, *(f"{names.GLYPH_WIDTH}.1.{code}" for code in range(31, 70))]
    error, found, _ = ask(sign, v2c.GetRequestPDU(), dict.fromkeys(asked, v2c.Null("")))
    assert error == 0
    assert int(found[0]) == 128
    assert bytes(found[1]) == b"\x07\x00\x01\x00\x00"
    assert found[2].isSameTypeWith(v2c.NoSuchInstance(""))
    assert all(int(width) > 0 for width in found[3:])


def test_a_refusal_is_one() -> None:
    """What may not be set is refused with SNMP's own number."""
    assert ask(SignState(time.monotonic), v2c.SetRequestPDU(), {names.SIGN_WIDTH: v2c.Integer(1)})[0] == 17


@pytest.mark.parametrize("value", [0, 1, 127, 128, 255, 256, -1, -128, -129, 2**31 - 1])
def test_numbers_are_read_as_they_were_written(value: int) -> None:
    """An INTEGER keeps its size and its sign."""
    assert decoder.decode(number(value))[0] == value


def test_a_tally_speaks_when_all_or_none_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    """Each is counted once; the moment is that of the last."""
    tally = Tally(2)
    for which, there, at in ((0, True, 1), (0, True, 2), (1, True, 3), (1, False, 4), (0, False, 5)):
        tally.note("lit", which, there=there, at=at)
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert said == [{"what": "lit", "count": 2, "at": 3}, {"what": "lit", "count": 0, "at": 5}]
