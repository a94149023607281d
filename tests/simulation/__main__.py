"""``make simulate``: play histories and print one page; exit code 1 when something that must hold did not."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.simulation.failure import tell
from tests.simulation.history import History
from tests.simulation.page import page
from tests.simulation.play import play_on_all, prepare, processors
from tests.simulation.run import run

MOST_TOLD = 5  # failures that are made small and told; all are named


def main() -> int:
    """Read the options, play, tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=2000, help="histories to play (default: 2000)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument(
        "--processes", type=int, default=processors(), help="processes that play (default: one a processor)"
    )
    parser.add_argument("--replay", type=Path, help="a file with histories, one a line: play these, and tell all")
    options = parser.parse_args()
    if options.replay:
        return _replay(options.replay)
    seeds = range(options.first, options.first + options.seeds)
    total = play_on_all(seeds, options.processes)
    prepare()
    for history, _ in total.failed[:MOST_TOLD]:
        sys.stdout.write(f"{tell(history)}\n\n")
    sys.stdout.write(f"{page(f'{seeds[0]} to {seeds[-1]}', total)}\n")
    return 1 if total.failed else 0


def _replay(path: Path) -> int:
    prepare()
    failed = 0
    for line in path.read_text("utf-8").splitlines():
        history = History.from_json(line)
        failed += bool(run(history).wrong)
        sys.stdout.write(f"{tell(history, small=False)}\n\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
