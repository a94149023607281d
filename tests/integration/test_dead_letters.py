"""Dead letters on a real RabbitMQ: listed without being moved, shown whole, and put back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from aio_pika import Message
from aio_pika.abc import AbstractIncomingMessage

from bridge.core.errors import InvalidInput
from bridge.intake.broker import BrokerError
from bridge.intake.dead_letters import DeadLetter, list_dead, replay, show
from tests.integration.broker_bench import Bench, Case, ended, open_way, running, until


async def die(bench: Bench, *bodies: bytes) -> None:
    """Let messages become dead letters."""
    case = Case()
    async with running(case.intake(bench.settings)):
        await bench.consumed()
        for number, body in enumerate(bodies, 1):
            await bench.put(body, message_id=f"m{number}")
            await until(lambda number=number: len(case.results) == number)  # type: ignore[misc]
    assert set(case.results) == {"unreadable"}


def own_headers(message: AbstractIncomingMessage) -> dict[str, Any]:
    """Give the headers without the broker's count of deliveries, which RabbitMQ 3.10 shows from the first."""
    return {name: value for name, value in message.headers.items() if name != "x-delivery-count"}


async def test_looking_moves_nothing(bench: Bench) -> None:
    """However often the letters are listed, all are there, in order, with the reason and the time of death."""
    started = datetime.now(UTC).replace(microsecond=0)
    await die(bench, b"first", ended("a", time="?"), b"third")
    for limit in (2, 1, 3, 100, 100):
        letters = await list_dead(bench.settings, limit)
        assert [(letter.position, letter.headers.get("x-bridge-error", "")[:5]) for letter in letters] == [
            (1, "body:"),
            (2, "time:"),
            (3, "body:"),
        ][:limit]
    second = letters[1]
    assert (second.id, second.subject, second.type) == ("a-0", "a", "nl.burgernet.alert.ended")
    assert second.time is not None
    assert started <= second.time <= datetime.now(UTC)
    assert json.loads(json.dumps(second.summary()))["bytes"] == len(second.body)


async def test_letters_are_not_dropped_for_being_looked_at(bench: Bench) -> None:
    """Looking more often than RabbitMQ 4's own limit of 20 deliveries loses no letter."""
    await die(bench, b"?")
    for _ in range(25):
        assert len(await list_dead(bench.settings)) == 1


async def test_an_empty_queue_has_no_letters(bench: Bench) -> None:
    """No letters are an empty list, none to replay, and no position to show."""
    assert await list_dead(bench.settings) == []
    assert await replay(bench.settings) == 0
    with pytest.raises(InvalidInput, match="position: 1 is not there"):
        await show(bench.settings, 1)


async def test_a_letter_is_shown_whole_and_harmless(bench: Bench) -> None:
    """Headers and body are given as JSON; a list has one line that no terminal obeys."""
    await die(bench, b"\x1b[2Jbell \x07\xff\nsecond line")
    details = await show(bench.settings, 1)
    assert details["body"] == "\x1b[2Jbell \x07\ufffd\nsecond line"
    assert details["preview"] == "[2Jbell  \ufffd second line"
    assert details["headers"]["x-bridge-error"].startswith("body: not JSON")


async def test_one_letter_is_put_back(bench: Bench) -> None:
    """The chosen letter comes to the bridge as it was first sent; the others stay where they are."""
    await die(bench, b"1", b"2", b"3")
    assert await replay(bench.settings, 2) == 1
    back = await bench.take(bench.settings.name)
    assert (back.body, back.message_id, own_headers(back)) == (b"2", "m2", {})
    assert [letter.body for letter in await list_dead(bench.settings)] == [b"1", b"3"]
    with pytest.raises(InvalidInput, match="allowed: 1 to 2"):
        await replay(bench.settings, 3)
    assert len(await list_dead(bench.settings)) == 2


async def test_all_letters_are_put_back_in_order(bench: Bench) -> None:
    """Everything goes back, the oldest first, what the broker noted left out; what is still wrong dies again, once."""
    await die(bench, b"1", b"2")
    headers = {
        "x-death": [{"reason": "delivery_limit", "time": datetime.now(UTC)}],
        "x-first-death-queue": "q",
        "my": 1,
    }
    await bench.channel.default_exchange.publish(Message(ended("a"), headers=headers), bench.dead)
    assert (await list_dead(bench.settings))[2].error.startswith("delivery_limit")
    assert await replay(bench.settings) == 3
    back = [await bench.take(bench.settings.name) for _ in range(3)]
    assert [(one.body, own_headers(one)) for one in back] == [(b"1", {}), (b"2", {}), (ended("a"), {"my": 1})]
    assert await list_dead(bench.settings) == []


async def test_strange_letters_are_read_as_far_as_they_go(bench: Bench) -> None:
    """Whatever somebody else puts among the letters, the list shows it."""
    async with running(Case().intake(bench.settings)):
        await bench.consumed()
    for headers in ({"x-death": "?"}, {"x-death": [1]}, {"x-bridge-error": 5, "cloudEvents:id": bytearray(b"\xff")}):
        await bench.channel.default_exchange.publish(Message(b"[" * 100_000, headers=headers), bench.dead)
    letters = await list_dead(bench.settings)
    assert [(letter.error[:7], letter.time, letter.id) for letter in letters] == [
        ("unknown", None, ""),
        ("unknown", None, ""),
        ("5", None, ""),
    ]
    assert all(letter.details() for letter in letters)


async def test_without_a_broker_it_says_so(amqp_url: str, bench: Bench) -> None:
    """No broker is one clear error."""
    async with open_way(amqp_url) as way:
        way.close()
        with pytest.raises(BrokerError, match="Connect call failed"):
            await list_dead(bench.having(url=way.url))


def test_what_json_has_no_word_for_becomes_text() -> None:
    """A header that is not a number is shown as one word, so that what is printed is JSON."""
    headers = {"x-odd": [float("nan"), float("-inf")], "x-even": 2.5}
    letter = DeadLetter(1, "why", None, "id", "type", "case", "text/plain", headers, b"?")
    assert letter.details()["headers"] == {"x-odd": ["NaN", "-Infinity"], "x-even": 2.5}
