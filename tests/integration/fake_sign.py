"""A sign in memory that holds one message, of so many characters: its cases take turns in it."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.core.content import Content
from bridge.core.errors import PermanentError
from bridge.core.layout import DoesNotFit
from bridge.core.posting import Capabilities, Kind, Observation, Posting, Receipt, Step
from bridge.core.turns import fit
from tests.integration.fake_adapters import Fake


class FakeSign(Fake):
    """Shows one message (``Kind.STATE``) of at most ``room`` characters; putting the same again is harmless."""

    def __init__(self, room: int = 60, timeout: float = 5.0, *, leased: bool = True) -> None:
        super().__init__(
            Capabilities(
                kind=Kind.STATE,
                channels=frozenset({"sign"}),
                board=True,
                can_observe=True,
                idempotent=True,
                leased=leased,
                holds_one=True,
                timeout=timeout,
            )
        )
        self.room = room
        self.shown: dict[str, str] = {}  # target -> its message
        self.history: list[tuple[str, str]] = []

    def write(self, target: str, message: str) -> None:
        """Put a message on a sign, over whatever stands there."""
        self.shown[target] = message
        self.history.append((target, message))

    def _message(self, contents: Sequence[Content]) -> str:
        message = " | ".join(one.text for one in contents)
        if len(message) > self.room:
            raise DoesNotFit("it is too long", "het is te lang")
        return message

    def _show(self, posting: Posting, content: Content) -> Receipt:
        try:
            message, cases = fit(content, self._message)
        except DoesNotFit as reason:
            raise PermanentError(str(reason)) from reason
        self.write(posting.target.id, message)
        return Receipt(posting, {"message": message}, cases)

    async def publish(self, posting: Posting, content: Content) -> Receipt:
        """Write the message."""
        return await self._do(Step.PUBLISH, posting, content.text, lambda: self._show(posting, content))

    async def update(self, receipt: Receipt, content: Content) -> Receipt:
        """Write another message."""
        return await self._do(Step.UPDATE, receipt.posting, content.text, lambda: self._show(receipt.posting, content))

    async def retract(self, receipt: Receipt) -> None:
        """Put the sign out."""
        await self._do(Step.RETRACT, receipt.posting, "", lambda: self.write(receipt.posting.target.id, ""))

    async def observe(self, receipt: Receipt) -> Observation:
        """Look whether our message is there."""

        def act() -> Observation:
            there = self.shown.get(receipt.posting.target.id, "")
            ours = bool(there) and there == receipt.handle.get("message")
            return Observation(ours, None, None if ours or not there else there)

        return await self._do(Step.OBSERVE, receipt.posting, "", act)

    async def find(self, posting: Posting) -> Receipt | None:
        """Never asked: publishing again is harmless."""
        raise PermanentError("a sign is written again")
