"""Trace context: where in a trace something belongs, read from outside and carried on; and what a tracer is.

By W3C Trace Context (https://www.w3.org/TR/trace-context/) and the CloudEvents extension *distributed tracing*: both
know the same two words, ``traceparent`` and ``tracestate``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

PARENT, STATE = "traceparent", "tracestate"
Kind = Literal["consumer", "internal", "client"]

_PARENT = re.compile(r"([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_MEMBERS = 32
_STATE_LENGTH = 512  # characters that everyone must be able to carry; what is longer is left out
_MEMBER = re.compile(
    r"([a-z0-9][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
    r"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)


@dataclass(frozen=True, slots=True)
class Trace:
    """A place in a trace: a ``traceparent`` of version 00, and the ``tracestate`` beside it."""

    parent: str
    state: str = ""

    @property
    def id(self) -> str:
        """The trace: 32 hexadecimal digits."""
        return self.parent[3:35]

    @property
    def is_sampled(self) -> bool:
        """Whether whoever began the trace wants it to be kept."""
        return self.parent.endswith("1")

    @property
    def headers(self) -> dict[str, str]:
        """The headers (of HTTP or AMQP), or attributes of a CloudEvent, that carry it."""
        return {PARENT: self.parent} | ({STATE: self.state} if self.state else {})


def read_trace(headers: Mapping[str, Any]) -> Trace | None:
    """Read what others sent; ``None`` when there is no trace, or none by the rules: then it begins here."""
    found = _PARENT.fullmatch(_text(headers.get(PARENT)))
    if found is None:
        return None
    version, trace, span, flags, more = found.groups()
    if version == "ff" or (version == "00" and more):
        return None
    # Of a later version, and of flags we do not know, only these parts may be passed on (section 3.2.4).
    return Trace(f"00-{trace}-{span}-{int(flags, 16) & 1:02x}", _state(_text(headers.get(STATE))))


def _state(text: str) -> str:
    """Read a tracestate; one that breaks the rules is left out whole (section 3.3.1)."""
    members = [member for one in text.split(",") if (member := one.strip(" \t"))]
    matches = [_MEMBER.fullmatch(member) for member in members]
    keys = {match[1] for match in matches if match}
    state = ",".join(members)
    return state if len(keys) == len(members) <= _MEMBERS and len(state) <= _STATE_LENGTH else ""


def _text(value: Any) -> str:
    """Take the two types that AMQP has for text."""
    match value:
        case str():
            return value.strip(" \t")
        case bytes():
            return value.decode("ascii", "replace").strip(" \t")
        case _:
            return ""


def trace_words(trace: Trace | None) -> dict[str, str]:
    """Say in a line of the log to which trace it belongs."""
    return {"trace_id": trace.id} if trace else {}


class Span(Protocol):
    """One piece of work in a trace, from entering to leaving it."""

    trace: Trace | None
    """The place in the trace that belongs to what this work causes; ``None``: nobody traces."""

    def note(self, **facts: str | int) -> None:
        """Add what is known by now. Never a text, an address or a secret (I6)."""
        ...

    def fail(self, why: str) -> None:
        """Mark it as failed: one word."""
        ...

    def forget(self) -> None:
        """Do not tell of it: it happens so often that nobody would look."""
        ...


class Tracer(Protocol):
    """Tells where work belongs and how long it took; it never blocks and never fails."""

    def span(self, name: str, parent: Trace | None, kind: Kind, /, **facts: str | int) -> AbstractContextManager[Span]:
        """Begin a piece of work under ``parent``; without one a trace begins."""
        ...


class Silent:
    """A span that nobody is told of; what it causes belongs where it belongs itself."""

    def __init__(self, trace: Trace | None = None) -> None:
        self.trace = trace

    def __enter__(self) -> Span:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def note(self, **_facts: str | int) -> None:
        """Do nothing."""

    def fail(self, _why: str) -> None:
        """Do nothing."""

    def forget(self) -> None:
        """Do nothing."""


class _Untraced:
    def span(self, _name: str, _parent: Trace | None, _kind: Kind, /, **_facts: str | int) -> Silent:
        return _NOTHING


_NOTHING = Silent()
UNTRACED: Tracer = _Untraced()
