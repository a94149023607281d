"""Acknowledgements that go together cover what is done with, and nothing else."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest

from bridge.intake.delivery import Tags


class Channel:
    """A channel that keeps what it is told, and does what a broker does with it."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []
        self.waiting: list[int] = []
        self.acknowledged: list[int] = []
        self.broken = False

    async def basic_ack(self, tag: int, *, multiple: bool = False, wait: bool = True) -> None:
        """Take an acknowledgement; one of what is not waiting closes a real channel."""
        if self.broken:
            raise ConnectionError
        assert tag in self.waiting
        self.told.append(("all up to" if multiple else "only", tag))
        covered = [one for one in self.waiting if one <= tag] if multiple else [tag]
        self.acknowledged += covered
        self.waiting = [one for one in self.waiting if one not in covered]
        await asyncio.sleep(0)

    async def basic_reject(self, tag: int, **_: Any) -> None:
        """Take a rejection."""
        await asyncio.sleep(0)
        self.waiting.remove(tag)


def delivered(count: int) -> tuple[Channel, Tags]:
    """Deliver so many messages over a new channel."""
    channel = Channel()
    tags = Tags(channel)  # type: ignore[arg-type]
    for tag in range(1, count + 1):
        channel.waiting.append(tag)
        tags.add(tag)
    return channel, tags


async def test_those_of_one_turn_are_one_word() -> None:
    """All that are done with in one turn of the loop, whatever the order, are acknowledged in one frame."""
    channel, tags = delivered(5)
    await asyncio.gather(*map(tags.acknowledge, (3, 1, 5, 2, 4)))
    assert channel.told == [("all up to", 5)]


async def test_one_alone_speaks_for_itself() -> None:
    """A single acknowledgement names one message, also where it is the oldest."""
    channel, tags = delivered(2)
    await tags.acknowledge(1)
    await tags.acknowledge(2)
    assert channel.told == [("only", 1), ("only", 2)]


async def test_what_is_still_being_worked_on_is_not_covered() -> None:
    """An older message that is not done with keeps its place: those behind it are acknowledged one by one."""
    channel, tags = delivered(6)
    await asyncio.gather(*map(tags.acknowledge, (1, 2, 4, 6)))
    assert sorted(channel.told) == [("all up to", 2), ("only", 4), ("only", 6)]
    assert channel.waiting == [3, 5]
    await asyncio.gather(*map(tags.acknowledge, (3, 5)))
    assert channel.waiting == []


async def test_a_lost_connection_is_told_to_everyone() -> None:
    """When the broker cannot be told, each that waits for its acknowledgement hears of it."""
    channel, tags = delivered(3)
    channel.broken = True
    results = await asyncio.gather(*map(tags.acknowledge, (1, 2)), return_exceptions=True)
    assert [type(one) for one in results] == [ConnectionError, ConnectionError]


async def test_who_stops_waiting_takes_nobody_along() -> None:
    """An acknowledgement that is no longer waited for is sent all the same, and so are the others."""
    channel, tags = delivered(2)
    first, second = (asyncio.create_task(tags.acknowledge(tag)) for tag in (1, 2))
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert channel.acknowledged == [1, 2]


@pytest.mark.parametrize("seed", range(50))
async def test_any_order_acknowledges_exactly_what_is_done_with(seed: int) -> None:
    """Messages that are done with or given back at any moment, in any order: each is answered once, in its own way."""
    random = Random(seed)
    channel, tags = delivered(40)
    done = {tag for tag in range(1, 41) if random.random() < 0.8}

    async def answer(tag: int) -> None:
        for _ in range(random.randrange(6)):
            await asyncio.sleep(0)
        if tag in done:
            await tags.acknowledge(tag)
        else:
            await channel.basic_reject(tag)
            tags.remove(tag)

    await asyncio.gather(*map(answer, random.sample(range(1, 41), 40)))
    assert sorted(channel.acknowledged) == sorted(done)
    assert channel.waiting == []
