"""What the core asks of the world, as Protocols (of coroutines: they return awaitables)."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Protocol

from bridge.core.content import Content
from bridge.core.posting import Capabilities, Observation, Posting, Receipt
from bridge.core.target import Target


@dataclass(frozen=True, slots=True)
class Looked:
    """What the screens of one target say. ``alive``: heard of lately; ``painted``: those of them that show it."""

    alive: int
    painted: int


class Adapter(Protocol):
    """One channel. It never retries, reads the environment, starts a task, sees a rule or logs a body.

    Every coroutine raises ``TransientError``, ``PermanentError`` or ``OutcomeUnknown``; anything else is a bug and is
    treated as an unknown outcome. The dispatcher bounds each call by ``capabilities.timeout``.
    """

    capabilities: Capabilities

    def publish(self, posting: Posting, content: Content) -> Awaitable[Receipt]:
        """Show ``content``; the receipt finds it again."""
        ...

    def update(self, receipt: Receipt, content: Content) -> Awaitable[Receipt]:
        """Replace what is shown by ``content`` (a message channel: send it as a follow-up in the same thread)."""
        ...

    def retract(self, receipt: Receipt) -> Awaitable[None]:
        """Take it away; what is gone already counts as done."""
        ...

    def observe(self, receipt: Receipt) -> Awaitable[Observation]:
        """Tell what is there now."""
        ...

    def find(self, posting: Posting) -> Awaitable[Receipt | None]:
        """After an unknown outcome: look for ``posting.attempted``; ``None`` when it is not there."""
        ...

    def probe(self, target: Target) -> Awaitable[None]:
        """Return when the way to ``target`` is open; show nothing to anyone."""
        ...


class Part(Protocol):
    """Something of the service that runs until it is cancelled."""

    @property
    def not_ready(self) -> str | None:
        """Say why it is not ready; ``None``: it is."""
        ...

    def run(self) -> Awaitable[None]:
        """Run for ever; returning or raising stops the whole service."""
        ...


class Displays(Protocol):
    """What pages on screens are to show, and what they say that they have painted. May raise ``StoreUnavailable``."""

    def show(self, posting: Posting, content: Content) -> Awaitable[str]:
        """Have every screen of a target show this; give the key by which a screen confirms it."""
        ...

    def hide(self, posting: Posting) -> Awaitable[None]:
        """Have every screen of a target show it no more."""
        ...

    def looked(self, target: str, key: str, *, wanted: bool, patience: float) -> Awaitable[Looked]:
        """Tell on how many screens this is painted; wait at most ``patience`` seconds until that is as ``wanted``."""
        ...


@dataclass(frozen=True, slots=True)
class Order:
    """What a supplier was asked. Times in seconds since the epoch; ``answer``: done, cannot (and why), or none yet."""

    posting: str
    what: str
    serial: int
    link: str
    asked: float
    sent: int
    sent_at: float
    answer: str = ""
    reason: str = ""


class Orders(Protocol):
    """The desk between the bridge and suppliers. May raise ``StoreUnavailable``."""

    def ask(self, posting: Posting, what: str, key: str, told: Mapping[str, str]) -> Awaitable[Order]:
        """Give the order to ``place`` the text with this key, or to ``remove``; a new one where another stood."""
        ...

    def sent(self, order: Order, times: int) -> Awaitable[None]:
        """Note that an order has been sent so many times by now, the last time just now."""
        ...

    def latest(self, posting: Posting) -> Awaitable[Order | None]:
        """Give what was asked last, if anything."""
        ...


class AdminOutbox(Protocol):
    """Where messages for group admins wait until an admin reads and forwards them."""

    def put(self, posting: Posting, content: Content) -> Awaitable[None]:
        """Keep one message, durably; the same posting and revision again changes nothing."""
        ...
