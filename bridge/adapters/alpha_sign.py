"""Alpha and BetaBrite signs over TCP, mostly through a serial device server (``alpha_sign``).

The text goes into the *priority text file*, which every sign has and which pushes aside whatever else it shows; then
the file is read back. Alpha Sign Communications Protocol, form 9708-8061 revision F: sections 5.1 (frames) and 6.1
(text files).
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Sequence
from types import TracebackType
from typing import NoReturn, Self
from urllib.parse import urlsplit

from pydantic import Field

from bridge.adapters.registry import AdapterConfig, Resources
from bridge.core.content import Content
from bridge.core.errors import InvalidInput, OutcomeUnknown, PermanentError, TransientError
from bridge.core.layout import DoesNotFit
from bridge.core.posting import Capabilities, Kind, Observation, Posting, Receipt
from bridge.core.target import Target
from bridge.core.turns import fit

ROOM = 125  # bytes of the priority text file; what says how to show it is counted too
MOST = 4_096  # bytes of an answer; after so many without an end it is none
HEAD = b"\x1b\x20\x62"  # how to show it: ESC, the middle line, hold
LINE, PAGE = b"\r", b"\x0c"  # Appendix G: a new line, a new page
# Only what looks on the sign as it does here: 7E is a half space on it, and accents differ from sign to sign.
_CHARACTERS = frozenset(map(chr, range(0x20, 0x7E)))
_BREAKS = str.maketrans("", "", "\n\r\t")
_READ, _WRITE = b"B0", b"A0"
_ANSWER = re.compile(rb"\x01000(\x02A0([^\x02\x03\x04]*)\x03)([0-9A-Fa-f]{4})\x04", re.DOTALL)


class AlphaSignConfig(AdapterConfig):
    """``adapters.alpha_sign``: signs at a time, seconds for one step, and those a sign needs between two frames."""

    connections: int = Field(64, ge=1, le=1_000)
    timeout: float = Field(10.0, gt=0, le=60)
    pause: float = Field(0.2, ge=0, le=5)


class AlphaSign:
    """Drives signs that speak the Alpha protocol; the priority file of each belongs to the bridge.

    A sign says nothing of a write, so only the read-back counts. Its text does not run out by itself.
    """

    Config: type[AdapterConfig] = AlphaSignConfig

    def __init__(self, config: AlphaSignConfig, resources: Resources) -> None:  # noqa: ARG002 - it needs none
        self.capabilities = Capabilities(
            kind=Kind.STATE,
            channels=frozenset({"sign"}),
            board=True,
            can_observe=True,
            idempotent=True,
            holds_one=True,
            max_concurrency=config.connections,
            timeout=config.timeout,
        )
        self._pause = config.pause
        self._seconds = config.timeout * 0.9  # a little less than the dispatcher allows: the verdict is to be ours

    async def __aenter__(self) -> Self:
        """Open nothing: each step has a connection of its own."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close nothing."""

    async def publish(self, posting: Posting, content: Content) -> Receipt:
        """Show the cases that fit, in turn; again is harmless."""
        return await self._show(posting, posting.target.address, content)

    async def update(self, receipt: Receipt, content: Content) -> Receipt:
        """Replace what is shown, where it is shown, without a dark moment in between."""
        return await self._show(receipt.posting, _shown_at(receipt), content)

    async def retract(self, receipt: Receipt) -> None:
        """Empty the priority file, whoever wrote it: it is the bridge's, and a text must never stay behind (R5)."""
        if await self._exchange(_shown_at(receipt), b""):
            raise TransientError("the sign was told to clear its text, and still has one")

    async def observe(self, receipt: Receipt) -> Observation:
        """Read the priority file."""
        there = await self._exchange(_shown_at(receipt), None)
        if there and _digest(there) == receipt.handle.get("digest"):
            return Observation(present=True)
        return Observation(present=False, text=_text(there), ours=bool(there))  # nobody else has this file

    async def find(self, posting: Posting) -> NoReturn:
        """Raise ``PermanentError``: nothing needs to be looked up, for publishing again is harmless."""
        raise PermanentError(f"alpha_sign: {posting.id} is not looked up but shown again")

    async def probe(self, target: Target) -> None:
        """Read the priority file, whatever is in it."""
        await self._exchange(target.address, None)

    @staticmethod
    def check_target(target: Target) -> None:
        """Raise ``InvalidInput`` when the address is no ``host:port``, the size is missing, or there is a secret."""
        problems = []
        if _host_and_port(target.address) is None:
            problems.append("address: host:port, as in 192.0.2.10:3001")
        if target.sign is None:
            problems.append("sign: its size (columns, rows, pages), or no text can be laid out")
        if target.secret_env or target.secret_file:
            problems.append("secret: an Alpha sign knows no login; leave secret_env and secret_file out")
        if problems:
            raise InvalidInput(*(f"target {target.id}: {problem}" for problem in problems))

    async def _show(self, posting: Posting, address: str, content: Content) -> Receipt:
        try:
            data, cases = fit(content, _data)
        except DoesNotFit as reason:
            raise PermanentError(str(reason)) from reason
        there = await self._exchange(address, data)
        if not there:
            raise TransientError("the sign did not take the text: its priority file is empty")
        if there != data:
            raise OutcomeUnknown("the sign has another text than it was given: somebody else's, or garbled on its way")
        return Receipt(posting, {"address": address, "digest": _digest(data)}, cases)

    async def _exchange(self, address: str, data: bytes | None) -> bytes:
        """Write the priority file (``None``: do not), then read it; nothing is certain once a byte of text was sent."""
        place = _host_and_port(address)
        if place is None:
            raise PermanentError("the address is not host:port")
        lost: type[TransientError | OutcomeUnknown] = TransientError
        why = "no connection"
        try:
            async with asyncio.timeout(self._seconds):
                reader, writer = await asyncio.open_connection(*place)
                try:
                    why = "no answer to the read-back"
                    if data is not None:
                        lost = OutcomeUnknown
                        await _send(writer, _WRITE + data)
                        await asyncio.sleep(self._pause)
                    await _send(writer, _READ)
                    return _answer(await reader.readuntil(b"\x04"))
                finally:
                    writer.transport.abort()  # nothing is left to be sent
        except (OSError, asyncio.IncompleteReadError, UnicodeError) as error:  # a timeout is an OSError
            raise lost(f"{why} ({_cause(error)})") from error
        except (ValueError, asyncio.LimitOverrunError) as error:
            raise lost("the answer to the read-back cannot be read") from error


def frame(command: bytes) -> bytes:
    """Wrap a command for every sign that listens (type ``^``, address ``00``); six NULs wake its line."""
    return bytes(6) + b"\x01^00\x02" + command + b"\x04"


async def _send(writer: asyncio.StreamWriter, command: bytes) -> None:
    writer.write(frame(command))
    await writer.drain()


def _data(contents: Sequence[Content]) -> bytes:
    """Make what the priority file is to hold: the pages of every case, one after the other; raise ``DoesNotFit``."""
    pages = [page for one in contents for page in one.pages]
    lines = "".join(line for page in pages for line in page)
    texts = "".join(one.text for one in contents).translate(_BREAKS)  # they were laid out in lines
    foreign = [char for char in dict.fromkeys(lines + texts) if char not in _CHARACTERS]
    if foreign:
        names = ", ".join(f"{char!r} (U+{ord(char):04X})" for char in foreign[:5]) + (", …" if foreign[5:] else "")
        raise DoesNotFit(f"the sign does not have {names}", f"het bord heeft geen {names}")
    data = HEAD + PAGE.join(LINE.join(line.encode("ascii") for line in page) for page in pages)
    if len(data) > ROOM:
        room = ROOM - len(HEAD)
        raise DoesNotFit(
            f"takes {len(data) - len(HEAD)} bytes, the sign has room for {room}",
            f"het zijn {len(data) - len(HEAD)} bytes, op het bord passen er {room}",
        )
    return data


def _answer(raw: bytes) -> bytes:
    """Take the file's data out of a sign's answer; raise ``ValueError`` when it is garbled."""
    found = _ANSWER.search(raw)
    if not found or sum(found[1]) & 0xFFFF != int(found[3], 16):
        raise ValueError("no answer to a read of the priority file")
    return found[2]


def _text(data: bytes) -> str | None:
    """Tell what stands in a file of somebody else, one line a line; ``None``: nothing."""
    body = data[len(HEAD) :] if data.startswith(b"\x1b") else data
    text = body.replace(PAGE, b"\n").replace(LINE, b"\n").decode("ascii", "replace").strip()
    return text or None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def _shown_at(receipt: Receipt) -> str:
    """Where it was put, even when the configuration names another address by now."""
    return receipt.handle.get("address") or receipt.posting.target.address


def _host_and_port(address: str) -> tuple[str, int] | None:
    """Read ``host:port``; IPv6 in brackets."""
    try:
        parts = urlsplit(f"//{address}")
        host, port = parts.hostname or "", parts.port or 0
        host.encode("idna")
    except ValueError:
        return None
    plain = parts.netloc == address and "@" not in address and address.isprintable() and " " not in address
    return (host, port) if plain and host and port else None


def _cause(error: Exception) -> str:
    return getattr(error, "strerror", None) or ("it hung up" if isinstance(error, EOFError) else type(error).__name__)
