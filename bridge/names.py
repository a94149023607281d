"""An event loop in which a name that is never answered holds up nothing but whoever asked for it.

asyncio looks names up in one small pool of threads (processors + 4) that everything shares, and waits for them all at
the end: a few boards behind a silent name server would keep every other board, the mail server and the database from
being found, and the process from ending. Libraries ask the loop, so the loop is the one place to mend that.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from typing import Any

MOST = 1000  # look-ups at a time; each that hangs holds a thread, for as long as the system's resolver has patience


class Loop(asyncio.SelectorEventLoop):
    """Looks up each name in a thread of its own, which the end of the process does not wait for."""

    def __init__(self, most: int = MOST) -> None:
        super().__init__()
        self._most = most
        self._asked: dict[tuple[Any, ...], asyncio.Future[Any]] = {}

    async def getaddrinfo(
        self,
        host: Any,
        port: Any,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002 - the names are asyncio's
        proto: int = 0,
        flags: int = 0,
    ) -> Any:
        """Do as ``socket.getaddrinfo``. Who asks the same meanwhile gets the same answer; raises ``OSError``."""
        question = (host, port, family, type, proto, flags)
        answer = self._asked.get(question)
        if answer is None:
            if len(self._asked) >= self._most:
                raise socket.gaierror(socket.EAI_AGAIN, "too many names are being looked up")
            answer = self._asked[question] = self.create_future()
            self._start(question)
        return await asyncio.shield(answer)

    def _start(self, question: tuple[Any, ...]) -> None:
        try:
            threading.Thread(target=self._look_up, args=(question,), name="name", daemon=True).start()
        except RuntimeError as error:  # no more threads just now
            del self._asked[question]
            raise socket.gaierror(socket.EAI_AGAIN, str(error)) from error

    def _look_up(self, question: tuple[Any, ...]) -> None:
        result: Any = None
        error: Exception | None = None
        try:
            result = socket.getaddrinfo(*question)
        except Exception as failed:  # noqa: BLE001 - whatever it is, who asked must hear it
            error = failed
        with suppress(RuntimeError):  # the loop has been closed: nobody asks any more
            self.call_soon_threadsafe(self._tell, question, result, error)

    def _tell(self, question: tuple[Any, ...], result: Any, error: Exception | None) -> None:
        answer = self._asked.pop(question)
        if error is None:
            answer.set_result(result)
        else:
            answer.set_exception(error)
            answer.exception()  # whoever asked may have given up
