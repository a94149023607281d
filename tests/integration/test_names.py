"""Names: one that is never answered keeps no other waiting, nor the process from ending."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from bridge.names import Loop

QUESTIONS = 50  # far more than the threads of asyncio's own pool on a small machine


class Silence:
    """The system's resolver behind a name server that never answers for ``.silent``."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.asked: list[str] = []
        self._real = socket.getaddrinfo

    def getaddrinfo(self, host: str, *rest: Any) -> Any:
        """Answer as the system does, or do not."""
        self.asked.append(host)
        if host.endswith(".silent"):
            self.ended.wait(60)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return self._real(host, *rest)


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> Iterator[Silence]:
    """Put a silent name server in the system's place; let it give up in the end."""
    silence = Silence()
    monkeypatch.setattr(socket, "getaddrinfo", silence.getaddrinfo)
    yield silence
    silence.ended.set()


async def ask(host: str) -> Any:
    """Look a name up as a library does."""
    return await asyncio.get_running_loop().getaddrinfo(host, 80, type=socket.SOCK_STREAM)


def test_a_name_without_an_answer_holds_up_nobody_else(silence: Silence) -> None:
    """While fifty names are never answered another is found at once, and the loop ends at once."""

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            hanging = [group.create_task(ask(f"{number}.silent")) for number in range(QUESTIONS)]
            async with asyncio.timeout(10):
                while len(silence.asked) < QUESTIONS:
                    await asyncio.sleep(0)
                assert (await ask("localhost"))[0][4][1] == 80
            for one in hanging:
                one.cancel()

    began = time.monotonic()
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())
    assert time.monotonic() - began < 10


def test_the_same_question_is_asked_once(silence: Silence) -> None:
    """Who asks for a name that is being looked up waits for the same answer; giving up takes it from no one else."""

    async def main() -> None:
        first, second = (asyncio.ensure_future(ask("one.silent")) for _ in range(2))
        while not silence.asked:
            await asyncio.sleep(0)
        first.cancel()
        silence.ended.set()
        with pytest.raises(socket.gaierror):
            await second

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())
    assert silence.asked == ["one.silent"]


def test_the_crowd_is_bounded(silence: Silence) -> None:
    """Beyond so many look-ups that hang the next fails at once, and is tried again by whoever needs it."""

    async def main() -> None:
        hanging = [asyncio.ensure_future(ask(f"{number}.silent")) for number in range(3)]
        while len(silence.asked) < 3:
            await asyncio.sleep(0)
        with pytest.raises(socket.gaierror, match="too many names"):
            await ask("localhost")
        silence.ended.set()
        assert all(isinstance(one, OSError) for one in await asyncio.gather(*hanging, return_exceptions=True))
        assert await ask("localhost")

    with asyncio.Runner(loop_factory=lambda: Loop(most=3)) as runner:
        runner.run(main())


def test_a_moment_without_threads_does_not_block_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """When no thread can be started the question fails as a name server's silence does, and can be asked again."""

    def full(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def ask(loop: Loop) -> object:
        real = threading.Thread.start
        monkeypatch.setattr(threading.Thread, "start", full)
        with pytest.raises(socket.gaierror, match="can't start new thread"):
            await loop.getaddrinfo("localhost", 80)
        monkeypatch.setattr(threading.Thread, "start", real)
        async with asyncio.timeout(10):
            return await loop.getaddrinfo("localhost", 80)

    loop = Loop()
    try:
        assert loop.run_until_complete(ask(loop))
    finally:
        loop.close()


def test_an_odd_question_gets_an_answer() -> None:
    """What the system's resolver has no error for is still told to who asked."""

    async def ask(loop: Loop) -> None:
        async with asyncio.timeout(10):
            with pytest.raises(OverflowError):
                await loop.getaddrinfo("localhost", 2**70)

    loop = Loop()
    try:
        loop.run_until_complete(ask(loop))
    finally:
        loop.close()
