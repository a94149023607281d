"""The bare mailer: one event makes it send one mail to every reader, over a pool of aiosmtplib connections.

The mail is the one that it is given (the bridge's own), with the reader's address and a Message-ID put in. It keeps
nothing, retries nothing, and acknowledges the event when all are sent.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import aio_pika
from aiosmtplib import SMTP

PER_CONNECTION = 500  # mails before a new one: the default of adapters.email.mails_per_connection
SENDER = "burgernet@localhost"


async def _send(port: int, readers: Iterator[tuple[int, str]], mail: bytes) -> None:
    smtp = SMTP(hostname="127.0.0.1", port=port, start_tls=False, timeout=60)
    sent = 0
    for number, reader in readers:
        if sent % PER_CONNECTION == 0:
            if sent:
                await smtp.quit()
            await smtp.connect()
        own = mail.replace(b"{reader}", reader.encode()).replace(b"{number}", b"%032d" % number)
        await smtp.sendmail(SENDER, reader, own)
        sent += 1
    if sent:
        await smtp.quit()


async def _consume(url: str, queue_name: str, targets: Path, port: int, connections: int, mail: bytes) -> None:
    readers = [target["address"] for target in json.loads(targets.read_text())["targets"]]
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        queue = await channel.get_queue(queue_name)
        async with queue.iterator() as messages:
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            async for message in messages:
                shared = iter(enumerate(readers))
                await asyncio.gather(*(_send(port, shared, mail) for _ in range(connections)))
                await message.ack()


if __name__ == "__main__":
    _, amqp, name, list_of_targets, smtp_port, lines, template = sys.argv
    read = Path(template).read_bytes()
    asyncio.run(_consume(amqp, name, Path(list_of_targets), int(smtp_port), int(lines), read))
