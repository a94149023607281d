"""The servers that are broken: a RabbitMQ and a PostgreSQL of our own, in ``.services/faults/``, or shared ones to be careful with."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

import aio_pika
import asyncpg
from yarl import URL

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".services" / "faults"


@dataclass
class Rig:
    """A broker and a database server. ``rabbitmq`` and ``postgres`` are there to be stopped, where they are our own."""

    amqp_url: str
    postgres_url: str
    rabbitmq: Any = None
    postgres: Any = None

    @property
    def own(self) -> bool:
        """Whether these servers are ours to break."""
        return self.rabbitmq is not None

    async def rabbitmqctl(self, *words: str) -> None:
        """Give the broker an order."""
        await asyncio.to_thread(self.rabbitmq.control, *words)

    async def restart(self, server: Any) -> None:
        """Stop a server in good order and start it again."""
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start, fsync=True)

    async def sql(self, statement: str, *values: Any, database: str = "") -> list[Any]:
        """Run one statement as the owner of the database server."""
        connection = await asyncpg.connect(
            str(URL(self.postgres_url).with_path(f"/{database}")) if database else self.postgres_url, timeout=10
        )
        try:
            return list(await connection.fetch(statement, *values))
        finally:
            await connection.close()

    async def versions(self) -> dict[str, str]:
        """Name the servers and their versions."""
        [[postgres]] = await self.sql("SHOW server_version")
        async with await aio_pika.connect(self.amqp_url) as connection:
            transport = connection.transport
            told = transport.connection.server_properties if transport else {}
        broker = " ".join(str(told.get(name, "?")) for name in ("product", "version"))
        return {"broker": broker, "database": f"PostgreSQL {postgres}"}


@asynccontextmanager
async def own_servers(home: Path = HOME) -> AsyncIterator[Rig]:
    """Start servers of our own with their data in ``home``, on ports of their own; stop them in the end."""
    sys.path.append(str(ROOT / "scripts"))
    tools = import_module("servers.tools")
    home.mkdir(parents=True, exist_ok=True)
    state = tools.State(home)
    servers = import_module("servers.rabbitmq").RabbitMQ(state), import_module("servers.postgres").Postgres(state)
    try:
        for server in servers:
            if not server.installed():
                raise tools.MissingError(f"{server.package} is not installed; run: make services")
            server.move_if_taken()
            await asyncio.to_thread(server.start, fsync=True)
        rabbitmq, postgres = servers
        yield Rig(rabbitmq.own_url, postgres.own_url, rabbitmq, postgres)
    finally:
        for server in servers:
            await asyncio.to_thread(server.down)


@asynccontextmanager
async def new_database(rig: Rig, more: str = "") -> AsyncIterator[str]:
    """Make an empty database, ``more`` being the rest of the CREATE; give its URL."""
    name = f"faults_{uuid4().hex}"
    await rig.sql(f'CREATE DATABASE "{name}" {more}')
    try:
        yield str(URL(rig.postgres_url).with_path(f"/{name}"))
    finally:
        await rig.sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
