"""``reload``: every running process takes over rules, targets and templates as they stand on disk now."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated

import typer

from bridge import bootstrap
from bridge.core.errors import BridgeError
from bridge.settings import Loaded
from bridge.store import policies
from bridge.store.database import Database
from bridge.store.policies import InUse
from bridge.terminal import ConfigOption, JsonOption, fail, load, print_json, print_line, wait

LOOK = 0.1  # seconds between looks for answers


def reload(
    patience: Annotated[float, typer.Option("--wait", min=1, help="Seconds to wait for the answers.")] = 30.0,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Take over rules, targets and templates in every running process: all of them, or none."""
    answers, silent = wait(_ask(load(config), patience))
    if as_json:
        print_json({"processes": [asdict(one) for one in answers.values()], "silent": sorted(silent)})
    else:
        for one in answers.values():
            print_line(_told(one))
    problems = [f"{one.worker}: {line}" for one in answers.values() for line in one.error]
    problems += [f"{name}: has not answered within {patience:g} s" for name in sorted(silent)]
    if problems:
        fail(problems, 2 if any(one.error for one in answers.values()) else 1)


def _told(one: InUse) -> str:
    what = "kept what it had" if one.error else "took over"
    remarks = "".join(f"\n  {line}" for line in one.notes)
    return f"{one.worker}: {what}: {one.targets} targets, {one.rules} rules, policy {one.digest[:12]}{remarks}"


async def _ask(loaded: Loaded, patience: float) -> tuple[Mapping[str, InUse], set[str]]:
    """Wish it, and wait until every process that lives has answered; give the answers, and who is silent."""
    database = bootstrap.open_existing(loaded)
    try:
        await bootstrap.prepare(database)
        if not await _runs(loaded, database):
            raise BridgeError("no bridge runs on this store; it reads its files at its start")
        number = await database.write(lambda connection: policies.wish(connection, database.clock()), ring=True)
        deadline = time.monotonic() + patience
        while True:
            answers, silent = await _answers(database, number)
            if (answers and not silent) or time.monotonic() > deadline:
                return answers, silent or (set() if answers else {"the bridge"})
            await asyncio.sleep(LOOK)
    finally:
        await database.close()


async def _runs(loaded: Loaded, database: Database) -> bool:
    if database.is_sqlite:
        return bootstrap.is_running(loaded)
    return bool(await database.read(lambda connection: policies.living(connection, database.clock())))


async def _answers(database: Database, number: int) -> tuple[Mapping[str, InUse], set[str]]:
    answers = await database.read(lambda connection: policies.answers(connection, number))
    living = await database.read(lambda connection: policies.living(connection, database.clock()))
    return answers, living - set(answers)
