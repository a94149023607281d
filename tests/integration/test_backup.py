"""Backup and restore: one snapshot in one file from whatever database to whatever database, and nothing is done twice."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, create_engine, select, text

from bridge.core.errors import BridgeError, InvalidInput, OutcomeUnknown, PermanentError, TransientError
from bridge.core.posting import Step
from bridge.core.retry import Timing
from bridge.store import backup, schema
from bridge.store.database import Database
from bridge.store.migrate import alembic_config
from bridge.store.rows import Work
from tests.integration.spine_store import database_fixture, masters_fixture, store_url  # noqa: F401
from tests.integration.store_bench import ADAPTERS, ANS, BEHEERDER, BORD, ELSEWHERE, PAGINA, Bench, Result, succeed
from tests.unit.samples import alert_data, target

TARGETS = (BORD, PAGINA, ANS, BEHEERDER, ELSEWHERE)


@pytest.fixture(params=["sqlite", "postgres"])
def other_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of a store that nothing was ever done to, not even a migration."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/other.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(name="other")
async def other_fixture(other_url: str) -> AsyncIterator[Database]:
    """Give the second store."""
    database = Database(other_url)
    yield database
    await database.close()


def all_rows(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Give every row of every table."""
    tables = [
        table for table in schema.metadata.sorted_tables if table not in (schema.workers, schema.policies)
    ]  # who is alive is no history
    return {table.name: sorted(map(tuple, connection.execute(select(table))), key=repr) for table in tables}


async def some_days(bench: Bench, seed: int) -> None:
    """Let cases come, be corrected and end, while channels do what channels do."""
    random = Random(seed)

    def answer(work: Work) -> Result:
        errors = (TransientError("busy"), PermanentError("never"), OutcomeUnknown("no answer"))
        return random.choice(errors) if random.random() < 0.3 else succeed(work)

    for _ in range(12):
        await bench.accept(random.choice(("opened", "updated", "ended")), f"zaak-{random.randrange(4)}")
        if random.random() < 0.7:
            await bench.work(answer)
        bench.now += random.choice((0, 10, 4000))


@pytest.mark.parametrize("seed", range(3))
async def test_what_is_restored_is_what_was_backed_up(
    database: Database, other: Database, tmp_path: Path, seed: int
) -> None:
    """From either database to either, after whatever happened: every row of every table, and so the status, is the same."""
    bench = Bench(database, TARGETS)
    await some_days(bench, seed)
    file = tmp_path / "copy"
    made = await backup.back_up(database, file)
    found = await backup.restore(other, file, None, Timing())
    before, after = await database.read(all_rows), await other.read(all_rows)
    assert after == before
    assert found == made
    assert found.rows == {name: len(rows) for name, rows in before.items()}
    again = Bench(other, TARGETS)
    assert await again.status(None) == await bench.status(None)
    again.now = bench.now + 10
    await again.accept("opened", "new")
    await again.work()
    assert len(await again.status("new")) == 1


async def test_a_backup_is_one_moment_of_a_bridge_that_runs(
    database: Database, other: Database, tmp_path: Path
) -> None:
    """While cases come in, a backup holds each of them whole or not at all."""
    bench = Bench(database, TARGETS)
    for number in range(3):
        await bench.accept("opened", f"before-{number}")
    finished = asyncio.Event()

    async def copy() -> None:
        for _ in range(3):
            await backup.back_up(database, tmp_path / "copy")
        finished.set()

    number = 0
    async with asyncio.TaskGroup() as group:
        group.create_task(copy())
        while not finished.is_set():
            await bench.accept("opened", f"case-{number}")
            await bench.accept("ended", f"case-{number}")
            number += 1
    await backup.restore(other, tmp_path / "copy", None, Timing())
    rows = await other.read(all_rows)
    names = {row[0] for row in rows["cases"]}
    assert {f"before-{number}" for number in range(3)} <= names
    assert {row[2] for row in rows["events"]} == names
    postings = [row[1] for row in rows["postings"]]
    assert all(postings.count(name) == len(TARGETS) - 1 for name in names)


async def test_a_backup_is_for_its_owner_alone_and_replaces_an_older_one(database: Database, tmp_path: Path) -> None:
    """It holds addresses and texts; and beside it nothing is left."""
    folder = tmp_path / "backups"
    folder.mkdir()
    for _ in range(2):
        await backup.back_up(database, folder / "copy")
    assert [path.name for path in folder.iterdir()] == ["copy"]
    assert (folder / "copy").stat().st_mode & 0o777 == 0o600


async def test_what_goes_wrong_leaves_the_older_backup(database: Database, tmp_path: Path) -> None:
    """A backup that comes to nothing takes no older one with it, and leaves nothing half."""
    folder = tmp_path / "backups"
    folder.mkdir()
    (folder / "copy").write_text("the one of yesterday")
    await database.write(lambda connection: connection.exec_driver_sql("ALTER TABLE facts RENAME TO gone").rowcount)
    try:
        with pytest.raises(Exception, match="facts"):
            await backup.back_up(database, folder / "copy")
    finally:
        await database.write(lambda connection: connection.exec_driver_sql("ALTER TABLE gone RENAME TO facts").rowcount)
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [("copy", "the one of yesterday")]


async def test_a_store_that_is_not_empty_is_left_alone(database: Database, tmp_path: Path) -> None:
    """Nobody's cases are mixed with another's, or overwritten."""
    bench = Bench(database, TARGETS)
    await bench.accept("opened")
    await backup.back_up(database, tmp_path / "copy")
    before = await database.read(all_rows)
    with pytest.raises(BridgeError, match="not empty"):
        await backup.restore(database, tmp_path / "copy", None, Timing())
    assert await database.read(all_rows) == before


async def test_a_file_of_a_newer_version_is_refused_in_one_sentence(database: Database, tmp_path: Path) -> None:
    """A schema that this version has not heard of is named, and nothing is tried."""
    file = tmp_path / "copy"
    await backup.back_up(database, file)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(BridgeError, match=r"newer version of the bridge \(schema 9999; this one knows up to"):
        await backup.restore(database, file, None, Timing())


async def test_a_file_of_an_older_version_is_migrated_on_its_way(database: Database, tmp_path: Path) -> None:
    """A backup from before this schema comes back in this one; the file itself stays as it was."""
    file = tmp_path / "copy"
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0001")
        connection.execute(text("CREATE TABLE backup (made DOUBLE NOT NULL)"))
        connection.execute(text("INSERT INTO backup VALUES (1.0)"))
        connection.execute(text("INSERT INTO facts VALUES ('instance', 'abc')"))
    engine.dispose()
    whole = file.read_bytes()
    found = await backup.restore(database, file, None, Timing())
    assert found.rows["facts"] == 1
    assert file.read_bytes() == whole


@pytest.mark.parametrize("what", ["nothing", "text", "sqlite"])
async def test_what_is_no_backup_is_refused(database: Database, tmp_path: Path, what: str) -> None:
    """A missing file, a text and somebody else's database are told from a backup."""
    file = tmp_path / "file"
    if what == "text":
        file.write_text("not a database at all, but long enough to be read as one" * 20)
    if what == "sqlite":
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("CREATE TABLE x (y)")
    with pytest.raises(InvalidInput, match=r"file: .* allowed: a file that burgernet-bridge backup made"):
        await backup.restore(database, file, None, Timing())


async def test_after_a_restore_boards_go_dark_and_nobody_is_mailed_twice(
    database: Database, other: Database, tmp_path: Path
) -> None:
    """What was done after the backup is forgotten; yet a board is cleared, and a mail that went out goes out once."""
    world = World()
    bench = Bench(database, TARGETS)
    await bench.accept("opened")
    await backup.back_up(database, tmp_path / "copy")  # nothing was done yet
    await bench.work(world)
    assert world.boards == {"bord"}
    assert world.mails == ["ans"]
    await backup.restore(other, tmp_path / "copy", ADAPTERS, Timing())  # the disk is lost, and with it what was done
    again = Bench(other, TARGETS)
    again.now = round(time.time()) + 2
    await again.work(world)
    assert (world.boards, world.mails, world.posts) == ({"bord"}, ["ans"], 1)
    await again.accept("ended")
    await again.work(world)
    assert (world.boards, world.mails) == (set(), ["ans", "ans"])  # and the outcome


async def test_a_mailing_that_was_being_planned_is_not_planned_on(
    database: Database, other: Database, tmp_path: Path
) -> None:
    """Who had no posting yet when the backup was made may have been mailed since, and is not mailed again (I4)."""
    bench = Bench(database, (BORD, ANS), at_a_time=1)
    await bench.accept("opened")
    await backup.back_up(database, tmp_path / "copy")
    await backup.restore(other, tmp_path / "copy", ADAPTERS, Timing())
    again = Bench(other, (BORD, ANS), at_a_time=1)
    again.now = round(time.time()) + 2
    await again.plan()
    await again.work()
    assert {name: one["applied"] for name, one in (await again.postings()).items()} == {"bord": "shown"}
    await again.accept("updated", data=alert_data(urgency="Expected"))
    await again.plan()
    await again.work()
    assert (await again.postings())["ans"]["applied"] == "shown"


class World:
    """What a board shows, what was mailed, and how many posts a page has."""

    def __init__(self) -> None:
        self.boards: set[str] = set()
        self.mails: list[str] = []
        self.posts = 0

    def __call__(self, work: Work) -> Result:
        """Do a step; a page finds a post that is there."""
        name = work.posting.target.id
        if work.posting.target.adapter == "http_sign":
            self.boards |= {name} if work.step in (Step.PUBLISH, Step.UPDATE) else set()
            self.boards -= {name} if work.step is Step.RETRACT else set()
        elif work.posting.target.adapter == "email":
            self.mails.append(name)
        elif work.step is Step.PUBLISH and name == "pagina":
            self.posts += 1
        elif work.step is Step.FIND:
            return succeed(work) if self.posts else None
        return succeed(work)


async def test_a_plan_that_was_half_done_is_finished_for_boards_alone(
    database: Database, other: Database, tmp_path: Path
) -> None:
    """A correction forbids a case on boards, and the backup is made in mid-plan: all go dark, and nobody is mailed anew."""
    boards = tuple(target(f"bord-{number}") for number in range(6))
    bench = Bench(database, (*boards, ANS), at_a_time=2)
    await bench.accept("opened")
    await bench.plan()
    await bench.work()
    mails = (await bench.postings())["ans"]["applied"]
    await bench.accept("updated", data=alert_data(category="suspect"))  # judged: the first two boards
    await backup.back_up(database, tmp_path / "copy")
    await backup.restore(other, tmp_path / "copy", ADAPTERS, Timing())
    again = Bench(other, (*boards, ANS), at_a_time=2)
    again.now = other.clock() + 10
    await again.intake.replan()
    await again.plan()
    again.now += 1
    await again.work()
    stands = await again.stand()
    assert [stands[board.id][1] for board in boards] == ["gone"] * 6
    assert (mails, stands["ans"][1]) == ("shown", "shown")


async def test_a_backup_is_never_written_over_the_store_itself(database: Database, tmp_path: Path) -> None:
    """The store's own file, its log and a folder are refused, and stay as they are."""
    store = database.path
    places = [tmp_path, *([store, store.with_name(f"{store.name}-wal")] if store else [])]
    for place in places:
        with pytest.raises(InvalidInput, match="is a folder, or the store itself"):
            await backup.back_up(database, place)
    assert await database.read(all_rows)
