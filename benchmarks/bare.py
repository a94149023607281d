"""The bare contender: aio-pika → aiohttp, as short as can be. It keeps nothing, checks nothing, retries nothing.

An alert is PUT on all targets and its ending DELETEs it again, with as many requests at a time as the bridge makes.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aio_pika
import aiohttp
from aio_pika.abc import AbstractIncomingMessage

REQUESTS = 256  # at a time: the default of adapters.http_sign.connections


async def _request(session: aiohttp.ClientSession, verb: str, urls: Iterator[str], body: bytes | None) -> None:
    for url in urls:
        async with session.request(verb, url, data=body) as response:
            await response.read()
            response.raise_for_status()


def _body(case: str, data: dict[str, object]) -> bytes:
    """Write what the bridge writes for the same alert."""
    text = data["info"][0]["description"]  # type: ignore[index]
    until = datetime.now(UTC) + timedelta(minutes=15)
    fields = {"case": case, "revision": 1, "text": text, "pages": [text.split("\n")], "language": "nl", "photo": None}
    return json.dumps({**fields, "exercise": False, "validUntil": until.isoformat()}, separators=(",", ":")).encode()


async def _handle(message: AbstractIncomingMessage, session: aiohttp.ClientSession, addresses: list[str]) -> None:
    event = json.loads(message.body)
    case = event["subject"]
    ended = event["type"].endswith(".ended")
    verb, body = ("DELETE", None) if ended else ("PUT", _body(case, event["data"]))
    urls = iter([f"{address}/{case}" for address in addresses])
    workers = min(REQUESTS, len(addresses))
    await asyncio.gather(*(_request(session, verb, urls, body) for _ in range(workers)))
    await message.ack()


async def _consume(url: str, queue_name: str, targets: Path) -> None:
    addresses = [target["address"] for target in json.loads(targets.read_text())["targets"]]
    headers = {"Content-Type": "application/json"}
    timeout = aiohttp.ClientTimeout(total=10)
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        aiohttp.ClientSession(connector=connector, headers=headers, timeout=timeout) as session,
        await aio_pika.connect(url) as connection,
    ):
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=32)
        queue = await channel.get_queue(queue_name)
        async with queue.iterator() as messages:
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            async for message in messages:
                await _handle(message, session, addresses)


if __name__ == "__main__":
    asyncio.run(_consume(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
