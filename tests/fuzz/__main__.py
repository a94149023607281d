"""``make fuzz``: every target with its share of the inputs, one process a core, and one page of what came of it.

``python -m tests.fuzz FILE…`` tries kept inputs again and prints what each does.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from tests.fuzz.harness import CORPUS, Finding, attempt, load, machine, watched
from tests.fuzz.worker import ROOM, Desk

QUIET_SECONDS = 60.0  # without a new input: the process is stuck where no signal of its own reaches it
MOST_DEATHS = 2  # of processes, before a target is given up
ROOT = Path(__file__).parents[2]
STOP = threading.Event()


@dataclass
class Outcome:
    """What came of one target."""

    name: str
    tried: int = 0
    seconds: float = 0.0
    edges: str = "-"
    findings: list[dict[str, str]] = field(default_factory=list)
    deaths: int = 0


def fuzz(name: str, inputs: int, seed: int) -> Outcome:
    """Fuzz one target to its end; a process that dies or is stuck is a finding, and the rest goes on in another."""
    outcome, started = Outcome(name), time.monotonic()
    while outcome.tried < inputs and outcome.deaths < MOST_DEATHS and not STOP.is_set():
        with tempfile.TemporaryDirectory(prefix="burgernet-fuzz-") as folder:
            _one_process(outcome, inputs - outcome.tried, seed + outcome.tried, Path(folder))
    outcome.seconds = time.monotonic() - started
    return outcome


def _one_process(outcome: Outcome, inputs: int, seed: int, folder: Path) -> None:
    (folder / "desk").write_bytes(bytes(ROOM))
    desk = Desk(folder / "desk")
    command = [sys.executable, "-m", "tests.fuzz.worker", outcome.name, str(inputs), str(seed), str(folder)]
    environment = {**os.environ, "TMPDIR": str(folder)}
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=said, env=environment, start_new_session=True)
        _watch(process, desk)
    if STOP.is_set():
        return
    report = folder / "report"
    lines = [json.loads(line) for line in report.read_text("utf-8").splitlines()] if report.exists() else []
    outcome.findings += [line["finding"] for line in lines if "finding" in line]
    words = (folder / "said").read_text("utf-8", "replace")
    edges = re.findall(r"cov: (\d+)", words)
    outcome.edges = edges[-1] if edges else outcome.edges
    tried, data = desk.look()
    outcome.tried += tried
    if not any("tried" in line for line in lines):
        found = Finding(
            outcome.name, data, "stuck" if process.returncode == -signal.SIGKILL else "died", words[-2_000:]
        )
        found.keep()
        outcome.deaths += 1
        what = f"the process {found.what} (exit code {process.returncode})"
        outcome.findings.append({"file": str(found.file), "what": what, "trace": found.trace})


def _watch(process: subprocess.Popen[bytes], desk: Desk) -> None:
    """Wait for the end; kill a process that tries nothing new any more."""
    last, since = 0, time.monotonic()
    while True:
        try:
            process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            number, _ = desk.look()
            if number != last:
                last, since = number, time.monotonic()
            if STOP.is_set() or time.monotonic() - since > QUIET_SECONDS:
                process.kill()
        else:
            return


def again(files: list[Path]) -> int:
    """Try kept inputs again; 1 when one of them still breaks a promise."""
    targets, broken = load(), 0
    for file in files:
        name = file.resolve().parent.name
        if name not in targets:
            sys.stderr.write(f"error: {file}: is not kept for a target; allowed: {CORPUS}/<target>/…\n")
            return 2
        with watched():
            found = attempt(targets[name], file.read_bytes())
        broken += found is not None
        sys.stdout.write(f"{file}: {found.what if found else 'good'}\n{found.trace if found else ''}")
    return 1 if broken else 0


def page(outcomes: list[Outcome], seed: int, seconds: float) -> str:
    """Write the page."""
    has_atheris = importlib.util.find_spec("atheris") is not None
    how = (
        f"atheris {version('atheris')}, guided by coverage"
        if has_atheris
        else "without atheris: own changes only, not guided"
    )
    tried, found = sum(one.tried for one in outcomes), [finding for one in outcomes for finding in one.findings]
    lines = [
        f"{tried:,} inputs in {seconds:,.0f} s, {len(found)} findings · seed {seed} · {how}",
        f"{machine()}, {time.strftime('%F')}; at most 1 s of processor time and 500 MB for one input",
        "",
        f"{'target':<14} {'inputs':>10} {'seconds':>8} {'inputs/s':>9} {'edges':>6} {'findings':>8}",
    ]
    for one in outcomes:
        rate = one.tried / max(one.seconds, 0.001)
        lines.append(
            f"{one.name:<14} {one.tried:>10,} {one.seconds:>8.0f} {rate:>9,.0f} {one.edges:>6} {len(one.findings):>8}"
        )
    for finding in found:
        file = Path(finding["file"])
        shown = file.relative_to(ROOT) if file.is_relative_to(ROOT) else file
        lines += ["", f"{file.parent.name}: {finding['what']}", f"  .venv/bin/python -m tests.fuzz {shown}"]
        lines += [f"    {line}" for line in finding["trace"].splitlines()[-8:]]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Fuzz, or try files again."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="kept inputs to try again")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="over all targets together")
    parser.add_argument("--only", default="", help="targets, with commas between them")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.files:
        return again(options.files)
    known = list(load())
    names = [name for name in options.only.split(",") if name] or known
    if strange := sorted(set(names) - set(known)):
        sys.stderr.write(f"error: ONLY: {', '.join(strange)}: no such target; allowed: {', '.join(known)}\n")
        return 2
    started, share = time.monotonic(), -(-options.inputs // len(names))
    with ThreadPoolExecutor(os.cpu_count() or 1) as cores:
        try:
            outcomes = list(cores.map(lambda name: fuzz(name, share, options.seed), names))
        except KeyboardInterrupt:
            STOP.set()
            return 130
    sys.stdout.write(page(outcomes, options.seed, time.monotonic() - started))
    return 1 if any(one.findings for one in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
