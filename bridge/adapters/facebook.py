"""Facebook pages through the Graph API: feed and photo posts that are edited, deleted, and found again by their text.

The API has no idempotency key, and an error 1 or 2 on a publication does not say that nothing was published. So every
such answer is an unknown outcome, and ``find`` looks in the page's feed for our text before anything is posted again.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

import aiohttp
from pydantic import Field

from bridge.adapters import facebook_api as api
from bridge.adapters.facebook_usage import UsageMeter
from bridge.adapters.registry import AdapterConfig, Resources
from bridge.core.content import Content
from bridge.core.errors import AdapterError, InvalidInput, OutcomeUnknown, PermanentError, TransientError
from bridge.core.posting import Capabilities, Kind, Observation, Posting, Receipt
from bridge.core.target import Target

CLOCK_SKEW = timedelta(seconds=120)
DUPLICATE_WINDOW = timedelta(hours=1)
"""How long before an attempt the post may be made that Facebook itself calls a duplicate: by an earlier attempt."""

_FEED_FIELDS = "id,message,created_time,from,attachments{media_type,target}"
MAX_ACCENTS = 30
_FEED_PAGE = 50
_FEED_PAGES = 10
_MAX_ANSWER = 8 * 2**20


class FacebookConfig(AdapterConfig):
    """``adapters.facebook``: ``timeout`` is in seconds for one request; ``connections`` is steps at a time."""

    base_url: str = Field("https://graph.facebook.com", pattern=r"^https?://[^\s?#@]+$")
    version: str = Field("v25.0", pattern=r"^v\d{1,3}\.\d{1,2}$")
    app_secret_file: Path | None = None
    timeout: float = Field(30, gt=0, le=300)
    connections: int = Field(8, ge=1, le=100)


class Facebook:
    """The adapter. A target's address is the page's id in digits, and its secret is the page token."""

    Config: type[AdapterConfig] = FacebookConfig

    def __init__(
        self, config: FacebookConfig, resources: Resources, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._base = f"{config.base_url.rstrip('/')}/{config.version}"
        self._secret_file = config.app_secret_file
        self._app_secret = b""
        self._http = resources.http
        self._timeout = aiohttp.ClientTimeout(total=config.timeout, connect=config.timeout / 2)
        self._usage = UsageMeter(clock)
        self.capabilities = Capabilities(
            kind=Kind.POST,
            channels=frozenset({"facebook"}),
            can_observe=True,
            can_find=True,
            photo=True,
            edits_photo=False,
            max_concurrency=config.connections,
            timeout=2 * config.timeout,  # a step may need a second request: the photo's removal, the look in the feed
        )

    async def __aenter__(self) -> Self:
        """Read the app secret; raise ``InvalidInput`` when it cannot be read."""
        if self._secret_file is not None:
            self._app_secret = _read_secret(self._secret_file)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._app_secret = b""

    @staticmethod
    def check_target(target: Target) -> None:
        """Raise ``InvalidInput`` when the address is no page id or the page token is missing or malformed."""
        problems = []
        if not re.fullmatch(r"[0-9]{1,32}", target.address):
            problems.append(f"targets: {target.id}: address must be the page's id, digits only")
        if not re.fullmatch(r"[!-~]+", target.secret or ""):
            problems.append(f"targets: {target.id}: the page token is missing, or has blanks or odd characters in it")
        if problems:
            raise InvalidInput(*problems)

    async def publish(self, posting: Posting, content: Content) -> Receipt:
        """Make a post, with the photo if there is one; ``OutcomeUnknown`` when it may or may not be there."""
        try:
            return await self._publish(posting, content)
        except (api.DuplicateError, api.DisallowedError) as refusal:
            refused = refusal
        since = (posting.attempted_at or datetime.now(UTC)) - DUPLICATE_WINDOW
        try:
            earlier = await self._look(posting, content.text, since)
        except AdapterError as error:
            raise OutcomeUnknown(f"{refused}, and the feed cannot be read: {error}") from None
        if earlier is None:
            raise refused
        return earlier

    async def update(self, receipt: Receipt, content: Content) -> Receipt:
        """Replace the text; the photo stays (``edits_photo`` is false). A lost answer is transient."""
        form = aiohttp.FormData({"message": content.text})
        body = await self._call(api.UPDATE, receipt.posting.target, "POST", receipt.handle["post"], form=form)
        api.expect(api.Done, body, api.UPDATE)
        return receipt

    async def retract(self, receipt: Receipt) -> None:
        """Delete the post, and the photo that would stay behind in the page's album."""
        for name in filter(None, (receipt.handle["post"], receipt.handle.get("photo"))):
            try:
                body = await self._call(api.RETRACT, receipt.posting.target, "DELETE", name)
            except api.PostGoneError:
                continue
            api.expect(api.Done, body, api.RETRACT)

    async def observe(self, receipt: Receipt) -> Observation:
        """Read the post back."""
        query = {"fields": "message"}
        try:
            body = await self._call(api.READ, receipt.posting.target, "GET", receipt.handle["post"], query=query)
        except api.PostGoneError:
            return Observation(present=False)
        return Observation(present=True, text=api.expect(api.Message, body, api.READ).message or "")

    async def find(self, posting: Posting) -> Receipt | None:
        """Look in the feed for the text of the last attempt, made by the page since that attempt."""
        if posting.attempted is None or posting.attempted_at is None:
            return None
        return await self._look(posting, posting.attempted.text, posting.attempted_at - CLOCK_SKEW)

    async def probe(self, target: Target) -> None:
        """Read the page's name with its token."""
        body = await self._call(api.FIND, target, "GET", target.address, query={"fields": "id,name"})
        if api.expect(api.Reference, body, api.READ).id != target.address:
            raise PermanentError("Facebook answered for another page")

    async def _publish(self, posting: Posting, content: Content) -> Receipt:
        target = posting.target
        if content.photo is None:
            form = aiohttp.FormData({"message": content.text})
            body = await self._call(api.PUBLISH, target, "POST", f"{target.address}/feed", form=form)
            return Receipt(posting, {"post": api.expect(api.Published, body, api.PUBLISH).id, "photo": ""})
        form = aiohttp.FormData({"caption": content.text})
        form.add_field("source", content.photo.data, filename="photo", content_type=content.photo.media_type)
        body = await self._call(api.PUBLISH, target, "POST", f"{target.address}/photos", form=form)
        answer = api.expect(api.PublishedPhoto, body, api.PUBLISH)
        return Receipt(posting, {"post": answer.post_id, "photo": answer.id})

    async def _look(self, posting: Posting, text: str, since: datetime) -> Receipt | None:
        """Find the oldest post of the page since then with this text; the feed comes newest first."""
        page = posting.target.address
        query = {"fields": _FEED_FIELDS, "limit": str(_FEED_PAGE), "since": str(int(since.timestamp()))}
        matches: list[api.Post] = []
        for _ in range(_FEED_PAGES):
            body = await self._call(api.FIND, posting.target, "GET", f"{page}/feed", query=query)
            feed = api.expect(api.Feed, body, api.FIND)
            posts = feed.posts_with(partial(_same, text))
            if posts is None:
                raise TransientError("a post with our text cannot be read in the feed")
            # Visitors can write on a page too, and copy our text.
            matches += [post for post in posts if post.created_time >= since and post.author.id in (None, page)]
            cursor = _cursor(feed.paging.next)
            if not feed.data or not cursor:
                break
            query |= cursor
        else:
            if not matches:  # to say "not there" would be to post it again
                raise TransientError("the feed is too long to be searched to its end")
        oldest = min(reversed(matches), key=lambda post: post.created_time, default=None)
        return Receipt(posting, oldest.handle()) if oldest else None

    async def _call(
        self,
        step: api.Step,
        target: Target,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        form: aiohttp.FormData | None = None,
    ) -> bytes:
        """Send one request and return the body of a good answer; every other end is one of the three errors."""
        self._usage.admit(target.address, urgent=step.urgent)
        token = target.secret
        if not token:
            raise PermanentError("the page token is missing")
        if self._app_secret:
            proof = hmac.new(self._app_secret, token.encode(), hashlib.sha256).hexdigest()
            if form is not None:
                form.add_field("appsecret_proof", proof)
            else:
                query = {**(query or {}), "appsecret_proof": proof}
        request = self._http.request(
            method,
            f"{self._base}/{path}",
            params=query,
            data=form,
            headers={"Authorization": f"Bearer {token}"},  # not in the URL, which others log
            timeout=self._timeout,
            allow_redirects=False,
        )
        # aiohttp's errors may hold the request with its secrets: they are named, never chained.
        try:
            async with request as response:
                body, status, headers = await _bounded(response), response.status, response.headers
            problem: AdapterError | None = None
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            problem = TransientError(f"Facebook cannot be reached ({type(error).__name__})", whole_adapter=True)
        except (aiohttp.ClientError, TimeoutError) as error:
            problem = step.lost(f"no answer from Facebook ({type(error).__name__})")
        if problem is not None:
            raise problem
        blocked = self._usage.note(target.address, headers)
        return api.judge(step, status, body, blocked or api.retry_after(headers))


def _read_secret(file: Path) -> bytes:
    try:
        secret = file.read_bytes().strip()
    except OSError as error:
        raise InvalidInput(f"adapters.facebook.app_secret_file: {file}: {error.strerror}") from None
    if not secret:
        raise InvalidInput(f"adapters.facebook.app_secret_file: {file} is empty")
    return secret


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    """Read the body; one that is too large is as good as none."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(2**16):
        body += chunk
        if len(body) > _MAX_ANSWER:
            return b""
    return bytes(body)


def _same(ours: str, shown: str) -> bool:
    """Compare texts as Facebook keeps them: it trims white space, changes line endings and composes characters."""
    return _normal(ours) == _normal(shown)


def _normal(text: str) -> str:
    # To order a heap of accents takes time that grows with its square, and anyone may write on a page; a text in any
    # language has at most 30 in a row (Unicode Standard Annex #15, section 13).
    heaps = (sum(1 for _ in heap) for is_accent, heap in groupby(text, _is_accent) if is_accent)
    composed = text if max(heaps, default=0) > MAX_ACCENTS else unicodedata.normalize("NFC", text)
    return " ".join(composed.split())


def _is_accent(char: str) -> bool:
    return unicodedata.combining(char) > 0


def _cursor(following: str | None) -> dict[str, str]:
    """Take the position out of the link to the next page; the link itself holds the token and is not followed."""
    try:
        query = parse_qs(urlsplit(following or "").query, max_num_fields=50)
    except ValueError:
        return {}
    return {name: query[name][0] for name in ("after", "until", "__paging_token") if name in query}
