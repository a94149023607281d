"""Every error the bridge knows by name. The message of an error is one line, fit for a log and for an operator."""

from __future__ import annotations


def printable(text: str) -> str:
    """Give a text from outside without what a terminal or a log would obey, or a database cannot keep."""
    return "".join(char if char.isprintable() else " " for char in text)


class BridgeError(Exception):
    """Base of all errors that the bridge raises on purpose."""


class InvalidInput(BridgeError):
    """Something from outside cannot be read. ``problems`` holds one clear line each: field, value, what is allowed.

    A line quotes what it refuses, and is logged and shown: nothing is in it that a terminal or a log would obey, and it
    has at most 1,000 characters.
    """

    def __init__(self, *problems: str) -> None:
        self.problems = tuple(printable(problem[:1_000]) for problem in problems) or ("invalid input",)
        super().__init__("; ".join(self.problems))


class StoreUnavailable(BridgeError):
    """The database cannot be reached or is locked; the same call may succeed later."""


class AdapterError(BridgeError):
    """Base of the three answers an adapter may give instead of a result.

    ``reason`` often quotes the other side, so it is made one printable line of at most 500 characters: it is logged,
    shown to operators and kept, and PostgreSQL takes no NUL and UTF-8 no half surrogate.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(" ".join(printable(reason[:2_000]).split())[:500])


class TransientError(AdapterError):
    """Nothing happened at the other side, and trying again may help.

    ``retry_after`` is in seconds, when the other side named a time. ``whole_adapter`` says that the fault is of
    the shared way (the mail server, the API), not of this one target.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None, whole_adapter: bool = False) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        self.whole_adapter = whole_adapter


class PermanentError(AdapterError):
    """Nothing happened at the other side, and the same request will never succeed."""


class OutcomeUnknown(AdapterError):
    """The request may or may not have taken effect: a timeout after sending, a 5xx of an API without idempotency.

    Or it was passed on to someone who is to confirm it. ``retry_after``: seconds, where it is known when to ask again.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
