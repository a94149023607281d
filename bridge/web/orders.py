"""Where a supplier confirms: one page for one order, behind a signed link. Looking confirms nothing; pressing does."""

from __future__ import annotations

import html
from datetime import datetime
from importlib.resources import files
from string import Template
from urllib.parse import parse_qsl

from aiohttp import web

from bridge.core.dutch_time import day_and_time
from bridge.core.errors import StoreUnavailable, printable
from bridge.store.orders import Asked, OrderStore
from bridge.web.body import read_body
from bridge.web.page import choose_language

MOST_FORM = 4_096  # bytes of what a supplier sends
CSP = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

WORDS = {
    "nl": {
        "place": "Staat de melding op het bord?",
        "remove": "Is de melding van het bord verwijderd?",
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
        "unknown": "Deze link is niet geldig.",
        "title": "Burgernet-brug",
    },
    "en": {
        "place": "Does the board show the alert?",
        "remove": "Has the alert been removed from the board?",
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
        "unknown": "This link is not valid.",
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

    async def style(self, _request: web.Request) -> web.Response:
        """Give the style sheet."""
        return web.Response(text=_read("order.css"), content_type="text/css")

    async def page(self, request: web.Request) -> web.Response:
        """Show what is asked, and the buttons to answer by."""
        words = WORDS[choose_language(request.headers.get("Accept-Language", ""))]
        asked = await self._find(request)
        if asked is None:
            return _say(request, words["unknown"], 404)
        if not asked.current:
            return _say(request, words["old"], 410)
        if asked.answer == "done":
            return _say(request, words["thanks"])
        return _form(request, asked)

    async def answer(self, request: web.Request) -> web.Response:
        """Take the answer; twice is harmless."""
        words = WORDS[choose_language(request.headers.get("Accept-Language", ""))]
        asked = await self._find(request)
        if asked is None:
            return _say(request, words["unknown"], 404)
        if not asked.current:
            return _say(request, words["old"], 410)
        form = dict(parse_qsl(await read_body(request, MOST_FORM)))
        word, reason = form.get("answer", ""), " ".join(printable(form.get("reason", "")).split())
        if word not in ("done", "cannot"):
            raise web.HTTPBadRequest(text="answer: allowed: done, cannot")
        where = request.match_info
        try:
            await self._store.answer(where["posting"], int(where["serial"]), word, reason)
        except StoreUnavailable as error:
            raise web.HTTPServiceUnavailable(text="not now; try again in a minute") from error
        return _say(request, words["thanks" if word == "done" else "noted"])

    async def _find(self, request: web.Request) -> Asked | None:
        where = request.match_info
        try:
            return await self._store.asked(where["posting"], int(where["serial"]), where["what"], where["signature"])
        except StoreUnavailable as error:
            raise web.HTTPServiceUnavailable(text="not now; try again in a minute") from error


def _form(request: web.Request, asked: Asked) -> web.Response:
    language = choose_language(request.headers.get("Accept-Language", ""))
    words = WORDS[language]
    told = asked.told
    facts = [
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
    return _page(language, body)


def _say(request: web.Request, sentence: str, status: int = 200) -> web.Response:
    language = choose_language(request.headers.get("Accept-Language", ""))
    return _page(language, f"<h1>{html.escape(sentence)}</h1>", status)


def _page(language: str, body: str, status: int = 200) -> web.Response:
    text = (
        f'<!DOCTYPE html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="robots" content="noindex">\n'
        f'<title>{WORDS[language]["title"]}</title>\n<link rel="stylesheet" href="/order/page.css">\n</head>\n'
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )
    headers = {"Content-Security-Policy": CSP, "Content-Language": language, "Vary": "Accept-Language"}
    return web.Response(text=text, content_type="text/html", headers=headers, status=status)


def _read(name: str) -> str:
    return (files("bridge.web") / "pages" / name).read_text("utf-8")
