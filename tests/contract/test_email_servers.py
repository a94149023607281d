"""Mail servers drawn at random: whatever they answer, each mail is what we say it is, and no reader pays for another."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from dataclasses import dataclass, field
from random import Random

import pytest

from bridge.core.errors import OutcomeUnknown, PermanentError, TransientError
from tests.contract.smtp_peers import make_content, make_posting, open_email

MAILS = 24
_READER = re.compile(rb"<(r\d+@example\.nl)>", re.IGNORECASE)
GOOD = {b"MAIL": b"250 2.1.0 ok", b"RCPT": b"250 2.1.5 ok", b"DATA": b"354 go", b"RSET": b"250 ok", b"QUIT": b"221 bye"}
REFUSALS = [b"450 4.2.0 later", b"550 5.7.1 no", b"421 4.3.2 closing", b"250-more\r\n250 than one line"]


@dataclass
class Town:
    """A mail server, and what it really did with the mails of each reader."""

    random: Random
    polite: bool  # it obeys the RFCs, if it breaks off now and then
    pipelining: bool
    kept: Counter[str] = field(default_factory=Counter)
    refused: set[str] = field(default_factory=set)  # for good
    doubtful: set[str] = field(default_factory=set)  # whose whole mail came, and no answer went
    visits: set[asyncio.Task[None] | None] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.visits.add(asyncio.current_task())
        try:
            await self._talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mx.example\r\n")
        await reader.readline()
        writer.write(b"250-mx.example\r\n250 " + (b"PIPELINING" if self.pipelining else b"SIZE") + b"\r\n")
        name, begun, accepted = "", False, False
        while line := await reader.readline():
            verb = line[:4].upper().strip()
            if found := _READER.search(line):
                name = found[1].decode()
            answer = self._answer(verb)
            match verb:
                case b"MAIL" | b"RSET":
                    begun, accepted = verb == b"MAIL" and answer.startswith(b"250"), False
                case b"RCPT":
                    answer = answer if begun or not self.polite else b"503 5.5.1 MAIL first"
                    accepted = answer.startswith(b"250")
                case b"DATA" if (not begun and self.polite) or (not accepted and self.random.random() < 0.5):
                    answer = b"554 5.5.1 no valid recipients"  # or asked for, all the same
            if answer.startswith(b"5") and verb in (b"RCPT", b"DATA"):
                self.refused.add(name)
            if not await self._say(writer, answer):
                return
            if verb == b"DATA" and answer.startswith(b"354") and not await self._take(reader, writer, name, accepted):
                return

    def _answer(self, verb: bytes) -> bytes:
        good = GOOD.get(verb, b"250 ok")
        if verb in (b"MAIL", b"RCPT", b"DATA") and self.random.random() < 0.12:
            drawn = self.random.choice(REFUSALS)
            return drawn if verb != b"DATA" or not drawn.startswith(b"2") else good
        return good

    async def _take(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str, accepted: bool
    ) -> bool:
        body = b""
        while not body.endswith(b"\r\n.\r\n") and body != b".\r\n":
            line = await reader.readline()
            if not line:
                return False
            body += line
        if not accepted:
            assert body == b".\r\n", "the mail of a refused reader was sent"
            return await self._say(writer, b"554 5.5.1 nothing")
        assert f"To: {name}\r\n".encode() in body, "a mail went to somebody else"
        what = self.random.choice(["kept"] * 8 + ["refused", "later", "dropped", "hangs"])
        answers = {"kept": b"250 2.0.0 kept", "refused": b"554 5.7.1 spam", "later": b"451 4.3.0 later"}
        self.kept[name] += what == "kept"
        if what in answers and await self._say(writer, answers[what], self._more()):
            if what == "refused":
                self.refused.add(name)
            return True
        self.doubtful.add(name)
        if what == "hangs":
            await reader.read()
        return False

    async def _say(self, writer: asyncio.StreamWriter, answer: bytes, more: bytes = b"") -> bool:
        """Answer, in pieces at times; tells whether the connection goes on."""
        if self.random.random() < 0.02:
            return False  # without a word
        said = answer + b"\r\n" + more
        for piece in re.findall(rb"(?s).{1,7}", said) if self.random.random() < 0.2 else [said]:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        return not answer.startswith(b"421")

    def _more(self) -> bytes:
        """Say what nobody asked, where it would be taken for an answer to the next reader's mail."""
        drawn = self.random.choice([b"550 5.1.1 what?\r\n", b"250 ok\r\n", b"\xff\x00\r\n"])
        return b"" if self.polite or self.random.random() > 0.2 else drawn


@pytest.mark.parametrize("polite", [True, False], ids=["by the RFCs", "says too much"])
@pytest.mark.parametrize("pipelining", [True, False], ids=["together", "one by one"])
async def test_whatever_a_server_answers(polite: bool, pipelining: bool) -> None:
    """What we call delivered was kept; what we call not delivered was not; who is given up was refused for good."""
    async with asyncio.timeout(30):
        came = await asyncio.gather(*(_mailing(Town(Random(seed), polite, pipelining), seed) for seed in range(40)))
    assert set.union(*came) == {"Receipt", "TransientError", "PermanentError", "OutcomeUnknown"}


async def _mailing(town: Town, seed: int) -> set[str]:
    """Mail to all readers at once; give the sorts of outcomes."""
    readers = [f"r{number}@example.nl" for number in range(MAILS)]
    listener = await asyncio.start_server(town.serve, "127.0.0.1", 0)
    async with listener:
        async with open_email(listener.sockets[0].getsockname()[1], connections=3, timeout=2.0) as email:
            outcomes = await asyncio.gather(
                *(email.publish(make_posting(reader), make_content()) for reader in readers), return_exceptions=True
            )
        await asyncio.gather(*filter(None, town.visits))
    for reader, outcome in zip(readers, outcomes, strict=True):
        told = f"seed {seed}: {reader} {outcome!r}, kept {town.kept[reader]}"
        match outcome:
            case OutcomeUnknown():
                assert town.kept[reader] or reader in town.doubtful, told
            case PermanentError():
                assert reader in town.refused, told
                assert not town.kept[reader], told
            case TransientError():
                assert not town.kept[reader], told
                assert reader not in town.doubtful, told
            case BaseException():
                raise AssertionError(told) from outcome
            case _:
                assert town.kept[reader] == 1, told
    return {type(outcome).__name__ for outcome in outcomes}
