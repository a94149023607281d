"""What both servers need: remembered ports, waiting, and looking whether anything answers."""

from __future__ import annotations

import json
import os
import random
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

LOOPBACK = "127.0.0.1"
# Below the ephemeral range: a client that reconnects to a stopped server must never be handed that very port.
PORTS = range(20_000, 32_000)
# Where packages put servers that a person's PATH does not show.
PATH = os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin:/opt/homebrew/sbin:/opt/homebrew/bin"


class ServerError(Exception):
    """A server does not start, stop or answer; the message says which and why."""


class MissingError(ServerError):
    """A program is not installed and cannot be installed from here."""


class State:
    """What this checkout remembers between two commands: ports and places (``state.json`` in ``home``)."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._path = home / "state.json"
        self._values: dict[str, Any] = json.loads(self._path.read_text()) if self._path.exists() else {}
        if self.get("home") != str(home):  # new, or copied from another checkout: its servers are not ours
            self._values = {}
            for record in home.glob("*.pid"):
                record.unlink()
            self.put("home", str(home))

    def get(self, key: str) -> Any:
        """Return the remembered value, or ``None``."""
        return self._values.get(key)

    def put(self, key: str, value: Any) -> None:
        """Remember a value (JSON) at once."""
        self._values[key] = value
        self._path.write_text(json.dumps(self._values, indent=2) + "\n")

    def port(self, key: str) -> int:
        """Return the remembered port, or choose a free one and remember it."""
        if self.get(key) is None:
            taken = {value for value in self._values.values() if isinstance(value, int)}
            self.put(key, next(port for port in random.sample(PORTS, 1000) if port not in taken and is_free(port)))
        return int(self.get(key))

    def move_if_taken(self, *keys: str) -> None:
        """Forget remembered ports that something else has taken since, so that new ones are chosen."""
        for key in keys:
            if not is_free(self.port(key)):
                self.put(key, None)


def is_free(port: int) -> bool:
    """Tell whether ``port`` on the loopback address can be listened on now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll ``condition`` for at most ``seconds``; tell whether it came true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def accepts(host: str, port: int) -> bool:
    """Tell whether anything accepts a TCP connection."""
    return exchange(host, port, b"") is not None


def exchange(host: str, port: int, hello: bytes) -> bytes | None:
    """Connect, say ``hello`` and return the first bytes of the answer; ``None`` when there is no connection."""
    try:
        with socket.create_connection((host, port), timeout=3) as peer:
            peer.sendall(hello)
            return peer.recv(16) if hello else b""
    except OSError:
        return None


def speaks_amqp(url: str) -> bool:
    """Tell whether a broker answers the AMQP 0-9-1 protocol header with Connection.Start (class 10, method 10)."""
    parts = urlsplit(url)
    host = parts.hostname or LOOPBACK
    if parts.scheme == "amqps":
        return accepts(host, parts.port or 5671)
    answer = exchange(host, parts.port or 5672, b"AMQP\x00\x00\x09\x01")
    return answer is not None and answer[7:11] == b"\x00\x0a\x00\x0a"


def speaks_postgres(url: str) -> bool:
    """Tell whether a PostgreSQL answers an SSLRequest with yes or no."""
    parts = urlsplit(url)
    return exchange(parts.hostname or LOOPBACK, parts.port or 5432, bytes.fromhex("0000000804d2162f")) in {b"S", b"N"}
