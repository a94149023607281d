"""The way to the database: short transactions, and one error for everything that may heal by itself.

A transaction is a plain function of a connection. SQLite runs it whole in one thread of its own (one hop instead of one
a statement), PostgreSQL on an async engine; what the function says is the same for both.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import cache
from operator import itemgetter
from pathlib import Path
from secrets import token_hex
from typing import Any, TypeVar, cast

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy import Connection, CursorResult, Table, create_engine, event, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from bridge.core.errors import BridgeError, InvalidInput, StoreUnavailable
from bridge.store.together import Together

__all__ = [
    "Connection",
    "Database",
    "Line",
    "Prepared",
    "check_there",
    "insert",
    "insert_new",
    "make_folder",
    "read_url",
    "to_json",
]

BUSY_TIMEOUT = 10  # seconds that SQLite waits for another process's write
FROZEN = 15  # seconds that a PostgreSQL transaction may stand still between two statements
BELL = "burgernet_bridge"  # the PostgreSQL channel on which processes ring for each other
PROCESS = token_hex(4)  # names this process, to itself and to others: no two may take each other for their own
_NOW = select(func.extract("epoch", func.clock_timestamp()))
_RING = select(func.pg_notify(BELL, PROCESS))
T = TypeVar("T")
_write_json = json.JSONEncoder(separators=(",", ":")).encode  # made once: that takes as long as to write a value


class Database:
    """One database: ``sqlite:///path`` or ``postgresql://…``. Close it when done."""

    def __init__(self, url: str) -> None:
        self.url = read_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._way: _Sqlite | _Postgresql = _Sqlite(self.url) if self.is_sqlite else _Postgresql(self.url)
        self._boot: float | None = None  # the database's time at nought of this process's monotonic clock

    def clock(self) -> float:
        """Give the time, in seconds since the epoch: the database's where many processes on many hosts share one."""
        return time.time() if self._boot is None else self._boot + time.monotonic()

    async def set_clock(self) -> None:
        """Go by the database's clock; an embedded one has the machine's. May raise ``StoreUnavailable``."""
        if not self.is_sqlite:
            async with self.line(lambda: None) as line:
                await line.set_clock()

    @property
    def path(self) -> Path | None:
        """Where the SQLite file is; ``None`` for PostgreSQL."""
        return Path(self.url.database or "") if self.is_sqlite else None

    async def write(self, change: Callable[[Connection], T], *, ring: bool = False) -> T:
        """Run ``change`` in a transaction; it commits at the end, or not at all. May raise ``StoreUnavailable``.

        With ``ring`` the commit rings for the other processes, that they look at once; an embedded store has none, and
        there those that wait at the same time share one commit.
        """
        with _told():
            if ring and isinstance(self._way, _Sqlite):
                return await self._way.together(change)
            return await self._way.run(_and_ring(change) if ring else change, reads=False)

    async def read(self, look: Callable[[Connection], T]) -> T:
        """Run ``look`` in a transaction that only reads, on one snapshot. May raise ``StoreUnavailable``."""
        with _told():
            return await self._way.run(look, reads=True)

    @asynccontextmanager
    async def line(self, on_ring: Callable[[], None]) -> AsyncIterator[Line]:
        """Open a connection of its own to PostgreSQL, which hears the others' rings. May raise ``StoreUnavailable``."""
        if isinstance(self._way, _Sqlite):
            raise TypeError("an embedded store has one process, and nobody to ring")
        with _told():
            async with self._way.listening(on_ring) as connection:
                yield Line(self, connection)

    async def close(self) -> None:
        """Give all connections back."""
        await self._way.close()


class Line:
    """One connection that stays: what it is asked fails when the way to the database is lost."""

    def __init__(self, database: Database, connection: AsyncConnection) -> None:
        self._database = database
        self._connection = connection

    async def write(self, change: Callable[[Connection], T]) -> T:
        """Run ``change`` in a transaction on this very connection."""
        async with self._connection.begin():
            return await self._connection.run_sync(change)

    async def set_clock(self) -> None:
        """Set the process's clock by the database's. A step of the machine's own clock then changes nothing."""
        asked = time.monotonic()
        now = float(await self.write(lambda connection: connection.execute(_NOW).scalar_one()))
        self._database._boot = now - (asked + time.monotonic()) / 2  # noqa: SLF001 - its own other half


@contextmanager
def _told() -> Iterator[None]:
    """Make one error of everything that may heal by itself."""
    try:
        yield
    except (DBAPIError, PoolTimeoutError, OSError, asyncpg.InterfaceError, asyncpg.PostgresError) as error:
        if _may_heal(error):
            raise StoreUnavailable(f"the database did not answer: {_cause(error)}") from error
        if isinstance(error, DBAPIError) and error.statement is None:  # it let nobody in
            raise BridgeError(f"the database cannot be used: {_cause(error)}") from error
        raise


def _and_ring(change: Callable[[Connection], T]) -> Callable[[Connection], T]:
    def both(connection: Connection) -> T:
        result = change(connection)
        connection.execute(_RING)
        return result

    return both


class _Sqlite:
    """One thread writes, two read: SQLite has one writer, and queueing is fairer than its busy waiting."""

    def __init__(self, url: URL) -> None:
        make_folder(url)
        with suppress(OSError):  # SQLite says it better
            # Names, addresses and texts: for its owner alone. SQLite gives its log the same mode.
            Path(url.database or "").touch(mode=0o600, exist_ok=False)
        self._engine = create_engine(url, hide_parameters=True)
        event.listen(self._engine, "connect", _prepare_sqlite)
        event.listen(self._engine, "begin", _begin_sqlite)
        self._together = Together(self._write)  # for each change waits for the disk
        self._own = threading.local()  # each thread's connection: a pool would be asked for it time and again
        self._connections: list[Connection] = []
        self._writer = ThreadPoolExecutor(1, "store-writer")
        self._readers = ThreadPoolExecutor(2, "store-reader")

    async def run(self, function: Callable[[Connection], T], *, reads: bool) -> T:
        pool = self._readers if reads else self._writer
        # A transaction that has begun is carried to its end, whoever stops waiting for it.
        return await asyncio.get_running_loop().run_in_executor(pool, self._in_transaction, function, reads)

    async def together(self, change: Callable[[Connection], T]) -> T:
        """Write; what comes while others are being written shares a commit."""
        return cast("T", await self._together.add(change))

    async def _write(self, changes: Sequence[Callable[[Connection], Any]]) -> Sequence[Any]:
        return await self.run(lambda connection: [change(connection) for change in changes], reads=False)

    async def close(self) -> None:
        await asyncio.to_thread(self._stop)

    def _in_transaction(self, function: Callable[[Connection], T], reads: bool) -> T:
        connection: Connection = getattr(self._own, "connection", None) or self._connect(reads)
        with connection.begin():
            return function(connection)

    def _connect(self, reads: bool) -> Connection:
        connection = self._engine.connect().execution_options(bridge_reads=reads)
        self._own.connection = connection
        self._connections.append(connection)
        return connection

    def _stop(self) -> None:
        self._writer.shutdown()
        self._readers.shutdown()
        for connection in self._connections:
            connection.close()
        self._engine.dispose()


class _Postgresql:
    def __init__(self, url: URL) -> None:
        # A process that froze in a transaction must not hold its locks against the others for ever.
        settings = {"application_name": session_of(PROCESS), "idle_in_transaction_session_timeout": str(FROZEN * 1000)}
        self._engine = create_async_engine(
            url,
            pool_size=5,
            max_overflow=5,
            hide_parameters=True,
            connect_args={"timeout": 10, "command_timeout": 60, "server_settings": settings},
        )

    async def run(self, function: Callable[[Connection], T], *, reads: bool) -> T:
        async with self._engine.connect() as connection:
            if reads:
                await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            async with connection.begin():
                return await connection.run_sync(function)

    @asynccontextmanager
    async def listening(self, on_ring: Callable[[], None]) -> AsyncIterator[AsyncConnection]:
        """Hold a connection that hears rings; it is not used again afterwards."""

        def hear(_connection: object, _process: int, _channel: str, ringer: str) -> None:
            if ringer != PROCESS:
                on_ring()

        async with self._engine.connect() as connection:
            try:
                driver: Any = (await connection.get_raw_connection()).driver_connection
                await driver.add_listener(BELL, hear)
                yield connection
            finally:
                await connection.invalidate()

    async def close(self) -> None:
        await self._engine.dispose()


class Prepared:
    """A statement that is made once for each kind of database and then handed to its driver as it is.

    SQLAlchemy looks at every value on its way to the driver and back; where every event or every step waits, that takes
    longer than the database does. A row has a value for every parameter of the statement; what comes back is as the
    driver gives it. ``statement`` may be made for a dialect by its name.
    """

    def __init__(self, statement: Any) -> None:
        self._statement = statement
        self._made: dict[str, tuple[str, Callable[[Any], Any]]] = {}

    def one(self, connection: Connection, row: Mapping[str, Any]) -> CursorResult[Any]:
        """Run it once, and give what comes of it."""
        text, values_of = self._made.get(connection.dialect.name) or self._make(connection)
        return connection.exec_driver_sql(text, values_of(row))

    def run(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run it for all rows in one go; for none, not at all."""
        if rows:
            text, values_of = self._made.get(connection.dialect.name) or self._make(connection)
            connection.exec_driver_sql(text, [values_of(row) for row in rows])

    def _make(self, connection: Connection) -> tuple[str, Callable[[Any], Any]]:
        name = connection.dialect.name
        statement = self._statement(name) if callable(self._statement) else self._statement
        compiled = statement.compile(dialect=connection.dialect)
        names = compiled.positiontup
        values_of = itemgetter(*names) if len(names) > 1 else lambda row: (row[names[0]],)
        made = str(compiled), values_of
        self._made[connection.dialect.name] = made
        return made


def session_of(process: str) -> str:
    """Name the sessions of a process at PostgreSQL."""
    return f"burgernet-bridge/{process}"


def insert(dialect: str, table: Table) -> Any:
    """Start an INSERT that knows ``on_conflict_do_…``, which both databases spell alike."""
    return (sqlite.insert if dialect == "sqlite" else postgresql.insert)(table)


def insert_new(connection: Connection, table: Table) -> Any:
    """Give an INSERT that leaves alone what is there already; made once for each table."""
    return _insert_new(connection.dialect.name, table)


@cache
def _insert_new(dialect: str, table: Table) -> Any:
    return insert(dialect, table).on_conflict_do_nothing()


def read_url(text: str) -> URL:
    """Read ``store.url``; raise ``InvalidInput`` for anything but SQLite in a file and PostgreSQL."""
    try:
        url = make_url(text)
    except ArgumentError:
        url = None
    drivers = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
    backend = url.drivername.partition("+")[0] if url else ""
    if url is None or backend not in drivers:
        raise InvalidInput("store.url: is not a database URL; allowed: sqlite:///path or postgresql://user@host/name")
    if backend == "sqlite" and url.database in (None, "", ":memory:"):
        raise InvalidInput("store.url: needs a file, like sqlite:///var/bridge.db: memory forgets")
    return url.set(drivername=drivers[backend])


def check_there(url: str) -> None:
    """Raise ``BridgeError`` for a SQLite file that is not there: to open one would make it, and find it empty."""
    found = read_url(url)
    if found.get_backend_name() == "sqlite" and not (path := Path(found.database or "")).exists():
        raise BridgeError(
            f"there is no store at {path.absolute()}; has the bridge run here? store.url says where it is"
        )


def make_folder(url: URL) -> None:
    """Make the folder of a SQLite file; raise ``InvalidInput`` when it cannot be made."""
    folder = Path(url.database or "").parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"store.url: the folder {folder} cannot be made ({error.strerror})") from None


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # we begin transactions ourselves, as IMMEDIATE
    cursor = connection.cursor()
    # The first holds for a new file only, and only before anything is written to it.
    for pragma in ("auto_vacuum=INCREMENTAL", "journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT * 1000}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    reads = connection.get_execution_options().get("bridge_reads")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _may_heal(error: Exception) -> bool:
    if not isinstance(error, DBAPIError):
        return True
    return isinstance(error, (OperationalError, InterfaceError)) or error.connection_invalidated or _retryable(error)


_STOOD_STILL = "25P03"  # idle_in_transaction_session_timeout
_RETRYABLE = ("40", "53", "55", "57", "08")  # SQLSTATE classes: conflict, resources, locks, shutdown, connection


def _retryable(error: DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", None) or getattr(getattr(error.orig, "__cause__", None), "sqlstate", None)
    return isinstance(state, str) and (state[:2] in _RETRYABLE or state == _STOOD_STILL)


def _cause(error: BaseException) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return (str(cause).splitlines() or [type(cause).__name__])[0][:200]


def to_json(value: Any) -> str:
    """Write a small value for a text column, in ASCII: half a surrogate, which a stranger may send, is a text too."""
    return _write_json(value)
