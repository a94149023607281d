"""``dead-letters``: messages that could not be read, or kept failing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from bridge import show
from bridge.core.errors import InvalidInput
from bridge.intake import dead_letters
from bridge.terminal import ConfigOption, JsonOption, LanguageOption, load, print_json, wait

app = typer.Typer(help="Messages that could not be read, or kept failing.", no_args_is_help=True)


def _queue(config: Path | None) -> Any:
    loaded = load(config)
    if not loaded.settings.queue.url.get_secret_value():
        raise InvalidInput("queue.url: is empty; dead letters need a queue")
    return loaded.settings.queue


@app.command("list")
def dead_list(
    as_json: JsonOption = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    language: LanguageOption = "nl",
    config: ConfigOption = None,
) -> None:
    """List the dead letters, oldest first, with the reason."""
    letters = [letter.summary() for letter in wait(dead_letters.list_dead(_queue(config), limit))]
    if as_json:
        print_json({"dead_letters": letters})
    else:
        show.dead_letters(Console(), letters, language)


@app.command("show")
def dead_show(
    position: Annotated[int, typer.Argument(min=1, help="The number that list gives.")], config: ConfigOption = None
) -> None:
    """Print one dead letter whole: headers and body."""
    print_json(wait(dead_letters.show(_queue(config), position)))


@app.command("replay")
def dead_replay(
    position: Annotated[int | None, typer.Argument(min=1, help="The number that list gives; none: all.")] = None,
    config: ConfigOption = None,
) -> None:
    """Put dead letters back on the queue."""
    count = wait(dead_letters.replay(_queue(config), position))
    sys.stdout.write(f"{count} put back on the queue\n")
