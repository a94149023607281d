"""What reads from outside, fed with hostile input: some of what ``make fuzz`` does, and all that it ever found."""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import harness
from tests.fuzz.__main__ import ROOT, Outcome, again, page
from tests.fuzz.harness import Bounds, Target, attempt, load, watched
from tests.fuzz.mutate import HOSTILE_TEXTS, Shape, mutate

TARGETS = load()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.sampled_from(HOSTILE_TEXTS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)

each_target = pytest.mark.parametrize("one", TARGETS.values(), ids=TARGETS)


def changed(one: Target) -> st.SearchStrategy[bytes]:
    """Give inputs of the target's own shape: good ones that were changed, and some that never were good."""

    def change(seed: bytes, rng: random.Random) -> bytes:
        return mutate(seed, rng, one.shape, one.roots, one.most)

    made = st.builds(change, st.sampled_from(one.roots), st.randoms(use_true_random=False))
    match one.shape:
        case Shape.JSON:
            return made | made.flatmap(_filled) | st.binary(max_size=50)
        case Shape.TEXT:
            return made | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))
        case Shape.BYTES:
            return made | st.binary(max_size=200)


def _filled(data: bytes) -> st.SearchStrategy[bytes]:
    """Give the document with one of its fields made up."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return st.just(data)
    if not isinstance(document, dict) or not document:
        return JSON.map(lambda value: json.dumps(value).encode())
    return st.tuples(st.sampled_from(list(document)), JSON).map(
        lambda field: json.dumps({**document, field[0]: field[1]}).encode("utf-8", "surrogatepass")
    )


@each_target
def test_hostile_input_breaks_no_promise(one: Target) -> None:
    """Input of the right shape and the wrong intent is refused as documented, or does what is promised, in time."""

    @settings(
        max_examples=60,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
    @given(changed(one))
    def try_it(data: bytes) -> None:
        found = attempt(one, data)
        assert found is None, f"{found.what}\n{found.trace}"

    with watched():
        try_it()


@each_target
def test_what_was_found_once_stays_mended(one: Target) -> None:
    """Seeds, and every input that ``make fuzz`` ever kept, break no promise any more."""
    for data in one.known:
        with watched():
            found = attempt(one, data)
        assert found is None, f"{data[:200]!r}: {found.what}\n{found.trace}"


def test_the_list_is_whole() -> None:
    """Everything that reads from outside is on the list."""
    assert set(TARGETS) >= {
        *(
            "event",
            "binary",
            "queue",
            "trace",
            "alert",
            "area",
            "bridge_yaml",
            "rules_yaml",
            "targets_yaml",
            "templates",
        ),
        *("layout", "log", "address", "header", "mime", "graph", "sign", "smtp", "photo", "photo_url"),
    }


def _endless(_: bytes) -> None:
    while True:
        pass


def _greedy(_: bytes) -> None:
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 2**10 + 200 * 2**20  # more than any test before it
    bytearray(size)[:: 2**12] = b"x" * (size // 2**12)


@pytest.mark.parametrize(
    ("run", "what"),
    [
        (lambda data: 1 / len(data), "ZeroDivisionError"),
        (_endless, "Stuck"),
        (lambda data: sum(range(3 * 10**7)), "slow"),
        (_greedy, "memory"),
    ],
)
def test_each_kind_of_fault_is_told(run: Callable[[bytes], None], what: str) -> None:
    """An error that is not documented, a loop without end, a long calculation and a heap of memory are findings."""
    bounds = Bounds(seconds=10, memory=0) if what == "memory" else Bounds(seconds=0.1)
    with watched(0.3 if what == "Stuck" else 30):
        found = attempt(Target("x", run, Shape.TEXT, [], 1), b"", bounds)
    assert found is not None
    assert found.what.startswith(what)


def test_planted_faults_are_found(tmp_path: os.PathLike[str]) -> None:
    """``make fuzz`` finds a wrong error and a death of the process, keeps both inputs, and says how to repeat them."""
    environment = {**os.environ, "FUZZ_PLANTED": "1", "FUZZ_CORPUS": str(tmp_path)}
    command = [sys.executable, "-m", "tests.fuzz", "--inputs", "3000", "--only", "planted"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "LookupError at planted.py" in done.stdout
    assert "the process died (exit code -6)" in done.stdout
    [repeat, *_] = [line.split() for line in done.stdout.splitlines() if "-m tests.fuzz" in line]
    once_more = subprocess.run(repeat, cwd=ROOT, env=environment, capture_output=True, timeout=60, check=False)
    assert once_more.returncode != 0


def test_the_page_and_the_repetition(capsys: pytest.CaptureFixture[str], tmp_path: os.PathLike[str]) -> None:
    """The page tells inputs, rates, findings and the seed; a file of no target is refused in one line."""
    text = page([Outcome("event", 1_000, 2.0, "77")], 5, 2.5)
    assert "1,000 inputs in 2 s, 0 findings · seed 5" in text
    assert ["event", "1,000", "2", "500", "77", "0"] in [line.split() for line in text.splitlines()]
    assert again([harness.CORPUS / "zork" / "x"]) == 2
    assert "is not kept for a target" in capsys.readouterr().err
