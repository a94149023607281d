"""What the KV8 feed has told of stop messages: heard when somebody asks, remembered for a while."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

import zmq

from bridge.protocols.kv8 import MOST_BYTES, Told, read_frames
from bridge.protocols.kv15 import Key

MOST_WAITING = 10_000  # messages that wait in memory until somebody listens; what comes then is lost
MOST_MESSAGES = 5_000  # remembered, each at
MOST_POINTS = 2_000  # timing points


class Feed:
    """A subscription to a KV8 feed. It runs no task: what has come in waits in the socket until somebody asks."""

    def __init__(self, url: str, topic: str) -> None:
        self._url = url
        self._topic = topic
        self._socket: zmq.SyncSocket | None = None
        self._stirred = asyncio.Event()
        self._told: OrderedDict[Key, dict[str, Told]] = OrderedDict()

    def open(self) -> None:
        """Subscribe; the connection comes about, and again, by itself."""
        self._socket = zmq.Context().socket(zmq.SUB)
        self._socket.setsockopt(zmq.RCVHWM, MOST_WAITING)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MOST_BYTES)
        self._socket.setsockopt_string(zmq.SUBSCRIBE, self._topic)
        self._socket.connect(self._url)
        asyncio.get_running_loop().add_reader(self._socket.FD, self._stir)
        self._stir()

    def close(self) -> None:
        """Let go of everything."""
        if self._socket is not None:
            socket, self._socket = self._socket, None
            asyncio.get_running_loop().remove_reader(socket.FD)
            context = socket.context
            socket.close(linger=0)
            context.term()
        self._told.clear()

    def _stir(self) -> None:
        """Let ZeroMQ do what it must (after a break it subscribes anew only when asked), and wake who waits."""
        if self._socket is not None:
            self._socket.getsockopt(zmq.EVENTS)
            self._stirred.set()

    async def hear(self, enough: Callable[[], bool] = lambda: True, patience: float = 0.0) -> None:
        """Take in what has come; until it is ``enough``, wait for more, but no longer than ``patience`` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience or None):
                await self._drain()
                while patience and not enough():
                    self._stirred.clear()
                    await self._stirred.wait()
                    await self._drain()

    async def _drain(self) -> None:
        for count in range(2 * MOST_WAITING):  # not for ever, however fast it comes
            if self._socket is None:
                return
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            for told in read_frames(frames):
                self._remember(told)
            self._stirred.set()  # another may be waiting for just this
            if count % 50 == 49:
                await asyncio.sleep(0)  # others have their turn

    def _remember(self, told: Told) -> None:
        points = self._told.setdefault(told.key, {})
        self._told.move_to_end(told.key)
        if told.point in points or len(points) < MOST_POINTS:
            points[told.point] = told
        if len(self._told) > MOST_MESSAGES:
            self._told.popitem(last=False)

    def knows(self, key: Key) -> bool:
        """Whether anything was told of this message."""
        return key in self._told

    def shows(self, key: Key, now: datetime) -> str | None:
        """Give the text of a message that stands at a timing point at least; ``None``: at none that we know of."""
        for told in self._told.get(key, {}).values():
            if told.content is not None and (told.ends is None or told.ends > now):
                return told.content
        return None
