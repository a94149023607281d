"""What happens after the story with ``--serve``: everything stays, to be played with from another window."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Group
from rich.live import Live
from rich.text import Text

from bridge.demo import alerts
from bridge.demo.stage import Stage
from bridge.service import Service
from bridge.web.server import WebServer

CASE, ROBBERY = "2026112200101", "2026112200102"
EVENTS = "events"
MOMENT = 0.15  # seconds: what happens together is told together


async def stay(stage: Stage, service: Service, running: asyncio.Future[None]) -> None:
    """Tell what there is to play with, and go on showing what happens until the service stops (Ctrl-C)."""
    _write_events(stage)
    stage.console.print(Text(f"\n{stage.words('serve.title')}\n", "bold"))
    for line in _guide(stage, service):
        stage.console.print(line, soft_wrap=True)
    terminal = stage.console.is_terminal
    live = Live(console=stage.console, auto_refresh=False, transient=True) if terminal else nullcontext()
    with live as screen:
        while not running.done():
            await _tell_what_is_new(stage)
            if screen is not None:
                screen.update(Group(Text(), stage.street(), *stage.page()), refresh=True)
            else:
                stage.show()
            await asyncio.wait([running], timeout=0.2)


async def _tell_what_is_new(stage: Stage) -> None:
    if stage.has_news:
        await asyncio.sleep(MOMENT)
        stage.report()


def _write_events(stage: Stage) -> None:
    folder = stage.world.directory / EVENTS
    folder.mkdir()
    photo = stage.world.photos.url
    start = datetime.now(UTC)
    files = {
        "1-vermist.json": alerts.opened(CASE, "missing_child_alert", alerts.BOY, photo=photo, at=start),
        "2-correctie.json": alerts.updated(
            CASE, "missing_child_alert", alerts.BOY_CORRECTED, photo=photo, at=start + timedelta(milliseconds=1)
        ),
        "3-einde.json": alerts.ended(CASE, "resolved", alerts.BOY_FOUND, at=start + timedelta(milliseconds=2)),
        "4-straatroof.json": alerts.opened(ROBBERY, "street_robbery", alerts.ROBBERS, at=start),
    }
    for name, event in files.items():
        (folder / name).write_text(json.dumps(event, ensure_ascii=False, indent=2), "utf-8")
        stage.know(event)


def _guide(stage: Stage, service: Service) -> Iterator[Text]:
    """Say where everything is, and what to type. Commands are not wrapped, so that they can be copied."""
    words, world = stage.words, stage.world
    site = service.parts["web"]
    if isinstance(site, WebServer):
        yield from _pair(f"http://127.0.0.1:{site.port}/", words("serve.site"))
    board = world.boards["bord-a44"]
    for name in ("bord-a44", "lichtkrant", "halte"):
        yield from _pair(f"{world.boards[name].url}/{name}", words.place(name))
    yield from _pair(f"smtp://{world.sink.host}:{world.sink.port}", words("serve.mails"))
    yield from _pair(f"{world.graph.url}/_posts", words("now.page"))
    yield from _pair(str(world.directory), words("serve.folder"))
    yield Text(f"\n{words('serve.try')}\n", "bold")
    yield Text(f"  D={world.directory}")
    command = Path(sys.argv[0])
    program = command if command.name == "burgernet-bridge" else Path("burgernet-bridge")
    for key, file in (
        ("open", "1-vermist"),
        ("correct", "2-correctie"),
        ("end", "3-einde"),
        ("robbery", "4-straatroof"),
    ):
        yield _command(f"{program} send --config $D/bridge.yaml $D/{EVENTS}/{file}.json", words(f"serve.{key}"))
    yield _command(f"{program} status --config $D/bridge.yaml", words("serve.status"))
    yield _command(f"{program} outbox --config $D/bridge.yaml merenwijk", words("serve.outbox"))
    yield _command("ls $D/mails", words("serve.mails"))
    yield _command(f"""curl {board.url}/_faults -d '{{"down": true}}'""", words("serve.down"))
    yield _command(f"curl {board.url}/_faults -d '{{}}'", words("serve.up"))
    yield _command(f"curl -X POST {board.url}/_reboot", words("serve.reboot"))
    fault = '{"fault": "fail_and_post", "times": 3}'
    yield _command(f"curl {world.graph.url}/_faults -d '{fault}'", words("serve.facebook"))
    yield Text(f"\n{words('serve.again')}", "dim")


def _pair(what: str, about: str) -> Iterator[Text]:
    yield Text.assemble(f"  {what:<40}", (about, "dim"))


def _command(line: str, about: str) -> Text:
    return Text.assemble((f"  # {about}\n", "dim"), f"  {line}")
