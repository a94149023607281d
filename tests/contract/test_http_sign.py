"""The HTTP sign adapter keeps the adapter contract, against the strict board simulator and against hostile servers."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, ClassVar

import aiohttp
import pytest
from aiohttp import web
from standardwebhooks.webhooks import Webhook

from bridge.adapters.http_sign import MAX_ANSWER, HttpSign, HttpSignConfig
from bridge.adapters.registry import Resources
from bridge.core.content import Content, Phase, Photo
from bridge.core.errors import InvalidInput, OutcomeUnknown, PermanentError, TransientError
from bridge.core.posting import Observation, Posting, Receipt
from bridge.core.target import Owner, OwnerKind, Sign, Target
from bridge.core.trace import Trace
from bridge.simulators.board import BoardSimulator, Faults
from bridge.testing import HOSTILE_TEXTS, OPENING, AdapterContract

SECRET = "whsec_" + base64.b64encode(b"a key of thirty-two bytes, really").decode()
CASE = "2026112200042"
JPEG = b"\xff\xd8\xff\xe0 a picture"
UNTIL = datetime(2099, 11, 22, 14, 15, tzinfo=UTC)


class NoOutbox:
    """Boards have nothing to do with admins."""

    async def put(self, posting: Posting, content: Content) -> None:
        """Refuse."""
        raise AssertionError("a board adapter must not write to the outbox")


def a_target(address: str, secret: str | None = SECRET) -> Target:
    """Make a board's target."""
    target = Target(
        id="bord-leiden-a44",
        channel="sign",
        adapter="http_sign",
        address=address,
        owner=Owner(kind=OwnerKind.MUNICIPALITY),
        sign=Sign(),
    )
    return target.with_secret(secret) if secret else target


def a_posting(address: str, secret: str | None = SECRET) -> Posting:
    """Make a posting on the board at ``address``."""
    return Posting("q4xw7mzk2n5tpe3ycahv6rdbsu", CASE, a_target(address, secret))


def a_content(**changes: Any) -> Content:
    """Make a first revision of the case."""
    content = Content(
        case=CASE,
        revision=1,
        phase=Phase.OPENED,
        language="nl",
        subject="Vermist",
        text=OPENING,
        pages=((OPENING,),),
        valid_until=UNTIL,
    )
    return replace(content, **changes)


@asynccontextmanager
async def an_adapter(timeout: float = 10.0) -> AsyncIterator[HttpSign]:
    """Open an adapter on a session of its own."""
    async with (
        aiohttp.ClientSession() as http,
        HttpSign(HttpSignConfig(timeout=timeout), Resources(http, NoOutbox())) as sign,
    ):
        yield sign


@pytest.fixture
async def adapter() -> AsyncIterator[HttpSign]:
    """Give an adapter with time enough for a busy machine."""
    async with an_adapter() as sign:
        yield sign


@pytest.fixture
async def board() -> AsyncIterator[BoardSimulator]:
    """Give boards that serve signed requests only."""
    async with BoardSimulator(secret=SECRET) as boards:
        yield boards


@pytest.fixture
def posting(board: BoardSimulator) -> Posting:
    """Give a posting on one of the simulated boards."""
    return a_posting(f"{board.url}/a44")


class BoardPeer:
    """The board simulator, as the contract suite steers it."""

    def __init__(self, board: BoardSimulator) -> None:
        self.board = board

    async def shown(self) -> list[str]:
        """Give the text of every posting on every board."""
        return [body["text"] for shown in self.board.everything().values() for body in shown.values()]

    async def refuse_for_now(self) -> None:
        """Answer 503."""
        self.board.fail(Faults(status=503))

    async def refuse_for_good(self) -> None:
        """Answer 403."""
        self.board.fail(Faults(status=403))

    async def lose_answers(self) -> None:
        """Do it, then break the connection."""
        self.board.fail(Faults(fail_after=0))

    async def vanish(self) -> None:
        """Close the port."""
        await self.board.stop()

    async def recover(self) -> None:
        """Open the port again and be well."""
        self.board.heal()
        await self.board.stop()
        await self.board.start()


class TestHttpSign(AdapterContract):
    """The contract, kept by ``HttpSign`` with signatures on."""

    refuses: ClassVar[dict[str, str]] = {"control-characters": "HTTP 400"}

    @pytest.fixture
    def peer(self, board: BoardSimulator) -> BoardPeer:
        """Give the boards."""
        return BoardPeer(board)


class Recorder:
    """A server that answers as it is told, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answer: Callable[[], web.Response] = lambda: web.Response(status=204)
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.url = ""

    async def serve(self, request: web.BaseRequest) -> web.Response:
        """Keep (verb, path, headers, body) and answer."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append((request.method, request.path, headers, await request.read()))
        return self.answer()

    def body(self) -> dict[str, Any]:
        """Give the JSON of the last request."""
        return dict(json.loads(self.requests[-1][3]))


@pytest.fixture
async def recorder() -> AsyncIterator[Recorder]:
    """Give a server that answers 204 until told otherwise."""
    server = Recorder()
    runner = web.ServerRunner(web.Server(server.serve), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


@asynccontextmanager
async def raw_server(answer: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[str]:
    """Serve bytes of any kind: read one request's head, let ``answer`` write, hang up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await answer(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def saying(data: bytes) -> Callable[[asyncio.StreamWriter], Awaitable[None]]:
    """Write just these bytes."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return answer


OK = [200, 201, 202, 204, 299]
LATER = [408, 425, 429, 503]
NEVER = [
    300,
    301,
    302,
    303,
    304,
    307,
    308,
    400,
    401,
    402,
    403,
    405,
    406,
    409,
    411,
    412,
    413,
    414,
    415,
    418,
    421,
    422,
    423,
    431,
    451,
    499,
]
BROKEN = [500, 501, 502, 504, 505, 507, 511, 599]


async def step(verb: str, adapter: HttpSign, posting: Posting) -> Any:
    """Do the step that sends this verb."""
    receipt = Receipt(posting)
    if verb == "PUT":
        return await adapter.publish(posting, a_content())
    return await (adapter.retract(receipt) if verb == "DELETE" else adapter.observe(receipt))


@pytest.mark.parametrize(
    ("verb", "status", "error"),
    [
        *((verb, status, None) for verb in ("PUT", "DELETE") for status in OK),
        *((verb, status, TransientError) for verb in ("PUT", "GET", "DELETE") for status in LATER),
        *((verb, status, PermanentError) for verb in ("PUT", "GET", "DELETE") for status in NEVER),
        *((verb, status, OutcomeUnknown) for verb in ("PUT", "DELETE") for status in BROKEN),
        *(("GET", status, TransientError) for status in BROKEN),
        *(("PUT", status, PermanentError) for status in (404, 410)),
        *((verb, status, None) for verb in ("GET", "DELETE") for status in (404, 410)),
    ],
)
async def test_every_status_means_something(
    adapter: HttpSign, recorder: Recorder, verb: str, status: int, error: type[Exception] | None
) -> None:
    """Each status is success, later, never or unknown, per verb; 404 and 410 mean gone where that is what was asked."""
    recorder.answer = lambda: web.Response(status=status)
    if error is None:
        result = await step(verb, adapter, a_posting(recorder.url))
        assert verb != "GET" or result == Observation(present=False)
        return
    with pytest.raises(error) as raised:
        await step(verb, adapter, a_posting(recorder.url))
    assert raised.type is error
    assert str(status) in str(raised.value)


@pytest.mark.parametrize(
    ("status", "open_"), [(200, True), (204, True), (404, True), (410, True), (401, False), (301, False)]
)
async def test_a_probe_reads_and_shows_nothing(adapter: HttpSign, recorder: Recorder, status: int, open_: bool) -> None:
    """A probe is one GET; any answer that a working board would give is good."""
    recorder.answer = lambda: web.Response(status=status)
    if open_:
        await adapter.probe(a_target(f"{recorder.url}/messages/"))
    else:
        with pytest.raises(PermanentError):
            await adapter.probe(a_target(f"{recorder.url}/messages/"))
    assert [request[:2] for request in recorder.requests] == [("GET", "/messages/probe")]


@pytest.mark.parametrize("verb", ["PUT", "GET", "DELETE"])
async def test_a_redirect_is_not_followed(
    adapter: HttpSign, recorder: Recorder, board: BoardSimulator, verb: str
) -> None:
    """A board cannot send the bridge elsewhere: nothing arrives where the redirect points."""
    recorder.answer = lambda: web.Response(status=307, headers={"Location": f"{board.url}/other/posting"})
    with pytest.raises(PermanentError):
        await step(verb, adapter, a_posting(recorder.url))
    assert not board.requests


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("0", 0), ("", None), ("-1", None), ("1.5", None), ("soon", None), ("9" * 5000, None), ("٣", None)],
)
async def test_retry_after_in_seconds(
    adapter: HttpSign, recorder: Recorder, header: str, seconds: float | None
) -> None:
    """A number of seconds is passed on; nonsense counts as nothing said."""
    recorder.answer = lambda: web.Response(status=503, headers={"Retry-After": header})
    with pytest.raises(TransientError) as raised:
        await step("PUT", adapter, a_posting(recorder.url))
    assert raised.value.retry_after == seconds


@pytest.mark.parametrize(("ahead", "low", "high"), [(90, 60, 91), (-90, 0, 0)])
async def test_retry_after_as_a_date(
    adapter: HttpSign, recorder: Recorder, ahead: int, low: float, high: float
) -> None:
    """An HTTP-date is turned into seconds from now, never below zero."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead), usegmt=True)
    recorder.answer = lambda: web.Response(status=429, headers={"Retry-After": date})
    with pytest.raises(TransientError) as raised:
        await step("DELETE", adapter, a_posting(recorder.url))
    assert raised.value.retry_after is not None
    assert low <= raised.value.retry_after <= high


async def test_the_body_is_the_contract(adapter: HttpSign, recorder: Recorder) -> None:
    """A PUT carries exactly the fields of the contract, the photo as a data URI of its own bytes."""
    photo = Photo("d1", "image/jpeg", "Jongen met rode jas", JPEG)
    content = a_content(pages=(("VERMIST", "JONGEN"), ("BEL 112",)), photo=photo, exercise=True)
    posting = a_posting(f"{recorder.url}/messages")
    receipt = await adapter.publish(posting, content)
    verb, path, headers, _ = recorder.requests[0]
    assert (verb, path, headers["content-type"]) == ("PUT", f"/messages/{posting.id}", "application/json")
    assert recorder.body() == {
        "case": CASE,
        "revision": 1,
        "text": OPENING,
        "pages": [["VERMIST", "JONGEN"], ["BEL 112"]],
        "language": "nl",
        "photo": {
            "uri": "data:image/jpeg;base64," + base64.b64encode(JPEG).decode(),
            "mimeType": "image/jpeg",
            "description": "Jongen met rode jas",
        },
        "validUntil": "2099-11-22T14:15:00+00:00",
        "exercise": True,
    }
    assert receipt == Receipt(posting, {"url": f"{recorder.url}/messages/{posting.id}"})


async def test_a_late_photo_and_a_renewal_are_sent(adapter: HttpSign, recorder: Recorder) -> None:
    """The same revision with a photo, without it again, or with a later ``validUntil``, is what the board then gets."""
    posting = a_posting(recorder.url)
    receipt = await adapter.publish(posting, a_content())
    assert recorder.body()["photo"] is None
    await adapter.update(receipt, a_content(photo=Photo("d1", data=JPEG)))
    assert recorder.body()["photo"] is not None
    await adapter.update(receipt, a_content())
    assert recorder.body()["photo"] is None
    await adapter.update(receipt, a_content(valid_until=UNTIL + timedelta(minutes=5)))
    assert recorder.body()["validUntil"] == "2099-11-22T14:20:00+00:00"
    await adapter.update(receipt, a_content(valid_until=None))
    assert recorder.body()["validUntil"] is None


async def test_every_verb_is_signed(adapter: HttpSign, recorder: Recorder) -> None:
    """PUT, GET and DELETE verify with the Standard Webhooks library, the latter two over an empty body."""
    recorder.answer = lambda: web.Response(status=404)
    posting = a_posting(recorder.url)
    with pytest.raises(PermanentError):
        await adapter.publish(posting, a_content(text=HOSTILE_TEXTS["emoji"]))
    await step("GET", adapter, posting)
    await step("DELETE", adapter, posting)
    await adapter.probe(posting.target)
    assert [verb for verb, *_ in recorder.requests] == ["PUT", "GET", "DELETE", "GET"]
    for _, _, headers, body in recorder.requests:
        Webhook(SECRET).verify(body, headers, json_parse=False)


@pytest.mark.parametrize("secret", [SECRET, None])
async def test_every_verb_goes_on_in_its_trace(adapter: HttpSign, recorder: Recorder, secret: str | None) -> None:
    """PUT, GET and DELETE carry the place of the step in its trace, signed or not; without a trace they carry none."""
    trace = Trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "rojo=1")
    plain = a_posting(recorder.url, secret)
    recorder.answer = lambda: web.json_response({"text": OPENING})
    for posting in (replace(plain, trace=trace), plain):
        for verb in ("PUT", "GET", "DELETE"):
            await step(verb, adapter, posting)
    sent = [(headers.get("traceparent"), headers.get("tracestate")) for _, _, headers, _ in recorder.requests]
    assert sent == [(trace.parent, trace.state)] * 3 + [(None, None)] * 3


async def test_the_same_message_has_the_same_id(adapter: HttpSign, recorder: Recorder) -> None:
    """A repeated PUT has the same ``webhook-id``; another revision, a renewal or another verb has its own."""
    posting = a_posting(recorder.url)
    contents = [
        a_content(),
        a_content(),
        a_content(revision=2),
        a_content(valid_until=UNTIL + timedelta(minutes=5)),
    ]
    for content in contents:
        await adapter.publish(posting, content)
    await adapter.retract(Receipt(posting))
    await adapter.retract(Receipt(posting))
    first, again, *others = (headers["webhook-id"] for _, _, headers, _ in recorder.requests)
    assert first == again
    assert len({first, *others}) == 5


async def test_without_a_secret_nothing_is_signed(adapter: HttpSign, recorder: Recorder) -> None:
    """A target without a secret gets no webhook headers."""
    await step("PUT", adapter, a_posting(recorder.url, secret=None))
    assert not [name for name in recorder.requests[0][2] if name.startswith("webhook-")]


@pytest.mark.parametrize("secret", [None, "whsec_" + base64.b64encode(b"another key").decode()])
async def test_a_board_refuses_what_is_not_signed_for_it(
    adapter: HttpSign, board: BoardSimulator, secret: str | None
) -> None:
    """Without the right signature the board answers 401, and that is final."""
    with pytest.raises(PermanentError, match="401"):
        await step("PUT", adapter, a_posting(f"{board.url}/a44", secret))
    assert board.shown("a44") == {}


async def test_a_malformed_secret_is_a_reason_and_no_crash(adapter: HttpSign, recorder: Recorder) -> None:
    """A secret that is no Standard Webhooks secret sends nothing, and does not appear in the reason."""
    with pytest.raises(PermanentError) as raised:
        await step("PUT", adapter, a_posting(recorder.url, "hunter2"))
    assert "hunter2" not in str(raised.value)
    assert recorder.requests == []


async def test_what_a_board_says_stays_out_of_the_reason(adapter: HttpSign, recorder: Recorder) -> None:
    """A board that echoes our text in its refusal gets no word of it into a log (I6)."""
    recorder.answer = lambda: web.Response(status=422, reason="Vermist jongen", text=OPENING)
    with pytest.raises(PermanentError) as raised:
        await step("PUT", adapter, a_posting(recorder.url))
    assert str(raised.value) == "PUT: HTTP 422 Unprocessable Entity"


async def test_read_back_tells_revision_and_text(adapter: HttpSign, board: BoardSimulator, posting: Posting) -> None:
    """Reading back gives the revision and the whole text that the board shows."""
    receipt = await adapter.publish(posting, a_content(revision=3))
    assert await adapter.observe(receipt) == Observation(present=True, revision=3, text=OPENING)


async def test_what_is_not_ours_is_present_without_a_revision(adapter: HttpSign, recorder: Recorder) -> None:
    """A body of another case counts as shown, with its text, but never as one of our revisions."""
    recorder.answer = lambda: web.json_response({"case": "other", "revision": 1, "text": "REIS VEILIG"})
    seen = await adapter.observe(Receipt(a_posting(recorder.url)))
    assert seen == Observation(present=True, revision=None, text="REIS VEILIG")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b'{"case": "x"}',
        b'{"text": 5}',
        b'"\xff"',
        b"[" * 100_000,
        b'{"text": "' + b"x" * MAX_ANSWER + b'"}',
    ],
    ids=["empty", "html", "list", "null", "no text", "number", "no utf-8", "deep", "huge"],
)
async def test_a_malformed_answer_is_a_reason_and_no_crash(adapter: HttpSign, recorder: Recorder, body: bytes) -> None:
    """Whatever a board answers to a GET, the adapter says that it cannot be read."""
    recorder.answer = lambda: web.Response(body=body)
    with pytest.raises(PermanentError):
        await adapter.observe(Receipt(a_posting(recorder.url)))
    with pytest.raises(PermanentError):
        await adapter.find(a_posting(recorder.url))


@pytest.mark.parametrize(
    ("verb", "answer", "error"),
    [
        ("PUT", b"SSH-2.0-OpenSSH_9.2\r\n", OutcomeUnknown),
        ("GET", b"SSH-2.0-OpenSSH_9.2\r\n", TransientError),
        ("DELETE", b"", OutcomeUnknown),
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{", TransientError),
        ("PUT", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{", None),
        ("DELETE", b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\nzz", OutcomeUnknown),
    ],
    ids=["put no http", "get no http", "delete nothing", "get cut off", "put cut off", "delete garbled"],
)
async def test_broken_http(adapter: HttpSign, verb: str, answer: bytes, error: type[Exception] | None) -> None:
    """What is no HTTP leaves a write unknown and a read to be repeated; once there is a status, that is the answer."""
    async with raw_server(saying(answer)) as url:
        if error is None:
            await step(verb, adapter, a_posting(url))
            return
        with pytest.raises(error) as raised:
            await step(verb, adapter, a_posting(url))
        assert raised.type is error


async def test_an_endless_answer_is_cut_off(adapter: HttpSign) -> None:
    """A board that never stops talking is hung up on; its status counts."""

    async def talk(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async with raw_server(talk) as url:
        await step("PUT", adapter, a_posting(url))
        with pytest.raises(PermanentError):
            await step("GET", adapter, a_posting(url))


@pytest.mark.parametrize(
    ("verb", "error"), [("PUT", OutcomeUnknown), ("DELETE", OutcomeUnknown), ("GET", TransientError)]
)
async def test_silence_is_bounded(board: BoardSimulator, posting: Posting, verb: str, error: type[Exception]) -> None:
    """A board that takes a request and never answers costs the timeout, and leaves a write unknown."""
    board.fail(Faults(delay=3600))
    async with an_adapter(timeout=0.8) as adapter, asyncio.timeout(10):
        with pytest.raises(error):
            await step(verb, adapter, posting)


async def test_a_late_board_can_still_be_cleared(board: BoardSimulator, posting: Posting) -> None:
    """A PUT that takes effect after we gave up is seen by reading back, and taken away."""
    board.fail(Faults(delay=1.0, verbs=("PUT",)))
    async with an_adapter(timeout=0.6) as hasty:
        with pytest.raises(OutcomeUnknown):
            await hasty.publish(posting, a_content())
    await board.until(lambda: bool(board.shown("a44")))
    async with an_adapter() as adapter:
        found = await adapter.find(posting)
        assert found is not None
        await adapter.retract(found)
    assert board.shown("a44") == {}


async def test_a_host_that_drops_packets_is_transient() -> None:
    """When no connection comes about in time, nothing was sent: later."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in (first, second):  # a full backlog lets the next SYN wait for ever
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        async with an_adapter(timeout=0.5) as adapter:
            with pytest.raises(TransientError):
                await step("PUT", adapter, a_posting(f"http://127.0.0.1:{listener.getsockname()[1]}"))


@pytest.mark.parametrize("host", ["no-such-board.invalid", "127.0.0.1:1"])
async def test_a_host_that_is_not_there_is_transient(adapter: HttpSign, host: str) -> None:
    """An unknown name or a closed port may be there later."""
    with pytest.raises(TransientError):
        await step("PUT", adapter, a_posting(f"http://{host}/messages"))


@pytest.mark.parametrize("address", ["ftp://x/", "no url", "http://" + "a" * 70 + ".nl", "http://:80/"])
async def test_an_impossible_address_is_permanent(adapter: HttpSign, address: str) -> None:
    """An address that slipped past ``check_target`` is a reason, not a crash."""
    with pytest.raises(PermanentError):
        await step("PUT", adapter, a_posting(address))


async def test_a_moved_target_is_cleared_where_it_is_shown(
    adapter: HttpSign, board: BoardSimulator, posting: Posting
) -> None:
    """When the configured address changes, a retraction still goes to where the text was put."""
    receipt = await adapter.publish(posting, a_content())
    moved = replace(receipt, posting=a_posting(f"{board.url}/elsewhere"))
    await adapter.retract(moved)
    assert board.shown("a44") == {}
    assert ("elsewhere", "DELETE") not in board.requests


@pytest.mark.parametrize(
    "address",
    [
        "", "bord", "//bord/x", "ftp://bord/", "http://", "http:///x", "http://u:p@bord/", "http://@bord/",
        "http://bord/?x=1", "http://bord/#x", "http://bord/?", "http://bord:99999/", "http://bord:0/", "http://bo rd/",
        "http://a..b/", "http://" + "a" * 70 + ".nl", "http://[::1", "file:///etc/passwd", "http://bord\\x",
    ],
)  # fmt: skip
def test_a_wrong_address_is_refused(address: str) -> None:
    """What is no plain http(s) URL of a host is named before anything is sent."""
    with pytest.raises(InvalidInput, match="address: "):
        HttpSign.check_target(a_target(address))


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:9100/messages", "https://bord.example.nl", "http://[::1]:80/a/b/", "HTTP://bücher.nl/a@b"],
)
def test_a_plain_url_is_accepted(address: str) -> None:
    """Host, port and path in any usual form are fine."""
    HttpSign.check_target(a_target(address))


def test_every_problem_of_a_target_is_told_at_once() -> None:
    """Address, size and secret are checked together, and the secret is not repeated."""
    target = a_target("bord").model_copy(update={"sign": None}).with_secret("hunter2")
    with pytest.raises(InvalidInput) as raised:
        HttpSign.check_target(target)
    assert [problem.split(":")[1].strip() for problem in raised.value.problems] == ["address", "sign", "secret"]
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("secret", "valid"),
    [("whsec_", False), ("whsec_###", False), ("whsec_A", False), ("AAAA", False), (SECRET.rstrip("="), True)],
)
def test_secrets(secret: str, valid: bool) -> None:
    """A secret is ``whsec_`` and base64, padded or not; a target whose secret is not resolved yet is fine."""
    HttpSign.check_target(a_target("http://bord/", secret=None))
    if valid:
        HttpSign.check_target(a_target("http://bord/", secret))
        return
    with pytest.raises(InvalidInput, match="secret: "):
        HttpSign.check_target(a_target("http://bord/", secret))
