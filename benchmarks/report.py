"""Tables for people: the machine first, then each measurement beside its aim."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from rich.table import Table

from benchmarks.measure import FanOut, Latencies, percentile

LATENCY_AIM = 3.0  # times the bare consumer, at most
RATE_AIM = 0.7  # times the bare loop, at least
MEMORY_AIM = 250.0  # MB, less than
AIM_BOARDS = 10_000  # what the aims for rate and memory speak of

_PACKAGES = ("burgernet-bridge", "aio-pika", "aiohttp", "pydantic", "SQLAlchemy")


def machine(home: Path, broker: str) -> Table:
    """Tell where all this was measured; ``home`` is where the store stands."""
    table = Table("where", "", title="Machine", title_justify="left")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    table.add_row("processor", f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GB")
    table.add_row("system", f"{platform.system()} {platform.release()}")
    table.add_row("disk", f"fdatasync of 4 kB takes {_sync_time(home):.2f} ms (median)")
    table.add_row("Python", f"{platform.python_implementation()} {platform.python_version()}")
    table.add_row("packages", ", ".join(f"{name} {version(name)}" for name in _PACKAGES))
    table.add_row("store", f"SQLite {sqlite3.sqlite_version}, WAL, synchronous=FULL")
    table.add_row("broker", f"{broker}, quorum queues, persistent messages")
    return table


def latencies(found: Mapping[str, Latencies]) -> Table:
    """Show milliseconds from the event's publication to the board's receipt."""
    count = len(found["bridge"].shown)
    title = f"(a) Event → board on an idle bridge, ms, {count} cases in turns"
    table = Table("", "bare p50", "bare p99", "bridge p50", "bridge p99", "ratio p50", "ratio p99", "aim", title=title)
    table.title_justify = "left"
    for name, kind in (("opened → PUT", "shown"), ("ended → DELETE", "gone")):
        bare, bridge = (getattr(found[who], kind) for who in ("bare", "bridge"))
        points = [percentile(values, share) for values in (bare, bridge) for share in (50, 99)]
        middle, worst = points[2] / points[0], points[3] / points[1]
        aim = verdict(f"≤ {LATENCY_AIM:g}×", met=middle <= LATENCY_AIM) if kind == "shown" else ""
        table.add_row(name, *(f"{point:.2f}" for point in points), f"{middle:.2f}×", f"{worst:.2f}×", aim)
    return table


def fan_outs(found: Mapping[str, Sequence[FanOut]]) -> Table:
    """Show one case to many boards and back; the ratio is that of the median rates."""
    boards = found["bridge"][0].boards
    title = f"(b) One case to {boards:,} boards and back, one line a round"
    table = Table("", "shown after, s", "dark after, s", "requests/s", "ratio", "aim", title=title)
    table.title_justify = "left"
    for name, rounds in found.items():
        for one in rounds:
            table.add_row(name, f"{one.shown:.2f}", f"{one.gone:.2f}", f"{one.rate:,.0f}")
    bare, bridge = (statistics.median(one.rate for one in found[who]) for who in ("bare", "bridge"))
    ratio = bridge / bare
    aim = verdict(f"≥ {RATE_AIM:g}×", met=ratio >= RATE_AIM, boards=boards)
    table.add_section()
    table.add_row("median", "", "", f"{bare:,.0f} : {bridge:,.0f}", f"{ratio:.2f}×", aim)
    return table


def memory(found: Mapping[str, Sequence[FanOut]]) -> Table:
    """Show the most memory that each program ever held."""
    boards = found["bridge"][0].boards
    table = Table("", "peak, MB", "aim", title=f"(c) Memory (VmHWM) at {boards:,} boards", title_justify="left")
    peaks = {who: max(one.peak_memory for one in rounds) for who, rounds in found.items()}
    table.add_row("bare", f"{peaks['bare']:.0f}", "")
    aim = verdict(f"< {MEMORY_AIM:g} MB", met=peaks["bridge"] < MEMORY_AIM, boards=boards)
    table.add_row("bridge", f"{peaks['bridge']:.0f}", aim)
    return table


def verdict(aim: str, *, met: bool, boards: int = AIM_BOARDS) -> str:
    """Say whether an aim is met; a smaller run says nothing about it."""
    if boards < AIM_BOARDS:
        return f"{aim} (at {AIM_BOARDS:,} boards)"
    return f"{aim} [green]met[/]" if met else f"{aim} [red]not met[/]"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _sync_time(home: Path) -> float:
    """Give what the disk takes for the smallest durable write, in ms: every commit waits for one."""
    times = []
    with tempfile.TemporaryFile(dir=home) as file:
        for _ in range(100):
            file.write(b"x" * 4096)
            file.flush()
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000
