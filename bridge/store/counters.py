"""Numbers that are given out once (``bridge.core.ports.Counter``), whichever process asks, however often it dies."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial

from sqlalchemy import Connection, delete, select, tuple_

from bridge.core.errors import PermanentError
from bridge.core.ports import Number
from bridge.store import schema
from bridge.store.database import Database, insert

_counters, _numbers = schema.counters.c, schema.numbers.c


class CounterStore:
    """The series in the store. A number whose giving was not seen to the end is lost, never given twice."""

    def __init__(self, database: Database, clock: Callable[[], float] | None = None) -> None:
        self._database = database
        self._clock = clock or database.clock

    async def next(self, name: str, most: int, holder: str = "", until: float = 0.0) -> int:
        """Give the next number, durably; ``PermanentError`` when all are given."""
        step = partial(_next, name=name, most=most, holder=holder, until=until, now=self._clock())
        return await self._database.write(step)

    async def held(self, holder: str) -> Collection[Number]:
        """Give what ``holder`` still has, in the order of their names and numbers."""
        return await self._database.read(partial(_held, holder=holder, now=self._clock()))

    async def release(self, holder: str, numbers: Collection[Number]) -> None:
        """Forget them."""
        if numbers:
            named = tuple_(_numbers.name, _numbers.number).in_(list(numbers))
            gone = delete(schema.numbers).where(_numbers.holder == holder, named)
            await self._database.write(lambda connection: connection.execute(gone))


def _next(connection: Connection, *, name: str, most: int, holder: str, until: float, now: float) -> int:
    """Count on in one statement: whoever comes at the same time waits for its row."""
    first = insert(connection.dialect.name, schema.counters).values(name=name, value=1)
    count = first.on_conflict_do_update(
        index_elements=[_counters.name], set_={"value": _counters.value + 1}, where=_counters.value < most
    ).returning(_counters.value)
    number = connection.scalar(count)
    if number is None:
        raise PermanentError(f"{name}: all numbers up to {most} have been given out")
    connection.execute(delete(schema.numbers).where(_numbers.until <= now))
    if holder and until > now:
        connection.execute(schema.numbers.insert().values(name=name, number=number, holder=holder, until=until))
    return int(number)


def _held(connection: Connection, *, holder: str, now: float) -> list[Number]:
    rows = select(_numbers.name, _numbers.number).where(_numbers.holder == holder, _numbers.until > now)
    return [(name, number) for name, number in connection.execute(rows.order_by(_numbers.name, _numbers.number))]
