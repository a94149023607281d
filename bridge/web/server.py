"""The bridge's own small site: is it alive, is it ready, and its figures."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Protocol, runtime_checkable

import structlog
from aiohttp import web
from prometheus_client.exposition import choose_encoder

from bridge.core.errors import InvalidInput
from bridge.core.ports import Part
from bridge.logs import mask
from bridge.settings import WebSettings
from bridge.store.database import Database
from bridge.web.metrics import Figures, Metrics
from bridge.web.page import choose_language, home_page

STUCK_AFTER = 90.0  # seconds without a turn of the dispatcher: longer than it may wait for the database (10 + 60)
SHUTDOWN = 2.0  # seconds that open requests get when the server stops
GLANCE = 0.2  # seconds that a question after readiness waits for the figures
KEEP_ALIVE = 15.0  # seconds that an idle connection stays open
FEWEST = 64  # connections that are served however few files a process may have open

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "burgernet-bridge",  # and no version
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

log = structlog.get_logger()


@runtime_checkable
class Turning(Protocol):
    """A part that turns, and notes when it last did (``time.monotonic``)."""

    last_turn: float


@runtime_checkable
class Detailed(Protocol):
    """A part that has more to tell than whether it is ready."""

    @property
    def details(self) -> Mapping[str, object]:
        """Say it, for people; fit for JSON."""
        ...


def make_app(parts: Mapping[str, Part], database: Database, metrics: Metrics) -> web.Application:
    """Make the site: ``/healthz``, ``/readyz``, ``/metrics`` and a page that leads to them.

    ``parts`` is looked at anew for each request, so it may still grow.
    """
    site = _Site(parts, Figures(database), metrics)
    app = web.Application()
    app.add_routes(
        [
            web.get("/", site.home),
            web.get("/healthz", site.health),
            web.get("/readyz", site.readiness),
            web.get("/metrics", site.metrics),
        ]
    )
    app.on_response_prepare.append(_add_headers)
    app.on_cleanup.append(site.close)
    return app


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = HEADERS["Server"]


class _Site:
    def __init__(self, parts: Mapping[str, Part], figures: Figures, metrics: Metrics) -> None:
        self._parts = parts
        self._figures = figures
        self._metrics = metrics

    async def home(self, request: web.Request) -> web.Response:
        language = choose_language(request.headers.get("Accept-Language", ""))
        headers = {"Content-Language": language, "Vary": "Accept-Language"}
        return web.Response(text=home_page(language), content_type="text/html", headers=headers)

    async def health(self, _request: web.Request) -> web.Response:
        """Alive: this answer shows that the loop turns; the dispatcher must have turned of late too."""
        for name, part in self._parts.items():
            silence = time.monotonic() - part.last_turn if isinstance(part, Turning) else 0.0
            if silence > STUCK_AFTER:
                why = f"{name} has not turned for {silence:.0f} s"
                return web.json_response({"status": "stuck", "why": why}, status=503)
        return web.json_response({"status": "ok"})

    async def readiness(self, _request: web.Request) -> web.Response:
        """Ready, or why not; and what is late, which is no reason to be started again."""
        reasons = {name: mask(part.not_ready) for name, part in self._parts.items() if part.not_ready}
        figures, _ = await self._figures.latest(GLANCE)
        late = [{**asdict(one), "seconds": round(one.seconds)} for one in figures.late] if figures else []
        details = {name: part.details for name, part in self._parts.items() if isinstance(part, Detailed)}
        told = {"ready": not reasons, "parts": reasons, "late": late, "details": details}
        return web.json_response(told, status=503 if reasons else 200)

    async def metrics(self, request: web.Request) -> web.Response:
        self._metrics.figures(*await self._figures.latest())
        for name, part in self._parts.items():
            self._metrics.part(name, ready=part.not_ready is None)
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._metrics.registry), headers={"Content-Type": content_type})

    async def close(self, _app: web.Application) -> None:
        await self._figures.close()


class _HangUp(asyncio.Protocol):
    """Takes a connection and ends it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """End it."""
        transport.close()


class _Runner(web.AppRunner):
    """Serves at most so many connections at a time; whoever comes then is sent away at once, and may come again."""

    def __init__(self, app: web.Application, most: int, **settings: Any) -> None:
        super().__init__(app, **settings)
        self._most = most

    @property
    def server(self) -> Any:
        """Give what makes a protocol for each connection."""
        server = super().server
        return server and (lambda: server() if len(server.connections) < self._most else _HangUp())


class WebServer:
    """Serves a site. Once it is ready ``port`` is the one it really listens on: with 0 the system chooses.

    ``most``: connections at a time; by default half of the files that this process may have open, for what strangers
    hold open here must never keep an adapter from putting a board out.
    """

    def __init__(self, settings: WebSettings, app: web.Application, most: int | None = None) -> None:
        self.not_ready: str | None = "does not listen yet"
        self.port = settings.port
        self._host = settings.host
        self._app = app
        self._most = most or max(FEWEST, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Serve until cancelled or stopped. Raises ``InvalidInput`` when it cannot listen there."""
        runner = _Runner(
            self._app, self._most, access_log=None, shutdown_timeout=SHUTDOWN, keepalive_timeout=KEEP_ALIVE
        )
        await runner.setup()
        try:
            await self._listen(runner)
            await self._stopping.wait()
        finally:
            self.not_ready = "has stopped"
            await runner.cleanup()

    async def stop(self) -> None:
        """Answer the open requests and stop listening: ``run`` returns."""
        self._stopping.set()

    async def _listen(self, runner: web.AppRunner) -> None:
        try:
            await web.TCPSite(runner, self._host, self.port).start()
        except OSError as error:
            why = error.strerror or str(error)
            raise InvalidInput(f"web: cannot listen on {self._host} port {self.port}: {why}") from None
        self.port = runner.addresses[0][1]
        self.not_ready = None
        log.info("web server listens", host=self._host, port=self.port)
