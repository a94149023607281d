"""What happens to PostgreSQL, and to the disks."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from random import Random

import asyncpg
from yarl import URL

from tests.e2e.process import until
from tests.faults.judge import What
from tests.faults.rig import Rig, new_database
from tests.faults.scenario import Scenario, needs_own_servers, needs_root
from tests.faults.town import Town, both_ways, open_town

CASES = 20
LOCKED = 40.0  # seconds: longer than any liveness probe waits
DISK = "14m"  # of the small file systems: little more than an empty database

_CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()"


def database_of(town: Town) -> str:
    """Name the town's database."""
    return URL(town.bench.settings["store"]["url"]).path.lstrip("/")


async def connections_cut(town: Town) -> None:
    """End every session of the bridge, five times in a load."""

    async def strike(town: Town, what: What) -> None:
        for _ in range(5):
            await asyncio.sleep(town.random.uniform(0.1, 0.5))
            await town.rig.sql(_CUT, database_of(town))

    await town.start()
    await both_ways(town, strike, CASES)


async def restarted(town: Town) -> None:
    """Stop the database server and start it again."""

    async def strike(town: Town, what: What) -> None:
        await asyncio.sleep(town.random.uniform(0.2, 1.5))
        await town.rig.restart(town.rig.postgres)

    await town.start()
    await both_ways(town, strike, CASES)


async def killed(town: Town) -> None:
    """Kill the database server as a power cut does, leave it down for some seconds, and start it again."""

    async def strike(town: Town, what: What) -> None:
        await asyncio.sleep(town.random.uniform(0.2, 1.5))
        await asyncio.to_thread(town.rig.postgres.kill)
        await asyncio.sleep(3)
        await asyncio.to_thread(town.rig.postgres.start, fsync=True)

    await town.start()
    await both_ways(town, strike, CASES)


async def long_lock(town: Town) -> None:
    """Hold the table of postings for a time, as a careless maintenance job does; the bridge must not be called dead."""

    async def strike(town: Town, what: What) -> None:
        await asyncio.sleep(town.random.uniform(0.2, 1.5))
        connection = await asyncpg.connect(town.bench.settings["store"]["url"], timeout=10)
        try:
            async with connection.transaction():
                await connection.execute("LOCK TABLE postings IN ACCESS EXCLUSIVE MODE")
                for _ in range(int(LOCKED)):
                    await asyncio.sleep(1)
                    status, _ = await town.bridge.get("/healthz")
                    town.claim(status == 200, "/healthz called a waiting bridge dead")
        finally:
            await connection.close()

    await town.start()
    await both_ways(town, strike, CASES)


# --- full disks


@contextmanager
def small_disk(place: Path) -> AsyncIterator[Path]:
    """Mount a file system of a few MB."""
    place.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=0777", "tmpfs", str(place)], check=True, timeout=10
    )
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True, timeout=10)


def fill(disk: Path) -> Path:
    """Write a file until nothing more fits; give the file, for taking it away is the cure."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)) == 4096:
                continue
        except OSError:
            return ballast
    return ballast


@asynccontextmanager
async def sqlite_on_a_small_disk(rig: Rig, folder: Path, random: Random) -> AsyncIterator[Town]:
    """Build a town whose SQLite file stands on a small file system."""
    with small_disk(folder / "disk") as disk:
        async with open_town(rig, folder, random) as town:
            town.bench.settings["store"]["url"] = f"sqlite:///{disk}/bridge.db"
            town.disk = disk
            yield town


@asynccontextmanager
async def postgresql_on_a_small_disk(rig: Rig, folder: Path, random: Random) -> AsyncIterator[Town]:
    """Build a town whose database stands in a tablespace on a small file system."""
    folder.chmod(0o755)
    with small_disk(folder / "disk") as disk:
        name = f"small_{random.getrandbits(32):x}"
        space = disk / "space"
        space.mkdir()
        owner = rig.postgres.owner
        if owner is not None:
            subprocess.run(["chown", str(owner), str(space)], check=True, timeout=10)
        await rig.sql(f"CREATE TABLESPACE {name} LOCATION '{space}'")
        try:
            async with new_database(rig, f"TABLESPACE {name}") as store, open_town(rig, folder, random, store) as town:
                town.disk = disk
                yield town
        finally:
            await rig.sql(f"DROP TABLESPACE {name}")


async def full_disk(town: Town) -> None:
    """Fill the disk under the store, let a load come, and make room some seconds later."""

    async def strike(town: Town, what: What) -> None:
        await asyncio.sleep(town.random.uniform(0.2, 1.0))
        ballast = fill(town.disk)
        try:
            await until(lambda: bool(complaints(town)), "the full disk was noticed", 30)
            await asyncio.sleep(3)
        finally:
            ballast.unlink()

    await town.start()
    await both_ways(town, strike, 2 * CASES)
    town.notes.append(complaints(town)[0][:100])


def complaints(town: Town) -> list[str]:
    """Give what the bridge said of its store."""
    lines = town.bridge.logged("the store does not answer; trying again") + town.bridge.logged(
        "events wait for the store"
    )
    return [line["error"] for line in lines]


POSTGRES = {"store": "postgresql"}
SCENARIOS = [
    Scenario("postgresql-connections-cut", "PostgreSQL: every session ended, 5× a load", connections_cut, **POSTGRES),
    Scenario(
        "postgresql-restarted",
        "PostgreSQL stopped and started under load",
        restarted,
        needs=(needs_own_servers,),
        **POSTGRES,
    ),
    Scenario("postgresql-killed", "PostgreSQL killed, down for 3 s", killed, needs=(needs_own_servers,), **POSTGRES),
    Scenario("postgresql-locked", f"PostgreSQL: table locked for {LOCKED:g} s, twice", long_lock, **POSTGRES),
    Scenario(
        "postgresql-disk-full",
        "PostgreSQL: its disk full under load, then room",
        full_disk,
        needs=(needs_own_servers, needs_root),
        opens=postgresql_on_a_small_disk,
        **POSTGRES,
    ),
    Scenario(
        "sqlite-disk-full",
        "SQLite: its disk full under load, then room",
        full_disk,
        needs=(needs_root,),
        opens=sqlite_on_a_small_disk,
    ),
]
