"""``simulate``: a sign that exists only in this program, for people without hardware. It fails on request."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pkgutil import resolve_name
from threading import Thread
from typing import Annotated, cast

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from bridge.core.errors import BridgeError, InvalidInput
from bridge.simulators.fault import Fault, Simulator
from bridge.terminal import print_line, wait

LOOK = 0.1  # seconds between two looks at what it shows


@dataclass(frozen=True)
class Kind:
    """One kind of simulator: its class (loaded only when asked for), and the address that a target of it has."""

    made_by: str
    address: str
    port: int


KINDS = {
    "ntcip": Kind("bridge.simulators.ntcip:NtcipSimulator", "{host}:{port}", 16_161),
    "http": Kind("bridge.simulators.http_sign:HttpSimulator", "http://{host}:{port}/board", 9100),
    "kv15": Kind("bridge.simulators.kv15:Kv15Simulator", "http://{host}:{port}/#HTM:1234", 8015),
    "alpha": Kind("bridge.simulators.alpha:AlphaSimulator", "{host}:{port}", 3001),
    "mqtt-display": Kind("bridge.simulators.mqtt_display:MqttDisplay", "mqtt://{host}:{port}/burgernet/display", 1883),
}


def simulate(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"One of {', '.join(KINDS)}.")],
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Its port (mqtt-display: the broker's); 0: any.")
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Its address (mqtt-display: the broker's).")] = "127.0.0.1",
) -> None:
    """Run one simulated sign, and draw what it shows; words on stdin make it fail, ``help`` lists them."""
    if kind not in KINDS:
        raise InvalidInput(f"KIND: {kind!r} is none of {', '.join(KINDS)}")
    chosen = KINDS[kind]
    simulator = cast("Simulator", resolve_name(chosen.made_by)(chosen.port if port is None else port, host=host))
    wait(_run(simulator, chosen, host))


async def _run(simulator: Simulator, kind: Kind, host: str) -> None:
    try:
        await simulator.start()
    except OSError as error:
        raise BridgeError(f"{host} port {simulator.port}: {error.strerror or error}") from None
    try:
        print_line(f"the address of its target is {kind.address.format(host=host, port=simulator.port)}")
        print_line(_help(simulator))
        sys.stdout.flush()
        await _show_until_told(simulator)
    finally:
        await simulator.stop()


async def _show_until_told(simulator: Simulator) -> None:
    """Show what it shows and do what stdin says, until SIGTERM or SIGINT."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    words: asyncio.Queue[str] = asyncio.Queue()
    # A thread, for stdin may be a file, a pipe or a terminal; a daemon, for it waits there for ever.
    Thread(target=_read_words, args=(loop, words), daemon=True).start()
    console = Console()
    live = Live(console=console, auto_refresh=False) if console.is_terminal else None
    with live or nullcontext():
        before: object = None
        while not ended.is_set():
            while not words.empty():
                print_line(obey(simulator, words.get_nowait()))
            now = (simulator.shown(), sorted(simulator.faults))
            if now != before:
                _draw(simulator, live)
                before = now
            sys.stdout.flush()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await ended.wait()


def _draw(simulator: Simulator, live: Live | None) -> None:
    """Draw it anew on a terminal, else say in a line what it shows now."""
    if live is not None:
        live.update(Group(simulator.picture(), Text(_faults(simulator), style="dim")), refresh=True)
        return
    texts = " | ".join(" ".join(text.split()) for text in simulator.shown())
    print_line(f"shows: {texts}" if texts else "dark")


def obey(simulator: Simulator, line: str) -> str:
    """Do what one line says, and answer with one."""
    word, _, rest = line.strip().partition(" ")
    if word == "write" and rest.strip():
        simulator.write(rest.strip())
        return "somebody else wrote on it"
    if rest.strip() or word == "write":
        return f"not understood: {line.strip()[:80]!r}; {_help(simulator)}"
    if word == "well":
        simulator.faults = frozenset()
    elif word == "reboot":
        simulator.reboot()
        return "rebooted"
    elif word in tuple(simulator.known_faults):
        simulator.faults = frozenset({*simulator.faults, Fault(word)})
    elif word in tuple(Fault):
        return f"its like is never {word!r}; {_help(simulator)}"
    elif word == "help":
        return _help(simulator)
    else:
        return f"not understood: {word[:80]!r}; {_help(simulator)}"
    return _faults(simulator)


def _faults(simulator: Simulator) -> str:
    return f"faults: {', '.join(sorted(simulator.faults)) or 'none'}"


def _help(simulator: Simulator) -> str:
    words = ", ".join(fault for fault in Fault if fault in simulator.known_faults)
    return f"words: {words}; well takes all away; reboot; write TEXT; help"


def _read_words(loop: asyncio.AbstractEventLoop, words: asyncio.Queue[str]) -> None:
    """Pass on the lines of stdin; at its end it goes on without."""
    for line in sys.stdin:
        if line.strip():
            try:
                loop.call_soon_threadsafe(words.put_nowait, line)
            except RuntimeError:  # it has ended meanwhile
                return
