"""``make overload``: give the bridge more than it can do at once, and print what that does to a retraction. One page."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from tests.e2e.bench import WARM, open_bench
from tests.overload import scenes


async def run(only: str, share: float, amqp_url: str, store: str) -> None:
    """Run the scenes, each with a bridge of its own; ``share`` of the full size."""
    sizes = {"mailing": 100_000, "burst": 10_000, "network": 10_000, "history": 1_000_000}
    for name, size in sizes.items():
        if only in ("", name):
            number = max(1, round(size * share))
            sys.stdout.write(f"\n{name}: {number}\n")
            with tempfile.TemporaryDirectory(prefix="overload-") as folder:
                await _print(_scene(name, number, Path(folder), amqp_url, store))


async def _scene(name: str, number: int, folder: Path, amqp_url: str, store: str) -> AsyncIterator[str]:
    if name == "history":
        async for line in scenes.history(folder, amqp_url, number):
            yield line
        return
    async with open_bench(folder, amqp_url, store) as bench:
        bench.write()
        await bench.run("migrate")
        async for line in scenes.SCENES[name](bench, number):
            yield line


async def _print(lines: AsyncIterator[str]) -> None:
    async for line in lines:
        sys.stdout.write(f"  {line}\n")
        sys.stdout.flush()


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.overload", description=__doc__)
    parser.add_argument("--only", default="", choices=["mailing", "burst", "network", "history"])
    parser.add_argument("--share", type=float, default=1.0, help="of the full size (default: 1)")
    parser.add_argument("--store", default="", help="an empty database (default: SQLite); for one scene, not history")
    options = parser.parse_args()
    try:
        asyncio.run(run(options.only, options.share, os.environ["BRIDGE_TEST_AMQP_URL"], options.store))
    finally:
        WARM.stop()


if __name__ == "__main__":
    main()
