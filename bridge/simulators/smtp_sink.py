"""A mail server that keeps every mail and delivers none: for the demo, for tests, for people who write adapters.

Strict where real servers are lenient (RFC 5321): commands in order, CRLF only, lines of at most 998 octets, 7 bits
unless SMTPUTF8 was asked for. ``python -m bridge.simulators.smtp_sink --port 2525 --dir mails`` writes one ``.eml`` a
reader.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Self

_SIZE_LIMIT = 20 * 1024 * 1024
_LONGEST_COMMAND = 2048
_LONGEST_LINE = 1000  # octets, with CRLF (RFC 5321 section 4.5.3.1.6)
_PATH = re.compile(r"(?:FROM|TO):<([^<>\s]*)>((?: [!-~]+)*)", re.IGNORECASE)


class Break(StrEnum):
    """Where the sink breaks off a mail."""

    NOWHERE = ""
    DROP_BEFORE_DATA = "drop before data"  # closes instead of asking for the mail
    DROP_AFTER_DATA = "drop after data"  # keeps the mail, and closes instead of answering
    HANG_AFTER_DATA = "hang after data"  # keeps the mail, and never answers


@dataclass(slots=True)
class Faults:
    """What the sink does wrong from now on. An answer is a code and a text: ``451 4.3.0 try later``; empty = right."""

    greeting: str = ""
    mail: str = ""
    recipients: dict[str, str] = field(default_factory=dict)  # address, or * for every one → answer to RCPT
    data: str = ""  # instead of asking for the mail
    message: str = ""  # instead of keeping the mail
    breaks: Break = Break.NOWHERE


@dataclass(frozen=True, slots=True)
class SunkMail:
    """One mail for one reader, as it arrived."""

    sender: str
    recipient: str
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        """The mail, parsed when asked for: a hundred thousand of them are only kept."""
        return message_from_bytes(self.raw, policy=policy.default)


class SmtpSink:
    """The server; an async context manager. ``stop`` and ``start`` keep its port and what it holds."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, directory: Path | None = None) -> None:
        """Listen on ``port`` (0: any free one, see ``port`` after the start); write mails to ``directory`` as well."""
        self.host = host
        self.port = port
        self.faults = Faults()
        self.messages: list[SunkMail] = []
        self.connections = 0
        self._directory = directory
        self._numbers = count(1)
        self._server: asyncio.Server | None = None
        self._sessions: set[asyncio.Task[None]] = set()
        self._arrival = asyncio.Condition()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Accept connections."""
        if self._directory is not None:
            self._directory.mkdir(parents=True, exist_ok=True)
        self._server = await asyncio.start_server(self._serve, self.host, self.port, limit=_SIZE_LIMIT)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections and break those there are."""
        if self._server is not None:
            self._server.close()
            for session in self._sessions:
                session.cancel()
            await asyncio.gather(*self._sessions, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None

    async def wait_for(self, number: int) -> None:
        """Return when at least ``number`` mails have arrived."""
        async with self._arrival:
            await self._arrival.wait_for(lambda: len(self.messages) >= number)

    async def keep(self, sender: str, recipients: Sequence[str], raw: bytes) -> None:
        """Keep a mail for each of its readers; on return it is on the disk, when there is a directory."""
        for recipient in recipients:
            if self._directory is not None:
                await asyncio.to_thread(self._write, self._directory, sender, recipient, raw)
            self.messages.append(SunkMail(sender, recipient, raw))
        async with self._arrival:
            self._arrival.notify_all()

    def _write(self, directory: Path, sender: str, recipient: str, raw: bytes) -> None:
        name = f"{time.time_ns()}-{next(self._numbers)}.eml"
        unfinished = directory / f".{name}"
        with unfinished.open("wb") as file:
            file.write(f"Return-Path: <{sender}>\r\nDelivered-To: {recipient}\r\n".encode() + raw)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(directory / name)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a server's callback runs in a task
        self._sessions.add(task)
        self.connections += 1
        try:
            await _Session(self, reader, writer).run()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the client is gone, or sends what is no mail
        except asyncio.CancelledError:
            pass  # we stop; Python 3.11 would print a traceback for each connection
        finally:
            writer.close()
            self._sessions.discard(task)


class _Session:
    """One connection: reads commands and answers them, until the client leaves."""

    def __init__(self, sink: SmtpSink, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._sink = sink
        self._reader = reader
        self._writer = writer
        self._greeted = False
        self._open = True
        self._verbs: dict[str, Callable[[str], str]] = {
            "EHLO": self._ehlo,
            "HELO": self._helo,
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "RSET": self._rset,
            "NOOP": lambda _: "250 2.0.0 OK",
            "QUIT": self._quit,
        }
        self._reset()

    async def run(self) -> None:
        greeting = self._sink.faults.greeting
        await self._say(greeting or "220 sink.example ESMTP Burgernet sink")
        while self._open and not greeting:
            line = await self._reader.readuntil(b"\r\n")
            verb, _, rest = line.decode("utf-8", "replace").removesuffix("\r\n").partition(" ")
            if len(line) > _LONGEST_COMMAND or "\n" in rest or "\r" in rest:
                await self._say("500 5.5.2 line too long, or with a bare CR or LF")
            elif verb.upper() == "DATA":
                await self._data()
            elif verb.upper() in self._verbs:
                await self._say(self._verbs[verb.upper()](rest))
            else:
                await self._say("502 5.5.1 command not implemented")

    async def _say(self, answer: str) -> None:
        self._writer.write(answer.encode() + b"\r\n")
        await self._writer.drain()
        self._open = self._open and not answer.startswith("421")

    def _reset(self) -> None:
        self._sender: str | None = None
        self._readers: list[str] = []
        self._utf8 = False

    def _ehlo(self, _: str) -> str:
        self._helo(_)
        return (
            f"250-sink.example\r\n250-SIZE {_SIZE_LIMIT}\r\n250-ENHANCEDSTATUSCODES\r\n250-PIPELINING\r\n250 SMTPUTF8"
        )

    def _helo(self, _: str) -> str:
        self._greeted = True
        self._reset()
        return "250 sink.example"

    def _mail(self, rest: str) -> str:
        path = _PATH.fullmatch(rest)
        if not self._greeted or self._sender is not None:
            return "503 5.5.1 EHLO first, and one mail at a time"
        if path is None:
            return "501 5.5.4 MAIL FROM:<address>"
        parameters = path[2].upper().split()
        size = next((int(word[5:]) for word in parameters if re.fullmatch(r"SIZE=\d{1,20}", word)), 0)
        if size > _SIZE_LIMIT:
            return "552 5.3.4 mail too big"
        if self._sink.faults.mail:
            return self._sink.faults.mail
        self._sender, self._utf8 = path[1], "SMTPUTF8" in parameters
        return "250 2.1.0 OK"

    def _rcpt(self, rest: str) -> str:
        path = _PATH.fullmatch(rest)
        if self._sender is None:
            return "503 5.5.1 MAIL first"
        if path is None or "@" not in path[1] or not (self._utf8 or path[1].isascii()):
            return "501 5.1.3 RCPT TO:<address>"
        faults = self._sink.faults.recipients
        if fault := faults.get(path[1]) or faults.get("*"):
            return fault
        self._readers.append(path[1])
        return "250 2.1.5 OK"

    def _rset(self, _: str) -> str:
        self._reset()
        return "250 2.0.0 OK"

    def _quit(self, _: str) -> str:
        self._open = False
        return "221 2.0.0 bye"

    async def _data(self) -> None:
        faults = self._sink.faults
        if self._sender is None or not self._readers:
            return await self._say("503 5.5.1 RCPT first")
        if faults.data:
            return await self._say(faults.data)
        if faults.breaks is Break.DROP_BEFORE_DATA:
            self._open = False
            return None
        await self._say("354 go on")
        lines = [line async for line in self._lines()]
        sender, readers = self._sender, self._readers
        wrong = self._wrong(lines)
        self._reset()
        if faults.message or wrong:
            return await self._say(faults.message or wrong)
        await self._sink.keep(sender, readers, b"".join(line.removeprefix(b".") for line in lines))
        return await self._after_data()

    async def _after_data(self) -> None:
        if self._sink.faults.breaks is Break.DROP_AFTER_DATA:
            self._open = False
        elif self._sink.faults.breaks is Break.HANG_AFTER_DATA:
            await self._reader.read()  # until the client leaves
            self._open = False
        else:
            await self._say("250 2.0.0 kept")

    async def _lines(self) -> AsyncIterator[bytes]:
        while (line := await self._reader.readuntil(b"\r\n")) != b".\r\n":
            yield line

    def _wrong(self, lines: Sequence[bytes]) -> str:
        """Say what is wrong with the form of a mail."""
        if sum(map(len, lines)) > _SIZE_LIMIT:
            return "552 5.3.4 mail too big"
        if any(len(line) > _LONGEST_LINE for line in lines):
            return "554 5.6.0 a line is too long"
        if any(b"\n" in line[:-2] or b"\r" in line[:-2] for line in lines):
            return "554 5.6.0 a bare CR or LF"
        if not self._utf8 and not all(line.isascii() for line in lines):
            return "554 5.6.3 octets above 127 without SMTPUTF8"
        return ""


async def _run(host: str, port: int, directory: Path | None) -> None:
    stopped = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    async with SmtpSink(host, port, directory) as sink:
        sys.stdout.write(f"smtp sink on {sink.host}:{sink.port}\n")
        sys.stdout.flush()
        await stopped.wait()


def main() -> None:
    """Run a sink until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="smtp_sink", description="A mail server that keeps every mail.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=2525, help="0 takes any free one")
    parser.add_argument("--dir", type=Path, default=None, help="write one .eml a reader here, before the answer")
    arguments = parser.parse_args()
    asyncio.run(_run(arguments.host, arguments.port, arguments.dir))


if __name__ == "__main__":
    main()
