"""Small versions of what ``make overload`` measures: what must hold whatever the size and the machine."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.bench import Bench, event, open_bench
from tests.e2e.process import until
from tests.integration.conftest import amqp_url
from tests.overload.scenes import HERE, THERE

__all__ = ["amqp_url"]

PREFETCH = 16


@pytest.fixture
async def bench(tmp_path: Path, amqp_url: str) -> AsyncIterator[Bench]:
    """Give a bench with a broker and SQLite."""
    async with open_bench(tmp_path, amqp_url) as bench:
        yield bench


async def test_what_cannot_be_taken_in_waits_at_the_broker(bench: Bench) -> None:
    """While the store takes nothing, the bridge holds as many events as its prefetch and no more; then all come in (I3)."""
    bench.add(boards=1)
    bench.environment["BRIDGE_QUEUE__PREFETCH"] = str(PREFETCH)
    bridge = await bench.start(ready=False)
    await bridge.ready(60)
    assert bench.broker
    broker = bench.broker
    with closing(sqlite3.connect(bench.folder / "bridge.db", isolation_level=None)) as lock:
        lock.execute("BEGIN IMMEDIATE")
        await bench.publish(*(event(f"zaak-{number}", "opened") for number in range(100)))

        async def held() -> bool:
            return await broker.ready() == 100 - PREFETCH

        await until(held, "the rest waits at the broker", seconds=60)
        assert not bridge.logged("event")
        lock.execute("ROLLBACK")
    await bridge.until_logged("event", times=100, seconds=60)
    assert {line["verdict"] for line in bridge.logged("event")} == {"applied"}
    await until(lambda: len(bench.boards.shown("bord-0")) == 100, "all are shown", seconds=60)


async def test_a_board_goes_dark_before_a_mailing_is_planned_and_sent(bench: Bench) -> None:
    """While hundreds of mails are planned and wait, another case's board is cleared: hardly any of them went before."""
    bench.add(boards=1, mails=600)
    for target in bench.targets:
        target["coverage"] = THERE if target["channel"] == "sign" else HERE
    await (await bench.start(ready=False)).ready(60)
    await bench.publish(event("lit", "opened", area=THERE))
    await until(lambda: bench.lit() == 1, "the board is lit", seconds=60)
    await bench.publish(event("mailing", "opened", area=HERE), event("lit", "ended"))
    await until(lambda: bench.lit() == 0, "the board is dark", seconds=60)
    assert len(bench.mails.messages) < 300
    await until(lambda: len(bench.mails.messages) == 600, "everybody was mailed", seconds=120)
    assert set(bench.received().values()) == {1}
