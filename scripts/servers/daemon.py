"""A background process that outlives the command that started it."""
# ruff: noqa: S603
# Starting the programs that the servers name is what this file is for.

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from servers.tools import ServerError, wait_until

START_SECONDS = 90.0
STOP_SECONDS = 30.0


def as_user(user: pwd.struct_passwd | None) -> dict[str, Any]:
    """Return the arguments that make ``subprocess`` run something as ``user`` (``None``: as ourselves)."""
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}


def birth(pid: int) -> str | None:
    """Return what tells this process from a later one with the same number; ``None`` when it is gone (or a zombie)."""
    if Path("/proc/self/stat").exists():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] == "Z" else fields[19]
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    return "alive"


def family(pid: int) -> list[int]:
    """Return a process and its direct children: a power cut spares none of them."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return [pid, *map(int, children.read_text().split() if children.exists() else [])]


class Daemon:
    """One process of ours, found again by its number and its birth (``NAME.pid``); output goes to ``NAME.log``."""

    def __init__(self, home: Path, name: str) -> None:
        self.name = name
        self._log = home / f"{name}.log"
        self._record = home / f"{name}.pid"

    @property
    def pid(self) -> int | None:
        """The process id while it runs, else ``None``."""
        try:
            pid, born = self._record.read_text().split()
        except (OSError, ValueError):
            return None
        return int(pid) if birth(int(pid)) == born else None

    def spawn(
        self, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, user: pwd.struct_passwd | None = None
    ) -> None:
        """Start the command in a session of its own, so that it survives this one."""
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                command,
                env=env,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **as_user(user),
            )
        self._record.write_text(f"{process.pid} {birth(process.pid)}\n")

    def wait_ready(self, ready: Callable[[], bool]) -> None:
        """Return when ``ready``; raise ``ServerError`` with the end of the log when it dies or takes too long."""
        in_time = wait_until(lambda: self.pid is None or ready(), START_SECONDS)
        if not in_time or self.pid is None:
            tail = "\n  ".join(self._log.read_text(errors="replace").splitlines()[-15:])
            raise ServerError(f"{self.name} does not start; {self._log} ends with:\n  {tail}")

    def end(self, gentle: signal.Signals) -> None:
        """Ask the process to stop; kill it when it does not within half a minute."""
        pid = self.pid
        if pid is not None:
            os.kill(pid, gentle)
            if not wait_until(lambda: self.pid is None, STOP_SECONDS):
                self.kill()

    def kill(self) -> None:
        """SIGKILL the process and its children; return when it is gone."""
        pid = self.pid
        if pid is None:
            return
        for member in family(pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
        if not wait_until(lambda: self.pid is None, STOP_SECONDS):
            raise ServerError(f"{self.name} (process {pid}) survives SIGKILL")
