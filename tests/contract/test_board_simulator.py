"""The board simulator is as strict, as forgetful and as unreliable as it says: other tests build on it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from rich.console import Console

from bridge.simulators.board import WELL, BoardSimulator, Faults

BODY: dict[str, Any] = {
    "case": "42",
    "revision": 1,
    "text": "VERMIST [b]JONGEN[/b] BEL 112",
    "pages": [["VERMIST", "[b]JONGEN[/b]"], ["BEL 112"]],
    "language": "nl",
    "photo": None,
    "validUntil": None,
    "exercise": False,
}


@pytest.fixture
async def board() -> AsyncIterator[BoardSimulator]:
    """Give boards that serve anyone, with the control paths open."""
    async with BoardSimulator(control=True) as boards:
        yield boards


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Give an HTTP client."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield session


async def put(http: aiohttp.ClientSession, url: str, body: Any = BODY) -> tuple[int, str]:
    """PUT a body and give status and answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with http.put(url, data=data) as response:
        return response.status, await response.text()


async def test_a_board_shows_gives_back_and_clears(board: BoardSimulator, http: aiohttp.ClientSession) -> None:
    """PUT, GET and DELETE do what the contract says, and the history tells it in order."""
    url = f"{board.url}/a44/p1"
    assert (await put(http, url))[0] == 204
    async with http.get(url) as response:
        assert await response.json() == BODY == board.shown("a44")["p1"]
    for status in (204, 404):
        async with http.delete(url) as response:
            assert response.status == status
    assert board.everything() == {}
    assert [entry[1:] for entry in board.history] == [
        ("PUT", "a44", "p1", 1),
        ("GET", "a44", "p1", 1),
        ("DELETE", "a44", "p1", 1),
        ("DELETE", "a44", "p1", None),
    ]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        ([], "body:"),
        ({**BODY, "extra": 1}, "extra:"),
        ({**BODY, "case": ""}, "case:"),
        ({**BODY, "revision": "1"}, "revision:"),
        ({**BODY, "revision": True}, "revision:"),
        ({**BODY, "text": ""}, "text:"),
        ({**BODY, "pages": []}, "pages:"),
        ({**BODY, "pages": [[]]}, "pages.0:"),
        ({**BODY, "pages": [["a\nb"]]}, "pages.0.0:"),
        ({**BODY, "validUntil": "2026-11-22T10:15:00"}, "validUntil:"),
        ({**BODY, "exercise": 0}, "exercise:"),
        ({**BODY, "photo": {"uri": "http://x/y.jpg", "mimeType": "image/jpeg", "description": ""}}, "photo.uri:"),
        ({**BODY, "photo": {"uri": "data:image/jpeg;base64,AAAA", "mimeType": "image/jpeg", "description": ""}}, "photo.uri:"),
        ({key: value for key, value in BODY.items() if key != "language"}, "language:"),
    ],
)  # fmt: skip
async def test_a_malformed_body_is_refused_with_one_sentence(
    board: BoardSimulator, http: aiohttp.ClientSession, body: Any, where: str
) -> None:
    """What is not exactly the contract is answered 400 and one line that names the place."""
    status, answer = await put(http, f"{board.url}/a44/p1", body)
    assert status == 400
    assert where in answer
    assert answer.count("\n") == 0
    assert board.shown("a44") == {}


async def test_a_board_clears_itself(board: BoardSimulator, http: aiohttp.ClientSession) -> None:
    """At ``validUntil`` it is gone, unless it was renewed; the history has the moment."""
    soon = datetime.now(UTC) + timedelta(seconds=0.7)
    for posting in ("p1", "p2"):
        await put(http, f"{board.url}/a44/{posting}", {**BODY, "validUntil": soon.isoformat()})
    later = (soon + timedelta(hours=1)).isoformat()
    await put(http, f"{board.url}/a44/p2", {**BODY, "revision": 2, "validUntil": later})
    await board.until(lambda: "p1" not in board.shown("a44"))
    assert datetime.now(UTC) >= soon
    assert list(board.shown("a44")) == ["p2"]
    assert board.history[-1][1:] == ("EXPIRED", "a44", "p1", 1)


async def test_faults_are_per_board_and_can_be_taken_away(board: BoardSimulator, http: aiohttp.ClientSession) -> None:
    """One board fails, the other does not; doing without answering, dropping and refusing are different things."""
    board.fail(Faults(fail_after=500), "a44")
    board.fail(Faults(status=429, retry_after=7, verbs=("PUT",)), "n11")
    board.fail(Faults(down=True))
    assert (await put(http, f"{board.url}/a44/p1"))[0] == 500
    assert list(board.shown("a44")) == ["p1"]
    async with http.put(f"{board.url}/n11/p1", json=BODY) as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "7")
    async with http.get(f"{board.url}/n11/p1") as response:
        assert response.status == 404
    with pytest.raises(aiohttp.ClientError):
        await put(http, f"{board.url}/other/p1")
    assert board.shown("other") == {}
    board.fail(WELL, "a44")
    board.heal()
    assert (await put(http, f"{board.url}/other/p1"))[0] == 204


async def test_a_reboot_forgets(board: BoardSimulator, http: aiohttp.ClientSession) -> None:
    """After a reboot the board is dark, and the other is not."""
    for name in ("a44", "n11"):
        await put(http, f"{board.url}/{name}/p1")
    board.reboot("a44")
    assert list(board.everything()) == ["n11"]
    assert board.history[-1][1:] == ("REBOOT", "a44", "p1", 1)


async def test_a_stopped_server_keeps_its_port_and_its_boards(http: aiohttp.ClientSession) -> None:
    """Stopped means connection refused; started again it is at the same address with the same texts."""
    boards = BoardSimulator()
    await boards.start()
    await put(http, f"{boards.url}/a44/p1")
    await boards.stop()
    with pytest.raises(aiohttp.ClientConnectorError):
        await put(http, f"{boards.url}/a44/p1")
    await boards.start()
    async with http.get(f"{boards.url}/a44/p1") as response:
        assert response.status == 200
    await boards.stop()


async def test_the_picture_shows_every_line_as_it_is(board: BoardSimulator, http: aiohttp.ClientSession) -> None:
    """A drawing holds each line verbatim, brackets and all, and a dark board looks dark."""
    await put(http, f"{board.url}/a44/p1", {**BODY, "exercise": True})
    drawn = Console(width=120, color_system=None)
    with drawn.capture() as captured:
        drawn.print(board.draw("a44"))
    picture = captured.get()
    assert all(line in picture for page in BODY["pages"] for line in page)
    assert "exercise" in picture
    with drawn.capture() as captured:
        drawn.print(board.draw("n11"))
    assert "dark" in captured.get()


async def test_a_process_of_its_own(http: aiohttp.ClientSession) -> None:
    """``python -m bridge.simulators.board`` says where it listens, is steered over HTTP, and ends well on SIGTERM."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bridge.simulators.board", "--port", "0", "--control", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().split()[-1]
    await put(http, f"{url}/a44/p1")
    async with http.get(f"{url}/_shown") as response:
        assert await response.json() == {"a44": {"p1": BODY}}
    async with http.get(f"{url}/_history", params={"since": "0"}) as response:
        assert [entry["verb"] for entry in await response.json()] == ["PUT"]
    async with http.post(f"{url}/_faults", json={"board": "a44", "status": 503}) as response:
        assert response.status == 204
    assert (await put(http, f"{url}/a44/p1"))[0] == 503
    async with http.post(f"{url}/_faults", json={"board": "a44", "stutus": 503}) as response:
        assert (response.status, "stutus:" in await response.text()) == (400, True)
    async with http.post(f"{url}/_reboot") as response:
        assert response.status == 204
    process.terminate()
    assert await asyncio.wait_for(process.wait(), 10) == 0
