"""A display that listens to an MQTT 5 broker and keeps the contract of ``docs/boards/mqtt.md``, strictly.

It shows what is on its topic, says on ``<topic>/ack`` what that is, has a Last Will on ``<topic>/status``, and clears
itself at ``validUntil``, whether or not the broker is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import time
from collections.abc import Callable, Collection
from typing import Annotated, Any, Self

import aiomqtt
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from rich.console import RenderableType

from bridge.core.alert import Instant, Language
from bridge.simulators.board_picture import draw
from bridge.simulators.fault import SLOW, Fault

RETRY = 0.2  # seconds between two attempts to reach the broker
_Some = Annotated[str, StringConstraints(min_length=1)]
_REFUSALS = {Fault.REFUSES: "busy", Fault.REJECTS: "rejected", Fault.LOCAL: "local"}


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class _Message(_Strict):
    case: _Some
    revision: int = Field(ge=0)
    language: Language
    text: _Some
    pages: list[Annotated[list[str], Field(min_length=1)]] = Field(min_length=1)
    exercise: bool
    mark: str


class _State(_Strict):
    id: _Some
    validUntil: Instant | None
    messages: list[_Message] = Field(min_length=1)

    @property
    def until(self) -> float:
        """When it clears itself, in seconds since the epoch."""
        return self.validUntil.timestamp() if self.validUntil else math.inf


class MqttDisplay:
    """One display. ``port`` is the broker's, for a display listens to nobody else."""

    known_faults: Collection[Fault] = tuple(Fault)

    def __init__(
        self,
        port: int = 1883,
        *,
        host: str = "127.0.0.1",
        topic: str = "burgernet/display",
        room: int = 100_000,
        slow: float = SLOW,
    ) -> None:
        """Take the broker's port and host, the display's topic, and how many characters it has room for.

        ``slow``: seconds until it does what it is told, with that fault.
        """
        self.topic = topic
        self._slow = slow
        self.connected = False
        self._host, self._port, self._room = host, port, room
        self._faults: Collection[Fault] = frozenset()
        self._state: _State | None = None
        self._written: str | None = None  # what somebody else put on it
        self._told: str | None = None  # the id of the state it was given last, for a display that lies
        self._refused: tuple[str | None, str] | None = None
        self._news = asyncio.Event()  # something to say on the ack topic
        self._moved = asyncio.Event()  # something that a test may wait for
        self._cut = asyncio.Event()  # leave the broker
        self._stopping = False
        self._running: asyncio.Task[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        """Begin to look for the broker."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave."""
        await self.stop()

    @property
    def port(self) -> int:
        """The broker's port."""
        return self._port

    @property
    def faults(self) -> Collection[Fault]:
        """How it fails now."""
        return self._faults

    @faults.setter
    def faults(self, faults: Collection[Fault]) -> None:
        self._faults = faults
        if Fault.UNREACHABLE in faults:
            self._cut.set()

    async def start(self) -> None:
        """Look for the broker, again and again, until stopped."""
        self._stopping = False
        self._running = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Leave the broker; what is shown stays until it clears itself."""
        if self._running is not None:
            self._stopping = True
            self._cut.set()
            await self._running
            self._running = None

    def reboot(self) -> None:
        """Forget everything; the broker tells again when it is back."""
        self._state = self._written = self._told = self._refused = None
        self._cut.set()

    def write(self, text: str) -> None:
        """Let someone else put a text on it; the next state from the broker replaces that."""
        self._state, self._written = None, text
        self._tell()

    def shown(self) -> list[str]:
        """Give every text that it shows in turn."""
        self._expire()
        if self._written is not None:
            return [self._written]
        return [message.text for message in self._state.messages] if self._state else []

    def picture(self) -> RenderableType:
        """Draw every page that it shows in turn."""
        pages: list[tuple[list[str], str]] = [([text], "not ours") for text in self.shown()]
        if self._state:
            pages = [
                (page, f"{one.case} · revision {one.revision} · {one.mark or one.language}")
                for one in self._state.messages
                for page in one.pages
            ]
        return draw(f"{self.topic} ({'online' if self.connected else 'offline'})", pages, 24, 4)

    async def until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        """Return as soon as ``condition`` holds; raise ``TimeoutError`` after ``seconds``."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._moved.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.02):
                        await self._moved.wait()

    async def _run(self) -> None:
        while not self._stopping:
            if Fault.UNREACHABLE not in self._faults:
                self._cut.clear()
                with contextlib.suppress(aiomqtt.MqttError):
                    await self._visit()
                self.connected = False
            await asyncio.sleep(RETRY)

    async def _visit(self) -> None:
        """Be at the broker until it goes, or we are to leave."""
        will = aiomqtt.Will(f"{self.topic}/status", b"offline", qos=1, retain=True)
        async with aiomqtt.Client(
            self._host, self._port, protocol=aiomqtt.ProtocolVersion.V5, will=will, timeout=2.0, keepalive=5
        ) as client:
            await client.subscribe(self.topic, qos=1)
            await client.publish(will.topic, b"online", qos=1, retain=True)
            self.connected = True
            self._tell()
            parts = [asyncio.create_task(part) for part in (self._listen(client), self._report(client), self._leave())]
            try:
                done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
                for part in done:
                    part.result()
                await client.publish(will.topic, b"offline", qos=1, retain=True)
            finally:
                await _end(parts)

    async def _leave(self) -> None:
        await self._cut.wait()

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            if Fault.SLOW in self._faults:
                await asyncio.sleep(self._slow)
            self._take(message.payload if isinstance(message.payload, bytes) else b"")
            self._tell()

    def _take(self, raw: bytes) -> None:
        """Do what a payload says, whole or not at all."""
        name, state, why = _read(raw)
        if state and sum(len(one.text) for one in state.messages) > self._room:
            why = "size"
        why = next((word for fault, word in _REFUSALS.items() if fault in self._faults), why)
        self._refused = (name, why) if why else None
        if not why:
            self._state, self._written, self._told = state, None, name
            self._set_alarm()

    async def _report(self, client: aiomqtt.Client) -> None:
        """Say on the ack topic what it shows, whenever there is news."""
        while True:
            await self._news.wait()
            self._news.clear()
            if Fault.MUTE not in self._faults:
                await client.publish(f"{self.topic}/ack", json.dumps(self._ack()), qos=1, retain=True)

    def _ack(self) -> dict[str, Any]:
        self._expire()
        ack: dict[str, Any] = {"id": self._state.id if self._state else None, "text": " | ".join(self.shown()) or None}
        if Fault.LIES in self._faults:
            ack = {"id": self._told}
        if self._refused:
            ack["refused"], ack["reason"] = self._refused
        return ack

    def _tell(self) -> None:
        self._news.set()
        self._moved.set()

    def _expire(self) -> None:
        if self._state and self._state.until <= time.time():
            self._state = None

    def _set_alarm(self) -> None:
        """Wake up at ``validUntil``, to say that it is dark."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._state and self._state.validUntil:
            wait = max(0.0, self._state.until - time.time())
            self._alarm = asyncio.get_running_loop().call_later(wait, self._ring)

    def _ring(self) -> None:
        self._expire()
        self._tell()


async def _end(parts: Collection[asyncio.Task[None]]) -> None:
    """Cancel tasks until they are done: before Python 3.12 the library's ``wait_for`` may swallow a cancellation."""
    while pending := [part for part in parts if not part.done()]:
        for part in pending:
            part.cancel()
        await asyncio.wait(pending, timeout=0.1)


def _read(raw: bytes) -> tuple[str | None, _State | None, str]:
    """Read a payload: the id of the state, the state, and why it is refused (empty: it is not)."""
    if not raw:
        return None, None, ""
    try:
        found = json.loads(raw)
        return found["id"], _State.model_validate(found), ""
    except ValidationError as error:
        names = {str(place) for fault in error.errors() for place in fault["loc"]}
        return (
            found.get("id") if isinstance(found.get("id"), str) else None,
            None,
            f"malformed: {', '.join(sorted(names))}",
        )
    except (ValueError, TypeError, KeyError):
        return None, None, "malformed"
