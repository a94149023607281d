"""The same job for everyone, with and without a kill in the middle, and three stories that leave boards lit."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from email import message_from_bytes
from pathlib import Path
from random import Random
from typing import Any

import aiohttp

from benchmarks.contenders import Arena
from benchmarks.events import case_events
from benchmarks.mails import Mailbox, open_mailbox
from benchmarks.others.contestants import ALL, Contestant, Job
from benchmarks.processes import Failed

CACHE = Path(__file__).parents[2] / ".services" / "others"
PATIENCE = 20.0  # seconds without any change after which nothing more is expected
DOWN = 8.0  # seconds that the boards are away in story A
SLOW = 3.0  # seconds that a board takes to show anything in story B
LOOK = 0.02
_CASE = re.compile(r"Vermist (?:bench-)?(\d+)")

Scores = dict[str, Any]


class Round:
    """One contestant in one scenario: its boards, its mailbox, and what became of the cases."""

    def __init__(self, contestant: Contestant, mailbox: Mailbox, arena: Arena, who: str, session: Any) -> None:
        self.contestant = contestant
        self.arena = arena
        self.who = who
        self._mailbox = mailbox
        self._session = session
        self._counts: Counter[tuple[str, bool]] = Counter()
        self._read = 0
        self.cases = 0

    async def told(self, what: str = "_told", value: str = "0") -> dict[str, int]:
        """Ask or tell the boards something."""
        async with self._session.get(f"{self.arena.boards.url}/{what}/{self.who}/{value}") as answer:
            return dict(await answer.json(content_type=None))

    async def send(self, events: Sequence[bytes]) -> None:
        """Give it events, all at once."""
        await asyncio.gather(*(self.contestant.send(event) for event in events))

    def mails(self) -> Counter[tuple[str, bool]]:
        """Count the mails by case, and whether they tell how it ended; each is read once."""
        while self._read < len(self._mailbox.mails):
            mail = message_from_bytes(self._mailbox.mails[self._read])
            subject = str(mail["Subject"])
            found = _CASE.search(subject)
            ended = "In-Reply-To" in mail or subject.startswith("Afloop")
            self._counts[found[1] if found else "?", ended] += 1
            self._read += 1
        return self._counts

    async def settle(self, shown: int, mails: int) -> float:
        """Wait until so many boards are lit and so many different mails are there, or nothing changes; seconds."""
        began = changed = time.monotonic()
        before = (-1, -1)
        while time.monotonic() - changed < PATIENCE:
            now = ((await self.told())["shown"], len(self.mails()))  # one that came twice stands for no other
            if now == (shown, mails):
                return time.monotonic() - began
            if now != before:
                before, changed = now, time.monotonic()
            await asyncio.sleep(LOOK)
        return changed - began

    async def score(self, scenario: str, seconds: float, boards: int | None = None) -> Scores:
        """Judge what is there now; ``boards`` were to be lit at some time, where that can be asked for."""
        told, mails = await self.told(), self.mails()
        wanted = 2 * self.cases
        return {
            "who": self.contestant.title,
            "scenario": scenario,
            "seconds": round(seconds, 2),
            "lost_boards": max(0, boards - told["ever"]) if boards is not None else 0,
            "lost_mails": wanted - len(mails),
            "doubled": sum(mails.values()) - len(mails),
            "left": told["shown"],
        }


async def _burst(one: Round, kill: bool, cases: int, random: Random) -> Scores:
    """Many cases at once, and their endings; with a kill at some moment in the middle of the opening."""
    boards = one.contestant.job.count
    events = [case_events() for _ in range(cases)]
    one.cases = cases
    began = time.monotonic()
    killing = [_kill(one, random.uniform(0.25, 0.75) * cases * boards)] if kill else []
    await asyncio.gather(one.send([opened for opened, _ in events]), *killing)
    await one.settle(cases * boards, cases)
    shown = time.monotonic() - began
    began = time.monotonic()
    await one.send([ended for _, ended in events])
    seconds = shown + await one.settle(0, 2 * cases)
    return await one.score("SIGKILL" if kill else "undisturbed", seconds, cases * boards)


async def _kill(one: Round, at: float) -> None:
    """Kill the contestant when so many boards have been lit, and start it again."""
    end = time.monotonic() + PATIENCE
    while (await one.told())["ever"] < at and time.monotonic() < end:
        await asyncio.sleep(0.001)
    await one.contestant.kill()
    await one.contestant.start()


async def _a(one: Round) -> Scores:
    """The boards are down for some seconds; meanwhile the case opens, and ends."""
    opened, ended = case_events()
    one.cases = 1
    await one.told("_down", "1")
    await one.send([opened])
    await asyncio.sleep(DOWN / 2)
    await one.send([ended])
    await asyncio.sleep(DOWN / 2)
    await one.told("_down", "0")
    await asyncio.sleep(PATIENCE)
    return await one.score("A", DOWN + PATIENCE)


async def _b(one: Round) -> Scores:
    """A board takes three seconds to show anything, and the case ends after half a second."""
    opened, ended = case_events()
    one.cases = 1
    await one.told("_slow", str(SLOW))
    await one.send([opened])
    await asyncio.sleep(0.5)
    await one.send([ended])
    await asyncio.sleep(SLOW)
    return await one.score("B", SLOW + 0.5 + await one.settle(0, 2))


async def _c(one: Round) -> Scores:
    """The program is killed between the opening and the ending."""
    opened, ended = case_events()
    one.cases = 1
    await one.send([opened])
    await one.settle(one.contestant.job.count, 1)
    await one.contestant.kill()
    await one.contestant.start()
    await one.send([ended])
    return await one.score("C", await one.settle(0, 2), one.contestant.job.count)


async def others(arena: Arena, boards: int, cases: int) -> dict[str, Any]:
    """Let everyone do the job: the bursts one after the other, the stories (mere waiting) at the same time."""
    versions, missing, scores = {}, {}, []
    CACHE.mkdir(parents=True, exist_ok=True)
    for kind in ALL:
        try:
            versions[kind.title] = await kind.install(CACHE)
        except Failed as error:
            missing[kind.title] = str(error)
    random = Random(arena.seed)
    here = [kind for kind in ALL if kind.title in versions]
    for kill in (False, True):
        for kind in here:

            async def burst(one: Round, kill: bool = kill) -> Scores:
                return await _burst(one, kill, cases, random)

            scores.append(await _play(arena, kind, "kill" if kill else "burst", boards, burst))
    for name, story in (("A", _a), ("B", _b), ("C", _c)):
        scores += await asyncio.gather(*(_play(arena, kind, name, boards, story) for kind in here))
    return {"boards": boards, "cases": cases, "versions": versions, "missing": missing, "scores": scores}


async def _play(
    arena: Arena, kind: type[Contestant], scenario: str, boards: int, story: Callable[[Round], Awaitable[Scores]]
) -> Scores:
    sys.stderr.write(f"  {kind.title}: {scenario}\n")
    try:
        async with _round(arena, kind, scenario, boards) as one:
            return await story(one)
    except Failed as error:
        return {"who": kind.title, "scenario": scenario, "failed": str(error)}


@asynccontextmanager
async def _round(arena: Arena, kind: type[Contestant], scenario: str, boards: int) -> AsyncIterator[Round]:
    who = f"{kind.title.lower()}-{scenario.lower()}"
    async with open_mailbox() as mailbox, aiohttp.ClientSession() as session, arena.channel() as channel:
        home = arena.place(who, [])
        job = Job(f"bench.{home.name}", f"{arena.boards.url}/{who}", boards, mailbox.port, arena.amqp_url, home)
        contestant = kind(CACHE, arena, job, session, channel)
        try:
            await contestant.start()
            yield Round(contestant, mailbox, arena, who, session)
        finally:
            await contestant.close()
