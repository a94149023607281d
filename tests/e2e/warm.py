"""Commands without their start-up time: a process that has the program loaded makes a copy of itself for each.

The copy is a process of its own, with its own environment, folder, streams and exit code. Only the second that loading
the program takes is saved; there are hundreds of commands in these tests. ``python -m tests.e2e.warm`` is that process.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, NoReturn

ROOT = Path(__file__).parents[2]
LIMIT = 60  # seconds that a command may take


class Kept:
    """A process of a module that is kept: it answers each line with a line, and starts with the first of them."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    async def ask(self, words: Sequence[str], folder: Path, environment: Mapping[str, str], **more: str) -> str:
        """Ask for the program with these words; give the answer."""
        request = {"words": words, "folder": str(folder), "environment": dict(environment), **more}
        return await asyncio.to_thread(self._ask, json.dumps(request))

    def _ask(self, line: str) -> str:
        with self._lock:
            if self._process is None:
                pipe = subprocess.PIPE
                words = [sys.executable, "-m", self._module]
                self._process = subprocess.Popen(words, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
            assert self._process.stdin
            assert self._process.stdout
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
            return self._process.stdout.readline()

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.communicate()
            self._process = None


class Warm(Kept):
    """Runs commands."""

    def __init__(self) -> None:
        super().__init__("tests.e2e.warm")

    async def run(self, words: tuple[str, ...], folder: Path, environment: dict[str, str], stdin: bytes) -> Any:
        """Run one command; give ``code``, ``out`` and ``err``."""
        return json.loads(await self.ask(words, folder, environment, stdin=stdin.decode("latin-1")))


def serve() -> None:
    """Run each command that stdin asks for, one after another, and answer on stdout."""
    import bridge.cli  # noqa: F401, PLC0415 - what is kept warm

    for line in sys.stdin:
        request = json.loads(line)
        with TemporaryFile() as given, TemporaryFile() as out, TemporaryFile() as err:
            given.write(request["stdin"].encode("latin-1"))
            given.seek(0)
            child = os.fork()
            if child == 0:
                become(request, (given, out, err))
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            for file in (out, err):
                file.seek(0)
            answer = {"code": code, "out": out.read().decode(), "err": err.read().decode()}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def become(request: Any, streams: tuple[IO[bytes], ...]) -> NoReturn:
    """Be the command, from the first word to the exit code."""
    signal.alarm(LIMIT)
    for number, file in enumerate(streams):
        os.dup2(file.fileno(), number)
    sys.stdin = os.fdopen(0, closefd=False)
    live(request, sys.modules["bridge.cli"].main)


def live(request: Any, main: Callable[[], None]) -> NoReturn:
    """Be the program: in its folder, with its environment and its words, until its exit code."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = ["burgernet-bridge", *request["words"]]
    code: Any = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    serve()
