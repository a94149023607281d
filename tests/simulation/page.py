"""The page that ``make simulate`` prints: what was played, with what, and what held."""

from __future__ import annotations

import hashlib
import platform
import sqlite3
import subprocess
from collections import Counter
from pathlib import Path

import sqlalchemy

from bridge import __version__
from tests.simulation.play import Sum, processors

MOST = 40  # seeds that failed, by name
ROOT = Path(__file__).parents[2]
PROMISES = {
    "I1": ("nothing forbidden is shown anywhere", "alerts shown", "forbidden"),
    "I2": ("a case that is over is shown nowhere", "places at rest", "left behind"),
    "I3": ("an acknowledged event is kept, and shown", "acks, places at rest", "lost"),
    "I4": ("no double post; no double mail without doubt", "posts and mails", "doubled"),
    "I5": ("an outcome reaches who got the alert, only them", "outcomes, mailboxes", "told wrongly"),
    "I6": ("no words of an alert in the log", "lines of log", "told"),
    "I7": ("a board shows the text, whole, or nothing", "boards lit", "altered"),
    "--": ("no process ends by itself, no error is uncaught", "histories", "broke"),
}


def page(seeds: str, total: Sum) -> str:
    """Write the page."""
    counts = total.counts | Counter({"--": total.counts["histories"]})
    broken = Counter(wrong[:2] if wrong[:1] == "I" else "--" for _, wrong in total.failed)
    played = counts["histories"]
    return "\n".join(
        [
            "Simulation: the real core, intake, dispatcher and store code in virtual time",
            "",
            _line("bridge", f"{__version__}, commit {_commit()}, simulation {_digest()}"),
            _line("versions", _versions()),
            _line("machine", _machine()),
            _line("seeds", seeds),
            _line("pace", _pace(total)),
            "",
            _line(
                "played",
                f"{played:,} histories, {counts['seconds'] / 86_400:.1f} days, {counts['awaits']:,} steps of code",
            ),
            _line(
                "events",
                _told(
                    counts,
                    {
                        "events": "",
                        "events twice": "doubled",
                        "events late": "after a later one",
                        "endings first": "cases ended before they opened",
                    },
                ),
            ),
            _line(
                "postings",
                _told(
                    counts,
                    {
                        "postings": "",
                        "steps": "calls of adapters",
                        "result: unknown": "of unknown outcome",
                        "found": "posts found again and adopted",
                        "mailed again": "mails sent once more after doubt",
                    },
                ),
            ),
            _line(
                "processes",
                _told(counts, {"kills": "killed", "taken over": "steps taken over from one that was lost or slow"}),
            ),
            _line("faults", _kinds(counts, "fault: ")),
            _line("acts", _kinds(counts, "act: ")),
            "",
            f"{'what must hold':52}{'judged':>34}{'broken':>20}",
            *(
                f"{name} {promise:49}{f'{counts[name]:,} {what}':>34}{f'{broken[name]} {word}':>20}"
                for name, (promise, what, word) in PROMISES.items()
            ),
            "",
            f"FAILED: {_failed(total)}" if total.failed else f"all {played:,} histories hold",
        ]
    )


def _failed(total: Sum) -> str:
    """Name the seeds that failed, and by what; of many the first."""
    told = [f"{one.seed} ({wrong[:2] if wrong[:1] == 'I' else '--'})" for one, wrong in total.failed]
    return ", ".join(told[:MOST]) + (f", and {len(told) - MOST} more" if len(told) > MOST else "")


def _line(name: str, text: str) -> str:
    """Fold a long text behind its name."""
    lines = [""]
    for word in text.split(" "):
        if len(lines[-1]) + len(word) > 94:
            lines.append("")
        lines[-1] += f"{word} "
    return "\n".join(f"{name if number == 0 else '':11} {line.rstrip()}" for number, line in enumerate(lines))


def _told(counts: Counter[str], words: dict[str, str]) -> str:
    return ", ".join(f"{counts[name]:,} {word}".strip() for name, word in words.items())


def _kinds(counts: Counter[str], kind: str) -> str:
    found = {name.removeprefix(kind): count for name, count in counts.items() if name.startswith(kind) and count}
    return ", ".join(f"{name} {count:,}" for name, count in sorted(found.items(), key=lambda one: -one[1])) or "none"


def _pace(total: Sum) -> str:
    played = total.counts["histories"]
    return (
        f"{total.wall:.1f} s on {total.processes} of {processors()} processors, {played / total.wall * 60:,.0f} histories a minute;"
        f" {total.cpu:.1f} s of processor time, {played / total.cpu * 60:,.0f} a minute and processor"
    )


def _commit() -> str:
    """Name the commit, and whether the files are as it has them."""
    asked = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or "unknown"


def _digest() -> str:
    """Name the simulation as it is: another one makes other histories of the same seeds."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


def _versions() -> str:
    return (
        f"Python {platform.python_version()}, SQLAlchemy {sqlalchemy.__version__}, SQLite {sqlite3.sqlite_version},"
        f" {platform.system()} {platform.release()}"
    )


def _machine() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return f"{processors()} × {names[0] if names else platform.processor() or platform.machine()}"
