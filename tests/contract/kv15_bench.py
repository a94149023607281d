"""What tests of the KV15 adapter share: a receiver, a store that counts, and an open adapter.

A test module imports ``receiver_fixture``, ``counter_fixture``, ``adapter_fixture`` and ``posting_fixture`` to have them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from sqlalchemy import update

from bridge.adapters.kv15 import Kv15, Kv15Config
from bridge.adapters.registry import Resources
from bridge.core.content import Content
from bridge.core.posting import Observation, Posting, Receipt, posting_id
from bridge.core.target import Target
from bridge.protocols.kv15 import MOST_NUMBER
from bridge.simulators.fault import Fault
from bridge.simulators.kv15 import Kv15Simulator
from bridge.store import schema
from bridge.store.counters import CounterStore
from bridge.store.database import Database
from bridge.testing import OPENING, AdapterContract
from tests.contract.test_docs_adapter import Nowhere

CASE = "2026112200042"


def target(address: str, secret: str | None = None) -> Target:
    """Give the stops of a carrier."""
    fields: dict[str, Any] = {
        "id": "haltes-leiden",
        "channel": "display",
        "adapter": "kv15",
        "address": address,
        "owner": {"name": "HTM", "kind": "public_transport"},
        "sign": {"columns": 40, "rows": 8, "pages": 5},
    }
    made = Target.model_validate(fields)
    return made.with_secret(secret) if secret else made


def posting_at(address: str, case: str = CASE, secret: str | None = None) -> Posting:
    """Give a case at these stops."""
    stops = target(address, secret)
    return Posting(posting_id(case, stops), case, stops)


def content(text: str = OPENING, minutes: float = 10, **more: Any) -> Content:
    """Give what the stops are to show, and for how long."""
    made = AdapterContract().make_content(posting_at("http://x/#HTM:1"), text=text)
    return replace(made, **{"valid_until": datetime.now(UTC) + timedelta(minutes=minutes), **more})


@asynccontextmanager
async def a_counter(folder: Path) -> AsyncIterator[CounterStore]:
    """Open the store of a bridge; a second time, what was counted is still there."""
    database = Database(f"sqlite:///{folder}/bridge.db")
    try:
        await database.write(schema.metadata.create_all)
        yield CounterStore(database)
    finally:
        await database.close()


@asynccontextmanager
async def an_adapter(
    counter: CounterStore, clock: Callable[[], datetime] = lambda: datetime.now(UTC), **settings: Any
) -> AsyncIterator[Kv15]:
    """Open an adapter on a session of its own."""
    config = Kv15Config(**{"timeout": 3.0, **settings})
    async with (
        aiohttp.ClientSession() as http,
        Kv15(config, Resources(http, Nowhere(), counter=counter), clock) as adapter,
    ):
        yield adapter


async def use_up(counter: CounterStore) -> None:
    """Give out every number of the day but the last."""
    used = update(schema.counters).values(value=MOST_NUMBER - 1)
    await counter._database.write(lambda connection: connection.execute(used))


async def connected(receiver: Kv15Simulator) -> None:
    """Return once somebody listens to the feed."""
    async with asyncio.timeout(10):
        while not receiver.listeners:
            await asyncio.sleep(0.01)


async def seen(adapter: Kv15, receipt: Receipt, is_it: Callable[[Observation], bool]) -> Observation:
    """Look until it is so; the feed takes its time."""
    async with asyncio.timeout(10):
        while not is_it(found := await adapter.observe(receipt)):
            await asyncio.sleep(0.01)
    return found


@pytest.fixture(name="receiver")
async def receiver_fixture() -> AsyncIterator[Kv15Simulator]:
    """Give a receiver without messages, with a feed."""
    async with Kv15Simulator(kv8_port=0, slow=1.5) as receiver:
        yield receiver


@pytest.fixture(name="counter")
async def counter_fixture(tmp_path: Path) -> AsyncIterator[CounterStore]:
    """Give a store that counts."""
    async with a_counter(tmp_path) as counter:
        yield counter


@pytest.fixture(name="adapter")
async def adapter_fixture(counter: CounterStore) -> AsyncIterator[Kv15]:
    """Give the adapter as it is without settings."""
    async with an_adapter(counter) as adapter:
        yield adapter


@pytest.fixture(name="posting")
def posting_fixture(receiver: Kv15Simulator) -> Posting:
    """Give a case at two stops."""
    return posting_at(f"{receiver.url}#HTM:1234,1235")


@dataclass
class ReceiverPeer:
    """A receiver as the contract steers it."""

    receiver: Kv15Simulator
    is_there: bool = True

    async def shown(self) -> list[str]:
        """Give what stands at the stops."""
        return self.receiver.shown()

    async def refuse_for_now(self) -> None:
        """Answer NA."""
        self.receiver.faults = {Fault.REFUSES}

    async def refuse_for_good(self) -> None:
        """Answer AE."""
        self.receiver.faults = {Fault.REJECTS}

    async def lose_answers(self) -> None:
        """Do what is asked, and hang up."""
        self.receiver.faults = {Fault.MUTE}

    async def vanish(self) -> None:
        """Close the port."""
        await self.receiver.stop()
        self.is_there = False

    async def recover(self) -> None:
        """Work again, at the same port."""
        self.receiver.faults = set()
        if not self.is_there:
            await self.receiver.start()
            self.is_there = True


@asynccontextmanager
async def served(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """Run a receiver that does what ``answer`` says; give its URL."""
    app = web.Application()
    app.router.add_route("*", "/", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()
