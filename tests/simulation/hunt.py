"""``make mutants``: plant each bug in a copy of the bridge, and play histories until it is found."""

from __future__ import annotations

import argparse
import multiprocessing
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

# Every fork has these already; the bridge, and what plays it, is imported in the forks alone, from the copy.
import aio_pika
import pydantic
import shapely
import sqlalchemy
import structlog
import tenacity

from tests.simulation.mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"
TABLE = re.compile(r"(?<=<!-- planted -->\n).*?(?=<!-- /planted -->)", re.DOTALL)
LIBRARIES = (aio_pika, pydantic, shapely, sqlalchemy, structlog, tenacity)
MOST = 1500  # histories, for one bug


@dataclass(frozen=True)
class Found:
    """What came of a hunt: the seed that found the bug (``None``: none did), after how many histories, and the words."""

    mutant: Mutant
    seed: int | None
    histories: int
    wrong: str
    seconds: float

    def __str__(self) -> str:
        """Tell it in one line."""
        how = (
            f"seed {self.seed}, {self.histories} histories"
            if self.seed is not None
            else f"NOT in {self.histories} histories"
        )
        return f"{self.mutant.name:60} {how}, {self.seconds:.1f} s: {self.wrong[:90]}"

    @property
    def row(self) -> str:
        """Give its row in the documents."""
        return f"| {self.mutant.name} | `{self.mutant.file}` | {self.wrong[:2]} | {self.seed} | {self.histories} |\n"


def hunt(job: tuple[Mutant, Sequence[int]]) -> Found:
    """Plant a bug in this process, which must not have imported the bridge yet, and play until it is found."""
    mutant, seeds = job
    begun = time.process_time()
    with tempfile.TemporaryDirectory(prefix="mutant") as home:
        shutil.copytree(ROOT / "bridge", Path(home) / "bridge")  # what is compiled already stays so
        mutant.plant(Path(home))
        sys.path.insert(0, home)
        number = 0
        for number, (seed, broken, wrong) in enumerate(_play(seeds), 1):
            if broken in mutant.breaks:
                return Found(mutant, seed, number, wrong, time.process_time() - begun)
    return Found(mutant, None, number, "", time.process_time() - begun)


def _play(seeds: Iterable[int]) -> Iterator[tuple[int, str, str]]:
    """Play with the bridge that is found now: give each seed, the invariant that was broken, and the words."""
    from tests.simulation.generate import generate  # noqa: PLC0415 - only now is the copy in the way
    from tests.simulation.play import prepare  # noqa: PLC0415
    from tests.simulation.run import run  # noqa: PLC0415

    prepare()
    for seed in seeds:
        verdict = run(generate(seed))
        yield seed, verdict.broken, next(iter(verdict.wrong), "")


def known() -> dict[str, int]:
    """Read the table in the documents: the bugs, and the seeds that find them."""
    table = TABLE.search(PAGE.read_text("utf-8"))
    rows = [[cell.strip() for cell in line.split("|")] for line in table[0].splitlines()[2:]] if table else []
    return {row[1]: int(row[4]) for row in rows}


def write(found: Sequence[Found]) -> None:
    """Write the table in the documents."""
    head = (
        "| bug | where | breaks | first seed that finds it | histories until then |\n| --- | --- | --- | --- | --- |\n"
    )
    text = PAGE.read_text("utf-8")
    PAGE.write_text(TABLE.sub(lambda _: head + "".join(one.row for one in found), text), "utf-8")


def main() -> int:
    """Hunt all bugs; exit code 1 when one is not found."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.hunt", description=main.__doc__)
    parser.add_argument("--known", action="store_true", help="try the seeds of the documents first; write nothing")
    parser.add_argument("--only", default="", help="a word of the bugs' names; write nothing")
    parser.add_argument("--most", type=int, default=MOST, help=f"histories for one bug (default: {MOST})")
    options = parser.parse_args()
    seeds = known() if options.known else {}
    if options.known and seeds.keys() != {mutant.name for mutant in MUTANTS}:
        sys.stderr.write("error: docs/reliability.md lists other bugs than there are; make mutants writes the table\n")
        return 1
    chosen = [mutant for mutant in MUTANTS if options.only in mutant.name]
    jobs = [(one, [*([seeds[one.name]] if one.name in seeds else []), *range(options.most)]) for one in chosen]
    found = []
    # A process for each bug: it imports a bridge of its own.
    with multiprocessing.get_context("fork").Pool(maxtasksperchild=1) as pool:
        for one in pool.imap(hunt, jobs, chunksize=1):
            found.append(one)
            sys.stdout.write(f"{one}\n")
            sys.stdout.flush()
    if any(one.seed is None for one in found):
        return 1
    if not (options.known or options.only):
        write(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
