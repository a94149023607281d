"""The durable mailer: the bare one, but a kill costs it no mail, and doubles at most those in flight.

It plans a row for every reader in SQLite, and keeps a claim before and a result behind each mail, a turn at a time, as
the bridge does; the way to the server is the bridge's own. It checks nothing, gives no reasons, retries nothing, knows
one channel and no ending. What it is slower than the bare one is what durability costs; the bridge's rest is its own.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import aio_pika

from benchmarks.bare_mail import SENDER
from bridge.adapters.mime import Mail
from bridge.adapters.smtp import SmtpConfig, SmtpPool

AT_A_TIME = 250  # readers planned in one transaction, as the bridge does
GATHER = 0.005  # seconds that a result waits for others at most, as in the bridge
_TABLES = """
    PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
    CREATE TABLE postings (number INTEGER PRIMARY KEY, reader TEXT, due REAL, claim TEXT, applied TEXT, handle TEXT);
    CREATE INDEX due ON postings (due) WHERE due IS NOT NULL;
    CREATE TABLE journal (number INTEGER PRIMARY KEY, posting INTEGER, result TEXT);
"""
_DUE = "SELECT number, reader FROM postings WHERE due <= 1 ORDER BY due LIMIT ?"
_CLAIM = "UPDATE postings SET claim = 'this process', due = 60 WHERE number IN (SELECT value FROM json_each(?))"
_RESULT = """
    UPDATE postings SET due = NULL, claim = NULL, applied = 'shown', handle = value FROM json_each(?) AS each
    WHERE postings.number = CAST(each.key AS INTEGER)
"""
_JOURNAL = "INSERT INTO journal (posting, result) SELECT CAST(key AS INTEGER), 'ok' FROM json_each(?)"


class Store:
    """The table, and the one thread that writes to it."""

    def __init__(self, file: Path) -> None:
        self._db = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._db.executescript(_TABLES)
        self._thread = ThreadPoolExecutor(1)

    async def plan(self, readers: Sequence[str]) -> None:
        """Keep that these readers are to get a mail."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._plan, readers)

    async def turn(self, done: Mapping[int, str], free: int) -> list[tuple[int, str]]:
        """Keep what became of mails, and claim others."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._turn, done, free)

    def _plan(self, readers: Sequence[str]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        rows = [(reader, 1.0) for reader in readers]
        self._db.executemany("INSERT INTO postings (reader, due) VALUES (?, ?)", rows)
        self._db.execute("COMMIT")

    def _turn(self, done: Mapping[int, str], free: int) -> list[tuple[int, str]]:
        self._db.execute("BEGIN IMMEDIATE")
        if done:
            for statement in (_RESULT, _JOURNAL):
                self._db.execute(statement, (json.dumps(done),))
        found = self._db.execute(_DUE, (free,)).fetchall()
        self._db.execute(_CLAIM, (json.dumps([number for number, _ in found]),))
        self._db.execute("COMMIT")
        return found


async def _mail_all(store: Store, pool: SmtpPool, readers: Sequence[str], connections: int, template: bytes) -> None:
    flying: set[int] = set()
    done: dict[int, str] = {}
    wake = asyncio.Event()

    async def plan() -> None:
        for start in range(0, len(readers), AT_A_TIME):
            await store.plan(readers[start : start + AT_A_TIME])
            wake.set()

    async def send(number: int, reader: str) -> None:
        own = template.replace(b"{reader}", reader.encode()).replace(b"{number}", b"%032d" % number)
        await pool.deliver(Mail("", SENDER, reader, own, len(own)))
        done[number] = f"<{number:032}@localhost>"
        if 2 * len(done) >= len(flying):
            wake.set()

    sent = 0
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(plan())
        while sent < len(readers):
            wake.clear()
            ended = dict(done)
            claimed = await store.turn(ended, connections - len(flying) + len(ended))
            for number in ended:
                del done[number]
            flying -= set(ended)
            sent += len(ended)
            for number, reader in claimed:
                flying.add(number)
                tasks.create_task(send(number, reader))
            if not claimed or 2 * len(done) < len(flying):
                asyncio.get_running_loop().call_later(GATHER, wake.set)
                await wake.wait()


async def _consume(url: str, queue_name: str, targets: Path, port: int, connections: int, mail: bytes) -> None:
    readers = [target["address"] for target in json.loads(targets.read_text())["targets"]]
    store = await asyncio.to_thread(partial(Store, targets.with_name("durable.db")))
    config = SmtpConfig(port=port, security="none", connections=connections)
    async with SmtpPool(config) as pool, await aio_pika.connect(url) as connection:
        queue = await (await connection.channel()).get_queue(queue_name)
        async with queue.iterator() as messages:
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            async for message in messages:
                await _mail_all(store, pool, readers, connections, mail)
                await message.ack()


if __name__ == "__main__":
    _, amqp, name, list_of_targets, smtp_port, lines, template_file = sys.argv
    stuffed = Path(template_file).read_bytes().replace(b"\r\n.", b"\r\n..") + b".\r\n"
    asyncio.run(_consume(amqp, name, Path(list_of_targets), int(smtp_port), int(lines), stuffed))
