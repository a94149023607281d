"""Four ways to give the bridge more than it can do at once. Each gives lines for people, with what was measured."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.history import fill_history
from bridge.store.database import Database
from bridge.store.migrate import migrate
from tests.e2e.bench import Bench, event, open_bench
from tests.e2e.process import Running, until

LONG = 1800.0  # seconds that anything here may take
HERE, THERE = ({"geocode": [{"valueName": "gemeente", "value": code}]} for code in ("GM0546", "GM0344"))

_serial = count(1)


def peak(bridge: Running) -> float:
    """Give the most memory that a process ever held (VmHWM), in MB."""
    lines = Path(f"/proc/{bridge.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:"))


def spread(seconds: Sequence[float]) -> str:
    """Say in milliseconds how a list of times lies."""
    return f"p50 {statistics.median(seconds) * 1000:.0f} ms, worst {max(seconds) * 1000:.0f} ms of {len(seconds)}"


async def show_and_clear(bench: Bench, times: int) -> list[float]:
    """Open and end cases that only the boards show; give the seconds from each ending to the first DELETE."""
    seconds = []
    for number in (next(_serial) for _ in range(times)):
        case = f"bord-{number}"
        await bench.publish(event(case, "opened", area=THERE))
        await until(lambda: bench.lit() > 0, f"{case} is shown", LONG, look=0.005)
        seconds.append(await clear(bench, case))
    return seconds


async def clear(bench: Bench, case: str) -> float:
    """End a case; give the seconds from the moment the broker is handed its ending to the first DELETE at a board."""
    before, began = len(bench.happened("DELETE")), time.monotonic()
    await bench.publish(event(case, "ended"))
    await until(lambda: len(bench.happened("DELETE")) > before, f"{case} is cleared", LONG, look=0.005)
    seconds = bench.happened("DELETE")[before] - began
    await until(lambda: bench.lit() == 0, f"{case} is dark everywhere", LONG, look=0.005)
    return seconds


async def mailing(bench: Bench, mails: int) -> AsyncIterator[str]:
    """A mailing to very many readers, and boards that must go dark meanwhile."""
    bench.add(boards=3, mails=mails)
    for target in bench.targets[3:]:
        target["coverage"] = HERE
    for target in bench.targets[:3]:
        target["coverage"] = THERE
    bridge = await _start(bench)
    yield f"ready with {mails} readers: {bridge.age():.1f} s; {peak(bridge):.0f} MB"
    yield f"nothing to do: {spread(await show_and_clear(bench, 10))}"
    await bench.publish(event("lit", "opened", area=THERE))
    await until(lambda: bench.lit() == 3, "the boards are lit", LONG)
    began = time.monotonic()
    await bench.publish(event("mailing", "opened", area=HERE))
    planned = asyncio.create_task(until(lambda: bool(bench.mails.messages), "the first mail", LONG, look=0.01))
    await asyncio.sleep(0.3)  # it is being planned now
    yield f"while it is planned: {await clear(bench, 'lit') * 1000:.0f} ms"
    yield f"from the event to the first of {mails} mails: {await planned:.1f} s"
    yield f"while the mails wait: {spread(await show_and_clear(bench, 20))}"
    yield f"mails sent by then: {len(bench.mails.messages)} in {time.monotonic() - began:.0f} s"
    yield f"memory, peak: {peak(bridge):.0f} MB"


async def burst(bench: Bench, events: int) -> AsyncIterator[str]:
    """Very many events at once."""
    bench.add(boards=1)
    bridge = await _start(bench)
    before = peak(bridge)
    bodies = [event(f"zaak-{number}", "opened") for number in range(events)]
    assert bench.broker
    sending = asyncio.create_task(bench.publish(*bodies))
    began = time.monotonic()
    await until(lambda: bench.lit() == 1, "the board is lit", LONG)
    await sending

    async def taken() -> bool:
        lines = (await bridge.get("/metrics"))[1].splitlines()
        return f'burgernet_events_total{{result="applied"}} {float(events)}' in lines

    await until(taken, "all are taken in", LONG, look=0.5)
    seconds = time.monotonic() - began
    yield f"{events} events taken in: {seconds:.1f} s, {events / seconds:.0f} a second"
    yield f"memory, peak: {before:.0f} MB before, {peak(bridge):.0f} MB after"


async def network_down(bench: Bench, boards: int) -> AsyncIterator[str]:
    """A network of very many boards that never answer, beside a mailbox that does."""
    async with _silent() as url:
        bench.add(boards=boards, mails=1)
        for target in bench.targets[:boards]:
            target["address"] = target["address"].replace(bench.boards.url, url)
        bridge = await _start(bench)
        began = time.monotonic()
        await bench.publish(event("stil", "opened"))
        await until(lambda: bool(bench.mails.messages), "the mail", LONG)
        yield f"the mail of the same case: {(time.monotonic() - began):.2f} s"
        times = []
        for number in range(20):
            began = time.monotonic()
            await bench.publish(event(f"brief-{number}", "opened", category="prevention"))
            await until(lambda number=number: len(bench.mails.messages) > number + 1, "a mail", LONG, look=0.005)  # type: ignore[misc]
            times.append(time.monotonic() - began)
        yield f"a mail of another case meanwhile: {spread(times)}"
        _, ready = await bridge.get("/readyz")
        yield f"readyz: {ready[:200]}"
        yield f"memory, peak: {peak(bridge):.0f} MB; log: {bridge.log.stat().st_size / 1e6:.1f} MB"


async def _start(bench: Bench) -> Running:
    """Start a bridge, which takes a while with very many targets."""
    bridge = await bench.start(ready=False)
    await bridge.ready(LONG)
    return bridge


@asynccontextmanager
async def _silent() -> AsyncIterator[str]:
    """Serve boards that take every connection and say nothing."""

    async def hold(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            pass

    server = await asyncio.start_server(hold, "127.0.0.1", 0, backlog=1024)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def history(folder: Path, amqp_url: str, postings: int) -> AsyncIterator[str]:
    """Years of cases, and one more."""
    for size in (0, postings):
        place = folder / str(size)
        place.mkdir()
        url = f"sqlite:///{place}/bridge.db"
        database = Database(url)
        await migrate(database)
        await database.close()
        await fill_history(url, size, days=29.0)
        async with open_bench(place, amqp_url) as bench:
            bench.add(boards=3)
            bench.settings["dispatch"] = {"checks": [86400]}
            bridge = await _start(bench)
            yield f"{size} postings behind it: {spread(await show_and_clear(bench, 30))}; {peak(bridge):.0f} MB"


SCENES: dict[str, Any] = {"mailing": mailing, "burst": burst, "network": network_down}
