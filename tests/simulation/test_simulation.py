"""The simulation holds for fresh seeds and for all that ever failed, and it finds the bugs that are planted for it."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.generate import WORDS, generate, shipped
from tests.simulation.history import ALLOW_ALL, History
from tests.simulation.hunt import known
from tests.simulation.mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
EVER_FAILED = Path(__file__).with_name("ever_failed.jsonl")


def python(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a module of this folder in a process of its own, which may set up all that it shares."""
    command = [sys.executable, "-m", *arguments]
    path = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=path, capture_output=True, text=True, timeout=600, check=False)


def test_what_must_hold_holds_for_fresh_seeds(tmp_path: Path) -> None:
    """Sixty days that nobody played before: I1, I3 to I7 at every step, I2 at rest; the page names the seeds."""
    first = secrets.randbelow(10**9)
    done = python("tests.simulation", "--seeds", "60", "--first", str(first), folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert f"{first} to {first + 59}" in done.stdout
    assert "all 60 histories hold" in done.stdout


def test_what_ever_failed_holds(tmp_path: Path) -> None:
    """Every history that ever showed a fault of the bridge, made small and kept, ends as it should."""
    done = python("tests.simulation", "--replay", str(EVER_FAILED), folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert done.stdout.count("HELD") == len(EVER_FAILED.read_text("utf-8").splitlines())


def test_days_have_all_sorts_of_rules() -> None:
    """Some days allow all, some have the shipped rules, most of the others forbid something; an old history allows all."""
    days = [generate(seed).rules for seed in range(200)]
    drawn = [rules for rules in days if rules not in (ALLOW_ALL, shipped())]
    assert days.count(ALLOW_ALL) > 80
    assert days.count(shipped()) > 10
    assert len(shipped()) > 10
    assert {key for rules in drawn for rule in rules for key in rule} == {"effect", *WORDS}
    assert [History.from_json(line).rules for line in EVER_FAILED.read_text("utf-8").splitlines()[:2]] == [
        ALLOW_ALL
    ] * 2
    again = History.from_json(generate(3).to_json())
    assert again == generate(3)


def test_every_planted_bug_is_found(tmp_path: Path) -> None:
    """The test of the test: with each bug in a copy of the bridge a history fails, by the invariant that it breaks."""
    done = python("tests.simulation.hunt", "--known", "--most", "1000", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert re.findall(r"^(.+?)  +seed \d+", done.stdout, re.MULTILINE) == [mutant.name for mutant in MUTANTS]


def test_the_documents_list_the_planted_bugs() -> None:
    """At least ten, those of the table, each in a place of its own."""
    assert list(known()) == [mutant.name for mutant in MUTANTS]
    assert len({(mutant.file, mutant.good) for mutant in MUTANTS}) == len(MUTANTS) >= 10


@pytest.mark.parametrize("text", ["", "here\nhere\n"])
def test_a_bug_whose_place_has_moved_is_not_forgotten(tmp_path: Path, text: str) -> None:
    """A text that is not there, or there twice, is an error; nothing is planted, and nothing passes."""
    (tmp_path / "file.py").write_text(text, "utf-8")
    with pytest.raises(LookupError):
        Mutant("a bug", ("I1",), "file.py", "here\n", "there\n").plant(tmp_path)
    assert (tmp_path / "file.py").read_text("utf-8") == text
