"""The migrations and the schema in code are one thing, on both databases."""

from __future__ import annotations

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, Connection, Integer, MetaData, Table, inspect

from bridge.store import schema
from bridge.store.database import Database
from bridge.store.migrate import fits, migrate
from tests.integration.spine_store import database_fixture, masters_fixture, store_url  # noqa: F401


def differences(connection: Connection, metadata: MetaData) -> list[object]:
    """List what a database has that ``metadata`` has not, and the other way round; types included."""
    context = MigrationContext.configure(connection, opts={"compare_type": True, "target_metadata": metadata})
    return list(compare_metadata(context, metadata))


async def test_the_migrations_make_exactly_the_schema_in_code(database: Database) -> None:
    """Tables, columns, types, nullability and indexes of a migrated database are those of ``schema.metadata``."""
    assert await database.read(lambda connection: differences(connection, schema.metadata)) == []


async def test_a_forgotten_migration_is_seen(database: Database) -> None:
    """The test above can fail: one more column in code, and it does."""
    more = MetaData()
    for table in schema.metadata.tables.values():
        table.to_metadata(more)
    Table("cases", more, Column("forgotten", Integer), extend_existing=True)
    found = await database.read(lambda connection: differences(connection, more))
    assert "forgotten" in str(found)


async def test_partial_indexes_have_their_conditions(tmp_path: Path) -> None:
    """What alembic does not compare: the conditions of partial indexes, word for word on SQLite."""
    migrated = Database(f"sqlite:///{tmp_path}/migrated.db")
    made = Database(f"sqlite:///{tmp_path}/made.db")
    try:
        await migrate(migrated)
        await made.write(schema.metadata.create_all)
        assert await migrated.read(conditions) == await made.read(conditions)
    finally:
        await migrated.close()
        await made.close()


def conditions(connection: Connection) -> dict[str, str]:
    """Give the condition of each partial index."""
    found = {}
    for table in schema.metadata.tables:
        for index in inspect(connection).get_indexes(table):
            condition = index.get("dialect_options", {}).get("sqlite_where")
            if condition is not None:
                found[str(index["name"])] = " ".join(str(condition).split())
    assert found
    return found


async def test_migrating_again_changes_nothing(database: Database) -> None:
    """A database that is up to date stays as it is."""
    await migrate(database)
    assert await database.read(fits)


async def test_a_new_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    """The embedded store and its log hold names and addresses: nobody else on the machine reads them."""
    database = Database(f"sqlite:///{tmp_path}/new.db")
    try:
        await migrate(database)
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    finally:
        await database.close()
    assert modes["new.db"] == 0o600
    assert set(modes.values()) == {0o600}
