"""Plays the demonstration: the real bridge in this process, the world around it, the story, and the judgement."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from rich.console import Console

from bridge import assembly, logs
from bridge.bootstrap import Bridge
from bridge.core.errors import BridgeError
from bridge.demo.invariants import is_good, judge
from bridge.demo.serving import stay
from bridge.demo.stage import Stage
from bridge.demo.story import play_story
from bridge.demo.witness import Witness
from bridge.demo.words import Words
from bridge.demo.world import World
from bridge.service import Service
from bridge.settings import PREFIX, Loaded, load_settings
from bridge.store.outbox import outbox

WIDEST = 100  # columns; longer lines are hard to read
PAUSE = 0.7  # seconds between scenes, when somebody watches
START = 20.0  # seconds that the bridge gets to be ready


async def play(*, serve: bool, language: str = "nl", make_world: Callable[[Path], World] = World) -> int:
    """Play everything; 0 when all invariants hold and all that was waited for happened, else 1, or 130 after Ctrl-C.

    With ``serve`` the bridge and its world go on until Ctrl-C. ``make_world`` gets the folder for everything that is
    kept meanwhile.
    """
    console = _console()
    with tempfile.TemporaryDirectory(prefix="burgernet-demo-") as folder:
        world = make_world(Path(folder))
        async with world:
            loaded = _load(world)
            with closing(world.log.open("w", encoding="utf-8")) as log:
                logs.configure(loaded.settings.log, log)
                async with assembly.assembled(loaded) as (bridge, service):
                    return await _run(bridge, service, world, console, Words(language), serve=serve)


def _console() -> Console:
    """Write to stdout: plain text, 80 columns and no control codes when that is no terminal."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    console = Console(highlight=False, emoji=False, markup=False)
    console.width = min(console.width, WIDEST)
    return console


def _load(world: World) -> Loaded:
    """Read the demonstration's own settings only: it must never touch the store or queue of a real bridge."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]
    return load_settings(world.config, {f"{PREFIX}SECRETS_DIR": str(world.directory / "no-secrets")})


async def _run(bridge: Bridge, service: Service, world: World, console: Console, words: Words, *, serve: bool) -> int:
    witness = Witness(world, lambda admin: bridge.database.read(lambda connection: outbox(connection, admin)))
    async with _running(service) as running, _watching(witness):
        await _ready(service, running)
        stage = Stage(bridge, world, witness, console, words)
        story = asyncio.ensure_future(_tell(stage, PAUSE if console.is_terminal else 0.0))
        either: list[asyncio.Future[Any]] = [story, running]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not story.done():  # Ctrl-C, or a part of the bridge ended
            story.cancel()
            await asyncio.wait([story])
            await running
            return 130
        result = await story
        if serve:
            await stay(stage, service, running)
        return result


async def _tell(stage: Stage, pause: float) -> int:
    stage.timeline.opening()
    await play_story(stage, pause)
    stage.timeline.remark(stage.words("quiet"), "dim italic")
    await stage.quiet("the end")
    findings = judge(stage.record())
    stage.timeline.findings(findings, stage.missed, time.monotonic() - stage.started)
    return 0 if is_good(findings, stage.missed) else 1


@asynccontextmanager
async def _running(service: Service) -> AsyncIterator[asyncio.Future[None]]:
    """Run the service beside the story, and stop it in order at the end."""
    running = asyncio.ensure_future(service.run())
    try:
        yield running
    finally:
        service.stop()
        await running


@asynccontextmanager
async def _watching(witness: Witness) -> AsyncIterator[None]:
    watching = asyncio.ensure_future(witness.run())
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait([watching])
        if not watching.cancelled() and (fault := watching.exception()):
            raise fault


async def _ready(service: Service, running: asyncio.Future[None]) -> None:
    """Wait until every part is ready."""
    until = time.monotonic() + START
    while service.not_ready() and not running.done():
        if time.monotonic() > until:
            raise BridgeError(f"the bridge did not get ready: {service.not_ready()}")
        await asyncio.sleep(0.01)
