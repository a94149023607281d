"""Where the story is played: events go in through the real intake, and what comes of them is waited for and told."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

from bridge.bootstrap import Bridge
from bridge.core.events import Event, Opened, Updated, parse_structured
from bridge.demo.faces import street
from bridge.demo.record import BOARD_CHANNELS, Deed, Record, Sight, Told, heard, source_of
from bridge.demo.timeline import Timeline
from bridge.demo.witness import Witness
from bridge.demo.words import Words
from bridge.demo.world import CHANNELS, NEVER, PAGE, PAGE_ID, SIGNS, World
from bridge.store import reading

PATIENCE = 8.0  # seconds to wait for what should happen
QUIET = 0.4  # seconds to wait for what should not


class Stage:
    """What a scene needs: tell an event, wait for what comes of it, print it."""

    def __init__(self, bridge: Bridge, world: World, witness: Witness, console: Console, words: Words) -> None:
        self.bridge = bridge
        self.world = world
        self.witness = witness
        self.console = console
        self.words = words
        self.started = time.monotonic()
        self.timeline = Timeline(console, words, self.started)
        self.told: list[Told] = []
        self.events: list[Mapping[str, Any]] = []
        self.kept: dict[str, float] = {}  # event -> seconds until the bridge had it safe
        self.missed: list[str] = []
        self._printed = 0
        self._drawn: tuple[str, str] = ("", "")

    async def tell(self, event: Mapping[str, Any], reach: Collection[str] = (), *, silent: bool = False) -> Told:
        """Hand an event to the bridge, and print how long it took to keep it."""
        read = parse_structured(json.dumps(event))
        again = any(one.id == read.id for one in self.told)
        told = _told(read, time.monotonic(), frozenset(reach), silent=silent or again)
        await self.bridge.intake.accept(read)
        self.kept[read.id] = time.monotonic() - told.at
        self.told.append(told)
        self.events.append(event)
        self.timeline.event(told.at, self._what(told, again=again))
        return told

    def _what(self, told: Told, *, again: bool) -> str:
        outcome = self.words(f"outcome.{told.outcome}") if told.outcome else ""
        key = "told.again" if again else f"told.{told.kind}"
        return self.words(key, case=told.case, headline=told.headline, outcome=outcome)

    async def wait(self, what: str, condition: Callable[[], bool]) -> bool:
        """Wait for what must happen; what does not is remembered, and fails the demonstration."""
        happened = await self.witness.until(condition, PATIENCE)
        if not happened:
            self.missed.append(what)
        return happened

    async def wait_for_all(self, told: Told, also: Callable[[], bool] = lambda: True) -> None:
        """Wait until everyone who must hear of an event did, and ``also`` holds; then print it."""
        what = f"{told.kind} {told.case}"
        await self.wait(what, lambda: told.reach <= heard(told, self.witness.sights) and also())
        self.report(told.at)

    def lit(self, *boards: str, case: str) -> list[str]:
        """Name those of the boards that show something of a case now."""
        return [
            name for name in boards if any(one["case"] == case for one in self.world.boards[name].shown(name).values())
        ]

    def saw(self, deed: Deed, since: float, *places: str) -> list[Sight]:
        """Give what places saw of one kind since then."""
        return [one for one in self.witness.sights if one.deed is deed and one.at >= since and one.place in places]

    async def posting(self, case: str, place: str) -> dict[str, Any]:
        """Ask the bridge how a case stands at a place, as the command ``status`` does."""
        found = await self._status(case)
        return next((one for one in found if one["target"] == place), {})

    async def _status(self, case: str) -> list[dict[str, Any]]:
        language = self.words.language
        found = await self.bridge.database.read(lambda connection: reading.status(connection, case, language))
        return [one for each in found["cases"] for one in each["postings"]]

    async def wait_for_posting(
        self, case: str, place: str, condition: Callable[[dict[str, Any]], bool]
    ) -> dict[str, Any]:
        """Wait until the bridge itself reports a posting as expected; give what it reports."""
        until = time.monotonic() + PATIENCE
        while not condition(one := await self.posting(case, place)):
            if time.monotonic() > until:
                self.missed.append(f"status of {case} {place}")
                break
            await asyncio.sleep(0.02)
        return one

    async def refusals(self, case: str, places: Collection[str]) -> None:
        """Print who gets nothing of a case and why, in the bridge's own words; ``places`` must be among them."""
        refused = {one["target"]: one["reason"] for one in await self._status(case) if one["desired"] == "refused"}
        self.missed += [f"refusal {case} {place}" for place in sorted(set(places) - set(refused))]
        self.timeline.refused((reason, place) for place, reason in refused.items())

    def report(self, since: float | None = None) -> None:
        """Print what the other sides saw since the last report."""
        new = self.witness.sights[self._printed :]
        self._printed += len(new)
        self.timeline.sights(new, self.told, since)

    @property
    def has_news(self) -> bool:
        """Whether something was seen that has not been printed."""
        return len(self.witness.sights) > self._printed

    def know(self, event: Mapping[str, Any]) -> None:
        """Know the texts of an event that somebody may send from another window, so as to name what comes of it."""
        self.told.append(_told(parse_structured(json.dumps(event)), time.monotonic(), frozenset(), silent=False))

    def timing(self, told: Told) -> None:
        """Print how long an event took: to the first board (or until all were dark), and to the last channel."""
        sights = [one for one in self.witness.sights if one.case == told.case and one.at >= told.at]
        on_boards = [one.at - told.at for one in sights if one.channel in BOARD_CHANNELS]
        last = max((one.at - told.at for one in sights), default=0.0)
        spans = {"kept": self.kept[told.id], "last": last}
        key = "timing"
        if on_boards:
            key = "timing.dark" if told.kind == "ended" else "timing.board"
            spans |= {"board": min(on_boards), "dark": max(on_boards)}
        words = {name: self.words.span(seconds) for name, seconds in spans.items()}
        self.timeline.remark(self.words(key, **words), "cyan")

    async def quiet(self, what: str, since: int | None = None) -> bool:
        """Wait a moment for what should not happen; noise (more than ``since`` sights) fails the demonstration."""
        since = len(self.witness.sights) if since is None else since
        await asyncio.sleep(QUIET)
        still = len(self.witness.sights) == since
        self.missed += [] if still else [f"quiet: {what}"]
        return still

    def show(self) -> None:
        """Draw who shows what now: the boards and the page, each if it looks other than when it was drawn last."""
        boards = [[name in self.world.unreachable, self.world.boards[name].shown(name)] for name in SIGNS]
        page = [[post.id, post.message] for post in self.world.graph.posts(PAGE)]
        looks = (json.dumps(boards), json.dumps(page))
        if looks == self._drawn:
            return
        new_boards, new_page = (now != before for now, before in zip(looks, self._drawn, strict=True))
        self._drawn = looks
        self.timeline.show([self.street()] if new_boards else [], self.page() if new_page else [])

    def street(self) -> RenderableType:
        """Draw the boards."""
        return street(self.world, self.words, self.console.width, colours=self.console.color_system is not None)

    def page(self) -> list[Text]:
        """Write a line for each post on the page."""
        posts = self.world.graph.posts(PAGE)
        lines = [self._post_line(post.message, photo=bool(post.photo)) for post in posts]
        name = f"  {self.words('now.page')}  "
        lines = lines or [Text(self.words("now.page.nothing"), "dim")]
        return [
            Text.assemble((name if not number else " " * len(name), "bold cyan"), line)
            for number, line in enumerate(lines)
        ]

    def _post_line(self, message: str, *, photo: bool) -> Text:
        case = (message.split() or [""])[-1]
        source = source_of(Sight(0.0, PAGE_ID, CHANNELS[PAGE_ID], Deed.SHOWN, case, message), self.told)
        lines = [line for line in message.splitlines() if line.strip()]
        headline = lines[2 if source and source.kind == "updated" else 1] if len(lines) > 2 else message
        about = [self.words(f"now.{source.kind}")] if source else []
        about += [self.words("now.with_photo")] if photo else []
        return Text.assemble(headline, (f"  {' · '.join(about)}", "dim"))

    def record(self) -> Record:
        """Give everything that the invariants are judged by."""
        return Record(
            told=tuple(self.told),
            sights=tuple(self.witness.sights),
            left=tuple(self.witness.left()),
            log=tuple(self.world.log.read_text("utf-8").splitlines()),
            secrets=tuple(self.world.secrets),
            signs=SIGNS,
            never=NEVER,
        )


def _told(event: Event, at: float, reach: frozenset[str], *, silent: bool) -> Told:
    kind = event.type.rpartition(".")[2]
    if isinstance(event, (Opened, Updated)):
        alert = event.data
        return Told(
            at,
            event.id,
            event.subject,
            kind,
            category=alert.category.value,
            headline=alert.info[0].headline,
            texts=tuple(info.description for info in alert.info),
            originals=tuple(info.original_text for info in alert.info),
            reach=reach,
            silent=silent,
        )
    texts = tuple(info.description for info in event.data.info)
    outcome = event.data.outcome.value
    return Told(at, event.id, event.subject, kind, outcome=outcome, texts=texts, reach=reach, silent=silent)
