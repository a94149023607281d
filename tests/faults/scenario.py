"""What a scenario is, and how it is played to its end."""

from __future__ import annotations

import asyncio
import math
import os
import tempfile
import traceback
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.faults.rig import Rig, new_database
from tests.faults.town import Town, open_town

LIMIT = 1800.0  # seconds that one scenario may take in all

Need = Callable[[Rig], str]
"""Says why a scenario cannot be played on this machine; empty: it can."""


@dataclass(frozen=True)
class Scenario:
    """One fault. ``told`` is what is done, in one line; ``play`` does it, and keeps the town's account."""

    name: str
    told: str
    play: Callable[[Town], Awaitable[None]]
    store: str = "sqlite"
    boards: int = 8
    mails: int = 6
    pages: int = 2
    needs: tuple[Need, ...] = ()
    opens: Callable[[Rig, Path, Random], object] | None = None
    """Where the town stands, when not on the loopback address with a store of the usual kind."""


@dataclass(frozen=True)
class Result:
    """What came of a scenario. ``seconds``: from the end of the fault until all was right, infinite when it never was."""

    scenario: Scenario
    skipped: str = ""
    events: int = 0
    postings: int = 0
    seconds: float = 0.0
    lost: int = 0
    doubled: int = 0
    excused: int = 0
    left: int = 0
    wrong: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether what is promised held."""
        return not (self.lost or self.left or self.wrong or math.isinf(self.seconds))


def needs_own_servers(rig: Rig) -> str:
    """Breaking a server takes one of our own."""
    return "" if rig.own else "the servers are not ours to break"


def needs_root(_: Rig) -> str:
    """Mounting and making networks takes root."""
    return "" if os.geteuid() == 0 else "needs root"


def why_not(scenario: Scenario, rig: Rig) -> str:
    """Say why a scenario cannot be played here; empty: it can."""
    return next((why for need in scenario.needs if (why := need(rig))), "")


async def play(scenario: Scenario, rig: Rig, seed: int) -> Result:
    """Play one scenario; whatever fails in it is its result, not ours."""
    if why := why_not(scenario, rig):
        return Result(scenario, skipped=why)
    random = Random(f"{seed}/{scenario.name}")
    town: Town | None = None
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        try:
            async with AsyncExitStack() as stack, asyncio.timeout(LIMIT):
                town = await _open(stack, scenario, rig, Path(folder), random)
                await scenario.play(town)
                await town.account()
        except Exception as error:  # noqa: BLE001 - the boundary: the others must be played all the same
            trace = "".join(traceback.format_exception(error))
            return Result(scenario, seconds=math.inf, wrong=(f"it broke off: {error!r}\n{trace}{_logs(town)}",))
    return _result(scenario, town)


async def _open(stack: AsyncExitStack, scenario: Scenario, rig: Rig, folder: Path, random: Random) -> Town:
    if scenario.opens is not None:
        town: Town = await stack.enter_async_context(scenario.opens(rig, folder, random))  # type: ignore[arg-type]
    else:
        store = await stack.enter_async_context(new_database(rig)) if scenario.store == "postgresql" else ""
        town = await stack.enter_async_context(open_town(rig, folder, random, store))
    town.settle(boards=scenario.boards, mails=scenario.mails, pages=scenario.pages)
    if scenario.store == "postgresql":
        town.bench.write()
        await town.bench.run("migrate")
    return town


def _result(scenario: Scenario, town: Town) -> Result:
    wrong = [*town.wrong, *town.lost[:5], *town.left[:5]]
    return Result(
        scenario,
        events=town.events,
        postings=town.postings,
        seconds=town.seconds,
        lost=len(town.lost),
        doubled=town.doubled,
        excused=town.excused,
        left=len(town.left),
        wrong=tuple(wrong),
        notes=tuple(town.notes),
    )


def _logs(town: Town | None) -> str:
    """Give the end of the last bridge's log, for whoever must find out."""
    if town is None or not town.bench.bridges:
        return ""
    return "\n".join(town.bench.bridges[-1].text.splitlines()[-20:])
