"""A collector of spans that speaks OTLP over HTTP, as a real one does; it can refuse, and it can say nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan

from tests.integration.broker_bench import until

PATH = "/v1/traces"


@dataclass(frozen=True)
class Seen:
    """One span that arrived; ids in hexadecimal, ``parent`` empty for the first of a trace."""

    name: str
    trace: str
    id: str
    parent: str
    kind: str
    failed: bool
    state: str
    facts: Mapping[str, str | int]
    seconds: float


@dataclass
class Collector:
    """What arrived, and how the next request is answered."""

    url: str = ""
    spans: list[Seen] = field(default_factory=list)
    resources: list[Mapping[str, str | int]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    status: int = 200
    answering: asyncio.Event = field(default_factory=asyncio.Event)

    def named(self, name: str) -> list[Seen]:
        """Give the spans of one name."""
        return [span for span in self.spans if span.name == name]

    async def one(self, name: str) -> Seen:
        """Wait for the only span of a name."""
        await until(lambda: bool(self.named(name)))
        [span] = self.named(name)
        return span

    async def take(self, request: web.Request) -> web.Response:
        """Take one request as the specification says (OTLP 1.10, OTLP/HTTP, binary)."""
        assert request.content_type == "application/x-protobuf"
        body = await request.read()
        await self.answering.wait()
        if self.status != 200:
            return web.Response(status=self.status)
        self.bodies.append(body)
        self.headers.append(request.headers)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append({one.key: _value(one.value) for one in resource.resource.attributes})
            self.spans += [_seen(span) for scope in resource.scope_spans for span in scope.spans]
        return web.Response(body=b"", content_type="application/x-protobuf")


def _value(value: AnyValue) -> str | int:
    [found] = MessageToDict(value).items()
    kind, content = found
    return int(content) if kind == "intValue" else str(content)


def _seen(span: OtlpSpan) -> Seen:
    return Seen(
        name=span.name,
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        kind=OtlpSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        failed=span.status.code == 2,
        state=span.trace_state,
        facts={one.key: _value(one.value) for one in span.attributes},
        seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
    )


@asynccontextmanager
async def open_collector() -> AsyncIterator[Collector]:
    """Open a collector on a port of its own."""
    collector = Collector()
    collector.answering.set()
    app = web.Application(client_max_size=2**26)
    app.router.add_post(PATH, collector.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}"
    try:
        yield collector
    finally:
        collector.answering.set()
        await runner.cleanup()
