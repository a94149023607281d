"""Where a supplier confirms: one page for one order, behind a signed link. Looking confirms nothing; pressing does."""

from __future__ import annotations

import html
from collections.abc import Awaitable, Callable
from datetime import datetime
from importlib.resources import files
from string import Template
from urllib.parse import parse_qsl

from aiohttp import web

from bridge.core.dutch_time import day_and_time
from bridge.core.errors import StoreUnavailable, printable
from bridge.core.posting import reference
from bridge.store.orders import Asked, OrderStore
from bridge.web.body import read_body
from bridge.web.page import choose_language

MOST_FORM = 4_096  # bytes of what a supplier sends
CSP = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

WORDS = {
    "nl": {
        "place": "Staat de melding op het bord?",
        "remove": "Is de melding van het bord verwijderd?",
        "reference": "Kenmerk",
        "board": "Bord",
        "where": "Plaats",
        "before": "Vóór",
        "text": "De tekst, letterlijk",
        "placed": "Ja, de tekst staat er volledig",
        "removed": "Ja, het bord toont de melding niet meer",
        "cannot": "Nee, het lukt niet",
        "why": "Waarom niet?",
        "thanks": "Dank u. Het is genoteerd.",
        "noted": "Genoteerd: het lukt niet. De meldkamer ziet uw reden.",
        "old": "Deze link is verouderd: er is inmiddels een nieuwe opdracht verstuurd.",
        "unknown": "Deze link is niet geldig. Neem hem geheel over, zoals hij in de opdracht staat.",
        "later": "Het kan nu even niet worden genoteerd. Probeer het over een minuut opnieuw.",
        "title": "Burgernet-brug",
    },
    "en": {
        "place": "Does the board show the alert?",
        "remove": "Has the alert been removed from the board?",
        "reference": "Reference",
        "board": "Board",
        "where": "Place",
        "before": "Before",
        "text": "The text, word for word",
        "placed": "Yes, the whole text is there",
        "removed": "Yes, the board does not show the alert any more",
        "cannot": "No, it cannot be done",
        "why": "Why not?",
        "thanks": "Thank you. It has been noted.",
        "noted": "Noted: it cannot be done. The control room sees your reason.",
        "old": "This link is out of date: another order has been sent since.",
        "unknown": "This link is not valid. Copy all of it, as it stands in the order.",
        "later": "It cannot be noted just now. Try again in a minute.",
        "title": "Burgernet bridge",
    },
}


class OrderPages:
    """Serves ``/order/{posting}/{serial}/{what}/{signature}``."""

    def __init__(self, store: OrderStore) -> None:
        self._store = store

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        path = "/order/{posting:[a-z2-7]{26}}/{serial:[0-9]{1,9}}/{what:place|remove}/{signature}"
        app.add_routes([web.get("/order/page.css", self.style), web.get(path, self.page), web.post(path, self.answer)])
        app.add_routes([web.get("/order/{cut_off:.*}", self.unknown)])

    async def style(self, _request: web.Request) -> web.Response:
        """Give the style sheet."""
        return web.Response(text=_read("order.css"), content_type="text/css")

    async def unknown(self, request: web.Request) -> web.Response:
        """Say that a link is none of ours: some programs for mail cut them off."""
        return _say(request, "unknown", 404)

    async def page(self, request: web.Request) -> web.Response:
        """Show what is asked, and the buttons to answer by."""
        return await self._with_order(request, self._show)

    async def answer(self, request: web.Request) -> web.Response:
        """Take the answer; twice is harmless."""
        return await self._with_order(request, self._take)

    async def _with_order(
        self, request: web.Request, then: Callable[[web.Request, Asked], Awaitable[web.Response]]
    ) -> web.Response:
        """Do this with the order that a link is of, or say why not."""
        where = request.match_info
        try:
            asked = await self._store.asked(where["posting"], int(where["serial"]), where["what"], where["signature"])
            if asked is None:
                return _say(request, "unknown", 404)
            return await then(request, asked) if asked.current else _say(request, "old", 410)
        except StoreUnavailable:
            return _say(request, "later", 503)

    async def _show(self, request: web.Request, asked: Asked) -> web.Response:
        return _say(request, "thanks") if asked.answer == "done" else _form(request, asked)

    async def _take(self, request: web.Request, _asked: Asked) -> web.Response:
        form = dict(parse_qsl(await read_body(request, MOST_FORM)))
        word, reason = form.get("answer", ""), " ".join(printable(form.get("reason", "")).split())
        if word not in ("done", "cannot"):
            raise web.HTTPBadRequest(text="answer: allowed: done, cannot")
        where = request.match_info
        await self._store.answer(where["posting"], int(where["serial"]), word, reason)
        return _say(request, "thanks" if word == "done" else "noted")


def _form(request: web.Request, asked: Asked) -> web.Response:
    language = choose_language(request.headers.get("Accept-Language", ""))
    words = WORDS[language]
    told = asked.told
    facts = [
        (words["reference"], reference(request.match_info["posting"])),
        (words["board"], f"{told.get('target', '')} ({told.get('owner', '')})"),
        (words["where"], told.get("place", "")),
    ]
    facts.append((words["before"], day_and_time(datetime.fromisoformat(told["by"])) if told.get("by") else ""))
    rows = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in facts if value)
    shown = f'<h2>{words["text"]}</h2><pre dir="auto">{html.escape(told.get("text", ""))}</pre>'
    body = Template(_read("order.html")).substitute(
        heading=words[asked.what],
        facts=rows,
        text=shown if asked.what == "place" else "",
        done=words["placed" if asked.what == "place" else "removed"],
        cannot=words["cannot"],
        why=words["why"],
    )
    return _page(language, words[asked.what], body)


def _say(request: web.Request, word: str, status: int = 200) -> web.Response:
    language = choose_language(request.headers.get("Accept-Language", ""))
    sentence = WORDS[language][word]
    return _page(language, sentence, f"<h1>{html.escape(sentence)}</h1>", status)


def _page(language: str, heading: str, body: str, status: int = 200) -> web.Response:
    title = f"{heading} – {WORDS[language]['title']}"
    text = (
        f'<!DOCTYPE html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="robots" content="noindex">\n'
        f'<title>{html.escape(title)}</title>\n<link rel="stylesheet" href="/order/page.css">\n</head>\n'
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )
    headers = {"Content-Security-Policy": CSP, "Content-Language": language, "Vary": "Accept-Language"}
    return web.Response(text=text, content_type="text/html", headers=headers, status=status)


def _read(name: str) -> str:
    return (files("bridge.web") / "pages" / name).read_text("utf-8")
