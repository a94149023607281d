"""Any screen with a browser (``display``): a page of the bridge's own that shows, and says what it has painted.

A posting counts as shown once a screen has painted it, and as gone once every screen has said so, or has been silent
for so long that it has cleared itself.
"""

from __future__ import annotations

from types import TracebackType
from typing import NoReturn, Self

from pydantic import Field

from bridge.adapters.registry import AdapterConfig, Resources
from bridge.core.content import Content
from bridge.core.errors import InvalidInput, OutcomeUnknown, PermanentError, StoreUnavailable, TransientError
from bridge.core.ports import Displays
from bridge.core.posting import Capabilities, Kind, Observation, Posting, Receipt
from bridge.core.target import Target

SHORTEST_TOKEN = 20
AGAIN = 5.0  # seconds until a screen that has not answered is looked at again; one that answers is noticed at once


class DisplayConfig(AdapterConfig):
    """``adapters.display``: ``patience``, seconds that a step waits for a screen; ``connections``, steps at a time."""

    patience: float = Field(2.0, ge=0, le=60)
    connections: int = Field(256, ge=1, le=10_000)


class Display:
    """Drives display pages. A receipt's handle: ``key``, by which a screen confirms what it has painted."""

    Config: type[AdapterConfig] = DisplayConfig

    def __init__(self, config: DisplayConfig, resources: Resources) -> None:
        self.capabilities = Capabilities(
            kind=Kind.STATE,
            channels=frozenset({"display"}),
            board=True,
            can_observe=True,
            idempotent=True,
            photo=True,
            leased=True,
            fits_all=True,
            max_concurrency=config.connections,
            timeout=config.patience + 10,
        )
        self._patience = config.patience
        self._displays = resources.displays

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to close: what is shown stays with the store."""

    async def publish(self, posting: Posting, content: Content) -> Receipt:
        """Have the screens show it; raise ``OutcomeUnknown`` until one has painted it."""
        try:
            key = await self._store.show(posting, content)
            found = await self._store.looked(posting.target.id, key, wanted=True, patience=self._patience)
        except StoreUnavailable as error:
            raise TransientError(str(error)) from error
        if not found.painted:
            raise OutcomeUnknown(_unpainted(found.alive), retry_after=AGAIN)
        return Receipt(posting, {"key": key})

    async def update(self, receipt: Receipt, content: Content) -> Receipt:
        """Have the screens show something else instead."""
        return await self.publish(receipt.posting, content)

    async def retract(self, receipt: Receipt) -> None:
        """Have the screens show it no more; raise ``TransientError`` until none of them does."""
        posting = receipt.posting
        try:
            await self._store.hide(posting)
            found = await self._store.looked(posting.target.id, posting.id, wanted=False, patience=self._patience)
        except StoreUnavailable as error:
            raise TransientError(str(error)) from error
        if found.painted:
            raise TransientError(f"{found.painted} screens have not said yet that it is gone", retry_after=AGAIN)

    async def observe(self, receipt: Receipt) -> Observation:
        """Tell what the screens say."""
        posting, key = receipt.posting, receipt.handle.get("key", receipt.posting.id)
        try:
            found = await self._store.looked(posting.target.id, key, wanted=True, patience=0)
        except StoreUnavailable as error:
            raise TransientError(str(error)) from error
        return Observation(present=found.painted > 0)

    async def find(self, posting: Posting) -> NoReturn:
        """Raise ``PermanentError``: a page is simply told again."""
        raise PermanentError(f"a page is told again rather than searched ({posting.id})")

    async def probe(self, target: Target) -> None:
        """Return when a screen has the page open."""
        try:
            found = await self._store.looked(target.id, "", wanted=True, patience=0)
        except StoreUnavailable as error:
            raise TransientError(str(error)) from error
        if not found.alive:
            raise TransientError("no screen has the page open")

    @staticmethod
    def check_target(target: Target) -> None:
        """Raise ``InvalidInput`` unless the target has a token that nobody guesses."""
        token = target.secret or ""
        if len(token) < SHORTEST_TOKEN or not all(
            char.isascii() and (char.isalnum() or char in "-_") for char in token
        ):
            allowed = f"at least {SHORTEST_TOKEN} letters, digits, - and _: it is part of the page's address"
            raise InvalidInput(f"target {target.id}: secret: is not allowed; allowed: {allowed}")

    @property
    def _store(self) -> Displays:
        if self._displays is None:
            raise TransientError("no page can be shown here: this command has no store")
        return self._displays


def _unpainted(alive: int) -> str:
    if not alive:
        return "no screen has the page open"
    return f"{alive} screens have the page open, and none has painted it yet"
