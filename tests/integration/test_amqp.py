"""Events from a real RabbitMQ: what is read, in which order, and what becomes of what cannot be read or fails."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from aio_pika import DeliveryMode
from aio_pika.exceptions import ChannelPreconditionFailed
from structlog.testing import capture_logs

from bridge.core.errors import StoreUnavailable
from bridge.core.events import MAX_BODY, Event
from bridge.intake.broker import linked
from tests.integration.broker_bench import Bench, Case, ended, running, until, until_equal

STRUCTURED = "application/cloudevents+json"


class Gate:
    """Holds the events of some cases until it is opened, and remembers who stands before it."""

    def __init__(self, *cases: str) -> None:
        self._cases = cases
        self._open = asyncio.Event()
        self.waiting: list[str] = []

    async def __call__(self, event: Event) -> None:
        """Be passed."""
        if not self._cases or event.subject in self._cases:
            self.waiting.append(event.id)
            await self._open.wait()

    def open(self) -> None:
        """Let everyone through."""
        self._open.set()


# Reading


@pytest.mark.parametrize("content_type", [STRUCTURED, f"{STRUCTURED}; charset=utf-8", "application/json", "", None])
async def test_structured_events_are_read(bench: Bench, content_type: str | None) -> None:
    """A structured event is accepted and taken off the queue, whatever its content type says."""
    case = Case()
    async with running(case.intake(bench.settings)) as task:
        await bench.consumed()
        await bench.put(ended("a"), content_type=content_type)
        await until(lambda: case.results == ["applied"])
        assert not task.done()
    assert case.events == ["a-0"]
    assert await bench.ready() == 0


@pytest.mark.parametrize("prefix", ["cloudEvents:", "cloudEvents_"])
async def test_binary_events_are_read(bench: Bench, prefix: str) -> None:
    """An event whose attributes are headers is accepted, in both spellings."""
    case = Case()
    fields = json.loads(ended("a"))
    data = json.dumps(fields.pop("data")).encode()
    headers = {f"{prefix}{name}": value for name, value in fields.items()} | {f"{prefix}sequence": 7, "other": 1}
    async with running(case.intake(bench.settings)):
        await bench.consumed()
        await bench.put(data, headers=headers, content_type="application/json")
        await until(lambda: case.results == ["applied"])


async def test_the_default_exchange_leads_here_too(bench: Bench) -> None:
    """A publisher may name the queue itself."""
    case = Case()
    async with running(case.intake(bench.settings)):
        await bench.consumed()
        await bench.put(ended("a"), exchange="", key=bench.settings.name)
        await until(lambda: case.results == ["applied"])


UNREADABLE: list[tuple[bytes, dict[str, Any], str]] = [
    (b"not json \xff", {}, "body: not JSON"),
    (ended("a", type="nl.burgernet.alert.opende"), {}, "type: "),
    (ended("a", time="2026-11-22T10:15:00"), {}, "time: "),
    (b"[" + ended("a") + b"]", {"content_type": "application/cloudevents-batch+json"}, "content type: "),
    (ended("a"), {"content_encoding": "gzip"}, "content encoding: "),
    (b" " * (MAX_BODY + 1), {}, "body: 1000001 bytes"),
    (b"{}", {"headers": {"cloudEvents:id": "x"}, "content_type": "text/plain"}, "datacontenttype: "),
    (b"[" * 200_000, {}, "body: not JSON"),
]


@pytest.mark.parametrize(("body", "properties", "error"), UNREADABLE, ids=[error for *_, error in UNREADABLE])
async def test_the_unreadable_is_put_aside_with_the_reason(
    bench: Bench, body: bytes, properties: dict[str, Any], error: str
) -> None:
    """What is no event goes to the dead letters at once, with the reason in one line; the next event is read."""
    case = Case()
    async with running(case.intake(bench.settings)):
        await bench.consumed()
        await bench.put(body, **properties)
        await bench.put(ended("b"))
        letter = await bench.take(bench.dead)
        await until(lambda: sorted(case.results) == ["applied", "unreadable"])
    line = letter.headers["x-bridge-error"]
    assert isinstance(line, str)
    assert line.startswith(error)
    assert line.isprintable()
    assert len(line) <= 500
    assert letter.body == body
    assert await bench.ready() == 0


async def test_a_dead_letter_is_what_was_sent(bench: Bench) -> None:
    """Properties and headers survive, those included that the library cannot write; no expiry and no CC go along."""
    properties: dict[str, Any] = {
        "content_type": "text/x-odd",
        "correlation_id": "c",
        "message_id": "m",
        "app_id": "app",
        "type": "t",
        "reply_to": "r",
        "priority": 3,
        "timestamp": datetime(2026, 11, 22, tzinfo=UTC),
    }
    headers = {"half": 0.5, "deep": {"list": [1, None, "é"]}, "raw": bytearray(b"\xff"), "CC": ["elsewhere"]}
    case = Case()
    async with running(case.intake(bench.settings)):
        await bench.consumed()
        await bench.put(b"?", expiration=3600, user_id="guest", headers=headers, **properties)
        letter = await bench.take(bench.dead)
    assert {name: getattr(letter, name) for name in properties} == properties
    assert letter.delivery_mode is DeliveryMode.PERSISTENT
    assert (letter.expiration, letter.user_id) == (None, None)
    kept = {name: value for name, value in letter.headers.items() if not name.startswith("x-")}
    assert kept == {"half": "0.5", "deep": {"list": [1, None, "é"]}, "raw": bytearray(b"\xff")}


async def test_the_log_names_the_field_and_not_what_it_said(bench: Bench) -> None:
    """An unreadable message leaves no word of its text in the log (I6)."""
    case = Case()
    with capture_logs() as logs:
        async with running(case.intake(bench.settings)):
            await bench.consumed()
            await bench.put(ended("a", data={"outcome": "Jan Jansen is terecht"}))
            await until(lambda: case.results == ["unreadable"])
    assert [log["fields"] for log in logs if "fields" in log] == [["data.outcome"]]
    assert "Jansen" not in str(logs)


async def test_nothing_is_lost_while_the_dead_letters_have_no_queue(bench: Bench) -> None:
    """What cannot be put aside comes again, and is put aside when the queue of dead letters is back."""
    case = Case()
    intake = case.intake(bench.settings)
    async with running(intake):
        await bench.consumed()
        await bench.put(b"1")
        await until(lambda: case.results == ["unreadable"])
        await bench.channel.queue_delete(bench.dead)
        await bench.put(b"2")
        await until(lambda: "put aside" in (intake.not_ready or ""))
        await until(lambda: case.results == ["unreadable", "unreadable"])
        assert intake.not_ready is None
    assert (await bench.take(bench.dead)).body == b"2"


# Order and bounds


async def test_one_case_goes_in_order_and_holds_up_no_other(bench: Bench) -> None:
    """While the first event of a case is being accepted its others wait their turn, and other cases go on."""
    gate = Gate("slow")
    case = Case(before=gate)
    async with running(case.intake(bench.settings)):
        await bench.consumed()
        for number in range(8):
            await bench.put(ended("slow", number))
            await bench.put(ended("quick", number))
        await until(lambda: len(case.events) == 8)
        assert gate.waiting == ["slow-0"]
        gate.open()
        await until(lambda: len(case.results) == 16)
    assert [event for event in case.events if event.startswith("slow")] == [f"slow-{number}" for number in range(8)]
    assert [event for event in case.events if event.startswith("quick")] == [f"quick-{number}" for number in range(8)]


async def test_no_more_than_the_prefetch_is_in_hand(bench: Bench) -> None:
    """Memory is bounded: the rest waits at the broker."""
    gate = Gate()
    case = Case(before=gate)
    async with running(case.intake(bench.having(prefetch=3))):
        await bench.consumed()
        for number in range(10):
            await bench.put(ended(f"case-{number}"))
        await until_equal(bench.ready, 7)
        assert len(gate.waiting) == 3
        gate.open()
        await until(lambda: len(case.results) == 10)


# Our own failures


async def test_events_are_held_while_the_store_is_down(bench: Bench) -> None:
    """A store that is away costs no delivery: events wait here, in order, it is logged once, and all are kept after."""
    down = True
    refused = 0

    async def before(event: Event) -> None:
        nonlocal refused
        assert event
        if down:
            refused += 1
            raise StoreUnavailable("the database did not answer")

    case = Case(before=before)
    intake = case.intake(bench.having(delivery_limit=1))
    with capture_logs() as logs:
        async with running(intake):
            await bench.consumed()
            for number in range(3):
                await bench.put(ended("a", number))
            await bench.put(ended("b"))
            await until(lambda: refused >= 8)
            assert "the database did not answer" in (intake.not_ready or "")
            down = False
            await until(lambda: case.results == ["applied"] * 4)
            assert intake.not_ready is None
    assert [event for event in case.events if event.startswith("a")] == ["a-0", "a-1", "a-2"]
    assert [log["event"] for log in logs].count("events wait for the store") == 1
    assert await bench.ready() == await bench.ready(bench.dead) == 0


async def test_what_fails_on_our_side_comes_again_and_dies_after_the_limit(bench: Bench) -> None:
    """A fault of ours blocks nobody, is tried again, and ends in the dead letters by the broker's limit."""

    async def before(event: Event) -> None:
        if event.id == "poison-0":
            raise ZeroDivisionError("with the text of the alert")

    case = Case(before=before)
    with capture_logs() as logs:
        async with running(case.intake(bench.having(delivery_limit=1))):
            await bench.consumed()
            await bench.put(ended("poison", 0))
            await bench.put(ended("poison", 1))
            await bench.put(ended("other"))
            await until(lambda: case.results == ["failed", "applied", "applied"])
            letter = await bench.take(bench.dead)
    assert case.results == ["failed", "applied", "applied", "failed"]
    assert letter.body == ended("poison", 0)
    assert letter.headers["x-death"][0]["reason"] == "delivery_limit"  # type: ignore[index]
    faults = [log for log in logs if log["event"].startswith("event failed")]
    assert [(log["error"], log["failures"], log["retry_in"]) for log in faults] == [
        ("ZeroDivisionError", 1, 1.0),
        ("ZeroDivisionError", 2, 2.0),
    ]
    assert faults[0]["at"].startswith("test_amqp.py:")
    assert "text of the alert" not in str(logs)


# Topology


async def test_many_that_fail_leave_room_for_an_ending(bench: Bench) -> None:
    """More faulty events than may be in hand at a time do not keep an ending from being taken."""

    async def before(event: Event) -> None:
        if event.id.startswith("poison"):
            raise ZeroDivisionError

    case = Case(before=before)
    async with running(case.intake(bench.having(prefetch=8))):
        await bench.consumed()
        for number in range(12):
            await bench.put(ended(f"poison{number}"))
        await until(lambda: case.results.count("failed") >= 12)
        await bench.put(ended("other"))
        await until(lambda: "other-0" in case.events)


async def test_the_topology_is_what_the_contract_says(bench: Bench) -> None:
    """Exchanges and queues are declared as design 3.2 names them; who thinks otherwise is refused."""
    async with linked(bench.settings, "test"):
        pass
    channel, settings = bench.channel, bench.settings
    await channel.declare_exchange(settings.exchange, "topic", durable=True)
    await channel.declare_exchange(settings.status_exchange, "topic", durable=True)
    await channel.declare_exchange(settings.dead_exchange, "direct", durable=True)
    arguments = {
        "x-queue-type": "quorum",
        "x-delivery-limit": 20,
        "x-dead-letter-exchange": settings.dead_exchange,
        "x-dead-letter-routing-key": settings.name,
    }
    await channel.declare_queue(settings.name, durable=True, arguments=arguments)
    other = await bench.connection.channel()
    with pytest.raises(ChannelPreconditionFailed):
        await other.declare_queue(settings.name, durable=True, arguments=arguments | {"x-delivery-limit": 21})


async def test_without_declare_the_topology_is_only_checked(bench: Bench) -> None:
    """A bridge that may not declare waits, says what is missing, and goes on when somebody has declared it."""
    case = Case()
    intake = case.intake(bench.having(declare=False, retry_max=0.1))
    async with running(intake):
        await until(lambda: "NOT_FOUND" in (intake.not_ready or ""))
        async with linked(bench.settings, "test"):
            await bench.put(ended("a"))
            await until(lambda: case.results == ["applied"])
        assert intake.not_ready is None


# Stopping


async def test_cancelled_in_the_middle_it_comes_again(bench: Bench) -> None:
    """A cancelled handler neither acknowledges nor refuses: the event comes again, to whoever is there."""
    gate = Gate()
    case = Case(before=gate)
    async with running(case.intake(bench.settings)):
        await bench.consumed()
        await bench.put(ended("a"))
        await until(lambda: gate.waiting == ["a-0"])
    assert case.results == []
    message = await bench.take(bench.settings.name)
    assert message.redelivered
    assert message.body == ended("a")


async def test_stopping_drains_what_was_begun_and_leaves_the_rest(bench: Bench) -> None:
    """After a stop the event in hand is kept and acknowledged; what waited behind it is on the queue, in order."""
    gate = Gate("a")
    case = Case(before=gate)
    intake = case.intake(bench.settings)
    async with running(intake):
        await bench.consumed()
        for number in range(3):
            await bench.put(ended("a", number))
        await until(lambda: gate.waiting == ["a-0"])
        stopping = asyncio.create_task(intake.stop_consuming())
        await until(lambda: intake.not_ready == "stopping")
        await bench.put(ended("b"))
        await until_equal(bench.ready, 1)
        assert not stopping.done()
        gate.open()
        await asyncio.wait_for(stopping, 10)
        assert case.results == ["applied"]
    assert [(await bench.take(bench.settings.name)).body for _ in range(3)] == [
        ended("a", 1),
        ended("a", 2),
        ended("b"),
    ]


async def test_stopping_does_not_wait_for_the_store(bench: Bench) -> None:
    """Events that wait for the store go back to the queue when the bridge stops."""
    refused = asyncio.Event()

    async def before(event: Event) -> None:
        assert event
        refused.set()
        raise StoreUnavailable("away")

    case = Case(before=before)
    intake = case.intake(bench.settings)
    async with running(intake):
        await bench.consumed()
        await bench.put(ended("a"))
        await asyncio.wait_for(refused.wait(), 10)
        await asyncio.wait_for(intake.stop_consuming(), 10)
        assert (await bench.take(bench.settings.name)).body == ended("a")
