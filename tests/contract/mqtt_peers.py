"""What tests of MQTT displays share: targets, texts, open adapters, displays, and a gate that can be cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import aiomqtt

from bridge.adapters.mqtt_sign import MqttSign, MqttSignConfig
from bridge.adapters.registry import Resources
from bridge.core.content import Content, Phase
from bridge.core.posting import Posting
from bridge.core.target import Owner, OwnerKind, Sign, Target
from bridge.simulators.mqtt_display import MqttDisplay
from bridge.testing import OPENING
from tests.contract.test_http_sign import NoOutbox

CASE, OTHER = "2026112200042", "2026112200043"
TOPIC = "leiden/station"


def a_posting(port: int, secret: str | None = None, scheme: str = "mqtt", topic: str = TOPIC) -> Posting:
    """Make a posting on the display behind the broker at this port."""
    target = Target(
        id="scherm-station",
        channel="sign",
        adapter="mqtt_sign",
        address=f"{scheme}://127.0.0.1:{port}/{topic}",
        owner=Owner(kind=OwnerKind.MUNICIPALITY),
        sign=Sign(columns=24, rows=4, pages=4),
    )
    return Posting(f"posting-{CASE}", CASE, target.with_secret(secret) if secret else target)


def a_content(text: str = OPENING, case: str = CASE, *, seconds: float = 3600, **changes: Any) -> Content:
    """Make a first revision that is good for some seconds."""
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    content = Content(case, 1, Phase.OPENED, "nl", "Vermist", text, pages=((text,),), valid_until=until)
    return replace(content, **changes)


@asynccontextmanager
async def an_adapter(**settings: Any) -> AsyncIterator[MqttSign]:
    """Open an adapter that does not wait long."""
    config = MqttSignConfig(**{"timeout": 4.0, **settings})
    async with aiohttp.ClientSession() as http, MqttSign(config, Resources(http, NoOutbox())) as adapter:
        yield adapter


@asynccontextmanager
async def a_display(port: int, **settings: Any) -> AsyncIterator[MqttDisplay]:
    """Give a display that is at its broker."""
    async with MqttDisplay(port, topic=TOPIC, **settings) as display:
        await display.until(lambda: display.connected)
        yield display


async def retained(port: int, topic: str = TOPIC) -> aiomqtt.Message | None:
    """Give what the broker keeps on a topic, as a late subscriber sees it; a marker behind it shows that it is all."""
    async with aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        await client.subscribe([(topic, 1), ("marker", 1)])
        await client.publish("marker", b"x", qos=1)
        async with asyncio.timeout(5):
            async for message in client.messages:
                return message if message.topic.value == topic else None
    return None


@asynccontextmanager
async def a_gate(to: int) -> AsyncIterator[tuple[int, Any]]:
    """Pass bytes on to a port; give the gate's own port, and what cuts every connection through it."""
    writers: list[asyncio.StreamWriter] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            writer.write(data)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", to)
        writers.extend((writer, far_writer))
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer), return_exceptions=True)

    def cut() -> None:
        for writer in writers:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], cut
        cut()
