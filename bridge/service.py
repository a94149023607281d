"""The life of the service: parts that run side by side, an ordered stop with a deadline, and a clear end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sdnotify
import structlog

from bridge.core.errors import BridgeError
from bridge.core.ports import Part

log = structlog.get_logger()


class Role(StrEnum):
    """What a process does: it takes events in, shows and takes back, or answers on the web."""

    INTAKE = "intake"
    DISPATCH = "dispatch"
    WEB = "web"


class PartDied(Exception):
    """A part of the service ended by itself; the message says which and why."""


@dataclass(frozen=True)
class Stop:
    """One thing to do at an ordered stop; they are done in the order of the list."""

    name: str
    act: Callable[[], Awaitable[None]]


class Service:
    """Runs parts until a signal; then stops in order, within ``stop_timeout`` seconds. A second signal kills.

    SIGHUP calls ``on_hangup``, and the service goes on.
    """

    def __init__(
        self, parts: dict[str, Part], stops: Sequence[Stop], stop_timeout: float, on_hangup: Callable[[], None]
    ) -> None:
        self.parts = parts
        self._on_hangup = on_hangup
        self._stops = stops
        self._stop_timeout = stop_timeout
        self._stopping = asyncio.Event()
        self._notifier = sdnotify.SystemdNotifier()

    def stop(self) -> None:
        """Ask for an ordered stop."""
        self._stopping.set()

    def not_ready(self) -> dict[str, str]:
        """Name the parts that are not ready, and why."""
        return {name: part.not_ready for name, part in self.parts.items() if part.not_ready}

    async def run(self) -> None:
        """Run until stopped. Raises ``PartDied`` when a part ended by itself."""
        self._listen_to_signals()
        tasks: dict[asyncio.Future[Any], str] = {
            asyncio.ensure_future(part.run()): name for name, part in self.parts.items()
        }
        stopping: asyncio.Future[Any] = asyncio.ensure_future(self._stopping.wait())
        telling = asyncio.ensure_future(self._tell_systemd())
        try:
            ended, _ = await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
            self._notifier.notify("STOPPING=1")
            died = [(tasks[task], task.exception()) for task in ended if task in tasks]
            if not died:
                await self._stop_in_order()
        finally:
            for task in (*tasks, stopping, telling):
                task.cancel()
            await asyncio.wait([*tasks, stopping, telling], timeout=5)
        if died:
            name, error = died[0]
            raise PartDied(f"{name} ended: {_why(error)}") from error

    async def _stop_in_order(self) -> None:
        log.info("stopping", timeout=self._stop_timeout)
        try:
            async with asyncio.timeout(self._stop_timeout):
                for stop in self._stops:
                    await stop.act()
            log.info("stopped")
        except TimeoutError:
            log.warning("stopped with steps still in flight; they will be looked at again at the next start")

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)

    def _on_signal(self, number: signal.Signals) -> None:
        if self._stopping.is_set():
            log.warning("second signal: stopping at once", signal=number.name)
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        log.info("signal", signal=number.name)
        self._stopping.set()

    async def _tell_systemd(self) -> None:
        """Tell systemd when we are ready, and feed its watchdog while the loop turns."""
        told = False
        while True:
            if not told and not self.not_ready():
                self._notifier.notify("READY=1")
                told = True
                log.info("ready")
            self._notifier.notify("WATCHDOG=1")
            await asyncio.sleep(0.1 if not told else 5.0)


def _why(error: BaseException | None) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, BridgeError):
        return str(error)  # a sentence for people
    return f"{type(error).__name__}: {error}" if error else "it returned"
