"""Commands and replies on an open connection (RFC 5321); those that belong together leave together (RFC 2920)."""

from __future__ import annotations

import asyncio
import re
from collections import deque

from aiosmtplib import SMTPResponse, SMTPServerDisconnected

_LONGEST_REPLY = 32_768  # octets; of an EHLO with all that there is, a few thousand
_CONTROLS = re.compile(rb"[\x00-\x1f\x7f]")
MALFORMED = -1  # the code of a reply that is none


class Dialogue(asyncio.Protocol):
    """Takes over a connection that aiosmtplib opened, which hears one reply a command and drops what comes with it.

    With ``pipelining`` the commands of one ``ask`` go in one segment, else each waits for the reply to the one before.
    Whoever says more than was asked for is not understood: the connection breaks.
    """

    def __init__(self, transport: asyncio.Transport, *, pipelining: bool) -> None:
        self._transport = transport
        self._pipelining = pipelining
        self._unsent: deque[bytes] = deque()
        self._replies: deque[SMTPResponse] = deque()
        self._said: list[bytes] = []  # the lines so far of a reply that has more of them
        self._piece = b""  # the beginning of a line
        self._heard: asyncio.Future[None] | None = None
        self.owed = 0  # replies that are to come, or to be read
        transport.set_protocol(self)

    @property
    def is_open(self) -> bool:
        """Whether anything can be asked."""
        return not self._transport.is_closing()

    def ask(self, *commands: bytes) -> None:
        """Say commands, for each of which there will be a reply; what was to be said before them no longer is."""
        for command in commands:
            if _CONTROLS.search(command):
                raise ValueError("a command has a control character in it")
        self._unsent = deque(commands)
        if self._pipelining:
            self._send(len(commands))

    def hand_over(self, data: bytes) -> None:
        """Send a whole mail, the last dot included; there will be one reply."""
        if not self.is_open:
            raise SMTPServerDisconnected("Connection lost")
        self.owed += 1
        self._transport.write(data)

    async def reply(self) -> SMTPResponse:
        """Give the next reply; raise ``SMTPServerDisconnected`` when there will be none."""
        if not self.owed:
            self._send(1)
        while not self._replies:
            if not self.is_open:
                raise SMTPServerDisconnected("Connection lost")
            self._heard = asyncio.get_running_loop().create_future()
            await self._heard
        self.owed -= 1
        return self._replies.popleft()

    def _send(self, number: int) -> None:
        commands = [self._unsent.popleft() for _ in range(number)]
        self.hand_over(b"\r\n".join([*commands, b""]))
        self.owed += number - 1

    def data_received(self, data: bytes) -> None:
        """Hear some of what the server says."""
        *lines, self._piece = (self._piece + data).split(b"\n")
        for line in lines:
            self._hear(line)
        if len(self._piece) + sum(map(len, self._said)) > _LONGEST_REPLY:
            self._understand(SMTPResponse(MALFORMED, "a reply without end"))
        if len(self._replies) > self.owed:
            self._transport.abort()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why it went makes no difference
        """Let nobody wait for what will not come."""
        self._wake()

    def _hear(self, line: bytes) -> None:
        self._said.append(line)
        if not line[:3].isdigit() or len(line) < 3:
            self._understand(SMTPResponse(MALFORMED, "what is no reply: " + line.decode(errors="replace").strip()))
        elif line[3:4] != b"-":
            text = b"\n".join(part[4:].strip() for part in self._said).decode(errors="replace")
            self._understand(SMTPResponse(int(line[:3]), text))

    def _understand(self, reply: SMTPResponse) -> None:
        self._said.clear()
        self._replies.append(reply)
        if reply.code == MALFORMED:
            self._piece = b""

    def _wake(self) -> None:
        if self._heard is not None and not self._heard.done():
            self._heard.set_result(None)
