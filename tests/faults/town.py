"""A town under fault: one bridge process, its places, a load of events, and the account of what went wrong."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from aio_pika.exceptions import AMQPError

from bridge.simulators.board import BoardSimulator
from bridge.simulators.graph import GraphSimulator
from bridge.simulators.smtp_sink import SmtpSink
from tests.e2e.bench import PAGES, SECRET, TOKEN, Bench, event
from tests.e2e.process import Running, until
from tests.faults.judge import OVER, Places, Seen, What, doubled_posts, see, see_mails
from tests.faults.rig import Rig
from tests.integration.broker_bench import Bench as Broker
from tests.integration.broker_bench import Way, open_way
from tests.integration.broker_bench import open_bench as open_broker

CONNECTIONS = 4  # mails at a time: so many may be in flight at a kill
PATIENCE = 180.0  # seconds after the end of a fault in which everything must be right
SPREAD = 2.0  # seconds over which the events of a load come

_LOST = (AMQPError, OSError, TimeoutError, RuntimeError, asyncio.CancelledError)


class Town:
    """What a scenario breaks and mends, and the account that it must give."""

    def __init__(self, rig: Rig, bench: Bench, broker: Broker, way: Way, random: Random) -> None:
        self.rig = rig
        self.bench = bench
        self.broker = broker
        self.way = way
        self.random = random
        self.places = Places()
        self.bridge: Running
        self.events = 0
        self.postings = 0
        self.seconds = 0.0
        self.lost: list[str] = []
        self.left: list[str] = []
        self.wrong: list[str] = []
        self.notes: list[str] = []
        self.doubled = 0
        self.doubled_before = 0  # mails, in records that were dropped since
        self.excused = 0
        self.disk = Path()  # what the store stands on, where that is small
        self.network: Any = None  # where the bridge stands, when in a network of its own
        self.names: Any = None  # whom it asks for names there
        self._given_up: set[str] = set()
        self._cases = 0
        self._cut = 0
        self._mails: Counter[tuple[str, str, What]] = Counter()
        self._read = 0
        self._healed = 0.0

    async def cut(self) -> None:
        """Cut the bridge's connections to the broker, which it has made since the last time."""
        await until(lambda: self.way.connections > self._cut, "it has connected again", PATIENCE)
        self._cut = self.way.connections
        self.way.cut()

    # --- before

    def settle(self, *, boards: int, mails: int, pages: int) -> None:
        """Say who lives here: every case means all of them."""
        self.bench.add(boards=boards, mails=mails, pages=pages)
        self.places = Places(
            [f"bord-{number}" for number in range(boards)],
            [f"lezer{number}@example.nl" for number in range(mails)],
            PAGES[:pages],
        )

    def without_reader(self, number: int) -> None:
        """Expect nothing at one reader, for ever."""
        self.places = replace(
            self.places, readers=[one for one in self.places.readers if one != f"lezer{number}@example.nl"]
        )
        self._given_up.add(f"mail-{number}")

    async def start(self) -> None:
        """Start the bridge; return when it says that it is ready."""
        self.bridge = await self.bench.start(ready=False)
        await self.bridge.until_logged("ready", seconds=60)

    def new_cases(self, number: int) -> list[str]:
        """Name cases that nobody has heard of."""
        self._cases += number
        self.postings += number * len(self.places)
        return [f"zaak-{one}" for one in range(self._cases - number, self._cases)]

    # --- the load

    @asynccontextmanager
    async def load(self, what: What, cases: Sequence[str], spread: float = SPREAD) -> AsyncIterator[None]:
        """Send events one by one while something happens; at the end the broker has confirmed them all."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send_all(what, cases, spread))
            yield

    async def _send_all(self, what: What, cases: Sequence[str], spread: float) -> None:
        for case in cases:
            await self.send(what, case)
            await asyncio.sleep(spread / len(cases))

    async def send(self, what: What, case: str) -> None:
        """Send one event until the broker has confirmed it: the same event each time, as an outbox of a sender does."""
        info = {"language": "nl", "headline": f"Vermist: {case}", "description": f"Jongen (8) vermist, {case}."}
        if what == "ended":
            info["description"] = f"De zaak {case} is {OVER}."
        body = event(case, what, info=[info])
        while not await self._confirmed(body, what):
            await asyncio.sleep(0.2)
            with suppress(*_LOST):
                async with asyncio.timeout(10):
                    await self.broker.reconnect()
        self.events += 1

    async def _confirmed(self, body: bytes, what: What) -> bool:
        try:
            async with asyncio.timeout(60):
                await self.broker.put(body, key=f"alert.{what}", content_type="application/cloudevents+json")
        except _LOST:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return False
        return True

    # --- after

    def healed(self) -> None:
        """Note that the fault is over: from now on the seconds count."""
        self._healed = time.monotonic()

    def excuse(self, mails: int) -> None:
        """So many mails may come twice: they were on their way when nobody could answer for them."""
        self.excused += mails

    def claim(self, holds: object, told: str) -> None:
        """Add to the account what does not hold."""
        if not holds and told not in self.wrong:
            self.wrong.append(told)

    async def until_right(self, what: What, cases: Sequence[str]) -> None:
        """Wait until every place shows what it should, and count what never came."""
        began = self._healed or time.monotonic()
        right = await self.is_right_within(PATIENCE, what, cases, self.places)
        self.seconds = max(self.seconds, time.monotonic() - began if right else math.inf)
        self._healed = 0.0
        if right:
            await self._until_settled(cases)
        seen = self.look()
        self.lost += seen.missing(what, self.places, cases)
        if what == "ended":
            self.left += seen.left_behind(self.places, cases)

    async def is_right_within(self, seconds: float, what: What, cases: Sequence[str], places: Places) -> bool:
        """Wait until places show what they should; tell whether they did in time."""
        began = time.monotonic()
        while True:
            look = time.monotonic()
            seen = self.look()
            left = seen.left_behind(places, cases) if what == "ended" else iter(())
            if next(seen.missing(what, places, cases), None) is None and next(left, None) is None:
                return True
            if look - began > seconds:
                return False
            await asyncio.sleep(0.1 + 4 * (time.monotonic() - look))  # the places need the processor too

    async def _until_settled(self, cases: Sequence[str]) -> None:
        """Wait until the bridge knows it too: else it could still send something a second time."""

        async def is_settled() -> bool:
            words = cases[:1] if len(cases) == 1 else ()  # one of many: what was played before is long done
            told = (await self.bench.run("status", *words, "--json")).json["cases"]
            postings = [one for case in told if case["case"] in cases for one in case["postings"]]
            return all(one["settled"] or one["target"] in self._given_up for one in postings)

        await until(is_settled, "the bridge knows that all is right", PATIENCE, look=0.5)

    def look(self) -> Seen:
        """Ask every place what it saw; mails are read once."""
        fresh = self.bench.mails.messages[self._read :]
        self._read += len(fresh)
        self._mails.update(see_mails(fresh))
        return see(self.bench.boards, self.bench.graph, self.places.pages, self._mails)

    async def account(self) -> None:
        """Close the account: what came twice, and whether the queue and the dead letters are empty."""
        seen = self.look()
        posts, mails = doubled_posts(self.bench.graph.history), seen.doubled_mails() + self.doubled_before
        self.doubled = posts + mails
        self.claim(not posts, f"{posts} posts came twice")
        self.claim(mails <= self.excused, f"{mails} mails came twice, {self.excused} at most may")
        with suppress(*_LOST):
            await self.broker.reconnect()
        dead = await self.broker.ready(self.broker.dead)
        self.claim(not dead, f"{dead} dead letters")

    def forget(self) -> None:
        """Drop the records of what was judged right: a thousand mails a round fill the memory."""
        self.doubled_before += self.look().doubled_mails()
        self.bench.mails.messages.clear()
        self._mails.clear()
        self._read = 0


async def both_ways(town: Town, strike: Any, cases: int) -> None:
    """Strike while cases open, and again while they end."""
    names = town.new_cases(cases)
    whats: tuple[What, What] = ("opened", "ended")
    for what in whats:
        async with town.load(what, names):
            await strike(town, what)
        await town.until_right(what, names)


@asynccontextmanager
async def open_town(
    rig: Rig, folder: Path, random: Random, store: str = "", host: str = "127.0.0.1", *, signed: bool = True
) -> AsyncIterator[Town]:
    """Build a town on a folder; ``store`` is the URL of an empty PostgreSQL, else it is SQLite.

    ``host``: where places listen; ``signed``: whether boards take only what is signed.
    """
    async with (
        open_broker(rig.amqp_url) as broker,
        open_way(rig.amqp_url, host=host) as way,
        BoardSimulator(secret=SECRET if signed else None, host=host) as boards,
        SmtpSink(host) as mails,
        GraphSimulator(dict.fromkeys(PAGES, TOKEN), host=host) as graph,
    ):
        bench = Bench(folder, broker, store, boards, mails, graph)
        bench.environment["BRIDGE_QUEUE__URL"] = way.url
        bench.settings["adapters"]["email"] |= {"connections": CONNECTIONS, "timeout": 10}
        bench.settings["adapters"]["http_sign"]["timeout"] = bench.settings["adapters"]["facebook"]["timeout"] = 10
        bench.settings["dispatch"] |= {"looks": [0.5, 1, 1], "retry_max": 4, "urgent_max": 4}
        bench.settings["queue"] = {"retry_max": 2}
        town = Town(rig, bench, broker, way, random)
        try:
            yield town
        finally:
            await asyncio.gather(*(bridge.kill() for bridge in bench.bridges))
            await broker.reconnect()  # to take everything off it
