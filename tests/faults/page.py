"""The page of results: the machine first, then one line a scenario, then whatever did not hold."""

from __future__ import annotations

import math
import os
import platform
import sqlite3
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from rich.console import Console, Group
from rich.table import Table

from tests.faults.scenario import Result

PACKAGES = ("burgernet-bridge", "aio-pika", "aiohttp", "aiosmtplib", "asyncpg", "SQLAlchemy")
HEADS = (
    "scenario",
    "what was done",
    "events",
    "postings",
    "right after, s",
    "lost",
    "doubled",
    "left behind",
    "verdict",
)


def machine(servers: dict[str, str], seed: int) -> list[tuple[str, str]]:
    """Tell where this was, with what, and with which seed."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return [
        ("seed", str(seed)),
        ("processor", f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GB"),
        ("system", f"{platform.system()} {platform.release()}"),
        ("Python", f"{platform.python_implementation()} {platform.python_version()}"),
        ("packages", ", ".join(f"{name} {version(name)}" for name in PACKAGES)),
        ("servers", f"{servers['broker']}, {servers['database']}, SQLite {sqlite3.sqlite_version}"),
    ]


def cells(result: Result) -> tuple[str, ...]:
    """Give the cells of one line."""
    scenario = result.scenario
    if result.skipped:
        return (scenario.name, scenario.told, "", "", "", "", "", "", f"SKIPPED: {result.skipped}")
    doubled = f"{result.doubled} mails (at most {result.excused})" if result.excused else str(result.doubled)
    seconds = "never" if math.isinf(result.seconds) else f"{result.seconds:.1f}"
    verdict = "holds" if result.holds else "DOES NOT HOLD"
    counts = (f"{result.events:,}", f"{result.postings:,}", seconds, str(result.lost), doubled, str(result.left))
    return (scenario.name, scenario.told, *counts, verdict)


def page(facts: Sequence[tuple[str, str]], results: Sequence[Result]) -> Group:
    """Show it all on a terminal."""
    where = Table(show_header=False, title="Real faults: where", title_justify="left")
    for fact in facts:
        where.add_row(*fact)
    table = Table(*HEADS, title="What was promised, and what was seen", title_justify="left")
    for result in results:
        style = "yellow" if result.skipped else "" if result.holds else "red"
        table.add_row(*cells(result), style=style)
    return Group(where, table, *_remarks(results), _sum(results))


def _remarks(results: Sequence[Result]) -> list[str]:
    lines = []
    for result in results:
        lines += [f"{result.scenario.name}: {note}" for note in result.notes]
        lines += [f"{result.scenario.name}: NOT RIGHT: {what}" for what in result.wrong]
    return lines


def _sum(results: Sequence[Result]) -> str:
    played = [one for one in results if not one.skipped]
    lost, left, bad = (
        sum(one.lost for one in played),
        sum(one.left for one in played),
        [one for one in played if not one.holds],
    )
    events, postings = sum(one.events for one in played), sum(one.postings for one in played)
    return (
        f"{len(played)} of {len(results)} scenarios played, {events:,} events, {postings:,} postings: lost {lost}, "
        f"left behind {left}, {len(bad)} did not hold, {len(results) - len(played)} skipped."
    )


def markdown(facts: Sequence[tuple[str, str]], results: Sequence[Result]) -> str:
    """Give the same page for docs/reliability.md."""
    lines = [f"- {name}: {value}" for name, value in facts]
    lines += ["", f"| {' | '.join(HEADS)} |", f"|{' --- |' * len(HEADS)}"]
    lines += [f"| {' | '.join(cells(result))} |" for result in results]
    return "\n".join([*lines, "", *(f"- {one}" for one in _remarks(results)), "", _sum(results), ""])


def show(facts: Sequence[tuple[str, str]], results: Sequence[Result]) -> None:
    """Print the page."""
    console = Console()
    console.width = max(console.width, 150)
    console.print(page(facts, results), highlight=False, markup=False)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
