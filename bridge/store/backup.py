"""A copy of the whole store in one SQLite file, taken from one snapshot while the bridge runs; and the way back.

The file is the same whatever the database: a copy of SQLite can be restored into PostgreSQL, and the other way round.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, create_engine, delete, event, func, inspect, select, text, update
from sqlalchemy.engine import URL
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool

from bridge.core.case import Standing
from bridge.core.errors import BridgeError, InvalidInput
from bridge.core.posting import Capabilities
from bridge.core.restoring import Kept, after_restore
from bridge.core.retry import Timing
from bridge.store import schema
from bridge.store.database import Database
from bridge.store.migrate import fits, head, known_versions, upgrade, version
from bridge.store.rows import Proof, handle_of, result_row, state_in
from bridge.store.wishes import RESTORED

_MANY, _FEW = 1_000, 8  # rows in memory at a time: small ones, and those with texts or photos
_LARGE = frozenset({"events", "cases", "contents", "photos"})
_EMPTY = (schema.cases, schema.events, schema.postings)  # no row in these: an empty store
_COPIED = tuple(table for table in schema.metadata.sorted_tables if table not in (schema.workers, schema.policies))
_SERIAL = (schema.decisions, schema.journal, schema.notices)

_ANY_THREAD = {"check_same_thread": False}  # it is made in one and used in another, never in both at once

Revise = Callable[[Mapping[str, Any], bool], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Copied:
    """What a backup holds: when it was made (seconds since the epoch), rows by table, the cases that were open."""

    made: float
    rows: Mapping[str, int]
    open_cases: tuple[str, ...]


async def back_up(database: Database, path: Path) -> Copied:
    """Write all that the store holds to ``path``: whole, for its owner alone, or not at all."""
    if not await database.read(fits):
        raise BridgeError("the database has another schema than this version needs; run: burgernet-bridge migrate")
    _check_place(path, database.path)
    with _whole_or_nothing(path) as unfinished:
        return await database.read(partial(_back_up, path=unfinished))


def _check_place(path: Path, store: Path | None) -> None:
    own = [Path(f"{store.resolve()}{end}") for end in ("", "-wal", "-shm", ".lock")] if store else []
    if path.is_dir() or path.resolve() in own:
        raise InvalidInput(f"file: {path} is a folder, or the store itself; allowed: another file")


def _back_up(source: Connection, path: Path) -> Copied:
    with _open_file(path) as sink:
        upgrade(sink)
        rows = {table.name: _copy(source, sink, table) for table in _COPIED}
        made = time.time()
        sink.execute(text("CREATE TABLE backup (made DOUBLE NOT NULL)"))
        sink.execute(text("INSERT INTO backup VALUES (:made)"), {"made": made})
        return Copied(made, rows, _open_cases(sink))


async def restore(
    database: Database, path: Path, adapters: Mapping[str, Capabilities] | None, timing: Timing
) -> Copied:
    """Fill an empty store from a backup, in one transaction.

    With ``adapters`` the postings are taken for what they are worth after the world went on (``core.restoring``); with
    ``None`` nothing has run since, and all is as it was.
    """
    await database.set_clock()
    with _readable(path) as current, _open_file(current) as source:
        made = float(source.execute(text("SELECT made FROM backup")).scalar_one())
        now = database.clock()
        revise = partial(_revise, adapters=adapters, timing=timing, now=now, made=made) if adapters else None
        rows = await database.write(partial(_restore, source=source, revise=revise))
        return Copied(made, rows, _open_cases(source))


def _restore(sink: Connection, source: Connection, revise: Revise | None) -> dict[str, int]:
    upgrade(sink)
    for table in _EMPTY:
        if sink.execute(select(table).limit(1)).first() is not None:
            raise BridgeError(f"the store is not empty: it has {table.name}; a backup is restored into an empty one")
    for table in schema.metadata.sorted_tables:
        sink.execute(delete(table))  # what a bridge noted about itself
    rows = {table.name: _copy(source, sink, table, revise) for table in _COPIED}
    if revise:  # whom a mailing was yet to be planned for may have been mailed since; boards are judged again
        sink.execute(update(schema.cases).where(schema.cases.c.planned.is_not(None)).values(planned=RESTORED))
    if sink.dialect.name == "postgresql":
        for table in _SERIAL:
            last = select(func.max(table.c.id)).scalar_subquery()
            sink.execute(select(func.setval(func.pg_get_serial_sequence(table.name, "id"), func.coalesce(last, 1))))
    return rows


def _copy(source: Connection, sink: Connection, table: Table, revise: Revise | None = None) -> int:
    """Copy a table, a few rows at a time, as tuples: to name each value takes longer than to copy it."""
    size, count = _FEW if table.name in _LARGE else _MANY, 0
    names = [column.name for column in table.columns]
    # All columns, in their order.
    insertion = str(table.insert().compile(dialect=sink.dialect))
    is_open = frozenset(_open_cases(source)) if revise and table is schema.postings else frozenset()
    found = source.execution_options(stream_results=True).execute(select(table).execution_options(yield_per=size))
    for part in found.partitions(size):
        rows = [tuple(row) for row in part]
        if revise and table is schema.postings:
            kept = (dict(zip(names, row, strict=True)) for row in rows)
            revised = [revise(row, row["case_id"] in is_open) for row in kept]
            rows = [tuple(row[name] for name in names) for row in revised]
        sink.exec_driver_sql(insertion, rows)
        count += len(rows)
    return count


def _open_cases(connection: Connection) -> tuple[str, ...]:
    c = schema.cases.c
    return tuple(connection.scalars(select(c.id).where(c.standing == Standing.OPEN.value).order_by(c.id)))


def _revise(
    row: Mapping[str, Any],
    is_open: bool,
    *,
    adapters: Mapping[str, Capabilities],
    timing: Timing,
    now: float,
    made: float,
) -> Mapping[str, Any]:
    can = adapters.get(row["adapter"])
    if can is None:
        return row
    flying = (row["doing_content"], row["doing_ending"]) if row["claim"] and row["doing_content"] else None
    kept = Kept(state_in(row), row["due"], is_open, flying)
    then = after_restore(kept, can, timing, now)
    # Whoever looks for a post looks from when it was first wanted.
    applied_at = row["applied_at"] if then.state == kept.state else min(made, row["desired_at"])
    values = result_row(then.state, can, applied_at, Proof(**{name: row[name] for name in Proof._fields}))
    own = {"due": then.due, "handle": handle_of(then.state), "claim": None}
    return {**row, **{name.removeprefix("p_"): value for name, value in values.items()}, **own}


@contextmanager
def _open_file(path: Path) -> Iterator[Connection]:
    """Open the file of a backup; what it is safe against is that it is renamed only when it is whole."""
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        poolclass=NullPool,
        hide_parameters=True,
        connect_args=_ANY_THREAD,
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def _prepare(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    for pragma in ("journal_mode=OFF", "synchronous=OFF"):
        connection.execute(f"PRAGMA {pragma}")


@contextmanager
def _whole_or_nothing(path: Path) -> Iterator[Path]:
    """Give a file beside ``path`` that takes its place once it is whole and on the disk."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".unfinished", dir=path.parent)
    except OSError as error:
        raise InvalidInput(f"file: {path} cannot be written ({error.strerror})") from None
    try:
        yield Path(name)
        os.fsync(handle)
        Path(name).replace(path)
        _sync_folder(path.parent)
    finally:
        os.close(handle)
        Path(name).unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check_file(path: Path) -> None:
    """Raise ``InvalidInput`` or ``BridgeError`` for what cannot be restored, before a store is made for it."""
    with _readable(path):
        return


@contextmanager
def _readable(path: Path) -> Iterator[Path]:
    """Give a backup with the schema of this version: the file itself, or a migrated copy of an older one."""
    found = _version(path)
    if found not in known_versions():
        raise BridgeError(
            f"{path}: was made by a newer version of the bridge (schema {found}; this one knows up to {head()});"
            " install that version or a later one"
        )
    if found == head():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="burgernet-restore-") as folder:
        copy = Path(folder) / "copy"
        shutil.copyfile(path, copy)
        with _open_file(copy) as connection:
            upgrade(connection)
        yield copy


def _version(path: Path) -> str | None:
    if not path.is_file():
        raise InvalidInput(f"file: {path} is not there; allowed: a file that burgernet-bridge backup made")
    try:
        with _open_file(path) as connection:
            is_backup = inspect(connection).has_table("backup")
            found = version(connection)
    except DatabaseError:
        is_backup, found = False, None
    if not is_backup:
        raise InvalidInput(f"file: {path} is no backup; allowed: a file that burgernet-bridge backup made")
    return found
