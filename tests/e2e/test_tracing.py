"""A trace goes from the publisher's header to the board's request, through the real process, its store and its end."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from aio_pika.abc import AbstractIncomingMessage

from tests.e2e.bench import FOUND, INSTRUCTION, SECRET, TEXT, TOKEN, Bench, event
from tests.e2e.conftest import Figures
from tests.e2e.process import until
from tests.integration.otlp_collector import Collector, open_collector

CASE = "2026112200042"
PUBLISHER = "00f067aa0ba902b7"  # the publisher's own span
STATE = "rojo=00f067aa0ba902b7,meldkamer@npol=t61rcWkgMzE"


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    """Give a collector of spans."""
    async with open_collector() as collector:
        yield collector


async def put(bench: Bench, body: bytes, **headers: str) -> None:
    """Publish an event with headers beside it."""
    assert bench.broker
    key = json.loads(body)["type"].removeprefix("nl.burgernet.")
    await bench.broker.put(body, key=key, content_type="application/cloudevents+json", headers=headers)


def beginning() -> tuple[str, str]:
    """Begin a trace as a publisher does: its id, and the header."""
    trace = uuid4().hex
    return trace, f"00-{trace}-{PUBLISHER}-01"


async def results(bench: Bench, key: str) -> list[AbstractIncomingMessage]:
    """Listen to the results of a kind, from now on."""
    assert bench.broker
    told: list[AbstractIncomingMessage] = []

    async def hear(message: AbstractIncomingMessage) -> None:
        told.append(message)

    queue = await bench.broker.channel.declare_queue(exclusive=True, auto_delete=True)
    await queue.bind(bench.broker.settings.status_exchange, key)
    await queue.consume(hear, no_ack=True)
    return told


async def test_one_trace_from_the_queue_to_the_board(bench: Bench, collector: Collector) -> None:
    """The publisher's trace goes on in the event, its plan, each step, each board's request, the results and the log."""
    assert bench.broker
    bench.settings["tracing"] = {"endpoint": collector.url}
    bench.add(boards=2, mails=1, pages=1, admins=1)
    bridge = await bench.start()
    told = await results(bench, "posting.applied")
    trace, header = beginning()
    await put(bench, event(CASE, "opened"), traceparent=header, tracestate=STATE)
    await bench.until_settled(CASE)
    accepted, plan = await collector.one("alert.opened"), await collector.one("plan")
    await until(lambda: sum(span.name.startswith("publish ") for span in collector.spans) >= 5, "a span of each place")
    await until(lambda: len(told) == 5, "the results of all five")

    assert (accepted.trace, accepted.parent, accepted.kind, accepted.state) == (trace, PUBLISHER, "consumer", STATE)
    assert accepted.facts == {"burgernet.case": CASE, "burgernet.verdict": "applied", "burgernet.revision": 1}
    assert (plan.trace, plan.parent) == (trace, accepted.id)
    steps = {span.id: span for span in collector.spans if span.kind == "client"}
    assert {span.name for span in steps.values()} >= {
        "publish sign",
        "publish email",
        "publish facebook",
        "publish outbox",
    }
    assert {(span.trace, span.parent, span.failed) for span in steps.values()} == {(trace, accepted.id, False)}
    puts = {board: sent for board, verb, sent in bench.boards.traces if verb == "PUT"}
    boards = {span.facts["burgernet.target"]: f"00-{trace}-{span.id}-01" for span in collector.named("publish sign")}
    assert puts == boards
    for message in told:
        said = json.loads(message.body)
        assert {message.headers["traceparent"], said["traceparent"]} <= {f"00-{trace}-{one}-01" for one in steps}
        assert (message.headers["tracestate"], said["tracestate"]) == (STATE, STATE)
        assert "trace" not in said["data"]
    assert [line["trace_id"] for line in bridge.logged("event")] == [trace]
    assert collector.resources[0]["service.name"] == "burgernet-bridge"
    everything = b"".join(collector.bodies).decode("utf-8", "replace")
    for secret in (TEXT, INSTRUCTION, TOKEN, SECRET, "Vermist", "lezer0", bench.boards.url, "Iemand"):
        assert secret not in everything

    inside, attribute = beginning()
    await put(bench, json.dumps({**json.loads(event(CASE, "updated")), "traceparent": attribute}).encode())
    updated = await collector.one("alert.updated")
    assert (updated.trace, updated.parent) == (inside, PUBLISHER), "CloudEvents' attribute, where there is no header"
    await put(bench, event(CASE, "ended"), traceparent="00-not-a-trace-01", tracestate=STATE)
    ended = await collector.one("alert.ended")
    assert (ended.parent, ended.state) == ("", ""), "nonsense begins a trace of our own"

    lost, header = beginning()
    await bench.broker.put(b"{}", headers={"traceparent": header})
    unreadable = await collector.one("alert.unreadable")
    assert (unreadable.trace, unreadable.parent, unreadable.failed) == (lost, PUBLISHER, True)
    assert unreadable.facts == {"burgernet.bytes": 2, "error.type": "unreadable"}
    assert [line["trace_id"] for line in bridge.logged("unreadable message put aside")] == [lost]
    await bridge.stop()


async def test_a_trace_outlives_the_process(bench: Bench, collector: Collector) -> None:
    """After a SIGKILL the retraction that another process brings about belongs to the trace of the ending."""
    bench.settings["tracing"] = {"endpoint": collector.url}
    bench.add(boards=3)
    bridge = await bench.start()
    _, opening = beginning()
    await put(bench, event(CASE, "opened"), traceparent=opening)
    await bench.until_settled(CASE)
    await bench.boards.stop()
    trace, header = beginning()
    await put(bench, event(CASE, "ended", info=[{"language": "nl", "description": FOUND}]), traceparent=header)
    await until(lambda: all(bridge.failures(f"bord-{one}") for one in range(3)), "each board was tried")
    [accepted] = [span for span in [await collector.one("alert.ended")] if span.trace == trace]
    await bridge.kill()
    bench.boards.traces.clear()
    again = await bench.start(ready=False)
    await bench.boards.start()
    await until(lambda: not bench.lit(), "every board is dark")
    await until(lambda: len([one for one in collector.named("retract sign") if not one.failed]) == 3, "three spans")
    done = [span for span in collector.named("retract sign") if not span.failed]
    assert {(span.trace, span.parent) for span in done} == {(trace, accepted.id)}
    deletes = {sent for _, verb, sent in bench.boards.traces if verb == "DELETE"}
    assert deletes >= {f"00-{trace}-{span.id}-01" for span in done}
    assert {line["trace_id"] for line in again.logged("step failed") if line["step"] == "retract"} <= {trace}


async def test_a_collector_that_hangs(bench: Bench, collector: Collector, figures: Figures) -> None:
    """Alerts go out and boards go dark as ever, the bridge is ready, and its end waits two seconds for the spans."""
    collector.answering.clear()
    bench.settings["tracing"] = {"endpoint": collector.url}
    bench.add(boards=20)
    bridge = await bench.start()
    for what, lit in (("opened", 20), ("ended", 0)):
        await put(bench, event(CASE, what))
        await until(lambda lit=lit: bench.lit() == lit, f"{lit} boards are lit")
    assert (await bridge.get("/readyz"))[0] == 200
    began = bridge.age()
    await bridge.stop()
    seconds = bridge.age() - began
    assert seconds < 10
    [lost] = bridge.logged("the last spans were not exported")
    assert lost["spans"] >= 44
    figures(f"collector hangs: stopped {seconds:.2f} s after SIGTERM, {lost['spans']} spans lost")
