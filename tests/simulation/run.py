"""Runs one history to its end, and judges it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from tests.simulation.acts import happens
from tests.simulation.broker import SimBroker
from tests.simulation.history import ACTIVE, History, Message
from tests.simulation.judge import Judge
from tests.simulation.loop import SimLoop, Stuck
from tests.simulation.machine import Machine, SimDatabase
from tests.simulation.world import World

REST = 200.0  # seconds that everything must stay as it is, read-backs included, before it is judged
CLEARED = 90.0  # seconds after which boards are dark by the bridge's own deed, in a world that is well
PATIENCE = 3600.0  # seconds of virtual time that the world may take to come to rest

_OPEN = "SELECT count(*) FROM postings WHERE claim IS NOT NULL OR (due IS NOT NULL AND priority < 2)"


@dataclass(frozen=True)
class Verdict:
    """What came of a history: what was wrong (empty: all held), the tale, and what happened how often."""

    history: History
    wrong: tuple[str, ...]
    trace: tuple[tuple[float, str], ...]
    counts: Counter[str]

    @property
    def broken(self) -> str:
        """Name the invariant that was broken first: I1 to I7, or ``--`` for a process that died and the like."""
        return self.wrong[0][:2] if self.wrong and self.wrong[0][:1] == "I" else "--" if self.wrong else ""

    def tale(self) -> str:
        """Tell what happened, line by line."""
        return "\n".join(f"{at:9.3f}  {what}" for at, what in self.trace)


@cache
def database() -> SimDatabase:
    """Give this process's database, made once."""
    return SimDatabase()


def run(history: History) -> Verdict:
    """Run one history."""
    random.seed(history.seed)  # the jitter of the code under test
    loop = SimLoop(random.Random(f"{history.seed}/order"))
    world = World(loop, history)
    loop.set_exception_handler(
        lambda _loop, context: world.violate(f"an error nobody caught: {context.get('exception')!r}")
    )
    store = database()
    store.reset(world)
    judge = Judge(world, store)
    broker = SimBroker(world, judge.acknowledged)
    machine = Machine(world, store, broker)
    try:
        loop.run_until_complete(_play(machine, judge))
    except Stuck:
        world.violate("I2: nothing is left that could ever happen, and it is not over")
    wrong, trace = tuple(world.wrong), tuple(world.trace)
    loop.bury()
    return Verdict(history, wrong, trace, _count(machine))


def _count(machine: Machine) -> Counter[str]:
    """Count what the page at the end tells."""
    world, look = machine.world, machine.database.raw.execute
    counts = world.happened
    counts["histories"] += 1
    counts["seconds"] += int(world.loop.time())
    counts["awaits"] += world.loop.callbacks
    counts["kills"] += sum(process.dead for process in machine.processes)
    counts["postings"] += look("SELECT count(*) FROM postings").fetchone()[0]
    counts["steps"] += sum(world.calls.values())
    for result, count in look("SELECT result, count(*) FROM journal GROUP BY result"):
        counts[f"result: {result}"] += count
    lost = "SELECT count(*) FROM journal WHERE error = 'the worker stopped during this step'"
    counts["taken over"] += look(lost).fetchone()[0]
    for verdict, count in look("SELECT verdict, count(*) FROM events GROUP BY verdict"):
        counts[f"event: {verdict}"] += count
    counts.update(_order(world.history.messages))
    return counts


def _order(messages: Iterable[Message]) -> Counter[str]:
    """Count the events that came, came again, came after a later one of their case, and the cases that began with their end."""
    counts: Counter[str] = Counter()
    latest: dict[str, int] = {}
    names: set[str] = set()
    for one in sorted(messages, key=lambda one: one.at):
        counts["events"] += 1
        counts["events twice"] += one.name in names
        counts["events late"] += one.rank < latest.get(one.case, 0)
        counts["endings first"] += one.case not in latest and one.kind == "ended"
        names.add(one.name)
        latest[one.case] = max(latest.get(one.case, 0), one.rank)
    return counts


async def _play(machine: Machine, judge: Judge) -> None:
    world = machine.world
    for number in range(max(1, world.history.workers)):
        machine.start(f"bridge{number}")
    for message in world.history.messages:
        body = message.body()
        world.later(message.at, lambda body=body, message=message: (world.note(str(message)), machine.broker.put(body)))
    for act in world.history.acts:
        world.later(act.at, lambda act=act: happens(machine, act))
    await _until(world, ACTIVE)
    _heal(machine)
    await _until(world, ACTIVE + CLEARED)
    judge.after_a_while()
    begun = world.loop.time()
    while not world.wrong:
        await _until(world, world.loop.time() + REST)
        busy = machine.database.raw.execute(_OPEN).fetchone()[0] or machine.broker.queue or _in_hand(machine.broker)
        if not busy:
            judge.at_rest()
            return
        if world.loop.time() - begun > PATIENCE:
            world.violate(f"I2: not at rest after {PATIENCE:g} s in a world that is well")


def _in_hand(broker: SimBroker) -> bool:
    return any(consumer.unacked for consumer in broker.consumers)


async def _until(world: World, moment: float) -> None:
    waiter = world.loop.create_future()
    world.loop.call_at(moment, waiter.set_result, None)
    await waiter


def _heal(machine: Machine) -> None:
    """Let all go well from now on; what was killed is started again."""
    world = machine.world
    world.note("the world is well again")
    world.healed = True
    machine.database.down.clear()
    machine.database.lost_commits.clear()
    for bridge in machine.bridges.values():
        bridge.process.fuse = None
        world.loop.thaw(bridge.process)
        bridge.offset = 0.0
    for name in list(machine.bridges):
        machine.start(name)
