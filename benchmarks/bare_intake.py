"""The bare consumer for the intake: takes a message, acknowledges it, and forgets it."""

from __future__ import annotations

import asyncio
import sys

import aio_pika
from aio_pika.abc import AbstractIncomingMessage


async def _acknowledge(message: AbstractIncomingMessage) -> None:
    await message.ack()


async def _consume(url: str, queue_name: str, prefetch: int) -> None:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=prefetch)
        queue = await channel.get_queue(queue_name)
        await queue.consume(_acknowledge)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_consume(sys.argv[1], sys.argv[2], int(sys.argv[4])))
