"""The commands of ``burgernet-bridge``; thin: each opens what it needs, asks, and prints."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer
from rich.console import Console

from bridge import __version__, assembly, bootstrap, show
from bridge.commands import dead_letters, geo, proof, rules, targets
from bridge.commands.preview import check_text, preview
from bridge.commands.reload import reload
from bridge.commands.simulate import simulate
from bridge.core.errors import BridgeError, InvalidInput
from bridge.core.events import Event, dump, json_schema
from bridge.core.exercise import as_exercise
from bridge.intake.amqp import send_events
from bridge.service import PartDied
from bridge.store import reading
from bridge.store.database import check_there
from bridge.store.migrate import migrate as run_migrations
from bridge.store.outbox import outbox as outbox_messages
from bridge.terminal import (
    ConfigOption,
    JsonOption,
    LanguageOption,
    RoleOption,
    fail,
    load,
    print_json,
    print_line,
    read_events,
    wait,
)

_UsageError: Any = typer.BadParameter.__base__  # what typer raises for wrong use; the class itself has moved about
app = typer.Typer(
    help="Puts Burgernet alerts on boards, in mailboxes, on Facebook and in admins' outboxes, and takes them back.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(preview)
app.command("check-text")(check_text)
app.command()(reload)
app.command()(simulate)
app.command()(proof.audit)
app.add_typer(proof.app, name="retraction")
app.add_typer(rules.app, name="rules")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(targets.app, name="targets")
app.add_typer(geo.app, name="geo")


def main() -> None:
    """Run the command line; configuration and usage errors exit with 2, all others with 1."""
    try:
        sys.exit(app(standalone_mode=False))
    except _UsageError as error:
        message = error.format_message().replace("Value error, ", "")  # pydantic's word for it says nothing here
        fail([message] if message else [], error.exit_code)  # none: help was printed
    except InvalidInput as error:
        fail(error.problems, 2)
    except (BridgeError, PartDied) as error:
        fail([str(error)], 1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)


@app.callback(invoke_without_command=True)
def version(
    context: typer.Context,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Puts Burgernet alerts on boards, in mailboxes, on Facebook and in admins' outboxes, and takes them back."""
    if show_version:
        sys.stdout.write(f"{__version__}\n")
        raise typer.Exit
    if context.invoked_subcommand is None:
        raise typer.Exit(2)


@app.command()
def run(roles: RoleOption = None, config: ConfigOption = None) -> None:
    """Run the bridge as a service, until SIGTERM or SIGINT."""
    loaded = load(config, quiet=False)
    wait(assembly.serve(loaded, roles or ()))


@app.command()
def demo(
    serve: Annotated[bool, typer.Option("--serve", help="Leave everything running to play with.")] = False,
    language: LanguageOption = "nl",
) -> None:
    """Show the main job on embedded parts: alerts go out, are corrected, and are taken back."""
    from bridge.demo.play import play  # noqa: PLC0415 - the demo and its simulators are no part of the service

    raise typer.Exit(wait(play(serve=serve, language=language)))


@app.command()
def check(config: ConfigOption = None) -> None:
    """Check settings, rules, targets and templates; print every error at once."""

    async def work() -> str:
        loaded = load(config)
        return await bootstrap.check(loaded)

    sys.stdout.write(wait(work()) + "\n")


@app.command()
def migrate(config: ConfigOption = None) -> None:
    """Bring the database to the schema of this version."""

    async def work() -> None:
        database = bootstrap.open_database(load(config))
        try:
            await run_migrations(database)
        finally:
            await database.close()

    wait(work())
    sys.stdout.write("the database has the schema of this version\n")


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; an older file of that name is replaced.")],
    config: ConfigOption = None,
) -> None:
    """Copy all that the bridge remembers to one file, while it runs."""
    made = wait(bootstrap.back_up(load(config), file))
    print_line(f"{file}: {show.contents(made)}")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What backup made, on whatever database.")],
    moved: Annotated[
        bool, typer.Option("--moved", help="Nothing has run since the backup: go on exactly there.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Fill an empty store from a backup; the bridge must not be running."""
    found = wait(bootstrap.restore(load(config), file, moved=moved))
    show.restored(Console(), found, moved=moved)


@app.command()
def schema() -> None:
    """Print the JSON Schema of the events."""
    print_json(json_schema())


@app.command()
def send(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Events as JSON, one a file; - reads stdin.")],
    exercise: Annotated[
        bool, typer.Option("--exercise", help="As an exercise under a case of its own (oefening-…), dated now.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Send events to the queue, or straight in when no queue is configured."""
    loaded = load(config)
    events = _exercises(read_events(files)) if exercise else read_events(files)

    async def work() -> None:
        if loaded.settings.queue.url.get_secret_value():
            await send_events(loaded.settings.queue, [body for body, _ in events])
            for _, event in events:
                print_line(f"{event.subject}: {event.type.rpartition('.')[2]} is on the queue")
            return
        async with bootstrap.open_bridge(loaded) as bridge:
            for _, event in events:
                accepted = await bridge.intake.accept(event)
                what = f"{event.type.rpartition('.')[2]} {accepted.verdict}"
                print_line(f"{event.subject}: {what}; case {accepted.standing}, revision {accepted.revision}")

    wait(work())


def _exercises(events: Sequence[tuple[bytes, Event]]) -> list[tuple[bytes, Event]]:
    """Make exercises of events, in their order."""
    now = datetime.now(UTC)
    made = [as_exercise(event, now + timedelta(microseconds=n), str(uuid4())) for n, (_, event) in enumerate(events)]
    return [(dump(event).encode(), event) for event in made]


@app.command()
def status(
    case: Annotated[str | None, typer.Argument(metavar="CASE")] = None,
    as_json: JsonOption = False,
    language: LanguageOption = "nl",
    config: ConfigOption = None,
) -> None:
    """Show what every target of a case should show, and what it does show."""
    found = _read(config, lambda connection: reading.status(connection, case, language))
    if case is not None and not found["cases"]:
        raise BridgeError(f"case: {case!r} is not known")
    if as_json:
        print_json(found)
    else:
        show.status(Console(), found, language)


def _read(config: Path | None, look: Any) -> Any:
    async def work() -> Any:
        database = bootstrap.open_existing(load(config))
        try:
            await bootstrap.prepare(database)
            return await database.read(look)
        finally:
            await database.close()

    return wait(work())


@app.command()
def retract(
    case: Annotated[str, typer.Argument(metavar="CASE")],
    target: Annotated[str | None, typer.Option("--target", help="Only this target; the case goes on.")] = None,
    config: ConfigOption = None,
) -> None:
    """Take a case back everywhere (it ends as withdrawn, and people are told), or take it off one target."""
    loaded = load(config)
    check_there(loaded.settings.store.url.get_secret_value())

    async def work() -> str:
        async with bootstrap.open_bridge(loaded) as bridge:
            if target is not None:
                await bridge.intake.hold(case, target)
                return f"{case}: is being taken off {target}, and stays off; see: burgernet-bridge status {case}"
            accepted = await bridge.intake.withdraw(case)
            what = f"withdrawn ({accepted.verdict}); is being taken back everywhere"
            return f"{case}: {what}, see: burgernet-bridge status {case}"

    print_line(wait(work()))


@app.command()
def outbox(
    admin: Annotated[str, typer.Argument(metavar="ADMIN", help="The address of an outbox target.")],
    as_json: JsonOption = False,
    language: LanguageOption = "nl",
    config: ConfigOption = None,
) -> None:
    """Show what a group admin finds in the outbox, newest last, ready to forward."""
    messages = _read(config, lambda connection: outbox_messages(connection, admin))
    if not messages:
        wait(_check_admin(config, admin))
    if as_json:
        print_json({"admin": admin, "messages": messages})
    else:
        show.outbox(Console(), messages, language)


async def _check_admin(config: Path | None, admin: str) -> None:
    """An empty outbox and a mistyped one look alike: name those that there are."""
    async with bootstrap.open_policy(load(config)) as (_, configured):
        known = sorted(target.address for target in configured.policy.targets if target.adapter == "outbox")
    if admin not in known:
        some = ", ".join(known[:20]) or "none: targets.yaml has no outbox"
        raise InvalidInput(f"admin: {admin!r} is not the address of an outbox; allowed: {some}")
