"""A message that the broker delivered, and how it is answered: once."""
# ruff: noqa: D102
# The properties of Delivery are what AMQP 0-9-1 calls them.

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from itertools import takewhile
from typing import Any

from aiormq.abc import AbstractChannel, DeliveredMessage


class Tags:
    """What one channel has delivered and nobody has answered yet, by delivery tag, in order.

    What is acknowledged in one turn of the loop goes together: the broker takes one word for all up to a tag. It never
    covers what is not to be acknowledged, for a tag stays in its place here until its answer is on the way.
    """

    def __init__(self, channel: AbstractChannel) -> None:
        self.channel = channel
        self._done: dict[int, bool] = {}
        self._sending: asyncio.Task[None] | None = None
        self._one = asyncio.Lock()  # at a time: else a word for many could overtake one for a tag among them

    def add(self, tag: int) -> None:
        """Note a message that came."""
        self._done[tag] = False

    def remove(self, tag: int) -> None:
        """Note that a message was given back."""
        self._done.pop(tag, None)

    async def acknowledge(self, tag: int) -> None:
        """Tell the broker that a message is done with, and return when that is on the way."""
        self._done[tag] = True
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())
        await asyncio.shield(self._sending)

    async def _send(self) -> None:
        async with self._one:
            self._sending = None  # what is done from now on goes with the next
            first = list(takewhile(self._done.__getitem__, self._done))
            rest = [tag for tag, is_done in self._done.items() if is_done][len(first) :]
            for tag in (*first, *rest):
                del self._done[tag]
            for tag in rest:
                await self.channel.basic_ack(tag, wait=not first and tag == rest[-1])
            if first:
                await self.channel.basic_ack(first[-1], multiple=len(first) > 1)


class Delivery:
    """One message. It looks at the library's only where it is asked: every event waits for it."""

    def __init__(self, delivered: DeliveredMessage, tags: Tags) -> None:
        self.processed = False
        self._delivered = delivered
        self._properties = delivered.header.properties
        self._tags = tags
        self._tag = delivered.delivery_tag or 0
        tags.add(self._tag)

    async def ack(self) -> None:
        """Acknowledge it: it does not come again."""
        await self._tags.acknowledge(self._tag)
        self.processed = True

    async def nack(self, *, requeue: bool) -> None:
        """Give it back without blame."""
        await self._tags.channel.basic_nack(self._tag, requeue=requeue)
        self._tags.remove(self._tag)
        self.processed = True

    async def reject(self, *, requeue: bool) -> None:
        """Give it back as one that failed."""
        await self._tags.channel.basic_reject(self._tag, requeue=requeue)
        self._tags.remove(self._tag)
        self.processed = True

    @property
    def body(self) -> bytes:
        return self._delivered.body

    @property
    def headers(self) -> Mapping[str, Any]:
        return self._properties.headers or {}

    @property
    def content_type(self) -> str | None:
        return self._properties.content_type

    @property
    def content_encoding(self) -> str | None:
        return self._properties.content_encoding

    @property
    def priority(self) -> int | None:
        return self._properties.priority

    @property
    def correlation_id(self) -> str | None:
        return self._properties.correlation_id

    @property
    def reply_to(self) -> str | None:
        return self._properties.reply_to

    @property
    def message_id(self) -> str | None:
        return self._properties.message_id

    @property
    def timestamp(self) -> datetime | None:
        return self._properties.timestamp

    @property
    def type(self) -> str | None:
        return self._properties.message_type

    @property
    def app_id(self) -> str | None:
        return self._properties.app_id

    @property
    def user_id(self) -> str | None:
        return self._properties.user_id
