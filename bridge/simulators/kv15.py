"""A KV15 receiver with its stop displays, and the KV8 feed that tells of them.

``burgernet-bridge simulate kv15 --port 8015`` runs it, with whatever stops it is sent messages for.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Self

import zmq
from aiohttp import web
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from bridge.protocols.kv8 import Told, write_frames
from bridge.protocols.kv15 import NAMESPACE, Envelope, Key, write_answer
from bridge.simulators.board_picture import draw
from bridge.simulators.fault import SLOW, Fault
from bridge.simulators.kv15_body import Order, Refused, Shown, read_dossier

OLD_NAMESPACE = "http://bison.connekt.nl/tmi8/kv6/msg"  # in which receivers of 2012 answer
MOST_BODY = 1_000_000  # bytes of a dossier, unpacked
_TYPES = frozenset({"application/xml", "text/xml", "application/gzip", "application/x-gzip"})
_CARRIER = Key("CXX", "2026-01-01", 1)  # somebody else's message


class Kv15Simulator:
    """One receiver at one TCP port, and with ``kv8_port`` (0 for any free one) a feed at another."""

    known_faults: ClassVar[Collection[Fault]] = frozenset(Fault) - {Fault.LOCAL}

    def __init__(
        self,
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        kv8_port: int | None = None,
        old_namespace: bool = False,
        slow: float = SLOW,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Answer in the namespace of old receivers if so told; ``slow``: seconds for each answer with that fault."""
        self.faults: Collection[Fault] = set()
        self.dossiers: list[list[Order]] = []
        """Every dossier that was taken, in the order of coming."""
        self.kv8_port = kv8_port
        self._port = port
        self._host = host
        self._namespace = OLD_NAMESPACE if old_namespace else NAMESPACE
        self._slow = slow
        self._clock = clock
        self._messages: dict[Key, Shown] = {}
        self._used: set[Key] = set()
        self._runner: web.AppRunner | None = None
        self._feed: zmq.SyncSocket | None = None
        self._listeners = 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def port(self) -> int:
        """Where it listens, once it is started."""
        return self._port

    @property
    def url(self) -> str:
        """Where dossiers go; a target's address is this, # and the stops."""
        return f"http://{self._host}:{self._port}/KV15messages"

    @property
    def kv8_url(self) -> str:
        """Where the feed is."""
        return f"tcp://{self._host}:{self.kv8_port}"

    async def start(self) -> None:
        """Listen, at the same ports as before."""
        app = web.Application(client_max_size=MOST_BODY)
        app.router.add_post("/KV15messages", self._receive)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port, reuse_address=True).start()
        self._port = int(self._runner.addresses[0][1])
        if self.kv8_port is not None and self._feed is None:
            self._open_feed(self.kv8_port)

    def _open_feed(self, port: int) -> None:
        self._feed = zmq.Context().socket(zmq.XPUB)
        if not port:
            self.kv8_port = self._feed.bind_to_random_port(f"tcp://{self._host}")
            return
        try:
            self._feed.bind(self.kv8_url)
        except zmq.ZMQError as error:
            raise OSError(error.errno, f"its KV8 feed at port {port}: {error.strerror}") from error

    async def stop(self) -> None:
        """Refuse connections, and close the feed; what is shown stays."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()
        if self._feed is not None:
            feed, self._feed = self._feed, None
            feed.close(linger=0)
            feed.context.term()
            self._listeners = 0

    @property
    def listeners(self) -> int:
        """Count those who listen to the feed: what was told before they came they never hear."""
        while self._feed is not None and self._feed.poll(0):
            self._listeners += 1 if self._feed.recv()[:1] == b"\x01" else -1
        return self._listeners

    def reboot(self) -> None:
        """Forget every message, and tell nobody."""
        self._messages.clear()

    def write(self, text: str) -> None:
        """Let the carrier overrule all other messages at its stops."""
        stops = tuple({stop for shown in self._messages.values() for stop in shown.stops}) or ("1",)
        shown = Shown(stops, text, "OVERRULE", self._clock() + timedelta(days=1))
        self._messages[_CARRIER] = shown
        self._announce([(_CARRIER, shown)])

    def shown(self) -> list[str]:
        """Give every text that stands at a stop, each once."""
        return list(dict.fromkeys(text for stop in self._stops() for text in self.at(stop)))

    def at(self, stop: str) -> list[str]:
        """Give what stands at one stop; an overruling message stands there alone."""
        now = self._clock()
        there = [shown for shown in self._messages.values() if stop in shown.stops and shown.ends > now]
        return [shown.content for shown in there if shown.kind == "OVERRULE"] or [shown.content for shown in there]

    def picture(self) -> RenderableType:
        """Draw the displays, one below the other."""
        name = f"KV15 receiver, {self.url}"
        if not self.shown():
            return draw(name, [], 24, 3)
        faces = [
            Panel(Text("\n\n".join(self.at(stop)) or "dark", style="bold #ffb000 on #000000"), title=f"stop {stop}")
            for stop in self._stops()
        ]
        return Group(Text(name, style="bold"), *faces)

    def _stops(self) -> list[str]:
        return sorted({stop for shown in self._messages.values() for stop in shown.stops})

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        if Fault.UNREACHABLE in self.faults:
            return _hang_up(request)
        if Fault.SLOW in self.faults:
            await asyncio.sleep(self._slow)
        if refusal := next((code for fault, code in _REFUSALS.items() if fault in self.faults), None):
            return self._answer(refusal, "so told")
        try:
            self._take(read_dossier(_unpack(request.content_type, body)))
        except Refused as refused:
            return self._answer(refused.code, str(refused))
        return _hang_up(request) if Fault.MUTE in self.faults else self._answer("OK")

    def _answer(self, code: str, why: str = "") -> web.Response:
        """Answer with HTTP 200 whatever the code: so do receivers in the field."""
        envelope = Envelope("simulator", "BISON 8.3.0.0", self._clock())
        return web.Response(body=write_answer(code, envelope, why, self._namespace), content_type="application/xml")

    def _take(self, orders: list[Order]) -> None:
        """Do all of a dossier, or nothing."""
        new = [key for key, shown in orders if shown]
        if len(set(new)) != len(new) or not self._used.isdisjoint(new):
            raise Refused("PE", "a messagecodenumber that was used before")
        self._used.update(new)
        self.dossiers.append(orders)
        lies = Fault.LIES in self.faults
        told = list(orders) if lies else [(key, shown) for key, shown in orders if shown or key in self._messages]
        gone = {key: self._messages[key] for key, shown in orders if shown is None and key in self._messages}
        if not lies:
            for key, shown in orders:
                self._messages.pop(key, None)
                if shown:
                    self._messages[key] = shown
        self._announce(told, gone)

    def _announce(self, orders: Iterable[Order], gone: dict[Key, Shown] | None = None) -> None:
        """Tell the feed of every message at each of its stops."""
        told: list[Told] = []
        for key, shown in orders:
            if shown:
                told += [Told(key, f"ALGEMEEN:{stop}", shown.content, shown.ends) for stop in shown.stops]
            elif gone and key in gone:
                told += [Told(key, f"ALGEMEEN:{stop}", None) for stop in gone[key].stops]
        self.tell(write_frames(told, self._clock()))

    def tell(self, frames: Sequence[bytes]) -> None:
        """Put one message on the feed, whatever it says."""
        if self._feed is not None and self.listeners:
            self._feed.send_multipart(frames)


_REFUSALS = {Fault.REFUSES: "NA", Fault.REJECTS: "AE"}


def _unpack(content_type: str, body: bytes) -> bytes:
    """Unpack what says that it is packed; what came by Content-Encoding is unpacked by now."""
    if content_type not in _TYPES:
        raise Refused("PE", f"{content_type} is not taken")
    if "gzip" not in content_type:
        return body
    packed = zlib.decompressobj(31)
    try:
        return packed.decompress(body, MOST_BODY)
    except zlib.error:
        raise Refused("PE", "not gzip") from None


def _hang_up(request: web.Request) -> web.Response:
    """Break the connection off; the response is for aiohttp, and goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)
