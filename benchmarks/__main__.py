"""``make bench``: measure the bridge beside others in one run, and print one page; with ``--write``, keep it too."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import page
from benchmarks.contenders import Arena, open_boards
from benchmarks.displays import displays
from benchmarks.growth import growth
from benchmarks.idle import idle
from benchmarks.intake import intake
from benchmarks.machine import describe
from benchmarks.mails import mails
from benchmarks.measure import fan_outs, latency
from benchmarks.others.race import others
from benchmarks.processes import Failed
from benchmarks.signs import signs
from benchmarks.targets import targets
from benchmarks.workers import workers

Options = argparse.Namespace
Results = dict[str, Any]

PARTS: dict[str, Callable[[Arena, Options], Awaitable[Results]]] = {
    "latency": lambda arena, given: latency(arena, given.events, given.rounds),
    "boards": lambda arena, given: fan_outs(arena, given.boards, given.repeat),
    "mails": lambda arena, given: mails(arena, given.mails),
    "intake": lambda arena, given: intake(arena, given.intake),
    "workers": lambda arena, given: workers(arena, given.shared, 2),
    "growth": lambda arena, given: growth(arena, given.sizes, given.fixed, given.cases),
    "idle": lambda arena, given: idle(arena, given.seconds, given.starts),
    "targets": lambda _, given: targets(given.targets),
    "signs": lambda arena, given: signs(arena, given.signs),
    "displays": lambda arena, given: displays(arena, given.displays),
    "others": lambda arena, given: others(arena, given.each, given.burst),
}


async def _measure(options: Options, amqp_url: str, postgres_url: str) -> Results:
    """Run the chosen parts one after the other; one that fails says so on the page, and the others go on."""
    found: Results = {"parts": {}}
    with tempfile.TemporaryDirectory(prefix="bench", dir=options.home) as home:
        async with open_boards() as boards:
            arena = Arena(amqp_url, postgres_url, boards, Path(home), options.seed)
            found["machine"] = await describe(arena)
            for name in options.only or PARTS:
                sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S} {name}\n")
                began = time.monotonic()
                try:
                    part = await PARTS[name](arena, options)
                except Failed as error:
                    part = {"failed": str(error)}
                    sys.stderr.write(f"{name} failed: {error}\n")
                found["parts"][name] = part | {"took": round(time.monotonic() - began)}
                if options.write:
                    page.keep(found)  # each part when it is there: a run that is cut off keeps the ones before
    return found


def _options() -> Options:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=tuple(PARTS), help="measure this part (may be repeated)")
    parser.add_argument("--write", action="store_true", help="write the page, its charts and the README's table")
    parser.add_argument("--seed", type=int, default=2026, help="decides the order of turns and the moments of kills")
    parser.add_argument("--events", type=int, default=400, help="cases for the latency (default: 400)")
    parser.add_argument("--rounds", type=int, default=8, help="turns in which they are measured (default: 8)")
    parser.add_argument("--boards", type=int, default=10_000, help="boards for the fan-out (default: 10000)")
    parser.add_argument("--repeat", type=int, default=3, help="times the fan-out is measured (default: 3)")
    parser.add_argument("--mails", type=int, default=100_000, help="readers of the mailing (default: 100000)")
    parser.add_argument("--intake", type=int, default=10_000, help="events that wait in the queue (default: 10000)")
    parser.add_argument("--shared", type=int, default=5_000, help="boards for one and two workers (default: 5000)")
    sizes = [1_000, 10_000, 100_000, 1_000_000]
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=sizes, help="postings of history (default: up to a million)"
    )
    parser.add_argument("--fixed", type=int, default=1_000, help="boards on each of these stores (default: 1000)")
    parser.add_argument("--cases", type=int, default=40, help="cases for the latency there (default: 40)")
    parser.add_argument("--seconds", type=float, default=10.0, help="time the idle bridge is watched (default: 10)")
    parser.add_argument("--targets", type=int, default=100_000, help="targets of one alert (default: 100000)")
    parser.add_argument("--starts", type=int, default=5, help="times the bridge is started (default: 5)")
    parser.add_argument("--signs", type=int, default=1_000, help="NTCIP signs of one case (default: 1000)")
    parser.add_argument("--displays", type=int, default=2_000, help="display pages open at once (default: 2000)")
    parser.add_argument("--each", type=int, default=20, help="boards of a case, beside others (default: 20)")
    parser.add_argument("--burst", type=int, default=25, help="cases at once, beside others (default: 25)")
    parser.add_argument("--home", help="where the stores stand meanwhile; choose the disk (default: $TMPDIR)")
    return parser.parse_args()


def main() -> int:
    """Read the options, measure, print."""
    options = _options()
    amqp_url = os.environ.get("BRIDGE_TEST_AMQP_URL", "")
    if not amqp_url:
        sys.stderr.write("error: BRIDGE_TEST_AMQP_URL is not set; make bench sets it\n")
        return 2
    found = asyncio.run(_measure(options, amqp_url, os.environ.get("BRIDGE_TEST_POSTGRES_URL", "")))
    sys.stdout.write(page.render(found))
    return 1 if any("failed" in part for part in found["parts"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
