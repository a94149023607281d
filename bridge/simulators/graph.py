"""A Facebook Graph API to practise against: pages with a feed and photos, strict about tokens, failing on request.

In a test: ``async with GraphSimulator({"104857600": "token"}) as graph: …`` with ``graph.url`` as the adapter's
``base_url``. In another process: ``python -m bridge.simulators.graph --port 9200 --page 104857600=token``; there
``GET /_posts`` and ``GET /_history`` tell what the pages show and showed, ``POST /_faults`` orders a fault
(``{"fault": "fail_and_post", "times": 3}``) and ``DELETE /_faults`` ends them all.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import hmac
import json
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from bridge.simulators.graph_pages import Entry, GraphError, GraphPages, Post, required, shape

Operation = Literal["publish", "update", "delete", "read"]
EVERYTHING: frozenset[Operation] = frozenset({"publish", "update", "delete", "read"})


class Fault(BaseModel):
    """What goes wrong, for the next ``times`` requests of these operations (0: until ``clear_faults``).

    ``effect``: the request does what it asks all the same; with ``late`` only when the hanging ends. Then follows
    silence (``hang`` until ``release`` or the end; ``disconnect`` at once), or a Graph error with ``code``, or the
    raw ``body``, or the usual answer. ``percent`` and ``minutes`` add the usage header of the page.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    operations: frozenset[Operation] = frozenset({"publish"})
    times: int = 1
    effect: bool = False
    late: bool = False
    silence: Literal["", "hang", "disconnect"] = ""
    status: int = 400
    code: int | None = None
    subcode: int | None = None
    body: bytes | None = None
    headers: Mapping[str, str] = {}
    percent: int | None = None
    minutes: int = 0


FAULTS: Mapping[str, Fault] = {
    "fail": Fault(status=500, code=2),
    "fail_and_post": Fault(status=500, code=2, effect=True),
    "hang": Fault(silence="hang"),
    "hang_and_post": Fault(silence="hang", effect=True),
    "hang_then_post": Fault(silence="hang", effect=True, late=True),
    "disconnect": Fault(silence="disconnect"),
    "disconnect_and_post": Fault(silence="disconnect", effect=True),
    "throttle": Fault(operations=EVERYTHING, code=32, percent=100, minutes=5),
    "nearly_full": Fault(operations=EVERYTHING, effect=True, percent=96),
    "token_expired": Fault(operations=EVERYTHING, code=190, subcode=463),
    "duplicate": Fault(code=506),
    "error": Fault(code=1, status=500),
}
"""The faults by name; ``fault(name, …)`` and ``POST /_faults`` may change any field."""


@dataclass
class _Order:
    fault: Fault
    left: float


class GraphSimulator:
    """A Graph API on 127.0.0.1. ``pages``: id → token. With ``app_secret`` every request must carry its proof."""

    def __init__(
        self,
        pages: Mapping[str, str],
        app_secret: str | None = None,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        version: str = "v25.0",
    ) -> None:
        self.pages = GraphPages()
        self.calls: list[tuple[str, str]] = []
        """Every request to the API since the start, as (method, path)."""
        self._tokens = dict(pages)
        self._app_secret = app_secret
        self._address = (host, port)
        self._version = version
        self._orders: list[_Order] = []
        self._released = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.vanish()

    @property
    def history(self) -> list[Entry]:
        """Everything that was ever published, updated or deleted, oldest first."""
        return self.pages.history

    def posts(self, page: str) -> list[Post]:
        """Give the live posts of a page, oldest first."""
        return self.pages.posts(page)

    @property
    def url(self) -> str:
        """The adapter's ``base_url``."""
        return f"http://{self._address[0]}:{self._address[1]}"

    async def listen(self) -> None:
        """Open the port, always the same one, with what was there before; harmless when it is open."""
        if self._runner is not None:
            return
        app = web.Application(client_max_size=20 * 2**20)
        app.router.add_get("/_posts", self._tell_posts)
        app.router.add_get("/_history", self._tell_history)
        app.router.add_post("/_faults", self._order_fault)
        app.router.add_delete("/_faults", self._end_faults)
        app.router.add_route("*", "/{version}/{object}", self._serve)
        app.router.add_route("*", "/{version}/{object}/{edge}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, *self._address).start()
        self._address = (self._address[0], self._runner.addresses[0][1])

    async def vanish(self) -> None:
        """Close the port and every connection; ``listen`` brings it back."""
        self.release()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def release(self) -> None:
        """End every hanging request."""
        self._released.set()
        self._released = asyncio.Event()

    def fault(self, name: str, **changes: Any) -> None:
        """Order one of ``FAULTS``, with fields changed; orders are served first come, first served."""
        fault = Fault.model_validate({**FAULTS[name].model_dump(), **changes})
        self._orders.append(_Order(fault, fault.times or float("inf")))

    def clear_faults(self) -> None:
        """End every fault."""
        self._orders.clear()

    # --- the API

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.calls.append((request.method, request.path))
        name, edge = request.match_info["object"], request.match_info.get("edge", "")
        page = self.pages.owner(name)
        try:
            fields = dict(await request.post() if request.method == "POST" else request.query)
            self._authorize(request, page, fields)
            operation, act = self._plan(request.method, name, edge, fields)
            fault = self._take(operation)
            if fault is not None:
                return await self._fail(request, page, fault, act)
            return web.json_response(act())
        except GraphError as error:
            return _error_response(error.code, error.subcode, error.status, str(error), {})

    def _authorize(self, request: web.Request, page: str, fields: Mapping[str, Any]) -> None:
        if request.match_info["version"] != self._version:
            raise GraphError(2635, "You are calling a version of the API that is not served here")
        if "access_token" in request.query:
            raise GraphError(190, "A token does not belong in a URL", status=401)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer":
            token = str(fields.get("access_token", ""))
        if token not in self._tokens.values():
            raise GraphError(190, f"Malformed access token {token}", status=401)
        if self._app_secret is not None:
            proof = hmac.new(self._app_secret.encode(), token.encode(), hashlib.sha256).hexdigest()
            if not hmac.compare_digest(str(fields.get("appsecret_proof", "")).encode(), proof.encode()):
                raise GraphError(100, "Invalid appsecret_proof provided in the API argument")
        if token != self._tokens.get(page):
            raise GraphError(100, f"Object with ID '{page}' does not exist or is closed to this token", subcode=33)

    def _plan(
        self, method: str, name: str, edge: str, fields: Mapping[str, Any]
    ) -> tuple[Operation, Callable[[], dict[str, Any]]]:
        """Find what is asked: the operation, and the act that does it when it is called."""
        on_page = name in self._tokens
        match method, edge:
            case "POST", "feed" if on_page:
                text = required(fields, "message")
                return "publish", lambda: {"id": self.pages.put_post(name, text).id}
            case "POST", "photos" if on_page:
                return "publish", self._photo_act(name, fields)
            case "GET", "feed" if on_page:
                return "read", lambda: self.pages.feed(name, fields, self._link(name))
            case "GET", "" if on_page:
                return "read", lambda: {"id": name, "name": f"Page {name}"}
            case "POST", "" if not on_page:
                text = required(fields, "message")
                return "update", lambda: self.pages.edit(name, text)
            case "GET", "" if not on_page:
                return "read", lambda: shape(self.pages.find(name), str(fields.get("fields", "")))
            case "DELETE", "" if not on_page:
                return "delete", lambda: self.pages.delete(name)
        raise GraphError(100, f"Unsupported {method.lower()} request")

    def _photo_act(self, page: str, fields: Mapping[str, Any]) -> Callable[[], dict[str, Any]]:
        source = fields.get("source")
        if not isinstance(source, web.FileField) or not source.content_type.startswith("image/"):
            raise GraphError(324, "Requires upload file")
        data = source.file.read()

        def act() -> dict[str, Any]:
            post = self.pages.put_post(page, str(fields.get("caption", "")), photo=data)
            return {"id": post.photo, "post_id": post.id}

        return act

    def _link(self, page: str) -> str:
        """The link to more of a feed holds the token, as the real one does."""
        return f"{self.url}/{self._version}/{page}/feed?access_token={self._tokens[page]}"

    # --- faults

    def _take(self, operation: Operation) -> Fault | None:
        for order in self._orders:
            if operation in order.fault.operations:
                order.left -= 1
                if order.left <= 0:
                    self._orders.remove(order)
                return order.fault
        return None

    async def _fail(
        self, request: web.Request, page: str, fault: Fault, act: Callable[[], dict[str, Any]]
    ) -> web.StreamResponse:
        if fault.silence:
            await self._keep_silent(fault, act)
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        usual = act() if fault.effect else {}
        headers = {**fault.headers, **_usage_header(page, fault)}
        if fault.body is not None:
            return web.Response(status=fault.status, body=fault.body, headers=headers)
        if fault.code is not None:
            return _error_response(fault.code, fault.subcode, fault.status, "An error that was ordered", headers)
        return web.json_response(usual, headers=headers)

    async def _keep_silent(self, fault: Fault, act: Callable[[], dict[str, Any]]) -> None:
        if fault.silence == "hang" and fault.late:
            await self._released.wait()
        if fault.effect:
            with contextlib.suppress(GraphError):  # a refusal is not answered either
                act()
        if fault.silence == "hang" and not fault.late:
            await self._released.wait()

    # --- for the other process

    async def _tell_posts(self, _request: web.Request) -> web.Response:
        pages = {page: [self.pages.describe(post) for post in self.pages.posts(page)] for page in self._tokens}
        return web.json_response(pages)

    async def _tell_history(self, _request: web.Request) -> web.Response:
        return web.json_response([{**vars(entry), "at": entry.at.isoformat()} for entry in self.pages.history])

    async def _order_fault(self, request: web.Request) -> web.Response:
        try:
            changes = dict(await request.json())
            self.fault(changes.pop("fault"), **changes)
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            return web.json_response({"error": str(error), "faults": sorted(FAULTS)}, status=400)
        return web.json_response({"ordered": len(self._orders)})

    async def _end_faults(self, _request: web.Request) -> web.Response:
        self.clear_faults()
        self.release()
        return web.json_response({"ordered": 0})


def _usage_header(page: str, fault: Fault) -> dict[str, str]:
    if fault.percent is None:
        return {}
    reading = {"type": "pages", "call_count": fault.percent, "total_cputime": 1, "total_time": 1}
    value = {page: [{**reading, "estimated_time_to_regain_access": fault.minutes}]}
    return {"x-business-use-case-usage": json.dumps(value)}


def _error_response(
    code: int, subcode: int | None, status: int, message: str, headers: Mapping[str, str]
) -> web.Response:
    error: dict[str, Any] = {"message": f"(#{code}) {message}", "type": "OAuthException", "code": code}
    if subcode is not None:
        error["error_subcode"] = subcode
    return web.json_response({"error": {**error, "fbtrace_id": "AbCdEfGhIjK"}}, status=status, headers=headers)


def _page(text: str) -> tuple[str, str]:
    page, _, token = text.partition("=")
    if not page.isdecimal() or not token:
        raise argparse.ArgumentTypeError("a page is ID=TOKEN, and its id is digits")
    return page, token


async def _run(simulator: GraphSimulator) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with simulator:
        sys.stdout.write(f"Graph API simulator on {simulator.url}\n")
        sys.stdout.flush()
        await stopped.wait()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the simulator until SIGTERM or SIGINT; its first line on stdout names the address."""
    parser = argparse.ArgumentParser(prog="python -m bridge.simulators.graph", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--page", action="append", required=True, type=_page, metavar="ID=TOKEN")
    parser.add_argument("--app-secret")
    parser.add_argument("--version", default="v25.0")
    options = parser.parse_args(arguments)
    pages, place = dict(options.page), {"port": options.port, "host": options.host}
    asyncio.run(_run(GraphSimulator(pages, options.app_secret, version=options.version, **place)))


if __name__ == "__main__":
    main()
