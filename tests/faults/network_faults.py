"""What happens on the way between hosts: names that are never answered, a cable that is pulled, packets that vanish."""

from __future__ import annotations

import asyncio
import math
import shutil
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random

from tests.faults.judge import Places, What
from tests.faults.network import NameServer, Network, ip, open_name_server, open_network
from tests.faults.rig import Rig, new_database
from tests.faults.scenario import Scenario, needs_root
from tests.faults.town import CONNECTIONS, PATIENCE, Town, both_ways, open_town
from tests.integration.broker_bench import open_way

CUT = 15.0  # seconds without a network
SILENT = 12  # boards whose names are never answered: twice what asyncio's own threads are on two cores
STOP = 5.0  # seconds that an ordered stop may take
WHATS: tuple[What, What] = ("opened", "ended")


def needs_network(_: Rig) -> str:
    """Namespaces take ``ip``, and a kernel that has them."""
    if shutil.which("ip") is None:
        return "needs iproute2"
    name = "bridge-faults-probe"
    if ip("netns", "add", name, check=False).returncode:
        return "network namespaces cannot be made here"
    ip("netns", "del", name)
    return ""


@asynccontextmanager
async def in_a_network(rig: Rig, folder: Path, random: Random, *, names: bool) -> AsyncIterator[Town]:
    """Build a town whose bridge stands in a network of its own; with ``names``, every place has one."""
    async with AsyncExitStack() as stack:
        network = await stack.enter_async_context(open_network())
        store = await stack.enter_async_context(new_database(rig))
        way = await stack.enter_async_context(open_way(store, host=network.here))
        town = await stack.enter_async_context(open_town(rig, folder, random, way.url, network.here))
        town.bench.before = network.inside
        for adapter in town.bench.settings["adapters"].values():
            adapter["timeout"] = 3
        town.network = network
        if names:
            town.names = await stack.enter_async_context(open_name_server(network.here))
            graph = town.bench.graph.url.replace(network.here, "graph.post.test")
            town.bench.settings["adapters"]["facebook"]["base_url"] = graph
            town.bench.settings["adapters"]["email"]["host"] = "mail.post.test"
            town.bench.settings["service"] = {"stop_timeout": STOP}
        yield town


async def network_cut(town: Town, *, silently: bool) -> None:
    """Take the network away in each load, and give it back."""
    network: Network = town.network

    async def strike(town: Town, what: What) -> None:
        await asyncio.sleep(town.random.uniform(0.2, 1.5))
        (network.swallow if silently else network.pull)()
        try:
            await asyncio.sleep(CUT)
            town.excuse(CONNECTIONS)  # mails whose answer was on its way
        finally:
            (network.let_through if silently else network.plug_in)()

    await town.start()
    await both_ways(town, strike, 20)


async def names_hang(town: Town) -> None:
    """Let the names of some boards, then those of the mail server and the Graph API too, never be answered.

    The boards whose names are answered must not notice; an ordered stop must not wait for a name.
    """
    names: NameServer = town.names
    for target in town.bench.targets:
        if target["channel"] == "sign":
            board = target["id"]
            silent = int(board.removeprefix("bord-")) < SILENT
            host = f"{board}.{'stil' if silent else 'goed'}.test"
            target["address"] = target["address"].replace(town.network.here, host)
    prompt = Places(town.places.boards[SILENT:])
    await town.start()
    usual, stop = await answered(town, prompt)
    cases = town.new_cases(6)
    for what in WHATS:
        names.silent = ("stil.test",) if what == "opened" else ("stil.test", "post.test")
        took, stopped = await played(town, what, cases, prompt)
        told = f"{what}: boards whose names are answered were right after {took:.1f} s"
        town.claim(took < 3 * usual + 3, f"{told}, {usual:.1f} s is usual")
        town.notes.append(f"{told}, a stop took {stopped:.1f} s ({usual:.1f} s and {stop:.1f} s without the fault)")
        town.claim(stopped < STOP + 3 * stop + 3, f"{what}: a stop took {stopped:.1f} s, its deadline is {STOP:g} s")
        town.claim(names.ignored > SILENT, f"{names.ignored} questions were ignored")
        town.excuse(CONNECTIONS)  # mails whose step was cut short by the stop's deadline
        names.silent = ()
        await town.start()
        await town.until_right(what, cases)


async def answered(town: Town, prompt: Places) -> tuple[float, float]:
    """Play a load while every name is answered: what the fault is measured against, for machines are busy or not."""
    cases = town.new_cases(6)
    took, stopped = await played(town, "opened", cases, prompt)
    await town.start()
    async with town.load("ended", cases, spread=0.5):
        pass
    await town.until_right("ended", cases)
    town.seconds = 0.0
    return took, stopped


async def played(town: Town, what: What, cases: list[str], prompt: Places) -> tuple[float, float]:
    """Send a load and stop the bridge; give the seconds until some places were right, and those of the stop."""
    async with town.load(what, cases, spread=0.5):
        pass
    began = time.monotonic()
    if not await town.is_right_within(PATIENCE, what, cases, prompt):
        return math.inf, math.inf
    right = time.monotonic()
    town.bridge.signal(signal.SIGTERM)
    town.claim(await town.bridge.ended(STOP + 120) == 0, "it did not end in order")
    return right - began, time.monotonic() - right


NEEDS = (needs_root, needs_network)
SCENARIOS = [
    Scenario(
        "dns-hangs",
        f"DNS never answers for {SILENT} of 20 boards, then for mail and Graph API too; SIGTERM meanwhile",
        names_hang,
        store="postgresql",
        boards=20,
        needs=NEEDS,
        opens=partial(in_a_network, names=True),
    ),
    Scenario(
        "network-cut",
        f"the bridge's cable pulled for {CUT:g} s in each load (broker, PostgreSQL, boards, mail)",
        partial(network_cut, silently=False),
        store="postgresql",
        needs=NEEDS,
        opens=partial(in_a_network, names=False),
    ),
    Scenario(
        "network-swallows",
        f"every packet of the bridge lost for {CUT:g} s in each load, the link up",
        partial(network_cut, silently=True),
        store="postgresql",
        needs=NEEDS,
        opens=partial(in_a_network, names=False),
    ),
]
