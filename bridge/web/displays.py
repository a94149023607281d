"""The display pages: one address for each screen, what it is to show, and its word for what it has painted.

``GET /display/{token}`` is the page, ``…/events`` tells it by Server-Sent Events what to show (the whole state, each
time), ``POST …/ack`` says what it has painted, ``…/photo/{digest}`` and ``/display/coat`` are its pictures.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import structlog
from aiohttp import web

from bridge.core.errors import StoreUnavailable
from bridge.core.target import Target
from bridge.settings import DisplaySettings
from bridge.store.displays import DisplayStore
from bridge.web.body import read_body

ADAPTER = "display"
MOST_ACK = 16_384  # bytes of a screen's word
MOST_KEYS = 200  # messages that one screen confirms at a time
POLL = 5.0  # seconds between looks for what another process changed, if nobody rang
PAUSE = 0.05  # seconds that changes which come together share one look
BEAT = b"event: beat\ndata: {}\n\n"
RECONNECT = 1_000  # milliseconds after which a browser comes back when the connection broke

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
FILES = ("page.html", "page.js", "page.css")
_KINDS = {"js": "text/javascript", "css": "text/css"}
_IMAGES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".svg": "image/svg+xml"}
ACKNOWLEDGEMENT = "{screen, showing: [keys]}"
_SCREEN = re.compile(r"[A-Za-z0-9-]{8,64}")
_KEY = re.compile(r"[a-z2-7]{26}\.[0-9a-f]{16}")

log = structlog.get_logger()


@dataclass
class _Channel:
    """What the screens of one target are told."""

    version: int = -1
    shown: list[dict[str, Any]] = field(default_factory=list)
    screens: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class DisplayPages:
    """Serves the pages, and tells every screen what changed, whichever process changed it."""

    def __init__(
        self,
        store: DisplayStore,
        targets: Callable[[], Sequence[Target]],
        settings: DisplaySettings,
        coat: Path | None,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._targets = targets
        self._settings = settings
        self._coat = coat
        self._clock = clock
        self._known: tuple[Sequence[Target], dict[str, Target]] = ((), {})
        self._channels: dict[str, _Channel] = {}
        self._wake = asyncio.Event()
        self._closing = False
        self.not_ready: str | None = None

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.add_routes(
            [
                web.get("/display/page.js", self._file("page.js")),
                web.get("/display/page.css", self._file("page.css")),
                web.get("/display/coat", self.coat),
                web.get("/display/{token}", self.page),
                web.get("/display/{token}/events", self.events),
                web.post("/display/{token}/ack", self.acknowledge),
                web.get("/display/{token}/photo/{digest:[0-9a-f]{64}}", self.photo),
            ]
        )
        app.on_shutdown.append(self._close)

    def wake(self) -> None:
        """Look now: something may have changed."""
        self._wake.set()

    async def run(self) -> None:
        """Tell screens what changed, when woken and now and then; for ever."""
        since = self._clock()
        while True:
            self._wake.clear()
            try:
                now = self._clock()
                await self._look(since)
                since, self.not_ready = now, None
            except StoreUnavailable as error:
                self.not_ready = str(error)
            await asyncio.sleep(PAUSE)
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL):
                    await self._wake.wait()

    async def _look(self, since: float) -> None:
        if not self._channels:
            return
        for target, version in (await self._store.changed(since)).items():
            channel = self._channels.get(target)
            if channel and channel.version != version:
                await self._refresh(target, channel)

    async def _refresh(self, target: str, channel: _Channel) -> None:
        """Read what a target is to show, and wake its screens."""
        channel.version, channel.shown = await self._store.state(target)
        channel.changed.set()
        channel.changed = asyncio.Event()

    async def page(self, request: web.Request) -> web.Response:
        """Give the page, which knows nothing yet."""
        target = self._target(request)
        values = {**self._values(target), "edition": self._edition(target)}
        text = Template(_read("page.html")).substitute(values)
        return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": CSP})

    def _values(self, target: Target) -> dict[str, str]:
        return {
            "idle": self._settings.idle,
            "coat": "yes" if self._coat else "no",
            "dead": f"{self._settings.dead_man:g}",
            "beat": f"{self._settings.beat:g}",
            "language": (target.languages or ("nl",))[0],
        }

    def _edition(self, target: Target) -> str:
        """Name the page as it is now: one opened under another version or other settings fetches itself anew."""
        whole = [*(_read(name) for name in FILES), *self._values(target).values()]
        return _digest("\0".join(whole))[:16]

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Tell one screen the whole state, at once and at every change, and that we are there."""
        target = self._target(request)
        channel = self._channels.setdefault(target.id, _Channel())
        if channel.screens >= self._store.most:
            raise web.HTTPServiceUnavailable(text="too many screens have this page open")
        channel.screens += 1
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        response = web.StreamResponse(headers=headers)
        try:
            if channel.version < 0:
                await self._refresh(target.id, channel)
            await response.prepare(request)
            await response.write(f"retry: {RECONNECT}\n\n".encode())
            await self._tell(response, channel, self._edition(target))
        except StoreUnavailable as error:
            raise web.HTTPServiceUnavailable(text="not now") from error
        except ConnectionError:
            log.debug("a screen is gone", target=target.id)
        finally:
            channel.screens -= 1
            if not channel.screens:
                self._channels.pop(target.id, None)
        return response

    async def _tell(self, response: web.StreamResponse, channel: _Channel, edition: str) -> None:
        told = -1
        while not self._closing:
            changed = channel.changed
            await response.write(BEAT if channel.version == told else self._state(channel, edition))
            told = channel.version
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.beat):
                    await changed.wait()

    def _state(self, channel: _Channel, edition: str) -> bytes:
        """Write all that a screen is to show, and for how many seconds more: clocks differ."""
        now = self._clock()
        told = [{**one, "left": one["validUntil"] - now} for one in channel.shown]
        data = json.dumps({"messages": told, "edition": edition}, ensure_ascii=False)
        return f"event: state\nid: {channel.version}\ndata: {data}\n\n".encode()

    async def acknowledge(self, request: web.Request) -> web.Response:
        """Take a screen's word for what it has painted."""
        target = self._target(request)
        body = await read_body(request, MOST_ACK)
        try:
            screen, keys = read_acknowledgement(body)
        except ValueError as error:
            raise web.HTTPBadRequest(text=f"allowed: {ACKNOWLEDGEMENT}") from error
        try:
            noted = await self._store.painted(target.id, screen, keys)
        except StoreUnavailable as error:
            raise web.HTTPServiceUnavailable(text="not now") from error
        if not noted:
            raise web.HTTPServiceUnavailable(text="too many screens have this page open")
        return web.Response(status=204)

    async def photo(self, request: web.Request) -> web.Response:
        """Give a photo that this target is to show now."""
        target = self._target(request)
        try:
            found = await self._store.photo(target.id, request.match_info["digest"])
        except StoreUnavailable as error:
            raise web.HTTPServiceUnavailable(text="not now") from error
        if found is None:
            raise web.HTTPNotFound
        return web.Response(body=found[0], content_type=found[1])

    async def coat(self, _request: web.Request) -> web.StreamResponse:
        """Give the coat of arms of the idle page."""
        kind = _IMAGES.get(self._coat.suffix.lower()) if self._coat else None
        if self._coat is None or kind is None or not self._coat.is_file():
            raise web.HTTPNotFound
        return web.FileResponse(self._coat, headers={"Content-Type": kind, "Content-Security-Policy": CSP})

    def _target(self, request: web.Request) -> Target:
        """Find whose page this is. Tokens are looked up by their digest, so that time tells nothing of them."""
        targets = self._targets()
        if self._known[0] is not targets:
            found = {_digest(one.secret): one for one in targets if one.adapter == ADAPTER and one.secret}
            self._known = (targets, found)
        target = self._known[1].get(_digest(request.match_info["token"]))
        if target is None:
            raise web.HTTPNotFound
        return target

    def _file(self, name: str) -> Callable[[web.Request], Any]:
        text, kind = _read(name), _KINDS[name.rpartition(".")[2]]

        async def give(_request: web.Request) -> web.Response:
            return web.Response(text=text, content_type=kind, charset="utf-8")

        return give

    async def _close(self, _app: web.Application) -> None:
        """Let every screen go; it comes back to whoever runs then."""
        self._closing = True
        for channel in list(self._channels.values()):
            channel.changed.set()


def read_acknowledgement(text: str) -> tuple[str, list[str]]:
    """Read which screen shows which messages; raise ``ValueError`` for anything else."""
    try:
        said = json.loads(text)
        screen, keys = said["screen"], said["showing"]
        good = isinstance(keys, list) and len(keys) <= MOST_KEYS and all(_KEY.fullmatch(key) for key in keys)
        known = _SCREEN.fullmatch(screen)
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(ACKNOWLEDGEMENT) from error
    if not (good and known):
        raise ValueError(ACKNOWLEDGEMENT)
    return screen, keys


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@cache
def _read(name: str) -> str:
    return (files("bridge.web") / "pages" / name).read_text("utf-8")
