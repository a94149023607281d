"""The five scenarios in which other systems leave boards lit or readers doubled (design 6), with the real process."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bridge.simulators.board import Faults
from tests.e2e.bench import FOUND, PAGES, Bench, event, open_bench, text_of
from tests.e2e.conftest import Figures
from tests.e2e.process import until

CASE = "2026112200042"


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> str:
    """Name either store: PostgreSQL, or nothing for the bench's own SQLite."""
    return str(request.getfixturevalue("postgres_url")) if request.param == "postgresql" else ""


@pytest.fixture
async def each(store: str, tmp_path: Path, amqp_url: str) -> AsyncIterator[Bench]:
    """Give a bench on either store, ready to start."""
    async with open_bench(tmp_path, amqp_url, store) as bench:
        bench.write()
        if store:
            await bench.run("migrate")
        yield bench


def said(status: dict[str, Any], channel: str) -> set[tuple[str, str]]:
    """Give what the postings of a channel should be and are."""
    return {(one["desired"], one["applied"]) for one in status["postings"] if one["channel"] == channel}


@pytest.mark.parametrize("way", ["refused", "broken off"])
async def test_zombie_a(bench: Bench, figures: Figures, way: str) -> None:
    """A "show" that waits for boards that are down dies with its case: none is lit when they come back."""
    bench.add(boards=50)
    bridge = await bench.start()
    if way == "refused":
        await bench.boards.stop()
    else:
        bench.boards.fail(Faults(down=True))
    await bench.publish(event(CASE, "opened"))
    await until(lambda: len({line["target"] for line in bridge.logged("step failed")}) == 50, "all boards were tried")
    await bench.publish(event(CASE, "ended"))
    await bridge.until_logged("event", times=2)
    if way == "refused":
        await bench.boards.start()
    else:
        bench.boards.heal()
    status = await bench.until_settled(CASE)
    assert said(status, "sign") <= {("gone", "none"), ("gone", "gone")}
    assert not bench.lit()
    assert not bench.happened("PUT")
    figures(f"board down ({way}), show, end: {bench.lit()} of 50 boards lit, {len(bench.happened('PUT'))} ever were")


@pytest.mark.parametrize("hung_up", [False, True], ids=["waited for", "given up"])
async def test_zombie_b(bench: Bench, figures: Figures, *, hung_up: bool) -> None:
    """A "show" that takes 3 s at the board does not outlive the "end" that came half a second later."""
    bench.add(boards=20)
    bench.settings["adapters"]["http_sign"]["timeout"] = 1 if hung_up else 10
    bench.settings["dispatch"]["checks"] = [1, 2, 2]
    bench.boards.fail(Faults(delay=3, verbs=("PUT",)))
    await bench.start()
    await bench.publish(event(CASE, "opened"))
    waiting = Counter({(f"bord-{number}", "PUT"): 1 for number in range(20)})
    await bench.boards.until(lambda: waiting <= bench.boards.requests)
    ended = await bench.publish(event(CASE, "ended"))
    assert not bench.happened("PUT")
    await until(lambda: len(bench.happened("PUT")) == 20, "every board obeyed, too late")
    cleared = await until(lambda: not bench.lit(), "every board is dark")
    status = await bench.until_settled(CASE)
    assert said(status, "sign") == {("gone", "gone")}
    assert not bench.lit()
    last = max(bench.happened("DELETE")) - ended
    figures(f"show takes 3 s, end comes meanwhile: 0 of 20 boards lit; {last:.1f} s after the end the last went dark")
    assert cleared < 6


async def test_zombie_c(each: Bench, figures: Figures) -> None:
    """A bridge that is killed between alert and ending takes all of it back when it is started again."""
    each.add(boards=50)
    bridge = await each.start()
    await each.publish(event(CASE, "opened"))
    await each.until_settled(CASE)
    assert each.lit() == 50
    await bridge.kill()
    await each.publish(event(CASE, "ended"))
    again = await each.start(ready=False)
    await until(lambda: not each.lit(), "every board is dark")
    first, last = (moment(each.happened("DELETE")) - again.began for moment in (min, max))
    status = await each.until_settled(CASE)
    assert (status["state"], status["outcome"]) == ("ended", "resolved")
    assert said(status, "sign") == {("gone", "gone")}
    assert len(each.happened("PUT")) == 50
    figures(
        f"SIGKILL, end, start: 50 of 50 retracted, the first {first:.2f} s and the last {last:.2f} s after the start"
    )


async def test_the_outage(bench: Bench, figures: Figures) -> None:
    """Boards that were away show the alert when they are back; the mails went at once, and once.

    Design 6 tells of 15 s; here the outage lasts four failed tries at every board, for the sake of the suite.
    """
    bench.add(boards=10, mails=40)
    bridge = await bench.start()
    await bench.boards.stop()
    await bench.publish(event(CASE, "opened"))
    mailed = await until(lambda: len(bench.mails.messages) == 40, "all mails")
    away = await until(lambda: all(bridge.failures(f"bord-{one}") >= 4 for one in range(10)), "four tries at each")
    await bench.boards.start()
    shown = await until(lambda: bench.lit() == 10, "all boards are lit")
    status = await bench.until_settled(CASE)
    assert said(status, "sign") == said(status, "email") == {("shown", "shown")}
    assert set(bench.received().values()) == {1}
    assert len(bench.happened("PUT")) == 10
    figures(
        f"outage of {away:.1f} s: 10 of 10 boards lit {shown:.1f} s after it; 40 mails in {mailed:.2f} s, 0 doubled"
    )


WHOLE = {"sign": 250, "email": 230, "facebook": 20}
IN_FLIGHT = 4  # mails at a time, so at most as many may be sent again


@pytest.fixture
async def town(each: Bench) -> Bench:
    """Give a bench with 500 places, of which none is so fast that it is done before it can be interrupted."""
    each.add(boards=WHOLE["sign"], mails=WHOLE["email"], pages=WHOLE["facebook"])
    each.settings["adapters"]["http_sign"]["connections"] = 64
    each.settings["adapters"]["email"] |= {"connections": IN_FLIGHT, "timeout": 2}
    each.settings["dispatch"]["looks"] = [0.5, 1, 1]
    each.boards.fail(Faults(delay=0.15))
    each.graph.fault("nearly_full", operations={"publish"}, times=8, percent=None)
    each.graph.fault("hang_and_post", times=2)
    each.graph.fault("hang")
    return each


def done(town: Bench) -> dict[str, int]:
    """Count the places that the alert has reached."""
    return {"sign": town.lit(), "email": len(town.received()), "facebook": len(town.published())}


def everywhere(status: dict[str, Any]) -> dict[str, set[tuple[str, str]]]:
    """Give what should be and is on each channel."""
    return {channel: said(status, channel) for channel in WHOLE}


async def test_the_kill(town: Bench, figures: Figures) -> None:
    """A SIGKILL in a fan-out of 500, and another in taking it back, lose nothing and double no post.

    Three posts hang at the first kill, of which two are on their page. At most the mails in flight are sent again.
    """
    bridge = await town.start()
    await town.publish(event(CASE, "opened"))
    await until(lambda: town.lit() >= 50 and len(town.mails.messages) >= 20 and town.posts_asked() == 11, "the middle")
    await bridge.kill()
    at_kill = done(town)
    assert all(at_kill[channel] < WHOLE[channel] for channel in WHOLE), at_kill

    bridge = await town.start(ready=False)
    await until(lambda: done(town) == WHOLE, "everything is shown", 40)
    shown = bridge.age()
    assert everywhere(await town.until_settled(CASE)) == {channel: {("shown", "shown")} for channel in WHOLE}
    assert set(town.published().values()) == {1}
    doubled = len(town.mails.messages) - WHOLE["email"]
    assert doubled <= IN_FLIGHT

    await town.publish(event(CASE, "ended", info=[{"language": "nl", "description": FOUND}]))
    await until(lambda: len(town.happened("DELETE")) >= 50, "the middle of taking back")
    await bridge.kill()
    left = town.lit()
    assert left
    bridge = await town.start(ready=False)
    await until(lambda: not town.lit(), "every board is dark")
    dark = bridge.age()
    over = {"sign": {("gone", "gone")}, "email": {("shown", "shown")}, "facebook": {("shown", "shown")}}
    assert everywhere(await town.until_settled(CASE, 40)) == over
    assert not town.lit()
    check_outcome(town, doubled + IN_FLIGHT)
    figures(
        f"killed at {at_kill} of {WHOLE}: all shown {shown:.1f} s after the new start, posts doubled 0, mails {doubled};"
        f" killed again with {left} boards lit: dark {dark:.1f} s after the new start, outcome told to all"
    )


def check_outcome(town: Bench, most_doubled: int) -> None:
    """Check that each page shows the outcome in its one post, and each reader got it in the alert's thread."""
    posts = [post for page in PAGES for post in town.graph.posts(page)]
    assert [FOUND in post.message for post in posts] == [True] * WHOLE["facebook"]
    assert set(town.published().values()) == {1}
    for reader, mails in town.mailboxes().items():
        alert, outcome = dict.fromkeys(str(mail["Message-ID"]) for mail in mails)
        [answers] = {str(mail["In-Reply-To"]) for mail in mails if mail["Message-ID"] == outcome}
        assert answers == alert, reader
        assert FOUND in text_of(mails[-1])
    assert len(town.mails.messages) <= 2 * WHOLE["email"] + most_doubled
