"""The commands that prove: what became of a case at every target, and whether all is as it ought to be."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

import typer
from rich.console import Console

from bridge import bootstrap, show
from bridge.core.errors import BridgeError
from bridge.store import auditing, reading
from bridge.terminal import ConfigOption, JsonOption, LanguageOption, load, print_json, wait

app = typer.Typer(help="Prove that what ended is gone.", no_args_is_help=True)


@app.command()
def report(
    case: Annotated[str, typer.Argument(metavar="CASE")],
    as_json: JsonOption = False,
    language: LanguageOption = "nl",
    config: ConfigOption = None,
) -> None:
    """Print for an ended case when each target was cleared and seen dark, or why not yet. Exits with 1 if not yet."""

    async def work() -> dict[str, Any] | None:
        database = bootstrap.open_existing(load(config))
        try:
            await bootstrap.prepare(database)
            return await database.read(lambda connection: reading.retraction(connection, case, language))
        finally:
            await database.close()

    found = wait(work())
    if found is None:
        raise BridgeError(f"case: {case!r} is not known")
    if as_json:
        print_json(found)
    else:
        show.retraction(Console(), found, language)
    raise typer.Exit(0 if found["proven"] else 1)


def audit(
    case: Annotated[str | None, typer.Argument(metavar="CASE")] = None,
    as_json: JsonOption = False,
    language: LanguageOption = "nl",
    config: ConfigOption = None,
) -> None:
    """Work out anew what ought to be shown, and compare it with what is recorded and seen; 1 if it differs."""
    loaded = load(config)
    lifetime = timedelta(seconds=loaded.settings.cases.max_lifetime)

    async def work() -> auditing.Audit:
        database = bootstrap.open_existing(loaded)
        try:
            await bootstrap.prepare(database)
            now = database.clock()
            return await database.read(lambda connection: auditing.audit(connection, now, lifetime, case))
        finally:
            await database.close()

    found = wait(work())
    if case is not None and not found.cases:
        raise BridgeError(f"case: {case!r} is not known")
    findings = [{"case": one.case, "target": one.target, "finding": getattr(one, language)} for one in found.findings]
    if as_json:
        print_json({"cases": found.cases, "postings": found.postings, "findings": findings})
    else:
        show.audited(Console(), found.cases, found.postings, findings, language)
    raise typer.Exit(1 if findings else 0)
