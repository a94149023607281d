"""``simulate`` in its own process: its address works, it shows what it was told, and words on stdin make it fail."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge.adapters.alpha_sign import AlphaSign, AlphaSignConfig
from bridge.adapters.http_sign import HttpSign, HttpSignConfig
from bridge.adapters.mqtt_sign import MqttSign, MqttSignConfig
from bridge.adapters.registry import Resources
from bridge.commands.simulate import KINDS, obey, simulate
from bridge.core.content import Content, Phase
from bridge.core.errors import AdapterError, InvalidInput, OutcomeUnknown, TransientError
from bridge.core.ports import Adapter
from bridge.core.posting import Posting
from bridge.core.target import Owner, OwnerKind, Sign, Target
from bridge.simulators.alpha import AlphaSimulator
from bridge.simulators.fault import Fault
from bridge.simulators.http_sign import HttpSimulator
from tests.contract.kv15_bench import a_counter
from tests.contract.kv15_bench import an_adapter as a_kv15_adapter
from tests.contract.mosquitto import Mosquitto, needs_mosquitto
from tests.e2e.process import until

CASE = "2026112200042"
OPENING = "VERMIST: jongen (8) in de Merenwijk. Bel 112."
START = (sys.executable, "-c", "import typer; from bridge.commands.simulate import simulate; typer.run(simulate)")


class NoOutbox:
    """Boards have nothing to do with admins."""

    async def put(self, posting: Posting, content: Content) -> None:
        """Refuse."""
        raise AssertionError("a board adapter must not write to the outbox")


def a_content(text: str = OPENING) -> Content:
    """Make what to show, for an hour."""
    until = datetime.now(UTC) + timedelta(hours=1)
    return Content(CASE, 1, Phase.OPENED, "nl", "Vermist", text, pages=((text,),), valid_until=until)


class Running:
    """The program, and what it wrote so far."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process, self._log = process, log

    @property
    def text(self) -> str:
        """Everything it wrote."""
        return self._log.read_text(errors="replace")

    async def until_says(self, words: str) -> None:
        """Wait until it has written these words."""
        await until(lambda: words in self.text, f"{words!r} in {self.text!r}")

    async def address(self) -> str:
        """Give the address that a target of it has."""
        await self.until_says("\nwords:")
        return self.text.split("its target is ")[1].split()[0]

    def say(self, words: str) -> None:
        """Give it a line on stdin."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{words}\n".encode())


@asynccontextmanager
async def simulating(folder: Path, *words: str) -> AsyncIterator[Running]:
    """Start one simulator, and end it with SIGTERM, which it obeys at once and in good order."""
    log = folder / "said"
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *START, *words, stdin=asyncio.subprocess.PIPE, stdout=file, stderr=asyncio.subprocess.STDOUT
        )
    running = Running(process, log)
    try:
        yield running
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await process.wait() == 0, running.text
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def an_adapter(kind: str) -> AsyncIterator[Adapter]:
    """Open the adapter that drives this kind of sign."""
    async with aiohttp.ClientSession() as http:
        resources = Resources(http, NoOutbox())
        made: Any = {
            "http": lambda: HttpSign(HttpSignConfig(), resources),
            "alpha": lambda: AlphaSign(AlphaSignConfig(), resources),
            "mqtt-display": lambda: MqttSign(MqttSignConfig(), resources),
        }[kind]()
        async with made as adapter:
            yield adapter


def a_posting(kind: str, address: str) -> Posting:
    """Make a posting on a sign at an address."""
    target = Target(
        id="bord",
        channel="sign",
        adapter=kind,
        address=address,
        owner=Owner(kind=OwnerKind.MUNICIPALITY),
        sign=Sign(columns=80, rows=2),
    )
    return Posting("posting", CASE, target)


async def play(kind: str, running: Running) -> None:
    """Show a text on it, let somebody write over it, let it forget, and let it fail and be well again."""
    async with an_adapter(kind) as adapter:
        posting = a_posting(kind, await running.address())

        async def is_open() -> bool:
            try:
                await adapter.probe(posting.target)
            except TransientError:
                return False
            return True

        await until(is_open)
        receipt = await adapter.publish(posting, a_content())
        await running.until_says(f"shows: {OPENING}\n")
        running.say("write MARKT OP ZATERDAG")
        await running.until_says("shows: MARKT OP ZATERDAG\n")
        running.say("mute")
        await running.until_says("faults: mute\n")
        with pytest.raises(OutcomeUnknown):
            await adapter.publish(posting, a_content("VERMIST: vrouw (80)."))
        await running.until_says("VERMIST: vrouw (80).\n")
        running.say("well")
        await running.until_says("faults: none\n")
        receipt = await adapter.publish(posting, a_content())
        await adapter.retract(receipt)
        await until(lambda: "MARKT OP ZATERDAG" in last(running) or last(running) == "dark", running.text)


def last(running: Running) -> str:
    """Give the last line it wrote of what it shows."""
    return [line for line in running.text.splitlines() if line == "dark" or line.startswith("shows: ")][-1]


@pytest.mark.parametrize("kind", ["http", "alpha"])
async def test_a_simulated_sign_is_driven_by_its_adapter(tmp_path: Path, kind: str) -> None:
    """Each kind works at the address that it prints, says what it shows, and fails and recovers on request."""
    async with simulating(tmp_path, kind, "--port", "0") as running:
        await play(kind, running)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "mqtt-display"])
async def test_somebody_else_writes_on_it(tmp_path: Path, kind: str) -> None:
    """Each kind that listens starts, says where, and shows what is written on it."""
    async with simulating(tmp_path, kind, "--port", "0") as running:
        assert (await running.address()).split(":")[-1].split("/")[0].isdecimal()
        running.say("write MARKT")
        await running.until_says("shows: MARKT\n")


@needs_mosquitto
async def test_a_simulated_display_is_driven_through_mosquitto(tmp_path: Path) -> None:
    """A display looks for its broker at the port it is given, and comes back when that was away."""
    async with (
        Mosquitto(tmp_path) as broker,
        simulating(tmp_path, "mqtt-display", "--port", str(broker.port)) as running,
    ):
        await play("mqtt-display", running)


async def test_simulated_stops_are_driven_and_read_back(tmp_path: Path) -> None:
    """A receiver takes messages at the address that it prints, and tells of them on the feed that it prints."""
    async with simulating(tmp_path, "kv15", "--port", "0") as running, a_counter(tmp_path) as counter:
        address = await running.address()
        feed = running.text.split("is told at ")[1].split()[0]
        async with a_kv15_adapter(counter, kv8_url=feed, kv8_wait=0.5) as adapter:
            posting = a_posting("kv15", address)

            async def seen() -> bool:
                receipt = await adapter.publish(posting, a_content())
                with suppress(TransientError):  # the feed tells only of what happens once we listen
                    return (await adapter.observe(receipt)).present
                return False

            await until(seen)
        await running.until_says(f"shows: {OPENING}\n")


async def test_it_is_drawn_on_a_terminal(tmp_path: Path) -> None:
    """On a terminal it is a picture of the board that changes in place, and words are taken there."""
    ours, its = os.openpty()
    os.set_blocking(ours, False)
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"}
    process = await asyncio.create_subprocess_exec(
        *START, "alpha", "--port", "0", stdin=its, stdout=its, stderr=its, env=environment
    )
    os.close(its)
    seen = bytearray()

    def sees(text: str) -> bool:
        try:
            seen.extend(os.read(ours, 65_536))
        except BlockingIOError:
            return text in seen.decode(errors="replace")
        return text in seen.decode(errors="replace")

    try:
        await until(lambda: sees("· dark ·") or sees(" dark "), "a dark board")
        os.write(ours, b"write MARKT\n")
        await until(lambda: sees("MARKT ") and sees("page 1"), "the text in a picture")
        assert "┏" in seen.decode(errors="replace")
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(10):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(ours)


async def test_it_goes_on_at_the_end_of_stdin(tmp_path: Path) -> None:
    """Started without a terminal, as a service is, it serves until it is told to stop."""
    async with simulating(tmp_path, "alpha", "--port", "0") as running:
        address = await running.address()
        assert running.process.stdin is not None
        running.process.stdin.close()
        async with an_adapter("alpha") as adapter:
            await adapter.publish(a_posting("alpha", address), a_content())
        await running.until_says("shows: VERMIST")


async def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    """Two cannot listen at one port: the second says so and ends."""
    async with simulating(tmp_path, "alpha", "--port", "0") as running:
        port = (await running.address()).rpartition(":")[2]
        process = await asyncio.create_subprocess_exec(
            *START, "alpha", "--port", port, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(20):
            _, told = await process.communicate()
        assert process.returncode == 1
        assert f"port {port}" in told.decode()


def test_a_kind_that_does_not_exist_is_named() -> None:
    """The kinds that there are are in the error."""
    with pytest.raises(InvalidInput, match="'fax' is none of ntcip, http, kv15, alpha, mqtt-display"):
        simulate("fax")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_made(kind: str) -> None:
    """What the table names exists, takes a port and a host, and knows its faults."""
    from pkgutil import resolve_name  # noqa: PLC0415 - as the command does, only when needed

    simulator = resolve_name(KINDS[kind].made_by)(4711, host="127.0.0.1")
    assert simulator.port == 4711
    assert Fault.SLOW in simulator.known_faults
    assert simulator.shown() == []


@pytest.mark.parametrize(
    ("line", "answer", "faults"),
    [
        ("slow", "faults: slow", {Fault.SLOW}),
        (" lies \n", "faults: lies", {Fault.LIES}),
        ("well", "faults: none", set()),
        ("reboot", "rebooted", set()),
        ("refuses", "its like is never 'refuses'", set()),
        ("slow now", "not understood: 'slow now'", set()),
        ("write", "not understood: 'write'", set()),
        ("boe", "not understood: 'boe'", set()),
        ("help", "slow         does what it is told, and answers, seconds later\nunreachable  hears nothing\n", set()),
    ],
)
def test_words(line: str, answer: str, faults: set[Fault]) -> None:
    """Each word does one thing and says so; what is not understood says what would be."""
    simulator = AlphaSimulator()
    assert obey(simulator, line).startswith(answer)
    assert set(simulator.faults) == faults


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.UNREACHABLE, "OutcomeUnknown"),
        (Fault.REFUSES, "TransientError"),
        (Fault.REJECTS, "PermanentError"),
        (Fault.LOCAL, "TransientError"),
        (Fault.MUTE, "OutcomeUnknown"),
    ],
)
async def test_the_faults_of_the_http_board(fault: Fault, error: str) -> None:
    """Each fault of the simulated HTTP board is what its adapter calls it, and is gone when it is taken away."""
    simulator = HttpSimulator()
    await simulator.start()
    try:
        async with an_adapter("http") as adapter:
            posting = a_posting("http", f"http://127.0.0.1:{simulator.port}/board")
            simulator.faults = {fault}
            with pytest.raises(AdapterError) as raised:
                await adapter.publish(posting, a_content())
            assert raised.type.__name__ == error
            assert simulator.shown() == ([OPENING] if fault is Fault.MUTE else [])
            simulator.faults = frozenset()
            receipt = await adapter.publish(posting, a_content())
            simulator.reboot()
            assert simulator.shown() == []
            assert not (await adapter.observe(receipt)).present
            simulator.faults = {Fault.LIES}
            assert (await adapter.observe(receipt)).present
            await adapter.retract(receipt)
            assert not (await adapter.observe(receipt)).present
    finally:
        await simulator.stop()
