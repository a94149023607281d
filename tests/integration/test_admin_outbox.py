"""The outbox of group admins in the store: each message once, many in one commit, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from bridge.core.content import Content, Phase
from bridge.core.errors import StoreUnavailable
from bridge.core.posting import Posting, posting_id
from bridge.store.database import Connection, Database
from bridge.store.outbox import AdminOutboxStore, outbox
from tests.integration.store_bench import BEHEERDER
from tests.integration.store_fixtures import fresh_database, store_url  # noqa: F401


def message(number: int, revision: int = 1, phase: Phase = Phase.OPENED) -> tuple[Posting, Content]:
    """Give a message for the admin ``merenwijk-1``, and the posting it is of."""
    case = f"zaak-{number}"
    content = Content(case, revision, phase, "nl", "Vermist: jongen (8)", f"Bericht {number}, versie {revision}")
    return Posting(posting_id(case, BEHEERDER), case, BEHEERDER), content


class Watched:
    """A database that counts its transactions, and fails or waits when it is told to."""

    def __init__(self, database: Database) -> None:
        self.writes = 0
        self.error: StoreUnavailable | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self._database = database

    async def write(self, change: Callable[[Connection], Any]) -> Any:
        """Run a transaction."""
        self.writes += 1
        await self.gate.wait()
        if self.error:
            raise self.error
        return await self._database.write(change)


async def test_an_admin_reads_messages_in_order_and_each_once(database: Database) -> None:
    """A message that is put twice is there once, the newest stands last, and others' messages are not there."""
    clock = iter(range(1, 10))
    store = AdminOutboxStore(database, lambda: float(next(clock)))
    for posting, content in (message(1), message(1), message(1, 2, Phase.ENDED), message(2)):
        await store.put(posting, content)
    found = await database.read(lambda connection: outbox(connection, "merenwijk-1"))
    assert [(one["case"], one["revision"], one["phase"]) for one in found] == [
        ("zaak-1", 1, "opened"),
        ("zaak-1", 2, "ended"),
        ("zaak-2", 1, "opened"),
    ]
    assert (found[0]["text"], found[0]["at"]) == ("Bericht 1, versie 1", "1970-01-01T00:00:01.000+00:00")
    assert await database.read(lambda connection: outbox(connection, "merenwijk")) == []


async def test_messages_that_come_together_share_a_transaction(database: Database) -> None:
    """A hundred admins cost one commit; what comes during that commit goes in the next."""
    watched = Watched(database)
    store = AdminOutboxStore(watched)  # type: ignore[arg-type]
    watched.gate.clear()
    async with asyncio.TaskGroup() as group:
        for number in range(100):
            group.create_task(store.put(*message(number)))
        while watched.writes < 1:
            await asyncio.sleep(0)
        for number in range(100, 120):
            group.create_task(store.put(*message(number)))
        await asyncio.sleep(0)
        watched.gate.set()
    assert watched.writes == 2
    assert len(await database.read(lambda connection: outbox(connection, "merenwijk-1"))) == 120


async def test_everyone_hears_that_the_store_is_away(database: Database) -> None:
    """One failed commit is told to each who waited for it, is not tried by each anew, and may be repeated."""
    watched = Watched(database)
    watched.error = StoreUnavailable("the database is locked")
    store = AdminOutboxStore(watched)  # type: ignore[arg-type]
    results = await asyncio.gather(*(store.put(*message(number)) for number in range(5)), return_exceptions=True)
    assert [str(result) for result in results] == ["the database is locked"] * 5
    assert watched.writes == 1
    watched.error = None
    await store.put(*message(1))
    assert len(await database.read(lambda connection: outbox(connection, "merenwijk-1"))) == 1


async def test_a_writer_that_is_cancelled_leaves_its_batch_to_the_next(database: Database) -> None:
    """When the one who writes for all is cancelled, nobody's message is lost."""
    watched = Watched(database)
    store = AdminOutboxStore(watched)  # type: ignore[arg-type]
    watched.gate.clear()
    first, *others = (asyncio.ensure_future(store.put(*message(number))) for number in range(3))
    while watched.writes < 1:
        await asyncio.sleep(0)
    first.cancel()
    watched.gate.set()
    await asyncio.gather(*others)
    found = await database.read(lambda connection: outbox(connection, "merenwijk-1"))
    assert {"zaak-1", "zaak-2"} <= {one["case"] for one in found}
    assert first.cancelled()
