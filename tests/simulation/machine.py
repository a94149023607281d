"""The machine of the simulation: its database, and the bridges that run on it; all of their code is the real one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import Any, TypeVar

from sqlalchemy import Connection, create_engine, delete, event
from sqlalchemy.pool import StaticPool

from bridge.core.case import Verdict
from bridge.core.content import Words
from bridge.core.errors import BridgeError, StoreUnavailable
from bridge.core.events import Event
from bridge.core.planning import Policy
from bridge.core.retry import Timing
from bridge.core.rules import Rule, RuleFile
from bridge.core.target import Target
from bridge.dispatch.dispatcher import Dispatcher
from bridge.dispatch.parts import Expiry, PhotoDesk
from bridge.dispatch.planner import Planner
from bridge.intake.accept import AT_A_TIME, Intake
from bridge.intake.amqp import AmqpIntake
from bridge.settings import QueueSettings
from bridge.store import schema
from bridge.store.photos import wanted_photos
from bridge.store.rows import Finished
from bridge.store.work import Slots, Turn, WorkStore
from tests.simulation.broker import SimAside, SimBroker
from tests.simulation.channels import Channel, SimBoard, SimMail, SimOutbox, SimPage, SimPhotos
from tests.simulation.loop import Process
from tests.simulation.signs import SimLastingSign, SimSign
from tests.simulation.world import World

T = TypeVar("T")
TIMING = Timing(
    retry_max=20.0, urgent_max=10.0, valid_for=120.0, late_looks=(90.0, 180.0), checks=(5.0, 20.0), check_interval=60.0
)
QUEUE = QueueSettings.model_validate({"url": "amqp://simulated/", "retry_max": 2.0, "prefetch": 8})
LIFETIME = timedelta(days=3)


class PlainWords:
    """Templates in one line: the phase, the description, the outcome."""

    def render(self, channel: str, words: Words) -> tuple[str, str]:
        """Say what a template would say."""
        return " ".join(filter(None, (words.phase.value, words.description, words.outcome))), ""


@cache
def targets() -> dict[str, Target]:
    """Give every target that a history may name."""
    town, someone = {"kind": "municipality"}, {"kind": "citizen"}
    wide, narrow = {"columns": 40, "rows": 3, "pages": 2, "photo": True}, {"columns": 12, "rows": 4, "pages": 1}
    leiden, groningen = {"lat": 52.18, "lon": 4.49}, {"lat": 53.22, "lon": 6.57}
    exercises = {"status": ["Actual", "Exercise"]}
    entries: dict[str, dict[str, Any]] = {
        "board-a": {"sign": wide},
        "board-b": {"sign": {**wide, "photo": False}, "location": leiden},
        "small": {"sign": narrow},
        "sign-a": {"sign": wide, "adapter": "sign"},
        "sign-b": {"sign": wide, "adapter": "lasting"},
        "advert": {"sign": wide, "owner": {"kind": "commercial"}},
        "drill": {"sign": wide, "accepts": exercises},
        "far": {"sign": wide, "location": groningen},
        "page": {"channel": "facebook", "adapter": "page"},
        "mail-a": {"channel": "email", "adapter": "mail", "owner": someone, "accepts": exercises},
        "mail-b": {"channel": "email", "adapter": "mail", "owner": someone},
        "outbox": {"channel": "outbox", "adapter": "outbox", "owner": someone},
    }
    plain = {"channel": "sign", "adapter": "board", "owner": town}
    return {
        name: Target.model_validate({"id": name, "address": f"at {name}", **plain, **entry})
        for name, entry in entries.items()
    }


class SimDatabase:
    """One SQLite in memory for all processes: every transaction whole, one after the other, as both databases promise.

    The way to it takes time, can be down, and can break just after a commit.
    """

    is_sqlite = True

    def __init__(self) -> None:
        self._engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
        event.listen(self._engine, "connect", _manual)
        event.listen(self._engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        schema.metadata.create_all(self._engine)
        self._connection = self._engine.connect()
        self.raw: Any = self._connection.connection.driver_connection
        self.world: World
        self.down: set[str] = set()
        self.lost_commits: set[str] = set()

    def reset(self, world: World) -> None:
        """Empty every table for the next history."""
        self.world = world
        self.down.clear()
        self.lost_commits.clear()
        with self._connection.begin():
            for table in schema.metadata.tables.values():
                self._connection.execute(delete(table))

    def any(self, of: str, *values: object) -> bool:
        """Look whether there is any row, at once and outside every transaction: cheap enough to ask all day."""
        return bool(self.raw.execute(f"SELECT EXISTS (SELECT 1 FROM {of})", values).fetchone()[0])  # noqa: S608

    def now(self, function: Callable[[Connection], T]) -> T:
        """Run a transaction at once, as the judge may."""
        with self._connection.begin():
            return function(self._connection)

    async def run(self, process: str, function: Callable[[Connection], T]) -> T:
        """Run a transaction for a process."""
        await asyncio.sleep(self.world.lag())
        if process in self.down:
            raise StoreUnavailable("the database did not answer")
        result = self.now(function)
        await asyncio.sleep(self.world.lag())
        if process in self.lost_commits:
            raise StoreUnavailable("the connection broke after the commit")
        return result


def _manual(connection: Any, _record: object) -> None:
    connection.isolation_level = None


class Way:
    """One process's way to the database."""

    is_sqlite = True

    def __init__(self, database: SimDatabase, process: str) -> None:
        self._database = database
        self._process = process

    async def write(self, change: Callable[[Connection], T], *, ring: bool = False) -> T:
        """Run a transaction. A ring is not heard by other processes here: they must find out by looking."""
        return await self._database.run(self._process, change)

    async def read(self, look: Callable[[Connection], T]) -> T:
        """Run a transaction; the list of wanted photos, asked for every second, is not asked for when it is empty."""
        if look is wanted_photos and not self._database.any("photos WHERE state = 'wanted'"):
            return []  # type: ignore[return-value]
        return await self._database.run(self._process, look)


class QuickStore(WorkStore):
    """The real store, not asked where nothing is finished and nothing is due: it would find nothing to do."""

    simulated: SimDatabase
    on_claim: Callable[[], None]

    async def turn(self, finished: Sequence[Finished], slots: Sequence[Slots], now: float) -> Turn:
        """Take a turn."""
        if not finished and not self.simulated.any("postings WHERE due <= ?", now):
            return Turn([], more=False)
        turn = await super().turn(finished, slots, now)
        if turn.work:
            self.on_claim()
        return turn


class QuickIntake(Intake):
    """The real intake, not asked to expire where nothing has expired."""

    simulated: SimDatabase

    async def expire(self) -> int:
        """Close the cases whose time has passed."""
        late = self.simulated.any("cases WHERE standing = 'open' AND expires <= ?", self._clock().timestamp())
        return await super().expire() if late else 0


class Bridge:
    """One bridge process, put together as the service puts it together."""

    def __init__(self, machine: Machine, name: str) -> None:
        self.machine = machine
        self.name = name
        self.offset = 0.0
        self.nap = 0.0  # seconds that it freezes at its next claim
        self.process = Process(name)
        self.bell: list[Callable[[], None]] = []
        self.way = Way(machine.database, name)
        self.policy = machine.policy
        self.planner: Planner | None = None

    def clock(self) -> float:
        """Give the time as this machine's clock tells it."""
        return self.machine.world.clock() + self.offset

    def start(self) -> None:
        """Start the process."""
        self.machine.world.loop.start(self.process, self._main())

    def intake(self, wake: Callable[[], None]) -> Intake:
        """Make the use case."""
        intake = QuickIntake(
            self.way,  # type: ignore[arg-type]
            lambda: self.policy,
            max_lifetime=LIFETIME,
            photo_wait=15,
            tell=False,
            wake=wake,
            clock=lambda: datetime.fromtimestamp(self.clock(), UTC),
            at_a_time=self.machine.world.history.at_a_time or AT_A_TIME,
        )
        intake.simulated = self.machine.database
        return intake

    def reload(self) -> None:
        """Take over what stands on disk."""
        self.policy = self.machine.policy
        if self.planner and not self.process.dead:
            self.planner.judge()

    def freeze(self, seconds: float) -> None:
        """Stop the process for a while, as a machine does that is moved or out of memory."""
        self.process.frozen = True
        self.machine.world.later(seconds, lambda: self.machine.world.loop.thaw(self.process))

    def _nap(self) -> None:
        if self.nap:
            self.machine.world.note(f"{self.name} freezes for {self.nap:g} s, and has just claimed a step")
            self.freeze(self.nap)
            self.nap = 0.0

    async def _main(self) -> None:
        try:
            await self._run()
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - the judge wants to know why it died
            self.machine.world.violate(f"the process {self.name} died: {_why(error)}")

    async def _run(self) -> None:
        machine = self.machine
        random = Random(f"{machine.world.history.seed}/{self.name}")
        intake = self.intake(lambda: [ring() for ring in self.bell] and None)
        store = QuickStore(
            self.way,  # type: ignore[arg-type]
            machine.policy.adapters,
            lambda _digest, read: Target.model_validate_json(read()),
            TIMING,
            worker=self.name,
            tell=False,
            random=random,
        )
        store.simulated = machine.database
        store.on_claim = self._nap
        while machine.world.history.workers == 0:
            with suppress(StoreUnavailable):
                await store.release_all(self.clock())
                break
            await asyncio.sleep(0.5)
        dispatcher = Dispatcher(
            store,
            machine.adapters,
            TIMING,
            on_step=lambda work, finished: None,
            random=random,
            clock=self.clock,
            poll=4.0,
        )
        photos = PhotoDesk(self.way, intake, SimPhotos(machine.world), self.clock)  # type: ignore[arg-type]
        self.bell += [dispatcher.wake, photos.wake]

        async def accept(event: Event) -> Verdict:
            return (await intake.accept(event)).verdict

        amqp = AmqpIntake(
            QUEUE,
            accept,
            lambda result: None,
            subscribe=machine.broker.subscribe,  # type: ignore[arg-type]
            aside=SimAside(machine.broker),  # type: ignore[arg-type]
        )
        async with asyncio.TaskGroup() as parts:
            for part in (dispatcher, amqp, Expiry(intake, 5.0)):
                parts.create_task(part.run())
            # One of them finishes plans, and judges the open cases anew where rules change: the one that leads.
            if (machine.world.history.rewritten or machine.world.history.at_a_time) and self.name == "bridge0":
                self.planner = Planner(intake, poll=4.0)
                self.bell.append(self.planner.wake)
                parts.create_task(self.planner.run())
            if any(message.photo for message in machine.world.history.messages):
                parts.create_task(photos.run())


def _why(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


def _rules(written: Sequence[dict[str, Any]]) -> tuple[Rule, ...]:
    """Give rules the names and reasons that a file must have."""
    reason = {"nl": "een regel", "en": "a rule"}
    named = [{"name": f"regel{number}", "reason": reason, **one} for number, one in enumerate(written)]
    return RuleFile.model_validate({"rules": named}).rules


class Machine:
    """Everything on the bridge's side: the store, the broker's queue, the running bridges."""

    def __init__(self, world: World, database: SimDatabase, broker: SimBroker) -> None:
        self.world = world
        self.database = database
        self.broker = broker
        channels: dict[str, type[Channel]] = {"board": SimBoard, "page": SimPage, "mail": SimMail, "outbox": SimOutbox}
        channels |= {"sign": SimSign, "lasting": SimLastingSign}
        self.adapters: dict[str, Any] = {name: make(world) for name, make in channels.items()}
        can = {name: adapter.capabilities for name, adapter in self.adapters.items()}
        listed = [target for name, target in targets().items() if name in world.history.targets]
        written = (world.history.rules, *world.history.rewritten)
        self.policies = [
            Policy(listed, _rules(rules), can, PlainWords(), f"rules {number}") for number, rules in enumerate(written)
        ]
        self.policy = self.policies[0]  # what stands on disk
        self.bridges: dict[str, Bridge] = {}
        world.start = self.start
        self.processes: list[Process] = []

    def start(self, name: str) -> None:
        """Start a bridge that is not running."""
        running = self.bridges.get(name)
        if running is None or running.process.dead:
            bridge = self.bridges[name] = Bridge(self, name)
            bridge.offset = running.offset if running else 0.0
            self.processes.append(bridge.process)
            self.world.note(f"{name} starts")
            bridge.start()

    def rewrite(self, number: int) -> None:
        """Write other rules, and tell every process that runs; each takes them over a little later."""
        self.policy = self.policies[number]
        self.world.rules_so_far.append(self.world.history.rewritten[number - 1])
        for bridge in self.bridges.values():
            self.world.later(self.world.chance(2.0), bridge.reload)

    def operate(self, act: Callable[[Intake], Any]) -> None:
        """Run an operator's command, a process of its own."""
        bridge = Bridge(self, "operator")
        self.processes.append(bridge.process)

        async def work() -> None:
            while True:
                try:
                    await act(bridge.intake(lambda: None))
                except StoreUnavailable:
                    await asyncio.sleep(1.0)
                except BridgeError as refused:
                    self.world.note(f"the operator is told: {refused}")
                    return
                else:
                    return

        self.world.loop.start(bridge.process, work())
