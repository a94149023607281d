"""Photos of strangers, and the addresses they are fetched from."""

from __future__ import annotations

import io
import socket
import struct
import zlib
from ipaddress import ip_address
from typing import Any

from PIL import Image
from yarl import URL

from bridge.core.errors import AdapterError, PermanentError
from bridge.dispatch.photo_fetch import MAX_REDIRECTS, PhotoFetcher, is_inside
from bridge.dispatch.photo_image import reencode
from tests.fuzz.harness import promise, target
from tests.fuzz.mutate import Shape
from tests.fuzz.promises import said
from tests.fuzz.targets.peers import LOOP, Answer

SIDE, PIXELS = 64, 1_000_000
MARK = b"<script>alert(1)</script>"


def _picture(form: str, size: tuple[int, int] = (40, 30), mode: str = "RGB", **options: Any) -> bytes:
    out = io.BytesIO()
    Image.effect_noise(size, 60).convert(mode).save(out, form, **options)
    return out.getvalue()


def _gps() -> bytes:
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = MARK.decode(), 6
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 9.0, 0.0), 3: "E", 4: (4.0, 29.0, 0.0)})
    return exif.tobytes()


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _bomb(width: int, height: int) -> bytes:
    """Give a PNG of some bytes that says it has so many pixels."""
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    rows = zlib.compress(bytes(min(2_000_000, (width // 8 + 1) * height)), 9)
    return b"\x89PNG\r\n\x1a\n" + head + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


_FRAMES = [Image.new("P", (30, 20), number) for number in range(3)]
JPEG = _picture("JPEG", exif=_gps())
SEEDS = [
    JPEG,
    JPEG[: len(JPEG) // 2],
    JPEG + MARK,
    JPEG[:2] + b"\xff\xfe" + struct.pack(">H", len(MARK) + 2) + MARK + JPEG[2:],
    _picture("JPEG", progressive=True),
    _picture("JPEG", mode="CMYK"),
    _picture("PNG", exif=_gps()),
    _picture("PNG", mode="LA"),
    _picture("PNG", mode="1"),
    _picture("WEBP", exif=_gps()),
    _picture("WEBP", lossless=True),
    _picture("GIF", mode="P", save_all=True, append_images=_FRAMES, comment=MARK),
    b"GIF89a" + MARK,
    b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
    _bomb(10_000, 10_000),
    _bomb(2**31 - 1, 2**31 - 1),
    _bomb(1_000, 1_000),
]


@target(shape=Shape.BYTES, seeds=SEEDS, most=20_000)
def photo(data: bytes) -> None:
    """A file as a photo: refused, or a small plain JPEG in which nothing of the file is left but its pixels."""
    try:
        made = reencode(data, max_pixels=PIXELS, max_side=SIDE)
    except PermanentError as error:
        said(error)
        return
    with Image.open(io.BytesIO(made), formats=("JPEG",)) as image:
        image.load()
        promise(max(image.size) <= SIDE and image.mode == "RGB", "a photo is small and plain")
        promise(
            not image.getexif() and not {"exif", "comment", "icc_profile", "xmp"} & set(image.info),
            "nothing but pixels is left",
        )
    promise(made.endswith(b"\xff\xd9") and b"<script" not in made, "nothing hangs on behind")


def _is_odd_number(host: str) -> bool:
    try:
        socket.inet_aton(host)
    except OSError:
        return False
    return True


class _Way:
    """An HTTP session that answers the first request with a redirect as given, and again and again."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[URL] = []

    def get(self, url: URL, **_: Any) -> Answer:
        """Note where we were led."""
        self.asked.append(url)
        return self.answer


@target(
    shape=Shape.TEXT,
    seeds=[
        b"https://example.nl/foto.jpg\n200\nContent-Length: 9999999\n\nno picture",
        b"https://example.nl/foto.jpg\n302\nLocation: /andere.jpg?x=1#y\n\n",
        b"http://93.184.216.34:8080/\n301\nLocation: //[::ffff:127.0.0.1]/\n\n",
        b"http://[2606:4700::1]/\n307\nLocation: http://169.254.169.254/latest\n\n",
        b"http://0x7f.0.0.1/\n429\nRetry-After: 5\n\n",
        b"HTTP://EXAMPLE.NL.:80/\n503\nRetry-After: x\n\n",
        b"http://ex\xc3\xa4mple.nl/\n308\nLocation: gopher://x/\n\n",
        b"https://example.nl/\n200\nContent-Type: image/jpeg\n\n" + JPEG,
    ],
    most=3_000,
)
def photo_url(data: bytes) -> None:
    """An address from outside and where it redirects to: never an address inside, never another protocol."""
    uri, _, rest = data.partition(b"\n")
    text = uri.decode("utf-8", "replace")
    promise(isinstance(is_inside(text), bool), "an address is inside or not")
    way, fetcher = _Way(Answer.read(rest)), PhotoFetcher(max_bytes=100_000)
    fetcher._http = way  # type: ignore[assignment]
    try:
        LOOP.run_until_complete(fetcher._download(text))
    except AdapterError as error:
        said(error)
    promise(len(way.asked) <= MAX_REDIRECTS + 1, "redirects end")
    for url in way.asked:
        promise(
            url.scheme in ("http", "https") and url.raw_host and not url.raw_user and not url.raw_password,
            "a plain URL",
        )
        promise(str(url).isprintable() and not set(str(url)) & set(" \r\n"), "a URL is one word of a request")
        promise(not _inside(url.raw_host or ""), "no address inside is asked")


def _inside(host: str) -> bool:
    """Judge a literal by Python's own lists, beside those of the bridge; names are for the resolver to filter."""
    try:
        ip = ip_address(host)
    except ValueError:
        return _is_odd_number(host)
    carried = getattr(ip, "ipv4_mapped", None) or ip
    return (
        carried.is_private
        or carried.is_loopback
        or carried.is_link_local
        or carried.is_multicast
        or carried.is_reserved
    )
