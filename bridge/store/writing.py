"""A transaction of the intake: what can wait until its end is written there, each statement once for all its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import JSON, Connection, Text, any_, bindparam, cast, func, select, update

from bridge.store import schema
from bridge.store.database import Prepared

Row = Mapping[str, Any]
T = TypeVar("T")


class Writing:
    """An open transaction, and the rows that it writes at its end. Until then a look at the store does not find them.

    To run a statement costs about as much as to write ten rows with it, and events come in groups.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._rows: dict[Prepared, list[Row]] = {}
        self._cases: dict[str, dict[str, Any]] = {}

    def add(self, statement: Prepared, rows: Iterable[Row]) -> None:
        """Have rows written; each has an ``id``, unless nobody else can know it."""
        self._rows.setdefault(statement, []).extend(rows)

    def change_case(self, name: str, values: Row) -> None:
        """Have columns of a case written, of which somebody else may have added others."""
        self._cases.setdefault(name, {}).update(values)

    def finish(self) -> None:
        """Write it all."""
        for name, values in self._cases.items():
            self.add(_change(tuple(values)), [{"p_id": name, **{f"p_{key}": value for key, value in values.items()}}])
        for statement, rows in self._rows.items():
            # Who locks rows does so in one order, or two would wait for each other.
            statement.run(self.connection, sorted(rows, key=_by_id))


def whole(change: Callable[[Writing], T]) -> Callable[[Connection], T]:
    """Make a transaction of a change: all of it is written when it ends."""

    def both(connection: Connection) -> T:
        writing = Writing(connection)
        result = change(writing)
        writing.finish()
        return result

    return both


def _by_id(row: Row) -> str:
    return str(row.get("id", ""))


@cache
def _change(names: tuple[str, ...]) -> Prepared:
    values: Row = {name: bindparam(f"p_{name}") for name in names}
    return Prepared(update(schema.cases).where(schema.cases.c.id == bindparam("p_id")).values(values))


def texts(dialect: str, name: str) -> Any:
    """Give the column of the texts that the parameter ``name`` lists, in JSON: as many as there are."""
    if dialect == "sqlite":
        return func.json_each(bindparam(name)).table_valued("value").c.value
    return func.json_array_elements_text(cast(cast(bindparam(name), Text), JSON)).table_valued("value").c.value


def among(dialect: str, column: Any, name: str) -> Any:
    """Ask for a column that is among those texts."""
    listed = select(texts(dialect, name))
    # PostgreSQL sees only of an array that it is short, and looks in the index.
    return column.in_(listed) if dialect == "sqlite" else column == any_(func.array(listed.scalar_subquery()))
