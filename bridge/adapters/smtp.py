"""The way to the mail server: a bounded pool of connections, and what each of its answers means (RFC 5321)."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, Self

from aiosmtplib import SMTP, SMTPException, SMTPResponse, SMTPResponseException, SMTPServerDisconnected
from aiosmtplib.protocol import SMTPProtocol
from pydantic import Field, field_validator, model_validator

from bridge.adapters.mime import Mail
from bridge.adapters.registry import AdapterConfig
from bridge.core.errors import AdapterError, InvalidInput, OutcomeUnknown, PermanentError, TransientError

_CLOSING = 421
_TOO_BIG = re.compile(r"552|5\d\d 5\.3\.4\b")
# Not about this reader: the server closes, wants a login, or will not have our sender (RFC 4954, 6; RFC 3463, 3.2).
_SHARED_FAULT = re.compile(r"421|530|535|538|[45]\d\d [45]\.1\.[78]\b")
_CODES = re.compile(r"\d{3}(?: [245]\.\d{1,3}\.\d{1,3}\b)?")
_QUIT_SECONDS = 5.0

# A command may depend on what the server offers, so it is asked for when the connection is there.
Command = Callable[[SMTP], Sequence[bytes]]
Lost = Callable[[str], AdapterError]


class SmtpConfig(AdapterConfig):
    """How to reach the mail server. ``timeout`` bounds one mail, connecting included; times are in seconds."""

    host: str = "127.0.0.1"
    port: int = Field(25, ge=1, le=65535)
    security: Literal["none", "starttls", "tls"] = "starttls"
    ca_file: Path | None = None  # certificates to trust instead of the system's
    username: str = ""
    password_file: Path | None = None
    connections: int = Field(8, ge=1, le=200)
    mails_per_connection: int = Field(500, ge=1)
    idle: float = Field(30.0, gt=0)  # a connection unused for so long is closed
    timeout: float = Field(60.0, gt=0)

    @field_validator("host")
    @classmethod
    def _check_host(cls, host: str) -> str:
        try:
            host.encode("idna")
        except UnicodeError as error:
            raise ValueError("a host name or an IP address") from error
        if not host or re.search(r"[\s\x00-\x1f]", host):
            raise ValueError("a host name or an IP address")
        return host

    @model_validator(mode="after")
    def _check_login(self) -> Self:
        if bool(self.username) != bool(self.password_file):
            raise ValueError("username and password_file go together")
        return self

    def password(self) -> bytes | None:
        """Read the password, anew for every connection, so that a mended one works at once; raise ``OSError``."""
        return self.password_file.read_bytes().rstrip(b"\r\n") if self.password_file else None


class _Line:
    """One line to the server: a connection that is made when needed, and made anew when it died while idle."""

    def __init__(self, config: SmtpConfig, tls: ssl.SSLContext | None) -> None:
        self._config = config
        self._tls = tls
        self._smtp: SMTP | None = None
        self._hostname: str | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._rested: float | None = None  # since when it is not in use, by the loop's clock
        self._mails = 0
        self._out_of_step = False  # an answer is outstanding or made no sense: the connection must not be used again
        self._begun = False  # the server may hold half a mail: it is told to forget it before the next one
        self.lost: Lost = _way_lost  # what a connection that breaks, or a deadline that passes, means now

    async def deliver(self, mail: Mail) -> None:
        """Hand over one mail; raise what a refusal means."""
        _accepted("MAIL", await self._open(lambda server: _mail_command(mail, server)))
        self.lost = _mail_lost
        _accepted("RCPT", await self._ask(b"RCPT", f"TO:<{mail.recipient}>".encode()))
        _accepted("DATA", await self._ask(b"DATA", expect=3))
        self._write(mail.data)
        self.lost = self._verdict_lost
        _accepted("the mail", await self._verdict())

    async def greet(self) -> None:
        """Ask for nothing but an answer; raise what a refusal means."""
        _accepted("NOOP", await self._open(lambda _: (b"NOOP",)))

    def rest(self) -> None:
        """Be left in a state from which the next mail can start: in step and connected, or without a connection."""
        if self._smtp is None or self._out_of_step or not self._smtp.is_connected:
            self.drop()
        elif self._mails >= self._config.mails_per_connection:
            self._leave()
        else:
            self._rested = asyncio.get_running_loop().time()
            if self._expiry is None:
                self._expire()

    def drop(self) -> None:
        """Break the connection at once; what was not yet sent never will be."""
        if self._smtp is not None:
            if isinstance(self._smtp.transport, asyncio.WriteTransport):
                self._smtp.transport.abort()
            self._forget(self._smtp)

    async def quit(self) -> None:
        """Take leave of the server, and wait for its answer."""
        if self._expiry is not None:
            self._expiry.cancel()
        try:
            if self._smtp is not None and self._smtp.is_connected:
                with suppress(OSError, SMTPException):
                    await self._smtp.quit(timeout=None)
        finally:
            self.drop()

    def _expire(self) -> None:
        """Take leave after the idle time. One timer serves many mails: it is set on, not set anew for each of them."""
        self._expiry = None
        if self._rested is None:
            return  # in use again; it is set when that is over
        loop, end = asyncio.get_running_loop(), self._rested + self._config.idle
        if loop.time() < end:
            self._expiry = loop.call_at(end, self._expire)
        else:
            self._leave()

    def _leave(self) -> None:
        """Take leave without waiting for the answer."""
        if self._smtp is not None:
            if self._smtp.protocol is not None:
                with suppress(SMTPException):
                    self._smtp.protocol.write(b"QUIT\r\n")
            self._forget(self._smtp)

    def _forget(self, smtp: SMTP) -> None:
        smtp.close()
        self._smtp = None
        self._out_of_step = self._begun = False

    @property
    def _connected(self) -> SMTP:
        if self._smtp is None:
            raise SMTPServerDisconnected("Connection lost")
        return self._smtp

    @property
    def _protocol(self) -> SMTPProtocol:
        protocol = self._connected.protocol
        if protocol is None:
            raise SMTPServerDisconnected("Connection lost")
        return protocol

    async def _open(self, command: Command) -> SMTPResponse:
        """Ask the first command; a connection that broke or was closed since its last use is replaced, once."""
        self._rested, self.lost = None, _way_lost
        if self._smtp is not None and self._smtp.is_connected:
            with suppress(OSError, SMTPException):
                answer = await self._ask_first(command)
                if answer.code != _CLOSING:
                    return answer
        self.drop()
        await self._connect()
        return await self._ask_first(command)

    async def _ask_first(self, command: Command) -> SMTPResponse:
        if self._begun:
            reset = await self._ask(b"RSET")
            if reset.code >= 400:
                raise SMTPResponseException(reset.code, reset.message)
            self._begun = False
        words = command(self._connected)
        answer = await self._ask(*words)
        self._begun = words[0] == b"MAIL"
        return answer

    async def _ask(self, *words: bytes, expect: int = 2) -> SMTPResponse:
        """Send one command; give its answer, whose first digit is ``expect``, 4 or 5."""
        self._out_of_step = True
        return self._received(await self._protocol.execute_command(*words), expect)

    def _write(self, data: bytes) -> None:
        """Hand over the whole mail, the last dot included; from here on the server may have it."""
        self._out_of_step = True
        self._protocol.write(data)

    async def _verdict(self) -> SMTPResponse:
        """Wait for the answer to the mail that ``_write`` handed over."""
        answer = self._received(await self._protocol.read_response(), 2)
        self._begun = False
        self._mails += 1
        return answer

    def _verdict_lost(self, why: str) -> AdapterError:
        """Say what became of a mail without a verdict: while its end is still in our buffer, surely nothing."""
        transport = self._smtp.transport if self._smtp else None
        if isinstance(transport, asyncio.WriteTransport) and transport.get_write_buffer_size():
            return TransientError(f"the mail server does not take the whole mail: {why}")
        return OutcomeUnknown(f"the mail was sent, its answer is missing: {why}")

    def _received(self, answer: SMTPResponse, expect: int) -> SMTPResponse:
        if answer.code // 100 not in (expect, 4, 5):
            raise SMTPResponseException(answer.code, "unexpected answer")
        self._out_of_step = answer.code == _CLOSING
        return answer

    async def _connect(self) -> None:
        config = self._config
        self._out_of_step = True
        self._mails = 0
        self._smtp = smtp = SMTP(
            hostname=config.host,
            port=config.port,
            username=config.username or None,
            password=await asyncio.to_thread(config.password),
            local_hostname=self._hostname,
            timeout=None,  # the caller's deadline holds for everything
            use_tls=config.security == "tls",
            start_tls=config.security == "starttls",
            tls_context=self._tls,
        )
        await smtp.connect()
        self._hostname = smtp.local_hostname
        if smtp.is_ehlo_or_helo_needed:
            await smtp.ehlo()
        self._out_of_step = False


class SmtpPool:
    """At most ``connections`` lines, the last used first, each good for many mails. It retries nothing."""

    def __init__(self, config: SmtpConfig) -> None:
        self._config = config
        self._lines: asyncio.LifoQueue[_Line] = asyncio.LifoQueue()

    async def __aenter__(self) -> Self:
        try:
            await asyncio.to_thread(self._config.password)
            tls = await asyncio.to_thread(self._tls_context)
        except OSError as error:
            raise InvalidInput(f"adapters.email: {error}") from error
        for _ in range(self._config.connections):
            self._lines.put_nowait(_Line(self._config, tls))
        return self

    async def __aexit__(self, *_: object) -> None:
        lines = [self._lines.get_nowait() for _ in range(self._lines.qsize())]
        with suppress(TimeoutError):
            async with asyncio.timeout(_QUIT_SECONDS):
                await asyncio.gather(*(line.quit() for line in lines))
        await asyncio.sleep(0)  # broken connections close their sockets in the next turn of the loop

    async def deliver(self, mail: Mail) -> None:
        """Hand over one mail, or raise one of the three errors of an adapter."""
        await self._lend(lambda line: line.deliver(mail))

    async def check(self) -> None:
        """Return when the server is there, lets us in and answers; else raise ``TransientError``."""
        await self._lend(_Line.greet)

    def _tls_context(self) -> ssl.SSLContext | None:
        if self._config.security == "none":
            return None
        return ssl.create_default_context(cafile=self._config.ca_file)

    async def _lend(self, work: Callable[[_Line], Awaitable[None]]) -> None:
        """Lend a line for a while; turn a broken connection or a passed deadline into what it means by then."""
        line = None
        try:
            async with asyncio.timeout(self._config.timeout):
                line = await self._lines.get()
                await work(line)
        except (OSError, SMTPException) as error:
            raise (line.lost if line else _way_lost)(_reason(error)) from error
        finally:
            if line is not None:
                line.rest()
                self._lines.put_nowait(line)


def _reason(error: OSError | SMTPException) -> str:
    if isinstance(error, SMTPResponseException):
        return f"{error.code} {error.message}"
    return str(error) or "no answer in time"


def _way_lost(why: str) -> AdapterError:
    return TransientError(f"the mail server cannot be used: {why}", whole_adapter=True)


def _mail_lost(why: str) -> AdapterError:
    return TransientError(f"the mail was not sent: {why}")


def _mail_command(mail: Mail, server: SMTP) -> Sequence[bytes]:
    words = [b"MAIL", f"FROM:<{mail.sender}>".encode()]
    if server.supports_extension("size"):
        words.append(f"SIZE={mail.size}".encode())
    if not mail.recipient.isascii():
        if not server.supports_extension("smtputf8"):
            raise PermanentError("the mail server does not take addresses with letters outside ASCII (SMTPUTF8)")
        words.append(b"SMTPUTF8")
    return words


def _accepted(what: str, answer: SMTPResponse) -> None:
    """Raise what a refusal means: of this mail, of this reader for now or for good, or of everything we send.

    ``MAIL`` names only us, so its refusal is the fault of our settings or the server, unless the mail is too big.
    """
    if answer.code < 400:
        return
    status = f"{answer.code} {answer.message}"
    # A filter's words about a mail may quote it, and reasons are logged (I6): only its codes are kept.
    told = _CODES.match(status) if what == "the mail" else None
    reason = f"the mail server refused {what}: {told.group() if told else status}"
    if _TOO_BIG.match(status) and what in ("MAIL", "the mail"):
        raise PermanentError(reason)
    shared = what in ("MAIL", "NOOP") or _SHARED_FAULT.match(status) is not None
    if shared or answer.code < 500:
        raise TransientError(reason, whole_adapter=shared)
    raise PermanentError(reason)
