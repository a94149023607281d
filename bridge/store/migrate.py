"""Brings a database to the schema of this version. On SQLite by itself at start, on PostgreSQL by the command."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from bridge.store.database import Database


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection) -> None:
    """Run the migrations that are missing, in the caller's transaction."""
    command.upgrade(_config(connection), "head")


def versions(connection: Connection) -> tuple[str | None, str | None]:
    """Give the version that the database has, and the one that this program needs."""
    return MigrationContext.configure(connection).get_current_revision(), ScriptDirectory.from_config(
        _config()
    ).get_current_head()


def known_versions() -> frozenset[str]:
    """Name every version of the schema that this program has heard of."""
    return frozenset(script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions())


async def migrate(database: Database) -> None:
    """Bring ``database`` up to date."""
    await database.write(upgrade)


async def is_current(database: Database) -> bool:
    """Tell whether the database has the schema that this program needs."""
    found, needed = await database.read(versions)
    return found == needed
