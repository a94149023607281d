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
from rich.console import Console
from rich.text import Text

from bridge.core.errors import BridgeError, InvalidInput
from bridge.show import clean
from bridge.simulators.fault import Fault, Simulator
from bridge.terminal import print_line, wait

LOOK = 0.1  # seconds between two looks at what it shows
MEANINGS = {
    Fault.SLOW: "does what it is told, and answers, seconds later",
    Fault.UNREACHABLE: "hears nothing",
    Fault.REFUSES: "answers: not now",
    Fault.REJECTS: "answers: never",
    Fault.LOCAL: "local mode: somebody stands at it, and nothing is taken from the network",
    Fault.MUTE: "does what it is told, and never answers",
    Fault.LIES: "says that it shows what it was told, whatever it shows",
    "well": "takes all of these away",
    "reboot": "loses power for a moment, and forgets",
    "write TEXT": "somebody else puts a text on it",
}


@dataclass(frozen=True)
class Kind:
    """One kind of simulator: its class (loaded only when asked for), and the address that a target of it has."""

    made_by: str
    address: str
    port: int


KINDS = {
    "ntcip": Kind("bridge.simulators.ntcip:NtcipSimulator", "{host}:{port}", 16_161),
    "http": Kind("bridge.simulators.http_sign:HttpSimulator", "http://{host}:{port}/board", 9100),
    "kv15": Kind("bridge.simulators.kv15:Kv15Simulator", "http://{host}:{port}/KV15messages#HTM:1234", 8015),
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
    port = chosen.port if port is None else port
    feed = {"kv8_port": port and port + 1} if kind == "kv15" else {}
    wait(_run(cast("Simulator", resolve_name(chosen.made_by)(port, host=host, **feed)), chosen, host))


async def _run(simulator: Simulator, kind: Kind, host: str) -> None:
    try:
        await simulator.start()
    except OSError as error:
        raise BridgeError(f"{host} port {simulator.port}: {error.strerror or error}") from None
    try:
        await _show_until_told(simulator, _heading(simulator, kind, host))
    finally:
        await simulator.stop()


def _heading(simulator: Simulator, kind: Kind, host: str) -> str:
    """Say where it is, and which words it knows."""
    feed = getattr(simulator, "kv8_url", "")
    lines = [f"the address of its target is {kind.address.format(host=host, port=simulator.port)}"]
    lines += [f"what it shows is told at {feed} (adapters.kv15.kv8_url)"] if feed else []
    return "\n".join([*lines, _words(simulator)])


async def _show_until_told(simulator: Simulator, heading: str) -> None:
    """Show what it shows and do what stdin says, until SIGTERM or SIGINT."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    words: asyncio.Queue[str] = asyncio.Queue()
    # A thread, for stdin may be a file, a pipe or a terminal; a daemon, for it waits there for ever.
    Thread(target=_read_words, args=(loop, words), daemon=True).start()
    console = Console(highlight=False)
    view = _Screen(simulator, heading, console) if console.is_terminal else _Lines(simulator, heading)
    with console.screen(hide_cursor=False) if console.is_terminal else nullcontext():
        while not ended.is_set():
            while not words.empty():
                view.say(obey(simulator, words.get_nowait()))
            view.look()
            sys.stdout.flush()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await ended.wait()


class _Screen:
    """Draws it anew on a terminal whenever something has changed, with the last answer below."""

    def __init__(self, simulator: Simulator, heading: str, console: Console) -> None:
        self._simulator, self._heading, self._console = simulator, heading, console
        self._answer = self._drawn = ""

    def say(self, answer: str) -> None:
        """Answer a word, which stands on the screen by now."""
        self._answer, self._drawn = "" if answer == _faults(self._simulator) else answer, ""

    def look(self) -> None:
        """Draw it if it looks otherwise."""
        with self._console.capture() as captured:
            self._console.print(
                Text(clean(self._heading), style="dim"),
                self._simulator.picture(),
                Text(_faults(self._simulator)),
                Text(clean(self._answer), style="dim"),
                sep="\n",
            )
        if (drawn := captured.get()) != self._drawn:
            self._console.clear()
            sys.stdout.write(f"{drawn}> ")
            self._drawn = drawn


class _Lines:
    """Says in a line what it shows whenever that changes, for who is no terminal."""

    def __init__(self, simulator: Simulator, heading: str) -> None:
        self._simulator = simulator
        self._before: object = None
        self.say(heading)

    def say(self, answer: str) -> None:
        """Answer a word."""
        print_line(answer)

    def look(self) -> None:
        """Say what it shows if that is something else."""
        if (shown := self._simulator.shown()) != self._before:
            texts = " | ".join(" ".join(text.split()) for text in shown)
            print_line(f"shows: {texts}" if texts else "dark")
            self._before = shown


def obey(simulator: Simulator, line: str) -> str:
    """Do what one line says, and answer."""
    word, _, rest = line.strip().partition(" ")
    if word == "write" and rest.strip():
        simulator.write(rest.strip())
        return "somebody else wrote on it"
    if rest.strip() or word == "write":
        return f"not understood: {line.strip()[:80]!r}; {_words(simulator)}"
    if word == "well":
        simulator.faults = frozenset()
    elif word == "reboot":
        simulator.reboot()
        return "rebooted"
    elif word in tuple(simulator.known_faults):
        simulator.faults = frozenset({*simulator.faults, Fault(word)})
    elif word in tuple(Fault):
        return f"its like is never {word!r}; {_words(simulator)}"
    elif word == "help":
        return _help(simulator)
    else:
        return f"not understood: {word[:80]!r}; {_words(simulator)}"
    return _faults(simulator)


def _faults(simulator: Simulator) -> str:
    return f"faults: {', '.join(sorted(simulator.faults)) or 'none'}"


def _known(simulator: Simulator) -> list[str]:
    return [word for word in MEANINGS if word in simulator.known_faults or word not in tuple(Fault)]


def _words(simulator: Simulator) -> str:
    return f"words: {', '.join([*_known(simulator), 'help'])}"


def _help(simulator: Simulator) -> str:
    return "\n".join(f"{word:<12} {MEANINGS[word]}" for word in _known(simulator))


def _read_words(loop: asyncio.AbstractEventLoop, words: asyncio.Queue[str]) -> None:
    """Pass on the lines of stdin; at its end it goes on without."""
    for line in sys.stdin:
        if line.strip():
            try:
                loop.call_soon_threadsafe(words.put_nowait, line)
            except RuntimeError:  # it has ended meanwhile
                return
