"""The wire contract: what is read, what is refused and with which words, and that nothing is lost on the way."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from bridge.core.alert import MAX_TEXT, Alert, Category
from bridge.core.case import Case, Registers, fold
from bridge.core.errors import InvalidInput
from bridge.core.events import MAX_BODY, Ended, Event, Opened, dump, json_schema, parse_binary, parse_structured
from tests.unit.samples import ALERT, ENVELOPE, NOW, document, event

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def put(fields: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Replace the value at a dotted path; ``...`` takes it out."""
    *parents, last = path.split(".")
    there: Any = fields
    for part in parents:
        there = there[int(part) if part.isdigit() else part]
    if value is ...:
        del there[last]
    else:
        there[int(last) if last.isdigit() else last] = value
    return fields


def refusal(read: Callable[[], Event]) -> tuple[str, ...]:
    """Give the lines with which something is refused; each must be one short line."""
    with pytest.raises(InvalidInput) as caught:
        read()
    for line in caught.value.problems:
        assert line.isprintable()
        assert len(line) < 500
    return caught.value.problems


def attributes(prefix: str = "cloudEvents:", **changes: Any) -> dict[str, Any]:
    """Give the headers of a binary event."""
    given_ = {**ENVELOPE, **changes}
    return {prefix + key: value for key, value in given_.items() if key != "datacontenttype" and value is not ...}


REFUSED: list[tuple[str, Any, str]] = [
    ("specversion", "0.3", "'1.0'"),
    ("id", "", "at least 1"),
    ("id", 5, "string"),
    ("id", "x" * 256, "255"),
    ("id", "a\nb", "one line"),
    ("source", "a\u0000b", "U+0000"),
    ("subject", "x\u0085y", "U+0085"),
    ("time", "2026-11-22T10:15:00", "with a zone"),
    ("time", "2026-11-22", "with a zone"),
    ("time", "22-11-2026 10:15", "with a zone"),
    ("time", "2026-13-22T10:15:00Z", "existing date"),
    ("time", "2026-02-30T10:15:00Z", "existing date"),
    ("time", "2026-11-22T24:00:00Z", "existing date"),
    ("time", "2026-11-22T10:15:00+25:00", "existing date"),
    ("time", "2026-11-22T10:15:00+01:60", "with a zone"),
    ("time", "٢٠٢٦-11-22T10:15:00Z", "like 2026"),
    ("time", "0001-01-01T00:00:00+01:00", "existing date"),
    ("time", "1999-12-31T23:59:59Z", "since the year 2000"),
    ("time", "9999-12-31T23:59:59Z", "since the year 2000"),
    ("time", 1795342500, "with a zone"),
    ("time", True, "with a zone"),
    ("type", "nl.burgernet.alert.cancelled", "nl.burgernet.alert.ended"),
    ("type", 5, "nl.burgernet.alert.opened"),
    ("sequence", "-1", "integer as string"),
    ("sequence", "1.5", "integer as string"),
    ("sequence", "1" * 19, "18 digits"),
    ("sequence", "١", "integer as string"),
    ("sequence", True, "integer as string"),
    ("datacontenttype", 5, "string"),
    ("data", "tekst", "Alert"),
    ("data", [], "Alert"),
    ("data.status", "actual", "'Actual', 'Exercise' or 'Test'"),
    ("data.category", 5, "'amber_alert'"),
    ("data.category", "a\u0007b", "U+0007"),
    ("data.urgency", "now", "'Immediate'"),
    ("data.senderName", 5, "string"),
    ("data.expires", "morgen", "with a zone"),
    ("data.info", [], "at least one text"),
    ("data.info", {"description": "x"}, "tuple"),
    ("data.info.0.language", "nederlands", "pattern"),
    ("data.info.0.description", "", "not empty"),
    ("data.info.0.description", " \n\t ", "not empty"),
    ("data.info.0.description", "a\u0004b", "U+0004"),
    ("data.info.0.description", "a\u009bb", "U+009B"),
    ("data.info.0.description", "x" * (MAX_TEXT + 1), "10000"),
    ("data.info.0.headline", ["x"], "string"),
    ("data.info.0.instruction", "\u001b[2J", "U+001B"),
    ("data.area", "Leiden", "Area"),
    ("data.area.circle.0", "52.180,4.495", "lat,lon radius-in-km"),
    ("data.area.circle.0", "52.180 4.495 2.0", "WGS 84"),
    ("data.area.circle.0", "152.180,4.495 2.0", "WGS 84"),
    ("data.area.circle.0", "52.180,4.495 -2", "lat,lon radius-in-km"),
    ("data.area.circle.0", "52.180,4.495 inf", "lat,lon radius-in-km"),
    ("data.area.circle.0", "52.180,4.495 1_0", "lat,lon radius-in-km"),
    ("data.area.circle.0", "nan,4.495 2.0", "WGS 84"),
    ("data.area.circle.0", 5, "string"),
    ("data.area.polygon", ["52,4 53,5"], "three points"),
    ("data.area.polygon", ["52,4 53,5 54,181"], "WGS 84"),
    ("data.area.geocode.0.value", 546, "string"),
    ("data.resource.0.uri", "https://example.nl/\r\nX: y", "one line"),
    ("data.resource.0.mimeType", None, "string"),
]


@pytest.mark.parametrize(("path", "value", "allowed"), REFUSED)
def test_a_refused_field_gives_one_line_with_field_value_and_what_is_allowed(
    path: str, value: Any, allowed: str
) -> None:
    """An operator reads which field it was, what stood there, and what may stand there; nothing else is complained of."""
    fields = put(document(), path, value)
    [line] = refusal(lambda: parse_structured(json.dumps(fields)))
    assert line.startswith((path, f"{path}.0"))
    assert allowed in line
    shown = json.dumps(value, ensure_ascii=False)[:20].replace("\\u0085", " ")
    assert shown.strip('"[]')[:12] in line or "\\" in shown or not shown.isprintable()


REQUIRED = "specversion id source subject time type data data.category data.info data.info.0.description"


@pytest.mark.parametrize("path", [*REQUIRED.split(), "data.area.geocode.0.valueName", "data.resource.0.uri"])
@pytest.mark.parametrize("value", [..., None])
def test_a_required_field_that_is_missing_or_null_gives_one_line(path: str, value: Any) -> None:
    """What is missing is named; an attribute that is null counts as missing (CloudEvents JSON format, section 2)."""
    [line] = refusal(lambda: parse_structured(json.dumps(put(document(), path, value))))
    assert line.startswith(f"{path}: ")
    if value is ... or "." not in path:
        assert "is missing" in line


@pytest.mark.parametrize("outcome", [..., None, "found", 1])
def test_an_ending_needs_an_outcome_and_nothing_else(outcome: Any) -> None:
    """Without a known outcome there is no ending; with one alone there is."""
    [line] = refusal(lambda: parse_structured(json.dumps(put(document("ended"), "data.outcome", outcome))))
    assert line.startswith("data.outcome: ")
    assert isinstance(parse_structured(json.dumps(document("ended"))), Ended)


def test_every_fault_is_told_at_once() -> None:
    """Three faults give three lines, so that a publisher mends them in one go."""
    fields = put(put(put(document(), "id", 5), "time", "nu"), "data.status", "Echt")
    lines = refusal(lambda: parse_structured(json.dumps(fields)))
    assert [line.partition(":")[0] for line in lines] == ["id", "time", "data.status"]


@pytest.mark.parametrize("name", ["sequence", "datacontenttype", "dataschema", "data_base64"])
def test_an_optional_attribute_that_is_null_counts_as_absent(name: str) -> None:
    """CloudEvents JSON format, section 2: a null value is the same as leaving the attribute out."""
    assert parse_structured(json.dumps({**document(), name: None})) == parse_structured(json.dumps(document()))


def test_an_unknown_category_is_other_and_kept_as_given() -> None:
    """A new word never reaches a board, and the operator still sees it; a known word stays itself."""
    unknown = event("opened", data={**ALERT, "category": "Vermiste Kat 🐈"})
    assert isinstance(unknown, Opened)
    assert (unknown.data.category, unknown.data.categoryAsGiven) == (Category.OTHER, "Vermiste Kat 🐈")
    assert parse_structured(dump(unknown)) == unknown
    for category in Category:
        known = event("opened", data={**ALERT, "category": category.value})
        assert isinstance(known, Opened)
        assert (known.data.category, known.data.categoryAsGiven) == (category, category.value)


@given(
    top=st.dictionaries(st.text().filter(lambda key: key not in {*ENVELOPE, "sequence", "data"}), json_values),
    inner=st.dictionaries(st.text().filter(lambda key: key not in Alert.model_fields), json_values),
    deeper=st.dictionaries(st.text(), json_values).map(lambda more: {**more, "uri": "https://example.nl/x.pdf"}),
)
@settings(max_examples=60, deadline=None)
def test_unknown_fields_are_kept_through_reading_and_writing(
    top: dict[str, Any], inner: dict[str, Any], deeper: dict[str, Any]
) -> None:
    """Whatever a publisher adds is there after a round trip, null and odd names included."""
    deeper = {**deeper, "mimeType": "text/html", "resourceDesc": ""}
    read = parse_structured(json.dumps(document(**{**top, "data": {**ALERT, **inner, "resource": [deeper]}})))
    written = json.loads(dump(read))
    assert parse_structured(dump(read)) == read
    assert {key: written.get(key) for key in top} == top
    assert {key: written["data"][key] for key in inner} == inner
    assert written["data"]["resource"] == [deeper]


@given(st.text().filter(str.strip))
@settings(deadline=None)
def test_any_text_is_taken_as_it_is_or_refused_for_a_control_character(text: str) -> None:
    """No text is changed on its way in: it is kept to the character, or refused with the reason (R3)."""
    body = json.dumps(put(document(), "data.info.0.description", text))
    try:
        read = parse_structured(body)
    except InvalidInput as error:
        assert "control characters" in str(error)  # noqa: PT017 - either way is right, each with its proof
        return
    assert isinstance(read, Opened)
    assert read.data.info[0].description == text
    assert parse_structured(dump(read)) == read


@pytest.mark.parametrize("char", ["x", "é", "€", "🐈", "\n"])
def test_ten_thousand_characters_are_fine_whatever_their_bytes(char: str) -> None:
    """The limit counts characters, not bytes."""
    text = "x" + char * (MAX_TEXT - 1)
    read = parse_structured(json.dumps(put(document(), "data.info.0.description", text)))
    assert isinstance(read, Opened)
    assert read.data.info[0].description == text


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2026-11-22T10:15:00+01:00", NOW),
        ("2026-11-22T09:15:00Z", NOW),
        ("2026-11-22t09:15:00z", NOW),
        ("2026-11-22 09:15:00-00:00", NOW),
        ("2026-11-23T05:00:00+19:45", NOW),
        ("2026-11-22T09:15:00.5Z", NOW + timedelta(seconds=0.5)),
        ("2026-11-22T09:15:00.123456789Z", NOW + timedelta(microseconds=123456)),
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, 999999, UTC)),
        ("2000-01-01T00:00:00Z", datetime(2000, 1, 1, tzinfo=UTC)),
    ],
)
def test_any_zone_is_read_as_the_instant_it_means(written: str, instant: datetime) -> None:
    """Zones, fractions, small letters and a leap second are read; the instant is kept in UTC and survives writing."""
    read = parse_structured(json.dumps(document(time=written)))
    assert (read.time, read.time.tzinfo) == (instant, UTC)
    assert parse_structured(dump(read)).time == instant


NO_EVENTS = [b"", b" ", b"null", b"5", b'"x"', b"[]", b"{", b"{}}", b"\xff\xfe", b'{"a":NaN}', b'{"a":-Infinity}']
NO_EVENTS += [b'{"a":"\\ud800"}', b'"\xed\xa0\x80"', b"[" * 100_000, b'{"a":' * 5_000, b"9" * 5_000, b'{"a":1e999}']
NO_EVENTS += [b'{"a":"' + b"x" * MAX_BODY + b'"}', b"\x00" * 10, b"<alert/>", b"\xef\xbb\xbf{}"]


@pytest.mark.parametrize("body", NO_EVENTS, ids=lambda body: repr(body[:12]))
def test_what_is_no_event_is_refused_in_one_line(body: bytes) -> None:
    """Broken, huge, endlessly nested or foreign bodies give one short line, whichever way they come."""
    for line in (*refusal(lambda: parse_structured(body)), *refusal(lambda: parse_binary(attributes(), "", body))):
        assert line.startswith(("body: ", "type: ", "data: ", "data."))


def test_a_lone_surrogate_in_text_is_refused() -> None:
    """Half a character pair cannot be shown or stored; a body that is a Python string may hold one."""
    for text in ("\ud800", "a\udfffb"):
        [line] = refusal(lambda text=text: parse_structured(f'{{"id":"{text}"}}'))  # type: ignore[misc]
        assert line.startswith("body: not JSON")


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
@settings(max_examples=150, deadline=None)
def test_nothing_but_invalid_input_ever_comes_out(body: bytes) -> None:
    """Whatever the bytes are, the answer is an event or a refusal: nothing in an event can stop the consumer."""
    refusal(lambda: parse_structured(body))
    refusal(lambda: parse_binary(attributes(type=...), "application/json", body))


PATHS = ["id", "time", "sequence", "type", "data", "data.category", "data.expires", "data.info", "data.info.0"]
PATHS += ["data.info.0.description", "data.area", "data.area.circle", "data.area.geocode", "data.resource.0"]


@given(path=st.sampled_from(PATHS), value=json_values)
@settings(max_examples=150, deadline=None)
def test_any_value_anywhere_is_read_or_refused_in_short_lines(path: str, value: Any) -> None:
    """One wrong value in a good event is read, or refused by lines that name that field."""
    try:
        parse_structured(json.dumps(put(document(), path, value)))
    except InvalidInput as error:
        for line in error.problems:
            assert line.startswith(path)
            assert line.isprintable()


@pytest.mark.parametrize("prefix", ["cloudEvents:", "cloudEvents_"])
@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "text/JSON", ""])
def test_binary_and_structured_say_the_same(prefix: str, content_type: str) -> None:
    """The same event read in either mode is the same event; headers that are not attributes are ignored."""
    headers = {**attributes(prefix), "x-death": [{"count": 1}], "traceparent": "00-1-2-01"}
    read = parse_binary(headers, content_type, json.dumps(ALERT).encode())
    assert read == parse_structured(json.dumps(document()))
    assert parse_structured(dump(read)) == read


@pytest.mark.parametrize(
    ("time", "instant"),
    [
        (1795338900000, NOW),
        (1795338900123, NOW + timedelta(milliseconds=123)),
        (NOW, NOW),
        (NOW.replace(tzinfo=None), NOW),
        (b"2026-11-22T10:15:00+01:00", NOW),
    ],
)
def test_an_amqp_time_may_come_as_milliseconds_timestamp_or_bytes(time: Any, instant: datetime) -> None:
    """AMQP has its own types for times; each gives the instant (AMQP timestamps are UTC by definition)."""
    assert parse_binary(attributes(time=time), "", json.dumps(ALERT).encode()).time == instant


@pytest.mark.parametrize("time", [-(10**14) + 1, -1, 0, 10**14, 10**30, True, 1.5, None, [], {}, b"\xff", "nu"])
def test_an_amqp_time_that_is_none_is_refused(time: Any) -> None:
    """A number far outside of time, or another type, is refused in one line that names ``time``."""
    [line] = refusal(lambda: parse_binary(attributes(time=time), "", json.dumps(ALERT).encode()))
    assert line.startswith("time: ")


def test_another_content_type_is_refused() -> None:
    """A binary event carries JSON; anything else is refused by name."""
    [line] = refusal(lambda: parse_binary(attributes(), "application/xml", b"<alert/>"))
    assert line == 'datacontenttype: "application/xml" is not allowed; allowed: application/json'


amqp_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text() | st.binary()
    | st.datetimes(timezones=st.just(UTC)) | st.decimals().map(Decimal),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@given(
    name=st.sampled_from(["id", "time", "sequence", "subject", "extra", "data", "data_base64", ""]), value=amqp_values
)
@settings(max_examples=150, deadline=None)
def test_any_amqp_header_is_read_or_refused_and_what_is_read_can_be_kept(name: str, value: Any) -> None:
    """Every type that AMQP knows may stand in a header; an event that was taken can always be written and read again."""
    try:
        read = parse_binary(attributes(**{name: value}), "", json.dumps(ALERT).encode())
    except InvalidInput:
        return
    assert parse_structured(dump(read)).id == read.id


def test_data_base64_is_read() -> None:
    """Publishers of bytes send the JSON data as base64; what is wrong in it is told like in plain data."""
    fields = {key: value for key, value in document().items() if key != "data"}
    coded = base64.b64encode(json.dumps(ALERT).encode()).decode()
    assert parse_structured(json.dumps({**fields, "data_base64": coded})) == parse_structured(json.dumps(document()))
    for bad in ("é", "a", 5, ["x"]):
        [line] = refusal(lambda bad=bad: parse_structured(json.dumps({**fields, "data_base64": bad})))  # type: ignore[misc]
        assert line.startswith("data_base64: ")
    [line] = refusal(lambda: parse_structured(json.dumps({**fields, "data_base64": "eA=="})))
    assert "not JSON" in line


@pytest.mark.parametrize("depth", range(150, 205))
def test_an_event_that_was_taken_can_be_kept_and_its_case_loaded_again(depth: int) -> None:
    """Nesting at the edge of what is read is refused now, not when the ending needs the case."""
    body = json.dumps({**ALERT, "nest": 0}).replace('"nest": 0', f'"nest": {"[" * depth}{"]" * depth}').encode()
    try:
        read = parse_binary(attributes(), "", body)
    except InvalidInput:
        assert depth > 180
        return
    assert parse_structured(dump(read)) == read
    case, _ = fold(Case("1"), read, NOW, timedelta(hours=1))
    stored = TypeAdapter(Registers).dump_json(case.registers, exclude_none=True)
    assert TypeAdapter(Registers).validate_json(stored) == case.registers


def test_the_schema_describes_the_three_events() -> None:
    """``burgernet-bridge schema`` prints JSON that names every type and every required attribute."""
    text = json.dumps(json_schema())
    for word in ("opened", "updated", "ended"):
        assert f"nl.burgernet.alert.{word}" in text
    for model in ("Opened", "Updated", "Ended"):
        required = json_schema()["$defs"][model]["required"]
        assert {"specversion", "id", "source", "subject", "time", "type", "data"} <= set(required)


def test_the_mark_that_windows_puts_in_front_is_no_fault() -> None:
    """A file that was saved with a byte order mark is read as what follows it."""
    plain = json.dumps(document("opened"))
    assert (
        parse_structured(f"\ufeff{plain}")
        == parse_structured(b"\xef\xbb\xbf" + plain.encode())
        == parse_structured(plain)
    )


@pytest.mark.parametrize(
    ("path", "value", "allowed"),
    [
        ("data.area.circle", ["52.1,4.4 1"] * 101, "at most 100 items"),
        ("data.area.polygon", ["52.1,4.4 52.2,4.4 52.2,4.5"] * 101, "at most 100 items"),
        ("data.area.polygon", ["52.1,4.4 52.2,4.4 " * 1_001], "at most 2000 points in all polygons together"),
        ("data.area.geocode", [{"valueName": "gemeente", "value": "GM0546"}] * 1_001, "at most 1000 items"),
        ("data.info", [{"description": "x"}] * 101, "at most 100 items"),
        ("data.resource", [{"uri": "https://example.nl/"}] * 101, "at most 100 items"),
    ],
    ids=["circles", "polygons", "points", "codes", "texts", "files"],
)
def test_lists_are_bounded(path: str, value: Any, allowed: str) -> None:
    """An event within the size limit cannot cost minutes or gigabytes, whether it can be read or not."""
    fields = document("opened")
    fields["data"].setdefault("area", {})
    fields["data"].setdefault("resource", [])
    fields["data"]["area"] = {"circle": [], "polygon": [], "geocode": [], **fields["data"]["area"]}
    lines = refusal(lambda: parse_structured(json.dumps(put(fields, path, value), separators=(",", ":"))))
    assert len(lines) <= 20
    assert any(line.startswith(f"{path}: ") and line.endswith(f"allowed: {allowed}") for line in lines), lines


def test_of_very_many_faults_the_first_are_told() -> None:
    """Half a million items that are no texts are refused in at most twenty lines."""
    assert len(refusal(lambda: parse_structured(json.dumps(document("opened", data={"info": [1] * 300_000}))))) <= 20


@pytest.mark.parametrize(
    "body",
    [
        '{"subject": "A", "subject": "B"}',
        '{"data": {"category": "hold_up", "x": [{"category": 1, "category": 2}]}}',
        r'{"subject": "A", "sub\u006aect": "B"}',
    ],
)
def test_a_name_that_stands_twice_is_refused(body: str) -> None:
    """Of two values a checker before us may have read the other one, so an event has every name once, at any depth."""
    with pytest.raises(InvalidInput, match=r"(subject|category): stands twice; allowed: every name once"):
        parse_structured(body)
    with pytest.raises(InvalidInput, match="stands twice"):
        parse_binary({"cloudEvents:id": "1"}, "application/json", body.encode())


def test_an_attribute_in_both_spellings_is_refused() -> None:
    """A message cannot be of two cases, one for readers of each spelling of the headers."""
    headers = {"cloudEvents:subject": "A", "cloudEvents_subject": "B"}
    with pytest.raises(InvalidInput, match="subject: stands twice"):
        parse_binary(headers, "application/json", b"{}")
