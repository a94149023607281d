"""A tracer that keeps what it is told; each span has a place of its own in its parent's trace."""

from __future__ import annotations

from typing import Any, Self

from bridge.core.trace import Kind, Trace


class Recorded:
    """A span that keeps what it is told."""

    def __init__(self, name: str, parent: Trace | None, kind: Kind, number: int, facts: dict[str, Any]) -> None:
        self.name = name
        self.parent = parent
        self.kind = kind
        self.facts = facts
        self.why = ""
        self.told = True
        trace = parent.id if parent else f"{number:032x}"
        self.trace: Trace | None = Trace(f"00-{trace}-{number:016x}-01", parent.state if parent else "")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def note(self, **facts: str | int) -> None:
        """Keep facts."""
        self.facts |= facts

    def fail(self, why: str) -> None:
        """Keep why."""
        self.why = why

    def forget(self) -> None:
        """Keep that it is not told."""
        self.told = False


class Recorder:
    """A tracer that keeps its spans."""

    def __init__(self) -> None:
        self.spans: list[Recorded] = []

    def span(self, name: str, parent: Trace | None, kind: Kind, /, **facts: str | int) -> Recorded:
        """Begin a span."""
        self.spans.append(Recorded(name, parent, kind, len(self.spans) + 1, facts))
        return self.spans[-1]

    def named(self, name: str) -> list[Recorded]:
        """Give the spans of one name."""
        return [span for span in self.spans if span.name == name]
