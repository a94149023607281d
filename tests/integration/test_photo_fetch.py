"""Photos are fetched from real servers, within limits; what fails for now is told from what fails for good."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from aiohttp import web
from PIL import Image

from bridge.core.errors import TransientError
from bridge.dispatch.photo_fetch import PhotoFetcher
from tests.integration.photo_site import TOKEN, Site, jpeg, open_site, refusal


def png_bomb(width: int, height: int) -> bytes:
    """Give a real PNG of one bit a pixel, whose rows of zeros pack to next to nothing."""
    rows = zlib.compressobj(9)
    packed = b"".join(rows.compress(bytes(1 + (width + 7) // 8)) for _ in range(height)) + rows.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
    body = (struct.pack(">I", len(d)) + kind + d + struct.pack(">I", zlib.crc32(kind + d)) for kind, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


async def dawdle(seconds: float) -> None:
    """Be a slow server."""
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), seconds)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """Give the server that the fetcher may ask."""
    async with open_site() as site:
        yield site


@pytest.fixture
async def fetcher(site: Site) -> AsyncIterator[PhotoFetcher]:
    """Give a fetcher that may ask ``site`` and nothing else inside."""
    async with PhotoFetcher(frozenset({site.host}), max_bytes=100_000, max_pixels=1_000_000, timeout=5) as fetcher:
        yield fetcher


# What comes back


async def test_a_photo_comes_back_as_a_jpeg_of_its_own(site: Site, fetcher: PhotoFetcher) -> None:
    """The photo is a new JPEG, named by the SHA-256 of its bytes."""
    photo = await fetcher.fetch(site.tell(jpeg()))
    assert (photo.media_type, photo.description) == ("image/jpeg", "")
    assert photo.digest == hashlib.sha256(photo.data).hexdigest()
    assert Image.open(io.BytesIO(photo.data), formats=["JPEG"]).size == (60, 40)
    assert site.asked[0].headers["Accept-Encoding"] == "identity"


async def test_place_and_trailing_data_are_gone(site: Site, fetcher: PhotoFetcher) -> None:
    """Neither where a photo was taken nor an archive hung behind it reaches anyone (R14)."""
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 10.0, 48.0), 29: "2026:11:22"})
    photo = await fetcher.fetch(site.tell(jpeg(exif=exif, comment=b"Dorpsstraat 1") + b"PK\x03\x04 an archive"))
    assert not Image.open(io.BytesIO(photo.data)).getexif()
    assert all(word not in photo.data for word in (b"2026:11:22", b"Dorpsstraat", b"PK\x03\x04"))


async def test_decoding_does_not_hold_up_the_loop(site: Site) -> None:
    """While a large picture is decoded, the loop turns on."""
    url = site.tell(png_bomb(5000, 5000), content_type="image/png")
    async with PhotoFetcher(frozenset({site.host})) as fetcher:
        fetching = asyncio.create_task(fetcher.fetch(url))
        while not site.asked:
            await asyncio.sleep(0)
        turns = 0
        while not fetching.done():
            turns += 1
            await asyncio.sleep(0)
        assert max(Image.open(io.BytesIO(fetching.result().data)).size) == 1600
    assert turns > 1000


# What is refused of an answer


@pytest.mark.parametrize("content_type", ["text/html", "image/svg+xml", "application/octet-stream", "image/tiff"])
async def test_only_four_media_types_are_read(site: Site, fetcher: PhotoFetcher, content_type: str) -> None:
    """An answer that is not labelled as one of the four formats is refused, even if it is one."""
    assert content_type in await refusal(fetcher, site.tell(jpeg(), content_type=content_type))


@pytest.mark.parametrize(
    "body",
    [
        b"<html><body>Log in</body></html>",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        jpeg()[:-200],
        png_bomb(20_000, 20_000),
        b"",
    ],
    ids=["html", "svg", "truncated", "bomb", "empty"],
)
async def test_a_false_label_does_not_help(site: Site, fetcher: PhotoFetcher, body: bytes) -> None:
    """What is labelled as a JPEG and is none, is broken, or would unpack to too much, is refused."""
    assert "not a readable" in await refusal(fetcher, site.tell(body))


async def test_a_promise_of_too_much_is_refused_unread(site: Site, fetcher: PhotoFetcher) -> None:
    """A Content-Length over the limit is enough: nothing is waited for."""

    async def promise(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100001", "Content-Type": "image/jpeg"})
        await response.prepare(request)
        await asyncio.get_running_loop().create_future()  # never sends a byte
        return response

    site.answers["/photo"] = promise
    assert "more than 100000 bytes" in await refusal(fetcher, site.url())


async def test_an_endless_body_is_cut_off(site: Site, fetcher: PhotoFetcher) -> None:
    """A body without a length is read up to the limit and not further."""
    sent = 0
    broken_off = asyncio.Event()

    async def pour(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={"Content-Type": "image/jpeg"})
        await response.prepare(request)
        try:
            while True:
                await response.write(bytes(10_000))
                sent += 10_000
        except ConnectionError:
            broken_off.set()
            return response

    site.answers["/photo"] = pour
    assert "more than 100000 bytes" in await refusal(fetcher, site.url())
    await asyncio.wait_for(broken_off.wait(), 5)
    assert sent < 20_000_000  # what fits in the buffers between the two, not what a memory holds


async def test_a_compressed_answer_is_refused(site: Site, fetcher: PhotoFetcher) -> None:
    """Compression in transit is refused, so that a small body cannot unpack to a large one."""
    url = site.tell(gzip.compress(bytes(10_000_000)), headers={"Content-Encoding": "gzip"})
    assert "compressed" in await refusal(fetcher, url)


@pytest.mark.parametrize("status", [204, 206, 300, 304, 400, 401, 403, 404, 410])
async def test_a_no_is_final(site: Site, fetcher: PhotoFetcher, status: int) -> None:
    """A refusal of the server is not asked again."""
    assert str(status) in await refusal(fetcher, site.tell(jpeg(), status=status))


# What may go better later


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_a_not_now_is_transient(site: Site, fetcher: PhotoFetcher, status: int) -> None:
    """A server that cannot now is asked again, no sooner than it says."""
    with pytest.raises(TransientError, match=str(status)) as failed:
        await fetcher.fetch(site.tell(status=status, headers={"Retry-After": "7"}))
    assert failed.value.retry_after == 7


@pytest.mark.parametrize("wait", ["", "soon", "Wed, 21 Oct 2026 07:28:00 GMT", "-1", "²", "9" * 400])
async def test_an_unreadable_wait_is_left_out(site: Site, fetcher: PhotoFetcher, wait: str) -> None:
    """A Retry-After that is no sensible number of seconds leaves the time to the bridge."""
    with pytest.raises(TransientError) as failed:
        await fetcher.fetch(site.tell(status=503, headers={"Retry-After": wait}))
    assert failed.value.retry_after is None


async def test_a_slow_drip_is_given_up(site: Site) -> None:
    """A server that sends a byte now and then cannot stretch the time limit."""

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "image/jpeg"})
        await response.prepare(request)
        for byte in jpeg():
            await response.write(bytes([byte]))
            await dawdle(0.02)
        return response

    site.answers["/photo"] = drip
    async with PhotoFetcher(frozenset({site.host}), timeout=0.2) as fetcher:
        with pytest.raises(TransientError, match="no complete answer"):
            await fetcher.fetch(site.url())


async def test_the_time_limit_covers_all_hops(site: Site) -> None:
    """Redirects that are each in time do not add up beyond the limit."""

    async def hop(request: web.Request) -> web.StreamResponse:
        await dawdle(0.15)
        return web.Response(status=302, headers={"Location": "/photo"})

    site.answers["/photo"] = hop
    async with PhotoFetcher(frozenset({site.host}), timeout=0.25) as fetcher:
        with pytest.raises(TransientError, match="no complete answer"):
            await fetcher.fetch(site.url())


async def test_a_broken_way_is_transient(site: Site, fetcher: PhotoFetcher) -> None:
    """A refused connection, a body that breaks off and an answer that is no HTTP may all go better later."""

    async def break_off(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "image/jpeg", "Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"\xff\xd8")
        assert request.transport
        request.transport.abort()
        return response

    site.answers["/photo"] = break_off
    with pytest.raises(TransientError, match="failed"):
        await fetcher.fetch(site.url(f"/photo?sig={TOKEN}"))

    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.nl ESMTP\r\n")
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with PhotoFetcher(frozenset({address})) as other:
        with pytest.raises(TransientError) as failed:
            await other.fetch(f"http://{address}/photo?sig={TOKEN}")
        assert TOKEN not in str(failed.value)
        server.close()
        await server.wait_closed()
        with pytest.raises(TransientError):
            await other.fetch(f"http://{address}/")


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed(site: Site, fetcher: PhotoFetcher, status: int) -> None:
    """Three redirects, relative ones among them, lead to the photo; cookies do not come along."""
    site.tell(jpeg(), "/d")
    site.redirect("d", "/c", status)
    site.redirect(site.url("/c"), "/b", status)
    headers = {"Location": "/b", "Set-Cookie": "who=me"}
    await fetcher.fetch(site.tell(path="/a", status=status, headers=headers))
    assert [request.path for request in site.asked] == ["/a", "/b", "/c", "/d"]
    assert not any("Cookie" in request.headers for request in site.asked)


async def test_a_fourth_redirect_is_refused(site: Site, fetcher: PhotoFetcher) -> None:
    """A circle ends after three redirects."""
    assert "more than 3 redirects" in await refusal(fetcher, site.redirect("/photo"))
    assert len(site.asked) == 4


async def test_a_redirect_does_not_lead_inside(site: Site, fetcher: PhotoFetcher) -> None:
    """Every hop is checked as the first one was, by literal address and by name."""
    async with open_site() as inside:
        inside.tell(jpeg())
        for target in (inside.url(), f"http://localhost:{inside.port}/photo", f"//127.0.0.1:{inside.port}/photo"):
            assert "inside" in await refusal(fetcher, site.redirect(target))
        assert inside.asked == []


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://example.nl/a",
        "data:image/jpeg;base64,AA",
        f"http://me:{TOKEN}@a.nl/",
        "http://[",
        "",
    ],
)
async def test_a_redirect_to_no_web_page_is_refused(site: Site, fetcher: PhotoFetcher, location: str) -> None:
    """A redirect is held to the same rules of form as the first URL."""
    await refusal(fetcher, site.redirect(location))
    assert len(site.asked) == 1
