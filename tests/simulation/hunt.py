"""``make mutants``: plant each bug in a copy of the bridge, and play histories until it is found."""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# Imported here, so that every fork has the libraries; the bridge itself, and what plays it, only in the forks.
import aio_pika
import pydantic
import shapely
import sqlalchemy
import structlog
import tenacity

from tests.simulation.mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"
LIBRARIES = (aio_pika, pydantic, shapely, sqlalchemy, structlog, tenacity)
MOST = 1500  # histories, for one bug


@dataclass(frozen=True)
class Found:
    """A bug that was found: by which seed, after how many histories, and what was wrong; no seed: it was not."""

    mutant: Mutant
    seed: int | None
    histories: int
    wrong: str
    seconds: float


def hunt(mutant: Mutant, seeds: Iterable[int]) -> Found:
    """Plant a bug in this process, which must not have imported the bridge, and play until it is found."""
    begun = time.process_time()
    with tempfile.TemporaryDirectory(prefix="mutant") as home:
        shutil.copytree(ROOT / "bridge", Path(home) / "bridge", ignore=shutil.ignore_patterns("__pycache__"))
        mutant.plant(Path(home))
        sys.path.insert(0, home)
        return _play(mutant, seeds, begun)


def _play(mutant: Mutant, seeds: Iterable[int], begun: float) -> Found:
    from tests.simulation.generate import generate
    from tests.simulation.play import prepare
    from tests.simulation.run import run

    prepare()
    number, wrong = 0, ""
    for number, seed in enumerate(seeds, 1):
        verdict = run(generate(seed))
        if verdict.broken in mutant.breaks:
            return Found(mutant, seed, number, verdict.wrong[0], time.process_time() - begun)
        wrong = wrong or next(iter(verdict.wrong), "")
    return Found(mutant, None, number, wrong, time.process_time() - begun)


def _hunt(job: tuple[Mutant, list[int]]) -> Found:
    return hunt(*job)


def main() -> int:
    """Hunt all bugs, or those with a word in their name; exit code 1 when one is not found."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.hunt", description=main.__doc__)
    parser.add_argument("--only", default="", help="a word of the bugs' names")
    parser.add_argument("--most", type=int, default=MOST, help=f"histories for one bug (default: {MOST})")
    options = parser.parse_args()
    jobs = [(mutant, list(range(options.most))) for mutant in MUTANTS if options.only in mutant.name]
    context = multiprocessing.get_context("fork")
    missed = 0
    with context.Pool(2, maxtasksperchild=1) as pool:
        for found in pool.imap(_hunt, jobs, chunksize=1):
            missed += found.seed is None
            print(
                f"{found.mutant.name:60} seed {found.seed} {found.histories} {found.seconds:.1f} s {found.wrong[:100]}",
                flush=True,
            )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
