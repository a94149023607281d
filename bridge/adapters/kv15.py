"""Stop displays of Dutch public transport, by KV15 (``kv15``): free text for many stops in one message.

A message has a number of its own, so a text is replaced by deleting its number and sending another, in one dossier.
Every number is remembered for its posting before it is sent. So whatever became of a request, the next one deletes what
it may have left, and publishing again is harmless.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from types import TracebackType
from typing import Literal, NamedTuple, NoReturn, Self
from urllib.parse import urlsplit

import aiohttp
from pydantic import Field

from bridge.adapters.kv15_feed import Feed
from bridge.adapters.registry import AdapterConfig, Resources
from bridge.core.content import Content
from bridge.core.dutch_time import AMSTERDAM
from bridge.core.errors import (
    AdapterError,
    InvalidInput,
    OutcomeUnknown,
    PermanentError,
    StoreUnavailable,
    TransientError,
)
from bridge.core.posting import Capabilities, Kind, Observation, Posting, Receipt
from bridge.core.target import Target
from bridge.protocols.kv15 import (
    MOST_CHARACTERS,
    MOST_NUMBER,
    OWNER,
    STOP,
    Envelope,
    Key,
    StopMessage,
    read_answer,
    unsayable,
    write_push,
)

MOST_ANSWER = 100_000  # bytes; an answer is a handful of lines
_TRY_LATER = frozenset({408, 425, 429, 503})  # the receiver itself says that it did nothing
_XML, _GZIP = {"Content-Type": "application/xml"}, {"Content-Type": "application/gzip"}

CODES: dict[str, tuple[type[AdapterError], str]] = {
    "SE": (PermanentError, "the receiver cannot read the dossier (SE, syntax error)"),
    "NA": (TransientError, "the receiver takes no messages now (NA, not available)"),
    "PE": (PermanentError, "the receiver refuses the dossier (PE, protocol error)"),
    "NOK": (OutcomeUnknown, "the receiver could not process the dossier (NOK)"),
    "IC": (PermanentError, "the receiver finds the dossier incomplete (IC)"),
    "AE": (PermanentError, "the receiver does not let us in (AE, authorization error)"),
}
"""What a ResponseCode other than OK means (BISON TMI8)."""


class Kv15Config(AdapterConfig):
    """``adapters.kv15``. Times in seconds.

    ``subscriber`` and ``version``: our SubscriberID, and the Version that the receiver wants. ``gzip``: how it takes
    packed dossiers, by Content-Encoding or by Content-Type; none: plain. ``kv8_url``: a KV8 feed (ZeroMQ) to read back
    from; empty: none. ``kv8_wait``: how long a look waits for it.
    """

    subscriber: str = Field("Burgernet", pattern=r"^[A-Za-z0-9_-]{1,32}$")
    version: str = Field("BISON 8.3.0.0", pattern=r"^[A-Za-z0-9. ]{1,32}$")
    priority: Literal["CALAMITY", "PTPROCESS", "COMMERCIAL", "MISC"] = "CALAMITY"
    message_type: Literal["GENERAL", "ADDITIONAL", "OVERRULE", "BOTTOMLINE"] = "GENERAL"
    gzip: Literal["none", "content-encoding", "content-type"] = "none"
    kv8_url: str = Field("", pattern=r"^(tcp://[^\s/:]+:[0-9]{1,5})?$")
    kv8_topic: str = ""
    kv8_wait: float = Field(2.0, ge=0, le=60)
    timeout: float = Field(10.0, gt=0, le=300)
    connections: int = Field(16, ge=1, le=1_000)


class Kv15:
    """Drives the stops of one receiver. A receipt's handle: the message's ``owner date number``, and what it says."""

    Config: type[AdapterConfig] = Kv15Config

    def __init__(
        self, config: Kv15Config, resources: Resources, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.capabilities = Capabilities(
            kind=Kind.STATE,
            channels=frozenset({"display", "sign"}),
            board=True,
            can_observe=bool(config.kv8_url),
            idempotent=True,
            leased=True,
            max_concurrency=config.connections,
            timeout=config.timeout,
        )
        self._config = config
        self._http = resources.http
        self._counter = resources.counter
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout(
            total=config.timeout * 0.9, connect=config.timeout * 0.45, ceil_threshold=config.timeout
        )
        self._feed = Feed(config.kv8_url, config.kv8_topic) if config.kv8_url else None

    async def __aenter__(self) -> Self:
        """Subscribe to the feed, if there is one."""
        if self._feed:
            self._feed.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave it."""
        if self._feed:
            self._feed.close()

    async def publish(self, posting: Posting, content: Content) -> Receipt:
        """Send the text, and delete whatever an earlier try may have left."""
        return await self._show(Receipt(posting), content)

    async def update(self, receipt: Receipt, content: Content) -> Receipt:
        """Delete the old message and send a new one, in one dossier; a renewal is the same text with a later end."""
        return await self._show(receipt, content)

    async def retract(self, receipt: Receipt) -> None:
        """Delete every message that this posting may have somewhere."""
        if old := await self._keys(receipt):
            await self._send(receipt.posting.target, old)
            await self._release(receipt.posting, _own(receipt))

    async def observe(self, receipt: Receipt) -> Observation:
        """Tell what the KV8 feed has told; ``OutcomeUnknown`` as long as it has not told of the message at all."""
        if self._feed is None:
            raise PermanentError("there is no KV8 feed to read back from (adapters.kv15.kv8_url)")
        feed, now = self._feed, self._clock()
        own, keys = _own(receipt), await self._keys(receipt)
        awaited = own or keys
        await feed.hear(lambda: all(map(feed.knows, awaited)), min(self._config.kv8_wait, self._config.timeout / 2))
        shown = [text for key in keys if (text := feed.shows(key, now)) is not None]
        if other := [text for text in shown if _digest(text) != receipt.handle.get("text")]:
            return Observation(present=True, text=other[0])
        if shown:
            return Observation(present=True, revision=int(receipt.handle["revision"]))
        silent = [key for key in awaited if not feed.knows(key)]
        if silent and now < _ends(receipt, now):
            raise OutcomeUnknown(f"the KV8 feed has not told of message {silent[0]} yet")
        return Observation(present=False)

    async def find(self, posting: Posting) -> NoReturn:
        """Raise ``PermanentError``: a message is simply sent again."""
        raise PermanentError(f"a stop message is sent again rather than searched ({posting.id})")

    async def probe(self, target: Target) -> None:
        """Ask for the receiver's address without sending a dossier: KV15 has no question that does nothing."""
        try:
            status, wait, _ = await self._request("HEAD", target, b"")
        except OutcomeUnknown as error:
            raise TransientError(str(error)) from error
        if status in (401, 403, 404, 410):
            raise PermanentError(f"HEAD: HTTP {status}")
        if status == HTTPStatus.NOT_IMPLEMENTED:  # it is there, and knows POST only
            return
        if status in _TRY_LATER or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise TransientError(f"HEAD: HTTP {status}", retry_after=wait)

    @staticmethod
    def check_target(target: Target) -> None:
        """Raise ``InvalidInput`` when the address, the secret or the size cannot be."""
        problems = []
        if _place(target.address) is None:
            problems.append(
                f"address: {target.address!r} is not allowed; allowed: the receiver's URL, # and the stops,"
                " like https://kv15.example.nl/KV15messages#HTM:1234,1235"
            )
        if target.sign is None:
            problems.append("sign: the size of the displays, like {columns: 40, rows: 4}")
        if target.secret is not None and not _plain_secret(target.secret):
            problems.append("secret: user:password (HTTP Basic), or none")
        if problems:
            raise InvalidInput(*(f"target {target.id}: {problem}" for problem in problems))

    async def _show(self, receipt: Receipt, content: Content) -> Receipt:
        posting, place, text = receipt.posting, _reachable(receipt.posting.target), _text(content)
        if content.valid_until is None:
            raise PermanentError("a stop message needs an end, and this content has none")
        starts = self._clock().astimezone(AMSTERDAM).replace(microsecond=0)
        ends = max(content.valid_until.replace(microsecond=0), starts + timedelta(seconds=1))
        old = await self._keys(receipt)
        key = await self._next_key(posting, place.owner, starts, ends)
        message = StopMessage(key, place.stops, text, starts, ends, self._config.priority, self._config.message_type)
        try:
            await self._send(posting.target, old, [message])
        except (TransientError, PermanentError):  # nothing happened
            await self._release(posting, [key])
            raise
        await self._release(posting, _own(receipt))
        says = {"text": _digest(text), "revision": str(content.revision), "until": ends.isoformat()}
        return Receipt(posting, {"owner": key.owner, "date": key.date, "number": str(key.number), **says})

    async def _next_key(self, posting: Posting, owner: str, now: datetime, ends: datetime) -> Key:
        date = now.date().isoformat()
        try:
            number = await self._counter.next(_series(owner, date), MOST_NUMBER, posting.id, ends.timestamp())
        except StoreUnavailable as error:
            raise TransientError(str(error), whole_adapter=True) from error
        return Key(owner, date, number)

    async def _keys(self, receipt: Receipt) -> list[Key]:
        """Name every message that this posting may have somewhere: the one we know of, and those we do not."""
        try:
            held = await self._counter.held(receipt.posting.id)
        except StoreUnavailable as error:
            raise TransientError(str(error), whole_adapter=True) from error
        return sorted({*_own(receipt), *(_key(name, number) for name, number in held)})

    async def _release(self, posting: Posting, keys: Collection[Key]) -> None:
        """Forget what is known to be gone. What is not forgotten is only deleted once more."""
        with suppress(StoreUnavailable):
            await self._counter.release(posting.id, [(_series(key.owner, key.date), key.number) for key in keys])

    async def _send(self, target: Target, old: Sequence[Key], new: Sequence[StopMessage] = ()) -> None:
        envelope = Envelope(self._config.subscriber, self._config.version, self._clock())
        status, wait, answer = await self._request("POST", target, write_push(envelope, old, new))
        if error := verdict(status, answer, wait):
            raise error

    async def _request(self, verb: str, target: Target, body: bytes) -> tuple[int, float | None, bytes]:
        """Ask once, bounded in time and size; never follow a redirect."""
        headers, body = self._packed(body) if body else ({}, body)
        if target.secret:
            headers = {**headers, "Authorization": "Basic " + base64.b64encode(target.secret.encode()).decode()}
        try:
            async with self._http.request(
                verb,
                _reachable(target).url,
                data=body or None,
                headers=headers,
                allow_redirects=False,
                timeout=self._timeout,
            ) as response:
                answer = await response.content.read(MOST_ANSWER)
                while chunk := await response.content.read(MOST_ANSWER - len(answer)):
                    answer += chunk
                if len(answer) >= MOST_ANSWER:
                    response.close()
                return response.status, _seconds(response.headers.get("Retry-After", "")), answer
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise TransientError(f"{verb}: no connection to the receiver") from error
        except (aiohttp.InvalidURL, UnicodeError) as error:
            raise PermanentError(f"{verb}: the address is not a usable URL") from error
        except TimeoutError as error:
            raise OutcomeUnknown(f"{verb}: no answer in {self._timeout.total:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise OutcomeUnknown(f"{verb}: the connection broke ({type(error).__name__})") from error

    def _packed(self, body: bytes) -> tuple[dict[str, str], bytes]:
        if self._config.gzip == "none":
            return _XML, body
        packer = zlib.compressobj(wbits=31)
        packed = packer.compress(body) + packer.flush()
        return (_GZIP if self._config.gzip == "content-type" else {**_XML, "Content-Encoding": "gzip"}), packed


class Place(NamedTuple):
    """Where messages go: the receiver's URL, whose stops, and which."""

    url: str
    owner: str
    stops: tuple[str, ...]


def _place(address: str) -> Place | None:
    """Read ``https://host/path#OWNER:stop,stop``."""
    url, _, what = address.partition("#")
    owner, _, stops = what.partition(":")
    named = tuple(dict.fromkeys(stops.split(",")))
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    plain = parts.scheme in ("http", "https") and not any(char.isspace() or char in "\\@?" for char in url)
    known = OWNER.fullmatch(owner) and all(STOP.fullmatch(stop) for stop in named)
    return Place(url, owner, named) if has_host and plain and known else None


def _reachable(target: Target) -> Place:
    place = _place(target.address)
    if place is None:
        raise PermanentError("the address is not a receiver's URL, # and the stops")
    return place


def _plain_secret(secret: str) -> bool:
    return ":" in secret and secret.isprintable()


def _text(content: Content) -> str:
    """Give what the displays are to show, whole, or say why they cannot."""
    text = f"{content.mark}: {content.text}" if content.mark else content.text
    if wrong := unsayable(text):
        named = ", ".join(f"U+{ord(char):04X}" for char in wrong[:5]) + (", …" if wrong[5:] else "")
        raise PermanentError(f"the text has characters that XML cannot carry: {named}")
    if len(text) > MOST_CHARACTERS:
        raise PermanentError(f"the text has {len(text)} characters, a stop message holds {MOST_CHARACTERS}")
    return text


def _series(owner: str, date: str) -> str:
    """Name the numbers of one owner on one day."""
    return f"kv15/{owner}/{date}"


def _key(series: str, number: int) -> Key:
    _, owner, date = series.split("/")
    return Key(owner, date, number)


def _own(receipt: Receipt) -> list[Key]:
    """Name the message that a receipt is for; none, where a crash lost it."""
    handle = receipt.handle
    return [Key(handle["owner"], handle["date"], int(handle["number"]))] if "number" in handle else []


def _ends(receipt: Receipt, now: datetime) -> datetime:
    """Say until when the message may stand; what is held beside it has not ended yet."""
    until = receipt.handle.get("until")
    return datetime.fromisoformat(until) if until else now + timedelta(seconds=1)


def _digest(text: str) -> str:
    """Name a text, however its lines were broken on the way."""
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:16]


def verdict(status: int, answer: bytes, retry_after: float | None = None) -> AdapterError | None:
    """Say what an answer means. Its ResponseCode counts, whatever the HTTP status beside it; ``None``: it is done."""
    code = read_answer(answer)
    if code in CODES:
        kind, reason = CODES[code]
        return TransientError(reason, retry_after=retry_after) if kind is TransientError else kind(reason)
    if 200 <= status < 300:
        said = "says neither OK nor what is wrong" if code is None else f"has the unknown code {code}"
        return None if code == "OK" else OutcomeUnknown(f"HTTP {status}: the answer {said}")
    if status in _TRY_LATER:
        return TransientError(f"HTTP {status}", retry_after=retry_after)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return OutcomeUnknown(f"HTTP {status}")
    return PermanentError(f"HTTP {status}")  # a redirect too: nothing is shown where nobody configured it


def _seconds(retry_after: str) -> float | None:
    return float(retry_after) if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 7 else None
