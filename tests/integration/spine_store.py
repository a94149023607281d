"""The ``database`` fixture: an empty, migrated store, once on SQLite and once on PostgreSQL.

A test module imports ``database_fixture``, ``store_url`` and ``masters_fixture`` to have it.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import asyncpg  # type: ignore[import-untyped]
import pytest
from sqlalchemy import delete
from yarl import URL

from bridge.store import schema
from bridge.store.database import Connection, Database
from bridge.store.migrate import migrate
from tests.integration.conftest import server

T = TypeVar("T")


@dataclass
class Masters:
    """Databases that were migrated once: a SQLite file to copy, a PostgreSQL to empty; made when first asked for."""

    folder: Path
    names: list[str] = field(default_factory=list)

    def sqlite(self, copy: Path) -> str:
        """Give the URL of a fresh copy."""
        master = self.folder / "master.db"
        if not master.exists():
            _run(_migrated(f"sqlite:///{master}"))
        shutil.copy(master, copy)
        return f"sqlite:///{copy}"

    def postgres(self) -> str:
        """Give the URL of the one PostgreSQL database of this session."""
        at = server("BRIDGE_TEST_POSTGRES_URL")
        if not self.names:
            name = f"bridge_test_{uuid4().hex}"
            _run(_admin(f"CREATE DATABASE {name}"))
            self.names.append(name)
            _run(_migrated(str(URL(at).with_path(f"/{name}"))))
        return str(URL(at).with_path(f"/{self.names[0]}"))

    def drop(self) -> None:
        """Remove what was made on the PostgreSQL server."""
        for name in self.names:
            _run(_admin(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine between two tests, where no loop runs."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


async def _migrated(url: str) -> None:
    database = Database(url)
    await migrate(database)
    await database.close()


async def _admin(statement: str) -> None:
    connection: Any = await asyncpg.connect(server("BRIDGE_TEST_POSTGRES_URL"), timeout=10)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(name="masters", scope="session")
def masters_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Masters]:
    """Keep migrated databases for the whole session."""
    masters = Masters(tmp_path_factory.mktemp("store"))
    yield masters
    masters.drop()


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, masters: Masters, tmp_path: Path) -> str:
    """Give the URL of a migrated store: a SQLite file of this test's own, or the session's PostgreSQL database."""
    return masters.sqlite(tmp_path / "bridge.db") if request.param == "sqlite" else masters.postgres()


@pytest.fixture(name="database")
async def database_fixture(store_url: str) -> AsyncIterator[Database]:
    """Give an empty store."""
    database = Database(store_url)
    await database.write(_empty)
    yield database
    await database.close()


def _empty(connection: Connection) -> None:
    for table in schema.metadata.tables.values():
        connection.execute(delete(table))
