"""Backup and restore as an administrator does them: beside a bridge that runs, with a power cut, into another database."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from benchmarks.history import fill_history
from tests.e2e.bench import Bench, event, open_bench
from tests.e2e.process import PROGRAM, until

CASE = "2026112200042"


async def test_from_sqlite_to_postgresql_while_it_ran(alone: Bench, postgres_url: str, tmp_path: Path) -> None:
    """A backup of a bridge that runs is restored on PostgreSQL: the same status, and the boards go dark at the end."""
    alone.add(boards=2, mails=1)
    await alone.start()
    await alone.run("send", "-", stdin=event(CASE, "opened"))
    before = await alone.until_settled(CASE)
    made = await alone.run("backup", "copy")
    assert made.out == "copy: 1 case, 1 of them open; 3 postings\n"
    running = await alone.run("restore", "copy", code=1)
    assert "another bridge runs on" in running.err
    await alone.bridges[0].stop()
    full = await alone.run("restore", "copy", code=1)
    assert "the store is not empty" in full.err

    alone.settings["store"] = {"url": postgres_url}
    alone.write()
    told = await alone.run("restore", "copy", "--moved")
    assert told.out.startswith("restored from the backup of 20")
    after = await alone.status(CASE)
    assert after == before
    await alone.start()
    await alone.run("send", "-", stdin=event(CASE, "ended"))
    await alone.until_settled(CASE)
    assert not alone.lit()
    assert set(alone.received().values()) == {2}  # the alert and the outcome


async def test_after_a_disk_was_lost(alone: Bench) -> None:
    """Restored from before the mails went out: nobody is mailed twice, and people are told what to look at."""
    alone.add(boards=1, mails=3)
    alone.write()
    await alone.run("send", "-", stdin=event(CASE, "opened"))
    await alone.run("backup", "copy")
    bridge = await alone.start()
    await alone.until_settled(CASE)
    await bridge.kill()
    for path in alone.folder.glob("bridge.db*"):
        path.unlink()
    told = await alone.run("restore", "copy")
    assert f"  burgernet-bridge retract {CASE}\n" in told.out
    bridge = await alone.start()
    await until(lambda: alone.boards.requests["bord-0", "PUT"] >= 2, "the board is told once more")
    assert set(alone.received().values()) == {1}
    await alone.run("send", "-", stdin=event(CASE, "ended"))
    await alone.until_settled(CASE)
    assert not alone.lit()
    assert set(alone.received().values()) == {2}


async def test_a_kill_leaves_no_half_file(tmp_path: Path) -> None:
    """SIGKILL in the middle of a backup: the backup of yesterday is still there, whole, and no other has its name."""
    async with open_bench(tmp_path) as bench:
        bench.write()
        await bench.run("migrate")
        await fill_history(f"sqlite:///{tmp_path}/bridge.db", 20_000)
        backups = tmp_path / "backups"
        backups.mkdir()
        await bench.run("backup", "backups/copy")
        whole = (backups / "copy").read_bytes()
        process = await asyncio.create_subprocess_exec(
            str(PROGRAM), "backup", "backups/copy", cwd=tmp_path, env=bench.environment
        )
        await until(
            lambda: any(one.stat().st_size > 100_000 for one in backups.glob(".copy.*")), "it is writing", look=0.001
        )
        process.kill()
        assert await process.wait() < 0
        assert (backups / "copy").read_bytes() == whole
        assert [one.name for one in backups.iterdir() if not one.name.endswith(".unfinished")] == ["copy"]
        shutil.rmtree(backups)
        nowhere = await bench.run("backup", "backups/copy", code=2)
        assert "file: backups/copy cannot be written (No such file or directory)" in nowhere.err


async def test_nothing_to_back_up(alone: Bench) -> None:
    """A store that is not there is told, and not made."""
    alone.write()
    assert "there is no store at" in (await alone.run("backup", "copy", code=1)).err
    assert not (alone.folder / "bridge.db").exists()
