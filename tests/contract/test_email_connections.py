"""How long a connection to the mail server lives: until somebody has had enough of it."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.contract.smtp_peers import AiosmtpdPeer, make_content, make_posting, open_email, running


async def test_a_server_that_tires_of_a_connection_fails_no_mail() -> None:
    """A connection on which the server answers the next mail with 421 is replaced once, within the same delivery."""
    connections = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        for answer in (b"220 hi", b"250 hi", b"250 OK", b"250 OK", b"354 go on"):
            writer.write(answer + b"\r\n")
            await reader.readuntil(b"\r\n")
        await reader.readuntil(b"\r\n.\r\n")
        writer.write(b"250 kept\r\n")
        await reader.readline()
        writer.write(b"421 4.4.2 one mail each\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, open_email(server.sockets[0].getsockname()[1], connections=1) as email:
        for revision in (1, 2, 3):
            await email.publish(make_posting(), make_content(revision))
    assert len(connections) == 3


async def test_an_idle_connection_is_closed_politely() -> None:
    """After its idle time a connection says QUIT by itself."""
    async with running(AiosmtpdPeer()) as peer, open_email(peer.port, idle=0.05) as email, asyncio.timeout(5):
        await email.publish(make_posting(), make_content())
        await peer.left.wait()


async def test_a_connection_in_use_outlives_its_idle_time() -> None:
    """The idle time counts from the last mail: a busy connection stays, however old, and is closed when it has rested."""
    settings: dict[str, Any] = {"connections": 1, "mails_per_connection": 1_000_000, "idle": 0.1}
    async with running(AiosmtpdPeer()) as peer, open_email(peer.port, **settings) as email, asyncio.timeout(5):
        end = asyncio.get_running_loop().time() + 0.5
        while asyncio.get_running_loop().time() < end:
            await email.publish(make_posting(), make_content())
        assert len(peer.transports) == 1
        assert not peer.left.is_set()
        await peer.left.wait()


class SlowPeer(AiosmtpdPeer):
    """A server that takes its time over every mail."""

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """Keep a mail, later."""
        later = asyncio.Event()
        asyncio.get_running_loop().call_later(0.2, later.set)
        await later.wait()
        return await super().handle_DATA(server, session, envelope)


async def test_a_slow_mail_outlives_the_idle_time() -> None:
    """A connection that waits for an answer is not idle, however long that takes."""
    async with running(SlowPeer()) as peer, open_email(peer.port, connections=1, idle=0.05) as email:
        for revision in (1, 2):
            await email.publish(make_posting(), make_content(revision))
        assert len(peer.transports) == 1


async def test_closing_the_adapter_says_quit() -> None:
    """Leaving the adapter takes leave of the server."""
    async with running(AiosmtpdPeer()) as peer:
        async with open_email(peer.port) as email:
            await email.publish(make_posting(), make_content())
            assert not peer.left.is_set()
        assert peer.left.is_set()
