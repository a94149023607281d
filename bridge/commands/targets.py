"""``targets``: the places where alerts are shown."""

from __future__ import annotations

from typing import Any

import typer
from rich.console import Console

from bridge import bootstrap, questions, show
from bridge.terminal import ConfigOption, JsonOption, LanguageOption, load, print_json, wait

app = typer.Typer(help="The places where alerts are shown.", no_args_is_help=True)


@app.command("probe")
def targets_probe(as_json: JsonOption = False, language: LanguageOption = "nl", config: ConfigOption = None) -> None:
    """Try the way to each target; shows nothing to anyone. Exits with 1 when a way is closed."""

    async def work() -> list[dict[str, Any]]:
        loaded = load(config)
        async with (
            bootstrap.open_if_there(loaded) as database,
            bootstrap.open_policy(loaded, database) as (adapters, configured),
        ):
            return await questions.probe(configured.policy, adapters)

    rows = wait(work())
    if as_json:
        print_json({"targets": rows})
    else:
        show.probed(Console(), rows, language)
    raise typer.Exit(0 if all(row["open"] for row in rows) else 1)
