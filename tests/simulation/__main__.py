"""``make simulate``: play histories and print one page; exit code 1 when something that must hold did not."""

from __future__ import annotations

import argparse
import sys

from tests.simulation.page import page
from tests.simulation.play import play_on_all, processors


def main() -> int:
    """Read the options, play, tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=2000, help="histories to play (default: 2000)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument(
        "--processes", type=int, default=processors(), help="processes that play (default: one a processor)"
    )
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    total = play_on_all(seeds, options.processes)
    sys.stdout.write(f"{page(f'{seeds[0]} to {seeds[-1]}', total)}\n")
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
