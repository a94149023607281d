"""``preview`` and ``check-text``: what an alert would look like, and advice on its text, before anything is sent."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from pydantic import ValidationError
from rich.console import Console

from bridge import bootstrap
from bridge.core.advice import Advice, Topic, advise, on_boards
from bridge.core.alert import Alert, Category
from bridge.core.asking import foresee
from bridge.core.content import Photo
from bridge.core.errors import BridgeError, InvalidInput
from bridge.core.events import Ended, Event, explain, parse_structured
from bridge.core.layout import DoesNotFit, Reading, lay_out
from bridge.core.planning import PhotoState, Policy
from bridge.core.target import Sign
from bridge.preview import formats, report
from bridge.preview.words import WORDS
from bridge.terminal import (
    ConfigOption,
    JsonOption,
    LanguageOption,
    load,
    print_json,
    print_line,
    read_events,
    read_file,
    wait,
)

T = TypeVar("T")


def preview(
    events: Annotated[
        list[str], typer.Argument(metavar="EVENT...", help="Events of one case as JSON, in their order; - reads stdin.")
    ],
    target: Annotated[str, typer.Option("--target", help="Only this target.")] = "",
    png: Annotated[Path | None, typer.Option("--png", metavar="DIR", help="Write each board's pages as PNG.")] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write it as a page; - for stdout.")
    ] = None,
    language: LanguageOption = "nl",
    config: ConfigOption = None,
) -> None:
    """Show what each target would show, exactly, and what to shorten so that all boards can. Nothing is sent."""
    found = wait(_foresee(events, target, language, config))
    if png is None and html is None:
        formats.as_text(Console(), found)
    if png is not None:
        for path in _written(png, lambda: formats.write_pictures(found, png)):
            print_line(str(path))
    if html is not None and str(html) == "-":
        sys.stdout.write(formats.as_html(found))
    elif html is not None:
        _written(html, lambda: html.write_text(formats.as_html(found), "utf-8"))
        print_line(str(html))


def check_text(
    text: Annotated[str, typer.Argument(metavar="FILE", help="A text, or an event as JSON; - reads stdin.")],
    as_json: JsonOption = False,
    language: LanguageOption = "nl",
    config: ConfigOption = None,
) -> None:
    """Advise on a text: what to do, 112, capitals, links, numbers, words, boards. It never blocks anything."""
    advice = wait(_advise(text, config))
    if as_json:
        print_json({"advice": [{"topic": one.topic.value, "nl": one.nl, "en": one.en} for one in advice]})
        return
    for one in advice:
        print_line(f"! {one.say(language)}")
    if not advice:
        print_line(WORDS[language]["no_advice"])


async def _advise(name: str, config: Path | None) -> Sequence[Advice]:
    loaded = load(config)
    body = read_file(name)
    async with bootstrap.open_policy(loaded) as (_, configured):
        policy = configured.policy
    if not body.lstrip().startswith(b"{"):
        return _on_text(_decoded(name, body), policy)
    event = parse_structured(body)
    if isinstance(event, Ended):
        raise InvalidInput(f"{name}: type: an ending is not checked; allowed: an opened or updated event, or a text")
    lifetime = timedelta(seconds=loaded.settings.cases.max_lifetime)
    shown = foresee(policy, [event], datetime.now(UTC), lifetime, PhotoState())
    return report.make(shown, policy, "nl").advice


def _decoded(name: str, body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInput(f"{name}: is not UTF-8") from None


def _on_text(text: str, policy: Policy) -> Sequence[Advice]:
    """Advise on a text alone, which says itself what to do, as if every board were meant."""
    try:
        alert = Alert.model_validate({"category": Category.MISSING_PERSON, "info": [{"description": text}]})
    except ValidationError as error:
        raise InvalidInput(*(line.replace("info.0.description", "text") for line in explain(error))) from None
    boards = [target.sign for target in policy.targets if target.sign and policy.adapters[target.adapter].board]
    advice = [one for one in advise(alert, policy.advising) if one.topic not in (Topic.INSTRUCTION, Topic.AREA)]
    return [*advice, *on_boards(sum(_fits(text, sign, policy.reading) for sign in boards), len(boards))]


def _fits(text: str, sign: Sign, reading: Reading) -> bool:
    try:
        return bool(lay_out(text, sign, "", reading))
    except DoesNotFit:
        return False


async def _foresee(names: list[str], target: str, language: str, config: Path | None) -> report.Preview:
    loaded = load(config)
    events = _of_one_case(names)
    async with bootstrap.open_policy(loaded) as (_, configured):
        policy = configured.policy
    if target and target not in {one.id for one in policy.targets}:
        raise InvalidInput(f"target: {target!r} is not known; allowed: a target of targets.yaml")
    lifetime = timedelta(seconds=loaded.settings.cases.max_lifetime)
    # The photo is not fetched here: it stands where one would be.
    shown = foresee(policy, events, datetime.now(UTC), lifetime, PhotoState(ready=Photo("preview")))
    return report.make(shown, policy, language, target)


def _of_one_case(names: list[str]) -> list[Event]:
    events = [event for _, event in read_events(names)]
    cases = sorted({event.subject for event in events})
    if len(cases) > 1:
        raise InvalidInput(f"subject: {', '.join(cases)} are different cases; allowed: events of one case")
    if isinstance(events[0], Ended):
        raise InvalidInput(f"{names[0]}: type: an ending shows nothing by itself; give the alert's own event before it")
    return events


def _written(path: Path, write: Callable[[], T]) -> T:
    try:
        return write()
    except OSError as error:
        raise BridgeError(f"{path}: cannot be written ({error.strerror})") from None
