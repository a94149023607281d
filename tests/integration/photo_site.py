"""A web server with photos on loopback, and a look at every connection this process tries to make."""

from __future__ import annotations

import io
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from PIL import Image

from bridge.core.errors import PermanentError
from bridge.dispatch.photo_fetch import PhotoFetcher

TOKEN = "s3cr3t-token"


def jpeg(**options: Any) -> bytes:
    """Write a small red picture."""
    file = io.BytesIO()
    Image.new("RGB", (60, 40), "red").save(file, "JPEG", **options)
    return file.getvalue()


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Site:
    """A web server on loopback: it answers each path as it was told, and remembers what it was asked."""

    port: int = 0
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[web.BaseRequest] = field(default_factory=list)

    @property
    def host(self) -> str:
        """The server's address as ``allow_hosts`` takes it."""
        return f"127.0.0.1:{self.port}"

    def url(self, path: str = "/photo") -> str:
        """Give the URL of a path."""
        return f"http://{self.host}{path}"

    def tell(self, body: bytes = b"", path: str = "/photo", **response: Any) -> str:
        """Answer a path with this body from now on; give its URL."""

        async def answer(request: web.Request) -> web.StreamResponse:
            return web.Response(body=body, **({"content_type": "image/jpeg"} | response))

        self.answers[path] = answer
        return self.url(path)

    def redirect(self, to: str, path: str = "/photo", status: int = 302) -> str:
        """Lead a path elsewhere; give its URL."""
        return self.tell(path=path, status=status, headers={"Location": to})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        self.asked.append(request)
        return await self.answers[request.path](request)


@asynccontextmanager
async def open_site() -> AsyncIterator[Site]:
    """Run a server for the time of a test."""
    site = Site()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", site.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", 0)
    await listener.start()
    [(_, site.port)] = runner.addresses
    try:
        yield site
    finally:
        await runner.cleanup()


connected: list[Any] | None = None


def _watch(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.connect" and connected is not None and isinstance(args[1], tuple):
        connected.append(args[1])


sys.addaudithook(_watch)  # the interpreter's own report of every connection, which no code can go around


@contextmanager
def watching() -> Iterator[list[Any]]:
    """Collect the address of every connection that anything in this process tries to make."""
    global connected  # noqa: PLW0603 - an audit hook cannot be taken away, so it is switched
    seen: list[Any] = []
    connected = seen
    try:
        yield seen
    finally:
        connected = None


async def refusal(fetcher: PhotoFetcher, url: str) -> str:
    """Fetch what must be refused for good; give the reason, which is one line and quotes no secret."""
    with pytest.raises(PermanentError) as refused:
        await fetcher.fetch(url)
    reason = str(refused.value)
    assert reason.startswith("photo: ")
    assert "\n" not in reason
    assert TOKEN not in reason
    return reason
