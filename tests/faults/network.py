"""A network of its own for the bridge, whose one cable can be pulled, and a name server that can fall silent."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

_NUMBERS = count(os.getpid() % 60)


def ip(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run ``ip``."""
    return subprocess.run(["ip", *words], check=check, capture_output=True, text=True, timeout=10)


class Network:
    """A namespace with one cable to this one. ``here`` and ``there`` are the addresses of its two ends."""

    def __init__(self) -> None:
        number = next(_NUMBERS)
        mark = f"{os.getpid()}-{number}"
        self.name = f"bridge-faults-{mark}"
        self._cable = (f"bf{number}h{os.getpid() % 10000}", f"bf{number}t{os.getpid() % 10000}")
        self.here, self.there = f"10.213.{number % 250}.1", f"10.213.{number % 250}.2"
        self.folder = Path("/etc/netns") / self.name

    @property
    def inside(self) -> tuple[str, ...]:
        """The words that make a command run there."""
        return ("ip", "netns", "exec", self.name)

    def lay(self) -> None:
        """Make it."""
        here, there = self._cable
        self.folder.mkdir(parents=True)
        (self.folder / "resolv.conf").write_text(f"nameserver {self.here}\n")
        ip("netns", "add", self.name)
        ip("link", "add", here, "type", "veth", "peer", "name", there)
        ip("link", "set", there, "netns", self.name)
        ip("addr", "add", f"{self.here}/30", "dev", here)
        ip("link", "set", here, "up")
        ip("-n", self.name, "addr", "add", f"{self.there}/30", "dev", there)
        ip("-n", self.name, "link", "set", there, "up")
        ip("-n", self.name, "link", "set", "lo", "up")

    def take_up(self) -> None:
        """Take it away, whatever of it there is."""
        ip("link", "del", self._cable[0], check=False)
        ip("netns", "del", self.name, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def pull(self) -> None:
        """Pull the cable: the link is down, and both ends can tell."""
        ip("link", "set", self._cable[0], "down")

    def plug_in(self) -> None:
        """Plug it in again."""
        ip("link", "set", self._cable[0], "up")

    def swallow(self) -> None:
        """Lose every packet, both ways, while each end believes that all is well: packets go to a card that is not there."""
        nobody = ("lladdr", "02:00:00:00:00:01", "nud", "permanent", "dev")
        ip("neigh", "replace", self.there, *nobody, self._cable[0])
        ip("-n", self.name, "neigh", "replace", self.here, *nobody, self._cable[1])

    def let_through(self) -> None:
        """Lose no more packets."""
        ip("neigh", "del", self.there, "dev", self._cable[0])
        ip("-n", self.name, "neigh", "del", self.here, "dev", self._cable[1])


@asynccontextmanager
async def open_network() -> AsyncIterator[Network]:
    """Lay a network for a time."""
    network = Network()
    try:
        network.lay()
        yield network
    finally:
        network.take_up()


class NameServer(asyncio.DatagramProtocol):
    """A DNS server (RFC 1035) that says of every name that it is ``address``; it never answers for ``silent`` domains."""

    def __init__(self, address: str) -> None:
        self._address = bytes(map(int, address.split(".")))
        self._transport: Any = None
        self.silent: tuple[str, ...] = ()
        self.ignored = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to answer by."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one question, or do not."""
        labels, place = [], 12
        while length := data[place]:
            labels.append(data[place + 1 : place + 1 + length].decode())
            place += 1 + length
        question = data[12 : place + 5]
        if ".".join(labels).endswith(self.silent) and self.silent:
            self.ignored += 1
            return
        is_a = question[-4:-2] == b"\x00\x01"
        head = data[:2] + b"\x85\x80\x00\x01" + (b"\x00\x01" if is_a else b"\x00\x00") + bytes(4)
        answer = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04" + self._address if is_a else b""
        self._transport.sendto(head + question + answer, addr)


@asynccontextmanager
async def open_name_server(address: str) -> AsyncIterator[NameServer]:
    """Run a name server on the port that every machine asks."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(lambda: NameServer(address), (address, 53))
    try:
        yield server
    finally:
        transport.close()
