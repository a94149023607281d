"""Fetch the photo of an alert from wherever the event says, without becoming a way into the network.

The URL comes from outside, so it is read as hostile: it never leads to an address inside (loopback, private, link-local
and their kin), whatever spelling, DNS name or redirect it uses. What counts is the address that is connected to: names
are filtered inside aiohttp's resolver, so that no second look-up can answer otherwise, and IP literals, which aiohttp
never hands to a resolver, are checked before each request.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import socket
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from bridge.core.content import Photo
from bridge.core.errors import PermanentError, TransientError
from bridge.dispatch.photo_image import reencode

MAX_REDIRECTS = 3
MEDIA_TYPES = ("image/jpeg", "image/png", "image/webp", "image/gif")

_HEADERS = {"Accept": ", ".join(MEDIA_TYPES), "Accept-Encoding": "identity", "User-Agent": "burgernet-bridge"}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRY_LATER = frozenset({408, 429})
_SECONDS = re.compile(r"[0-9]{1,6}")
_CHUNK = 64 * 1024
_NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV

# A last label like this makes a host an IPv4 address for the C library (WHATWG URL, "ends in a number").
_NUMERIC_HOST = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?", re.IGNORECASE)

# The library encodes most of what is no part of a URL, but not all, and not in the host.
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")
_WORD = re.compile(r"[!-~]+")

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the IPv4 internet as seen from an IPv6-only network
_GLOBAL_UNICAST = IPv6Network("2000::/3")  # RFC 4291: all that is given out so far; the rest is inside or reserved
_NOT_OUTSIDE_V4 = (
    IPv4Network("100.64.0.0/10"),  # carrier-grade NAT
    IPv4Network("168.63.129.16/32"),  # a cloud's host service, on an address that looks public
    IPv4Network("192.0.0.0/24"),  # protocol assignments
    IPv4Network("192.88.99.0/24"),  # 6to4 relays
)
_NOT_OUTSIDE_V6 = (
    IPv6Network("2001::/23"),  # protocol assignments, Teredo among them
    IPv6Network("2002::/16"),  # 6to4
    IPv6Network("3fff::/20"),  # documentation
)


def is_inside(address: str) -> bool:
    """Whether an IP address (as text) is anything but an ordinary public one; unreadable text is inside too.

    The lists stand beside Python's own ``is_global``, which differs between patch releases (IANA special-purpose
    registries, RFC 6890). An IPv6 address that carries an IPv4 address is judged by that.
    """
    try:
        ip = ip_address(address)
    except ValueError:
        return True
    if isinstance(ip, IPv6Address):
        carried = ip.ipv4_mapped or (IPv4Address(int(ip) & 0xFFFF_FFFF) if ip in _NAT64 else None)
        if carried is None:
            return not ip.is_global or ip not in _GLOBAL_UNICAST or any(ip in network for network in _NOT_OUTSIDE_V6)
        ip = carried
    return not ip.is_global or ip.is_multicast or any(ip in network for network in _NOT_OUTSIDE_V4)


@dataclass(frozen=True)
class _Gate:
    """Which addresses may be connected to: those outside, and every one of the hosts named as exceptions."""

    allow_hosts: frozenset[str]

    def admits(self, host: str, port: int | None, address: str) -> bool:
        """Whether ``address``, which ``host`` stands for, may be connected to."""
        name = f"[{host}]" if ":" in host else host
        return not self.allow_hosts.isdisjoint((host, name, f"{name}:{port}")) or not is_inside(address)


class PhotoFetcher:
    """Fetches photos, within limits; an async context manager with an HTTP session of its own.

    ``allow_hosts`` names what may be inside: ``host`` or ``host:port``, exactly as in the URL (an IPv6 address with a
    port in brackets, an international name in its ``xn--`` form). ``max_bytes`` is of the download, ``max_pixels`` of
    the picture before it is decoded, ``max_side`` in pixels of the result, ``timeout`` in seconds of the whole
    download, redirects included.
    """

    def __init__(
        self,
        allow_hosts: frozenset[str] = frozenset(),
        *,
        max_bytes: int = 8 * 1024 * 1024,
        max_pixels: int = 40_000_000,
        max_side: int = 1600,
        timeout: float = 10.0,
    ) -> None:
        self._gate = _Gate(frozenset(host.lower() for host in allow_hosts))
        self._max_bytes = max_bytes
        self._max_pixels = max_pixels
        self._max_side = max_side
        self._timeout = timeout
        self._decoding = asyncio.Lock()  # one at a time: 40 million pixels take some 300 MB while they are scaled
        self._http: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        """Open the session: no proxy or password from the environment, no cookies, nothing kept between photos."""
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=_GuardedResolver(self._gate), use_dns_cache=False, force_close=True
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=_HEADERS,
            timeout=aiohttp.ClientTimeout(total=self._timeout),
            auto_decompress=False,
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the session."""
        await self._http.close()

    async def fetch(self, uri: str) -> Photo:
        """Fetch one photo and return it as a new JPEG without metadata, its description empty.

        Raises ``TransientError`` when the network or the server fails for now (5xx, 408, 429, a name that is not
        found, too slow) and ``PermanentError`` for whatever is refused. A reason never quotes the URL, which may hold a
        token.
        """
        picture = await self._download(uri)
        async with self._decoding:
            data = await asyncio.to_thread(reencode, picture, max_pixels=self._max_pixels, max_side=self._max_side)
        return Photo(digest=hashlib.sha256(data).hexdigest(), media_type="image/jpeg", data=data)

    async def _download(self, uri: str) -> bytes:
        """Turn every failure of the way into one of our own; aiohttp's messages quote URLs, so none is chained."""
        try:
            async with asyncio.timeout(self._timeout):
                return await self._follow(uri)
        except TimeoutError:
            raise TransientError(f"photo: no complete answer within {self._timeout:g} s") from None
        except (aiohttp.InvalidURL, aiohttp.ClientConnectorCertificateError) as error:
            raise PermanentError(f"photo: refused ({type(error).__name__})") from None
        except (aiohttp.ClientError, OSError) as error:
            raise TransientError(f"photo: the network or the server failed ({type(error).__name__})") from None

    async def _follow(self, uri: str) -> bytes:
        """Get the bytes, following redirects by hand so that every hop is checked as the first one was."""
        url = _read_url(uri)
        for _ in range(MAX_REDIRECTS + 1):
            self._check_literal(url)
            async with self._http.get(url, allow_redirects=False) as response:
                if response.status not in _REDIRECTS:
                    return await self._read(response)
                url = _read_url(response.headers.get("Location", ""), base=url)
        raise PermanentError(f"photo: more than {MAX_REDIRECTS} redirects")

    def _check_literal(self, url: URL) -> None:
        """Check a host that is an IP address; one in another spelling than the usual is refused, allowed or not."""
        host = url.raw_host or ""
        if ":" not in host and not _NUMERIC_HOST.fullmatch(host):
            return  # a name: the resolver filters what it stands for
        try:
            ip_address(host)
        except ValueError:
            raise PermanentError("photo: an IP address in an unusual spelling") from None
        if not self._gate.admits(host, url.port, host):
            raise PermanentError(f"photo: {host} is an address inside")

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        """Read the body of the last answer, and no more of it than allowed, whatever its headers promise."""
        _check_answer(response)
        if (response.content_length or 0) > self._max_bytes:
            raise PermanentError(f"photo: more than {self._max_bytes} bytes")
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK):
            body += chunk
            if len(body) > self._max_bytes:
                raise PermanentError(f"photo: more than {self._max_bytes} bytes")
        return bytes(body)


class _GuardedResolver(AbstractResolver):
    """The system's resolver, without the addresses that must not be connected to."""

    def __init__(self, gate: _Gate) -> None:
        self._gate = gate

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Resolve ``host`` to addresses that may be connected to, or raise ``PermanentError`` when none is left."""
        try:
            found = await _look_up(host, port, family)
        except UnicodeError:  # a label too long for DNS
            raise PermanentError("photo: not a host name") from None
        outside = [result for result in found if self._gate.admits(host, port, result["host"])]
        if not outside:
            raise PermanentError(f"photo: {host} leads to an address inside")
        return outside

    async def close(self) -> None:
        """Hold nothing."""


async def _look_up(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    """Ask the system; raises ``OSError`` when there is no such name."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [
        ResolveResult(hostname=host, host=str(at[0]), port=int(at[1]), family=kind, proto=proto, flags=_NUMERIC)
        for kind, _, proto, _, at in found
    ]


def _read_url(text: str, base: URL | None = None) -> URL:
    """Read a URL (relative to ``base``, for a redirect) that is http or https, with a host and without credentials."""
    try:
        url = URL(text) if base is None else base.join(URL(text))
        usable = bool(text and url.raw_host and url.port)
    except (ValueError, IndexError):  # the second over "http://[::1]@/"
        usable = False
    if not usable or not _HOST.fullmatch(url.raw_host or "") or not _WORD.fullmatch(str(url)):
        raise PermanentError("photo: not a complete URL")
    if url.scheme not in ("http", "https"):
        raise PermanentError("photo: only http and https are fetched")
    if url.raw_user is not None or url.raw_password is not None:
        raise PermanentError("photo: a URL with a user name or password")
    return url


def _check_answer(response: aiohttp.ClientResponse) -> None:
    """Accept 200 with a picture as it is; anything else is an error, for now or for good."""
    if response.status in _TRY_LATER or response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        wait = response.headers.get("Retry-After", "")
        seconds = float(wait) if _SECONDS.fullmatch(wait) else None
        raise TransientError(f"photo: the server answered {response.status}", retry_after=seconds)
    if response.status != HTTPStatus.OK:
        raise PermanentError(f"photo: the server answered {response.status}")
    if response.content_type not in MEDIA_TYPES:
        raise PermanentError(f"photo: {response.content_type[:60]!r} is not a media type of {', '.join(MEDIA_TYPES)}")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise PermanentError("photo: compressed in transit, which was not asked for")
