"""The world around the bridge: boards, a page, mailboxes, and what people saw there. It outlives every process.

It knows the true time, and whose fault comes when. How a request gets there is told in ``channels.py``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextvars import Context
from dataclasses import dataclass, field
from random import Random

from bridge.core.content import Content
from bridge.core.posting import Posting
from bridge.core.target import Target
from tests.simulation.history import START, History
from tests.simulation.loop import Process, SimLoop

BETWEEN = " | "  # the texts of a sign's one message
NOBODY = Context()  # what belongs to no process outlives them all


@dataclass
class Shown:
    """What stands somewhere: on a board, or as a post; ``until`` in virtual seconds."""

    posting: Posting
    content: Content
    until: float = float("inf")
    photo: str = ""


@dataclass
class World:
    """Time, delays, faults, everything that is shown, and the first thing that was wrong."""

    loop: SimLoop
    history: History
    healed: bool = False
    boards: dict[str, dict[str, Shown]] = field(default_factory=dict)
    removed: dict[str, dict[str, Shown]] = field(default_factory=dict)  # what a rebooting board may bring back
    older: dict[str, dict[str, Shown]] = field(default_factory=dict)  # and the message before that one, on a sign
    foreign: dict[str, str] = field(default_factory=dict)  # what others wrote on signs
    stuck: dict[str, str] = field(default_factory=dict)  # what a sign that lies says, whatever it shows
    fault_now: str = ""  # what the effect that happens now met on its way
    posts: dict[str, Shown] = field(default_factory=dict)
    inbox: list[tuple[str, str, Content]] = field(default_factory=list)  # target, posting, what came
    calls: Counter[str] = field(default_factory=Counter)
    given_up: set[str] = field(default_factory=set)  # targets that refused for good, or lied: what follows is excused
    photos: str = ""
    trace: list[tuple[float, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    happened: Counter[str] = field(default_factory=Counter)  # what the page at the end counts
    on_effect: Callable[[Target, Posting, Content], None] = lambda *_: None
    on_run_out: Callable[[str, Shown], None] = lambda *_: None
    on_rewrite: Callable[[str, Mapping[str, Shown]], None] = lambda *_: None
    start: Callable[[str], None] = lambda _: None  # a process by its name

    def __post_init__(self) -> None:
        """Look the faults up by where and when they happen."""
        self._faults = {(one.target, one.nth): one.what for one in self.history.faults}
        self._random = Random(self.history.seed)
        self.rules_so_far = [self.history.rules]

    def lag(self) -> float:
        """Give one delay of the way: mostly milliseconds."""
        return self._random.choice((0.0, 0.001, 0.004, 0.02)) if self._random.random() < 0.95 else 0.4

    def chance(self, below: float) -> float:
        """Draw a number from 0 up to ``below``."""
        return self._random.random() * below

    def clock(self) -> float:
        """Give the true time, in seconds since the epoch."""
        return START + self.loop.time()

    def note(self, what: str) -> None:
        """Keep a line for the tale of a failure."""
        self.trace.append((self.loop.time(), what))

    def violate(self, what: str) -> None:
        """Keep what must never happen."""
        self.note(f"!! {what}")
        self.wrong.append(what)

    def fault(self, target: str) -> str:
        """Say what the next call at a target meets."""
        nth = self.calls[target]
        self.calls[target] += 1
        what = "" if self.healed else self._faults.get((target, nth), "")
        self.happened[f"fault: {what}"] += bool(what)
        return what

    def dies(self, process: Process, fuse: int) -> None:
        """Let a process die after so many steps more, and be started again some time later."""
        process.burn(fuse)

        def again() -> None:
            process.kill()
            self.start(process.name)

        self.later(self._random.choice((0.5, 2.0, 25.0)), again)

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        """Let something happen in the world, whatever becomes of the process that asked for it."""
        self.loop.call_later(seconds, act, context=NOBODY)

    def showing(self, target: str) -> list[Shown]:
        """Give what a board shows now; it clears by itself what has run out."""
        board = self.boards.setdefault(target, {})
        for name in [name for name, shown in board.items() if shown.until <= self.clock()]:
            del board[name]
        return list(board.values())

    def live(self, target: str) -> list[Shown]:
        """Give the posts of a page."""
        return [shown for shown in self.posts.values() if shown.posting.target.id == target]

    def reboot(self, target: str, *, lit: bool, older: bool = False) -> None:
        """A board loses its power: it comes back dark, or with what it showed before."""
        old = (self.older if older else self.removed).get(target, {}) if lit else {}
        board = self.boards.setdefault(target, {})
        if not lit or target.startswith("sign"):
            board.clear()
            self.foreign.pop(target, None)
        board.update({name: one for name, one in old.items() if one.until > self.clock()})

    # --- signs that hold one message

    def reads(self, target: str, *, lying: bool = True) -> str:
        """Say what a sign says that it shows."""
        if lying and not self.healed and target in self.stuck:
            return self.stuck[target]
        return self.foreign.get(target) or BETWEEN.join(one.content.text for one in self.showing(target))

    def rewrite(self, target: str, shown: dict[str, Shown]) -> None:
        """Put our message on a sign, or none, in the place of what is there."""
        self.on_rewrite(target, shown)
        self.older[target] = self.removed.get(target, {})
        self.removed[target] = self.boards.get(target, {})
        self.foreign.pop(target, None)
        self.boards[target] = shown
        for one in shown.values():
            if self.clock() < one.until < float("inf"):
                self.later(one.until - self.clock(), lambda one=one: self.on_run_out(target, one))

    def overwrite(self, target: str, text: str) -> None:
        """Let somebody else write on a sign."""
        self.removed[target] = self.boards.get(target, {})
        self.boards[target] = {}
        self.foreign[target] = text
