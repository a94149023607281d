"""What every simulator can be told to do wrong, and what it can show of itself."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Protocol

from rich.console import RenderableType

SLOW = 3.0  # seconds that a slow simulator takes for each answer


class Fault(StrEnum):
    """How a sign fails, until it is told otherwise."""

    SLOW = "slow"  # takes effect and answers only after SLOW seconds
    UNREACHABLE = "unreachable"  # refuses connections, or drops what comes
    REFUSES = "refuses"  # answers "not now", in its own words, and changes nothing
    REJECTS = "rejects"  # answers "never", in its own words, and changes nothing
    LOCAL = "local"  # somebody stands at the sign with a laptop: nothing is taken from the network
    MUTE = "mute"  # does what it is told, and never answers
    LIES = "lies"  # its read-back says what it was told, whatever it shows


class Simulator(Protocol):
    """A sign that exists only in this program. Started and stopped at one port, it keeps what it showed."""

    faults: Collection[Fault]  # those that it has now
    known_faults: Collection[Fault]  # those that it can have

    @property
    def port(self) -> int:
        """Where it listens, once it is started."""
        ...

    async def start(self) -> None:
        """Listen."""
        ...

    async def stop(self) -> None:
        """Stop listening; what is shown stays."""
        ...

    def reboot(self) -> None:
        """Lose power for a moment and forget, as its like does in the field."""
        ...

    def write(self, text: str) -> None:
        """Let someone else put ``text`` on it, over whatever it shows."""
        ...

    def shown(self) -> list[str]:
        """Give every text that can be read on it now, as it was sent."""
        ...

    def picture(self) -> RenderableType:
        """Draw what it shows, for a terminal."""
        ...
