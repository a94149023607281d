"""Statements about many postings at once: the values that they share are given once, and beside them each one's own.

A fan-out to thousands leaves thousands of rows alike. One statement a row would let go of the interpreter, and ask for
it again, once a row; that takes longer than the database does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Double, Text, bindparam, cast, column, func, literal_column
from sqlalchemy.dialects.postgresql import JSONB

from bridge.store.database import Connection, Prepared, to_json

Own = tuple[float | str | None, ...]


class Each:
    """The rows of a batch within its statement: their names, and what is each one's own."""

    def __init__(self, dialect: str) -> None:
        given = bindparam("each", type_=Text)
        self._is_sqlite = dialect == "sqlite"
        rows: Any = func.json_each(given) if self._is_sqlite else func.jsonb_each(cast(given, JSONB))
        self.table = rows.table_valued(column("key", Text), column("value", JSONB if dialect != "sqlite" else Text))

    @property
    def name(self) -> ColumnElement[str]:
        """Name the row: the posting."""
        key: ColumnElement[str] = self.table.c.key
        return key

    def number(self, place: int) -> ColumnElement[float]:
        """Give the number at a place of what is the row's own."""
        return cast(self.text(place), Double)

    def text(self, place: int) -> ColumnElement[Any]:
        """Give the text at a place of what is the row's own."""
        if self._is_sqlite:
            return func.json_extract(self.table.c.value, literal_column(f"'$[{place}]'"))
        value: ColumnElement[Any] = self.table.c.value
        return value.op("->>")(literal_column(str(place)))


class Batch:
    """Rows for one statement; those that share all values go together. Each has a value for every parameter."""

    def __init__(self, statement: Prepared) -> None:
        self._statement = statement
        self._groups: dict[tuple[Any, ...], tuple[Mapping[str, Any], dict[str, Own]]] = {}

    def add(self, shared: Mapping[str, Any], name: str, own: Own = ()) -> dict[str, Own]:
        """Add a row; gives those that share its values, for more of them."""
        _, rows = self._groups.setdefault(tuple(shared.values()), (shared, {}))
        rows[name] = own
        return rows

    def write(self, connection: Connection) -> None:
        """Run the statement, once for each group."""
        for shared, rows in self._groups.values():
            self._statement.one(connection, {**shared, "each": to_json(rows)})


def of_each(statement: Callable[[Each], Any]) -> Prepared:
    """Make a statement about the rows of a batch, for whichever database it is."""
    return Prepared(lambda dialect: statement(Each(dialect)))
