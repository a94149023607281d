"""Boards that meet the HTTP sign contract, many in one server: for the demo, for tests, for people who write adapters.

``http://…/{board}/{posting}`` takes PUT, GET and DELETE. The server is strict (what a board could misread is refused
with one sentence), remembers what every board shows, clears it at ``validUntil``, and can fail in every way a board at
the roadside can. ``python -m bridge.simulators.board --port 9100 --control`` runs it alone; ``--help`` tells the rest.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import heapq
import itertools
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple, Self

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from rich.console import RenderableType
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from bridge.core.alert import parse_time
from bridge.simulators.board_body import Body, Refused, read_body, sentence
from bridge.simulators.board_picture import picture

MAX_BODY = 8_000_000  # bytes; a lichtkrant's photo included

Key = tuple[str, str]  # board, posting


class Entry(NamedTuple):
    """One thing that happened at a board. ``verb``: PUT GET DELETE as served, EXPIRED, REBOOT, WRITE.

    ``at`` is ``time.monotonic()`` in seconds, which processes on one machine share.
    """

    at: float
    verb: str
    board: str
    posting: str
    revision: int | None


class Faults(BaseModel):
    """How a board fails, until told otherwise; the default is not at all.

    ``down``: drops the connection, and nothing happens. ``delay``: seconds before a request takes effect (also when the
    client has hung up by then). ``status``: answers this and does nothing, with ``retry_after`` seconds if given.
    ``fail_after``: does what is asked and then answers this status, or breaks off when it is 0. ``lies``: tells what it
    was told to show, whatever it shows. ``verbs``: only these; empty is all.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    down: bool = False
    delay: float = Field(0.0, ge=0)
    status: int | None = Field(None, ge=200, le=599)
    retry_after: int | None = Field(None, ge=0)
    fail_after: int | None = Field(None, ge=0, le=599)
    lies: bool = False
    verbs: tuple[str, ...] = Field((), strict=False)


WELL = Faults()


class BoardSimulator:
    """An HTTP server of boards. Every board exists: it begins dark with the first request to its path."""

    def __init__(
        self, port: int = 0, *, host: str = "127.0.0.1", secret: str | None = None, control: bool = False
    ) -> None:
        """Take port 0 for any free one; with a ``secret`` (``whsec_…``) only signed requests are served.

        ``control`` opens ``GET /_history``, ``GET /_shown``, ``POST /_faults`` and ``POST /_reboot`` over HTTP.
        """
        self.host = host
        self.port = port
        self.history: list[Entry] = []
        self.requests: Counter[tuple[str, str]] = Counter()
        """Requests that arrived, by (board, verb), served or not."""
        self.traces: list[tuple[str, str, str]] = []
        """Board, verb and ``traceparent`` of the requests that came with one."""
        self._control = control
        self._verifier = Webhook(secret) if secret else None
        self._lit: dict[str, dict[str, Body]] = {}
        self._told: dict[Key, Body] = {}  # what it was told to show, for a board that lies
        self._deadlines: list[tuple[float, int, Key, Body]] = []
        self._count = itertools.count()
        self._faults: dict[str, Faults] = {}
        self._everywhere = WELL
        self._runner: web.AppRunner | None = None
        self._happened = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Listen."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the port."""
        await self.stop()

    @property
    def url(self) -> str:
        """Where the server listens; a board's address is ``{url}/{board}``."""
        return f"http://{self.host}:{self.port}"

    async def start(self) -> None:
        """Listen, after a ``stop`` at the same port and with everything that was lit."""
        app = web.Application(client_max_size=MAX_BODY)
        if self._control:
            app.add_routes(
                [
                    web.get("/_history", self._tell_history),
                    web.get("/_shown", self._tell_shown),
                    web.post("/_faults", self._set_faults),
                    web.post("/_reboot", self._do_reboot),
                ]
            )
        app.router.add_route("*", "/{board}/{posting}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port, reuse_address=True, backlog=4096)
        await site.start()
        self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Be unreachable: connections are refused. What is lit stays lit."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    def shown(self, board: str) -> dict[str, Body]:
        """Give what a board shows now, by posting."""
        self._expire()
        return dict(self._lit.get(board, {}))

    def everything(self) -> dict[str, dict[str, Body]]:
        """Give what every board shows that shows anything, by board and posting."""
        return {board: shown for board in list(self._lit) if (shown := self.shown(board))}

    def fail(self, faults: Faults = WELL, board: str | None = None) -> None:
        """Let one board fail, or every board that has no faults of its own; without faults it is well again."""
        if board is None:
            self._everywhere = faults
        elif faults == WELL:
            self._faults.pop(board, None)
        else:
            self._faults[board] = faults

    def heal(self) -> None:
        """Take every fault away."""
        self._faults.clear()
        self._everywhere = WELL

    def reboot(self, board: str | None = None) -> None:
        """Let one board, or every one, forget what it showed."""
        for name in [board] if board is not None else list(self._lit):
            for posting, body in self._lit.pop(name, {}).items():
                self._note("REBOOT", (name, posting), body["revision"])

    def write(self, board: str, text: str) -> None:
        """Let someone else put a text on a board, over whatever it shows; it runs out never."""
        body: Body = {"case": "local", "revision": 0, "text": text, "pages": [[text]], "language": "nl"}
        self._lit[board] = {"local": {**body, "photo": None, "validUntil": None, "exercise": False}}
        self._note("WRITE", (board, "local"), 0)

    async def until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        """Return as soon as ``condition`` holds; raise ``TimeoutError`` after ``seconds``.

        It is looked at again when something happens, and every 20 ms, for what expires makes no sound.
        """
        async with asyncio.timeout(seconds):
            while not condition():
                self._happened.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._happened.wait(), 0.02)

    def draw(self, board: str, columns: int = 16, rows: int = 5) -> RenderableType:
        """Draw a board of so many characters and lines as it looks from the road, every page beside the other."""
        return picture(board, self.shown(board).values(), columns, rows)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        key = request.match_info["board"], request.match_info["posting"]
        board, verb = key[0], request.method
        self.requests[board, verb] += 1
        if trace := request.headers.get("traceparent"):
            self.traces.append((board, verb, trace))
        body = await request.read()
        faults = self._faults.get(board, self._everywhere)
        if faults.verbs and verb not in faults.verbs:
            faults = WELL
        if faults.down:
            return _hang_up(request)
        if faults.delay:
            await asyncio.sleep(faults.delay)
        if faults.status is not None:
            headers = {} if faults.retry_after is None else {"Retry-After": str(faults.retry_after)}
            return web.Response(status=faults.status, headers=headers)
        answer = self._answer(verb, key, body, request.headers)
        if faults.fail_after is None:
            return answer
        return web.Response(status=faults.fail_after) if faults.fail_after else _hang_up(request)

    def _answer(self, verb: str, key: Key, body: bytes, headers: Mapping[str, str]) -> web.Response:
        """Do what the contract says, and nothing that was not asked for by name."""
        if self._verifier is not None and (why := _unsigned(self._verifier, body, headers)):
            return web.Response(status=401, text=why)
        self._expire()
        try:
            if verb == "PUT":
                return self._show(key, read_body(body))
        except Refused as refused:
            return web.Response(status=400, text=str(refused))
        if verb == "GET":
            return self._tell(key)
        if verb == "DELETE":
            return self._clear(key)
        return web.Response(status=405, headers={"Allow": "PUT, GET, DELETE"}, text="Only PUT, GET and DELETE.")

    def _show(self, key: Key, body: Body) -> web.Response:
        self._lit.setdefault(key[0], {})[key[1]] = self._told[key] = body
        if body["validUntil"] is not None:
            until = parse_time(body["validUntil"]).timestamp()
            heapq.heappush(self._deadlines, (until, next(self._count), key, body))
        self._note("PUT", key, body["revision"])
        return web.Response(status=204)

    def _tell(self, key: Key) -> web.Response:
        lies = self._faults.get(key[0], self._everywhere).lies
        body = self._told.get(key) if lies else self._lit.get(key[0], {}).get(key[1])
        self._note("GET", key, body["revision"] if body else None)
        if body is None:
            return web.Response(status=404, text="Nothing is shown here.")
        return web.json_response(body)

    def _clear(self, key: Key) -> web.Response:
        self._told.pop(key, None)
        body = self._lit.get(key[0], {}).pop(key[1], None)
        self._note("DELETE", key, body["revision"] if body else None)
        return web.Response(status=204 if body else 404)

    def _expire(self) -> None:
        """Clear what ran out; the history gets the moment it did, not the moment somebody looked."""
        now = time.time()
        while self._deadlines and self._deadlines[0][0] <= now:
            until, _, (board, posting), body = heapq.heappop(self._deadlines)
            lit = self._lit.get(board, {})
            if lit.get(posting) is body:  # not renewed, replaced or deleted since
                del lit[posting]
                self._note("EXPIRED", (board, posting), body["revision"], now - until)

    def _note(self, verb: str, key: Key, revision: int | None, seconds_ago: float = 0.0) -> None:
        self.history.append(Entry(time.monotonic() - seconds_ago, verb, *key, revision))
        self._happened.set()

    async def _tell_history(self, request: web.Request) -> web.Response:
        """``?since=N`` leaves out the first N entries."""
        try:
            since = max(0, int(request.query.get("since", "0")))
        except ValueError:
            return web.Response(status=400, text="since: a number of entries.")
        return web.json_response([entry._asdict() for entry in self.history[since:]])

    async def _tell_shown(self, _: web.Request) -> web.Response:
        return web.json_response(self.everything())

    async def _set_faults(self, request: web.Request) -> web.Response:
        """Take ``{"board": name or null for all, …the fields of Faults}``; without fields the board is well again."""
        try:
            board, faults = _read_faults(await request.read())
        except Refused as refused:
            return web.Response(status=400, text=str(refused))
        self.fail(faults, board)
        return web.Response(status=204)

    async def _do_reboot(self, request: web.Request) -> web.Response:
        """``?board=NAME``, or every board."""
        self.reboot(request.query.get("board"))
        return web.Response(status=204)


def _hang_up(request: web.Request) -> web.Response:
    """Break the connection off; the response is for aiohttp, and goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def _unsigned(verifier: Webhook, body: bytes, headers: Mapping[str, str]) -> str | None:
    """Say why a request is not signed as it should be (Standard Webhooks 1.0)."""
    try:
        verifier.verify(body, dict(headers), json_parse=False)
    except WebhookVerificationError as error:
        return f"{error}."
    except ValueError:  # the library lets through what base64 and UTF-8 have to say
        return "The signature cannot be read."
    return None


class _Switch(Faults):
    """The body of ``POST /_faults``: the faults, and for which board."""

    board: str | None = None


def _read_faults(raw: bytes) -> tuple[str | None, Faults]:
    try:
        switch = _Switch.model_validate_json(raw)
    except ValidationError as error:
        raise Refused(sentence(error)) from error
    return switch.board, Faults(**switch.model_dump(exclude={"board"}))


async def _run(port: int, host: str, secret: str | None, control: bool) -> None:
    """Serve until SIGTERM or SIGINT; one line on stdout says where, once the port is open."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with BoardSimulator(port, host=host, secret=secret, control=control) as boards:
        sys.stdout.write(f"boards listen at {boards.url}\n")
        sys.stdout.flush()
        await ended.wait()


def main() -> None:
    """Run boards in a process of their own."""
    parser = argparse.ArgumentParser(prog="python -m bridge.simulators.board", description=main.__doc__)
    parser.add_argument("--port", type=int, default=9100, help="0 is any free port (default: 9100)")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--secret", help="whsec_…: serve only requests that are signed with it")
    parser.add_argument("--control", action="store_true", help="open /_history, /_shown, /_faults and /_reboot")
    options = parser.parse_args()
    asyncio.run(_run(options.port, options.host, options.secret, options.control))


if __name__ == "__main__":
    main()
