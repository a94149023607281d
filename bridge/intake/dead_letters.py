"""The dead letters: looked at without taking them away, and put back on the queue.

Positions count from the oldest, which is 1. They hold until somebody puts letters back. Every look holds all letters
for a moment: a quorum queue puts a part that comes back behind the rest. Two people who look at the same moment each
see a part.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bridge.core.errors import InvalidInput
from bridge.core.events import is_attribute
from bridge.intake.amqp import ERROR_HEADER, TIME_HEADER
from bridge.intake.broker import (
    Channel,
    Queue,
    Talk,
    dead_queue,
    linked,
    one_line,
    publish,
    take_one,
)
from bridge.intake.delivery import Delivery
from bridge.intake.senders import copy_for

MOST = 10_000  # letters in hand
PREVIEW = 120  # characters of the body in a list

_OURS = (ERROR_HEADER, TIME_HEADER)
_BROKERS = ("x-death", "x-first-death-", "x-last-death-")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message that could not be read, or kept failing; ``time`` is when it died, texts are fit for a terminal."""

    position: int
    error: str
    time: datetime | None
    id: str
    type: str
    subject: str
    content_type: str
    headers: dict[str, Any]
    body: bytes

    def summary(self) -> dict[str, Any]:
        """Give what a list shows, fit for JSON."""
        return {
            "position": self.position,
            "error": self.error,
            "time": self.time.isoformat() if self.time else None,
            "id": self.id,
            "type": self.type,
            "subject": self.subject,
            "bytes": len(self.body),
            "preview": one_line(self.body[: 4 * PREVIEW].decode("utf-8", errors="replace"), PREVIEW),
        }

    def details(self) -> dict[str, Any]:
        """Give everything, fit for JSON."""
        return {
            **self.summary(),
            "content_type": self.content_type,
            # JSON has no word for NaN or infinity, which AMQP can carry: they become text.
            "headers": json.loads(json.dumps(self.headers, default=_as_text), parse_constant=str),
            "body": self.body.decode("utf-8", errors="replace"),
        }


async def list_dead(settings: Queue, limit: int = 100) -> list[DeadLetter]:
    """Give the oldest dead letters; they stay where they are. May raise ``BrokerError``."""
    async with _held(settings) as (_, letters):
        return [read_letter(position, letter) for position, letter in enumerate(letters[:limit], 1)]


async def show(settings: Queue, position: int) -> dict[str, Any]:
    """Give one dead letter whole. Raises ``InvalidInput`` when there is none at ``position``."""
    async with _held(settings) as (_, letters):
        return read_letter(position, _at(letters, position)).details()


async def replay(settings: Queue, position: int | None = None) -> int:
    """Put one dead letter, or all there are (at most ``MOST``), back on the queue of events; give how many.

    A letter is taken away only after the broker has its copy: one that stops halfway doubles, which harms nobody.
    """
    async with _held(settings) as (channel, letters):
        chosen = letters if position is None else [_at(letters, position)]
        for letter in chosen:
            await _put_back(channel, settings, letter)
        return len(chosen)


@asynccontextmanager
async def _held(settings: Queue) -> AsyncIterator[tuple[Channel, list[Delivery]]]:
    """Hold all letters, the oldest first; those not acknowledged go back to their places."""
    async with linked(settings, "dead letters") as channel:
        letters: list[Delivery] = []
        while len(letters) < MOST and (letter := await _next(channel, settings)) is not None:
            letters.append(letter)
        try:
            yield channel, letters
        finally:
            async with Talk(settings):
                for letter in letters:
                    if not letter.processed:
                        await letter.nack(requeue=True)


async def _next(channel: Channel, settings: Queue) -> Delivery | None:
    async with Talk(settings):
        return await take_one(channel, dead_queue(settings))


async def _put_back(channel: Channel, settings: Queue, letter: Delivery) -> None:
    """Publish a letter as it was when it came, then take it away."""
    message = copy_for(letter, settings, without=lambda name: name in _OURS or name.startswith(_BROKERS), extra={})
    async with Talk(settings):
        await publish(channel, message, "", settings.name)
        await letter.ack()


def _at(letters: list[Delivery], position: int) -> Delivery:
    if not 0 < position <= len(letters):
        raise InvalidInput(f"position: {position} is not there; allowed: 1 to {len(letters)}, as the list numbers them")
    return letters[position - 1]


def read_letter(position: int, message: Delivery) -> DeadLetter:
    """Read what can be read of a message that nobody could."""
    headers = dict(message.headers)
    attributes = _attributes(message)
    return DeadLetter(
        position=position,
        error=_error(headers),
        time=_time(headers),
        id=attributes.get("id", ""),
        type=attributes.get("type", ""),
        subject=attributes.get("subject", ""),
        content_type=one_line(message.content_type or "", 80),
        headers=headers,
        body=message.body,
    )


def _attributes(message: Delivery) -> dict[str, str]:
    """Find the CloudEvents attributes in the headers, else in the body."""
    found: dict[str, Any] = {name[12:]: value for name, value in message.headers.items() if is_attribute(name)}
    if not found:
        try:
            fields = json.loads(message.body)
        except (ValueError, RecursionError):
            fields = None
        found = fields if isinstance(fields, dict) else {}
    return {name: one_line(value, 120) for name, value in found.items() if isinstance(value, str)}


def _death(headers: dict[str, Any]) -> dict[str, Any]:
    """Give the broker's note of the last time it put this message aside."""
    deaths = headers.get("x-death")
    first = deaths[0] if isinstance(deaths, list) and deaths else None
    return first if isinstance(first, dict) else {}


def _error(headers: dict[str, Any]) -> str:
    if ERROR_HEADER in headers:
        return one_line(_as_text(headers[ERROR_HEADER]))
    reason = one_line(_as_text(_death(headers).get("reason", "")), 80)
    if reason == "delivery_limit":
        return "delivery_limit: it failed on our side too often; the log says where"
    return reason or "unknown: put here by somebody else"


def _time(headers: dict[str, Any]) -> datetime | None:
    time = headers.get(TIME_HEADER, _death(headers).get("time"))
    return time if isinstance(time, datetime) else None


def _as_text(value: Any) -> str:
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes | bytearray) else str(value)
