"""Erases what was said and to whom, some time after a case is over: a few rows at a time, so that nobody waits for it.

What stays of a case is when its events happened and how it ended: so an event that comes once more is still a
duplicate, and an old one opens nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, and_, delete, func, or_, select, text, tuple_, update

from bridge.core.alert import Category
from bridge.store import schema
from bridge.store.cases import dump_registers, find_case

CHUNK = 200  # rows that one transaction erases at most
MOST_NOTICES = 1_000_000  # results that wait for a broker at most; some 250 MB
SPARE_PAGES = 256  # free pages that SQLite keeps for what comes next: one megabyte
_PAGES = 500  # pages that one transaction gives back at most

_c, _p, _j, _n = schema.cases.c, schema.postings.c, schema.journal.c, schema.notices.c
_SETTLED = and_(_p.due.is_(None), text(f"NOT ({schema.LEFT_BEHIND.text})"))

Erased = Counter[str]  # table -> rows


def cases_to_erase(
    connection: Connection, before: float, last: tuple[float, str], limit: int
) -> list[tuple[float, str]]:
    """List cases that were over ``before`` then, oldest first, after ``last``: when they changed, and their names."""
    old = select(_c.changed, _c.id).where(schema.ERASABLE, _c.changed < before, tuple_(_c.changed, _c.id) > last)
    return [(row[0], row[1]) for row in connection.execute(old.order_by(_c.changed, _c.id).limit(limit))]


def has_work_left(connection: Connection, name: str) -> bool:
    """Tell whether anything of a case is still to be done, or still to be seen somewhere."""
    unsettled = select(_p.id).where(_p.case_id == name, or_(_p.due.is_not(None), schema.LEFT_BEHIND)).limit(1)
    return connection.execute(unsettled).first() is not None


def erase_some(connection: Connection, name: str, before: float, now: float) -> tuple[Erased, bool]:
    """Erase at most ``CHUNK`` rows of a case; give what went, and whether there is more. Its own row comes last."""
    gone: Erased = Counter()
    mine = select(_c.id).where(_c.id == name, schema.ERASABLE, _c.changed < before).with_for_update()
    if connection.execute(mine).first() is None:
        return gone, False  # it was opened again, or someone else was here first
    if not _erase_postings(connection, name, gone):
        return gone, True
    for table, values in _OF_A_CASE:
        if not _erase_rows(connection, table, name, values, gone):
            return gone, True
    if connection.execute(select(_p.id).where(_p.case_id == name).limit(1)).first() is None:
        _erase_case(connection, name, now)
        gone["cases"] = 1
    return gone, False


def _erase_postings(connection: Connection, name: str, gone: Erased) -> bool:
    """Erase settled postings with all that hangs on them; ``False`` when there may be more."""
    settled = select(_p.id).where(_p.case_id == name, _SETTLED).limit(CHUNK)
    ids = connection.scalars(settled).all()
    if not ids:
        return True
    tried = select(_j.id).where(_j.posting.in_(ids)).limit(CHUNK)
    gone["journal"] = connection.execute(delete(schema.journal).where(_j.id.in_(tried))).rowcount
    if gone["journal"] == CHUNK:
        return False
    for table, column in ((schema.admin_messages, schema.admin_messages.c.posting), (schema.postings, _p.id)):
        gone[table.name] = connection.execute(delete(table).where(column.in_(ids))).rowcount
    return len(ids) < CHUNK


# Tables with rows of a case, and what becomes of them: a row that must stay to be recognised loses its words.
_OF_A_CASE: Sequence[tuple[Table, Mapping[str, Any]]] = (
    (schema.decisions, {}),
    (schema.contents, {}),
    (schema.photos, {}),
    (schema.display_messages, {}),
    (schema.orders, {}),
    (schema.events, {"body": ""}),
)


def _erase_rows(connection: Connection, table: Table, name: str, values: Mapping[str, Any], gone: Erased) -> bool:
    key = tuple_(*table.primary_key.columns)
    mine = and_(table.c.case_id == name, *(table.c[column] != value for column, value in values.items()))
    some = key.in_(select(*table.primary_key.columns).where(mine).limit(CHUNK))
    statement = update(table).where(some).values(values) if values else delete(table).where(some)
    gone[table.name] = connection.execute(statement).rowcount
    return gone[table.name] < CHUNK


def _erase_case(connection: Connection, name: str, now: float) -> None:
    known = find_case(connection, name)
    if known is None:
        return
    category = connection.scalar(select(_c.category).where(_c.id == name))
    values = {
        "headline": "",
        "category": category if category in set(Category) else Category.OTHER.value,  # an unknown word is a text
        "registers": dump_registers(known.registers.without_words()),
        "advice": None,  # it may quote the text
        "erased": now,
    }
    connection.execute(update(schema.cases).where(_c.id == name).values(values))


def erase_old_journal(connection: Connection, before: float) -> Erased:
    """Erase the oldest rows of the journal: a case that is open for years is read back as long."""
    oldest = select(_j.id).order_by(_j.id).limit(CHUNK)
    old = delete(schema.journal).where(_j.id.in_(oldest), _j.at < before)
    return Counter(journal=connection.execute(old).rowcount)


def erase_old_notices(connection: Connection, before: float, most: int = MOST_NOTICES) -> Erased:
    """Drop the oldest results that no broker took: those from ``before``, and those beyond the latest ``most``."""
    newest = connection.scalar(select(func.max(_n.id))) or 0
    oldest = connection.execute(select(_n.id, _n.body).order_by(_n.id).limit(CHUNK))
    ids = [number for number, body in oldest if number <= newest - most or json.loads(body)["at"] < before]
    if not ids:
        return Counter()
    return Counter(notices=connection.execute(delete(schema.notices).where(_n.id.in_(ids))).rowcount)


def unused_targets(connection: Connection, configured: Container[str]) -> list[str]:
    """Find targets that are not configured any more, and that no posting needs. Looks at every posting once."""
    t = schema.targets.c
    unused = connection.scalars(select(t.id).except_(select(_p.target_row)))
    return [one for one in unused if one not in configured]


def erase_targets(connection: Connection, ids: Sequence[str]) -> Erased:
    """Forget the addresses of targets."""
    used = select(_p.id).where(_p.target_row == schema.targets.c.id).exists()  # another process may just have begun to
    gone = delete(schema.targets).where(schema.targets.c.id.in_(ids), ~used)
    return Counter(targets=connection.execute(gone).rowcount)


def give_back_space(connection: Connection) -> bool:
    """Give free pages of SQLite back to the file system; tells whether there are more. PostgreSQL does it by itself."""
    if connection.dialect.name != "sqlite":
        return False
    way = connection.connection.driver_connection
    if way is None or way.execute("PRAGMA auto_vacuum").fetchone() != (2,):
        return False  # a file from before this version: a VACUUM changes that
    (free,) = way.execute("PRAGMA freelist_count").fetchone()
    if free <= SPARE_PAGES:
        return False
    way.execute(f"PRAGMA incremental_vacuum({min(_PAGES, free - SPARE_PAGES)})").fetchall()  # a page for each row read
    return True
