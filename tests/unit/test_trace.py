"""Trace context is read by the rules of W3C Trace Context, and nothing else is passed on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.events import dump, parse_structured, with_trace
from bridge.core.trace import UNTRACED, Trace, read_trace, trace_words

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "1",
    "source": "urn:test",
    "type": "nl.burgernet.alert.ended",
    "subject": "2026112200042",
    "time": "2026-11-22T09:15:00Z",
    "data": {"outcome": "resolved"},
}


@pytest.mark.parametrize(
    ("given_parent", "read"),
    [
        (PARENT, PARENT),
        (PARENT.encode(), PARENT),
        (f" {PARENT}\t", PARENT),
        (f"00-{TRACE}-{SPAN}-00", f"00-{TRACE}-{SPAN}-00"),
        (f"00-{TRACE}-{SPAN}-ff", PARENT),  # only the flag that we know is passed on
        (f"cc-{TRACE}-{SPAN}-01", PARENT),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-brings", PARENT),
    ],
)
def test_a_traceparent_by_the_rules(given_parent: str | bytes, read: str) -> None:
    """Version 00 is read, and of a later version the part that is sure to mean the same."""
    assert read_trace({"traceparent": given_parent}) == Trace(read)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "00",
        PARENT.upper(),
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01-",
        f"ff-{TRACE}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-0x",
        f"{PARENT}\n",
        f"{PARENT},{PARENT}",
        "٠٠-" + PARENT[3:],
        b"\xff" * 55,
        7,
        None,
        {"traceparent": PARENT},
    ],
)
def test_a_traceparent_against_the_rules(wrong: object) -> None:
    """What is no traceparent is no error either: the trace begins here."""
    assert read_trace({"traceparent": wrong, "tracestate": "a=1"}) is None
    assert read_trace({}) is None


@pytest.mark.parametrize(
    ("state", "read"),
    [
        ("rojo=1,congo=t61rcWkgMzE", "rojo=1,congo=t61rcWkgMzE"),
        ("rojo=1 ,\t, congo=2,", "rojo=1,congo=2"),
        ("fw529a3039@dt=FfMx,0a=1", "fw529a3039@dt=FfMx,0a=1"),
        ("a=b=c", ""),
        ("a", ""),
        ("A=1", ""),
        ("a=1,a=2", ""),
        ("a= ", ""),
        ("a=\x01", ""),
        ("a=é", ""),
        ("a=1\r\nx-evil: 1", ""),
        (",".join(f"k{number}=1" for number in range(32)), ",".join(f"k{number}=1" for number in range(32))),
        (",".join(f"k{number}=1" for number in range(33)), ""),
        (f"a={'x' * 256},b={'y' * 251}", f"a={'x' * 256},b={'y' * 251}"),
        (f"a={'x' * 256},b={'y' * 252}", ""),
        (f"{'k' * 257}=1", ""),
        (9, ""),
    ],
)
def test_a_tracestate(state: object, read: str) -> None:
    """A tracestate against the rules, or too long, is left out whole; the traceparent beside it stays."""
    assert read_trace({"traceparent": PARENT, "tracestate": state}) == Trace(PARENT, read)


@given(
    st.dictionaries(st.sampled_from(["traceparent", "tracestate"]), st.one_of(st.text(), st.binary(), st.integers()))
)
def test_whatever_comes_is_passed_on_by_the_rules(headers: dict[str, Any]) -> None:
    """Nothing that strangers send raises, and what is read is read again as the same."""
    found = read_trace(headers)
    assert found is None or read_trace(found.headers) == found


def test_the_headers_and_the_words_of_a_trace() -> None:
    """A trace goes out as it came in; the log gets its id."""
    assert Trace(PARENT).headers == {"traceparent": PARENT}
    assert Trace(PARENT, "a=1").headers == {"traceparent": PARENT, "tracestate": "a=1"}
    assert trace_words(Trace(PARENT)) == {"trace_id": TRACE}
    assert trace_words(None) == {}


def test_the_header_of_the_message_goes_before_the_events_own() -> None:
    """The event belongs where its message does, and keeps no tracestate of another place; else it stays as it came."""
    came = parse_structured(json.dumps({**EVENT, "traceparent": f"00-{'1' * 32}-{SPAN}-01", "tracestate": "a=1"}))
    event = with_trace(came, Trace(PARENT))
    assert read_trace(event.model_extra or {}) == Trace(PARENT)
    assert json.loads(dump(event)) == {**EVENT, "traceparent": PARENT, "tracestate": None}
    assert read_trace(parse_structured(dump(event)).model_extra or {}) == Trace(PARENT)
    assert json.loads(dump(with_trace(parse_structured(json.dumps(EVENT)), Trace(PARENT, "b=2")))) == {
        **EVENT,
        "traceparent": PARENT,
        "tracestate": "b=2",
    }


def test_nobody_traces() -> None:
    """The tracer of a bridge that does not trace gives the same nothing for everything, and hides no error."""
    with UNTRACED.span("plan", Trace(PARENT), "internal", case="a") as span:
        span.note(revision=1)
        span.fail("permanent")
        span.forget()
    assert span.trace is None
    with UNTRACED.span("publish", None, "client") as other:
        assert other is span
    with pytest.raises(KeyError), UNTRACED.span("publish", None, "client"):
        raise KeyError
