"""Where a case's steps belong: to the trace of the event that last changed it, on both databases."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select

from bridge.core.trace import Trace, read_trace
from bridge.store import schema
from bridge.store.database import Database
from bridge.store.rows import Work
from tests.integration.store_bench import BORD, Bench, Result, succeed
from tests.integration.store_fixtures import fresh_database, store_url  # noqa: F401
from tests.unit.recorder import Recorder
from tests.unit.samples import alert_data


def sent(number: int) -> str:
    """Write the header of a publisher."""
    return f"00-{number:032x}-00f067aa0ba902b7-01"


class Steps:
    """Answers steps, and keeps where they belong."""

    def __init__(self) -> None:
        self.traces: list[tuple[str, Trace | None]] = []

    def __call__(self, work: Work) -> Result:
        """Do what is asked."""
        self.traces.append((work.step.value, work.posting.trace))
        return succeed(work)


@pytest.fixture
def tracer() -> Recorder:
    """Give a tracer that keeps its spans."""
    return Recorder()


@pytest.fixture
def traced(database: Database, tracer: Recorder) -> Bench:
    """Give a bridge that traces, with one board."""
    return Bench(database, [BORD], tracer)


async def test_steps_belong_to_the_event_that_caused_them(traced: Bench, tracer: Recorder) -> None:
    """Publish, update and retract each lie under the event that asked for them; doubled and late events change nothing."""
    steps = Steps()
    other = alert_data(info=[{"language": "nl", "description": "Hij is 9 jaar."}])
    await traced.accept("opened", traceparent=sent(1), tracestate="rojo=1")
    await traced.work(steps)
    await traced.accept("updated", data=other, traceparent=sent(2))
    await traced.work(steps)
    await traced.accept("ended", traceparent=sent(3))
    await traced.accept("opened", time="2026-11-22T08:00:00Z", traceparent=sent(4))
    await traced.work(steps)
    spans = {span.name: span for span in tracer.spans if span.name != "plan"}
    causes = [tracer.named(f"alert.{what}")[0].trace for what in ("opened", "updated", "ended")]
    assert steps.traces == list(zip(("publish", "update", "retract"), causes, strict=True))
    assert causes[0] == Trace(f"00-{1:032x}-{1:016x}-01", "rojo=1")
    assert [span.facts["verdict"] for span in tracer.named("alert.opened")] == ["applied", "ended_already"]
    assert [span.parent for span in tracer.named("plan")][:3] == causes
    assert set(spans) == {"alert.opened", "alert.updated", "alert.ended"}


async def test_what_no_event_asks_for_belongs_to_the_last(traced: Bench, tracer: Recorder) -> None:
    """An expiry, and what another process changed without tracing, go on in the trace of the case's last event."""
    steps = Steps()
    await traced.accept("opened", traceparent=sent(1))
    await traced.work(steps)
    traced.now += 5 * 3600
    assert await traced.intake.expire() == 1
    await traced.work(steps)
    [opened] = tracer.named("alert.opened")
    assert dict(steps.traces)["retract"] == opened.trace


async def test_off_means_off(database: Database) -> None:
    """A bridge that does not trace passes no trace on, not even a publisher's: not to steps, nor to results."""
    off, steps = Bench(database, [BORD]), Steps()
    await off.accept("opened", traceparent=sent(1))
    await off.work(steps)
    assert steps.traces == [("publish", None)]
    bodies = await database.read(lambda connection: connection.scalars(select(schema.notices.c.body)).all())
    assert bodies
    assert "trace" not in "".join(bodies)


async def test_a_case_from_before_has_no_trace(database: Database, tracer: Recorder) -> None:
    """What was taken in while nobody traced gives steps without a parent, and no column is written."""
    before = Bench(database, [BORD])
    await before.accept("opened", traceparent=sent(1))
    kept = await database.read(lambda connection: connection.execute(select(schema.cases.c.trace)).all())
    assert [row[0] for row in kept] == [None]
    steps = Steps()
    after = Bench(database, [BORD], tracer)
    after.now = before.now
    await after.work(steps)
    assert steps.traces == [("publish", None)]


async def test_results_and_refusals_are_told_in_their_trace(database: Database, tracer: Recorder) -> None:
    """A notice is kept with the place of what it tells of."""
    bench = Bench(database, [BORD, BORD.model_copy(update={"id": "zuil", "languages": ("fr",)})], tracer)
    await bench.accept("opened", traceparent=sent(1))
    await bench.work()
    rows = await database.read(lambda connection: connection.execute(select(schema.notices)).all())
    told: dict[str, Any] = {row.what: json.loads(row.body) for row in rows}
    [opened] = tracer.named("alert.opened")
    assert read_trace(told["refused"]["trace"]) == opened.trace
    assert read_trace(told["applied"]["trace"]) == opened.trace
