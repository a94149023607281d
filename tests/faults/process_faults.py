"""What happens to the bridge's own process, and to its clock."""

from __future__ import annotations

import asyncio
import signal
import time
from functools import partial
from pathlib import Path

from tests.faults.judge import What
from tests.faults.rig import Rig
from tests.faults.scenario import Scenario
from tests.faults.town import CONNECTIONS, Town, both_ways

WHATS: tuple[What, What] = ("opened", "ended")
MARGIN = 3.0  # seconds for the end of a process beyond its deadline


async def sigkill(town: Town, rounds: int) -> None:
    """Kill the bridge at a random moment of a fan-out, of its showing and of its taking back in turns; start it again.

    The moment is drawn from the time that the first fan-out, which nobody disturbs, takes.
    """
    town.bench.settings["dispatch"]["checks"] = [3600]  # reading back would only lengthen what is to be cut short
    took = {}
    await town.start()
    names = town.new_cases(1)
    for what in WHATS:
        began = time.monotonic()
        async with town.load(what, names, spread=0):
            pass
        await town.until_right(what, names)
        took[what] = time.monotonic() - began
    town.seconds = 0.0
    done = []
    for number in range(rounds):
        names = town.new_cases(1)
        struck = WHATS[number % 2]
        for what in WHATS:
            async with town.load(what, names, spread=0):
                if what == struck:
                    await asyncio.sleep(town.random.uniform(0, took[what]))
            if what == struck:
                done.append(share_done(town, what, names[0]))
                await town.bridge.kill()
                town.excuse(CONNECTIONS)
                await town.start()
                town.healed()
            await town.until_right(what, names)
            if town.lost or town.left:
                return
        town.forget()
    middle = sum(0.02 < one < 0.98 for one in done)
    town.notes.append(f"{rounds} kills, {middle} of them between 2 % and 98 % of the fan-out")


def share_done(town: Town, what: What, case: str) -> float:
    """Tell how much of a fan-out was done."""
    seen = town.look()
    undone = list(seen.missing(what, town.places, [case]))
    if what == "ended":
        undone += seen.left_behind(town.places, [case])
    return 1 - len(undone) / len(town.places)


async def sigterm(town: Town, rounds: int, seconds: float, cases: int = 40) -> None:
    """Stop the bridge in order while events pour in, start it again; it must stop in time and leave nothing in doubt."""
    town.bench.settings["service"] = {"stop_timeout": seconds}
    slowest = 0.0

    async def strike(town: Town, what: What) -> None:
        nonlocal slowest
        for _ in range(rounds):
            await asyncio.sleep(town.random.uniform(0.2, 1.0))
            began = time.monotonic()
            town.bridge.signal(signal.SIGTERM)
            code = await town.bridge.ended(seconds + 30)
            slowest = max(slowest, time.monotonic() - began)
            town.claim(code == 0, f"it ended with {code}")
            await town.start()

    await town.start()
    await both_ways(town, strike, cases)
    town.claim(slowest < seconds + MARGIN, f"a stop took {slowest:.1f} s, its deadline is {seconds:g} s")
    town.notes.append(f"slowest stop {slowest:.1f} s of {seconds:g} s")


# --- clocks


def library() -> Path | None:
    """Find libfaketime, which gives one process a clock of its own."""
    return next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)


def needs_faketime(_: Rig) -> str:
    """Stepping the machine's own clock would hit every other program."""
    return "" if library() else "needs libfaketime (Debian: faketime)"


async def clock_stepped(town: Town, steps: tuple[float, ...]) -> None:
    """Step the bridge's wall clock to and fro in a load, and set it right in the end. Boards keep the right time."""
    clock = town.bench.folder / "clock"

    def step(seconds: float) -> None:
        fresh = clock.with_suffix(".new")
        fresh.write_text(f"{seconds:+g}\n")
        fresh.replace(clock)

    step(0)
    town.bench.environment |= {
        "LD_PRELOAD": str(library()),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",  # seconds: to read the file at every look at the clock takes the whole processor
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }

    async def strike(town: Town, what: What) -> None:
        for seconds in steps:
            step(seconds)
            await asyncio.sleep(town.random.uniform(2.0, 3.0))
        step(0)

    await town.start()
    await both_ways(town, strike, 20)
    backs = len(town.bridge.logged("the clock was set back"))
    town.claim(backs, "the clock was not stepped")
    town.notes.append(f"the bridge noticed {backs} steps back")


FAN_OUT = {"boards": 1700, "mails": 270, "pages": 30}
TOWN = {"boards": 20, "mails": 20, "pages": 4}
SCENARIOS = [
    Scenario(
        "sigkill-sqlite",
        "SIGKILL at a random moment of a 2,000-posting fan-out, 25 times (SQLite)",
        partial(sigkill, rounds=25),
        **FAN_OUT,
    ),
    Scenario(
        "sigkill-postgresql",
        "SIGKILL at a random moment of a 2,000-posting fan-out, 25 times (PostgreSQL)",
        partial(sigkill, rounds=25),
        store="postgresql",
        **FAN_OUT,
    ),
    Scenario("sigterm", "SIGTERM under load, 3× a load", partial(sigterm, rounds=3, seconds=10.0), **TOWN),
    Scenario(
        "clock-stepped",
        "the bridge's clock: +2 h, −2 h, +6 h, −6 h, then right, in each load",
        partial(clock_stepped, steps=(7200.0, -7200.0, 21600.0, -21600.0)),
        needs=(needs_faketime,),
    ),
]
