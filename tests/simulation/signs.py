"""Signs that hold one message of so many characters: their cases take turns in it, and others write on them, too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bridge.core.content import Content
from bridge.core.errors import PermanentError
from bridge.core.layout import DoesNotFit
from bridge.core.posting import Observation, Posting, Receipt, Step, posting_id
from bridge.core.turns import fit
from tests.simulation.channels import BOARD, SimBoard
from tests.simulation.world import BETWEEN, Shown

ROOM = 60  # characters: two short texts fit, a long one stands alone
SIGN = replace(BOARD, holds_one=True, photo=False)


class SimSign(SimBoard):
    """A sign whose message clears itself at ``valid_until``."""

    capabilities = SIGN

    async def retract(self, receipt: Receipt) -> None:
        """Put the sign out, unless what it shows is not ours."""
        await self._go(Step.RETRACT, receipt.posting, lambda: self._clear(receipt.posting.target.id))

    async def observe(self, receipt: Receipt) -> Observation:
        """Read what stands there."""

        def act() -> Observation:
            there = self.world.reads(receipt.posting.target.id)
            ours = bool(there) and there == receipt.handle.get("message")
            written = bool(there) and there not in self.world.foreign.values()
            return Observation(ours, None, None if ours or not there else there, ours=written and not ours)

        seen: Observation = await self._go(Step.OBSERVE, receipt.posting, act)
        return seen

    async def find(self, posting: Posting) -> Receipt | None:
        """Never asked: writing again is harmless."""
        raise PermanentError(f"{posting.target.id} is written again")

    def _put(self, posting: Posting, content: Content) -> Receipt:
        world, target = self.world, posting.target
        try:
            made, cases = fit(content, _message)
        except DoesNotFit as reason:
            raise PermanentError(str(reason)) from reason
        until = content.valid_until.timestamp() if content.valid_until else float("inf")
        shown = {}
        for one in made:
            mine = Posting(posting_id(one.case, target), one.case, target)
            world.on_effect(target, mine, one)
            shown[mine.id] = Shown(mine, one, until)
        world.rewrite(target.id, shown)
        return Receipt(posting, {"message": world.reads(target.id, lying=False)}, cases)

    def _clear(self, name: str) -> None:
        if name not in self.world.foreign:
            self.world.rewrite(name, {})


class SimLastingSign(SimSign):
    """A sign that shows its message until it is told another one."""

    capabilities = replace(SIGN, leased=False)


def _message(contents: Sequence[Content]) -> Sequence[Content]:
    if len(BETWEEN.join(one.text for one in contents)) > ROOM:
        raise DoesNotFit("it is too long", "het is te lang")
    return contents
