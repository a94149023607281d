"""What happens to the bridge's own process, and to its clock."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tests.faults.judge import What
from tests.faults.rig import Rig
from tests.faults.scenario import Scenario
from tests.faults.town import CONNECTIONS, Town, both_ways, open_town

WHATS: tuple[What, What] = ("opened", "ended")
MARGIN = 10.0  # seconds beyond the deadline of its steps, for goodbyes to the broker and the mail server (5 each)


async def sigkill(town: Town, fan_outs: int, kills: tuple[int, int]) -> None:
    """Kill the bridge at random moments of fan-outs: so often while one is shown, so often while it is taken back.

    The moments are drawn from the time that the first fan-out, which nobody disturbs, takes.
    """
    town.bench.settings["dispatch"]["checks"] = [3600]  # reading back would only lengthen what is to be cut short
    await town.start()
    took = [await fan_out(town, what, names) for names in [town.new_cases(1)] for what in WHATS]
    town.seconds = 0.0
    town.forget()
    done: list[float] = []
    for _ in range(fan_outs):
        names = town.new_cases(1)
        for what, seconds, times in zip(WHATS, took, kills, strict=True):
            moments = [town.random.uniform(0, seconds / times) for _ in range(times)]
            await fan_out(town, what, names, moments, done)
        town.forget()
    middle = sum(0.02 < one < 0.98 for one in done)
    town.notes.append(f"{len(done)} kills, {middle} of them between 2 % and 98 % of the fan-out")


async def fan_out(
    town: Town, what: What, names: list[str], moments: Sequence[float] = (), done: list[float] | None = None
) -> float:
    """Send one event to everybody, kill the bridge after so many seconds each time; give the seconds until all is right.

    ``done`` gets how much was done at each kill.
    """
    began = time.monotonic()
    async with town.load(what, names, spread=0):
        for seconds in moments:
            await asyncio.sleep(seconds)
            await town.bridge.kill()
            (done if done is not None else []).append(share_done(town, what, names[0]))
            town.excuse(CONNECTIONS)
            await town.start()
            town.healed()
    await town.until_right(what, names)
    return time.monotonic() - began


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
        "SIGKILL 25 times at random moments of 2,000-posting fan-outs, SQLite",
        partial(sigkill, fan_outs=5, kills=(3, 2)),
        **FAN_OUT,
    ),
    Scenario(
        "sigkill-postgresql",
        "SIGKILL 25 times at random moments of 2,000-posting fan-outs, PostgreSQL",
        partial(sigkill, fan_outs=5, kills=(3, 2)),
        store="postgresql",
        **FAN_OUT,
    ),
    Scenario("sigterm", "SIGTERM under load, 3× a load", partial(sigterm, rounds=3, seconds=10.0), **TOWN),
    Scenario(
        "clock-stepped",
        "the bridge's clock: +2 h, −2 h, +6 h, −6 h, then right, in each load",
        partial(clock_stepped, steps=(7200.0, -7200.0, 21600.0, -21600.0)),
        needs=(needs_faketime,),
        opens=partial(open_town, signed=False),  # a signed board refuses what is signed at a wrong time, and rightly
    ),
]
