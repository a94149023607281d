"""The other sides that the e-mail adapter is tested against: our own sink, aiosmtpd, and a server that stops reading."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiohttp
from aiosmtpd.smtp import SMTP

from bridge.adapters.email import Email, EmailConfig
from bridge.adapters.registry import Resources
from bridge.core.content import Content, Phase
from bridge.core.posting import Posting
from bridge.core.target import Owner, OwnerKind, Target
from bridge.simulators.smtp_sink import Break, Faults, SmtpSink

CASE = "2026112200042"


def make_target(address: str = "ans@example.nl") -> Target:
    """Give a reader with this address."""
    owner = Owner(name="Ans", kind=OwnerKind.CITIZEN)
    return Target(id="mail-ans", channel="email", adapter="email", address=address, owner=owner)


def make_posting(address: str = "ans@example.nl", attempted: Content | None = None) -> Posting:
    """Give the case at a reader with this address."""
    return Posting(id="p1", case=CASE, target=make_target(address), attempted=attempted)


def make_content(revision: int = 1, phase: Phase = Phase.OPENED, **fields: Any) -> Content:
    """Give one revision of an invented case."""
    texts: dict[str, Any] = {"subject": "Vermist: jongen (8) in Leiden", "text": "Rode jas. Gezien? Bel 112."} | fields
    return Content(case=CASE, revision=revision, phase=phase, language="nl", **texts)


@asynccontextmanager
async def open_email(port: int, **settings: Any) -> AsyncIterator[Email]:
    """Open the adapter on a server of this machine, without TLS unless the settings ask for it."""
    config = EmailConfig(**{"host": "127.0.0.1", "port": port, "security": "none", "timeout": 5.0} | settings)
    async with aiohttp.ClientSession() as http, Email(config, Resources(http, NoOutbox())) as adapter:
        yield adapter


class NoOutbox:
    """The admins' outbox, which no mail ever reaches."""

    async def put(self, posting: Posting, content: Content) -> None:
        """Fail: this is another channel's."""
        raise AssertionError("the e-mail adapter has no business here")


def plain_text(message: EmailMessage) -> str:
    """Give the text that a reader without HTML sees, with the line ends of Python."""
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


class SinkPeer:
    """``SmtpSink`` as the contract suite steers a peer."""

    def __init__(self) -> None:
        self.sink = SmtpSink()

    async def start(self) -> None:
        """Listen."""
        await self.sink.start()

    async def stop(self) -> None:
        """Refuse and break every connection."""
        await self.sink.stop()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.sink.port

    async def shown(self) -> list[str]:
        """Give the text of every mail that arrived."""
        return [plain_text(mail.message) for mail in self.sink.messages]

    async def refuse_for_now(self) -> None:
        """Put every reader off."""
        self.sink.faults.recipients["*"] = "450 4.2.1 mailbox busy"

    async def refuse_for_good(self) -> None:
        """Know no reader."""
        self.sink.faults.recipients["*"] = "550 5.1.1 no such user"

    async def lose_answers(self) -> None:
        """Keep the mail and break off."""
        self.sink.faults.breaks = Break.DROP_AFTER_DATA

    async def vanish(self) -> None:
        """Stop listening."""
        await self.stop()

    async def recover(self) -> None:
        """Work again on the same port."""
        self.sink.faults = Faults()
        await self.stop()
        await self.start()


class _Protocol(SMTP):
    """aiosmtpd's protocol, which tells its server of every connection."""

    peer: AiosmtpdPeer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.peer.transports.append(transport)
        super().connection_made(transport)


class AiosmtpdPeer:
    """A mail server that others wrote, programmable; ``options`` are aiosmtpd's own."""

    def __init__(self, *, implicit_tls: ssl.SSLContext | None = None, **options: Any) -> None:
        self.port = 0
        self.messages: list[EmailMessage] = []
        self.readers: list[str] = []
        self.transports: list[asyncio.BaseTransport] = []
        self.left = asyncio.Event()  # set by a QUIT
        self.refusals: dict[str, str] = {}
        self.lose = False
        self._tls = implicit_tls
        self._options = options
        self._server: asyncio.Server | None = None

    async def handle_RCPT(self, _: Any, __: Any, envelope: Any, address: str, ___: Any) -> str:  # noqa: N802
        """Take or refuse a reader."""
        refusal = self.refusals.get(address) or self.refusals.get("*")
        if not refusal:
            envelope.rcpt_tos.append(address)
        return refusal or "250 OK"

    async def handle_DATA(self, server: Any, _: Any, envelope: Any) -> str:  # noqa: N802
        """Keep a mail."""
        self.messages.append(message_from_bytes(envelope.content, policy=policy.default))
        self.readers += envelope.rcpt_tos
        if self.lose:
            server.transport.abort()
        return "250 OK"

    async def handle_QUIT(self, _: Any, __: Any, ___: Any) -> str:  # noqa: N802
        """Notice a polite goodbye."""
        self.left.set()
        return "221 Bye"

    def _protocol(self) -> SMTP:
        loop = asyncio.get_running_loop()
        protocol = _Protocol(self, loop=loop, hostname="mx.example", **({"enable_SMTPUTF8": True} | self._options))
        protocol.peer = self
        return protocol

    async def start(self) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse and break every connection."""
        if self._server is not None:
            self._server.close()
            for transport in self.transports:
                if isinstance(transport, asyncio.WriteTransport):
                    transport.abort()
            await self._server.wait_closed()
            await asyncio.sleep(0)  # aborted sockets close in the next turn of the loop
            self._server = None

    async def shown(self) -> list[str]:
        """Give the text of every mail that arrived."""
        return [plain_text(message) for message in self.messages]

    async def refuse_for_now(self) -> None:
        """Put every reader off."""
        self.refusals["*"] = "450 4.2.1 mailbox busy"

    async def refuse_for_good(self) -> None:
        """Know no reader."""
        self.refusals["*"] = "550 5.1.1 no such user"

    async def lose_answers(self) -> None:
        """Keep the mail and break off."""
        self.lose = True

    async def vanish(self) -> None:
        """Stop listening."""
        await self.stop()

    async def recover(self) -> None:
        """Work again on the same port."""
        self.refusals.clear()
        self.lose = False
        await self.stop()
        await self.start()


@asynccontextmanager
async def running(peer: AiosmtpdPeer) -> AsyncIterator[AiosmtpdPeer]:
    """Run a peer for the time of a test."""
    await peer.start()
    try:
        yield peer
    finally:
        await peer.stop()


@asynccontextmanager
async def deaf_server() -> AsyncIterator[int]:
    """Run a server that asks for the mail and then reads no further; give its port."""
    stopped = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 deaf\r\n")
        for answer in (b"250 deaf", b"250 OK", b"250 OK", b"354 go on"):
            await reader.readuntil(b"\r\n")
            writer.write(answer + b"\r\n")
        await stopped.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1024)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        stopped.set()
        server.close()
        await server.wait_closed()


def make_certificate(directory: Path) -> tuple[Path, ssl.SSLContext]:
    """Make a certificate for 127.0.0.1; give its file, and the server's side of TLS with it."""
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=mx.example -addext subjectAltName=IP:127.0.0.1"
    )
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return certificate, context
