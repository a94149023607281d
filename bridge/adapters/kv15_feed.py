"""What the KV8 feed has told of stop messages, remembered for a while."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

import zmq

from bridge.protocols.kv8 import Told, read_frames
from bridge.protocols.kv15 import Key

MOST_PACKED = 1_000_000  # bytes of one message as it comes; who sends larger ones is hung up on
MOST_WAITING = 200  # messages that wait while we are busy; then the feed has to
MOST_MESSAGES = 5_000  # remembered, at
MOST_POINTS = 100_000  # timing points, all together
TURN = 0.005  # seconds of taking in, at a time
SHARE = 4  # then others have so many times as long: a feed that floods us must not keep boards waiting


class Feed:
    """A subscription to a KV8 feed, which takes in what comes as it comes."""

    def __init__(self, url: str, topic: str) -> None:
        self._url = url
        self._topic = topic
        self._socket: zmq.SyncSocket | None = None
        self._resting: asyncio.TimerHandle | None = None
        self._told_something = asyncio.Event()
        self._told: OrderedDict[Key, dict[str, Told]] = OrderedDict()
        self._points = 0

    def open(self) -> None:
        """Subscribe; the connection comes about, and again, by itself."""
        self._socket = zmq.Context().socket(zmq.SUB)
        self._socket.setsockopt(zmq.RCVHWM, MOST_WAITING)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MOST_PACKED)
        self._socket.setsockopt_string(zmq.SUBSCRIBE, self._topic)
        self._socket.connect(self._url)
        self._listen()

    def close(self) -> None:
        """Let go of everything."""
        if self._socket is not None:
            socket, self._socket = self._socket, None
            if self._resting:
                self._resting.cancel()
            asyncio.get_running_loop().remove_reader(socket.FD)
            context = socket.context
            socket.close(linger=0)
            context.term()
        self._told.clear()
        self._points = 0

    def _listen(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().add_reader(self._socket.FD, self._take_in)
            self._take_in()

    def _take_in(self) -> None:
        """Read what has come, and let ZeroMQ do what it must: after a break it subscribes anew only when asked."""
        loop, socket = asyncio.get_running_loop(), self._socket
        began = loop.time()
        while socket is not None:
            try:
                frames = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            for told in read_frames(frames):
                self._remember(told)
            self._told_something.set()
            if (spent := loop.time() - began) > TURN:
                loop.remove_reader(socket.FD)
                self._resting = loop.call_later(SHARE * spent, self._listen)
                return

    async def hear(self, enough: Callable[[], bool], patience: float) -> None:
        """Wait until it is ``enough``, but no longer than ``patience`` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while not enough():
                    self._told_something.clear()
                    await self._told_something.wait()

    def _remember(self, told: Told) -> None:
        points = self._told.setdefault(told.key, {})
        self._told.move_to_end(told.key)
        self._points += told.point not in points
        points[told.point] = told
        while len(self._told) > MOST_MESSAGES or self._points > MOST_POINTS:
            self._points -= len(self._told.popitem(last=False)[1])

    def knows(self, key: Key) -> bool:
        """Whether anything was told of this message."""
        return key in self._told

    def shows(self, key: Key, now: datetime) -> str | None:
        """Give the text of a message that stands at a timing point at least; ``None``: at none that we know of."""
        for told in self._told.get(key, {}).values():
            if told.content is not None and (told.ends is None or told.ends > now):
                return told.content
        return None
