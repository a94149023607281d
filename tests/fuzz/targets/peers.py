"""What the other side answers: the Graph API, a board, a mail server."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import urlsplit

from multidict import CIMultiDict

from bridge.adapters.email import Email, EmailConfig
from bridge.adapters.facebook import Facebook, FacebookConfig
from bridge.adapters.http_sign import HttpSign, HttpSignConfig
from bridge.adapters.registry import Resources
from bridge.core.content import Content, Phase
from bridge.core.errors import AdapterError, OutcomeUnknown
from bridge.core.posting import Posting, Receipt
from bridge.core.target import Target
from tests.fuzz.harness import promise, target
from tests.fuzz.mutate import Shape
from tests.fuzz.promises import said

LOOP = asyncio.new_event_loop()
NOW = datetime(2026, 11, 22, 9, 15, tzinfo=UTC)
TEXT = "Leiden: jongen (8) vermist. Rode jas."
CONTENT = Content("zaak", 1, Phase.OPENED, "nl", "Vermist", TEXT)


@dataclass
class Answer:
    """An HTTP answer as a client library gives it: status line, headers, body; and the client, with its calls."""

    status: int
    headers: CIMultiDict[str]
    body: bytes
    calls: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def read(cls, data: bytes) -> Answer:
        """Take the input apart: a number, lines of headers, an empty line, a body."""
        head, _, body = data.partition(b"\n\n")
        first, *lines = head.split(b"\n")
        status = int(first) if first.isdigit() and len(first) == 3 else 200
        pairs = [line.decode("utf-8", "surrogateescape").partition(":")[::2] for line in lines if b":" in line]
        return cls(status, CIMultiDict((name, value.strip()) for name, value in pairs), body)

    @property
    def ok(self) -> bool:
        """Whether it is no error."""
        return self.status < 400

    @property
    def content(self) -> Answer:
        """The body, to be read in pieces."""
        return self

    async def iter_any(self) -> AsyncIterator[bytes]:
        """Give the body."""
        yield self.body

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        """Give the body in pieces."""
        for start in range(0, len(self.body), size):
            yield self.body[start : start + size]

    @property
    def content_type(self) -> str:
        """What the header says, as the library reads it."""
        return self.headers.get("Content-Type", "application/octet-stream").partition(";")[0].strip().lower()

    @property
    def content_length(self) -> int | None:
        """What the header promises."""
        length = self.headers.get("Content-Length", "")
        return int(length) if length.isascii() and length.isdigit() and len(length) < 19 else None

    def close(self) -> None:
        """Hang up."""
        self.calls.append(("CLOSE", ""))

    def request(self, method: str, url: str, **_: Any) -> Self:
        """Answer any request with this."""
        self.calls.append((method, str(url)))
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


def _do(step: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Take one step, which waits for nothing here and so needs no loop; one of the three errors is an answer too."""
    try:
        step().send(None)
    except StopIteration as end:
        return end.value
    except AdapterError as error:
        said(error)
        return error
    raise AssertionError


def _posting(adapter: str, address: str, secret: str) -> Posting:
    fields = {"id": "t", "channel": "x", "adapter": adapter, "address": address, "owner": {"kind": "police"}}
    one = Target.model_validate(fields | {"sign": {"columns": 16}}).with_secret(secret)
    return Posting("p1", "zaak", one, attempted=CONTENT, attempted_at=NOW)


FEED = {
    "data": [
        {"id": "1_2", "message": TEXT, "created_time": "2026-11-22T10:15:00+0000", "from": {"id": "104857600"}},
        {
            "id": "1_3",
            "created_time": "2026-11-22T10:15:00+0000",
            "attachments": {"data": [{"media_type": "photo", "target": {"id": "9"}}]},
        },
    ],
    "paging": {"next": "https://graph.facebook.com/v25.0/1/feed?after=abc&until=5&access_token=x"},
}
USAGE = b'X-Business-Use-Case-Usage: {"1":[{"call_count":99,"estimated_time_to_regain_access":7}]}'
PAGE = _posting("facebook", "104857600", "EAAB")


@target(
    shape=Shape.TEXT,
    seeds=[
        b'200\nX-App-Usage: {"call_count":3}\n\n{"id":"1_2","post_id":"1_2","success":true,"message":"x"}',
        b"200\n\n" + json.dumps(FEED).encode(),
        b"400\n"
        + USAGE
        + b'\nRetry-After: 60\n\n{"error":{"code":613,"error_subcode":1,"fbtrace_id":"A","is_transient":true}}',
        b'400\n\n{"error":{"code":506,"message":"Duplicate"}}',
        b'500\n\n{"error":{"code":2}}',
        b"200\n\n" + json.dumps({"data": [{"id": "1", "message": "a" + "\u0315\u0300" * 50_000}]}).encode(),
    ],
)
def graph(data: bytes) -> None:
    """Answers of the Graph API to every step: the three errors only, no strange id in a path, no long block."""
    answer, receipt = Answer.read(data), Receipt(PAGE, {"post": "1_2", "photo": "3"})
    adapter = Facebook(FacebookConfig(), Resources(answer, _NoOutbox()), clock=lambda: 0.0)  # type: ignore[arg-type]
    made = _do(lambda: adapter.publish(PAGE, CONTENT))
    found = _do(lambda: adapter.find(PAGE))
    for one in (made, found):
        if isinstance(one, Receipt):
            promise(
                all(name.replace("_", "").isalnum() or not name for name in one.handle.values()), "an id is no path"
            )
            _do(lambda one=one: adapter.retract(one))  # type: ignore[misc]
    _do(lambda: adapter.update(receipt, CONTENT))
    _do(lambda: adapter.observe(receipt))
    _do(lambda: adapter.probe(PAGE.target))
    error = _do(lambda: adapter.retract(receipt))
    if str(error).startswith("Facebook blocks"):
        promise(error.retry_after <= 60, "what must go waits a minute at most")
    for _, url in answer.calls:
        promise(not url or urlsplit(url).netloc == "graph.facebook.com", "nobody sends us elsewhere")


BOARD = _posting("http_sign", "http://127.0.0.1:9100/messages", "whsec_AAAA")


@target(
    shape=Shape.TEXT,
    seeds=[
        b"200\n\n" + json.dumps({"case": "zaak", "revision": 1, "text": TEXT}).encode(),
        b"503\nRetry-After: Sun, 22 Nov 2026 10:15:00 GMT\n\n",
        b"302\nLocation: http://127.0.0.1/\nRetry-After: 120\n\n",
        b"404\n\n<html>",
        b"200\n\n" + b"[" * 500_000,
        b'200\n\n{"case": "zaak", "revision": ' + b"9" * 5_000 + b', "text": ""}',
    ],
)
def sign(data: bytes) -> None:
    """Answers of a board to every step: the three errors only, no redirect followed, a wait that is a number."""
    answer, receipt = Answer.read(data), Receipt(BOARD, {"url": "http://127.0.0.1:9100/messages/p1"})
    adapter = HttpSign(HttpSignConfig(), Resources(answer, _NoOutbox()))  # type: ignore[arg-type]
    seen = _do(lambda: adapter.observe(receipt))
    promise(not isinstance(seen, OutcomeUnknown), "to look has no unknown outcome")
    for step in (
        lambda: adapter.publish(BOARD, CONTENT),
        lambda: adapter.update(receipt, CONTENT),
        lambda: adapter.find(BOARD),
        lambda: adapter.probe(BOARD.target),
        lambda: adapter.retract(receipt),
    ):
        _do(step)
    for _, url in answer.calls:
        promise(not url or url.startswith("http://127.0.0.1:9100/messages/"), "a board is asked where it is")


class _NoOutbox:
    """The admins' outbox, which no answer ever reaches."""

    async def put(self, posting: Posting, content: Content) -> None:
        """Fail: this is another channel's."""
        raise AssertionError


READER = Posting(
    "p1",
    "zaak",
    Target.model_validate(
        {"id": "a", "channel": "email", "adapter": "email", "address": "ans@example.nl", "owner": {"kind": "citizen"}}
    ),
)
GOOD = b"220 hi\n250-mx\n250-SIZE 1000000\n250 SMTPUTF8\n250 ok\n250 ok\n354 go\n250 2.0.0 kept\n"
TOGETHER = GOOD.replace(b"250 SMTPUTF8", b"250-PIPELINING\n250 SMTPUTF8")
_COMMANDS = (b"EHLO ", b"HELO ", b"MAIL FROM:<", b"RCPT TO:<", b"DATA", b".\r\n", b"RSET", b"QUIT", b"NOOP")


@target(
    shape=Shape.TEXT,
    seeds=[
        GOOD,
        GOOD.replace(b"250 2.0.0 kept", b"452 4.2.2 full\x1b[2J"),
        b"220 hi\n502 no\n250 helo\n550 5.1.8 go\n250 ok\n",
        b"220-" + b"x" * 5_000 + b"\n",
        GOOD.replace(b"354 go", b"250 go\n354 go"),
        TOGETHER,
        TOGETHER.replace(b"250 ok\n354 go", b"550 5.1.1 no\n354 go"),
    ],
    most=4_000,
)
def smtp(data: bytes) -> None:
    """Replies of a mail server over TCP, one for each of our lines: the three errors, and only commands of ours."""
    LOOP.run_until_complete(_talk(data))


async def _talk(data: bytes) -> None:
    replies, heard = data.split(b"\n"), []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            script, last = list(replies), b""
            while script:
                reply = script.pop(0)
                writer.write(reply + b"\r\n")
                if reply[3:4] == b"-":
                    continue
                line = await reader.readuntil(b"\r\n")
                if last == b"DATA\r\n" and line.startswith(b"From: Burgernet "):  # it took that for a go-ahead
                    await reader.readuntil(b"\r\n.\r\n")
                else:
                    heard.append(line)
                last = line
        writer.close()

    # An address of its own, for others on this machine may still call a port that was theirs.
    server = await asyncio.start_server(serve, "127.83.0.7", 0)
    try:
        config = EmailConfig(
            host="127.83.0.7", port=server.sockets[0].getsockname()[1], security="none", timeout=2.0, connections=1
        )
        async with Email(config, Resources(None, _NoOutbox())) as adapter:  # type: ignore[arg-type]
            try:
                await adapter.publish(READER, CONTENT)
            except AdapterError as error:
                said(error)
    finally:
        server.close()
        await server.wait_closed()
    for line in heard:
        promise(line.startswith(_COMMANDS) and line.count(b"\r\n") == 1, "only commands of ours are sent")
