"""``make faults``: play every real fault against servers of our own, and print one page."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time
from pathlib import Path

from tests.e2e.bench import WARM
from tests.faults import broker_faults, database_faults, network_faults, peer_faults, process_faults
from tests.faults.page import machine, markdown, show
from tests.faults.rig import HOME, own_servers
from tests.faults.scenario import Result, Scenario, play

ALL: list[Scenario] = [
    *broker_faults.SCENARIOS,
    *database_faults.SCENARIOS,
    *peer_faults.SCENARIOS,
    *network_faults.SCENARIOS,
    *process_faults.SCENARIOS,
]


async def run(chosen: list[Scenario], seed: int, home: Path, report: Path | None) -> int:
    """Play them one after another; give the exit code."""
    results: list[Result] = []
    async with own_servers(home) as rig:
        facts = machine(await rig.versions(), seed)
        for scenario in chosen:
            began = time.monotonic()
            result = await play(scenario, rig, seed)
            results.append(result)
            word = f"SKIPPED: {result.skipped}" if result.skipped else "holds" if result.holds else "DOES NOT HOLD"
            sys.stderr.write(f"{scenario.name}: {word}, {time.monotonic() - began:.0f} s\n")
            if report is not None:  # as far as it is: a run of a quarter of an hour may be cut short
                report.write_text(markdown(facts, results), "utf-8")
    show(facts, results)
    return int(not all(one.skipped or one.holds for one in results))


def main() -> int:
    """Read the options, play, print; exit code 1 when anything did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=main.__doc__)
    parser.add_argument("--only", action="append", default=[], help="a scenario, or the beginning of some")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path, help="write the page as Markdown too")
    parser.add_argument("--home", type=Path, default=HOME, help="where the data of RabbitMQ and PostgreSQL stand")
    parser.add_argument("--list", action="store_true", help="name the scenarios and stop")
    options = parser.parse_args()
    chosen = [one for one in ALL if not options.only or one.name.startswith(tuple(options.only))]
    if options.list:
        sys.stdout.write("".join(f"{one.name:28} {one.told}\n" for one in ALL))
        return 0
    if not chosen:
        sys.stderr.write(f"error: --only: {options.only} names no scenario; see --list\n")
        return 2
    for name in ("aio_pika", "aiormq"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # our own connections break too, and that is no news
    try:
        return asyncio.run(run(chosen, options.seed, options.home.resolve(), options.report))
    finally:
        WARM.stop()


if __name__ == "__main__":
    sys.exit(main())
