"""Rules, targets and templates read anew: wishes that cross, a store that is away or hangs, files half written."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import yaml

from bridge import bootstrap
from bridge.adapters.registry import find_adapters
from bridge.core.errors import InvalidInput
from bridge.policy import PACKAGED, Configured, Current, load_rules
from bridge.reload import Reloader, read_anew
from bridge.settings import Loaded, load_settings
from bridge.store import policies
from bridge.store.database import Database
from bridge.store.policies import InUse
from tests.integration.broker_bench import Way
from tests.integration.spine_store import database_fixture, masters_fixture, store_url  # noqa: F401

PATIENCE = 20.0  # seconds
SHIPPED = (PACKAGED / "rules.yaml").read_text("utf-8")
MORE = {"name": "meer", "effect": "deny", "channels": ["facebook"], "reason": {"nl": "nee", "en": "no"}}
on_postgres = pytest.mark.parametrize("store_url", ["postgres"], indirect=True)


class Files:
    """An administrator's files, and how a process reads them; a test may hold a reading up when it has begun."""

    def __init__(self, loaded: Loaded, read: Callable[[], tuple[Configured, tuple[str, ...]]]) -> None:
        self.loaded = loaded
        self.folder = loaded.path("rules.yaml").parent
        self.readings = 0
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self._read = read

    def write(self, *more: object) -> None:
        """Write the shipped rules, and some more."""
        shipped = yaml.safe_load(SHIPPED)["rules"]
        (self.folder / "rules.yaml").write_text(yaml.safe_dump({"rules": [*shipped, *more]}), "utf-8")

    @staticmethod
    def refuse() -> tuple[Configured, tuple[str, ...]]:
        """Read files that have a fault."""
        raise InvalidInput("a fault")

    def read(self) -> tuple[Configured, tuple[str, ...]]:
        """Read them as the bridge does."""
        found = self._read()
        self.readings += 1
        self.may_go_on.wait(PATIENCE)
        return found


@pytest.fixture
async def files(tmp_path: Path) -> Files:
    """Give files with the shipped rules, without targets."""
    (tmp_path / "bridge.yaml").write_text("rules: rules.yaml\n")
    (tmp_path / "rules.yaml").write_text(SHIPPED, "utf-8")
    loaded = load_settings(tmp_path / "bridge.yaml")
    async with bootstrap.open_policy(loaded) as (adapters, _):
        capabilities = {name: adapter.capabilities for name, adapter in adapters.items()}
    return Files(loaded, partial(read_anew, loaded, find_adapters(), capabilities))


@asynccontextmanager
async def running(
    database: Database, files: Files, name: str = "one", like: Current | None = None
) -> AsyncIterator[tuple[Reloader, Current]]:
    """Run a process's reloader, until the end; ``like``: the process starts with what decides in that one."""
    current = Current(like.configured if like else files.read()[0])
    reloader = Reloader(database, current, files.read, name, poll=0.02)
    task = asyncio.create_task(reloader.run())
    try:
        yield reloader, current
        assert not task.done(), "whatever comes, it goes on"
    finally:
        files.may_go_on.set()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


async def wish(database: Database) -> int:
    """Wish a reload, as the command does."""
    return await database.write(lambda connection: policies.wish(connection, database.clock()))


async def answers(database: Database, number: int, count: int = 1) -> dict[str, InUse]:
    """Wait until so many processes have answered a wish, and give the answers."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = await database.read(partial(policies.answers, number=number))
            if len(found) >= count:
                return found
            await asyncio.sleep(0.01)


@contextmanager
def held(files: Files) -> Iterator[None]:
    """Let a reading take as long as this lasts, after it has seen the files."""
    files.may_go_on.clear()
    try:
        yield
    finally:
        files.may_go_on.set()


def rules_in(current: Current) -> int:
    """Count the rules that decide."""
    return len(current.configured.policy.rules)


async def test_two_wishes_at_once_are_two(database: Database, files: Files) -> None:
    """Two administrators at the same moment get numbers of their own, and both get their answer."""
    async with running(database, files) as (_, current):
        await answers(database, 0)
        files.write(MORE)
        first, second = sorted(await asyncio.gather(wish(database), wish(database)))
        assert (first, second) == (1, 2)
        for number in (first, second):
            [mine] = (await answers(database, number)).values()
            assert mine.rules == rules_in(current) == len(yaml.safe_load(SHIPPED)["rules"]) + 1


async def test_what_is_written_during_a_reading_is_read_too(database: Database, files: Files) -> None:
    """A wish made while files are read is not answered by that reading, for it may have missed what was written since."""
    async with running(database, files) as (reloader, current):
        await answers(database, 0)
        before, seen = rules_in(current), files.readings
        with held(files):
            first = await wish(database)
            await until(lambda: files.readings > seen)
            files.write(MORE)
            second = await wish(database)
            reloader.hang_up()
        [mine] = (await answers(database, second)).values()
        assert (first, second, mine.rules) == (1, 2, before + 1)


@on_postgres
async def test_every_process_answers_for_itself(database: Database, files: Files) -> None:
    """Of two processes one cannot read its files: it keeps what it had and says why; the other takes over."""
    other = Files(files.loaded, files.refuse)
    async with running(database, files) as (_, one), running(database, other, "two", one) as (broken, two):
        before = rules_in(one)
        files.write(MORE)
        found = await answers(database, await wish(database), 2)
        assert (list(found["one"].error), rules_in(one)) == ([], before + 1)
        assert (list(found["two"].error), rules_in(two), broken.refused) == (["a fault"], before, True)
        assert found["one"].digest != found["two"].digest


@on_postgres
@pytest.mark.parametrize("silent", [False, True], ids=["refuses", "silent"])
async def test_hang_up_needs_no_store(database: Database, files: Files, *, silent: bool) -> None:
    """A store that refuses or says nothing holds up no SIGHUP; when it is back it hears what decides."""
    way = Way(database.url.render_as_string(hide_password=False))
    await way.open()
    afar = Database(way.url)
    try:
        async with running(afar, files) as (reloader, current):
            await answers(database, 0)
            before, number = rules_in(current), await wish(database)
            await answers(database, number)
            (way.freeze if silent else way.close)()
            files.write(MORE)
            late = await wish(database)
            reloader.hang_up()
            await until(lambda: rules_in(current) == before + 1)
            assert reloader.not_ready is None
            assert not await database.read(partial(policies.answers, number=late))
            way.thaw()
            if not silent:
                await way.open()
            [mine] = (await answers(database, late)).values()
            assert mine.rules == before + 1
    finally:
        way.thaw()
        way.close()
        await afar.close()


def test_a_file_half_written(files: Files) -> None:
    """Rules cut off at any byte are refused, or are the first rules as they were written but for the last one's words.

    What ends between two rules cannot be told from a shorter file: that is why the answer counts them.
    """
    channels = files.read()[0].space.channels
    whole = load_rules(files.loaded, channels)[1].rules
    raw = SHIPPED.encode()
    counted = []
    for end in range(0, len(raw), 97):
        (files.folder / "rules.yaml").write_bytes(raw[:end])
        with suppress(InvalidInput):
            found = load_rules(files.loaded, channels)[1].rules
            counted.append(len(found))
            assert list(found[:-1]) == list(whole[: len(found) - 1])
            assert found[-1].effect == whole[len(found) - 1].effect
    assert counted == sorted(counted)
    assert 0 not in counted


@pytest.mark.parametrize("what", [b"", b"rules:\n  - name: x\n    eff", b"\xff\xfe\x00", b"rules: ["])
async def test_what_cannot_be_read_changes_nothing(database: Database, files: Files, what: bytes) -> None:
    """An empty, cut or unreadable file is refused, and the same rules decide as before; mended, it is taken over."""
    async with running(database, files) as (reloader, current):
        good = current.configured
        (files.folder / "rules.yaml").write_bytes(what)
        [mine] = (await answers(database, await wish(database))).values()
        assert mine.error
        assert current.configured is good
        assert reloader.refused
        files.write(MORE)
        [mine] = (await answers(database, await wish(database))).values()
        assert not mine.error
        assert (rules_in(current), reloader.refused) == (len(good.policy.rules) + 1, False)
