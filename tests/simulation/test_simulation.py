"""The simulation holds for a number of seeds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_what_must_hold_holds() -> None:
    """Sixty days of faults end as they should: I1, I3, I4, I5 and I7 at every step, I2 at rest."""
    command = [sys.executable, "-m", "tests.simulation", "--seeds", "60"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert "failed: none" in done.stdout
