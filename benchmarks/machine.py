"""Where all this is measured: the machine, the versions, and how busy it was."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import asyncpg

from benchmarks.contenders import Arena

PACKAGES = ("burgernet-bridge", "aio-pika", "aiohttp", "aiosmtplib", "asyncpg", "pydantic", "SQLAlchemy")


async def describe(arena: Arena) -> dict[str, str]:
    """Tell everything that a reader needs to judge the figures or to repeat them."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "measured": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, of commit {_commit()}, seed {arena.seed}",
        "processor": f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GB",
        "load before": f"{os.getloadavg()[0]:.2f} (one minute): near 0 on a quiet machine",
        "system": f"{platform.system()} {platform.release()}",
        "disk": f"fdatasync of 4 kB takes {_sync_time(arena.home):.2f} ms (median); a commit waits for one",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
        "store": f"SQLite {sqlite3.sqlite_version} (WAL, synchronous=FULL); {await _postgres(arena.postgres_url)}",
        "broker": f"{await _broker(arena)}, quorum queues, persistent messages",
        "mail": f"Postfix's smtp-sink {_installed('postfix')}",
    }


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    return answer.stdout.strip() or "unknown"


def _installed(package: str) -> str:
    command = ["dpkg-query", "-W", "-f", "${Version}", package]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except OSError:
        return "(version unknown)"
    return answer.stdout.strip() or "(version unknown)"


async def _broker(arena: Arena) -> str:
    async with arena.channel() as channel:
        transport = (await channel.get_underlay_channel()).connection
        told = transport.server_properties
        return " ".join(str(told.get(name, "?")) for name in ("product", "version"))


async def _postgres(url: str) -> str:
    if not url:
        return "no PostgreSQL"
    connection = await asyncpg.connect(url, timeout=10)
    try:
        told = {name: await connection.fetchval(f"SHOW {name}") for name in ("server_version", "fsync")}
    finally:
        await connection.close()
    return f"PostgreSQL {told['server_version'].split()[0]} (fsync {told['fsync']})"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _sync_time(home: Path) -> float:
    """Give what the disk takes for the smallest durable write, in ms."""
    times = []
    with tempfile.TemporaryFile(dir=home) as file:
        for _ in range(100):
            file.write(b"x" * 4096)
            file.flush()
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000
