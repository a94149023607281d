"""The two addresses that stand open to the internet, asked by those who mean no good: screens' and suppliers' pages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

import pytest

from bridge.core.posting import Posting
from bridge.core.target import Target
from bridge.settings import DisplaySettings, WebSettings
from bridge.store.database import Database
from bridge.store.displays import DisplayStore
from bridge.store.orders import OrderStore
from bridge.web.displays import DisplayPages
from bridge.web.metrics import Metrics
from bridge.web.orders import OrderPages
from bridge.web.server import WebServer, make_app
from tests.integration.spine_store import database_fixture, masters_fixture, store_url  # noqa: F401

TOKEN = "scherm-stadhuis-0123456789"
OTHER = "scherm-zwembad-01234567890"
MOST = 4  # screens of one target
OWNER = {"name": "Gemeente Leiden", "kind": "municipality"}
FORM = "application/x-www-form-urlencoded"


def target(name: str, adapter: str) -> Target:
    """Give a screen, or a board behind a portal."""
    return Target.model_validate(
        {"id": name, "channel": "display", "adapter": adapter, "address": name, "owner": OWNER}
    )


ORDER = Posting("a" * 26, "zaak", target("mast", "work_order"))


@dataclass
class Site:
    """The bridge's web server, with two screens and one order; asked in raw bytes, as no client would."""

    server: WebServer
    orders: OrderStore
    link: str  # the path of the order's page

    @asynccontextmanager
    async def hold(self, path: str, *headers: str, verb: str = "GET", body: bytes = b"") -> AsyncIterator[int]:
        """Send a request and keep the connection; give the status of the answer, nought when the server hangs up."""
        lines = [f"{verb} {path} HTTP/1.1", "Host: x", *headers]
        if verb == "POST" and headers[-1:] != ("Transfer-Encoding: chunked",):
            lines.append(f"Content-Length: {len(body)}")
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        try:
            async with asyncio.timeout(10):
                writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
                answer = await reader.readline()
            yield int(answer.split()[1]) if answer else 0
        finally:
            writer.transport.abort()

    async def ask(self, path: str, *headers: str, verb: str = "GET", body: bytes = b"") -> int:
        """Send a request; give the status of the answer."""
        async with self.hold(path, *headers, verb=verb, body=body) as status:
            return status

    async def post(self, path: str, body: bytes, kind: str) -> int:
        """Send a body."""
        return await self.ask(path, f"Content-Type: {kind}", verb="POST", body=body)


@asynccontextmanager
async def serving(server: WebServer) -> AsyncIterator[None]:
    """Run a web server."""
    running = asyncio.create_task(server.run())
    while server.not_ready:
        await asyncio.sleep(0.01)
    yield
    await server.stop()
    await running


@pytest.fixture
async def site(database: Database) -> AsyncIterator[Site]:
    """Give a site on an empty store."""
    screens = [target("stadhuis", "display").with_secret(TOKEN), target("zwembad", "display").with_secret(OTHER)]
    store = DisplayStore(database, 60, lambda: None, MOST)
    orders = OrderStore(database, "http://bridge.example", lambda: None)
    app = make_app({}, database, Metrics())
    DisplayPages(store, lambda: screens, DisplaySettings(), None, database.clock).add_to(app)
    OrderPages(orders).add_to(app)
    order = await orders.ask(ORDER, "place", "k", {"text": "Vermist"})
    server = WebServer(WebSettings(port=0), app)
    async with serving(server):
        yield Site(server, orders, order.link.removeprefix("http://bridge.example"))


ODD = [
    "%00",
    "%ED%A0%80",
    "%C3%A9",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e",
    "a" * 7_000,
    "%",
    "%zz",
    "\x80",
    "$token",
    "{}",
]
KINDS = [
    *("", "text/plain; charset=nonsense", "text/plain; charset=hex", "application/json; charset=utf-7"),
    *("multipart/form-data", "multipart/form-data; boundary=x"),
    *(FORM, f"{FORM}; charset=nonsense", f"{FORM}; charset=utf-16", f"{FORM}; charset=utf-7"),
]
BODIES = [
    *(b"", b"\xff", b"\0" * 100, b"{}", b"[" * 4_000, b'{"screen":"aaaaaaaa","showing":[{}]}', b"--x\r\n\r\n"),
    *(b"answer=done%00", b"answer=cannot&reason=%00%1b%5b2J%e2%80%ae", b"answer=cannot&reason=%ed%a0%80+2AA-"),
    b'--x\r\nContent-Disposition: form-data; name="answer"; filename="y"\r\n\r\ndone\r\n--x--\r\n',
    b"answer=done&" * 300,
]


@pytest.mark.parametrize("odd", ODD)
async def test_an_odd_path_is_not_found(site: Site, odd: str) -> None:
    """Whatever stands where a token, a digest or a signature belongs: not found, or no request at all; never a fault."""
    signature = site.link.rpartition("/")[0]
    for path in (f"/display/{odd}", f"/display/{TOKEN}/photo/{odd}", f"/display/{TOKEN}/{odd}", f"{signature}/{odd}"):
        assert await site.ask(path) in (400, 404, 414), path
        assert await site.ask(path, verb="POST") in (400, 404, 405, 414), path


@pytest.mark.parametrize("kind", KINDS)
async def test_an_odd_body_is_refused(site: Site, kind: str) -> None:
    """Bodies of any kind and charset, to both: refused or understood; never a fault, and no reason hurts its readers."""
    for body in BODIES:
        for path in (f"/display/{TOKEN}/ack", site.link):
            assert await site.post(path, body, kind) < 500, (path, body)
    order = await site.orders.latest(ORDER)
    assert order
    assert order.reason.isprintable()


async def test_a_body_without_end_is_not_read(site: Site) -> None:
    """A body in chunks, or one that says it is large, is refused before it has come."""
    for path in (f"/display/{TOKEN}/ack", site.link):
        assert await site.ask(path, "Transfer-Encoding: chunked", verb="POST") == 413
        assert await site.ask(path, "Content-Length: 9999999", verb="PUT") == 405
        assert await site.post(path, b"a" * 20_000, FORM) == 413


async def test_to_look_at_an_order_writes_nothing(site: Site, database: Database) -> None:
    """Strangers with made-up links only read: they never stand in the way of who writes."""

    async def no_writing(*_: object, **__: object) -> None:
        raise AssertionError("a stranger's look is no reason to write")

    database.write = no_writing  # type: ignore[method-assign]
    for path in (site.link, site.link[:-1] + "_", site.link.replace("a", "b", 3)):
        assert await site.ask(path) in (200, 404)


async def test_who_fills_one_display_leaves_the_others_alone(site: Site) -> None:
    """One target's address in the wrong hands: it has so many streams and so many screens, and no more."""
    async with AsyncExitStack() as stack:
        answers = [await stack.enter_async_context(site.hold(f"/display/{TOKEN}/events")) for _ in range(MOST + 2)]
        assert sorted(answers) == [200] * MOST + [503] * 2
        assert await site.ask(f"/display/{OTHER}/events") == 200
    words = [b'{"screen":"screen-%03d","showing":[]}' % number for number in range(MOST + 2)]
    assert [await site.post(f"/display/{TOKEN}/ack", word, "") for word in words] == [204] * MOST + [503] * 2
    assert await site.post(f"/display/{TOKEN}/ack", words[0], "") == 204
    assert await site.post(f"/display/{OTHER}/ack", words[-1], "") == 204


async def test_connections_that_say_nothing_leave_files_for_boards(database: Database) -> None:
    """However many connect, so many are served and the rest sent away; when they go, others come in."""
    server = WebServer(WebSettings(port=0), make_app({}, database, Metrics()), most=5)
    async with serving(server):
        silent = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(20)]
        sent_away = [one for one in silent if await ends(one[0])]
        assert len(sent_away) == 15
        for _, writer in silent:
            writer.transport.abort()
        site = Site(server, OrderStore(database, "", lambda: None), "")
        async with asyncio.timeout(10):
            while await site.ask("/healthz") != 200:
                await asyncio.sleep(0.01)


async def ends(reader: asyncio.StreamReader) -> bool:
    """Whether the other side hangs up, soon."""
    with suppress(TimeoutError):
        async with asyncio.timeout(0.2):
            return not await reader.read(1)
    return False
