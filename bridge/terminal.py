"""What all commands share: their options, how they read the settings, wait, print and fail."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar

import typer

from bridge import logs, show
from bridge.core.errors import InvalidInput
from bridge.core.events import Event, parse_structured
from bridge.names import Loop
from bridge.service import Role
from bridge.settings import Loaded, load_settings

T = TypeVar("T")
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="A bridge.yaml; default config/bridge.yaml, else built-in defaults.", metavar="PATH"),
]
RoleOption = Annotated[
    list[Role] | None,
    typer.Option("--role", help="Only this role; repeatable (default: all). Needs PostgreSQL, which the others share."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON alone.")]
LanguageOption = Annotated[
    Literal["nl", "en"], typer.Option("--language", help="Language of headings and reasons: nl or en.")
]


def fail(lines: Sequence[str], code: int) -> NoReturn:
    """End with an exit code, and one line on stderr for each fault."""
    for line in lines:
        sys.stderr.write(f"error: {logs.mask(line)}\n")  # it may quote a URL with a password
    sys.exit(code)


def load(config: Path | None, *, quiet: bool = True) -> Loaded:
    """Read the settings; ``quiet``: a command speaks for itself, without a log."""
    loaded = load_settings(config)
    logs.configure(loaded.settings.log.model_copy(update={"level": "critical"}) if quiet else loaded.settings.log)
    return loaded


def wait(work: Coroutine[Any, Any, T]) -> T:
    """Do what takes time."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(work)


def print_json(value: object) -> None:
    """Print JSON whose strangers' texts can do nothing to a terminal: what is not printable is escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    sys.stdout.write("".join(char if char.isprintable() or char == "\n" else _escape(char) for char in text) + "\n")


def print_line(text: str) -> None:
    """Print a line that a stranger's text may be part of."""
    sys.stdout.write(show.clean(text) + "\n")


def _escape(char: str) -> str:
    return json.dumps(char)[1:-1] if char > "\x7f" else f"\\u{ord(char):04x}"


def read_file(name: str) -> bytes:
    """Read a file, or stdin for ``-``; ``InvalidInput`` when it cannot be read."""
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise InvalidInput(f"{name}: cannot be read ({error.strerror})") from None


def read_events(files: Sequence[str]) -> list[tuple[bytes, Event]]:
    """Read and check all files before any is sent."""
    events: list[tuple[bytes, Event]] = []
    problems: list[str] = []
    for name in files:
        try:
            body = read_file(name)
        except InvalidInput as error:
            problems += error.problems
            continue
        try:
            events.append((body, parse_structured(body)))
        except InvalidInput as error:
            problems += [f"{name}: {line}" for line in error.problems]
    if problems:
        raise InvalidInput(*problems)
    return events
