"""The Facebook adapter in a bad world: limits, wrong secrets, hostile answers; and the simulator as a process."""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from time import process_time
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.adapters.facebook import Facebook, FacebookConfig
from bridge.adapters.facebook_usage import FULL_PAUSE, LONGEST_PAUSE, URGENT_PAUSE
from bridge.adapters.registry import Resources
from bridge.core.content import Photo
from bridge.core.errors import AdapterError, InvalidInput, OutcomeUnknown, PermanentError, TransientError
from bridge.core.posting import Receipt
from bridge.simulators.graph import EVERYTHING, GraphSimulator
from bridge.testing import OPENING, attempted
from tests.contract.facebook_bench import (
    ALL_STEPS,
    APP_SECRET,
    OTHER_PAGE,
    OTHER_TOKEN,
    PAGE,
    PHOTO,
    STEPS,
    TOKEN,
    FacebookBench,
    FakeClock,
    NoOutbox,
    make_content,
    make_posting,
)


def everything_said(error: BaseException | None) -> str:
    """Give all text that hangs on an error, its causes and contexts included."""
    said = ""
    while error is not None:
        said += "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
        error = error.__cause__ or error.__context__
    return said


HOSTILE_KEYS = [
    *("error", "code", "error_subcode", "fbtrace_id", "is_transient", "id", "post_id", "success", "data", "message"),
    *("created_time", "paging", "next", "attachments", "target", "media_type", "from"),
]
HOSTILE_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.just("2026-11-22T09:15:00+0000"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(HOSTILE_KEYS),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)
USAGE = st.sampled_from(
    [
        "",
        "{",
        "[]",
        "null",
        '{"1":[{"call_count":1e999}]}',
        '{"1":[{"estimated_time_to_regain_access":-5}]}',
        '{"1":{"call_count":99}}',
        '{"1":[{"estimated_time_to_regain_access":"soon"}]}',
        "[" * 2000,
    ]
)


class TestTokens(FacebookBench):
    """Who may call."""

    @pytest.mark.parametrize("with_photo", [None, PHOTO], ids=["text", "photo"])
    @pytest.mark.parametrize("configured", [None, "another secret"])
    async def test_the_proof_is_made_with_the_app_secret(
        self,
        graph: GraphSimulator,
        session: aiohttp.ClientSession,
        tmp_path: Path,
        configured: str | None,
        with_photo: Photo | None,
    ) -> None:
        """An API that demands the proof refuses a missing and a wrong one (the contract shows that it takes ours)."""
        file = tmp_path / "wrong-secret"
        file.write_text(configured or "")
        config = FacebookConfig(base_url=graph.url, app_secret_file=file if configured else None)
        async with Facebook(config, Resources(session, NoOutbox())) as adapter:
            with pytest.raises(PermanentError):
                await adapter.probe(make_posting().target)
            with pytest.raises(PermanentError):
                await adapter.publish(make_posting(), make_content(photo=with_photo))
        assert graph.posts(PAGE) == []

    async def test_without_an_app_secret_no_proof_is_needed(self, session: aiohttp.ClientSession) -> None:
        """A plain page token is enough where no app secret is configured."""
        async with GraphSimulator({PAGE: TOKEN}) as graph:
            config = FacebookConfig(base_url=graph.url + "/")
            async with Facebook(config, Resources(session, NoOutbox())) as adapter:
                await adapter.probe(make_posting().target)

    async def test_an_app_secret_that_cannot_be_read_is_said_at_once(
        self, session: aiohttp.ClientSession, tmp_path: Path
    ) -> None:
        """A missing or empty secret file stops the start with the setting's name."""
        empty = tmp_path / "empty"
        empty.touch()
        for file in (tmp_path / "missing", empty):
            with pytest.raises(InvalidInput, match="app_secret_file"):
                async with Facebook(FacebookConfig(app_secret_file=file), Resources(session, NoOutbox())):
                    pass

    @pytest.mark.parametrize(
        ("address", "token", "problems"),
        [(PAGE, TOKEN, 0), ("leiden", TOKEN, 1), ("1/feed", "", 2), (PAGE, "a token", 1), ("٣", "x\ny", 2)],
    )
    def test_targets_are_checked(self, address: str, token: str, problems: int) -> None:
        """A page id is digits and a token one printable word; every problem is told at once."""
        target = make_posting().target.model_copy(update={"address": address}).with_secret(token)
        if not problems:
            Facebook.check_target(target)
            return
        with pytest.raises(InvalidInput) as raised:
            Facebook.check_target(target)
        assert len(raised.value.problems) == problems
        assert TOKEN not in str(raised.value)


class TestUsage(FacebookBench):
    """How much a page has used of its limit."""

    async def test_a_page_near_its_limit_gets_nothing_new_without_a_call(
        self, graph: GraphSimulator, adapter: Facebook, clock: FakeClock
    ) -> None:
        """From 95 % on only retractions and searches go out, until a while has passed; other pages go on."""
        graph.fault("nearly_full")
        receipt = await adapter.publish(make_posting(), make_content())
        calls = len(graph.calls)
        for step in (adapter.publish(make_posting(), make_content("2")), adapter.update(receipt, make_content("2"))):
            with pytest.raises(TransientError) as raised:
                await step
            assert raised.value.retry_after == FULL_PAUSE
        assert len(graph.calls) == calls
        assert await adapter.find(attempted(make_posting(), make_content(), datetime.now(UTC))) is not None
        await adapter.retract(receipt)
        await adapter.publish(make_posting(OTHER_PAGE, OTHER_TOKEN), make_content())
        clock.now += FULL_PAUSE
        await adapter.publish(make_posting(), make_content())

    async def test_a_blocked_page_is_left_alone_for_a_minute_by_what_must_go(
        self, graph: GraphSimulator, adapter: Facebook, clock: FakeClock
    ) -> None:
        """While Facebook names a time to regain access no call is made, but for a removal or a look once a minute."""
        receipt = await adapter.publish(make_posting(), make_content())
        graph.fault("throttle", minutes=7)
        with pytest.raises(TransientError) as raised:
            await adapter.update(receipt, make_content("2"))
        assert raised.value.retry_after == 420
        clock.now += 50
        calls = len(graph.calls)
        for name, step in STEPS.items():
            with pytest.raises(TransientError) as raised:
                await step(adapter, receipt)
            assert raised.value.retry_after == (10 if name in ("retract", "find", "probe") else 370)
        assert len(graph.calls) == calls
        clock.now += 10
        await adapter.retract(receipt)
        with pytest.raises(TransientError):
            await adapter.publish(make_posting(), make_content("2"))

    async def test_no_header_keeps_a_post_for_ever(
        self, graph: GraphSimulator, adapter: Facebook, clock: FakeClock
    ) -> None:
        """An answer that names a block of centuries holds a removal for a minute, and a publication for an hour."""
        reading = '{"1":[{"estimated_time_to_regain_access":1e15}]}'
        graph.fault("nearly_full", percent=None, headers={"X-Business-Use-Case-Usage": reading})
        receipt = await adapter.publish(make_posting(), make_content())
        graph.fault("nearly_full", percent=1)
        with pytest.raises(TransientError) as raised:
            await adapter.update(receipt, make_content("2"))
        assert raised.value.retry_after == LONGEST_PAUSE
        clock.now += URGENT_PAUSE
        await adapter.retract(receipt)
        assert graph.posts(PAGE) == []

    async def test_a_fresh_reading_ends_the_pause(self, graph: GraphSimulator, adapter: Facebook) -> None:
        """When the answer to a retraction shows that the usage fell, publications go out again."""
        graph.fault("nearly_full")
        receipt = await adapter.publish(make_posting(), make_content())
        graph.fault("nearly_full", percent=12)
        await adapter.retract(receipt)
        await adapter.publish(make_posting(), make_content())

    @pytest.mark.parametrize("header", ["X-App-Usage", "X-Page-Usage"])
    async def test_the_older_usage_headers_count_too(
        self, graph: GraphSimulator, adapter: Facebook, header: str
    ) -> None:
        """The app's and the page's own headers have the percentages without a list around them."""
        reading = '{"call_count":3,"total_time":2,"total_cputime":99}'
        graph.fault("nearly_full", percent=None, headers={header: reading})
        await adapter.publish(make_posting(), make_content())
        with pytest.raises(TransientError, match="limit"):
            await adapter.publish(make_posting(), make_content("2"))


class TestSecrecy(FacebookBench):
    """What errors never say (I6)."""

    @pytest.mark.parametrize(
        "order",
        [
            {
                "name": "error",
                "body": json.dumps({"error": {"code": 190, "message": f"Malformed token {TOKEN}"}}).encode(),
            },
            {"name": "error", "body": json.dumps({"error": {"code": 2, "message": OPENING}}).encode(), "status": 500},
            {"name": "error", "body": json.dumps({"id": [TOKEN, OPENING]}).encode(), "status": 200},
            {"name": "error", "body": f"{TOKEN} {APP_SECRET} {OPENING}".encode(), "status": 502},
            {"name": "token_expired"},
            {"name": "throttle"},
            {"name": "duplicate"},
            {"name": "hang"},
            {"name": "disconnect"},
        ],
        ids=["token", "text", "wrong types", "no JSON", "expired", "throttle", "duplicate", "hang", "disconnect"],
    )
    async def test_no_secret_and_no_text_is_in_any_error(
        self, graph: GraphSimulator, adapter: Facebook, order: dict[str, object]
    ) -> None:
        """Whatever the API answers, an error holds neither token, app secret, proof nor text (I6)."""
        receipt = await adapter.publish(make_posting(), make_content())
        changes = {key: value for key, value in order.items() if key != "name"}
        graph.fault(str(order["name"]), **changes, operations=EVERYTHING, times=0)
        for step in ALL_STEPS.values():
            with pytest.raises(AdapterError) as raised:
                await step(adapter, receipt)
            said = everything_said(raised.value)
            assert not [word for word in (TOKEN, APP_SECRET, OPENING, "appsecret_proof=", "Bearer ") if word in said]
        assert APP_SECRET not in repr(adapter)

    async def test_an_unreachable_api_keeps_the_secret_too(self, graph: GraphSimulator, adapter: Facebook) -> None:
        """A refused connection is of the whole adapter, and its error holds no secret."""
        await graph.vanish()
        with pytest.raises(TransientError) as raised:
            await adapter.probe(make_posting().target)
        assert raised.value.whole_adapter
        assert TOKEN not in everything_said(raised.value)


class TestHostileAnswers(FacebookBench):
    """Anything may come back."""

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        body=st.binary(max_size=200) | HOSTILE_JSON.map(lambda value: json.dumps(value).encode()),
        status=st.sampled_from([200, 201, 204, 301, 400, 404, 418, 429, 500, 503, 599]),
        usage=USAGE,
        retry_after=st.sampled_from(["", "soon", "-1", "1e9", "9" * 400, "٣"]),
        name=st.sampled_from(sorted(ALL_STEPS)),
    )
    async def test_hostile_answers_raise_only_the_three_errors(
        self,
        graph: GraphSimulator,
        adapter: Facebook,
        body: bytes,
        status: int,
        usage: str,
        retry_after: str,
        name: str,
    ) -> None:
        """No body, status or header makes the adapter raise anything but its three errors."""
        graph.clear_faults()
        headers = {"X-Business-Use-Case-Usage": usage, "X-App-Usage": usage, "Retry-After": retry_after}
        graph.fault("error", operations=EVERYTHING, times=0, body=body, status=status, headers=headers)
        receipt = Receipt(make_posting(), {"post": f"{PAGE}_1", "photo": "2"})
        said = ""
        try:
            await ALL_STEPS[name](adapter, receipt)
        except AdapterError as error:
            said = str(error)
        assert "\n" not in said
        assert len(said) < 300

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        garbage=st.binary(max_size=100)
        | st.binary(max_size=60).map(lambda tail: b"HTTP/1.1 200 OK\r\n" + tail)
        | st.binary(max_size=60).map(lambda tail: b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + tail)
        | st.binary(max_size=60).map(lambda tail: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + tail),
    )
    async def test_what_is_not_even_http_is_an_unknown_outcome(
        self, session: aiohttp.ClientSession, garbage: bytes
    ) -> None:
        """Bytes that are no good answer leave a publication's outcome unknown."""

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(garbage)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            config = FacebookConfig(base_url=f"http://127.0.0.1:{port}", timeout=2)
            async with Facebook(config, Resources(session, NoOutbox())) as adapter:
                with pytest.raises(OutcomeUnknown):
                    await adapter.publish(make_posting(), make_content())

    @pytest.mark.parametrize("strange", [{"message": 5}, {"message": "Fiets kwijt"}, {}, 7, None, {"id": "../me"}])
    async def test_a_strange_post_in_the_feed_hides_no_other(
        self, graph: GraphSimulator, adapter: Facebook, strange: Any
    ) -> None:
        """A post that cannot be read is passed over, and ours beside it is found."""
        now = datetime.now(UTC)
        ours = {"id": f"{PAGE}_7", "message": OPENING, "created_time": now.isoformat(), "from": {"id": PAGE}}
        body = json.dumps({"data": [strange, ours, strange]}).encode()
        graph.fault("error", operations=EVERYTHING, times=0, body=body, status=200)
        found = await adapter.find(attempted(make_posting(), make_content(), now))
        assert found is not None
        assert found.handle["post"] == f"{PAGE}_7"

    async def test_a_strange_post_with_our_text_is_not_passed_over(
        self, graph: GraphSimulator, adapter: Facebook
    ) -> None:
        """What says our text but cannot be read may be ours: to call it absent would be to post it again (I4)."""
        body = json.dumps({"data": [{"id": "../me", "message": OPENING}]}).encode()
        graph.fault("error", operations=EVERYTHING, times=0, body=body, status=200)
        with pytest.raises(TransientError, match="cannot be read"):
            await adapter.find(attempted(make_posting(), make_content(), datetime.now(UTC)))

    async def test_a_heap_of_accents_does_not_freeze_the_bridge(self, graph: GraphSimulator, adapter: Facebook) -> None:
        """A visitor's post of 60,000 mixed accents, which take seconds to order, is compared as it stands."""
        heap = "a" + "\u0315\u0300" * 30_000
        ours = {"id": f"{PAGE}_7", "message": OPENING, "created_time": datetime.now(UTC).isoformat()}
        body = json.dumps({"data": [*[{"id": f"{PAGE}_{n}", "message": heap} for n in range(10)], ours]}).encode()
        graph.fault("error", operations=EVERYTHING, times=0, body=body, status=200)
        started = process_time()
        assert await adapter.find(attempted(make_posting(), make_content(), datetime.now(UTC))) is not None
        assert process_time() - started < 5  # seconds; it took 30

    async def test_a_huge_answer_is_not_read_to_its_end(self, graph: GraphSimulator, adapter: Facebook) -> None:
        """An answer beyond the bound is as good as none, whatever it says."""
        graph.fault("error", status=200, body=b'{"id":"1_2"}' + b" " * (9 * 2**20))
        with pytest.raises(OutcomeUnknown):
            await adapter.publish(make_posting(), make_content())


class TestProcess(FacebookBench):
    """For the demo, and for tests of the whole program."""

    async def test_the_simulator_runs_beside_the_bridge(self, session: aiohttp.ClientSession) -> None:
        """Started from the command line it tells what it shows, keeps history, and takes orders for faults."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bridge.simulators.graph", "--page", f"{PAGE}={TOKEN}"),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            url = (await asyncio.wait_for(process.stdout.readline(), 20)).decode().split()[-1]
            async with session.post(f"{url}/_faults", json={"fault": "fail_and_post", "times": 1}) as response:
                assert response.status == 200
            async with session.post(f"{url}/_faults", json={"fault": "nonsense"}) as response:
                assert response.status == 400
            async with Facebook(FacebookConfig(base_url=url), Resources(session, NoOutbox())) as adapter:
                with pytest.raises(OutcomeUnknown):
                    await adapter.publish(make_posting(), make_content())
                found = await adapter.find(attempted(make_posting(), make_content(), datetime.now(UTC)))
                async with session.get(f"{url}/_posts") as response:
                    posts = await response.json()
                assert [post["message"] for post in posts[PAGE]] == [OPENING]
                assert found is not None
                await adapter.retract(found)
            async with session.get(f"{url}/_history") as response:
                assert [entry["action"] for entry in await response.json()] == ["published", "deleted"]
        finally:
            process.terminate()
            assert await asyncio.wait_for(process.wait(), 20) == 0
