"""The pages that people look at, by WCAG 2.2 AA as far as a program can tell (axe), and by keyboard alone."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, Page

from tests.e2e.bench import TEXT, Bench, event, text_of
from tests.e2e.process import until
from tests.e2e.test_display import CHROMIUM, Screen, browser, prepare, words

__all__ = ["browser"]

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
WIDEST = "text.style.overflowWrap = 'normal', text.scrollWidth"  # of a line, when no word may be broken
LINK = re.compile(r"http://\S+/order/\S+")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed; run: make services")


@pytest.fixture
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """Give a telephone's window, into which axe may be put although our pages let no script in."""
    context = await browser.new_context(viewport={"width": 390, "height": 844}, bypass_csp=True, locale="nl-NL")
    yield context
    await context.close()


async def faults(page: Page) -> list[str]:
    """Name what breaks WCAG on a page, and where."""
    found = await Axe().run(page, options={"runOnly": {"type": "tag", "values": WCAG}})
    assert found.response["passes"], "axe looked at nothing"
    return [f"{one['id']}: {node['html']}" for one in found.response["violations"] for node in one["nodes"]]


async def test_a_display_page(alone: Bench, context: BrowserContext) -> None:
    """The idle page, an alert and an exercise: nothing that a program can find fault with, and said to screen readers."""
    url = prepare(alone)
    await alone.start()
    page = await context.new_page()
    screen = Screen(page, url)
    await page.goto(url)
    await screen.until("")
    assert await faults(page) == []
    await alone.run("send", "-", stdin=event("Z1", "opened", **words(TEXT)))
    await screen.until(TEXT)
    assert 0 < await page.evaluate(WIDEST) <= 390, "no word is broken in two"
    assert await faults(page) == []
    assert await page.get_by_role("main").get_attribute("aria-live") == "assertive"


def letters(bench: Bench) -> list[str]:
    """Give the links that the supplier got, oldest first."""
    return [found[0] for mail in bench.mails.messages if (found := LINK.search(text_of(mail.message)))]


async def test_a_suppliers_pages(alone: Bench, context: BrowserContext) -> None:
    """From mail to thanks with the keyboard alone, in Dutch, and in English for who reads that; each page by WCAG."""
    url = prepare(alone).rpartition("/display/")[0]
    alone.targets.clear()
    alone.settings["web"]["public_url"] = url
    server: dict[str, Any] = {"host": alone.mails.host, "port": alone.mails.port, "security": "none"}
    alone.settings["adapters"]["work_order"] = server
    alone.settings["dispatch"] = {"retry_base": 0.2, "retry_max": 1, "urgent_max": 1, "checks": [0.5, 1]}
    owner = {"name": "Gemeente Leiden", "kind": "municipality"}
    board = {"address": "mailto:storing@borden.example", "sign": {"columns": 40, "rows": 4}}
    alone._add("mast-n206", "sign", "work_order", owner, **board)
    await alone.start()
    await alone.run("send", "-", stdin=event("Z1", "opened", **words(TEXT)))
    await until(lambda: len(letters(alone)) == 1, "the supplier was asked")
    page = await context.new_page()
    await page.goto(letters(alone)[0])
    assert "Staat de melding op het bord?" in await page.get_by_role("heading", level=1).inner_text()
    assert await page.locator("pre").inner_text() == TEXT
    assert await faults(page) == []
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390, "a telephone need not be scrolled sideways"
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("text=Dank u.")
    assert await faults(page) == []
    await alone.run("send", "-", stdin=event("Z1", "ended"))
    await until(lambda: len(letters(alone)) == 2, "the supplier was asked to remove it")
    await page.goto(letters(alone)[0])
    assert "verouderd" in await page.get_by_role("heading", level=1).inner_text()
    assert await faults(page) == []
    assert context.browser
    page = await context.browser.new_page(locale="en-GB", bypass_csp=True)
    await page.goto(letters(alone)[1])
    assert "removed from the board" in await page.get_by_role("heading", level=1).inner_text()
    assert await page.locator("html").get_attribute("lang") == "en"
    await page.get_by_label("Why not?").fill("Hoogwerker stuk")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("text=Noted: it cannot be done")
    assert await faults(page) == []
