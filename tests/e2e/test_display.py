"""A display page in a real browser: it paints, corrects, takes turns, and is dark when it ought to be."""

from __future__ import annotations

import io
import re
import shutil
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.async_api import Browser, Page, async_playwright

from tests.e2e.bench import TEXT, Bench, event
from tests.e2e.process import until
from tests.integration.photo_site import jpeg, open_site

CHROMIUM = shutil.which("chromium")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
KEY = "scherm-stadhuis-0123456789abcdef"
OTHER = "Meisje van 6 jaar vermist in de Stevenshof. Zij draagt een gele jas."
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed; run: make services")


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Give Debian's Chromium, without a window."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


class Screen:
    """One page in the browser, and what it complained of."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def text(self) -> str:
        """Give what stands there; nothing when the idle page does."""
        shown = await self.page.locator("#alert").is_visible()
        return (await self.page.locator("#text").inner_text()).strip() if shown else ""

    async def until(self, text: str, seconds: float = 20) -> None:
        """Wait until exactly this stands there."""

        async def stands() -> bool:
            return " ".join((await self.text()).split()) == " ".join(text.split())

        await until(stands, f"the screen shows {text!r}", seconds)

    async def image(self) -> Image.Image:
        """Take a picture of it."""
        return Image.open(io.BytesIO(await self.page.screenshot())).convert("RGB")


def prepare(bench: Bench, **display: Any) -> str:
    """Add a screen to a bench that has a port of its own, so that the page finds the bridge again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    bench.settings["web"] = {"port": port}
    bench.settings["display"] = {"dead_man": 5, "beat": 1, **display}
    bench.settings["dispatch"] = {"checks": [1, 2], "valid_for": 60}
    bench.environment["SCREEN"] = KEY
    owner = {"name": "Gemeente Leiden", "kind": "municipality"}
    bench._add("stadhuis", "display", "display", owner, address="stadhuis", secret_env="SCREEN", languages=["nl", "en"])
    return f"http://127.0.0.1:{port}/display/{KEY}"


async def open_screen(browser: Browser, url: str, width: int = 1280, height: int = 720) -> Screen:
    """Open the page as a kiosk does."""
    page = await browser.new_page(viewport={"width": width, "height": height})
    screen = Screen(page, url)
    await page.goto(url)
    return screen


def words(text: str) -> dict[str, Any]:
    """Give an event's data with this text alone."""
    return {"info": [{"language": "nl", "headline": "Vermist", "description": text}]}


async def posting(bench: Bench, case: str) -> dict[str, Any]:
    """Tell how a case stands on the screen."""
    [found] = (await bench.status(case))["postings"]
    return dict(found)


async def test_a_screen_shows_corrects_and_clears(alone: Bench, browser: Browser) -> None:
    """Only what the browser has painted counts as shown; a correction replaces it; the end leaves the idle page."""
    url = prepare(alone)
    await alone.start()
    await alone.run("send", "-", stdin=event("Z1", "opened", **words(TEXT)))

    async def unpainted() -> bool:
        found = await posting(alone, "Z1")
        return found["applied"] == "unknown" and "no screen has the page open" in (found["error"] or "")

    await until(unpainted, "nobody has painted it")
    screen = await open_screen(browser, url)
    await screen.until(TEXT)
    found = await alone.until_settled("Z1")
    assert found["postings"][0]["applied"] == "shown"
    await alone.run("send", "-", stdin=event("Z1", "updated", **words(f"{TEXT} Hij is gezien bij het station.")))
    await screen.until(f"{TEXT} Hij is gezien bij het station.")
    await alone.run("send", "-", stdin=event("Z1", "ended"))
    await screen.until("")
    assert await screen.page.locator("#clock").is_visible()

    async def proven() -> bool:
        found = await posting(alone, "Z1")
        return bool(found["applied"] == "gone" and found["dark_at"])

    await until(proven, "it was seen to be gone")
    report = await alone.run("retraction", "report", "Z1", "--json")
    assert report.json["targets"][0]["proof"] == "dark"
    assert screen.complaints == []


async def test_a_screen_without_a_bridge_goes_dark_and_comes_back(alone: Bench, browser: Browser) -> None:
    """Killed, the bridge leaves a page that clears itself in time; started again, it brings the alert back by itself."""
    url = prepare(alone)
    bridge = await alone.start()
    screen = await open_screen(browser, url)
    await alone.run("send", "-", stdin=event("Z1", "opened", **words(TEXT)))
    await screen.until(TEXT)
    await bridge.kill()
    took = await _timed(screen, "", 15)
    assert took > 2
    await alone.start()
    await screen.until(TEXT, 30)
    await alone.until_settled("Z1")


async def test_zombies_in_a_browser(alone: Bench, browser: Browser) -> None:
    """Whether its page was closed, slow or without a bridge when a case ended: none of it stays on the screen."""
    url = prepare(alone)
    await alone.start()
    await alone.run("send", "-", stdin=event("A", "opened", **words(TEXT)))
    await alone.run("send", "-", stdin=event("A", "ended"))
    screen = await open_screen(browser, url)
    client = await screen.page.context.new_cdp_session(screen.page)
    await client.send("Network.enable")
    slow = {"offline": False, "latency": 1000, "downloadThroughput": -1, "uploadThroughput": -1}
    await client.send("Network.emulateNetworkConditions", slow)
    await alone.run("send", "-", stdin=event("B", "opened", **words(TEXT)))
    await screen.until(TEXT)
    await alone.run("send", "-", stdin=event("B", "ended"))  # what it says of the alert is still under way
    await screen.until("")
    await client.send("Network.emulateNetworkConditions", {**slow, "latency": 0})
    await alone.run("send", "-", stdin=event("C", "opened", **words(OTHER)))
    await screen.until(OTHER)
    await alone.bridges[-1].kill()
    await alone.run("send", "-", stdin=event("C", "ended"))
    await alone.start()

    async def proven() -> bool:
        reports = [await alone.run("retraction", "report", case, "--json", code=None) for case in "ABC"]
        return all(report.json["proven"] for report in reports)

    await until(proven, "all three are proven to be gone")
    assert await screen.text() == ""


async def _timed(screen: Screen, text: str, seconds: float) -> float:
    began = datetime.now(UTC)
    await screen.until(text, seconds)
    return (datetime.now(UTC) - began).total_seconds()


async def test_a_screen_clears_itself_at_the_end_of_the_alert(alone: Bench, browser: Browser) -> None:
    """An alert that expires is gone from the page at that time."""
    url = prepare(alone)
    await alone.start()
    screen = await open_screen(browser, url)
    expires = (datetime.now(UTC) + timedelta(seconds=6)).isoformat()
    await alone.run("send", "-", stdin=event("Z1", "opened", expires=expires, **words(TEXT)))
    await screen.until(TEXT)
    await screen.until("", 12)


async def test_a_network_that_is_cut_clears_the_page(alone: Bench, browser: Browser) -> None:
    """With the bridge alive and the way to it cut, the page clears itself; when the way is back, so is the alert."""
    url = prepare(alone)
    await alone.start()
    screen = await open_screen(browser, url)
    await alone.run("send", "-", stdin=event("Z1", "opened", **words(TEXT)))
    await screen.until(TEXT)
    client = await screen.page.context.new_cdp_session(screen.page)
    cut = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    await client.send("Network.enable")
    await client.send("Network.emulateNetworkConditions", cut)
    await screen.page.evaluate("source.close()")  # what is open already is not cut by the emulation
    await screen.until("", 15)
    await client.send(
        "Network.emulateNetworkConditions", {**cut, "offline": False, "downloadThroughput": -1, "uploadThroughput": -1}
    )
    await screen.until(TEXT, 30)


async def test_two_alerts_and_two_languages_take_turns(alone: Bench, browser: Browser) -> None:
    """Each is shown whole, in each language of the screen; one that ends leaves the other."""
    url = prepare(alone)
    await alone.start()
    screen = await open_screen(browser, url)
    both = [{"language": "nl", "description": TEXT}, {"language": "en", "description": "A boy of 8 is missing."}]
    await alone.run("send", "-", stdin=event("Z1", "opened", info=both))
    await alone.run("send", "-", stdin=event("Z2", "opened", **words(OTHER)))
    seen: set[str] = set()

    async def all_three() -> bool:
        seen.add(" ".join((await screen.text()).split()))
        return {TEXT, OTHER, "A boy of 8 is missing."} <= seen

    await until(all_three, "three texts in turn", 60)
    assert seen <= {"", TEXT, OTHER, "A boy of 8 is missing."}
    await alone.until_settled("Z1")
    await alone.run("send", "-", stdin=event("Z1", "ended"))
    await screen.until(OTHER)
    assert screen.complaints == []


@pytest.mark.parametrize(
    "text",
    [
        "Auto [nl]rood[np] [[ en ]] <b>vet</b> <script>alert(1)</script> &amp; {{ 7*7 }}",
        "Zij zei: \"Bel 112\" en hij zei: 'ja' \\ / ` €50 🐈‍⬛ «Ængelé»",
        "مفقود: طفل عمره 8 سنوات. اتصل 112",
    ],
)
async def test_any_text_is_shown_as_it_is(alone: Bench, browser: Browser, text: str) -> None:
    """No mark-up, bracket, quote or script direction of a text is obeyed or lost (R3)."""
    url = prepare(alone)
    await alone.start()
    screen = await open_screen(browser, url)
    await alone.run("send", "-", stdin=event("Z1", "opened", **words(text)))
    await screen.until(text)
    assert screen.complaints == []


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (390, 844), (1024, 256)])
async def test_a_long_text_is_whole_on_any_screen(alone: Bench, browser: Browser, width: int, height: int) -> None:
    """Too long to be read from far, a text takes pages, which together are the whole text; nothing is cut off."""
    url = prepare(alone)
    await alone.start()
    screen = await open_screen(browser, url, width, height)
    long = " ".join(f"Zin {number} van een heel lang signalement." for number in range(60))
    await alone.run("send", "-", stdin=event("Z1", "opened", **words(long)))
    await until(screen.text, "something is shown")
    pages = await screen.page.evaluate("pages.map((page) => page.text)")
    assert " ".join(" ".join(pages).split()) == long
    fits = await screen.page.evaluate("pages.every((page) => { dress(page); return fits(page.text, page.size); })")
    assert fits
    smallest = await screen.page.evaluate("Math.min(...pages.map((page) => page.size))")
    assert smallest >= min(width, height) * 0.054


async def test_the_photo_is_there_and_goes(alone: Bench, browser: Browser, tmp_path: Path) -> None:
    """The photo stands beside the text, only for who has the address, and is gone with the alert (R15)."""
    url = prepare(alone)
    async with open_site() as site:
        address = site.tell(jpeg())
        alone.settings["photos"] = {"allow_hosts": [site.host]}
        await alone.start()
        screen = await open_screen(browser, url)
        resource = [{"uri": address, "mimeType": "image/jpeg", "resourceDesc": "Jongen met rode jas"}]
        await alone.run("send", "-", stdin=event("Z1", "opened", resource=resource, **words(TEXT)))
        photo = screen.page.locator("#photo")
        await photo.wait_for(state="visible")
        assert await photo.get_attribute("alt") == "Jongen met rode jas"
        address = await photo.evaluate("(one) => one.src")
        assert await photo.evaluate("(one) => one.decode().then(() => one.naturalWidth > 0)")
        await alone.run("send", "-", stdin=event("Z1", "ended"))
        await screen.until("")
        assert not await photo.is_visible()
        gone = await screen.page.request.get(address)
        assert gone.status == 404
    assert screen.complaints == []


async def test_an_exercise_says_so_and_contrast_is_high(alone: Bench, browser: Browser) -> None:
    """OEFENING stands above the text; text and ground are as far apart as colours can be."""
    url = prepare(alone, idle="black")
    alone.targets[0]["accepts"] = {"status": ["Actual", "Exercise"]}
    await alone.start()
    screen = await open_screen(browser, url)
    assert (await screen.image()).getcolors() == [(1280 * 720, (0, 0, 0))]
    await alone.run("send", "-", stdin=event("Z1", "opened", status="Exercise", **words(TEXT)))
    await screen.until(TEXT)
    assert await screen.page.locator("#mark").inner_text() == "OEFENING"
    colours = await screen.page.evaluate(
        "['#text', '#mark', 'body'].map((one) => { const s = getComputedStyle(document.querySelector(one));"
        " return [s.color, s.backgroundColor]; })"
    )
    assert colours == [
        ["rgb(255, 255, 255)", "rgba(0, 0, 0, 0)"],
        ["rgb(0, 0, 0)", "rgb(255, 213, 0)"],
        ["rgb(255, 255, 255)", "rgb(0, 0, 0)"],
    ]


async def test_the_address_is_a_secret(alone: Bench, browser: Browser) -> None:
    """Another address shows nothing, the policy lets no script from elsewhere in, and no log holds the address."""
    url = prepare(alone)
    await alone.start()
    screen = await open_screen(browser, url)
    request = screen.page.request
    for path in ("/display/verkeerd", "/display/verkeerd/events", f"/display/{KEY}/photo/ab"):
        assert (await request.get(url.replace(f"/display/{KEY}", path))).status == 404
    answer = await request.get(url)
    assert re.search(
        r"default-src 'none'; script-src 'self'; style-src 'self'", answer.headers["content-security-policy"]
    )
    assert answer.headers["referrer-policy"] == "no-referrer"
    for body in (
        "{",
        "[]",
        '{"screen": "x", "showing": []}',
        '{"screen": "abcdefgh1", "showing": ["x"]}',
        "x" * 20_000,
    ):
        assert (await request.post(f"{url}/ack", data=body)).status in (400, 413)
    await alone.run("send", "-", stdin=event("Z1", "opened", **words(TEXT)))
    await screen.until(TEXT)
    assert KEY not in alone.everything_said()
