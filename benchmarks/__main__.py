"""``make bench``: measure the bridge beside bare programs in the same run, and print tables. Takes some minutes."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from pathlib import Path

import aio_pika
from rich.console import Console

from benchmarks import report
from benchmarks.contenders import Arena, Boards, Failed, open_boards
from benchmarks.measure import FanOut, fan_out, latency

console = Console(width=110)


async def _measure(options: argparse.Namespace, amqp_url: str) -> None:
    with tempfile.TemporaryDirectory(prefix="bench", dir=options.home) as home:
        async with open_boards() as boards:
            console.print(report.machine(Path(home), await _broker(amqp_url)))
            arena = Arena(amqp_url, boards, Path(home))
            if not options.only or options.only == "latency":
                console.print(report.latencies(await latency(arena, boards, options.events, options.rounds)))
            if not options.only or options.only == "boards":
                found = await _fan_outs(arena, boards, options.boards, options.repeat)
                console.print(report.fan_outs(found))
                console.print(report.memory(found))


async def _fan_outs(arena: Arena, boards: Boards, count: int, repeat: int) -> dict[str, list[FanOut]]:
    """Run the contenders in turns, each time as a new process with a new store."""
    found: dict[str, list[FanOut]] = {"bare": [], "bridge": []}
    for _ in range(repeat):
        async with arena.bare(count) as contender:
            found["bare"].append(await fan_out(boards, contender, count))
        async with arena.bridge(count) as contender:
            found["bridge"].append(await fan_out(boards, contender, count))
    return found


async def _broker(amqp_url: str) -> str:
    async with await aio_pika.connect(amqp_url) as connection:
        transport = connection.transport
        told = transport.connection.server_properties if transport else {}
        return " ".join(str(told.get(name, "?")) for name in ("product", "version"))


def main() -> int:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("--events", type=int, default=400, help="cases for the latency (default: 400)")
    parser.add_argument("--rounds", type=int, default=8, help="turns in which they are measured (default: 8)")
    parser.add_argument("--boards", type=int, default=10_000, help="boards for the fan-out (default: 10000)")
    parser.add_argument("--repeat", type=int, default=3, help="times the fan-out is measured (default: 3)")
    parser.add_argument("--only", choices=("latency", "boards"), help="one of the two")
    parser.add_argument("--home", help="where the stores stand meanwhile; choose the disk (default: $TMPDIR)")
    options = parser.parse_args()
    amqp_url = os.environ.get("BRIDGE_TEST_AMQP_URL", "")
    if not amqp_url:
        sys.stderr.write("error: BRIDGE_TEST_AMQP_URL is not set; make bench sets it\n")
        return 2
    try:
        asyncio.run(_measure(options, amqp_url))
    except Failed as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
