"""An event loop on virtual time, whose processes can be killed or frozen between any two steps.

Nothing waits: when nothing is ready, time jumps to the next timer. Every callback knows the process it belongs to by its
context, so a kill is what SIGKILL is: not one more line of that process runs, no ``finally``, no ``except``. What is
ready at the same time in several processes runs in an order that the seed draws, each process's own in turn.
"""

from __future__ import annotations

import asyncio
import heapq
from asyncio.events import Handle
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from random import Random
from typing import Any

PROCESS: ContextVar[Process | None] = ContextVar("process", default=None)


class Stuck(Exception):
    """Nothing is ready and no timer is set: nothing will ever happen again."""


class Process:
    """One process of the simulated machine. ``fuse`` counts the callbacks until it is killed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = False
        self.frozen = False
        self.fuse: int | None = None
        self.context: Context = copy_context()
        self.context.run(PROCESS.set, self)
        self.tasks: list[asyncio.Task[Any]] = []
        self.held: list[Handle] = []
        self.on_death: list[Callable[[], None]] = []

    def burn(self, fuse: int) -> None:
        """Let it die after so many callbacks more; a fuse that burns already is not made longer."""
        self.fuse = fuse if self.fuse is None else min(self.fuse, fuse)

    def may_run(self, handle: Handle) -> bool:
        """Say whether a callback of this process runs now; a frozen process keeps it for later."""
        if self.dead:
            return False
        if self.frozen:
            self.held.append(handle)
            return False
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                self.kill()
                return False
        return True

    def kill(self) -> None:
        """End it as SIGKILL does."""
        if not self.dead:
            self.dead = True
            self.held.clear()
            for tell in self.on_death:
                tell()


def _close(work: Any) -> None:
    """End a coroutine where it stands; one that wants to wait for something at its end is told again."""
    for _ in range(20):
        try:
            work.close()
        except RuntimeError:
            continue
        except BaseException:  # noqa: BLE001, S110 - a dead process's last words interest nobody
            pass
        return


class SimLoop(asyncio.BaseEventLoop):
    """Runs callbacks in order, without threads, sockets or a clock of the machine."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self._random = random
        self._now = 0.0
        self._tasks: list[asyncio.Task[Any]] = []
        self.callbacks = 0
        self.set_task_factory(self._make_task)

    def time(self) -> float:
        """Give the virtual time, in seconds since the start."""
        return self._now

    def start(self, process: Process, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a coroutine as (part of) a process."""
        return process.context.run(self.create_task, work)

    def thaw(self, process: Process) -> None:
        """Let a frozen process go on where it was."""
        process.frozen = False
        self._ready.extend(process.held)  # type: ignore[attr-defined]
        process.held.clear()

    def bury(self) -> None:
        """Forget every task that never ended, without running any of its code that matters."""
        for task in self._tasks:
            if not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                _close(task.get_coro())
        self._ready.clear()  # type: ignore[attr-defined]
        self._scheduled.clear()  # type: ignore[attr-defined]
        self.close()

    def _make_task(self, loop: asyncio.AbstractEventLoop, work: Any, context: Context | None = None) -> Any:
        task = asyncio.Task(work, loop=loop, context=context)
        self._tasks.append(task)
        return task

    def _run_once(self) -> None:
        ready = self._ready  # type: ignore[attr-defined]
        if not ready and not self._stopping:  # type: ignore[attr-defined]
            self._jump()
        if len(ready) > 1:
            self._mix()
        for _ in range(len(ready)):
            handle = ready.popleft()
            process = handle._context.get(PROCESS)
            if not handle._cancelled and (process is None or process.may_run(handle)):
                self.callbacks += 1
                handle._run()

    def _mix(self) -> None:
        ready: deque[Handle] = self._ready  # type: ignore[attr-defined]
        turns = [handle._context.get(PROCESS) for handle in ready]
        if turns.count(turns[0]) == len(turns):
            return
        waiting: dict[Process | None, deque[Handle]] = {}
        for process, handle in zip(turns, ready, strict=True):
            waiting.setdefault(process, deque()).append(handle)
        self._random.shuffle(turns)
        ready.clear()
        ready.extend(waiting[process].popleft() for process in turns)

    def _jump(self) -> None:
        timers = self._scheduled  # type: ignore[attr-defined]
        while timers and timers[0]._cancelled:
            heapq.heappop(timers)._scheduled = False
            self._timer_cancelled_count -= 1  # type: ignore[attr-defined]
        if not timers:
            raise Stuck
        self._now = max(self._now, timers[0]._when)
        while timers and timers[0]._when <= self._now:
            timer = heapq.heappop(timers)
            timer._scheduled = False
            self._ready.append(timer)  # type: ignore[attr-defined]

    def _process_events(self, event_list: object) -> None:
        """There are no files or sockets."""

    def _write_to_self(self) -> None:
        """There are no threads."""
