"""Which steps make a span: every change, and of what is done again and again only the 1st, 2nd, 4th, 8th … time."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.core.content import Content, Phase
from bridge.core.errors import AdapterError, OutcomeUnknown, PermanentError, TransientError
from bridge.core.posting import Applied, Desired, Observation, Posting, Receipt, State, Step
from bridge.core.retry import Done, is_news
from bridge.core.trace import Trace
from bridge.dispatch.spans import in_trace, step_span, tell
from bridge.store.rows import Finished, Work
from tests.unit.recorder import Recorded, Recorder
from tests.unit.samples import target

TRACE = Trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
CONTENT = Content(
    case="zaak", revision=3, phase=Phase.OPENED, language="nl", subject="Vermist", text="Wat niemand mag lezen"
)


def work(step: Step, **state: Any) -> Work:
    """Make a claimed step."""
    half = State(**({"desired": Desired.SHOWN, "content": "c3", "revision": 3, "applied": Applied.SHOWN} | state))
    posting = Posting("p" * 26, "zaak", target("bord"), trace=TRACE)
    return Work(posting, "sign", half, step, CONTENT, "c3", ending=False, claim="1", lease=0.0, since=0.0)


def told(one: Work, result: Receipt | Observation | AdapterError | None) -> Recorded:
    """Tell of a step."""
    span = Recorder().span("a step", TRACE, "client")
    tell(span, Finished(one, Done(one.step, one.content, one.content_id, one.ending, result), 0.1))
    return span


RECEIPT = Receipt(Posting("p" * 26, "zaak", target("bord")))


@pytest.mark.parametrize(
    ("step", "applied_content", "result"),
    [
        (Step.PUBLISH, "", RECEIPT),
        (Step.UPDATE, "c2", RECEIPT),
        (Step.RETRACT, "c3", None),
        (Step.FIND, "c3", RECEIPT),
    ],
)
def test_a_change_is_always_told(step: Step, applied_content: str, result: Receipt | None) -> None:
    """However many failures and looks went before."""
    span = told(work(step, applied_content=applied_content, attempts=6, looks=5), result)
    assert span.told
    assert span.facts == {"result": "ok", "revision": 3}
    assert not span.why


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (TransientError("503"), "transient"),
        (PermanentError("400"), "permanent"),
        (OutcomeUnknown("timeout"), "unknown"),
    ],
)
def test_failures_are_told_ever_less_often(error: AdapterError, word: str) -> None:
    """A board that is dead for a day makes some ten spans, not thousands; each says which kind of failure it was."""
    spans = [told(work(Step.RETRACT, attempts=attempts), error) for attempts in range(1000)]
    assert [number for number, span in enumerate(spans, 1) if span.told] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
    assert {(span.why, span.facts["result"]) for span in spans} == {(word, word)}


@pytest.mark.parametrize(
    ("step", "result"), [(Step.OBSERVE, Observation(present=True, revision=3)), (Step.UPDATE, RECEIPT)]
)
def test_upkeep_is_told_ever_less_often(step: Step, result: Receipt | Observation) -> None:
    """Read-backs and renewals of a case that is open for a day make some ten spans too."""
    spans = [told(work(step, applied_content="c3", looks=looks), result) for looks in range(300)]
    assert [number for number, span in enumerate(spans, 1) if span.told] == [1, 2, 4, 8, 16, 32, 64, 128, 256]


def test_what_is_news() -> None:
    """The powers of two are."""
    assert [count for count in range(1, 70) if is_news(count)] == [1, 2, 4, 8, 16, 32, 64]


def test_the_span_of_a_step() -> None:
    """It lies under the event that caused it, names what is done where, and holds no text and no address."""
    tracer = Recorder()
    with step_span(tracer, work(Step.PUBLISH)):
        [span] = tracer.spans
    assert (span.name, span.parent, span.kind) == ("publish sign", TRACE, "client")
    assert span.facts == {"case": "zaak", "target": "bord", "channel": "sign", "step": "publish"}


def test_the_adapter_gets_the_place_of_the_step() -> None:
    """A posting in another trace is the same posting; without a trace the work stays as it is, untouched."""
    one = work(Step.PUBLISH)
    other = Trace("00-4bf92f3577b34da6a3ce929d0e0e4736-1111111111111111-01")
    assert in_trace(one, other).posting.trace == other
    assert in_trace(one, other) == one
    assert in_trace(one, None) is one
