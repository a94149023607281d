"""A photo is never fetched from an address inside that was not named, whatever the URL looks like."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.core.errors import AdapterError
from bridge.dispatch.photo_fetch import PhotoFetcher, is_inside
from tests.integration.photo_site import TOKEN, Site, jpeg, open_site, refusal, watching


@pytest.fixture
async def inside() -> AsyncIterator[Site]:
    """Give a server that must not be asked, with a picture ready."""
    async with open_site() as site:
        site.tell(jpeg())
        yield site


async def test_nothing_inside_is_allowed_by_default(inside: Site) -> None:
    """Without exceptions, loopback is not asked by address, nor by any name that leads there."""
    names = ["127.0.0.1", "localhost", "LOCALHOST", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]"]
    async with PhotoFetcher() as fetcher:
        with watching() as seen:
            for name in names:
                assert "inside" in await refusal(fetcher, f"http://{name}:{inside.port}/photo?sig={TOKEN}")
    assert seen == []


@pytest.mark.parametrize(
    "host", ["localhost.", "0x7f000001", "2130706433", "127.1", "0177.0.0.1", "127.0.0.1.", "127.0.1"]
)
async def test_other_spellings_do_not_help(inside: Site, host: str) -> None:
    """Numbers, octal, hexadecimal, shortened addresses and final dots lead nowhere."""
    async with PhotoFetcher() as fetcher:
        with watching() as seen, pytest.raises(AdapterError):
            await fetcher.fetch(f"http://{host}:{inside.port}/photo")
    assert seen == []


def leads_inside(name: str) -> bool:
    """Whether the resolver knows ``name``, and by addresses inside only."""
    try:
        addresses = [info[4][0] for info in socket.getaddrinfo(name, None)]
    except OSError:
        return False
    return all(is_inside(str(address)) for address in addresses)


async def test_the_name_of_this_machine_leads_inside(inside: Site) -> None:
    """A name that only the resolver knows is judged by what it stands for."""
    name = socket.gethostname()
    name = name if leads_inside(name) else "localhost"
    async with PhotoFetcher() as fetcher:
        with watching() as seen:
            assert name.lower() in await refusal(fetcher, f"http://{name}:{inside.port}/photo")
    assert seen == []


@pytest.mark.parametrize("pattern", ["127.0.0.1", "127.0.0.1:{port}", "localhost", "LocalHost:{port}"])
async def test_an_exception_is_exactly_what_it_says(inside: Site, pattern: str) -> None:
    """An exception opens one host, or one port of it, and no other name or port of the same machine."""
    named = pattern.format(port=inside.port)
    host = named.split(":")[0]
    async with open_site() as other, PhotoFetcher(frozenset({named})) as fetcher:
        other.tell(jpeg())
        with watching() as seen:
            await fetcher.fetch(f"http://{host}:{inside.port}/photo")
        assert ("127.0.0.1", inside.port) in seen
        for wrong in ("127.0.0.2", "[::1]", "127.1", "localhost" if host == "127.0.0.1" else "127.0.0.1"):
            await refusal(fetcher, f"http://{wrong}:{inside.port}/photo")
        if ":" in named:
            await refusal(fetcher, f"http://{host}:{other.port}/photo")
    assert len(inside.asked) == 1
    assert other.asked == []


async def test_a_proxy_of_the_environment_is_not_used(inside: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would make the connection for us, unchecked; so none is asked."""
    async with open_site() as proxy, PhotoFetcher(frozenset({inside.host})) as fetcher:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url("/"))
        await fetcher.fetch(inside.url())
        assert (len(inside.asked), len(proxy.asked)) == (1, 0)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "photo.jpg",
        "//127.0.0.1/photo.jpg",
        "http://",
        "http:///photo.jpg",
        "http://[::1/",
        "http://[2606:4700::1]@/",  # over this one the library raises what it never documented
        "http://example.nl:99999/",
        "http://example.nl:0/",
        "http://example.nl\\@127.0.0.1/",
        "http://" + "a" * 64 + ".nl/",
        "file:///etc/passwd",
        "ftp://example.nl/photo.jpg",
        "gopher://127.0.0.1:6379/_INFO",
        "data:image/jpeg;base64,AAAA",
        f"http://{TOKEN}@example.nl/",
        f"https://me:{TOKEN}@example.nl/photo.jpg",
        f"https://:{TOKEN}@example.nl/photo.jpg",
        f"javascript:{TOKEN}",
    ],
)
async def test_only_plain_web_addresses_are_fetched(url: str) -> None:
    """Anything but http or https to a host, and any URL with credentials, is refused without a connection."""
    async with PhotoFetcher() as fetcher:
        with watching() as seen:
            await refusal(fetcher, url)
    assert seen == []


INSIDE = ["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"]
INSIDE += ["192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"]
INSIDE += ["224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32"]
NETWORKS = [IPv4Network(text) for text in INSIDE]


@pytest.mark.parametrize(
    "address",
    [
        *("::", "::1", "::127.0.0.1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1"),
        *("2001:db8::1", "3fff::1", "100::1", "2001::1", "2002:7f00:1::", "2002:808:808::1", "64:ff9b:1::a00:1"),
        *("localhost", "", "127.1", "0x7f.0.0.1", "2130706433", "4000::1", "5f00::1"),
    ],
)
def test_what_is_not_clearly_outside_is_inside(address: str) -> None:
    """Special, reserved, local and unreadable addresses are inside."""
    assert is_inside(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "145.100.1.1", "2a00:1450:400e::5e", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8"]
)
def test_public_addresses_are_outside(address: str) -> None:
    """Ordinary addresses are reached, also from an IPv6-only network through NAT64."""
    assert not is_inside(address)


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_every_form_of_an_ipv4_address_is_judged_alike(address: IPv4Address) -> None:
    """An address is inside exactly when a registry of special networks has it, however IPv6 carries it."""
    expected = any(address in network for network in NETWORKS)
    assert is_inside(str(address)) is expected
    assert is_inside(f"::ffff:{address}") is expected
    assert is_inside(f"64:ff9b::{address}") is expected
    assert is_inside(str(IPv6Address((0x2002 << 112) | (int(address) << 80))))  # 6to4
    assert is_inside(str(IPv6Address((0x20010000 << 96) | (int(address) ^ 0xFFFF_FFFF))))  # Teredo


def spellings(number: int) -> list[str]:
    """Write one IPv4 address in the ways that one program or another reads."""
    a, b, c, d = number.to_bytes(4, "big")
    dotted = f"{a}.{b}.{c}.{d}"
    embedded = [
        f"[::ffff:{dotted}]",
        f"[::{dotted}]",
        f"[64:ff9b::{dotted}]",
        f"[2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1]",
    ]
    numbers = [str(number), hex(number), f"0{number:o}", f"{a:#x}.{b:#x}.{c:#x}.{d:#x}", f"0{a:o}.0{b:o}.0{c:o}.0{d:o}"]
    short = [f"{a}.{(b << 16) | (c << 8) | d}", f"{a}.{b}.{(c << 8) | d}", f"{a:#x}.{number & 0xFFFFFF}"]
    wide = dotted.translate({ord(digit): 0xFEE0 + ord(digit) for digit in "0123456789"})
    return [dotted, *embedded, *numbers, *short, wide, dotted.replace(".", "。"), f"%{ord(str(a)[0]):x}{dotted[1:]}"]


HOSTS = st.one_of(
    st.sampled_from(NETWORKS)
    .flatmap(lambda n: st.integers(int(n[0]), int(n[-1])))
    .flatmap(lambda i: st.sampled_from(spellings(i))),
    st.sampled_from(["localhost", "LocalHost", "ⓛocalhost", "[::1]", "[::]", "[fe80::1%25lo]", "[fd00::1]"]),
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    scheme=st.sampled_from(["http://", "https://", "HTTP://", "http:\\\\", "http:/", "//"]),
    user=st.sampled_from(
        ["", "", "", "me@", "photo.invalid@", ":x@", "photo.invalid\\@", "photo.invalid#@", "photo.invalid%40"]
    ),
    host=HOSTS,
    tail=st.sampled_from(["", "/photo", "\t/photo", "?@photo.invalid/", "#.photo.invalid"]),
)
async def test_no_url_connects_inside(inside: Site, scheme: str, user: str, host: str, tail: str) -> None:
    """However a URL hides an address inside, it ends in one of our errors and no connection is even tried."""
    async with PhotoFetcher(timeout=2) as fetcher:
        with watching() as seen, pytest.raises(AdapterError):
            await fetcher.fetch(f"{scheme}{user}{host}:{inside.port}{tail}")
    assert seen == []
