"""The one readable timeline: when, who, what, and how long after the event that asked for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from bridge.demo.invariants import Finding, is_good
from bridge.demo.record import BOARD_CHANNELS, Deed, Sight, Told, source_of
from bridge.demo.words import Words
from bridge.demo.world import CHANNELS

_WHEN, _WHO, _SPAN = 7, 29, 8  # columns
_INDENT = _WHEN + 3
_MARKS = {
    Deed.SHOWN: ("●", "bold green"),
    Deed.CHANGED: ("●", "green"),
    Deed.GONE: ("○", "bold cyan"),
    Deed.PHOTO_GONE: ("○", "bold cyan"),
}


class Timeline:
    """Prints; the only one that does. ``started`` is the monotonic second that the times count from."""

    def __init__(self, console: Console, words: Words, started: float) -> None:
        self._console = console
        self._words = words
        self._started = started
        self._is_blank = False

    def opening(self) -> None:
        """Say what this is."""
        text = Text.assemble((self._words("title"), "bold"), "\n", self._words("intro"))
        self._print(Panel(text, padding=(0, 1)))

    def scene(self, number: int, name: str) -> None:
        """Begin a scene."""
        self._blank()
        self._print(Rule(Text(f"{number}  {self._words(f'scene.{name}')}", "bold"), align="left", style="dim"))
        self.remark(self._words(f"scene.{name}.why"), "dim italic")

    def event(self, at: float, what: str) -> None:
        """Tell of an event."""
        sender = (self._words("control_room"), "bold")
        when = Text(self._words.moment(at - self._started), "dim")
        self._flowing(when, Text("►", "bold yellow"), Text.assemble(sender, " ", what))

    def sights(self, sights: Sequence[Sight], told: Sequence[Told], since: float | None) -> None:
        """Tell what places saw; those that saw the same at about the same time share a line."""
        ordered = sorted(sights, key=lambda one: one.at)
        named = [(self.phrase(one, told), one) for one in ordered]
        phrases = list(dict.fromkeys((phrase, one.deed) for phrase, one in named))
        for phrase, deed in phrases:
            alike = [one for words, one in named if (words, one.deed) == (phrase, deed)]
            places = sorted({one.place for one in alike}, key=list(CHANNELS).index)
            who = " · ".join(map(self._words.place, places))
            span = "" if since is None else f"+{self._words.span(alike[-1].at - since)}"
            self.line(alike[0].at, *_MARKS[deed], who, phrase, span)

    def phrase(self, sight: Sight, told: Sequence[Told]) -> str:
        """Say in words what a place saw."""
        source = source_of(sight, told)
        key = f"saw.{sight.channel if sight.channel not in BOARD_CHANNELS else 'board'}.{sight.deed}"
        if sight.channel in BOARD_CHANNELS:
            photo = sight.photo and sight.deed is Deed.CHANGED and source is not None and source.kind == "opened"
            return self._words(f"{key}.photo" if photo else key)
        if sight.deed in (Deed.GONE, Deed.PHOTO_GONE):
            return self._words(key)
        kind = source.kind if source else "opened"
        pictured = sight.photo and sight.deed is Deed.SHOWN
        return self._words(f"{key}.{kind}") + (self._words("saw.photo") if pictured else "")

    def refused(self, reasons: Iterable[tuple[str, str]]) -> None:
        """Tell who gets nothing, and why: pairs of reason and place."""
        for reason, pairs in groupby(sorted(reasons), key=lambda pair: pair[0]):
            places = sorted((place for _, place in pairs), key=list(CHANNELS).index)
            names = [self._words.place(place) for place in places]
            who, gets = " · ".join(names), self._words("refused.many" if len(names) > 1 else "refused")
            self._flowing(Text(), Text("✗", "bold red"), Text.assemble((who, "bold"), f" {gets}: {reason}"))

    def _flowing(self, when: Text, mark: Text, text: Text) -> None:
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_column(width=_WHEN, justify="right")
        grid.add_column(width=1)
        grid.add_column()
        grid.add_row(when, mark, text)
        self._print(grid)

    def line(self, at: float, mark: str, style: str, who: str, what: str, span: str = "") -> None:
        """Print one line of the timeline."""
        grid = Table.grid(padding=(0, 1, 0, 0), expand=True)
        grid.add_column(width=_WHEN, justify="right")
        grid.add_column(width=1)
        grid.add_column(width=_WHO)
        grid.add_column(ratio=1)
        grid.add_column(width=_SPAN, justify="right", no_wrap=True)
        when = Text(self._words.moment(at - self._started), "dim")
        grid.add_row(when, Text(mark, style), Text(who, "bold"), Text(what), Text(span, "cyan"))
        self._print(grid)

    def remark(self, text: str, style: str = "") -> None:
        """Print a sentence beside the timeline."""
        self._print(Padding(Text(text, style), (0, 0, 0, _INDENT), expand=False))

    def show(self, boards: Sequence[RenderableType], page: Sequence[RenderableType]) -> None:
        """Draw who shows what now."""
        self._blank()
        self._print(Group(*boards, *page))
        self._blank()

    def findings(self, findings: Sequence[Finding], missed: Sequence[str], seconds: float) -> None:
        """Tell for each invariant whether it held, and on what evidence."""
        self._blank()
        self._print(Rule(Text(self._words("findings"), "bold"), align="left", style="dim"))
        grid = Table.grid(padding=(0, 1, 0, 0))
        for one in findings:
            mark = Text("✓", "bold green") if one.held else Text("✗", "bold red")
            proof = self._words(f"{one.name}.evidence", **one.evidence) if one.held else "; ".join(one.faults[:3])
            what = Text.assemble((self._words(one.name), "bold"), "\n", (proof, "dim" if one.held else "red"))
            grid.add_row(mark, Text(one.name, "bold"), what)
        self._print(grid)
        for one_missed in missed:
            self._print(Text(f"✗ {self._words('missed', what=one_missed)}", "bold red"))
        good = is_good(findings, missed)
        verdict = self._words("verdict.good" if good else "verdict.bad", seconds=self._words.number(seconds, 1))
        self._blank()
        self._print(Text(verdict, "bold green" if good else "bold red"))

    def _print(self, what: RenderableType) -> None:
        self._console.print(what)
        self._is_blank = False

    def _blank(self) -> None:
        """Leave one line blank, and never two."""
        if not self._is_blank:
            self._console.print()
            self._is_blank = True
