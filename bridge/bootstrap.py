"""The composition root: the only file that knows every concrete class."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import IO

import aiohttp
import structlog

from bridge.adapters.registry import AdapterType, Resources, find_adapters
from bridge.core.errors import BridgeError, InvalidInput, StoreUnavailable
from bridge.core.ports import Adapter
from bridge.core.target import Target
from bridge.dispatch.dispatcher import Dispatcher
from bridge.dispatch.parts import Expiry, PhotoDesk
from bridge.dispatch.photo_fetch import PhotoFetcher
from bridge.intake.accept import Intake
from bridge.intake.amqp import AmqpIntake
from bridge.intake.status import StatusPublisher
from bridge.policy import Configured, adapter_configs, load_policy, with_secret
from bridge.service import Part, Service, Stop
from bridge.settings import Loaded
from bridge.store.database import Database
from bridge.store.migrate import is_current, migrate
from bridge.store.notices import Notices
from bridge.store.reading import AdminOutboxStore
from bridge.store.work import WorkStore
from bridge.web.metrics import Metrics
from bridge.web.server import WebServer, make_app

log = structlog.get_logger()


@dataclass(frozen=True)
class Bridge:
    """A bridge, put together: everything a command may need of it."""

    loaded: Loaded
    database: Database
    adapters: dict[str, Adapter]
    configured: Configured
    intake: Intake


def open_database(loaded: Loaded) -> Database:
    """Open the store of the settings; a relative SQLite path starts at the working directory."""
    return Database(loaded.settings.store.url.get_secret_value())


@asynccontextmanager
async def open_adapters(loaded: Loaded, database: Database) -> AsyncIterator[dict[str, Adapter]]:
    """Open every installed adapter with its own settings."""
    types = find_adapters()
    configs = adapter_configs(loaded, types)
    async with AsyncExitStack() as stack:
        connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=60)
        session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)
        resources = Resources(await stack.enter_async_context(session), AdminOutboxStore(database))
        yield {
            name: await stack.enter_async_context(found(configs[name], resources)) for name, found in types.items()
        }


@asynccontextmanager
async def open_bridge(loaded: Loaded, *, wakers: list[object] | None = None) -> AsyncIterator[Bridge]:
    """Put a bridge together on a database that is up to date; ``InvalidInput`` names every fault of the files."""
    database = open_database(loaded)
    try:
        await prepare(database)
        async with open_adapters(loaded, database) as adapters:
            capabilities = {name: adapter.capabilities for name, adapter in adapters.items()}
            configured = load_policy(loaded, find_adapters(), capabilities)
            intake = Intake(
                database,
                lambda: configured.policy,
                max_lifetime=timedelta(seconds=loaded.settings.cases.max_lifetime),
                photo_wait=loaded.settings.photos.wait,
                tell=bool(loaded.settings.queue.url.get_secret_value()),
                wake=lambda: [waker() for waker in wakers or ()],  # type: ignore[operator]
            )
            yield Bridge(loaded, database, adapters, configured, intake)
    finally:
        await database.close()


async def prepare(database: Database) -> None:
    """Bring SQLite up to date; refuse a PostgreSQL that is not."""
    if database.is_sqlite:
        await migrate(database)
    elif not await is_current(database):
        raise BridgeError("the database has another schema than this version needs; run: burgernet-bridge migrate")
