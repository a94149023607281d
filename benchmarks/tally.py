"""How a program with very many signs or screens says that all of them, or none of them, have got somewhere.

It writes one line of JSON, ``{"what": …, "count": …, "at": …}``, whenever a count of its own becomes nought or whole;
``at`` is in nanoseconds on the clock that all processes of this machine share.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import defaultdict
from typing import Any

from benchmarks.processes import Failed


class Tally:
    """Counts which of ``total`` things are somewhere, and says when all or none are."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._there: defaultdict[str, set[int]] = defaultdict(set)

    def note(self, what: str, number: int, *, there: bool, at: int | None = None) -> None:
        """Note that one of them is there now, or is not; ``at``: the moment, else now."""
        found = self._there[what]
        if (number in found) == there:
            return
        (found.add if there else found.discard)(number)
        if len(found) in (0, self._total):
            say(what, len(found), time.monotonic_ns() if at is None else at)


def say(what: str, count: int, at: int) -> None:
    """Write one line."""
    sys.stdout.write(json.dumps({"what": what, "count": count, "at": at}) + "\n")
    sys.stdout.flush()


class Told:
    """Reads what such a program says; ``process`` has its output in a pipe."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def until(self, what: str, count: int, seconds: float) -> int:
        """Wait until it says that; give the moment, in nanoseconds. What it says before is passed over."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    said = await self._next()
                    if (said["what"], said["count"]) == (what, count):
                        return int(said["at"])
        except TimeoutError:
            raise Failed(f"after {seconds:g} s it is not yet so that {count:,} are {what}") from None

    async def count(self, what: str, seconds: float) -> int:
        """Wait until it says how many there are, however many."""
        async with asyncio.timeout(seconds):
            while True:
                said = await self._next()
                if said["what"] == what:
                    return int(said["count"])

    async def _next(self) -> dict[str, Any]:
        line = await self._process.stdout.readline() if self._process.stdout else b""
        if not line:
            raise Failed("a program ended before its time; its words stand above")
        said: dict[str, Any] = json.loads(line)
        return said
