"""A strict NTCIP sign, an adapter that is in a hurry, and what they are given: for the tests of signs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from bridge.adapters.ntcip_sign import NtcipSign, NtcipSignConfig
from bridge.adapters.registry import Resources
from bridge.core.content import Content
from bridge.core.posting import Posting, posting_id
from bridge.core.target import Target
from bridge.simulators.fault import Fault
from bridge.simulators.ntcip import NtcipSimulator
from bridge.simulators.ntcip_sign import SignState
from bridge.testing import OPENING, AdapterContract
from tests.contract.test_docs_adapter import Nowhere

QUICK = NtcipSignConfig(request=0.15, repeats=1, timeout=5)


def target(port: int, secret: str | None = None, **sign: Any) -> Target:
    """Give a sign at this port."""
    owner = {"name": "Gemeente Leiden", "kind": "municipality"}
    fields: dict[str, Any] = {"id": "bord-a44", "channel": "sign", "adapter": "ntcip_sign", "owner": owner}
    size = {"columns": 20, "rows": 3, "pages": 9, **sign}
    made = Target.model_validate({**fields, "address": f"127.0.0.1:{port}", "sign": size})
    return made.with_secret(secret) if secret else made


class SignPeer:
    """A sign as the contract steers it."""

    def __init__(self, simulator: NtcipSimulator) -> None:
        self.simulator = simulator
        self._is_there = True

    async def shown(self) -> list[str]:
        """Give what can be read on it."""
        return self.simulator.shown()

    async def refuse_for_now(self) -> None:
        """Someone stands at the sign."""
        self.simulator.faults = {Fault.LOCAL}

    async def refuse_for_good(self) -> None:
        """The community may only read."""
        self.simulator.faults = {Fault.REJECTS}

    async def lose_answers(self) -> None:
        """Show and clear, and say nothing."""
        self.simulator.faults = {Fault.MUTE}

    async def vanish(self) -> None:
        """Close the port."""
        await self.simulator.stop()
        self._is_there = False

    async def recover(self) -> None:
        """Work again, at the same port."""
        self.simulator.faults = set()
        if not self._is_there:
            await self.simulator.start()
            self._is_there = True


def content(text: str = OPENING, case: str = "2026112200042", minutes: float = 10, **more: Any) -> Content:
    """Make what a sign is to show."""
    posting = Posting("p", case, target(1))
    made = AdapterContract().make_content(posting, text=text)
    return replace(made, valid_until=datetime.now(UTC) + timedelta(minutes=minutes), **more)


@pytest.fixture(name="simulator")
async def simulator_fixture() -> AsyncIterator[NtcipSimulator]:
    """Give a dark sign, large enough for every text that it has the characters of."""
    state = SignState(lambda: 0.0, width=400, height=160, pages=9, octets=9_000)
    async with NtcipSimulator(sign=state) as simulator:
        yield simulator


@asynccontextmanager
async def an_adapter(
    clock: Callable[[], datetime] = lambda: datetime.now(UTC), **settings: Any
) -> AsyncIterator[NtcipSign]:
    """Open an adapter that is in a hurry."""
    config = QUICK.model_copy(update=settings)
    async with aiohttp.ClientSession() as http, NtcipSign(config, Resources(http, Nowhere()), clock) as adapter:
        yield adapter


@pytest.fixture(name="adapter")
async def adapter_fixture() -> AsyncIterator[NtcipSign]:
    """Give the adapter, open."""
    async with an_adapter() as adapter:
        yield adapter


def posting_on(simulator: NtcipSimulator, case: str = "2026112200042") -> Posting:
    """Give a case on this sign."""
    sign = target(simulator.port)
    return Posting(posting_id(case, sign), case, sign)
