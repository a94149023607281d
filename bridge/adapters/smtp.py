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
from pydantic import Field, field_validator, model_validator

from bridge.adapters.mime import Mail
from bridge.adapters.registry import AdapterConfig
from bridge.adapters.smtp_dialogue import Dialogue
from bridge.core.errors import AdapterError, InvalidInput, OutcomeUnknown, PermanentError, TransientError

_CLOSING = 421
_GO_AHEAD = 354
_TOO_BIG = re.compile(r"552|5\d\d 5\.3\.4\b")
# Not about this reader: the server closes, wants a login, or will not have our sender (RFC 4954, 6; RFC 3463, 3.2).
_SHARED_FAULT = re.compile(r"421|530|535|538|[45]\d\d [45]\.1\.[78]\b")
_CODES = re.compile(r"\d{3}(?: [245]\.\d{1,3}\.\d{1,3}\b)?")
_QUIT_SECONDS = 5.0

# Commands may depend on what the server offers, so they are asked for when the connection is there.
Commands = Callable[[SMTP], Sequence[bytes]]
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
        self._smtp: SMTP | None = None  # opens the connection, and knows what the server offers
        self._dialogue: Dialogue | None = None
        self._hostname: str | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._rested: float | None = None  # since when it is not in use, by the loop's clock
        self._mails = 0
        self._out_of_step = False  # an answer is outstanding or made no sense: the connection must not be used again
        self._begun = False  # the server may hold half a mail: it is told to forget it before the next one
        self.lost: Lost = _way_lost  # what a connection that breaks, or a deadline that passes, means now

    async def deliver(self, mail: Mail) -> None:
        """Hand over one mail; raise what a refusal means."""
        _accepted("MAIL", await self._open(lambda server: _envelope(mail, server)))
        self._begun, self.lost = True, _mail_lost
        _accepted("RCPT", await self._answer())
        _accepted("DATA", await self._answer(expect=3))
        self._hand_over(mail.data)
        self.lost = self._verdict_lost
        answer = await self._answer()
        self._begun = False
        self._mails += 1
        _accepted("the mail", answer)

    async def greet(self) -> None:
        """Ask for nothing but an answer; raise what a refusal means."""
        _accepted("NOOP", await self._open(lambda _: (b"NOOP",)))

    def rest(self) -> None:
        """Be left in a state from which the next mail can start: in step and connected, or without a connection."""
        if self._dialogue is None or self._out_of_step or not self._dialogue.is_open:
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
            if self._dialogue is not None and not self._out_of_step:
                with suppress(OSError, SMTPException):
                    await self._settle(self._dialogue)
                    self._dialogue.ask(b"QUIT")
                    await self._dialogue.reply()
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
            if self._dialogue is not None and not self._dialogue.owed:
                with suppress(SMTPException):
                    self._dialogue.hand_over(b"QUIT\r\n")
            self._forget(self._smtp)

    def _forget(self, smtp: SMTP) -> None:
        smtp.close()
        self._smtp = self._dialogue = None
        self._out_of_step = self._begun = False

    @property
    def _connected(self) -> tuple[SMTP, Dialogue]:
        if self._smtp is None or self._dialogue is None:
            raise SMTPServerDisconnected("Connection lost")
        return self._smtp, self._dialogue

    async def _open(self, commands: Commands) -> SMTPResponse:
        """Ask commands, of which the first is answered here; a connection that ended since its last use is replaced."""
        self._rested, self.lost = None, _way_lost
        if self._dialogue is not None and self._dialogue.is_open:
            with suppress(OSError, SMTPException):
                answer = await self._ask(commands)
                if answer.code != _CLOSING:
                    return answer
        self.drop()
        await self._connect()
        return await self._ask(commands)

    async def _ask(self, commands: Commands) -> SMTPResponse:
        server, dialogue = self._connected
        asked = commands(server)
        self._out_of_step = True
        await self._settle(dialogue)
        dialogue.ask(*([b"RSET"] if self._begun else []), *asked)
        if self._begun:
            reset = await self._answer()
            if reset.code >= 400:
                raise SMTPResponseException(reset.code, reset.message)
            self._begun = False
        return await self._answer()

    async def _settle(self, dialogue: Dialogue) -> None:
        """Hear the answers to what left together with a command that was refused.

        Who asks for the mail all the same gets its end alone, which goes to nobody (RFC 2920, 3.1): unless a reader was
        accepted after his mail was not, and would be sent nothing.
        """
        while dialogue.owed:
            answer = await dialogue.reply()
            if answer.code == _GO_AHEAD:
                dialogue.hand_over(b".\r\n")
                await dialogue.reply()
            elif answer.code < 400:
                raise SMTPResponseException(answer.code, "unexpected answer")

    async def _answer(self, expect: int = 2) -> SMTPResponse:
        """Give the answer to the next command that was asked, whose first digit is ``expect``, 4 or 5."""
        self._out_of_step = True
        answer = await self._connected[1].reply()
        if answer.code // 100 not in (expect, 4, 5):
            raise SMTPResponseException(answer.code, "unexpected answer")
        self._out_of_step = answer.code == _CLOSING
        return answer

    def _hand_over(self, data: bytes) -> None:
        """Send the whole mail, the last dot included; from here on the server may have it."""
        self._out_of_step = True
        self._connected[1].hand_over(data)

    def _verdict_lost(self, why: str) -> AdapterError:
        """Say what became of a mail without a verdict: while its end is still in our buffer, surely nothing."""
        transport = self._smtp.transport if self._smtp else None
        if isinstance(transport, asyncio.WriteTransport) and transport.get_write_buffer_size():
            return TransientError(f"the mail server does not take the whole mail: {why}")
        return OutcomeUnknown(f"the mail was sent, its answer is missing: {why}")

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
        if not isinstance(smtp.transport, asyncio.Transport):
            raise SMTPServerDisconnected("Connection lost")
        self._dialogue = Dialogue(smtp.transport, pipelining=smtp.supports_extension("pipelining"))
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


def _envelope(mail: Mail, server: SMTP) -> Sequence[bytes]:
    words = [f"MAIL FROM:<{mail.sender}>"]
    if server.supports_extension("size"):
        words.append(f"SIZE={mail.size}")
    if not mail.recipient.isascii():
        if not server.supports_extension("smtputf8"):
            raise PermanentError("the mail server does not take addresses with letters outside ASCII (SMTPUTF8)")
        words.append("SMTPUTF8")
    return " ".join(words).encode(), f"RCPT TO:<{mail.recipient}>".encode(), b"DATA"


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
