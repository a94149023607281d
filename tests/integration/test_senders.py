"""Who may speak for which source (``queue.senders``), with users and permissions of a real RabbitMQ."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from aio_pika.exceptions import AMQPError, ChannelPreconditionFailed
from pydantic import ValidationError
from yarl import URL

from bridge.core.events import Event
from bridge.intake.amqp import send_events
from bridge.intake.dead_letters import list_dead, replay
from bridge.settings import QueueSettings
from tests.integration.broker_bench import DEADLINE, Bench, Case, ended, open_bench, running, until
from tests.integration.conftest import missing

SERVICES = Path(__file__).parents[2] / "scripts" / "services.py"
BRIDGE, LEIDEN, UTRECHT, SHOVEL = "t-bridge", "t-leiden", "t-utrecht", "t-shovel"
OURS, THEIRS = "urn:nld:oin:00000001003214345000:systeem:meldkamer", "urn:nld:oin:00000002003214345000:systeem:x"
TABLE = {LEIDEN: [OURS], UTRECHT: ["urn:nld:oin:00000002*"]}


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Make the users as a definitions file would: the bridge may do all, a publisher may only publish."""
    tags = {SHOVEL: ["impersonator"]}
    only_write = {"configure": "^$", "write": r"^(t\..*|amq\.default)$", "read": "^$"}
    rights = {BRIDGE: {"configure": ".*", "write": ".*", "read": ".*"}}
    names = (BRIDGE, LEIDEN, UTRECHT, SHOVEL)
    file = tmp_path_factory.mktemp("users") / "definitions.json"
    definitions = {
        "users": [{"name": name, "password": name, "tags": tags.get(name, [])} for name in names],
        "permissions": [{"user": name, "vhost": "/", **rights.get(name, only_write)} for name in names],
    }
    file.write_text(json.dumps(definitions))
    command = [sys.executable, SERVICES, "rabbitmqctl", "import_definitions", file]
    made = subprocess.run(command, check=False, timeout=DEADLINE * 4, capture_output=True, text=True)
    if made.returncode:
        missing(f"users cannot be made on this broker: {made.stderr}")


def login(url: str, user: str) -> str:
    """Give the broker's URL for one of the users, whose password is the name."""
    return str(URL(url).with_user(user).with_password(user))


@pytest.fixture
async def bench(amqp_url: str, users: None) -> AsyncIterator[Bench]:
    """Give a bench whose bridge has a login of its own and a table of senders."""
    async with open_bench(amqp_url, senders=TABLE) as bench:
        bench.settings = bench.having(url=login(amqp_url, BRIDGE))
        yield bench


@asynccontextmanager
async def logged_in(bench: Bench, user: str) -> AsyncIterator[Bench]:
    """Give the bench a hand on the broker that is this user's."""
    async with asyncio.timeout(DEADLINE):
        while True:  # the broker takes definitions in its own time
            try:
                connection = await aio_pika.connect(
                    login(bench.settings.url.get_secret_value(), user), timeout=DEADLINE
                )
                break
            except AMQPError:
                await asyncio.sleep(0.05)
    async with connection:
        yield replace(bench, connection=connection, channel=await connection.channel(on_return_raises=True))


async def publish(bench: Bench, user: str, body: bytes, **properties: Any) -> None:
    """Publish one message as a user who gives that name."""
    async with logged_in(bench, user) as hand:
        await hand.put(body, **{"user_id": user, **properties})


def case_of(bench: Bench, **changes: Any) -> tuple[Case, Any]:
    """Give a use case and an intake that leads to it, with changed settings."""
    case = Case()
    return case, case.intake(bench.having(**changes))


async def refused(bench: Bench, intake: Any, case: Case, count: int = 1) -> list[str]:
    """Let the intake run until so many messages are refused; give the reasons that wait among the dead letters."""
    async with running(intake):
        await until(lambda: case.results.count("unreadable") == count)
    return [letter.error for letter in await list_dead(bench.settings)]


async def start(bench: Bench) -> None:
    """Let the queues be there, as a bridge leaves them."""
    async with running(Case().intake(bench.settings)):
        await bench.consumed()


async def test_each_speaks_for_its_own_source(bench: Bench) -> None:
    """A user is heard for the source that the table gives it, by name or by its beginning."""
    case, intake = case_of(bench)
    await start(bench)
    await publish(bench, LEIDEN, ended("a", source=OURS))
    await publish(bench, UTRECHT, ended("b", source=THEIRS))
    async with running(intake):
        await until(lambda: case.results == ["applied", "applied"])


@pytest.mark.parametrize(
    ("user", "source", "allowed"),
    [
        (LEIDEN, THEIRS, OURS),
        (LEIDEN, f"{OURS}x", OURS),
        (UTRECHT, OURS, "urn:nld:oin:00000002*"),
        (SHOVEL, OURS, "none, for queue.senders does not name this user"),
    ],
)
async def test_nobody_speaks_for_another(bench: Bench, user: str, source: str, allowed: str) -> None:
    """An event in the name of another is put aside; the reason names user, source and what is allowed."""
    case, intake = case_of(bench)
    await start(bench)
    await publish(bench, user, ended("a", source=source))
    line = f"source: '{source}' is not for the broker user '{user}' to speak for; allowed: {allowed}"
    assert await refused(bench, intake, case) == [line]
    assert case.events == []


async def test_the_broker_vouches_for_the_name(bench: Bench) -> None:
    """RabbitMQ takes no message in which a user gives another's name; that is what the table rests on."""
    await start(bench)
    async with logged_in(bench, LEIDEN) as hand:
        with pytest.raises(ChannelPreconditionFailed):
            await hand.put(ended("a", source=THEIRS), user_id=UTRECHT)
    assert await bench.ready() == 0


async def test_without_a_name_nobody_is_heard(bench: Bench) -> None:
    """A message without ``user_id`` is refused, whatever its headers claim."""
    case, intake = case_of(bench)
    await start(bench)
    await publish(bench, LEIDEN, ended("a", source=OURS), user_id=None, headers={"x-bridge-user": LEIDEN})
    assert await refused(bench, intake, case) == [
        f"user_id: is missing, so nobody vouches for source '{OURS}'; allowed: the publisher's user"
    ]


async def test_an_impersonator_speaks_as_whom_it_names(bench: Bench) -> None:
    """A user with RabbitMQ's tag ``impersonator``, as a shovel may have, is taken for whom it names."""
    case, intake = case_of(bench)
    await start(bench)
    await publish(bench, SHOVEL, ended("a", source=OURS), user_id=LEIDEN)
    async with running(intake):
        await until(lambda: case.results == ["applied"])


async def test_a_replayed_letter_keeps_its_speaker(bench: Bench) -> None:
    """Put back, a refused letter is judged as its first publisher's again: refused, until the table allows it."""
    case, intake = case_of(bench)
    await start(bench)
    forged = {"x-bridge-user": UTRECHT}
    await publish(bench, LEIDEN, ended("a", source=THEIRS), headers=forged)
    [first] = await refused(bench, intake, case)
    assert f"the broker user '{LEIDEN}'" in first
    [letter] = await list_dead(bench.settings)
    assert letter.headers["x-bridge-user"] == LEIDEN
    assert await replay(bench.settings) == 1
    again, intake = case_of(bench)
    assert await refused(bench, intake, again) == [first]
    assert await replay(bench.settings) == 1
    case, intake = case_of(bench, senders={LEIDEN: ["*"]})
    async with running(intake):
        await until(lambda: case.results == ["applied"])


async def test_replaying_makes_nobody_the_bridge(bench: Bench) -> None:
    """A letter that nobody vouched for stays so, though the bridge puts it back and may itself speak for all."""
    changed = {"senders": {BRIDGE: ["*"]}}
    case, intake = case_of(bench, **changed)
    await start(bench)
    await publish(bench, LEIDEN, ended("a", source=OURS), user_id=None)
    [first] = await refused(bench, intake, case)
    assert await replay(bench.having(**changed)) == 1
    case, intake = case_of(bench, **changed)
    assert await refused(bench, intake, case) == [first]


async def test_a_letter_slipped_among_the_dead_speaks_for_its_publisher(bench: Bench) -> None:
    """Who can write to the dead letters gains nothing: its header is not believed when the letter is put back."""
    case, intake = case_of(bench)
    await start(bench)
    async with logged_in(bench, LEIDEN) as hand:
        forged = {"x-bridge-user": UTRECHT}
        await hand.put(ended("a", source=THEIRS), exchange="", key=bench.dead, user_id=LEIDEN, headers=forged)
    assert await replay(bench.settings) == 1
    [line] = await refused(bench, intake, case)
    assert f"the broker user '{LEIDEN}'" in line


async def test_a_letter_that_kept_failing_keeps_its_speaker(bench: Bench) -> None:
    """What the broker itself put aside, after too many failures of ours, is its publisher's again when put back."""

    async def fail(_: Event) -> None:
        raise RuntimeError

    async with open_bench(str(URL(bench.settings.url.get_secret_value())), delivery_limit=1, senders=TABLE) as one:
        await start(one)
        await publish(one, LEIDEN, ended("a", source=OURS))
        case, intake = case_of(one)
        case.before = fail
        async with running(intake):
            async with asyncio.timeout(DEADLINE):
                while not (letters := await list_dead(one.settings)):
                    await asyncio.sleep(0.05)
        assert letters[0].error.startswith("delivery_limit")
        assert await replay(one.settings) == 1
        case, intake = case_of(one)
        async with running(intake):
            await until(lambda: case.results == ["applied"])


async def test_the_command_sends_as_its_own_user(bench: Bench) -> None:
    """``send`` gives its own login, so that the table can let it speak."""
    case, intake = case_of(bench, senders={BRIDGE: ["urn:test"]})
    await start(bench)
    await send_events(bench.settings, [ended("a")])
    async with running(intake):
        await until(lambda: case.results == ["applied"])


@pytest.mark.parametrize(
    "table", [{"": ["x"]}, {"a": []}, {"a": [""]}, {"a": ["*:x"]}, {"a": "urn:x"}, ["a"], {"a": [1]}]
)
def test_a_table_that_says_nothing_is_refused(table: Any) -> None:
    """An empty name, an empty list or source, and a star elsewhere than at the end are faults of the configuration."""
    with pytest.raises(ValidationError):
        QueueSettings(senders=table)
