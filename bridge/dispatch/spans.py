"""Each step at a target as one span of the trace that its event began."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace

from bridge.core.retry import is_news
from bridge.core.trace import Span, Trace, Tracer
from bridge.store.rows import Finished, Work, result_word, what_changed


def step_span(tracer: Tracer, work: Work) -> AbstractContextManager[Span]:
    """Begin the span of a step."""
    posting = work.posting
    return tracer.span(
        f"{work.step.value} {work.channel}",
        posting.trace,
        "client",
        case=posting.case,
        target=posting.target.id,
        channel=work.channel,
        step=work.step.value,
    )


def in_trace(work: Work, trace: Trace | None) -> Work:
    """Let the adapter pass on where the step belongs."""
    return work._replace(posting=replace(work.posting, trace=trace)) if trace else work


def tell(span: Span, finished: Finished) -> None:
    """Say what came of a step. Of what is done again and again only the 1st, 2nd, 4th, 8th … time is told.

    Else a case that stays open for a day, or a board that stays dead, makes a trace of thousands of spans a target.
    """
    work, done = finished.work, finished.done
    result = result_word(done)
    span.note(result=result, revision=done.content.revision if done.content else work.state.revision)
    if result != "ok":
        span.fail(result)
    if not what_changed(work, done) and not is_news(work.state.attempts + work.state.looks + 1):
        span.forget()
