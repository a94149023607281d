"""The story in eight scenes. Each tells events, waits for what the other sides see of them, and prints it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

from bridge.demo import alerts
from bridge.demo.alerts import CHILD, EARLY_END, LOST_ANSWER, OUTAGE, ROBBERY
from bridge.demo.record import Deed, Sight, Told
from bridge.demo.stage import Stage
from bridge.demo.world import NEVER, PAGE, PAGE_ID

BOARDS = ("bord-a44", "lichtkrant", "halte")
MAILBOXES = ("mail-ans", "mail-joris", "mail-emma")
ADMIN = "beheerder-merenwijk"
PEOPLE = (*MAILBOXES, ADMIN)
EVERYONE = (*BOARDS, *PEOPLE, PAGE_ID)


async def play_story(stage: Stage, pause: float) -> None:
    """Play all scenes, with so many seconds to read between them."""
    scenes: list[tuple[str, Callable[[Stage], Awaitable[None]]]] = [
        ("child", _child),
        ("robbery", _robbery),
        ("correction", _correction),
        ("end", _end),
        ("duplicate", _duplicate),
        ("early_end", _early_end),
        ("outage", _outage),
        ("lost_answer", _lost_answer),
    ]
    for number, (name, scene) in enumerate(scenes, 1):
        stage.timeline.scene(number, name)
        await scene(stage)
        stage.show()
        await asyncio.sleep(pause)


async def _child(stage: Stage) -> None:
    event = alerts.opened(CHILD, "missing_child_alert", alerts.BOY, photo=stage.world.photos.url)
    told = await stage.tell(event, EVERYONE)
    await stage.wait_for_all(told, lambda: any(one.photo and one.place == "lichtkrant" for one in stage.witness.sights))
    await stage.refusals(CHILD, NEVER)
    stage.timing(told)


async def _robbery(stage: Stage) -> None:
    told = await stage.tell(alerts.opened(ROBBERY, "street_robbery", alerts.ROBBERS), (*PEOPLE, PAGE_ID))
    await stage.wait_for_all(told)
    await stage.refusals(ROBBERY, (*BOARDS, *NEVER))
    stage.timing(told)


async def _correction(stage: Stage) -> None:
    event = alerts.updated(CHILD, "missing_child_alert", alerts.BOY_CORRECTED, photo=stage.world.photos.url)
    told = await stage.tell(event, EVERYONE)
    await stage.wait_for_all(told)
    stage.timing(told)


async def _end(stage: Stage) -> None:
    told = await stage.tell(alerts.ended(CHILD, "resolved", alerts.BOY_FOUND), (*PEOPLE, PAGE_ID))
    await stage.wait_for_all(told, lambda: not stage.lit(*BOARDS, case=CHILD))
    stage.timing(told)
    if await stage.wait("photo erased", lambda: not any(one.photo for one in stage.witness.left())):
        stage.timeline.remark(stage.words("photo.erased"))
    told = await stage.tell(alerts.ended(ROBBERY, "unresolved", alerts.ROBBERS_NOT_FOUND), (*PEOPLE, PAGE_ID))
    await stage.wait_for_all(told)
    stage.timing(told)


async def _duplicate(stage: Stage) -> None:
    before = len(stage.witness.sights)
    await stage.tell(stage.events[0])
    if await stage.quiet("duplicate", before):
        stage.timeline.remark(stage.words("duplicate.nothing"))


async def _early_end(stage: Stage) -> None:
    before, now = len(stage.witness.sights), datetime.now(UTC)
    await stage.tell(alerts.ended(EARLY_END, "resolved", alerts.GIRL_FOUND, at=now), silent=True)
    stage.timeline.remark(stage.words("early_end.kept"))
    earlier = now - timedelta(seconds=30)
    await stage.tell(alerts.opened(EARLY_END, "missing_child_alert", alerts.GIRL, at=earlier), silent=True)
    if await stage.quiet("early end", before):
        stage.timeline.remark(stage.words("early_end.nothing"))


async def _outage(stage: Stage) -> None:
    await _cut_off(stage, "bord-a44", "halte")
    reach = ("bord-a44", "lichtkrant", *PEOPLE, PAGE_ID)
    told = await stage.tell(alerts.opened(OUTAGE, "missing_person", alerts.WOMAN), reach)
    await stage.wait("everyone but the sign", lambda: len(_hearers(stage, told)) >= len(reach) - 1)
    stage.report(told.at)
    waiting = await stage.wait_for_posting(OUTAGE, "bord-a44", lambda one: one.get("attempts", 0) >= 3)
    _say(stage, "bord-a44", "outage.waiting", attempts=waiting.get("attempts", 0))
    stage.show()
    back = await _reconnect(stage, "bord-a44")
    await stage.wait_for_all(told)
    _after(stage, "outage.shown", back, stage.saw(Deed.SHOWN, back, "bord-a44"))
    await _outage_at_the_end(stage)


async def _outage_at_the_end(stage: Stage) -> None:
    await _cut_off(stage, "bord-a44")
    told = await stage.tell(alerts.ended(OUTAGE, "resolved", alerts.WOMAN_FOUND), (*PEOPLE, PAGE_ID))
    await stage.wait_for_all(told, lambda: not stage.lit("lichtkrant", case=OUTAGE))
    await stage.wait_for_posting(OUTAGE, "bord-a44", lambda one: one.get("attempts", 0) >= 2)
    _say(stage, "bord-a44", "outage.lit")
    stage.show()
    back = await _reconnect(stage, "bord-a44", "halte")
    await stage.wait("the sign dark", lambda: not stage.lit(*BOARDS, case=OUTAGE))
    stage.report(back)
    _after(stage, "outage.dark", back, stage.saw(Deed.GONE, back, "bord-a44"))


async def _lost_answer(stage: Stage) -> None:
    stage.world.graph.fault("fail_and_post")
    # The case has a photo, and a local missing-child alert goes out without it (R14).
    event = alerts.opened(LOST_ANSWER, "missing_child", alerts.LONG, photo=stage.world.photos.url)
    told = await stage.tell(event, ("bord-a44", "lichtkrant", *PEOPLE, PAGE_ID))
    await stage.wait_for_all(told)
    _say(stage, PAGE_ID, "lost.unknown")
    await stage.wait_for_posting(LOST_ANSWER, PAGE_ID, lambda one: one.get("applied") == "shown")
    _say(stage, PAGE_ID, "lost.adopted", good=True, since=told.at)
    posts = [post for post in stage.world.graph.posts(PAGE) if post.message.endswith(LOST_ANSWER)]
    stage.timeline.remark(stage.words("lost.one", number=len(posts)))
    await stage.refusals(LOST_ANSWER, ("halte", *NEVER))
    stage.show()
    told = await stage.tell(alerts.ended(LOST_ANSWER, "withdrawn", alerts.LONG_MISTAKE), PEOPLE)
    gone = lambda: not stage.lit(*BOARDS, case=LOST_ANSWER) and bool(stage.saw(Deed.GONE, told.at, PAGE_ID))  # noqa: E731
    await stage.wait_for_all(told, gone)
    stage.timing(told)


def _hearers(stage: Stage, told: Told) -> set[str]:
    return {one.place for one in stage.witness.sights if one.case == told.case and one.at >= told.at}


async def _cut_off(stage: Stage, *boards: str) -> None:
    for board in boards:
        await stage.world.cut_off(board)
    _say(stage, boards, "outage.begins")


async def _reconnect(stage: Stage, *boards: str) -> float:
    back = time.monotonic()
    for board in boards:
        await stage.world.reconnect(board)
    _say(stage, boards, "outage.over", good=True)
    return back


def _say(
    stage: Stage,
    places: str | tuple[str, ...],
    key: str,
    *,
    good: bool = False,
    since: float | None = None,
    **values: object,
) -> None:
    """Tell of something that happens to a place, rather than of what it shows."""
    now = time.monotonic()
    who = " · ".join(stage.words.place(place) for place in ((places,) if isinstance(places, str) else places))
    span = "" if since is None else f"+{stage.words.span(now - since)}"
    mark, style = ("✓", "bold green") if good else ("!", "bold magenta")
    stage.timeline.line(now, mark, style, who, stage.words(key, **values), span)


def _after(stage: Stage, key: str, back: float, sights: Sequence[Sight]) -> None:
    """Tell how soon after its return a board had caught up."""
    for sight in sights[:1]:
        place, span = stage.words.place(sight.place), stage.words.span(sight.at - back)
        stage.timeline.remark(stage.words(key, place=place, span=span), "cyan")
