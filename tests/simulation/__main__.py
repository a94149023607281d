"""``make simulate``: play histories and print one page; exit code 1 when something that must hold did not."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

import structlog

from tests.simulation.generate import generate
from tests.simulation.run import run


def main() -> int:
    """Read the options, play, tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=500, help="histories to play (default: 500)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default: 0)")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    sys.unraisablehook = lambda _: None  # killed processes leave coroutines that never end
    begun, steps, hours = time.perf_counter(), 0, 0.0
    acts: Counter[str] = Counter()
    failed = []
    for seed in range(options.first, options.first + options.seeds):
        verdict = run(generate(seed))
        steps += verdict.steps
        hours += verdict.virtual / 3600
        acts.update(act.what.partition(" ")[0] for act in verdict.history.acts)
        acts.update(fault.what for fault in verdict.history.faults)
        if verdict.wrong:
            failed.append(seed)
            sys.stdout.write(f"{verdict.history}\n\n{verdict.tale()}\n\n")
    seconds = time.perf_counter() - begun
    told = ", ".join(f"{what} {count}" for what, count in acts.most_common())
    sys.stdout.write(
        f"seeds {options.first} to {options.first + options.seeds - 1}: {steps} steps in {hours:.1f} hours of virtual time,"
        f" {options.seeds / seconds * 60:.0f} histories a minute\n{told}\nfailed: {failed or 'none'}\n"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
