"""A bridge without a broker, put together by hand on a database of its own: what the tests of the spine drive.

Its clock stands still and jumps: ``Spine.until`` moves it to the moment the next posting is due, as soon as nothing is
in flight, so that an hour of retries takes no time and the order of things stays real.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Self
from uuid import uuid4

from sqlalchemy import RowMapping, Table, and_, func, or_, select

from bridge.core.content import Words
from bridge.core.events import Event, parse_structured
from bridge.core.planning import Policy
from bridge.core.posting import posting_id
from bridge.core.retry import Timing
from bridge.core.rules import RuleFile
from bridge.core.target import Target
from bridge.dispatch.dispatcher import Dispatcher
from bridge.intake.accept import Accepted, Intake
from bridge.store import schema
from bridge.store.database import Database
from bridge.store.rows import Finished, Work
from bridge.store.wishes import LATER
from bridge.store.work import WorkStore
from tests.integration.fake_adapters import Fake, FakeBoard, FakeMail, FakePage

PATIENCE = 20.0  # seconds of real time that a condition may take; it normally takes milliseconds
START = datetime(2026, 11, 22, 9, 15, tzinfo=UTC).timestamp()


# Targets, events, words


def board(name: str, *, address: str = "", photo: bool = False, columns: int = 40) -> Target:
    """Make a board of a municipality."""
    sign = {"columns": columns, "rows": 5, "pages": 4, "photo": photo}
    return _target(name, "sign", "board", address, "municipality", sign=sign)


def page(name: str, *, address: str = "") -> Target:
    """Make a municipality's page."""
    return _target(name, "facebook", "page", address, "municipality")


def mail(name: str, *, languages: Sequence[str] = ()) -> Target:
    """Make a citizen's mailbox."""
    return _target(name, "email", "mail", "", "citizen", languages=languages)


def _target(name: str, channel: str, adapter: str, address: str, owner: str, **more: Any) -> Target:
    fields = {"id": name, "channel": channel, "adapter": adapter, "address": address or f"at {name}"}
    return Target.model_validate({**fields, "owner": {"kind": owner}, **more})


ALLOW_ALL = {"rules": [{"name": "all", "effect": "allow", "reason": {"nl": "mag", "en": "may"}}]}
AREA = {"circle": ["52.180,4.495 2.0"]}
PHOTO_URI = "https://photos.example/boy.jpg"


def event(kind: str, case: str, time: datetime, **data: Any) -> Event:
    """Read an event as the queue brings it; ``id`` and ``source`` may be given, the rest is the event's data."""
    fields: dict[str, Any] = {
        "specversion": "1.0",
        "id": data.pop("id", uuid4().hex),
        "source": data.pop("source", "urn:nld:oin:00000001003214345000:systeem:meldkamer"),
        "type": f"nl.burgernet.alert.{kind}",
        "subject": case,
        "time": time.isoformat(),
    }
    if kind == "ended":
        fields["data"] = {"outcome": "resolved", **data}
    else:
        text = data.pop("text", "Jongen met rode jas")
        info = data.pop("info", [{"headline": "Vermist", "description": text}])
        fields["data"] = {"category": "missing_child_alert", "info": info, "area": AREA, **data}
    return parse_structured(json.dumps(fields))


def with_photo(uri: str = PHOTO_URI) -> list[dict[str, str]]:
    """Name a photo in an event's data."""
    return [{"uri": uri, "mimeType": "image/jpeg"}]


class PlainWords:
    """Templates in one line: the phase, the description, the outcome; ``broken_at`` makes the n-th call fail."""

    def __init__(self, broken_at: int = 0) -> None:
        self.calls = 0
        self.broken_at = broken_at

    def render(self, channel: str, words: Words) -> tuple[str, str]:
        """Say what a template would say."""
        self.calls += 1
        if self.calls == self.broken_at:
            raise BrokenTemplate
        return " ".join(filter(None, (words.phase.value, words.description, words.outcome))), ""


class BrokenTemplate(Exception):
    """A template that fails where nobody expected it."""


class Clock:
    """Stands still until it is moved; seconds since the epoch."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        """Give the time as the dispatcher reads it."""
        return self.now

    def instant(self) -> datetime:
        """Give the time as the intake reads it."""
        return datetime.fromtimestamp(self.now, UTC)


# The bridge


class Worker:
    """One dispatcher with its store, as one process has it."""

    def __init__(self, store: WorkStore, dispatcher: Dispatcher, name: str) -> None:
        self.store = store
        self.dispatcher = dispatcher
        self.task = asyncio.create_task(dispatcher.run(), name=name)

    async def stop(self) -> None:
        """Stop in order."""
        async with asyncio.timeout(PATIENCE):
            await self.dispatcher.stop()
            await self.task

    async def kill(self) -> None:
        """End it wherever it is, as a crash does."""
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


class Spine:
    """Intake, store, dispatchers and channels in memory, on one clock."""

    def __init__(
        self,
        database: Database,
        targets: Sequence[Target],
        *,
        rules: Mapping[str, Any] = ALLOW_ALL,
        adapters: Mapping[str, Fake] | None = None,
        timing: Timing | None = None,
        tell: bool = False,
        seed: int = 1,
    ) -> None:
        self.database = database
        self.clock = Clock()
        self.board, self.page, self.mail = FakeBoard(), FakePage(), FakeMail()
        self.adapters: dict[str, Any] = {"board": self.board, "page": self.page, "mail": self.mail, **(adapters or {})}
        self.timing = timing or Timing()
        self.random = Random(seed)
        self.workers: list[Worker] = []
        self.ran: list[tuple[Work, Finished]] = []
        self.tell = tell
        self.words = PlainWords()
        capabilities = {name: adapter.capabilities for name, adapter in self.adapters.items()}
        self.policy = Policy(targets, RuleFile.model_validate(rules).rules, capabilities, self.words)
        self.intake = Intake(
            database,
            lambda: self.policy,
            max_lifetime=timedelta(hours=4),
            photo_wait=15,
            tell=tell,
            wake=self.wake,
            clock=self.clock.instant,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        for worker in self.workers:
            await worker.kill()

    def wake(self) -> None:
        """Tell every dispatcher to look."""
        for worker in self.workers:
            worker.dispatcher.wake()

    def work_store(self, name: str = "one", database: Database | None = None) -> WorkStore:
        """Make the store's side of a dispatcher."""
        return WorkStore(
            database or self.database,
            self.policy.adapters,
            lambda _digest, read: Target.model_validate_json(read()),
            self.timing,
            worker=name,
            tell=self.tell,
            random=Random(self.random.random()),
        )

    def start(self, name: str = "one", database: Database | None = None) -> Worker:
        """Start a dispatcher."""
        store = self.work_store(name, database)
        dispatcher = Dispatcher(
            store,
            self.adapters,
            self.timing,
            on_step=lambda work, finished: self.ran.append((work, finished)),
            random=Random(self.random.random()),
            clock=self.clock,
        )
        self.workers.append(Worker(store, dispatcher, name))
        return self.workers[-1]

    async def crash(self) -> None:
        """Kill every dispatcher."""
        for worker in self.workers:
            await worker.kill()
        self.workers.clear()

    async def restart(self) -> Worker:
        """Start as an embedded bridge does: every claim is from the dead."""
        await self.work_store().release_all(self.clock())
        return self.start()

    @asynccontextmanager
    async def running(self, part: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
        """Run a part of the service beside the dispatcher."""
        task = asyncio.create_task(part)
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    # Events

    async def opened(self, case: str = "zaak", **data: Any) -> Accepted:
        """Open a case."""
        return await self._accept("opened", case, **data)

    async def updated(self, case: str = "zaak", **data: Any) -> Accepted:
        """Correct a case."""
        return await self._accept("updated", case, **data)

    async def ended(self, case: str = "zaak", **data: Any) -> Accepted:
        """End a case."""
        return await self._accept("ended", case, **data)

    async def _accept(self, kind: str, case: str, **data: Any) -> Accepted:
        """Let an event happen now, or at ``time``; each comes a second after the one before."""
        self.clock.now += 1
        time = data.pop("time", self.clock.instant())
        accepted = await self.intake.accept(event(kind, case, time, **data))
        while await self.intake.plan_more():  # very many targets are judged a few at a time
            pass
        return accepted

    # Looking

    async def rows(self, table: Table, *conditions: Any) -> Sequence[RowMapping]:
        """Read rows of a table."""
        query = select(table).where(*conditions)
        return await self.database.read(lambda connection: connection.execute(query).mappings().all())

    async def count(self, table: Table, *conditions: Any) -> int:
        """Count rows of a table."""
        query = select(func.count()).select_from(table).where(*conditions)
        return await self.database.read(lambda connection: connection.scalar(query) or 0)

    async def posting(self, target: str, case: str = "zaak") -> RowMapping:
        """Read the one posting of a case on a target."""
        t = schema.postings.c
        [row] = await self.rows(schema.postings, t.case_id == case, t.target == target)
        return row

    def posting_id(self, target: str, case: str = "zaak") -> str:
        """Name the posting of a case on a target."""
        return posting_id(case, next(one for one in self.policy.targets if one.id == target))

    async def case(self, name: str = "zaak") -> RowMapping:
        """Read a case."""
        [row] = await self.rows(schema.cases, schema.cases.c.id == name)
        return row

    # Waiting

    async def until(self, condition: Callable[[], bool | Awaitable[bool]], *, travel: bool = True) -> None:
        """Wait for a condition; while nothing is in flight, let the clock jump to the next thing that is due."""
        async with asyncio.timeout(PATIENCE):
            while True:
                # Seen before the condition: what ends in between must not be taken for a reason to jump.
                next_due = await self._next_due() if travel else None
                found = condition()
                if found if isinstance(found, bool) else await found:
                    return
                if next_due:
                    self.clock.now = max(self.clock.now, next_due)
                    self.wake()
                await asyncio.sleep(0.001)

    async def _next_due(self) -> float | None:
        """Tell when the next posting is due at a channel that is tried; ``None`` while something is in flight."""
        t = schema.postings.c
        query = select(t.adapter, func.min(t.due), func.count(t.claim)).group_by(t.adapter)
        rows = await self.database.read(lambda connection: connection.execute(query).all())
        if any(claims for _, _, claims in rows):
            return None
        return min((max(due, self._closed_until(adapter)) for adapter, due, _ in rows if due), default=None)

    def _closed_until(self, adapter: str) -> float:
        """Tell until when the breakers keep every dispatcher off a channel."""
        breakers = [worker.dispatcher._breakers[adapter] for worker in self.workers]
        return min((one.closed_until for one in breakers), default=0.0)

    async def is_closed(self) -> bool:
        """Whether every posting is as desired, or has been given up, with nothing in flight."""
        t = schema.postings.c
        open_gap = or_(t.claim.is_not(None), and_(t.due.is_not(None), t.priority < LATER))
        return await self.count(schema.postings, open_gap) == 0

    async def settled(self) -> None:
        """Wait until nothing is left to do but reading back."""
        await self.until(self.is_closed)

    async def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.now += seconds
        self.wake()
