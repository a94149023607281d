"""KV15: every answer of a receiver has one meaning, and a target that cannot be is refused in one sentence."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from aiohttp import web

from bridge.adapters.kv15 import CODES, Kv15, verdict
from bridge.core.errors import InvalidInput, OutcomeUnknown, PermanentError, TransientError
from bridge.core.posting import Posting
from bridge.protocols.kv15 import Envelope, write_answer
from bridge.simulators.kv15 import OLD_NAMESPACE
from bridge.store.counters import CounterStore
from tests.contract.kv15_bench import (
    adapter_fixture,  # noqa: F401
    an_adapter,
    content,
    counter_fixture,  # noqa: F401
    posting_at,
    posting_fixture,  # noqa: F401
    receiver_fixture,  # noqa: F401
    served,
    target,
)

NOW = datetime(2026, 11, 26, 22, 30, tzinfo=UTC)  # half past eleven in the evening, in the Netherlands
ENVELOPE = Envelope("simulator", "BISON 8.3.0.0", NOW)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("OK", None),
        ("SE", PermanentError),
        ("NA", TransientError),
        ("PE", PermanentError),
        ("NOK", OutcomeUnknown),
        ("IC", PermanentError),
        ("AE", PermanentError),
        ("XX", OutcomeUnknown),
    ],
)
@pytest.mark.parametrize("namespace", ["http://bison.connekt.nl/tmi8/kv15/msg", OLD_NAMESPACE])
def test_every_code_is_understood(code: str, error: type[Exception] | None, namespace: str) -> None:
    """A ResponseCode counts under HTTP 200, in whatever namespace, and its name is in the reason."""
    found = verdict(200, write_answer(code, ENVELOPE, namespace=namespace))
    assert (type(found) if found else None) is error
    assert found is None or code in str(found)
    assert set(CODES) == {"SE", "NA", "PE", "NOK", "IC", "AE"}


@pytest.mark.parametrize(
    ("status", "answer", "error"),
    [
        (200, b"", OutcomeUnknown),
        (200, b"OK", OutcomeUnknown),
        (204, b"", OutcomeUnknown),
        (301, b"", PermanentError),
        (400, b"", PermanentError),
        (403, b"<html/>", PermanentError),
        (408, b"", TransientError),
        (429, b"", TransientError),
        (500, b"", OutcomeUnknown),
        (502, b"", OutcomeUnknown),
        (503, b"", TransientError),
        (500, write_answer("SE", ENVELOPE), PermanentError),
        (400, write_answer("NA", ENVELOPE), TransientError),
        (500, write_answer("OK", ENVELOPE), OutcomeUnknown),
    ],
)
def test_every_status_is_understood(status: int, answer: bytes, error: type[Exception]) -> None:
    """What is no clear OK is an error of the right kind; a code says more than the status beside it."""
    assert type(verdict(status, answer)) is error


async def test_when_to_come_back_is_passed_on(adapter: Kv15) -> None:
    """A Retry-After in seconds goes with "not now"; any other is left out."""
    answers = iter(["30", "soon", "9" * 30])

    async def busy(_: web.Request) -> web.Response:
        return web.Response(status=503, headers={"Retry-After": next(answers)})

    async with served(busy) as url:
        waits = []
        for _ in range(3):
            with pytest.raises(TransientError) as raised:
                await adapter.publish(posting_at(f"{url}#HTM:1"), content())
            waits.append(raised.value.retry_after)
    assert waits == [30.0, None, None]


async def test_an_endless_answer_is_cut_off(adapter: Kv15) -> None:
    """A receiver that never stops talking is hung up on, and what it did is unknown."""

    async def talk(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(b"x" * 65_536)

    async with served(talk) as url:
        with pytest.raises(OutcomeUnknown):
            await adapter.publish(posting_at(f"{url}#HTM:1"), content())


async def test_a_login_is_sent_and_never_told(adapter: Kv15) -> None:
    """A secret goes along as HTTP Basic; what comes back has nothing of it in its reason (I6)."""
    seen: list[str] = []

    async def echo(request: web.Request) -> web.Response:
        seen.append(request.headers["Authorization"])
        return web.Response(status=403, text=request.headers["Authorization"])

    async with served(echo) as url:
        with pytest.raises(PermanentError) as raised:
            await adapter.publish(posting_at(f"{url}#HTM:1", secret="ons:geheim"), content())
    assert seen == ["Basic b25zOmdlaGVpbQ=="]
    assert str(raised.value) == "HTTP 403"


# Targets


@pytest.mark.parametrize(
    "address",
    [
        "", "halte", "http://x/", "http://x/#", "http://x/#HTM", "http://x/#HTM:", "http://x/#:1234", "http://x/#HTM:1,,2",
        "http://x/#HTM:1 2", "http://x/#HTM:12345678901", "http://x/#HTMHTMHTMHT:1", "ftp://x/#HTM:1", "http:///x#HTM:1",
        "http://u:p@x/#HTM:1", "http://x/?a=b#HTM:1", "http://x:99999/#HTM:1", "http://x:0/#HTM:1", "http://[::1#HTM:1",
        "http://x/#HTM:1#2", "http://x/#HTM:é", "//x/#HTM:1", "http://x\\y/#HTM:1", "http://x/#HTM/1:2",
    ],
)  # fmt: skip
def test_a_wrong_address_is_refused(address: str) -> None:
    """What names no receiver, owner or stops is refused in one sentence that shows how it should be."""
    with pytest.raises(InvalidInput, match=r"address: .* like https://kv15"):
        Kv15.check_target(target("http://x/#HTM:1").model_copy(update={"address": address}))


async def test_a_wrong_address_that_slipped_through_sends_nothing(adapter: Kv15, posting: Posting) -> None:
    """An address that was never checked is a reason, not a crash."""
    lost = replace(posting, target=posting.target.model_copy(update={"address": "halte"}))
    for step in (adapter.publish(lost, content()), adapter.probe(lost.target)):
        with pytest.raises(PermanentError, match="address"):
            await step


def test_a_good_target_is_accepted() -> None:
    """A receiver's URL with owner and stops, with or without a login, is fine."""
    Kv15.check_target(target("https://kv15.example.nl:8443/KV15messages#HTM:1234,HA1017,a-b"))
    Kv15.check_target(target("http://[::1]:80/#RET:1", secret="ons:geheim"))


def test_every_problem_of_a_target_is_told_at_once() -> None:
    """Address, size and secret are checked together, and the secret is not repeated."""
    wrong = target("halte").model_copy(update={"sign": None}).with_secret("hunter2")
    with pytest.raises(InvalidInput) as raised:
        Kv15.check_target(wrong)
    assert [problem.split(":")[1].strip() for problem in raised.value.problems] == ["address", "sign", "secret"]
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "error"), [(405, None), (501, None), (200, None), (404, PermanentError), (401, PermanentError), (503, TransientError)]
)  # fmt: skip
async def test_a_probe_asks_and_sends_nothing(adapter: Kv15, status: int, error: type[Exception] | None) -> None:
    """Any answer but "not here" or "not you" says that the receiver is there."""
    verbs: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        verbs.append(request.method)
        return web.Response(status=status)

    async with served(answer) as url:
        if error is None:
            await adapter.probe(target(f"{url}#HTM:1"))
        else:
            with pytest.raises(error):
                await adapter.probe(target(f"{url}#HTM:1"))
    assert verbs == ["HEAD"]


async def test_it_is_honest_about_what_it_can(adapter: Kv15, counter: CounterStore) -> None:
    """It can read back only where there is a feed; a case's number and its stops are all it needs to publish again."""
    can = adapter.capabilities
    assert (can.board, can.leased, can.idempotent, can.holds_one, can.can_find) == (True, True, True, False, False)
    assert not can.can_observe
    async with an_adapter(counter, kv8_url="tcp://127.0.0.1:1") as listening:
        assert listening.capabilities.can_observe
