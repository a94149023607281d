"""What must hold of a word that goes on to a log, a header, a terminal, a path."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from bridge.core.errors import AdapterError, InvalidInput
from tests.fuzz.harness import promise

T = TypeVar("T")


def readable(read: Callable[[], T]) -> T | None:
    """Read something; ``None`` when it is refused, in lines that do nothing to a terminal or a log."""
    try:
        return read()
    except InvalidInput as refusal:
        promise(refusal.problems, "a refusal says why")
        for line in refusal.problems:
            promise(line.isprintable(), "a problem is one printable line")
            promise(len(line) <= 1_000, "a problem is no page")
        return None


def said(error: AdapterError) -> None:
    """Check the words of one of the three errors."""
    promise(str(error).isprintable(), "a reason is one printable line")
    promise(len(str(error)) <= 500, "a reason is no page")
    wait = getattr(error, "retry_after", None)
    promise(wait is None or wait >= 0, "a wait is a number of seconds")
