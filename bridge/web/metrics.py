"""Figures for Prometheus: events and steps are counted as they happen, the rest is read from the store at a scrape."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from bridge.core.case import Verdict
from bridge.store.database import Database
from bridge.store.reading import Gauges, gauges
from bridge.store.rows import Finished, Work, result_word

UNREADABLE = "unreadable"  # the result of a message that went to the dead letters
MAX_AGE = 5.0  # seconds that figures of the store are good for
PATIENCE = 2.0  # seconds that a scrape waits for the store
_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

log = structlog.get_logger()


class Policed(Protocol):
    """What knows which policy decides: since when, and whether a newer one was refused."""

    @property
    def refused(self) -> bool:
        """Whether a newer one was refused."""
        ...

    @property
    def since(self) -> float:
        """When it was read, in seconds since the epoch."""
        ...


class Metrics:
    """Every metric of one bridge, in a registry of its own; all names start with ``burgernet_``."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.registry = CollectorRegistry()
        self._clock = clock
        ProcessCollector(namespace="burgernet", registry=self.registry)
        self._events = self._counter("events", "Events that came in, by what they did", "result")
        for result in (*(verdict.value for verdict in Verdict), UNREADABLE, "failed"):
            self._events.labels(result)  # so that a first failure is a rise from nought
        self._dead_letters = self._counter("dead_letters", "Messages that could not be read and were put aside")
        self._lag = self._gauge("queue_lag_seconds", "Age of the latest event when it was accepted")
        self._steps = self._counter("steps", "Steps at targets", "channel", "step", "result")
        self._kinds: dict[tuple[str, str, str], tuple[Counter, Histogram, Counter]] = {}
        self._seconds = Histogram(
            "step_seconds",
            "How long steps at targets took",
            ("channel", "step"),
            namespace="burgernet",
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._erased = self._counter("erased_rows", "Rows that were erased after the retention period", "what")
        self._parts = self._gauge("parts_ready", "Whether a part of the bridge is ready (1) or not (0)", "part")
        self._postings = self._gauge("postings", "Postings of open cases, and unsettled ones", "channel", "state")
        self._due = self._gauge("due_postings", "Postings that wait for a step that could start now", "channel")
        self._overdue = self._gauge(
            "oldest_overdue_retraction_seconds", "For how long something has been shown, or may be, that should be gone"
        )
        self._outcomes = self._gauge("outcome_wanted_cases", "Expired cases of which nobody has said how they ended")
        self._notices = self._gauge("waiting_notices", "Delivery results that are still to be told to the broker")
        self._workers = self._gauge("workers", "Processes that share the database and are alive, by role", "role")
        self._refused = self._gauge(
            "policy_refused",
            "Whether the rules, targets and templates on disk were refused at a reload (1): older decide",
        )
        self._read = self._gauge("policy_read_timestamp_seconds", "When the rules, targets and templates were read")
        self._late = self._gauge("overdue_postings", "Postings that took too long to place or remove, as told", "what")
        self._findings = self._gauge("audit_findings", "Differences that the latest audit found")
        self._drift = self._counter("drift", "Looks that found a board otherwise than it was left", "channel")
        self._spans_dropped = self._counter("trace_spans_dropped", "Spans that were not exported")
        self._age = self._gauge("figures_age_seconds", "Age of the figures that come from the store; NaN: none yet")

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(name, about, labels, namespace="burgernet", registry=self.registry)

    def _gauge(self, name: str, about: str, *labels: str) -> Gauge:
        return Gauge(name, about, labels, namespace="burgernet", registry=self.registry)

    def event(self, result: str) -> None:
        """Count a message that is done with: a verdict, ``unreadable`` or ``failed``."""
        self._events.labels(result).inc()
        if result == UNREADABLE:
            self._dead_letters.inc()

    def accepted(self, happened: datetime) -> None:
        """Note how old an event was when it was accepted, by its own ``time``."""
        self._lag.set(max(0.0, self._clock() - happened.timestamp()))

    def step(self, work: Work, finished: Finished) -> None:
        """Count a step that ran, and how long it took."""
        count, seconds, drift = self._of_step(work.channel, work.step.value, result_word(finished.done))
        count.inc()
        seconds.observe(finished.seconds)
        drift.inc(finished.is_drift)  # a first one is a rise from nought

    def _of_step(self, channel: str, step: str, result: str) -> tuple[Counter, Histogram, Counter]:
        """Find the metrics of one kind of step; kept, for to look for them takes longer than to count."""
        key = channel, step, result
        if key not in self._kinds:
            drift = self._drift.labels(channel)
            self._kinds[key] = self._steps.labels(*key), self._seconds.labels(channel, step), drift
        return self._kinds[key]

    def erased(self, what: str, rows: int) -> None:
        """Count rows that were erased, by their table."""
        self._erased.labels(what).inc(rows)

    def spans_dropped(self, number: int) -> None:
        """Count spans that were lost; from any thread."""
        self._spans_dropped.inc(number)

    def watch(self, policy: Policed) -> None:
        """Ask this at each scrape what decides."""
        self._refused.set_function(lambda: float(policy.refused))
        self._read.set_function(lambda: policy.since)

    def watch_audit(self, findings: Callable[[], int]) -> None:
        """Ask this at each scrape what the latest audit found."""
        self._findings.set_function(lambda: float(findings()))

    def part(self, name: str, *, ready: bool) -> None:
        """Note whether a part is ready."""
        self._parts.labels(name).set(ready)

    def figures(self, found: Gauges | None, age: float) -> None:
        """Take over what the store says; ``age`` in seconds."""
        self._age.set(age)
        if found is None:
            return
        self._postings.clear()  # a channel or state that is gone is gone
        self._due.clear()
        for labels, number in found.postings.items():
            self._postings.labels(*labels).set(number)
        for channel, number in found.due.items():
            self._due.labels(channel).set(number)
        self._overdue.set(found.oldest_left_behind.seconds if found.oldest_left_behind else 0.0)
        self._outcomes.set(found.outcome_wanted)
        self._notices.set(found.notices)
        for what in ("place", "remove"):
            self._late.labels(what).set(found.overdue.get(what, 0))
        self._workers.clear()
        for role, number in found.workers.items():
            self._workers.labels(role).set(number)


class Figures:
    """The store's gauges, read at most once in ``max_age`` seconds. A slow or absent store leaves the ones before."""

    def __init__(self, database: Database, *, max_age: float = MAX_AGE, patience: float = PATIENCE) -> None:
        self._database = database
        self._max_age = max_age
        self._patience = patience
        self._reading: asyncio.Future[Gauges] | None = None
        self._asked = float("-inf")
        self._taken = float("nan")
        self._found: Gauges | None = None

    async def latest(self, patience: float | None = None) -> tuple[Gauges | None, float]:
        """Give the gauges and their age in seconds, after at most ``patience`` seconds; never raises."""
        if self._reading is None and time.monotonic() - self._asked >= self._max_age:
            self._asked = time.monotonic()
            look = self._database.read(lambda connection: gauges(connection, self._database.clock()))
            self._reading = asyncio.ensure_future(look)
        if self._reading is not None:
            await asyncio.wait({self._reading}, timeout=self._patience if patience is None else patience)
            self._take()
        return self._found, time.monotonic() - self._taken

    def _take(self) -> None:
        reading = self._reading
        if reading is None or not reading.done():
            return  # the next scrape takes it
        self._reading = None
        error = None if reading.cancelled() else reading.exception()
        if error is not None:
            log.warning("the figures could not be read", error=f"{type(error).__name__}: {error}")
        elif not reading.cancelled():
            self._found, self._taken = reading.result(), time.monotonic()

    async def close(self) -> None:
        """Stop reading."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})
