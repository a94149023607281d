"""The tracer against a collector that speaks OTLP: what arrives, what is lost and counted, and what it never costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bridge import tracing
from bridge.core.errors import InvalidInput, StoreUnavailable
from bridge.core.trace import Trace, read_trace
from bridge.logs import mask
from bridge.settings import TracingSettings, load_settings
from bridge.tracing import FLUSH, QUEUE, open_tracer
from tests.integration.broker_bench import until
from tests.integration.otlp_collector import Collector, open_collector

PUBLISHER = Trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "rojo=1")
AWAY = "http://127.0.0.1:9/v1/traces"  # the port "discard": nobody listens


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    """Give a collector of spans."""
    async with open_collector() as collector:
        yield collector


class Dropped(list[int]):
    """Counts what is lost."""

    @property
    def number(self) -> int:
        """How many spans."""
        return sum(self)


async def test_what_arrives(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """A span arrives with parent, kind, facts and failure; a forgotten one, or a try that comes again, does not."""
    dropped = Dropped()
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=proef")
    settings = TracingSettings.model_validate({"endpoint": collector.url, "headers": {"X-Key": "the collector's"}})
    async with open_tracer(settings, "one/1", dropped.append) as tracer:
        with tracer.span("alert.opened", PUBLISHER, "consumer", case="zaak") as span:
            span.note(verdict="applied", revision=2)
            with tracer.span("retract sign", span.trace, "client") as step:
                step.fail("transient")
            with tracer.span("observe sign", span.trace, "client") as quiet:
                quiet.forget()
        with pytest.raises(LookupError), tracer.span("plan", None, "internal"):
            raise LookupError("what an alert says")
        with pytest.raises(StoreUnavailable), tracer.span("alert.ended", None, "consumer"):
            raise StoreUnavailable("it comes again")
        assert span.trace
        assert step.trace
        assert read_trace(span.trace.headers) == span.trace
    event, failed, plan = [await collector.one(name) for name in ("alert.opened", "retract sign", "plan")]
    assert len(collector.spans) == 3
    assert (event.trace, event.parent, event.state) == (PUBLISHER.id, "00f067aa0ba902b7", "rojo=1")
    assert (event.kind, event.failed) == ("consumer", False)
    assert event.facts == {"burgernet.case": "zaak", "burgernet.verdict": "applied", "burgernet.revision": 2}
    assert (failed.parent, failed.failed, failed.facts) == (event.id, True, {"error.type": "transient"})
    assert step.trace.parent == f"00-{PUBLISHER.id}-{failed.id}-01"
    assert (plan.parent, plan.failed, plan.facts) == ("", True, {"error.type": "LookupError"})
    assert collector.resources[0]["service.name"] == "burgernet-bridge"
    assert collector.resources[0]["service.instance.id"] == "one/1"
    assert collector.resources[0]["deployment.environment.name"] == "proef", "OpenTelemetry's own variable"
    assert {headers["X-Key"] for headers in collector.headers} == {"the collector's"}
    assert not dropped


async def test_who_decides_what_is_kept(collector: Collector) -> None:
    """``sample`` is for traces that begin here; whoever sends a trace has decided already, and boards hear of it."""
    async with open_tracer(TracingSettings(endpoint=collector.url, sample=0), "one", Dropped().append) as tracer:
        with tracer.span("ours", None, "consumer") as ours, tracer.span("under ours", ours.trace, "client") as under:
            pass
        with tracer.span("wanted", PUBLISHER, "consumer"):
            pass
        with tracer.span("unwanted", Trace(f"{PUBLISHER.parent[:-2]}00"), "consumer") as unwanted:
            pass
    assert [span.name for span in collector.spans] == ["wanted"]
    assert under.trace
    assert ours.trace
    assert unwanted.trace
    assert under.trace.id == ours.trace.id
    assert [one.trace.parent[-2:] for one in (ours, under, unwanted) if one.trace] == ["00", "00", "00"]


async def test_a_collector_that_hangs(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever makes spans never waits: what does not fit is dropped and counted, and the end has a bound."""
    monkeypatch.setattr(tracing, "QUEUE", 600)
    monkeypatch.setattr(tracing, "FLUSH", 0.3)
    collector.answering.clear()
    dropped = Dropped()
    with capture_logs() as logs:
        async with open_tracer(TracingSettings(endpoint=collector.url), "one", dropped.append) as tracer:
            began = time.perf_counter()
            for number in range(5_000):
                with tracer.span("publish sign", PUBLISHER, "client", number=number):
                    pass
            seconds = time.perf_counter() - began
            at_once = dropped.number
            began = time.perf_counter()
        ending = time.perf_counter() - began
    assert at_once == 5_000 - 600
    assert seconds < tracing.TIMEOUT
    assert ending < tracing.TIMEOUT
    assert dropped.number == 5_000, "the rest was lost with the process, and is counted too"
    assert logs[-1]["event"] == "the last spans were not exported"
    assert logs[-1]["spans"] == 600


@pytest.mark.parametrize("status", [400, 0], ids=["refuses", "is away"])
async def test_a_collector_that_does_not_take_them(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """Every span is counted as lost, with one warning for all; once the collector takes them nothing is lost."""
    monkeypatch.setattr(tracing, "FLUSH", 5.0 if status else 0.3)
    dropped = Dropped()
    collector.status = status
    settings = TracingSettings(endpoint=collector.url if status else AWAY)
    with capture_logs() as logs:
        async with open_tracer(settings, "one", dropped.append) as tracer:
            for _ in range(3):
                with tracer.span("publish sign", PUBLISHER, "client"):
                    pass
            if status:
                await until(lambda: dropped.number == 3)
            collector.status = 200
            with tracer.span("after", PUBLISHER, "client"):
                pass
            if status:
                await collector.one("after")
    assert dropped.number == (3 if status else 4)
    assert [line["event"] for line in logs].count("spans are not exported") == 1


def test_the_queue_holds_a_fan_out_and_the_end_is_short() -> None:
    """What the documents say of both."""
    assert QUEUE == 8_192
    assert FLUSH == 2.0


async def test_an_environment_that_switches_it_off(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where OpenTelemetry's own switch is off there is no place in a trace to pass on, and nobody stumbles."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    async with open_tracer(TracingSettings(endpoint=collector.url), "one", Dropped().append) as tracer:
        with tracer.span("alert.opened", None, "consumer") as span:
            span.note(revision=1)
    assert span.trace is None
    assert not collector.spans


LOADED = """
import asyncio, json, sys
from pathlib import Path
from bridge import assembly, cli
from bridge.settings import load_settings

async def loaded(file):
    async with assembly.assembled(load_settings(Path(file))) as (bridge, service):
        return [name for name in sys.modules if name.split(".")[0] in ("opentelemetry", "requests", "google")]

print(json.dumps([asyncio.run(loaded(file)) for file in sys.argv[1:]]))
"""


def test_without_an_endpoint_nothing_is_loaded(tmp_path: Path) -> None:
    """A whole bridge is put together without one module of OpenTelemetry or of what it needs; with an endpoint it is there."""
    files = []
    for name, endpoint in (("off", ""), ("on", AWAY)):
        files.append(str(tmp_path / f"{name}.yaml"))
        store = f"store: {{url: 'sqlite:///{tmp_path}/{name}.db'}}"
        (tmp_path / f"{name}.yaml").write_text(f"{store}\ntracing: {{endpoint: '{endpoint}'}}\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}
    words = [sys.executable, "-c", LOADED, *files]
    said = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True, env=environment)
    off, on = json.loads(said.stdout)
    assert off == []
    assert "opentelemetry.sdk.trace" in on


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("", ""),
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
        ("https://collector.example/", "https://collector.example/v1/traces"),
        ("https://collector.example/otlp/v1/traces", "https://collector.example/otlp/v1/traces"),
    ],
)
def test_the_address_of_a_collector(given: str, address: str) -> None:
    """Without a path it is the one that OTLP names."""
    assert TracingSettings(endpoint=given).endpoint == address


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("endpoint", "collector:4318", "an http or https URL without user"),
        ("endpoint", "http://user:geheim@collector/", "an http or https URL without user"),
        ("endpoint", "http://[", "an http or https URL without user"),
        ("endpoint", "grpc://collector:4317", "an http or https URL without user"),
        ("sample", "1.5", "less than or equal to 1"),
        ("headers", '{"Bad name": "geheim"}', "names of letters"),
        ("headers", '{"Authorization": "geheim\\nX: y"}', "one line of printable ASCII"),
        ("headers", '{"Authorization": ["geheim"]}', "names of letters"),
        ("headers", '["geheim"]', "names of letters"),
        ("headers", "Bearer geheim", "JSON"),
    ],
)
def test_a_wrong_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, key: str, value: str, why: str) -> None:
    """It is refused in one line that names it and what is allowed, and repeats no secret."""
    file = tmp_path / "bridge.yaml"
    file.write_text("")
    monkeypatch.setenv(f"BRIDGE_TRACING__{key.upper()}", value)
    with pytest.raises(InvalidInput) as refused:
        load_settings(file)
    [line] = refused.value.problems
    assert "tracing" in line
    assert why in line
    assert "geheim" not in mask(line)
