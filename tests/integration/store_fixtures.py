"""An empty database with the bridge's schema, once on SQLite and once on PostgreSQL.

A test module takes it with ``from tests.integration.store_fixtures import fresh_database, store_url  # noqa: F401`` and
asks for ``database``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.store import schema
from bridge.store.database import Database


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of an empty database of this test's own; without a PostgreSQL that half is skipped, or fails in CI."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/bridge.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(name="database")
async def fresh_database(store_url: str) -> AsyncIterator[Database]:
    """Give a database with all tables, and nothing in them."""
    database = Database(store_url)
    try:
        await database.write(schema.metadata.create_all)
        yield database
    finally:
        await database.close()
