"""Fuzzes one target in a process of its own; ``python -m tests.fuzz`` starts it, watches it and reads what it tells.

Coverage-guided by atheris where it is installed; else inputs are made of the known ones by ``mutate`` alone. Each input
is written to a shared file before it is tried, so that one that kills the process, or never ends, is not lost.
"""

from __future__ import annotations

import importlib.util
import json
import mmap
import os
import random
import struct
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.fuzz.harness import Target

MOST_FINDINGS = 20  # of different causes, for one target
ROOM = 2**21  # bytes for the input at hand


class Desk:
    """What the watching process sees: how many inputs were tried, and the one that is being tried."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), ROOM)

    def lay(self, number: int, data: bytes) -> None:
        """Put an input down."""
        data = data[: ROOM - 16]
        self._map[:16] = struct.pack("<QQ", number, len(data))
        self._map[16 : 16 + len(data)] = data

    def look(self) -> tuple[int, bytes]:
        """Give the number and the input."""
        number, size = struct.unpack("<QQ", self._map[:16])
        return number, bytes(self._map[16 : 16 + size])


class Worker:
    """Tries inputs and writes down what it finds."""

    def __init__(self, one: Target, inputs: int, desk: Desk, report: Path) -> None:
        self._target = one
        self._inputs = inputs
        self._desk = desk
        self._report = report
        self._causes: set[str] = set()
        self._started = time.monotonic()
        self.tried = 0

    def try_one(self, data: bytes) -> None:
        """Try one input."""
        from tests.fuzz.harness import attempt  # noqa: PLC0415 - after the instrumentation

        self.tried += 1
        self._desk.lay(self.tried, data)
        found = attempt(self._target, data)
        if found is not None and found.what not in self._causes and len(self._causes) < MOST_FINDINGS:
            self._causes.add(found.what)
            found.keep()
            self._tell(finding={"file": str(found.file), "what": found.what, "trace": found.trace[-2_000:]})
        if self.tried >= self._inputs:
            self._tell(tried=self.tried, seconds=time.monotonic() - self._started)

    def _tell(self, **what: Any) -> None:
        with self._report.open("a", encoding="utf-8") as file:
            file.write(json.dumps(what) + "\n")


def guided(worker: Worker, one: Target, inputs: int, seed: int, folder: Path) -> None:
    """Let atheris choose what is worth changing further; half of the changes are ours, by shape."""
    import atheris  # noqa: PLC0415 - an extra that need not be there

    from tests.fuzz.mutate import mutate  # noqa: PLC0415

    roots = one.roots
    for number, data in enumerate(roots):
        (folder / f"{number:04}").write_bytes(data)

    def change(data: bytes, most: int, number: int) -> bytes:
        rng = random.Random(number)
        if rng.random() < 0.3:
            return bytes(atheris.Mutate(data, most))
        return mutate(data, rng, one.shape, roots, most)

    options = [
        f"-runs={inputs}",
        f"-seed={seed}",
        f"-max_len={one.most}",
        f"-artifact_prefix={folder}/",
        "-rss_limit_mb=0",
        "-timeout=100000",
        "-len_control=0",
    ]
    atheris.Setup([sys.argv[0], *options, str(folder)], worker.try_one, custom_mutator=change)
    atheris.Fuzz()


def blind(worker: Worker, one: Target, inputs: int, seed: int) -> None:
    """Change known inputs, and what came of them, without knowing what they reach."""
    from tests.fuzz.mutate import mutate  # noqa: PLC0415

    rng, roots = random.Random(seed), one.roots
    data = b""
    while worker.tried < inputs:
        start = data if rng.random() < 0.3 else rng.choice(roots)
        data = mutate(start, rng, one.shape, roots, one.most)
        worker.try_one(data)


def _counted() -> AbstractContextManager[None]:
    """Let atheris see which edges of what is imported are taken."""
    import atheris  # noqa: PLC0415

    counted: AbstractContextManager[None] = atheris.instrument_imports(include=["bridge", "aiosmtplib"])
    return counted


def main(name: str, inputs: int, seed: int, folder: Path) -> None:
    """Fuzz ``name`` with so many inputs; the report and the corpus of this run are in ``folder``."""
    from tests.fuzz.harness import load, watched  # noqa: PLC0415 - what is imported now is not counted

    has_atheris = importlib.util.find_spec("atheris") is not None
    with _counted() if has_atheris else nullcontext():
        one = load()[name]
    with watched():
        _fuzz(one, inputs, seed, folder, guide=has_atheris)


def _fuzz(one: Target, inputs: int, seed: int, folder: Path, *, guide: bool) -> None:
    worker = Worker(one, inputs, Desk(folder / "desk"), folder / "report")
    for data in one.known:  # the long ones, which are not changed further, are tried too
        if worker.tried < inputs:
            worker.try_one(data)
    if guide:
        corpus = folder / "corpus"
        corpus.mkdir()
        guided(worker, one, inputs - worker.tried, seed, corpus)
    else:
        blind(worker, one, inputs, seed)


if __name__ == "__main__":
    os.nice(5)
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
