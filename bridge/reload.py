"""Takes over rules, targets and templates while the bridge runs: all of them, or none.

Two ways lead here: SIGHUP, for one process, and a wish in the store (``burgernet-bridge reload``), for all. A set with
a fault is refused, and the last good one goes on deciding; the answer, the log, the metrics and ``/readyz`` say why.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

import structlog
from pydantic import BaseModel

from bridge.adapters.registry import AdapterType
from bridge.core.errors import InvalidInput, StoreUnavailable
from bridge.core.posting import Capabilities
from bridge.logs import mask
from bridge.policy import Configured, Current, load_policy
from bridge.settings import Loaded, Settings, load_settings
from bridge.store import policies
from bridge.store.database import Database
from bridge.store.policies import InUse

POLL = 1.0  # seconds between looks for a wish
# The settings that a reload takes over; a change of others waits for a start.
READ_ANEW = frozenset({"rules", "targets", "templates", "layout", "advice", "boundaries"})

log = structlog.get_logger()


class Reloader:
    """Reads the policy anew when it is asked to. ``on_change``: who must know that another one decides."""

    not_ready: str | None = None

    def __init__(
        self,
        database: Database,
        current: Current,
        read: Callable[[], tuple[Configured, tuple[str, ...]]],
        worker: str,
        on_change: Iterable[Callable[[], None]] = (),
        *,
        poll: float = POLL,
    ) -> None:
        self._database = database
        self._current = current
        self._read = read  # gives the set on disk and notes for people; raises InvalidInput with every fault
        self._worker = worker
        self._on_change = list(on_change)
        self._poll = poll
        self._hung_up = asyncio.Event()
        self._reading = asyncio.Lock()
        self._answered: int | None = None  # the latest wish that was done
        self._said = False
        self._since = time.time()
        self._error: tuple[str, ...] = ()
        self._notes: tuple[str, ...] = current.configured.findings

    @property
    def refused(self) -> bool:
        """Whether what stands on disk was refused, so that an older set decides."""
        return bool(self._error)

    @property
    def since(self) -> float:
        """When the set that decides was read, in seconds since the epoch."""
        return self._since

    @property
    def details(self) -> Mapping[str, Any]:
        """Say for people what decides, since when, and why it is not what stands on disk."""
        since = datetime.fromtimestamp(self._since, UTC).isoformat(timespec="seconds")
        return {"digest": self._current.configured.policy.digest[:12], "since": since, "error": list(self._error)}

    def hang_up(self) -> None:
        """Read anew now, for SIGHUP came."""
        self._hung_up.set()

    async def run(self) -> None:
        """Hear SIGHUP and look for wishes, side by side, for ever: a store that is silent holds up no SIGHUP."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hear())
            group.create_task(self._look())

    async def _hear(self) -> None:
        while True:
            await self._hung_up.wait()
            self._hung_up.clear()
            await self._take_over()

    async def _look(self) -> None:
        while True:
            with suppress(StoreUnavailable):
                await self._answer()
            await asyncio.sleep(self._poll)

    async def _answer(self) -> None:
        """Do what was wished since the last look, and say what decides here, if that is news."""
        number, at = await self._database.read(policies.wished)
        read_at = self._database.clock() - (time.monotonic() - self._current.read)
        if number != self._answered:
            if self._answered is not None or at >= read_at:  # at the start: unless it was wished before that
                await self._take_over()
            self._answered, self._said = number, False
        if not self._said:
            self._said = True  # before it is said: what changes meanwhile is news again
            try:
                await self._say(number)
            except StoreUnavailable:
                self._said = False
                raise

    async def _take_over(self) -> None:
        """Read what stands on disk, beside the loop; endings do not wait for it. One at a time: the latest decides."""
        async with self._reading:
            await self._read_anew()

    async def _read_anew(self) -> None:
        try:
            found, notes = await asyncio.to_thread(self._read)
        except InvalidInput as error:
            self._refuse(error.problems)
            return
        except Exception as error:  # noqa: BLE001 - the named boundary: whatever is on disk must not stop the bridge
            self._refuse([f"the files could not be read ({type(error).__name__})"])
            return
        changed = found.policy.digest != self._current.configured.policy.digest
        self._current.take(found)
        self._said = False
        self._error, self._notes, self._since = (), (*found.findings, *found.mended, *notes), time.time()
        for line in self._notes:
            log.warning("reloaded, with a remark", remark=line)
        policy = found.policy
        log.info("reloaded", changed=changed, targets=len(policy.targets), rules=len(policy.rules))
        for tell in self._on_change:  # also when nothing changed that decides: a secret may have
            tell()

    def _refuse(self, problems: Iterable[str]) -> None:
        self._error, self._said = tuple(mask(line) for line in problems), False
        log.error("reload refused: the last good rules, targets and templates go on", problems=list(self._error))

    async def _say(self, number: int) -> None:
        policy = self._current.configured.policy
        mine = InUse(
            worker=self._worker,
            digest=policy.digest,
            since=self._since,
            targets=len(policy.targets),
            rules=len(policy.rules),
            error=self._error,
            notes=self._notes,
        )
        await self._database.write(partial(policies.say, number=number, mine=mine, alone=self._database.is_sqlite))


def read_anew(
    running: Loaded, types: Mapping[str, AdapterType], capabilities: Mapping[str, Capabilities]
) -> tuple[Configured, tuple[str, ...]]:
    """Read the files as they stand now, and note the settings whose change waits for a start.

    Stricter than a start, for there is a good set to stay with: templates must render everything.
    """
    fresh = load_settings(running.file) if running.file else running
    problems: list[str] = []
    found = None
    try:
        found = load_policy(fresh, types, capabilities)
        problems += found.templates.check()
    except InvalidInput as error:
        problems += error.problems
    if problems or found is None:
        raise InvalidInput(*problems)
    waiting = ", ".join(_differences(running.settings, fresh.settings))
    return found, (f"needs a restart to be taken over: {waiting}",) if waiting else ()


def _differences(before: Settings, after: Settings) -> Iterator[str]:
    """Name the settings that differ; never their values, for secrets are among them."""
    for section in Settings.model_fields:
        old, new = getattr(before, section), getattr(after, section)
        if old == new or section in READ_ANEW:
            continue
        if isinstance(old, BaseModel):
            yield from (f"{section}.{key}" for key in type(old).model_fields if getattr(old, key) != getattr(new, key))
        else:
            yield from (f"{section}.{key}" for key in sorted({*old, *new}) if old.get(key) != new.get(key))
