"""Judges the targets of a case with very many of them a few at a time: nobody else's ending waits for a mailing."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from bridge.core.errors import StoreUnavailable
from bridge.intake.accept import Intake

JUDGE = 5.0  # seconds between looks for what a process with another policy judged: it has reloaded sooner, or later
BREATH = 0.02  # seconds from an event to a look for what is left to plan: what is planned already goes first
POLL = 1.0  # seconds between looks for what another process left


class Planner:
    """Finishes plans, whoever began them, a transaction at a time; by its own policy, so one process does it."""

    def __init__(self, intake: Intake, poll: float = POLL) -> None:
        self._intake = intake
        self._poll = poll
        self._wake = asyncio.Event()
        self._next_judging = 0.0
        self.not_ready: str | None = None

    def wake(self) -> None:
        """Look now: an event may have begun a plan."""
        self._wake.set()

    def judge(self) -> None:
        """Judge open cases anew now: the policy is another."""
        self._next_judging = 0.0
        self._wake.set()

    async def run(self) -> None:
        """Judge anew what another policy judged, then plan while there is something to plan, for ever."""
        clock = asyncio.get_running_loop().time
        while True:
            self._wake.clear()
            try:
                if clock() >= self._next_judging:
                    self._next_judging = clock() + JUDGE  # first, for a reload may come while cases are judged
                    await self._intake.replan()
                unfinished = await self._intake.plan_more()
                self.not_ready = None
            except StoreUnavailable as error:
                self.not_ready, unfinished = str(error), 0
            if not unfinished:
                # Not wait_for: before Python 3.12 it swallows a cancellation that comes together with the wake-up.
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._poll):
                        await self._wake.wait()
                await asyncio.sleep(BREATH)
