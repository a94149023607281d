#!/usr/bin/env python3
"""A RabbitMQ and a PostgreSQL for development and tests: own ports, own data under ``.services/``, easy to break.

Each one is, in this order: the server named by ``BRIDGE_TEST_AMQP_URL`` / ``BRIDGE_TEST_POSTGRES_URL``; the installed
program, started here; the program installed first with apt-get (as root). ``up`` writes both URLs to ``.services/env``,
and sees to the programs that tests start for themselves. Needs nothing but the standard library. Exit codes: 0 fine,
1 a server fails, 2 wrong use.
"""
# ruff: noqa: T201, S603
# A command-line tool prints; and it runs apt-get with fixed arguments.

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from servers.base import Server
from servers.daemon import START_SECONDS
from servers.postgres import Postgres
from servers.rabbitmq import RabbitMQ
from servers.tools import PATH, MissingError, ServerError, State, wait_until

HOME = Path(__file__).resolve().parent.parent / ".services"
PROGRAMS = {
    "smtp-sink": "postfix",
    "promtool": "prometheus",
    "snmpget": "snmp",
    "mosquitto": "mosquitto",
    "chromium": "chromium",
}  # what tests start for themselves, and Debian's package that has it


@contextlib.contextmanager
def no_autostart() -> Iterator[None]:
    """Keep Debian from starting system-wide services while packages are installed."""
    policy = Path("/usr/sbin/policy-rc.d")
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink(missing_ok=True)


def install(package: str, is_there: Callable[[], bool], advice: str) -> None:
    """Install a package with apt-get, or raise ``MissingError`` with what to do instead."""
    apt = shutil.which("apt-get")
    if os.geteuid() != 0 or apt is None:
        raise MissingError(f"{package} is not installed, and only root can do that here: {advice}")
    print(f"services: installing {package} with apt-get", file=sys.stderr)
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    log_path = HOME / "apt.log"
    with no_autostart(), log_path.open("ab") as log:
        for step in (["update"], ["install", "-y", "--no-install-recommends", package]):
            subprocess.run(
                [apt, *step], check=False, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=1200
            )
    if not is_there():
        raise MissingError(f"apt-get could not install {package} (see {log_path}): {advice}")


def install_server(server: Server) -> None:
    """Install a server's package."""
    advice = f"install the package {server.package}, or name a running server in {server.variable}"
    install(server.package, server.installed, advice)


def install_program(name: str, package: str) -> None:
    """Install a program that tests start for themselves, where it is missing."""

    def is_there() -> bool:
        return shutil.which(name, path=PATH) is not None

    if not is_there():
        install(package, is_there, f"install the package {package}")


def bring_up(server: Server, *, fsync: bool) -> str:
    """Return the URL of a server that answers; raise ``MissingError`` where it cannot be had."""
    if server.foreign_url:
        if not wait_until(lambda: server.speaks(server.foreign_url), START_SECONDS):
            raise ServerError(f"{server.variable} is set, but no {server.name} answers there")
        return server.foreign_url
    if not server.installed():
        install_server(server)
    server.move_if_taken()
    server.start(fsync=fsync)
    return server.own_url


def up(servers: Sequence[Server], *, fsync: bool) -> int:
    """Bring both up, print their URLs and write them to ``.services/env``. A missing one is an error in CI only."""
    lines, missing = [], []
    for server in servers:
        try:
            url = bring_up(server, fsync=fsync)
        except MissingError as error:
            url = ""
            missing.append(str(error))
        lines.append(f"{server.variable}={url}")
    for name, package in PROGRAMS.items():
        try:
            install_program(name, package)
        except MissingError as error:
            missing.append(str(error))
    (HOME / "env").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    in_ci = os.environ.get("CI", "").lower() in {"true", "1"}
    bar = "!" * 78
    for reason in missing:
        effect = "In CI that is an error." if in_ci else "The tests that need it will be SKIPPED."
        print(f"{bar}\n!! {reason}\n!! {effect}\n{bar}", file=sys.stderr)
    return 1 if missing and in_ci else 0


def down(servers: Sequence[Server]) -> int:
    """Stop both, and what they started beside them."""
    for server in servers:
        server.down()
    return 0


def remove(servers: Sequence[Server], state: State) -> int:
    """Stop both and erase their data."""
    down(servers)
    for place in (state.get("postgres_data"), HOME):
        if place:
            shutil.rmtree(place, ignore_errors=True)
    return 0


def status(servers: Sequence[Server]) -> int:
    """Print one line a server; exit code 1 unless both answer."""
    answers = [server.speaks(server.url) for server in servers]
    for server, answer in zip(servers, answers, strict=True):
        whose = f"named in {server.variable}" if server.foreign_url else f"own, process {server.daemon.pid or '-'}"
        print(f"{server.name:9} {'answers' if answer else 'does not answer':15} {server.url} ({whose})")
    return 0 if all(answers) else 1


def break_or_mend(server: Server, command: str, *, fsync: bool) -> int:
    """Stop, kill, start or restart one server of ours: that is how the fault tests work."""
    if server.foreign_url:
        print(f"services: {server.name} is named in {server.variable}; only one's own is touched", file=sys.stderr)
        return 2
    if command in {"stop", "restart"}:
        server.stop()
    if command == "kill":
        server.kill()
    if command in {"start", "restart"}:
        if not server.installed():
            install_server(server)
        server.start(fsync=fsync)
    return 0


def control(broker: RabbitMQ, arguments: Sequence[str]) -> int:
    """Run ``rabbitmqctl`` on a broker of ours: that is how tests make users."""
    if broker.foreign_url:
        print(f"services: {broker.name} is named in {broker.variable}; only one's own is touched", file=sys.stderr)
        return 2
    broker.control(*arguments)
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="services.py", description="RabbitMQ and PostgreSQL for development and tests"
    )
    parser.add_argument("--no-fsync", action="store_true", help="a faster PostgreSQL that a power cut may corrupt")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("up", "down", "status", "remove"):
        commands.add_parser(name)
    for name in ("stop", "start", "kill", "restart"):
        commands.add_parser(name).add_argument("server", choices=(RabbitMQ.name, Postgres.name))
    control = commands.add_parser("rabbitmqctl", help="run rabbitmqctl on our broker")
    control.add_argument("arguments", nargs=argparse.REMAINDER)
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> int:
    """Run one command; a second one at the same time waits."""
    HOME.mkdir(exist_ok=True)
    with (HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = State(HOME)
        broker = RabbitMQ(state)
        servers: list[Server] = [broker, Postgres(state)]
        if options.command == "up":
            return up(servers, fsync=not options.no_fsync)
        if options.command == "status":
            return status(servers)
        if options.command == "down":
            return down(servers)
        if options.command == "remove":
            return remove(servers, state)
        if options.command == "rabbitmqctl":
            return control(broker, options.arguments)
        chosen = next(server for server in servers if server.name == options.server)
        return break_or_mend(chosen, options.command, fsync=not options.no_fsync)


if __name__ == "__main__":
    try:
        sys.exit(run(parse(sys.argv[1:])))
    except ServerError as failure:
        print(f"services: {failure}", file=sys.stderr)
        sys.exit(1)
