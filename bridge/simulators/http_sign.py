"""Boards that meet the HTTP sign contract, with the faults and the picture that all simulators have."""

from __future__ import annotations

from collections.abc import Collection
from typing import Self

from rich.console import Group, RenderableType

from bridge.simulators.board import BoardSimulator, Faults
from bridge.simulators.fault import SLOW, Fault

BOARD = "board"  # the one that somebody else writes on; there are as many as there are paths
_FAULTS: dict[Fault, Faults] = {
    Fault.SLOW: Faults(delay=SLOW),
    Fault.UNREACHABLE: Faults(down=True),
    Fault.REFUSES: Faults(status=503),
    Fault.REJECTS: Faults(status=403),
    Fault.LOCAL: Faults(status=503, verbs=("PUT", "DELETE")),
    Fault.MUTE: Faults(fail_after=0),
    Fault.LIES: Faults(lies=True),
}


class HttpSimulator:
    """A server of boards: every path is one."""

    known_faults: Collection[Fault] = tuple(_FAULTS)

    def __init__(self, port: int = 0, *, host: str = "127.0.0.1", slow: float = SLOW) -> None:
        """Take port 0 for any free one; ``slow``: seconds for each answer with that fault."""
        self._boards = BoardSimulator(port, host=host)
        self._faults: Collection[Fault] = frozenset()
        self._changes = _FAULTS | {Fault.SLOW: Faults(delay=slow)}

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def port(self) -> int:
        """Where it listens, once it is started."""
        return self._boards.port

    @property
    def faults(self) -> Collection[Fault]:
        """How it fails now."""
        return self._faults

    @faults.setter
    def faults(self, faults: Collection[Fault]) -> None:
        self._faults = faults
        changes = [self._changes[fault].model_dump(exclude_defaults=True) for fault in _FAULTS if fault in faults]
        self._boards.fail(Faults(**{name: value for change in changes for name, value in change.items()}))

    async def start(self) -> None:
        """Listen, with what was lit."""
        await self._boards.start()

    async def stop(self) -> None:
        """Refuse connections."""
        await self._boards.stop()

    def reboot(self) -> None:
        """Let every board forget what it showed."""
        self._boards.reboot()

    def write(self, text: str) -> None:
        """Let someone else put a text on the board named ``board``."""
        self._boards.write(BOARD, text)

    def shown(self) -> list[str]:
        """Give every text on every board."""
        return [body["text"] for shown in self._boards.everything().values() for body in shown.values()]

    def picture(self) -> RenderableType:
        """Draw every board that shows anything, or one that is dark."""
        return Group(*(self._boards.draw(board) for board in self._boards.everything() or [BOARD]))
