#!/usr/bin/env python3
"""Say in one line how a test run went, and count what was skipped: ``summary.py JUNIT_XML…``.

Exit code 1 when something was skipped in CI (``CI=true``), where every service must be there.
"""
# ruff: noqa: T201
# Printing is all it does.

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

# The file is written by our own test run a moment ago: no hostile XML.
from xml.etree import ElementTree as ET

SERVERS = {"RabbitMQ": "BRIDGE_TEST_AMQP_URL", "PostgreSQL": "BRIDGE_TEST_POSTGRES_URL"}


def outcome(case: ET.Element) -> str:
    """Name what became of one test case: passed, failed, skipped or xfailed."""
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    skipped = case.find("skipped")
    if skipped is None:
        return "passed"
    return "xfailed" if skipped.get("type") == "pytest.xfail" else "skipped"


def main(reports: Sequence[Path]) -> int:
    """Print the summary of the JUnit reports that are there and return the exit code."""
    trees = [ET.parse(report) for report in reports if report.exists()]  # noqa: S314
    cases = [case for tree in trees for case in tree.iter("testcase")]
    counts = Counter(map(outcome, cases))
    seconds = sum(float(case.get("time", 0)) for case in cases)
    parts = [f"{counts[word]} {word}" for word in ("passed", "failed", "skipped", "xfailed") if counts[word]]
    servers = [f"{name} {'yes' if os.environ.get(variable) else 'NO'}" for name, variable in SERVERS.items()]
    print(f"TESTS: {', '.join(parts) or 'none ran'} in {seconds:.0f} s · {' · '.join(servers)}")
    if counts["skipped"] and os.environ.get("CI", "").lower() in {"true", "1"}:
        print("In CI nothing may be skipped; the reasons are in the list above (SKIPPED ...).", file=sys.stderr)
        return 1
    return 0 if cases else 1


if __name__ == "__main__":
    sys.exit(main([Path(name) for name in sys.argv[1:]]))
