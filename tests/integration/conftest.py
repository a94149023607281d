"""Real servers for integration tests: a broker and a database, named in the environment (``make services``)."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import NoReturn
from uuid import uuid4

import asyncpg
import pytest
from yarl import URL

from tests.integration.broker_bench import Bench, open_bench


def server(variable: str) -> str:
    """Give the URL in ``variable``; without one the test is skipped, and fails in CI."""
    return os.environ.get(variable, "") or missing(f"{variable} is not set; run: make services")


def missing(reason: str) -> NoReturn:
    """Skip a test whose server is not there; in CI it fails."""
    if os.environ.get("CI", "").lower() in {"true", "1"}:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def amqp_url() -> str:
    """Give the URL of a RabbitMQ; tests keep apart by the names of what they declare."""
    return server("BRIDGE_TEST_AMQP_URL")


@pytest.fixture
async def bench(amqp_url: str) -> AsyncIterator[Bench]:
    """Give a queue of this test's own, and a hand of its own on the broker."""
    async with open_bench(amqp_url) as bench:
        yield bench


@pytest.fixture
async def postgres_url() -> AsyncIterator[str]:
    """Give the URL of an empty PostgreSQL database that only this test uses."""
    url = server("BRIDGE_TEST_POSTGRES_URL")
    name = f"bridge_test_{uuid4().hex}"
    admin = await asyncpg.connect(url, timeout=10)
    try:
        await admin.execute(f'CREATE DATABASE "{name}"')
        yield str(URL(url).with_path(f"/{name}"))
        await admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    finally:
        await admin.close()
