"""The register of targets, and what one input may cost.

A parser joins with one line above a function of bytes: ``@target(shape=JSON, seeds=[…])``. The function raises only when
a promise is broken: it catches the errors that are documented, and checks by itself what must hold of what was read.
Time and memory of each input are bounded here.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from tests.fuzz.mutate import Shape

CORPUS = Path(os.environ.get("FUZZ_CORPUS", Path(__file__).parent / "corpus"))


@dataclass(frozen=True)
class Bounds:
    """What one input may cost."""

    seconds: float = 1.0  # of processor time
    memory: int = 500  # MB that it may add to the most that the process ever held


ORDINARY = Bounds()
STUCK_SECONDS = 10.0  # then a loop in Python is broken off; one in C is for whoever watches the process
QUICK = 0.02  # seconds in which nobody spends what is not allowed, so nothing more is measured: that costs more


class BrokenPromise(AssertionError):
    """What was read is not what was promised."""


class Stuck(BaseException):
    """An input that takes far too long; no handler for ordinary errors catches it."""


@dataclass(frozen=True)
class Target:
    """One thing that reads from outside. ``most`` is the bytes of a mutated input; seeds may be longer."""

    name: str
    run: Callable[[bytes], None]
    shape: Shape
    seeds: Sequence[bytes]
    most: int

    @property
    def kept(self) -> list[Path]:
        """The files of inputs that were found once."""
        return sorted(path for path in (CORPUS / self.name).glob("*") if path.is_file())

    @property
    def roots(self) -> list[bytes]:
        """The inputs that others are made of: those that are not larger than what may come of them."""
        return [data for data in self.known if len(data) <= self.most]

    @property
    def known(self) -> list[bytes]:
        """All inputs that are there from the start."""
        return [*self.seeds, *(path.read_bytes() for path in self.kept)]


@dataclass(frozen=True)
class Finding:
    """An input that breaks a promise, and how."""

    target: str
    data: bytes
    what: str  # one line, the same for findings of the same cause
    trace: str

    @property
    def file(self) -> Path:
        """Where it is kept."""
        return CORPUS / self.target / hashlib.sha256(self.data).hexdigest()[:16]

    def keep(self) -> None:
        """Write it to the corpus, so that the tests repeat it for ever."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_bytes(self.data)


TARGETS: dict[str, Target] = {}


def target(
    *, shape: Shape, seeds: Sequence[bytes | str], most: int = 10_000
) -> Callable[[Callable[[bytes], None]], Callable[[bytes], None]]:
    """Put a function of bytes on the list of what is fuzzed, under its own name."""

    def join(run: Callable[[bytes], None]) -> Callable[[bytes], None]:
        plain = [seed.encode() if isinstance(seed, str) else seed for seed in seeds]
        TARGETS[run.__name__] = Target(run.__name__, run, shape, plain, most)
        return run

    return join


def promise(holds: object, what: str) -> None:
    """Raise ``BrokenPromise`` when something does not hold."""
    if not holds:
        raise BrokenPromise(what)


def attempt(one: Target, data: bytes, bounds: Bounds = ORDINARY) -> Finding | None:
    """Give a target one input, within bounds of time and memory; tell what was found.

    What is slow must be slow three times: a machine that is shared counts some of its own troubles as ours.
    """
    found = _once(one, data, bounds)
    for _ in range(2):
        if found is not None and found.what == "slow":
            found = _once(one, data, bounds)
    return found


def _once(one: Target, data: bytes, bounds: Bounds) -> Finding | None:
    _Watch.number += 1
    held = _Watch.held
    started, spent = time.perf_counter(), time.process_time()
    try:
        _Watch.trying = True
        one.run(data)
        _Watch.trying = False
    except (Exception, Stuck) as error:  # noqa: BLE001 - the one boundary: whatever comes out is a finding
        _Watch.trying = False
        return Finding(one.name, data, f"{type(error).__name__} at {_place(error)}", traceback.format_exc())
    if time.perf_counter() - started < QUICK:
        return None
    spent = time.process_time() - spent
    if spent > bounds.seconds:
        return Finding(
            one.name, data, "slow", f"it took {spent:.1f} s of processor time, {bounds.seconds:g} is allowed\n"
        )
    _Watch.held = _held()
    if _Watch.held - held > bounds.memory:
        return Finding(one.name, data, "memory", f"it took {_Watch.held - held} MB, {bounds.memory} are allowed\n")
    return None


def _held() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


class _Watch:
    """What is being tried, for the timer that looks whether it is still the same; and the most memory so far, in MB."""

    number = 0
    trying = False
    held = 0


@contextlib.contextmanager
def watched(seconds: float = STUCK_SECONDS) -> Iterator[None]:
    """Break off an input that is still tried when the timer looks for the second time."""
    seen = -1

    def look(_number: int, _frame: FrameType | None) -> None:
        nonlocal seen
        if _Watch.trying and seen == _Watch.number:
            raise Stuck
        seen = _Watch.number

    _Watch.held = _held()
    before = signal.signal(signal.SIGVTALRM, look)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds / 2, seconds / 2)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__) or [traceback.FrameSummary("?", 0, "?")]
    ours = [frame for frame in frames if "/bridge/" in frame.filename] or frames
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno} {str(error).splitlines()[:1] if isinstance(error, BrokenPromise) else ''}".strip()


def load() -> dict[str, Target]:
    """Give every target, the modules that hold them imported; or the planted one, to try the harness itself."""
    importlib.import_module("tests.fuzz.planted" if "FUZZ_PLANTED" in os.environ else "tests.fuzz.targets")
    return TARGETS


def machine() -> str:
    """Name what this runs on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    version = ".".join(map(str, sys.version_info[:3]))
    return f"{len(models) or '?'} cores ({models[0] if models else 'unknown'}), Python {version}"
