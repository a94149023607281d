"""``rules``: what may go where, and why."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from bridge import bootstrap, questions, show
from bridge.core.errors import InvalidInput
from bridge.core.events import Opened, Updated
from bridge.core.rule_trial import uncovered
from bridge.policy import Configured, rules_path
from bridge.rulebook import formats
from bridge.rulebook.report import Report
from bridge.rulebook.trial import trials_path
from bridge.settings import Loaded
from bridge.terminal import ConfigOption, JsonOption, LanguageOption, load, print_json, print_line, read_events, wait

app = typer.Typer(help="What may go where, and why.", no_args_is_help=True)


class Format(StrEnum):
    """How the matrix is written."""

    TABLE = "table"
    HTML = "html"
    MD = "md"
    CSV = "csv"
    JSON = "json"


@app.command("matrix")
def rules_matrix(
    as_json: JsonOption = False,
    written: Annotated[Format, typer.Option("--format", help="As a table, or a page to read and sign.")] = Format.TABLE,
    language: LanguageOption = "nl",
    config: ConfigOption = None,
) -> None:
    """Print for each category, channel and owner whether it may go there, and the rule that decides."""
    _, configured = _open(config)
    report = Report(configured.space, configured.findings, language)
    match Format.JSON if as_json else written:
        case Format.TABLE:
            formats.table(Console(), report)
        case Format.HTML:
            sys.stdout.write(formats.as_html(report, datetime.now().astimezone(), configured.policy.digest))
        case Format.MD:
            sys.stdout.write(formats.as_markdown(report))
        case Format.CSV:
            sys.stdout.write(formats.as_csv(report))
        case Format.JSON:
            print_json(report.data())
    if configured.findings:
        raise InvalidInput(*configured.findings)


def _open(config: Path | None) -> tuple[Loaded, Configured]:
    loaded = load(config)

    async def work() -> Configured:
        async with bootstrap.open_policy(loaded) as (_, configured):
            return configured

    return loaded, wait(work())


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
            return questions.explain(configured.policy, read, datetime.now(UTC), lifetime, language)

    rows = wait(work())
    if as_json:
        print_json({"case": read.subject, "targets": rows})
    else:
        show.explained(Console(), rows, language)


@app.command("test")
def rules_test(
    file: Annotated[Path | None, typer.Option("--file", help="Other tests than those beside rules.yaml.")] = None,
    as_json: JsonOption = False,
    language: LanguageOption = "nl",
    config: ConfigOption = None,
) -> None:
    """Play the tests of the rules (rules.test.yaml); exits with 1 when something else comes out than is expected."""
    loaded, configured = _open(config)
    path = file or trials_path(rules_path(loaded))
    played = bootstrap.play_tests(loaded, configured, path)
    missing = uncovered([one.trial for one in played], configured.policy.rules)
    failed = [one for one in played if one.failed]
    if as_json:
        print_json(formats.tests_data(played, missing))
    else:
        for line in formats.tests_lines(played, missing, language):
            print_line(line)
    if configured.findings:
        raise InvalidInput(*configured.findings)
    raise typer.Exit(1 if failed else 0)
