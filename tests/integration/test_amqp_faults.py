"""A real RabbitMQ that is away, cut off, frozen, restarted or emptied: events come in again by themselves, none is lost."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

import aio_pika
import pytest
from structlog.testing import capture_logs
from yarl import URL

from bridge.core.errors import InvalidInput
from bridge.core.events import Event
from bridge.intake.broker import BrokerError, Publisher, event_message
from bridge.intake.dead_letters import list_dead
from bridge.settings import QueueSettings
from tests.contract.smtp_peers import make_certificate
from tests.integration.broker_bench import Bench, Case, ended, open_way, running, until, until_equal

SERVICES = Path(__file__).parents[2] / "scripts" / "services.py"


async def test_a_broker_that_is_not_there_yet_is_waited_for(bench: Bench, amqp_url: str) -> None:
    """Each failure is one line with the wait until the next; when the broker comes, events come."""
    case = Case()
    async with open_way(amqp_url) as way:
        way.close()
        intake = case.intake(bench.having(url=way.url, retry_max=0.2))
        with capture_logs() as logs:
            async with running(intake):
                await until(lambda: len(logs) >= 3)
                assert "Connect call failed" in (intake.not_ready or "")
                await way.open()
                await bench.consumed()
                assert intake.not_ready is None
                await bench.put(ended("a"))
                await until(lambda: case.results == ["applied"])
    waits = [log for log in logs if log["event"] == "waiting for the broker"]
    assert [log["attempt"] for log in waits] == list(range(1, len(waits) + 1))
    assert all(log["retry_in"] <= 0.2 and "\n" not in str(log) for log in waits)


async def test_the_password_is_in_no_log(bench: Bench, amqp_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever fails, and however much is logged, the log-in stays out of it (I6)."""
    caplog.set_level(logging.DEBUG)
    password = "s3cret@p%ss"
    intake = Case().intake(bench.having(url=str(URL(amqp_url).with_password(password)), retry_max=0.1))
    with capture_logs() as logs:
        async with running(intake):
            await until(lambda: len(logs) >= 2)
    said = f"{logs} {caplog.text} {intake.not_ready}"
    assert "ACCESS_REFUSED" in said
    assert not any(secret in said for secret in (password, "s3cret", "p%25ss"))


async def test_a_wrong_virtual_host_is_named(bench: Bench, amqp_url: str) -> None:
    """A broker that has no such virtual host is not said to hold broken messages."""
    intake = Case().intake(bench.having(url=str(URL(amqp_url).with_path("/nov")), retry_max=0.1))
    async with running(intake):
        await until(lambda: "virtual host '/nov' of queue.url" in (intake.not_ready or ""))
    assert "decoded" not in (intake.not_ready or "")


async def test_tls_is_checked(bench: Bench, amqp_url: str, tmp_path: Path) -> None:
    """amqps:// trusts a broker by the certificates of the system, or by those that the URL names; never blindly."""
    certificate, context = make_certificate(tmp_path)
    case = Case()
    async with open_way(amqp_url, context) as way:
        intake = case.intake(bench.having(url=way.url, retry_max=0.1))
        async with running(intake):
            await until(lambda: "CERTIFICATE_VERIFY_FAILED" in (intake.not_ready or ""))
        async with running(case.intake(bench.having(url=str(URL(way.url).update_query(cafile=str(certificate)))))):
            await bench.consumed()
            await bench.put(ended("a"))
            await until(lambda: case.results == ["applied"])


@pytest.mark.parametrize("url", ["amqp://", "amqp://a:secret@host:port/", "amqp:///vhost"])
async def test_an_url_that_leads_nowhere_is_an_error_of_the_settings(url: str) -> None:
    """A URL that cannot be read is refused in one line, without repeating it."""
    with pytest.raises(InvalidInput, match=r"^queue\.url: ") as caught:
        async with Publisher(QueueSettings(url=url), "test") as publisher:
            await publisher.publish(event_message(b"", ""), "", "q")
    assert "secret" not in str(caught.value)


async def test_a_cut_connection_brings_the_event_again(bench: Bench, amqp_url: str) -> None:
    """The accepted event whose acknowledgement was cut off comes again, and is taken off the queue then."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def before(event: Event) -> None:
        assert event
        begun.set()
        await go_on.wait()

    case = Case(before=before)
    async with open_way(amqp_url) as way:
        intake = case.intake(bench.having(url=way.url))
        async with running(intake):
            await bench.consumed()
            await bench.put(ended("a"))
            await asyncio.wait_for(begun.wait(), 10)
            way.cut()
            await until(lambda: "connection lost" in (intake.not_ready or ""))
            go_on.set()
            await until(lambda: case.results == ["applied", "duplicate"])
            assert intake.not_ready is None
    assert await bench.ready() == 0


async def test_nothing_is_lost_on_a_bad_line(bench: Bench, amqp_url: str) -> None:
    """A hundred events over a line that breaks in the middle of an event again and again are all accepted, each case's in order."""
    async with open_way(amqp_url) as way:

        async def before(event: Event) -> None:
            assert event
            if len(case.events) % 25 == 5:
                way.cut()

        case = Case(before=before)
        async with running(case.intake(bench.having(url=way.url, prefetch=4))):
            await bench.consumed()
            for number in range(25):
                for name in "abcd":
                    await bench.put(ended(name, number))
            await until(lambda: len(set(case.events)) == 100, 60)
    assert way.connections >= 5
    for name in "abcd":
        first_seen = list(dict.fromkeys(event for event in case.events if event.startswith(name)))
        assert first_seen == [f"{name}-{number}" for number in range(25)]


async def test_a_frozen_broker_is_noticed(bench: Bench, amqp_url: str) -> None:
    """A broker that says nothing any more, on a connection that stands, is left, and found again."""
    case = Case()
    async with open_way(amqp_url) as way:
        url = str(URL(way.url).update_query(heartbeat="1"))
        intake = case.intake(bench.having(url=url, retry_max=0.1))
        async with running(intake), Publisher(bench.having(url=url), "test") as publisher:
            await bench.consumed()
            await publisher.publish(event_message(ended("a"), "a"), bench.settings.exchange, "alert.ended")
            way.freeze()
            with pytest.raises(BrokerError):
                await publisher.publish(event_message(ended("b"), "b"), bench.settings.exchange, "alert.ended")
            await until(lambda: "connection lost" in (intake.not_ready or ""))
            way.cut()
            way.thaw()
            await publisher.publish(event_message(ended("c"), "c"), bench.settings.exchange, "alert.ended")
            await until(lambda: {"a-0", "c-0"} <= set(case.events))


async def test_a_deleted_queue_is_declared_and_consumed_again(bench: Bench) -> None:
    """When somebody deletes the queue the bridge makes it anew."""
    case = Case()
    intake = case.intake(bench.settings)
    async with running(intake):
        await bench.consumed()
        await bench.channel.queue_delete(bench.settings.name)
        await until(lambda: "queue is gone" in (intake.not_ready or ""))
        await bench.consumed()
        await bench.put(ended("a"))
        await until(lambda: case.results == ["applied"])


async def test_a_message_that_breaks_the_connection_dies_alone(bench: Bench, amqp_url: str) -> None:
    """Properties that the library cannot decode end every connection they come by; only that message pays for it."""
    case = Case()
    settings = bench.having(delivery_limit=3)
    async with open_way(amqp_url) as way:
        async with Publisher(settings, "test") as publisher:  # makes the queue
            await publisher.publish(event_message(ended("a", 0), "0"), bench.settings.exchange, "alert.ended")
        way.swap = (b"text/odd", b"text/\xff\xff\xff")
        async with await aio_pika.connect(way.url) as connection:
            odd = await connection.channel()
            message = aio_pika.Message(ended("odd"), content_type="text/odd")
            await odd.default_exchange.publish(message, bench.settings.name)
    for number in range(1, 9):
        await bench.put(ended("a", number))
    with capture_logs() as logs:
        async with running(case.intake(settings)):
            await until(lambda: len(set(case.events)) == 9)
            await until_equal(
                lambda: _look(settings), "a message has properties that cannot be decoded"
            )  # among the letters it breaks that too
    assert [log["one_by_one"] for log in logs if log["event"] == "taking events"] == [False, True, True, True]
    assert await bench.ready() == 0


async def _look(settings: QueueSettings) -> str:
    """Tell what looking at the dead letters says."""
    try:
        return str(len(await list_dead(settings)))
    except BrokerError as error:
        return str(error).partition(":")[0]


@pytest.mark.alone
async def test_a_restarted_broker_is_found_again(bench: Bench) -> None:
    """The broker goes down in good order and comes back, with the event that waited."""
    case = Case()
    intake = case.intake(bench.having(retry_max=0.5))
    async with running(intake):
        await bench.consumed()
        command = (sys.executable, str(SERVICES), "restart", "rabbitmq")
        restart = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
        _, said = await asyncio.wait_for(restart.communicate(), 180)
        if restart.returncode == 2:
            pytest.skip(f"the broker is not ours to restart ({said.decode().strip()})")
        assert restart.returncode == 0, said.decode()
        await bench.reconnect()
        await bench.consumed()
        await bench.put(ended("a"))
        await until(lambda: case.results == ["applied"])
    assert intake.not_ready is None
