"""Who waits for the store at the same time goes together: one commit costs as much as one for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

MOST = 1_000

T = TypeVar("T")
R = TypeVar("R")


class _Group(Generic[T, R]):
    """What will be written together, and what came of it: results, in order."""

    def __init__(self) -> None:
        self.members: list[T] = []
        self.is_over = asyncio.Event()
        self.written: asyncio.Task[Sequence[R]] | None = None


class Together(Generic[T, R]):
    """Writes as a group what comes in one turn of the loop, or while others are being written; ``most`` at a time.

    ``write`` gives a result for each member. When it fails for a group, that is undone and each is tried by itself.
    """

    def __init__(
        self, write: Callable[[Sequence[T]], Awaitable[Sequence[R]]], most: Callable[[], int] = lambda: MOST
    ) -> None:
        self._write = write
        self._most = most
        self._writing = asyncio.Lock()  # held by a group on its way
        self._group: _Group[T, R] = _Group()  # gathers meanwhile

    async def add(self, member: T) -> R:
        """Write it, in whatever company; give what came of it."""
        if len(self._group.members) >= self._most():
            self._group = _Group()  # the full one waits for its turn
        group, place = self._group, len(self._group.members)
        group.members.append(member)
        if group.written is None:
            group.written = asyncio.create_task(self._go(group))
            group.written.add_done_callback(lambda _: group.is_over.set())
        await group.is_over.wait()  # not for the task: whoever stops waiting takes nobody along
        if len(group.members) > 1 and group.written.exception():
            return (await self._write([member]))[0]
        return group.written.result()[place]

    async def _go(self, group: _Group[T, R]) -> Sequence[R]:
        async with self._writing:
            if self._group is group:
                self._group = _Group()
            return await self._write(group.members)
