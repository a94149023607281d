"""Brings a database to the schema of this version. On SQLite by itself at start, on PostgreSQL by the command."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, select

from bridge.core.errors import BridgeError
from bridge.store.cases import fact
from bridge.store.database import Database

SERVES = "schema_serves"  # the fact that names the oldest revision whose programs work on this database
_LOCK = 0x62757267  # of pg_advisory_lock: any number that nobody else uses


def alembic_config(connection: Connection | None = None) -> Config:
    """Tell Alembic where the migrations are, and on which connection they run."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection) -> None:
    """Run the migrations that are missing, in the caller's transaction; one process at a time."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    found = version(connection)
    if _is_newer(found):
        raise BridgeError(f"the database has the newer schema {found}; install the version of the bridge that made it")
    command.upgrade(alembic_config(connection), "head")


def version(connection: Connection) -> str | None:
    """Name the version of the schema that the database has; ``None``: it has none."""
    return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """Name the version of the schema that this program needs."""
    return ScriptDirectory.from_config(alembic_config()).get_current_head() or ""


def known_versions() -> frozenset[str]:
    """Name every version of the schema that this program has heard of."""
    return frozenset(script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions())


def _is_newer(found: str | None) -> bool:
    return found is not None and found not in known_versions()


def fits(connection: Connection) -> bool:
    """Tell whether this program can work on the database: it has its schema, or a newer one that serves it as well.

    A migration only adds; one that has to break old programs says so: it raises the fact ``SERVES`` to the oldest
    version whose programs still work on it.
    """
    found = version(connection)
    return head() >= fact(connection, SERVES) if _is_newer(found) else found == head()


async def migrate(database: Database) -> None:
    """Bring ``database`` up to date; ``BridgeError`` when it is newer than this program."""
    await database.write(upgrade)
