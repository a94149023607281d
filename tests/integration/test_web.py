"""The bridge's own site, asked over real HTTP."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bridge.core.errors import InvalidInput, StoreUnavailable
from bridge.core.posting import Receipt
from bridge.core.retry import Done
from bridge.settings import WebSettings
from bridge.store import schema
from bridge.store.database import Connection, Database
from bridge.store.rows import Finished, Work
from bridge.web.metrics import Figures, Metrics
from bridge.web.server import WebServer, make_app
from tests.integration.store_bench import Bench, succeed


@dataclass
class FakePart:
    """A part of a bridge that is as ready as the test says."""

    not_ready: str | None = None


@dataclass
class FakeDispatcher(FakePart):
    """A part that turns."""

    last_turn: float = field(default_factory=time.monotonic)


class AbsentDatabase:
    """A database that does not answer, or only when the gate opens."""

    def __init__(self, gate: asyncio.Event | None = None) -> None:
        self.reads = 0
        self._gate = gate

    async def read(self, look: Callable[[Connection], Any]) -> Any:
        """Fail, now or later."""
        self.reads += 1
        if self._gate:
            await self._gate.wait()
        raise StoreUnavailable("the database did not answer: connection refused")


@dataclass
class Site:
    """A running site, and a way to ask it."""

    parts: dict[str, Any]
    metrics: Metrics
    server: WebServer
    session: aiohttp.ClientSession

    async def get(self, path: str, **headers: str) -> tuple[int, str, dict[str, str]]:
        """Give status, body and headers (by lower-case name)."""
        url = f"http://127.0.0.1:{self.server.port}{path}"
        async with self.session.get(url, headers=headers) as response:
            return response.status, await response.text(), {k.lower(): v for k, v in response.headers.items()}

    async def figure(self, name: str, **labels: str) -> float:
        """Scrape, and give the value of one sample."""
        _, body, _ = await self.get("/metrics")
        samples = [sample for family in text_string_to_metric_families(body) for sample in family.samples]
        (value,) = [one.value for one in samples if (one.name, one.labels) == (f"burgernet_{name}", labels)]
        return float(value)


@asynccontextmanager
async def running(database: Any) -> AsyncIterator[Site]:
    """Run a site on a port of the system's choice, until the block ends."""
    parts: dict[str, Any] = {"dispatcher": FakeDispatcher(), "queue": FakePart()}
    metrics = Metrics()
    server = WebServer(WebSettings(port=0), make_app(parts, database, metrics))
    parts["web"] = server
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session, asyncio.TaskGroup() as group:
        run = group.create_task(server.run())
        while server.not_ready and not run.done():
            await asyncio.sleep(0)
        yield Site(parts, metrics, server, session)
        await server.stop()
        await run


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """Give an empty store."""
    database = Database(f"sqlite:///{tmp_path}/bridge.db")
    await database.write(schema.metadata.create_all)
    yield database
    await database.close()


@pytest.fixture
async def site(database: Database) -> AsyncIterator[Site]:
    """Give a site on an empty store."""
    async with running(database) as site:
        yield site


async def test_it_is_healthy_while_the_dispatcher_turns(site: Site) -> None:
    """Health follows the dispatcher's turns, not the readiness of other parts."""
    site.parts["queue"].not_ready = "no broker"
    status, body, _ = await site.get("/healthz")
    assert (status, json.loads(body)) == (200, {"status": "ok"})
    site.parts["dispatcher"].last_turn -= 91
    status, body, _ = await site.get("/healthz")
    assert (status, json.loads(body)) == (503, {"status": "stuck", "why": "dispatcher has not turned for 91 s"})


async def test_it_is_ready_when_every_part_is(site: Site) -> None:
    """Readiness names each part that is not ready, with its reason, and is 200 only when there is none."""
    status, body, _ = await site.get("/readyz")
    assert (status, json.loads(body)) == (200, {"ready": True, "parts": {}, "late": [], "details": {}})
    site.parts["queue"].not_ready = "no queue at amqp://guest:geheim@mq: refused"
    status, body, _ = await site.get("/readyz")
    reasons = {"queue": "no queue at amqp://***@mq: refused"}
    assert (status, json.loads(body)) == (503, {"ready": False, "parts": reasons, "late": [], "details": {}})
    assert await site.figure("parts_ready", part="queue") == 0
    assert await site.figure("parts_ready", part="dispatcher") == 1


async def test_readiness_tells_what_is_late_and_stays_ready(site: Site, database: Database) -> None:
    """Alerts that have waited for half a minute are told by channel, with 200: a restart would help nobody."""
    bench = Bench(database)
    bench.now = time.time() - 31
    await bench.accept("opened")
    status, body, _ = await site.get("/readyz")
    late = json.loads(body)["late"]
    assert status == 200
    assert {(one["channel"], one["state"], one["postings"]) for one in late} == {
        (channel, "pending", 1) for channel in ("sign", "facebook", "email")
    }
    assert all(30 <= one["seconds"] < 60 for one in late)


async def test_what_happens_is_counted(site: Site) -> None:
    """Events, dead letters, steps with their durations and the age of an event at its acceptance are on the page."""
    for result in ("applied", "applied", "unreadable"):
        site.metrics.event(result)
    site.metrics.accepted(datetime.now(UTC) - timedelta(seconds=90))
    assert await site.figure("events_total", result="applied") == 2
    assert await site.figure("events_total", result="duplicate") == 0
    assert await site.figure("dead_letters_total") == 1
    assert await site.figure("queue_lag_seconds") == pytest.approx(90, abs=5)


async def test_steps_and_the_store_are_on_the_page(site: Site, database: Database) -> None:
    """Steps are counted as they ran, and a scrape reads from the store how postings stand."""
    bench = Bench(database)
    await bench.accept("opened")

    def answer(work: Work) -> Any:
        result = succeed(work)
        assert isinstance(result, Receipt)
        done = Done(work.step, work.content, work.content_id, work.ending, result)
        site.metrics.step(work, Finished(work, done, 0.03))
        return result

    await bench.work(answer)
    assert await site.figure("steps_total", channel="sign", step="publish", result="ok") == 1
    assert await site.figure("step_seconds_sum", channel="email", step="publish") == pytest.approx(0.03)
    assert await site.figure("step_seconds_bucket", channel="sign", step="publish", le="0.05") == 1
    assert await site.figure("postings", channel="sign", state="shown") == 1
    assert await site.figure("oldest_overdue_retraction_seconds") == 0
    assert await site.figure("outcome_wanted_cases") == 0
    assert await site.figure("figures_age_seconds") < 5
    assert await site.figure("waiting_notices") > 0


async def test_a_scrape_survives_the_store() -> None:
    """Without a store the counters are still there, and the age of the figures says that they are not."""
    async with running(AbsentDatabase()) as site:
        status, body, headers = await site.get("/metrics")
        assert status == 200
        assert "burgernet_events_total" in body
        assert "burgernet_figures_age_seconds NaN" in body
        assert headers["content-type"].startswith("text/plain; version=0.0.4")


async def test_openmetrics_is_served_to_who_asks(site: Site) -> None:
    """Prometheus asks for OpenMetrics and gets it, whole to its end mark."""
    _, body, headers = await site.get("/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith("# EOF\n")


async def test_a_slow_store_is_asked_once_and_does_not_hold_up_scrapes() -> None:
    """While one reading hangs, scrapes go on with what there is, and no second reading is piled on it."""
    database = AbsentDatabase(asyncio.Event())
    figures = Figures(database, max_age=0.0, patience=0.01)  # type: ignore[arg-type]
    for _ in range(3):
        found, _ = await figures.latest()
        assert found is None
    assert database.reads == 1
    await figures.close()


async def test_the_store_is_read_no_more_than_now_and_then(database: Database) -> None:
    """Many scrapes within the time that figures are good for cost one reading."""
    bench = Bench(database)
    figures = Figures(database)
    before, _ = await figures.latest()
    await bench.accept("opened")
    again, _ = await figures.latest()
    assert before is again
    fresh, _ = await Figures(database).latest()
    assert fresh is not None
    assert sum(fresh.postings.values()) == 3


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/metrics", "/nergens"])
async def test_every_answer_is_guarded_and_tells_no_version(site: Site, path: str) -> None:
    """Each answer, an error too, forbids scripts, frames, sniffing and caching, and names no software version."""
    _, body, headers = await site.get(path)
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")
    assert (headers["cache-control"], headers["referrer-policy"]) == ("no-store", "no-referrer")
    assert headers["server"] == "burgernet-bridge"
    assert not re.search(r"aiohttp|python", body, re.IGNORECASE)


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        ("", "nl"),
        ("de", "nl"),
        ("en", "en"),
        ("nl,en;q=0.8", "nl"),
        ("en-GB,en;q=0.9,nl;q=0.8", "en"),
        ("en;q=x,nl;q=0.1", "nl"),
    ],
)
async def test_the_page_is_in_the_readers_language(site: Site, asked: str, language: str) -> None:
    """The page is Dutch unless English is preferred, says so to a screen reader, and leads to the three others."""
    status, body, headers = await site.get("/", **{"Accept-Language": asked})
    assert status == 200
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert (headers["content-language"], headers["vary"]) == (language, "Accept-Language")
    assert f'<html lang="{language}">' in body
    for link in re.findall(r'href="([^"]+)"', body):
        assert (await site.get(f"/{link}"))[0] == 200
    assert body.count("href=") == 3


async def test_nothing_can_be_changed_here(site: Site) -> None:
    """The site only answers questions."""
    async with site.session.post(f"http://127.0.0.1:{site.server.port}/readyz") as response:
        assert response.status == 405


async def test_a_port_that_is_taken_is_one_clear_line(site: Site) -> None:
    """A second server on the same port ends with a sentence that names it."""
    settings = WebSettings(port=site.server.port)
    second = WebServer(settings, make_app({}, AbsentDatabase(), Metrics()))  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=rf"web: cannot listen on 127\.0\.0\.1 port {site.server.port}: .*in use"):
        await second.run()
    assert second.not_ready


async def test_a_cancelled_server_lets_go_of_its_port(database: Database) -> None:
    """Cancelling is enough to stop: the port is free at once."""
    server = WebServer(WebSettings(port=0), make_app({}, database, Metrics()))
    run = asyncio.ensure_future(server.run())
    while server.not_ready:
        await asyncio.sleep(0)
    run.cancel()
    await asyncio.wait({run})
    assert server.not_ready == "has stopped"
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection("127.0.0.1", server.port)
