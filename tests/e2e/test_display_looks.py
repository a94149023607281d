"""How a display page looks: small walls of lamps, photos in turn, no word broken, Dutch time wherever the player is."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.async_api import Browser, Route

from bridge.core.dutch_time import AMSTERDAM
from tests.e2e.bench import TEXT, Bench, event
from tests.e2e.process import until
from tests.e2e.test_display import CHROMIUM, OTHER, Screen, browser, open_screen, prepare, words
from tests.integration.photo_site import Site, open_site

__all__ = ["browser"]

COUNTED = "window.layings = 0; { const before = lay; lay = (fresh) => { layings += 1; before(fresh); }; }"
LINES = """(word) => {
  const text = at("text").firstChild;
  const range = document.createRange();
  range.setStart(text, text.data.indexOf(word));
  range.setEnd(text, text.data.indexOf(word) + word.length);
  return range.getClientRects().length;
}"""
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed; run: make services")


def photo(site: Site, about: str, size: tuple[int, int] = (60, 40)) -> list[dict[str, Any]]:
    """Give an event's photo: another one for each size."""
    file = io.BytesIO()
    Image.new("RGB", size, "red").save(file, "JPEG")
    return [{"uri": site.tell(file.getvalue(), f"/{about}"), "mimeType": "image/jpeg", "resourceDesc": about}]


async def test_two_photos_take_turns(alone: Bench, browser: Browser) -> None:
    """Each alert stands beside its own photo, in turn; each is fetched once, and what is laid out stays at rest."""
    url = prepare(alone)
    async with open_site() as site:
        alone.settings["photos"] = {"allow_hosts": [site.host]}
        await alone.start()
        screen = await open_screen(browser, url)
        fetched: list[str] = []
        screen.page.on("request", lambda request: "/photo/" in request.url and fetched.append(request.url))
        for case, text, size in (("Z1", TEXT, (60, 40)), ("Z2", OTHER, (40, 60))):
            one = photo(site, case, size)
            await alone.run("send", "-", stdin=event(case, "opened", resource=one, **words(text)))
            await alone.until_settled(case)
        there = "photos.size === 2 && [...photos.values()].every((one) => !one.hidden)"
        await until(lambda: screen.page.evaluate(there), "both photos are there")
        await screen.page.evaluate(COUNTED)
        seen: set[Sequence[str]] = set()

        async def both() -> bool:
            look = "() => [at('text').textContent, at('photo').alt, at('photo').hidden]"
            seen.add(tuple(await screen.page.evaluate(look)))
            return {(TEXT, "Z1", False), (OTHER, "Z2", False)} <= seen

        await until(both, "both in turn", 30)
        assert len(seen) == 2
        assert await screen.page.evaluate("layings") < 10, "only what the bridge says lays it out anew"
        assert len(fetched) == 2
    assert screen.complaints == []


async def test_a_photo_that_does_not_come_is_fetched_again(alone: Bench, browser: Browser) -> None:
    """The text stands there at once, as large as without a photo; the photo follows when the network lets it."""
    url = prepare(alone)
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(open_site())
        alone.settings["photos"] = {"allow_hosts": [site.host]}
        await alone.start()
        screen = await open_screen(browser, url)
        failed: list[str] = []

        async def fail_once(route: Route) -> None:
            if failed:
                await route.continue_()
            else:
                failed.append(route.request.url)
                await route.abort()

        await screen.page.route("**/photo/*", fail_once)
        one = photo(site, "Jongen")
        await alone.run("send", "-", stdin=event("Z1", "opened", resource=one, **words(TEXT)))
        await until(lambda: bool(failed), "the photo was asked for")
        await screen.until(TEXT)
        alone_size = await screen.page.evaluate("pages[0].size")
        await screen.page.locator("#photo").wait_for(state="visible")
        assert await screen.page.evaluate("pages[0].size") < alone_size


async def test_no_word_is_broken_where_another_size_helps(alone: Bench, browser: Browser) -> None:
    """What was measured without breaking a word is painted so: not even a full stop goes to the next line."""
    url = prepare(alone)
    await alone.start()
    await alone.run("send", "-", stdin=event("Z1", "opened", **words(OTHER)))
    for width in range(380, 400, 2):
        screen = await open_screen(browser, url, width, 844)
        await screen.until(OTHER)
        assert await screen.page.evaluate(LINES, "Stevenshof.") == 1, width
        await screen.page.close()


@pytest.mark.parametrize(("width", "height"), [(192, 64), (320, 96), (96, 32)])
async def test_a_wall_of_lamps_can_be_read(alone: Bench, browser: Browser, width: int, height: int) -> None:
    """Letters never have fewer lamps than it takes to tell them apart: a text takes more pages instead."""
    url = prepare(alone)
    alone.targets[0]["accepts"] = {"status": ["Actual", "Exercise"]}
    await alone.start()
    screen = await open_screen(browser, url, width, height)
    long = " ".join(f"Zin {number} van een heel lang signalement." for number in range(20))
    await alone.run("send", "-", stdin=event("Z1", "opened", status="Exercise", **words(long)))
    await until(screen.text, "something is shown")
    sizes, texts, whole = await screen.page.evaluate(
        "() => [pages.map((page) => page.size), pages.map((page) => page.text),"
        " pages.every((page) => { paint(page); return fits(page.text, page.size); })]"
    )
    assert min(sizes) >= 10
    assert await screen.page.evaluate("parseFloat(getComputedStyle(at('mark')).fontSize)") >= 10
    assert whole
    assert " ".join(" ".join(texts).split()) == long


async def test_a_text_without_spaces_is_whole(alone: Bench, browser: Browser) -> None:
    """Chinese has no spaces, and a web address may be long: such a text takes pages too, and no sign is lost or halved."""
    url = prepare(alone)
    await alone.start()
    screen = await open_screen(browser, url, 320, 96)
    text = "失踪儿童八岁男孩穿红色外套请拨打电话" * 30 + "👨‍👩‍👧‍👦" * 20
    await alone.run("send", "-", stdin=event("Z1", "opened", **words(text)))
    await until(screen.text, "something is shown")
    texts, whole = await screen.page.evaluate(
        "() => [pages.map((page) => page.text), pages.every((page) => { paint(page); return fits(page.text, page.size); })]"
    )
    assert len(texts) > 1
    assert whole
    assert "".join(texts) == text
    assert not [part for part in texts if part.startswith("\u200d")]


async def test_the_idle_page_on_a_player_of_another_time(alone: Bench, browser: Browser, tmp_path: Path) -> None:
    """The clock is Dutch whatever the player's zone is, and a small coat of arms stands there large."""
    coat = tmp_path / "wapen.svg"
    coat.write_text('<svg xmlns="http://www.w3.org/2000/svg" width="10" height="12"><path d="M0 0h10v12h-10z"/></svg>')
    url = prepare(alone, coat_of_arms=str(coat))
    await alone.start()
    page = await browser.new_page(viewport={"width": 1920, "height": 1080}, timezone_id="America/Curacao")
    screen = Screen(page, url)
    await page.goto(url)

    async def right() -> bool:
        shown = await page.locator("#clock").inner_text()
        return shown == datetime.now(AMSTERDAM).strftime("%H:%M")

    await until(right, "Dutch time")
    await until(lambda: page.evaluate("at('coat').naturalWidth > 0"), "the coat of arms is there")
    box = await page.locator("#coat").bounding_box()
    assert box
    assert box["height"] > 400
    assert screen.complaints == []


async def test_an_open_page_follows_the_bridges_settings(alone: Bench, browser: Browser) -> None:
    """A page that is open fetches itself anew, once, when the bridge comes back with other settings; else never."""
    url = prepare(alone)
    bridge = await alone.start()
    screen = await open_screen(browser, url)
    await alone.run("send", "-", stdin=event("Z1", "opened", **words(TEXT)))
    await screen.until(TEXT)
    loads: list[str] = []
    screen.page.on("load", lambda page: loads.append(page.url))

    async def until_it_speaks() -> None:
        told = await screen.page.evaluate("heard.wall")
        await until(lambda: screen.page.evaluate(f"heard.wall > {told}"), "the bridge speaks", 30)

    await bridge.stop()
    bridge = await alone.start()
    await until_it_speaks()
    await screen.until(TEXT)
    assert not loads, "nothing is new"
    await bridge.stop()
    alone.settings["display"] |= {"idle": "black", "dead_man": 7}
    await alone.start()
    await until(lambda: len(loads) == 1, "it fetched itself anew", 30)
    await screen.until(TEXT)
    assert await screen.page.evaluate("[root.dataset.idle, DEAD]") == ["black", 7000]
    await until_it_speaks()
    await until_it_speaks()
    assert len(loads) == 1
