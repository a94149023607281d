"""Delivery results on a real RabbitMQ, and events that are sent to it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from aio_pika.abc import AbstractQueue
from structlog.testing import capture_logs

from bridge.core.errors import InvalidInput, StoreUnavailable
from bridge.intake.amqp import send_events
from bridge.intake.broker import BrokerError, Unroutable, linked
from bridge.intake.status import StatusPublisher
from tests.integration.broker_bench import Bench, ended, open_way, running, until

AT = 1_795_338_900.5  # 2026-11-22T09:15:00.5Z


class Notices:
    """A fake store of notices; it may be down."""

    def __init__(self, count: int) -> None:
        body = json.dumps({"case": "2026112200042", "target": "bord", "at": AT})
        self.waiting = {number: ("applied" if number % 2 else "retracted", body) for number in range(1, count + 1)}
        self.limits: list[int] = []
        self.down = False

    async def take(self, limit: int) -> list[tuple[int, str, str]]:
        """Give the oldest."""
        if self.down:
            raise StoreUnavailable("the store is away")
        self.limits.append(limit)
        return [(number, *notice) for number, notice in sorted(self.waiting.items())][:limit]

    async def forget(self, ids: Sequence[int]) -> None:
        """Drop them."""
        for number in ids:
            del self.waiting[number]


async def listener(bench: Bench, key: str = "posting.#") -> AbstractQueue:
    """Listen to the status exchange."""
    async with linked(bench.settings, "test"):
        pass
    queue = await bench.channel.declare_queue(f"{bench.settings.name}.listener", auto_delete=True, exclusive=True)
    await queue.bind(bench.settings.status_exchange, key)
    return queue


async def test_results_are_told_as_cloud_events(bench: Bench) -> None:
    """Each notice is one CloudEvent with an id that stays, under the key of what happened; then it is forgotten."""
    queue = await listener(bench, "posting.applied")
    notices = Notices(2)
    async with running(StatusPublisher(bench.settings, notices, "bridge-1")):
        await until(lambda: not notices.waiting)
    message = await queue.get()
    assert (message.content_type, message.message_id) == ("application/cloudevents+json", "bridge-1.1.1795338900500000")
    assert json.loads(message.body) == {
        "specversion": "1.0",
        "id": "bridge-1.1.1795338900500000",
        "source": "urn:burgernet-bridge",
        "type": "nl.burgernet.posting.applied",
        "subject": "2026112200042",
        "time": "2026-11-22T09:15:00.500000Z",
        "datacontenttype": "application/json",
        "data": {"case": "2026112200042", "target": "bord", "at": AT},
    }
    assert datetime.fromtimestamp(AT, UTC).isoformat().startswith("2026-11-22T09:15")
    assert await queue.get(fail=False) is None


async def test_a_result_goes_on_in_its_trace(bench: Bench) -> None:
    """The place in a trace that a notice was kept with becomes attributes and headers, and is no part of the data."""
    queue = await listener(bench)
    notices = Notices(0)
    trace = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate": "rojo=1"}
    notices.waiting = {1: ("applied", json.dumps({"case": "c", "at": AT, "trace": trace}))}
    async with running(StatusPublisher(bench.settings, notices, "b")):
        await until(lambda: not notices.waiting)
    message = await queue.get()
    said = json.loads(message.body)
    assert dict(message.headers) == trace
    assert {key: said[key] for key in trace} == trace
    assert said["data"] == {"case": "c", "at": AT}


async def test_nobody_needs_to_listen(bench: Bench) -> None:
    """More results than one batch holds are told although no queue takes them."""
    notices = Notices(250)
    async with running(StatusPublisher(bench.settings, notices, "b")):
        await until(lambda: not notices.waiting)
    assert notices.limits[:3] == [100, 100, 100]


async def test_a_new_result_is_told_when_woken(bench: Bench) -> None:
    """The publisher looks when it is woken."""
    notices = Notices(0)
    publisher = StatusPublisher(bench.settings, notices, "b")
    async with running(publisher):
        await until(lambda: len(notices.limits) == 1)
        notices.waiting[1] = ("failed", json.dumps({"case": "c", "at": AT}))
        publisher.wake()
        await until(lambda: not notices.waiting, 0.9)


async def test_results_wait_for_the_broker_and_for_the_store(bench: Bench, amqp_url: str) -> None:
    """What cannot be told stays, is logged once, and is told when both are there again."""
    notices = Notices(3)
    async with open_way(amqp_url) as way:
        way.close()
        publisher = StatusPublisher(bench.having(url=way.url, retry_max=0.1), notices, "b")
        with capture_logs() as logs:
            async with running(publisher):
                await until(lambda: len(notices.limits) >= 3)
                assert "results wait" in (publisher.not_ready or "")
                assert len(notices.waiting) == 3
                await way.open()
                await until(lambda: not notices.waiting)
                await until(lambda: publisher.not_ready is None)
                notices.waiting, notices.down = {9: ("refused", json.dumps({"case": "c", "at": AT}))}, True
                await until(lambda: "the store is away" in (publisher.not_ready or ""))
                way.cut()
                notices.down = False
                await until(lambda: not notices.waiting)
    assert 2 <= [log["event"] for log in logs].count("results wait to be told") <= 3, "once an outage, not once a try"


async def test_sent_events_are_on_the_queue(bench: Bench) -> None:
    """Events go out under the key of what they say, as they were written, before any bridge has run."""
    opened = {
        "data": {
            "category": "missing_child",
            "info": [{"language": "nl", "headline": "H", "description": "D"}],
            "area": {"circle": ["52,4 1"]},
        }
    }
    bodies = [ended("a"), ended("b", type="nl.burgernet.alert.opened", **opened).decode()]
    await send_events(bench.settings, bodies)
    first, second = [await bench.take(bench.settings.name) for _ in range(2)]
    assert (first.body, first.routing_key, first.content_type) == (
        bodies[0],
        "alert.ended",
        "application/cloudevents+json",
    )
    assert (second.body, second.routing_key) == (str(bodies[1]).encode(), "alert.opened")


async def test_nothing_is_sent_when_one_cannot_be_read(bench: Bench) -> None:
    """All events are checked first."""
    async with linked(bench.settings, "test"):
        pass
    with pytest.raises(InvalidInput, match="outcome"):
        await send_events(bench.settings, [ended("a"), ended("b", data={})])
    assert await bench.ready() == 0


async def test_an_event_that_no_queue_takes_is_an_error(bench: Bench) -> None:
    """A sender learns that its event went nowhere."""
    with pytest.raises(Unroutable, match="NO_ROUTE"):
        await send_events(bench.having(binding="elsewhere"), [ended("a")])


async def test_no_broker_is_a_clear_error(bench: Bench, amqp_url: str) -> None:
    """A sender learns that there is no broker, without the password."""
    async with open_way(amqp_url) as way:
        way.close()
        with pytest.raises(BrokerError, match="Connect call failed") as caught:
            await send_events(bench.having(url=way.url), [ended("a")])
    assert "guest" not in str(caught.value)
