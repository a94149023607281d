"""The outbox: a message for a group admin, who reads it and forwards it to the neighbours."""

from __future__ import annotations

import re
from types import TracebackType
from typing import ClassVar, NoReturn, Self

from bridge.adapters.registry import AdapterConfig, Resources
from bridge.core.content import Content
from bridge.core.errors import InvalidInput, PermanentError, StoreUnavailable, TransientError
from bridge.core.posting import Capabilities, Kind, Observation, Posting, Receipt
from bridge.core.target import Target

_ADMIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class OutboxConfig(AdapterConfig):
    """Settings of ``adapters.outbox``: there are none."""


class Outbox:
    """Puts each message where its admin finds it; ``address`` is the admin's name.

    What an admin has read is out of our hands, so nothing can be taken back: the outcome follows as a message (R5).
    """

    Config: ClassVar[type[AdapterConfig]] = OutboxConfig

    capabilities = Capabilities(
        kind=Kind.MESSAGE,
        channels=frozenset({"outbox"}),
        can_update=True,
        can_retract=False,
        idempotent=True,
        max_concurrency=64,
    )

    def __init__(self, config: OutboxConfig, resources: Resources) -> None:  # noqa: ARG002 - it has no settings
        self._outbox = resources.outbox

    @staticmethod
    def check_target(target: Target) -> None:
        """Raise ``InvalidInput`` unless the address is a plain name, fit for a command line and a URL."""
        if not _ADMIN.fullmatch(target.address):
            raise InvalidInput(
                f"address: {target.address!r} is not an admin's name; "
                "allowed are 1 to 100 letters, digits, '.', '_' and '-', a letter or digit first"
            )

    async def __aenter__(self) -> Self:
        """Open nothing: the outbox is a table in the bridge's own store."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close nothing."""

    async def publish(self, posting: Posting, content: Content) -> Receipt:
        """Keep one message; the same posting and revision again changes nothing."""
        try:
            await self._outbox.put(posting, content)
        except StoreUnavailable as error:
            # Perhaps it was kept after all; putting it again is harmless, so this is no unknown outcome.
            raise TransientError(str(error), whole_adapter=True) from error
        return Receipt(posting)

    async def update(self, receipt: Receipt, content: Content) -> Receipt:
        """Keep the correction or the outcome as a message that follows the earlier ones."""
        return await self.publish(receipt.posting, content)

    async def retract(self, receipt: Receipt) -> NoReturn:
        """Raise ``PermanentError``: a message cannot be unsent."""
        raise PermanentError(f"outbox: the message {receipt.posting.id} cannot be taken back")

    async def observe(self, receipt: Receipt) -> Observation:
        """Raise ``PermanentError``: where an admin forwarded a message to cannot be seen."""
        raise PermanentError(f"outbox: what became of the message {receipt.posting.id} cannot be seen")

    async def find(self, posting: Posting) -> Receipt | None:
        """Raise ``PermanentError``: nothing needs to be looked up, for publishing again is harmless."""
        raise PermanentError(f"outbox: the message {posting.id} is not looked up but put again")

    async def probe(self, target: Target) -> None:
        """Return: the way to every admin is the store, whose state the bridge itself watches."""
