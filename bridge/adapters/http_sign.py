"""Boards and displays that speak plain HTTP: one PUT shows, one GET reads back, one DELETE clears (``http_sign``).

The contract fits on a page, so that any vendor can meet it: ``{address}/{posting}`` holds what the board shows of one
case. Requests are signed by Standard Webhooks 1.0 when the target has a secret.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections import OrderedDict
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from secrets import token_hex
from types import TracebackType
from typing import Any, NamedTuple, Self

import aiohttp
from pydantic import Field
from standardwebhooks.webhooks import Webhook
from yarl import URL

from bridge.adapters.registry import AdapterConfig, Resources
from bridge.core.content import Content, Photo
from bridge.core.errors import AdapterError, InvalidInput, OutcomeUnknown, PermanentError, TransientError
from bridge.core.posting import Capabilities, Kind, Observation, Posting, Receipt
from bridge.core.target import Target
from bridge.core.trace import Trace

MAX_ANSWER = 1_000_000  # bytes; a board's answer is some lines of text and at most a photo it gives back
_TRY_LATER = frozenset({408, 425, 429, 503})  # the peer itself says that it did nothing
_GONE = frozenset({404, 410})
_JSON = {"Content-Type": "application/json"}
_SECRET_PREFIX = "whsec_"  # noqa: S105 - the public prefix of Standard Webhooks, not a secret


class HttpSignConfig(AdapterConfig):
    """``adapters.http_sign``: requests at a time, and seconds that one request may take in all."""

    connections: int = Field(256, ge=1, le=10_000)
    timeout: float = Field(10.0, gt=0, le=300)


class HttpSign:
    """Drives every board that meets the HTTP sign contract."""

    Config: type[AdapterConfig] = HttpSignConfig

    def __init__(self, config: HttpSignConfig, resources: Resources) -> None:
        self.capabilities = Capabilities(
            kind=Kind.STATE,
            channels=frozenset({"sign", "display"}),
            board=True,
            can_observe=True,
            can_find=True,
            idempotent=True,
            photo=True,
            edits_photo=True,
            leased=True,
            max_concurrency=config.connections,
            timeout=config.timeout,
        )
        # A little less than the dispatcher allows, so that the verdict is ours: was anything sent, or not? Connecting
        # gets half of it, so that running out of the whole means that there was a connection.
        self._timeout = aiohttp.ClientTimeout(
            total=config.timeout * 0.9, connect=config.timeout * 0.45, ceil_threshold=config.timeout
        )
        self._http = resources.http
        self._bodies = _Bodies()
        self._signers: dict[str, Webhook] = {}

    async def __aenter__(self) -> Self:
        """Nothing to open: the HTTP session is shared."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Forget texts and photos."""
        self._bodies.clear()
        self._signers.clear()

    async def publish(self, posting: Posting, content: Content) -> Receipt:
        """Show ``content``; again with the same revision is harmless and renews ``validUntil``."""
        url = _url(posting)
        await self._put(url, posting, content)
        return Receipt(posting, {"url": url})

    async def update(self, receipt: Receipt, content: Content) -> Receipt:
        """Replace what is shown, where it is shown."""
        url = _shown_at(receipt)
        await self._put(url, receipt.posting, content)
        return Receipt(receipt.posting, {"url": url})

    async def retract(self, receipt: Receipt) -> None:
        """Clear the posting; 404 and 410 say that it is gone already."""
        posting = receipt.posting
        self._bodies.forget(posting.case)
        headers = self._headers(posting.target, f"{posting.id}.delete", trace=posting.trace)
        answer = await self._request("DELETE", _shown_at(receipt), headers)
        if answer.status not in _GONE:
            answer.check()

    async def observe(self, receipt: Receipt) -> Observation:
        """Read back what the board holds; without a revision when it holds something that is not ours."""
        return await self._look(_shown_at(receipt), receipt.posting)

    async def find(self, posting: Posting) -> Receipt | None:
        """Ask the board whether it holds the posting, in whatever revision."""
        url = _url(posting)
        seen = await self._look(url, posting)
        return Receipt(posting, {"url": url}) if seen.present else None

    async def probe(self, target: Target) -> None:
        """Read a posting that never exists: any board that is open answers 404."""
        answer = await self._get(f"{target.address.rstrip('/')}/probe", target, "probe", None)
        if answer.status not in _GONE:
            answer.check()

    @staticmethod
    def check_target(target: Target) -> None:
        """Raise ``InvalidInput`` when the address is no plain URL, the size is missing, or the secret is malformed."""
        problems = []
        if not _plain_url(target.address):
            problems.append("address: an http or https URL with a host and without user, query or fragment")
        if target.sign is None:
            problems.append("sign: the size of the board, like {columns: 16, rows: 5}")
        if target.secret is not None and not _valid_secret(target.secret):
            problems.append("secret: whsec_ followed by base64, as in Standard Webhooks")
        if problems:
            raise InvalidInput(*(f"target {target.id}: {problem}" for problem in problems))

    async def _put(self, url: str, posting: Posting, content: Content) -> None:
        body = self._bodies.of(content)
        name = f"{posting.id}.{content.revision}.put"
        headers = {**_JSON, **self._headers(posting.target, name, body, posting.trace)}
        (await self._request("PUT", url, headers, body)).check()

    async def _look(self, url: str, posting: Posting) -> Observation:
        answer = await self._get(url, posting.target, posting.id, posting.trace)
        if answer.status in _GONE:
            return Observation(present=False)
        answer.check()
        return _observation(answer.body, posting.case)

    async def _get(self, url: str, target: Target, name: str, trace: Trace | None) -> _Answer:
        try:
            return await self._request("GET", url, self._headers(target, f"{name}.get", trace=trace))
        except OutcomeUnknown as error:  # reading changes nothing
            raise TransientError(str(error)) from error

    def _headers(self, target: Target, step: str, body: bytes = b"", trace: Trace | None = None) -> dict[str, str]:
        """Sign one request (Standard Webhooks 1.0), in its trace; no body is signed as the empty string.

        The same message has the same id. A renewal or a late photo is another message of the same revision, and a
        board that drops what it has seen must not drop those: hence the checksum. Without a body each is a new one.
        """
        headers = trace.headers if trace else {}
        secret = target.secret
        if secret is None:
            return headers
        name = f"{step}.{zlib.crc32(body):08x}" if body else f"{step}.{token_hex(8)}"
        now = datetime.now(UTC)
        return headers | {
            "webhook-id": name,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer(secret).sign(name, now, body.decode()),
        }

    def _signer(self, secret: str) -> Webhook:
        if (signer := self._signers.get(secret)) is None:
            if not _valid_secret(secret):
                raise PermanentError("the signing secret is not whsec_ followed by base64")
            signer = self._signers[secret] = Webhook(secret)
        return signer

    async def _request(self, verb: str, url: str, headers: dict[str, str], body: bytes | None = None) -> _Answer:
        """Send one request and read its answer, bounded in time and size; never follow a redirect."""
        try:
            async with self._http.request(
                verb, url, data=body, headers=headers, allow_redirects=False, timeout=self._timeout
            ) as response:
                seen = await _read(response, needed=verb == "GET" and response.ok)
                return _Answer(verb, response.status, response.headers.get("Retry-After"), seen)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise TransientError(f"{verb}: no connection ({_cause(error)})") from error
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, UnicodeError) as error:
            raise PermanentError(f"{verb}: the address is not a usable URL") from error
        except TimeoutError as error:
            raise OutcomeUnknown(f"{verb}: no answer in {self._timeout.total:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise OutcomeUnknown(f"{verb}: the connection broke ({_cause(error)})") from error


class _Answer(NamedTuple):
    """What a board answered; its words stay out of reasons and logs, for it may echo ours."""

    verb: str
    status: int
    retry_after: str | None
    body: bytes

    def check(self) -> None:
        """Return on 2xx, else raise what the status means for the step."""
        if not 200 <= self.status < 300:  # the classes of RFC 9110 section 15
            raise self._error()

    def _error(self) -> AdapterError:
        reason = f"{self.verb}: HTTP {self.status}{_phrase(self.status)}"
        if self.status in _TRY_LATER:
            return TransientError(reason, retry_after=_seconds(self.retry_after))
        if self.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return TransientError(reason) if self.verb == "GET" else OutcomeUnknown(reason)
        return PermanentError(reason)  # a redirect too: the bridge shows nothing where nobody configured it


class _Bodies:
    """The JSON of the contents in use: a fan-out sends one text to thousands of boards."""

    _LIMIT = 32

    def __init__(self) -> None:
        self._heads: OrderedDict[tuple[Any, ...], bytes] = OrderedDict()

    def clear(self) -> None:
        """Drop everything."""
        self._heads.clear()

    def of(self, content: Content) -> bytes:
        """Give the whole body. ``validUntil`` comes last, for it alone differs from one renewal to the next."""
        photo = content.photo
        key = (
            content.case,
            content.revision,
            content.language,
            content.exercise,
            content.text,
            content.pages,
            photo and (photo.digest, photo.media_type, photo.description, len(photo.data)),
        )
        head = self._heads.get(key)
        if head is None:
            head = self._heads[key] = _head(content)
            if len(self._heads) > self._LIMIT:
                self._heads.popitem(last=False)
        until = content.valid_until
        return head + (b"null}" if until is None else f'"{until.isoformat()}"}}'.encode())

    def forget(self, case: str) -> None:
        """Drop a case that is being taken back, its photo first of all (R15)."""
        for key in [key for key in self._heads if key[0] == case]:
            del self._heads[key]


def _head(content: Content) -> bytes:
    """Write everything but the value of ``validUntil``, which the caller adds with the closing brace."""
    fields = {
        "case": content.case,
        "revision": content.revision,
        "text": content.text,
        "pages": content.pages,
        "language": content.language,
        "photo": _picture(content.photo),
        "exercise": content.exercise,
    }
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))[:-1].encode() + b',"validUntil":'


def _picture(photo: Photo | None) -> dict[str, str] | None:
    if photo is None or not photo.data:
        return None
    data = base64.b64encode(photo.data).decode()
    return {
        "uri": f"data:{photo.media_type};base64,{data}",
        "mimeType": photo.media_type,
        "description": photo.description,
    }


def _url(posting: Posting) -> str:
    return f"{posting.target.address.rstrip('/')}/{posting.id}"


def _shown_at(receipt: Receipt) -> str:
    """Where it was put, even when the configuration names another address by now."""
    return receipt.handle.get("url") or _url(receipt.posting)


async def _read(response: aiohttp.ClientResponse, *, needed: bool) -> bytes:
    """Read an answer whole, so that the connection can be used again; hang up on one without end."""
    answer = bytearray()
    try:
        async for chunk in response.content.iter_any():
            answer += chunk
            if len(answer) > MAX_ANSWER:
                response.close()
                break
    except (aiohttp.ClientError, OSError):  # a timeout is an OSError
        if needed:
            raise
        response.close()  # the status has said it all
    return bytes(answer)


def _observation(body: bytes, case: str) -> Observation:
    """Understand a GET's body; what belongs to another case is present too, but is no revision of ours."""
    try:
        seen = json.loads(body) if len(body) <= MAX_ANSWER else None
    except (ValueError, RecursionError):
        seen = None
    if not isinstance(seen, dict) or not isinstance(seen.get("text"), str):
        raise PermanentError("GET: the answer is not what the board was sent (JSON with a text)")
    revision = seen.get("revision")
    ours = seen.get("case") == case and type(revision) is int
    return Observation(present=True, revision=revision if ours else None, text=seen["text"])


def _phrase(status: int) -> str:
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""


def _seconds(retry_after: str | None) -> float | None:
    """Read a Retry-After (RFC 9110 section 10.2.3): seconds, or a date; ``None`` when it says nothing sensible."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 10:
        return float(retry_after)
    try:
        moment = parsedate_to_datetime(retry_after)
    except (ValueError, OverflowError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _cause(error: Exception) -> str:
    """Name a fault in one word or two; an exception's own text may hold what the peer sent."""
    inner = getattr(error, "os_error", error)
    return getattr(inner, "strerror", None) or type(inner).__name__


def _plain_url(address: str) -> bool:
    if any(char.isspace() or char in "\\?#" for char in address):
        return False
    try:
        url = URL(address)
        labels = (url.host or "").encode("idna")
    except (ValueError, IndexError):  # the second over "http://[::1]@/"
        return False
    return url.scheme in ("http", "https") and bool(labels) and url.port != 0 and "@" not in address.split("/")[2]


def _valid_secret(secret: str) -> bool:
    if not secret.startswith(_SECRET_PREFIX):
        return False
    encoded = secret.removeprefix(_SECRET_PREFIX).rstrip("=")  # padding may be left out
    try:
        return bool(base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True))
    except ValueError:
        return False
