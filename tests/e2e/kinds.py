"""Every kind of board, as the end-to-end tests hold it in their hand: what it shows, and how it fails."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp

from bridge.simulators.alpha import AlphaSimulator
from bridge.simulators.fault import Fault
from bridge.simulators.http_sign import HttpSimulator
from bridge.simulators.kv15 import Kv15Simulator
from bridge.simulators.mqtt_display import MqttDisplay
from bridge.simulators.ntcip import NtcipSimulator
from bridge.simulators.smtp_sink import SmtpSink
from tests.e2e.bench import text_of

SLOW = 0.3  # seconds that each answer of a slow board takes
DEAD_MAN = 5.0  # seconds after which a page that hears nothing is dark
_ORDER = re.compile(r"letterlijk en volledig.*?:\n\n(.*?)\n\n.*?(http://\S+/order/\S+)", re.DOTALL)
_LINK = re.compile(r"http://\S+/order/\S+")


class Person:
    """What boards have in common that are no simulators: something that runs beside the test until it is over."""

    def __init__(self) -> None:
        self.faults: Collection[Fault] = frozenset()
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._running:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running

    async def _run(self) -> None:
        raise NotImplementedError


class Kiosk(Person):
    """A page of our own in a browser, as far as the bridge can tell: it hears, paints, says so, and is dark alone."""

    def __init__(self, url: str, number: int) -> None:
        super().__init__()
        self._url = url
        self._name = f"scherm-{number:04d}"
        self._messages: list[dict[str, Any]] = []
        self._heard = time.monotonic()

    def shown(self) -> list[str]:
        """Give what it shows; nothing when it has been alone for too long."""
        silent = time.monotonic() - self._heard
        return [one["texts"][0]["text"] for one in self._messages if silent < min(DEAD_MAN, one["left"])]

    def reboot(self) -> None:
        """Forget everything, and connect anew."""
        self._messages = []
        if self._running:
            self._running.cancel()
        self._running = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async with aiohttp.ClientSession() as http:
            while True:
                with suppress(aiohttp.ClientError, TimeoutError):
                    await self._listen(http)
                await asyncio.sleep(0.1)

    async def _listen(self, http: aiohttp.ClientSession) -> None:
        if Fault.UNREACHABLE in self.faults:
            return
        async with http.get(f"{self._url}/events", timeout=aiohttp.ClientTimeout(sock_read=DEAD_MAN)) as stream:
            async for line in stream.content:
                if Fault.UNREACHABLE in self.faults:
                    return
                self._heard = time.monotonic()
                if line.startswith(b"data: {"):
                    await self._paint(http, json.loads(line.removeprefix(b"data: ")))

    async def _paint(self, http: aiohttp.ClientSession, state: dict[str, Any]) -> None:
        if "messages" not in state:
            return  # a beat
        if Fault.SLOW in self.faults:
            await asyncio.sleep(SLOW)
        self._messages = state["messages"]
        said = {"screen": self._name, "showing": [one["key"] for one in self._messages]}
        async with http.post(f"{self._url}/ack", json=said) as answer:
            answer.raise_for_status()


class Supplier(Person):
    """Somebody who reads his mail, does what it asks at the board, and presses the button; mail by mail."""

    def __init__(self, mails: SmtpSink, address: str) -> None:
        super().__init__()
        self._mails = mails
        self._address = address
        self._texts: dict[str, str] = {}  # posting -> what he put there
        self._read = 0

    def shown(self) -> list[str]:
        """Give what stands on the board."""
        return list(self._texts.values())

    def reboot(self) -> None:
        """Nothing forgets here."""

    async def _run(self) -> None:
        async with aiohttp.ClientSession() as http:
            while True:
                letters = [one.message for one in self._mails.messages if one.recipient == self._address]
                if Fault.UNREACHABLE not in self.faults and len(letters) > self._read:
                    letter = "\n".join(text_of(letters[self._read]).splitlines())
                    if await self._obey(http, letter):
                        self._read += 1
                await asyncio.sleep(SLOW if Fault.SLOW in self.faults else 0.05)

    async def _obey(self, http: aiohttp.ClientSession, letter: str) -> bool:
        """Do what a letter asks; whether it can be put away."""
        order, link = _ORDER.search(letter), _LINK.search(letter)
        if link is None:
            return True
        posting = link[0].split("/order/")[1].split("/")[0]
        try:
            async with http.get(link[0]) as page:
                if page.status != 200:
                    return page.status == 410  # asked for no more
            if order:
                self._texts[posting] = order[1]
            else:
                self._texts.pop(posting, None)
            async with http.post(link[0], data={"answer": "done"}) as page:
                return page.status in (200, 410)
        except aiohttp.ClientError:
            return False


@dataclass(frozen=True)
class Place:
    """Where the boards of a town are: the bridge's own address, the MQTT broker's port, the mail server."""

    url: str
    mqtt: int
    mails: SmtpSink


@dataclass(frozen=True)
class Kind:
    """One kind of board: how the board with a number is made, and what its target and the settings say."""

    make: Callable[[Place, int], Any]
    target: Callable[[Place, Any, int], dict[str, Any]]
    settings: dict[str, Any] = field(default_factory=dict)
    channel: str = "sign"
    tells: bool = True  # whether it can be seen that a board forgot
    sees: bool = True  # whether anybody tells what it shows


def token(number: int) -> str:
    """Give the address of a screen's page."""
    return f"scherm-{number}-0123456789abcdefghijklmn"


KINDS = {
    "http_sign": Kind(
        lambda place, number: HttpSimulator(slow=SLOW),
        lambda place, one, number: {
            "address": f"http://127.0.0.1:{one.port}/board",
            "sign": {"columns": 40, "rows": 4, "pages": 9},
        },
        {"timeout": 5},
    ),
    "ntcip_sign": Kind(
        lambda place, number: NtcipSimulator(slow=SLOW),
        lambda place, one, number: {
            "address": f"127.0.0.1:{one.port}",
            "sign": {"columns": 20, "rows": 2, "pages": 9},
        },
        {"request": 1, "repeats": 0, "timeout": 10},
    ),
    "kv15": Kind(
        lambda place, number: Kv15Simulator(slow=SLOW),
        lambda place, one, number: {"address": f"{one.url}#HTM:1234", "sign": {"columns": 40, "rows": 4, "pages": 9}},
        {"timeout": 10},
        "display",
        sees=False,
        tells=False,  # without KV8 a stop tells nobody what it shows
    ),
    "alpha_sign": Kind(
        lambda place, number: AlphaSimulator(slow=SLOW),
        lambda place, one, number: {
            "address": f"127.0.0.1:{one.port}",
            "sign": {"columns": 60, "rows": 2, "pages": 1},
        },
        {"timeout": 5, "pause": 0.02},
    ),
    "mqtt_sign": Kind(
        lambda place, number: MqttDisplay(place.mqtt, topic=f"stad/bord-{number}", slow=SLOW),
        lambda place, one, number: {
            "address": f"mqtt://127.0.0.1:{place.mqtt}/stad/bord-{number}",
            "sign": {"columns": 40, "rows": 4, "pages": 9},
        },
        {"timeout": 5},
    ),
    "display": Kind(
        lambda place, number: Kiosk(f"{place.url}/display/{token(number)}", number),
        lambda place, one, number: {"address": f"scherm-{number}", "secret_env": f"SCREEN_{number}"},
        {"patience": 3},
        "display",
    ),
    "work_order": Kind(
        lambda place, number: Supplier(place.mails, f"bord{number}@borden.example"),
        lambda place, one, number: {
            "address": f"mailto:bord{number}@borden.example",
            "sign": {"columns": 40, "rows": 2, "pages": 2},
        },
        {"security": "none", "timeout": 5},
        tells=False,  # nobody tells what stands behind a portal but the supplier
    ),
}
