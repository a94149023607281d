"""Spans for OpenTelemetry, over OTLP/HTTP; the only importer of it, and loaded only when ``tracing.endpoint`` is set.

Spans leave in a thread of their own, through a queue of fixed length. What does not fit, and what the collector does
not take, is dropped and counted: the bridge never waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Self

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags, TraceState
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import Tracer as OtelTracer
from opentelemetry.trace.propagation import set_span_in_context

from bridge import __version__
from bridge.core.errors import StoreUnavailable
from bridge.core.trace import Kind, Silent, Trace, Tracer
from bridge.settings import TracingSettings

QUEUE = 8_192  # spans that wait at most: a fan-out to some thousands of boards, some megabytes
BATCH = 512
DELAY = 1.0  # seconds that a span waits for company; a SIGKILL loses no more than that
TIMEOUT = 5.0  # seconds for one batch, retries included
FLUSH = 2.0  # seconds that the last spans get when the bridge stops
QUIET = 300.0  # seconds between two warnings

_KINDS = {"consumer": SpanKind.CONSUMER, "internal": SpanKind.INTERNAL, "client": SpanKind.CLIENT}

log = structlog.get_logger()


@asynccontextmanager
async def open_tracer(settings: TracingSettings, name: str, on_dropped: Callable[[int], None]) -> AsyncIterator[Tracer]:
    """Trace until the end of the block, where the last spans get ``FLUSH`` seconds.

    ``name`` tells this process from others. ``on_dropped`` gets the number of spans that were lost; from any thread.
    """
    libraries = logging.getLogger("opentelemetry")
    warnings = _Warnings()
    libraries.addHandler(warnings)
    libraries.propagate = False  # its warnings come with every batch
    headers = {key: value.get_secret_value() for key, value in settings.headers.items()}
    exporter = OTLPSpanExporter(endpoint=settings.endpoint, headers=headers, timeout=TIMEOUT)
    resource = {"service.name": "burgernet-bridge", "service.version": __version__, "service.instance.id": name}
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(settings.sample)),
        resource=Resource.create(resource),
        shutdown_on_exit=False,  # it would wait for a collector that is away
    )
    counted = _Counted(exporter, on_dropped)
    provider.add_span_processor(_Bounded(counted))
    try:
        yield _Tracer(provider.get_tracer("burgernet-bridge", __version__))
    finally:
        await _shut(provider)
        counted.give_up()
        libraries.removeHandler(warnings)
        libraries.propagate = True


async def _shut(provider: TracerProvider) -> None:
    """Send what waits, in a thread that nobody has to wait for."""
    ending = threading.Thread(target=provider.shutdown, name="tracing-end", daemon=True)
    ending.start()
    await asyncio.to_thread(ending.join, FLUSH)


class _Tracer:
    def __init__(self, tracer: OtelTracer) -> None:
        self._tracer = tracer

    def span(self, name: str, parent: Trace | None, kind: Kind, /, **facts: str | int) -> _Span | Silent:
        if parent and not parent.is_sampled:
            return Silent(parent)  # passed on as it came, which costs nothing
        attributes = {f"burgernet.{key}": value for key, value in facts.items()}
        return _Span(self._tracer.start_span(name, _context(parent), _KINDS[kind], attributes))


class _Span:
    def __init__(self, span: OtelSpan) -> None:
        self._span = span
        self._told = True
        context = span.get_span_context()
        parent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags & 1:02x}"
        is_valid = context.is_valid  # not where OTEL_SDK_DISABLED is set
        self.trace: Trace | None = Trace(parent, context.trace_state.to_header()) if is_valid else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.fail(kind.__name__)  # its text may quote an alert (I6)
        if self._told and kind is not StoreUnavailable:  # what waits for the store is tried again and again
            self._span.end()  # one that never ends is never sent

    def note(self, **facts: str | int) -> None:
        self._span.set_attributes({f"burgernet.{key}": value for key, value in facts.items()})

    def fail(self, why: str) -> None:
        self._span.set_status(StatusCode.ERROR)
        self._span.set_attribute("error.type", why)

    def forget(self) -> None:
        self._told = False


def _context(parent: Trace | None) -> Context:
    if parent is None:
        return Context()
    context = SpanContext(
        int(parent.id, 16),
        int(parent.parent[36:52], 16),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
        trace_state=TraceState.from_header([parent.state]),
    )
    return set_span_in_context(NonRecordingSpan(context), Context())


class _Counted(SpanExporter):
    """Sends batches, and counts what waits and what was lost: the library drops in silence."""

    def __init__(self, exporter: SpanExporter, on_dropped: Callable[[int], None]) -> None:
        self._exporter = exporter
        self._on_dropped = on_dropped
        self._lock = threading.Lock()
        self._waiting = 0

    def takes(self) -> bool:
        """Take one more span, unless so many wait that it is dropped."""
        with self._lock:
            taken = self._waiting < QUEUE
            self._waiting += taken
        if not taken:
            self._on_dropped(1)
        return taken

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch."""
        result = self._exporter.export(spans)
        if self._gone(len(spans)) and result is not SpanExportResult.SUCCESS:
            self._on_dropped(len(spans))
        return result

    def _gone(self, number: int) -> bool:
        with self._lock:
            counted = self._waiting >= number  # else they were given up meanwhile
            self._waiting -= number if counted else 0
        return counted

    def give_up(self) -> None:
        """Count what still waits as lost: the process ends."""
        with self._lock:
            left, self._waiting = self._waiting, 0
        if left:
            self._on_dropped(left)
            log.warning("the last spans were not exported", spans=left)

    def shutdown(self) -> None:
        """Send no more."""
        self._exporter.shutdown()


class _Bounded(BatchSpanProcessor):
    """A queue that takes no more than it holds."""

    def __init__(self, exporter: _Counted) -> None:
        super().__init__(exporter, QUEUE, DELAY * 1000, BATCH)
        self._counted = exporter

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a span that is wanted; never wait."""
        if span.context and span.context.trace_flags.sampled and self._counted.takes():
            super().on_end(span)


class _Warnings(logging.Handler):
    """Lets one warning of the library through, and then none for a while: a collector that is away is no news."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._next = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Log a warning, if it is time for one."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + QUIET
            log.warning("spans are not exported", error=record.getMessage()[:300], quiet_for=QUIET)
