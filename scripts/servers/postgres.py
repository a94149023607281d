"""PostgreSQL, next to any other PostgreSQL on the machine."""
# ruff: noqa: D102, S603
# The methods do what Server says of them, and run the programs found in _programs.

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from servers.base import Server
from servers.daemon import as_user
from servers.tools import LOOPBACK, PATH, ServerError, speaks_postgres


class Postgres(Server):
    """A PostgreSQL without passwords on the loopback address: user ``bridge``, database ``bridge_test``."""

    name = "postgres"
    variable = "BRIDGE_TEST_POSTGRES_URL"
    package = "postgresql"

    @property
    def own_url(self) -> str:
        return f"postgresql://bridge@{LOOPBACK}:{self.state.port('postgres')}/bridge_test"

    def speaks(self, url: str) -> bool:
        return speaks_postgres(url)

    def installed(self) -> bool:
        return self._programs is not None

    def move_if_taken(self) -> None:
        if self.daemon.pid is None:
            self.state.move_if_taken("postgres")

    def start(self, *, fsync: bool) -> None:
        if self.daemon.pid is None:
            data = self._data_directory()
            if not (data / "global/pg_control").exists():
                self._initialise(data)
            (data / "postmaster.pid").unlink(missing_ok=True)  # ours is dead; another process may have its number now
            settings = ["unix_socket_directories=", "max_connections=200", f"fsync={'on' if fsync else 'off'}"]
            options = [option for setting in settings for option in ("-c", setting)]
            port = str(self.state.port("postgres"))
            command = [self._program("postgres"), "-D", str(data), "-h", LOOPBACK, "-p", port, *options]
            self.daemon.spawn(command, env=self._environment(), cwd=data, user=self._user)
        self.daemon.wait_ready(lambda: self._sql("postgres", "SELECT 1") == "1")
        if self._sql("bridge_test", "SELECT 1") is None:
            self._sql("postgres", "CREATE DATABASE bridge_test")

    def stop(self) -> None:
        self.daemon.end(signal.SIGINT)  # "fast": sessions are ended, not waited for

    @property
    def owner(self) -> int | None:
        """The user id that the server runs under; ``None``: ours."""
        return self._user.pw_uid if self._user else None

    @property
    def _programs(self) -> Path | None:
        """The directory of initdb, postgres and psql: the newest of Debian's and Red Hat's, else on the PATH."""
        packaged = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/usr").glob("pgsql-*/bin")]
        packaged.sort(key=lambda place: int("".join(filter(str.isdigit, place.parent.name)) or 0), reverse=True)
        found = shutil.which("initdb", path=":".join([*map(str, packaged), PATH]))
        return Path(found).parent if found else None

    @property
    def _user(self) -> pwd.struct_passwd | None:
        """Whom the server runs as: ourselves (``None``), but PostgreSQL refuses root."""
        if os.geteuid() != 0:
            return None
        known = {entry.pw_name: entry for entry in pwd.getpwall()}
        return known.get("postgres") or known["nobody"]

    def _program(self, name: str) -> str:
        return str((self._programs or Path()) / name)

    def _environment(self) -> dict[str, str]:
        return {"PATH": PATH, "HOME": "/", "LC_ALL": "C", "PGCONNECT_TIMEOUT": "3"}

    def _data_directory(self) -> Path:
        """``.services/postgres``, or a remembered temporary directory where the server's user cannot come there."""
        remembered = self.state.get("postgres_data")
        if remembered and Path(remembered).is_dir():
            return Path(remembered)
        place = self.state.home / "postgres"
        if not self._user_can_enter(self.state.home):
            place = Path(tempfile.mkdtemp(prefix="burgernet-bridge-postgres-"))
        place.mkdir(mode=0o700, exist_ok=True)
        if self._user:
            os.chown(place, self._user.pw_uid, self._user.pw_gid)
        self.state.put("postgres_data", str(place))
        return place

    def _user_can_enter(self, place: Path) -> bool:
        command = ["/bin/sh", "-c", 'cd "$1"', "sh", str(place)]
        return self._run(command, user=self._user).returncode == 0

    def _initialise(self, data: Path) -> None:
        for leftover in data.iterdir():  # of an initdb that was cut short
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        options = ["--username=bridge", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        done = self._run([self._program("initdb"), "-D", str(data), *options], user=self._user)
        if done.returncode:
            raise ServerError(f"initdb failed: {done.stderr.strip()}")

    def _sql(self, database: str, statement: str) -> str | None:
        """Run one statement; return its output, or ``None`` when it fails."""
        place = ["-h", LOOPBACK, "-p", str(self.state.port("postgres")), "-U", "bridge", "-d", database]
        done = self._run([self._program("psql"), "-XtAq", *place, "-c", statement])
        return None if done.returncode else done.stdout.strip()

    def _run(self, command: list[str], user: pwd.struct_passwd | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            check=False,
            cwd="/",
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            **as_user(user),
        )
