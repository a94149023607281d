"""The broker of the simulation: at least once, in order, with connections that can be cut."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from tests.simulation.loop import PROCESS, Process
from tests.simulation.world import World


@dataclass
class Letter:
    """One message in the queue."""

    body: bytes
    headers: dict[str, Any] = field(default_factory=dict)


class SimBroker:
    """One queue, its dead letters, and whoever consumes."""

    def __init__(self, world: World, on_ack: Callable[[Letter, bool], None]) -> None:
        self.world = world
        self.queue: deque[Letter] = deque()
        self.dead: list[Letter] = []
        self.consumers: list[SimSubscription] = []
        self.on_ack = on_ack

    def put(self, body: bytes) -> None:
        """Take a message from a publisher."""
        self.queue.append(Letter(body))
        self.deliver()

    def deliver(self) -> None:
        """Send what consumers have room for, each in turn."""
        while self.queue:
            free = [one for one in self.consumers if len(one.unacked) < one.prefetch]
            if not free:
                return
            min(free, key=lambda one: len(one.unacked)).send(self.queue.popleft())

    def forget(self, consumer: SimSubscription) -> None:
        """Lose a connection: what was not acknowledged goes back to where it was."""
        if consumer in self.consumers:
            self.consumers.remove(consumer)
            for delivery in reversed(consumer.unacked):
                letter = delivery.letter
                letter.headers["x-delivery-count"] = letter.headers.get("x-delivery-count", 0) + 1
                self.queue.appendleft(letter)
            consumer.unacked.clear()
            self.world.later(0.05, self.deliver)

    def cut(self, process: Process) -> None:
        """Cut the connections of one process."""
        for consumer in [one for one in self.consumers if one.process is process]:
            consumer.lose("the connection was cut")

    async def subscribe(self, _queue: object, prefetch: int, take: Any) -> SimSubscription:
        """Open a subscription, as ``Subscription.open`` does."""
        await asyncio.sleep(self.world.lag())
        process = PROCESS.get()
        if process is None:
            raise RuntimeError("nobody subscribes")
        consumer = SimSubscription(self, process, prefetch, take)
        process.on_death.append(lambda: self.world.later(0.2, lambda: self.forget(consumer)))
        self.consumers.append(consumer)
        self.world.later(0.0, self.deliver)
        return consumer


class SimSubscription:
    """One consumer on one connection, as far as the intake knows it."""

    def __init__(self, broker: SimBroker, process: Process, prefetch: int, take: Any) -> None:
        self.broker = broker
        self.process = process
        self.prefetch = prefetch
        self.unacked: list[SimDelivery] = []
        self.over = asyncio.Event()
        self.loss: str | None = None
        self.undecodable = False
        self._take = take
        self._arrives = 0.0

    def send(self, letter: Letter) -> None:
        """Deliver a message, behind those that are on the way."""
        delivery = SimDelivery(self, letter)
        self.unacked.append(delivery)
        world = self.broker.world
        self._arrives = max(self._arrives, world.loop.time() + world.lag())
        world.later(self._arrives - world.loop.time(), lambda: self._hand_over(delivery))

    def _hand_over(self, delivery: SimDelivery) -> None:
        if delivery in self.unacked and not self.process.dead:
            self.process.context.run(asyncio.get_running_loop().call_soon, self._take, delivery, self.over)

    def lose(self, reason: str) -> None:
        """Lose the connection."""
        self.broker.forget(self)
        if not self.over.is_set():
            self.loss = reason
            self.process.context.run(asyncio.get_running_loop().call_soon, self.over.set)

    async def stop(self) -> None:
        """Take no more messages."""
        await asyncio.sleep(self.broker.world.lag())
        self.over.set()

    async def close(self) -> None:
        """Close the connection."""
        await asyncio.sleep(0)
        self.broker.forget(self)


class SimDelivery:
    """A message as a consumer holds it."""

    content_type = "application/cloudevents+json"
    content_encoding = None
    delivery_mode = priority = correlation_id = reply_to = timestamp = type = app_id = None
    message_id = ""

    def __init__(self, subscription: SimSubscription, letter: Letter) -> None:
        self.letter = letter
        self._subscription = subscription

    @property
    def body(self) -> bytes:
        """What was sent."""
        return self.letter.body

    @property
    def headers(self) -> Mapping[str, Any]:
        """What the broker and the sender wrote on it."""
        return self.letter.headers

    async def ack(self) -> None:
        """Tell the broker that it is done with; the word travels, even if the sender dies."""
        await self._answer(self._acked)

    async def reject(self, requeue: bool = False) -> None:
        """Give it back."""
        await self._answer(self._requeued)

    nack = reject

    async def _answer(self, arrive: Callable[[], None]) -> None:
        subscription = self._subscription
        broker = subscription.broker
        if self not in subscription.unacked:
            raise ConnectionError("the channel is closed")
        broker.world.later(broker.world.lag(), arrive)
        await asyncio.sleep(0)

    def _acked(self) -> None:
        subscription = self._subscription
        if self in subscription.unacked:
            subscription.unacked.remove(self)
            broker = subscription.broker
            broker.on_ack(self.letter, any(dead.body == self.letter.body for dead in broker.dead))
            subscription.broker.deliver()

    def _requeued(self) -> None:
        subscription = self._subscription
        if self in subscription.unacked:
            subscription.unacked.remove(self)
            self.letter.headers["x-delivery-count"] = self.letter.headers.get("x-delivery-count", 0) + 1
            subscription.broker.queue.append(self.letter)
            subscription.broker.deliver()


class SimAside:
    """The way to the dead letters."""

    def __init__(self, broker: SimBroker) -> None:
        self._broker = broker

    async def __aenter__(self) -> Self:
        """Open nothing."""
        return self

    async def __aexit__(self, *error: object) -> None:
        """Close nothing."""

    async def publish(self, message: Any, exchange: str, key: str, *, mandatory: bool = True) -> None:
        """Keep a dead letter."""
        await asyncio.sleep(self._broker.world.lag())
        self._broker.dead.append(Letter(message.body, dict(message.headers)))
