"""Commands that leave together (RFC 2920): what each server's way of answering makes of a mail and of the next one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.adapters.email import Email
from bridge.core.errors import OutcomeUnknown, PermanentError, TransientError
from bridge.simulators.smtp_sink import SmtpSink
from tests.contract.smtp_peers import (
    AiosmtpdPeer,
    make_certificate,
    make_content,
    make_posting,
    open_email,
    running,
)

Serve = Callable[["Visit"], Awaitable[None]]

HELLO = b"250-mx.example\r\n250-SIZE 20000000\r\n250 PIPELINING\r\n"
MAIL, RCPT, DATA, KEPT = b"250 2.1.0 ok\r\n", b"250 2.1.5 ok\r\n", b"354 go\r\n", b"250 2.0.0 kept\r\n"


class Visit:
    """One connection, as the server sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def segment(self) -> bytes:
        """Give what comes at once."""
        return await self.reader.read(65536)

    async def mail(self) -> bytes:
        """Give a whole mail, its last dot included."""
        return await self.reader.readuntil(b"\r\n.\r\n")

    async def greet(self, hello: bytes = HELLO) -> None:
        """Say what this server can."""
        self.writer.write(b"220 mx.example\r\n")
        await self.reader.readline()
        self.writer.write(hello)


class Server:
    """Serves each connection by the next of its scripts; the last serves all others too. ``heard``: the mails."""

    def __init__(self, *scripts: Serve) -> None:
        self.scripts = list(scripts)
        self.connections = 0
        self.heard: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        script = self.scripts[min(self.connections, len(self.scripts) - 1)]
        self.connections += 1
        try:
            await script(Visit(reader, writer))
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client is gone
        finally:
            writer.close()

    async def take(self, visit: Visit) -> None:
        """Take mails as a good server does."""
        await visit.greet()
        while b"DATA" in await visit.segment():
            visit.writer.write(MAIL + RCPT + DATA)
            self.heard.append(await visit.mail())
            visit.writer.write(KEPT)


@asynccontextmanager
async def listening(server: Server, **settings: Any) -> AsyncIterator[Email]:
    """Run a server, and the adapter with one connection to it."""
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with listener, open_email(listener.sockets[0].getsockname()[1], connections=1, **settings) as email:
        yield email


async def test_the_commands_of_a_mail_come_in_one_segment() -> None:
    """A server that offers it gets MAIL, RCPT and DATA at once, and the mail when it has agreed to all of them."""
    segments: list[bytes] = []

    async def serve(visit: Visit) -> None:
        await visit.greet()
        for _ in range(2):
            segments.append(await visit.segment())
            visit.writer.write(MAIL + RCPT + DATA)
            await visit.mail()
            visit.writer.write(KEPT)

    async with listening(Server(serve)) as email:
        await email.publish(make_posting(), make_content())
        await email.publish(make_posting(), make_content(2))
    verbs = [[line.split(b":")[0] for line in segment.split(b"\r\n")] for segment in segments]
    assert verbs == [[b"MAIL FROM", b"RCPT TO", b"DATA", b""]] * 2


async def test_a_server_that_does_not_offer_it_is_asked_one_thing_at_a_time() -> None:
    """Each command waits for the answer to the one before, and what follows a refusal is not said."""
    segments: list[bytes] = []

    async def serve(visit: Visit) -> None:
        await visit.greet(b"250 mx.example\r\n")
        while segment := await visit.segment():
            segments.append(segment)
            visit.writer.write(b"550 5.1.1 no such user\r\n" if segment.startswith(b"RCPT") else MAIL)

    async with listening(Server(serve)) as email:
        for _ in range(2):
            with pytest.raises(PermanentError):
                await email.publish(make_posting(), make_content())
    verbs = [segment.split(b":")[0].strip() for segment in segments]
    assert verbs == [b"MAIL FROM", b"RCPT TO", b"RSET", b"MAIL FROM", b"RCPT TO", b"QUIT"]


async def test_answers_may_come_in_pieces() -> None:
    """Answers are put together again, however a network cuts them, and those of many lines are one."""

    async def serve(visit: Visit) -> None:
        await visit.greet()
        await visit.segment()
        for octet in b"250-2.1.0 well\r\n250 2.1.0 ok\r\n" + RCPT + b"354-go\r\n354 on\r\n":
            visit.writer.write(bytes([octet]))
            await visit.writer.drain()
            await asyncio.sleep(0)
        await visit.mail()
        visit.writer.write(KEPT)

    async with listening(Server(serve)) as email:
        assert (await email.publish(make_posting(), make_content())).handle["first"]


async def test_who_asks_for_the_mail_of_a_refused_reader_gets_none() -> None:
    """A server that refuses the only reader and asks for the mail gets its end alone; the next mail is the next one's."""
    server = Server()

    async def serve(visit: Visit) -> None:
        await visit.greet()
        await visit.segment()
        visit.writer.write(MAIL + b"550 5.1.1 no such user\r\n" + DATA)
        server.heard.append(await visit.reader.readline())
        visit.writer.write(b"554 5.5.1 no valid recipients\r\n")
        segment = await visit.segment()
        assert segment.startswith(b"RSET\r\nMAIL FROM")
        visit.writer.write(b"250 ok\r\n" + MAIL + RCPT + DATA)
        server.heard.append(await visit.mail())
        visit.writer.write(KEPT)
        await visit.segment()

    server.scripts.append(serve)
    async with listening(server) as email:
        with pytest.raises(PermanentError, match="no such user"):
            await email.publish(make_posting("gone@example.nl"), make_content())
        await email.publish(make_posting("ans@example.nl"), make_content())
    nothing, mail = server.heard
    assert nothing == b".\r\n"
    assert b"To: ans@example.nl" in mail
    assert server.connections == 1


async def test_who_says_more_than_was_asked_is_not_sent_the_mail() -> None:
    """An answer too many would be taken for the next mail's: the connection ends, before the mail when it is seen then."""
    server = Server()

    async def serve(visit: Visit) -> None:
        await visit.greet()
        await visit.segment()
        visit.writer.write(MAIL + RCPT + DATA + b"554 5.7.1 no\r\n")
        server.heard.append(await visit.reader.read())

    server.scripts += [serve, server.take]
    async with listening(server) as email:
        with pytest.raises(TransientError):
            await email.publish(make_posting("a@example.nl"), make_content())
        await email.publish(make_posting("b@example.nl"), make_content())
    nothing, mail = server.heard
    assert nothing == b""
    assert b"To: b@example.nl" in mail


async def test_an_answer_too_many_is_not_the_next_readers() -> None:
    """A refusal that comes behind the verdict of one mail, or while the connection rests, refuses nobody."""
    server = Server()

    async def at_once(visit: Visit) -> None:
        await visit.greet()
        await visit.segment()
        visit.writer.write(MAIL + RCPT + DATA)
        await visit.mail()
        visit.writer.write(KEPT + b"552 5.3.4 too big\r\n")
        await visit.segment()

    async def later(visit: Visit) -> None:
        await visit.greet()
        await visit.segment()
        visit.writer.write(MAIL + RCPT + DATA)
        await visit.mail()
        visit.writer.write(KEPT)
        await asyncio.sleep(0.05)
        visit.writer.write(b"550 5.1.1 no such user\r\n")
        await visit.segment()

    server.scripts += [at_once, later, server.take]
    async with listening(server) as email:
        for reader in ("a@example.nl", "b@example.nl", "c@example.nl"):
            await email.publish(make_posting(reader), make_content())
            await asyncio.sleep(0.15)
    assert server.connections == 3


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        (b"", TransientError),
        (MAIL, TransientError),
        (MAIL + RCPT, TransientError),
        (MAIL + b"550 5.1.1 no such user\r\n", PermanentError),
        (MAIL + RCPT + DATA, OutcomeUnknown),
    ],
)
async def test_a_connection_that_ends_says_what_it_means(answers: bytes, error: type[Exception]) -> None:
    """What was answered counts; without an answer nothing was sent, until the mail itself is out."""

    async def serve(visit: Visit) -> None:
        await visit.greet()
        await visit.segment()
        visit.writer.write(answers)
        if answers.endswith(DATA):
            await visit.mail()

    async with listening(Server(serve)) as email:
        with pytest.raises(error):
            await email.publish(make_posting(), make_content())


@pytest.mark.parametrize("flood", [b"250-more\r\n" * 10_000, b"2" * 100_000, b"250 ok\r\n" * 10_000, b"\0\xff\n" * 9])
async def test_a_flood_is_not_listened_to(flood: bytes) -> None:
    """Whatever a server pours out, a mail fails soon, and the next one has a new connection."""
    server = Server()

    async def serve(visit: Visit) -> None:
        await visit.greet()
        await visit.segment()
        visit.writer.write(flood)
        await visit.segment()

    server.scripts += [serve, server.take]
    async with listening(server) as email, asyncio.timeout(3):
        with pytest.raises(TransientError):
            await email.publish(make_posting(), make_content())
        await email.publish(make_posting(), make_content())
    assert len(server.heard) == 1


async def test_many_refused_readers_cost_no_connection() -> None:
    """Refusals among mails that leave together spoil nothing: all go over one connection, each to its own reader."""
    async with SmtpSink() as sink, open_email(sink.port, connections=1) as email:
        readers = [f"r{number}@example.nl" for number in range(40)]
        sink.faults.recipients = dict.fromkeys(readers[::3], "550 5.1.1 no such user")
        outcomes = await asyncio.gather(
            *(email.publish(make_posting(reader), make_content()) for reader in readers), return_exceptions=True
        )
    refused = [reader for reader, outcome in zip(readers, outcomes, strict=True) if isinstance(outcome, Exception)]
    assert refused == readers[::3]
    assert sorted(mail.recipient for mail in sink.messages) == sorted(set(readers) - set(refused))
    assert sink.connections == 1


class Together(AiosmtpdPeer):
    """aiosmtpd, which takes commands that come together, and here says so."""

    async def handle_EHLO(  # noqa: N802
        self, _: Any, session: Any, __: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        """Offer PIPELINING."""
        session.host_name = hostname
        return [responses[0], "250-PIPELINING", *responses[1:]]


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_commands_leave_together_over_tls(tmp_path: Path, security: str) -> None:
    """What is encrypted is as well asked at once, and mails of many readers go over few connections."""
    certificate, context = make_certificate(tmp_path)
    options: dict[str, Any] = {"tls_context": context} if security == "starttls" else {"implicit_tls": context}
    async with (
        running(Together(**options)) as peer,
        open_email(peer.port, security=security, ca_file=certificate, connections=2) as email,
    ):
        readers = [f"r{number}@example.nl" for number in range(20)]
        peer.refusals = dict.fromkeys(readers[::4], "550 5.1.1 no such user")
        outcomes = await asyncio.gather(
            *(email.publish(make_posting(reader), make_content()) for reader in readers), return_exceptions=True
        )
    refused = [reader for reader, outcome in zip(readers, outcomes, strict=True) if isinstance(outcome, Exception)]
    assert refused == readers[::4]
    assert sorted(peer.readers) == sorted(set(readers) - set(refused))
    assert len(peer.transports) == (4 if security == "starttls" else 2)  # each begins in the clear, and begins anew
