"""The job as a FastStream handler: acknowledged after success, and put back on the queue after a failure."""

from __future__ import annotations

import asyncio
import os
from email.message import EmailMessage
from typing import Any

import aiohttp
import aiosmtplib
from faststream import AckPolicy, FastStream
from faststream.rabbit import RabbitBroker, RabbitQueue

BOARDS = [f"{os.environ['JOB_BOARDS']}/board-{number}" for number in range(int(os.environ["JOB_COUNT"]))]

broker = RabbitBroker(os.environ["JOB_AMQP"])
app = FastStream(broker)


@broker.subscriber(RabbitQueue(os.environ["JOB_QUEUE"], durable=True), ack_policy=AckPolicy.NACK_ON_ERROR)
async def handle(event: dict[str, Any]) -> None:
    """Show or clear a case everywhere, and tell by mail."""
    case, ended = event["subject"], event["type"].endswith(".ended")
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        await asyncio.gather(*(_request(session, f"{board}/{case}", event, ended) for board in BOARDS))
    await aiosmtplib.send(_mail(case, ended), hostname="127.0.0.1", port=int(os.environ["JOB_SMTP"]))


async def _request(session: aiohttp.ClientSession, url: str, event: dict[str, Any], ended: bool) -> None:
    request = session.delete(url) if ended else session.put(url, json=event["data"])
    async with request as answer:
        if not (ended and answer.status == 404):
            answer.raise_for_status()


def _mail(case: str, ended: bool) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"] = "burgernet@localhost", "reader@example.nl"
    mail["Subject"] = f"{'Afloop: ' if ended else ''}Vermist {case}"
    mail.set_content("Zie Burgernet.")
    return mail
