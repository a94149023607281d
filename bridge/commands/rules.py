"""``rules``: what may go where, and why."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

import typer
from rich.console import Console

from bridge import bootstrap, questions, show
from bridge.core.errors import InvalidInput
from bridge.core.events import Opened, Updated
from bridge.terminal import ConfigOption, JsonOption, LanguageOption, load, print_json, read_events, wait

app = typer.Typer(help="What may go where, and why.", no_args_is_help=True)


@app.command("matrix")
def rules_matrix(as_json: JsonOption = False, language: LanguageOption = "nl", config: ConfigOption = None) -> None:
    """Print for each category and channel whether it may go there, and the rule that decides."""

    async def work() -> list[dict[str, Any]]:
        async with bootstrap.open_policy(load(config)) as (_, configured):
            return questions.matrix(configured.policy, language)

    rows = wait(work())
    if as_json:
        print_json({"matrix": rows})
    else:
        show.matrix(Console(), rows, language)


@app.command("explain")
def rules_explain(
    event: Annotated[str, typer.Argument(metavar="EVENT", help="An opened or updated event as JSON; - reads stdin.")],
    as_json: JsonOption = False,
    language: LanguageOption = "nl",
    config: ConfigOption = None,
) -> None:
    """Say for every target whether an alert would go there, and why. Nothing is sent."""
    [(_, read)] = read_events([event])
    if not isinstance(read, (Opened, Updated)):
        raise InvalidInput(f"{event}: type: an ending passes no rule; allowed: an opened or updated event")

    async def work() -> list[dict[str, Any]]:
        loaded = load(config)
        lifetime = timedelta(seconds=loaded.settings.cases.max_lifetime)
        async with bootstrap.open_policy(loaded) as (_, configured):
            return questions.explain(configured.policy, read, lifetime, language)

    rows = wait(work())
    if as_json:
        print_json({"case": read.subject, "targets": rows})
    else:
        show.explained(Console(), rows, language)
