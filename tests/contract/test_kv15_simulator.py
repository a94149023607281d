"""The KV15 receiver that exists only here: what it shows, forgets, refuses and tells."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import aiohttp
import pytest
from rich.console import Console

from bridge.core.errors import OutcomeUnknown
from bridge.protocols.kv15 import Envelope, Key, StopMessage, read_answer, write_push
from bridge.simulators.fault import Fault
from bridge.simulators.kv15 import Kv15Simulator
from bridge.store.counters import CounterStore
from tests.contract.kv15_bench import a_counter, an_adapter, connected, content, posting_at, seen

NOW = datetime(2026, 11, 26, 19, 0, tzinfo=UTC)
KEY = Key("HTM", "2026-11-26", 1)


class Clock:
    """A time that only we change."""

    now = NOW

    def __call__(self) -> datetime:
        """Give it."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Give seven in the evening."""
    return Clock()


@pytest.fixture
async def receiver(clock: Clock) -> AsyncIterator[Kv15Simulator]:
    """Give a receiver without messages."""
    async with Kv15Simulator(clock=clock) as receiver:
        yield receiver


def dossier(*contents: str, deletes: tuple[Key, ...] = (), number: int = 1, minutes: float = 15) -> bytes:
    """Write a dossier with messages for stops 1 and 2."""
    ends = NOW + timedelta(minutes=minutes)
    messages = [
        StopMessage(KEY._replace(number=count), ("1", "2"), text, NOW, ends)
        for count, text in enumerate(contents, number)
    ]
    return write_push(Envelope("test", "BISON 8.3.0.0", NOW), deletes, messages)


async def post(receiver: Kv15Simulator, body: bytes, content_type: str = "application/xml") -> str | None:
    """Send it; give the code of the answer, which comes with HTTP 200 always."""
    async with (
        aiohttp.ClientSession() as http,
        http.post(receiver.url, data=body, headers={"Content-Type": content_type}) as answer,
    ):
        assert answer.status == 200
        return read_answer(await answer.read())


async def test_a_message_ends_by_itself(receiver: Kv15Simulator, clock: Clock) -> None:
    """At its end a message is gone, to the second."""
    assert await post(receiver, dossier("Kind vermist")) == "OK"
    clock.now += timedelta(minutes=15, seconds=-1)
    assert receiver.shown() == ["Kind vermist"]
    clock.now += timedelta(seconds=1)
    assert receiver.shown() == []


async def test_a_dossier_is_taken_whole_or_not_at_all(receiver: Kv15Simulator) -> None:
    """A number that was used before, even of a message that is gone, spoils the whole dossier."""
    assert await post(receiver, dossier("een", "twee")) == "OK"
    assert await post(receiver, dossier("drie", "vier", number=2, deletes=(KEY,))) == "PE"
    assert receiver.shown() == ["een", "twee"]
    assert await post(receiver, dossier(deletes=(KEY, KEY._replace(number=77)))) == "OK"
    assert receiver.shown() == ["twee"]
    assert await post(receiver, dossier("een")) == "PE"


@pytest.mark.parametrize("content_type", ["text/plain", "application/json", "application/gzip"])
async def test_another_type_is_refused(receiver: Kv15Simulator, content_type: str) -> None:
    """What is not said to be XML, or said to be packed and is not, is a protocol error."""
    assert await post(receiver, dossier("x"), content_type) == "PE"
    assert receiver.shown() == []


async def test_the_carrier_overrules(receiver: Kv15Simulator) -> None:
    """What the carrier writes stands alone at the stops; a reboot forgets all."""
    await post(receiver, dossier("Kind vermist"))
    receiver.write("REIS VEILIG")
    assert receiver.shown() == receiver.at("1") == receiver.at("2") == ["REIS VEILIG"]
    receiver.reboot()
    assert receiver.shown() == []


async def test_its_picture_has_what_it_shows(receiver: Kv15Simulator) -> None:
    """Each stop is drawn with its text, which is no markup; before the first one it is dark."""
    drawn = StringIO()
    console = Console(file=drawn, width=80)
    console.print(receiver.picture())
    assert " dark " in drawn.getvalue()
    await post(receiver, dossier("[bold]Kind vermist"))
    console.print(receiver.picture())
    for words in ("stop 1", "stop 2", "[bold]Kind vermist", receiver.url):
        assert words in drawn.getvalue()


@pytest.fixture
async def counter(tmp_path: Path) -> AsyncIterator[CounterStore]:
    """Give a store that counts."""
    async with a_counter(tmp_path) as counter:
        yield counter


async def test_a_receiver_that_drops_what_comes(receiver: Kv15Simulator, counter: CounterStore) -> None:
    """With that fault nothing is taken, and nobody can know it."""
    receiver.faults = {Fault.UNREACHABLE}
    async with an_adapter(counter) as adapter:
        with pytest.raises(OutcomeUnknown, match="connection broke"):
            await adapter.publish(posting_at(f"{receiver.url}#HTM:1"), content())
    assert receiver.dossiers == []


async def test_what_others_write_is_not_ours(counter: CounterStore) -> None:
    """The carrier's own message on the feed changes nothing of what is told about ours."""
    async with Kv15Simulator(kv8_port=0) as receiver, an_adapter(counter, kv8_url=receiver.kv8_url) as adapter:
        await connected(receiver)
        receipt = await adapter.publish(posting_at(f"{receiver.url}#HTM:1"), content())
        receiver.write("REIS VEILIG")
        assert await seen(adapter, receipt, lambda found: found.present)
        await adapter.retract(receipt)
        await seen(adapter, receipt, lambda found: not found.present)
    assert receiver.shown() == ["REIS VEILIG"]


async def test_the_feed_comes_back(counter: CounterStore) -> None:
    """A feed that was away is listened to again, at the same port, without anybody's doing."""
    async with Kv15Simulator(kv8_port=0) as receiver, an_adapter(counter, kv8_url=receiver.kv8_url) as adapter:
        await connected(receiver)
        await receiver.stop()
        assert receiver.listeners == 0
        await receiver.start()
        await connected(receiver)
        receipt = await adapter.publish(posting_at(f"{receiver.url}#HTM:1"), content())
        assert await seen(adapter, receipt, lambda found: found.present)
