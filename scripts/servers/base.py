"""What the commands may ask of a server."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod

from servers.daemon import Daemon
from servers.tools import State


class Server(ABC):
    """A server for tests: somebody else's (named in the environment) or ours."""

    name: str
    variable: str
    package: str

    def __init__(self, state: State) -> None:
        self.state = state
        self.daemon = Daemon(state.home, self.name)

    @property
    def foreign_url(self) -> str:
        """The URL named in the environment; empty when none is, or when it is our own, read back from the env file."""
        named = os.environ.get(self.variable, "")
        return "" if named == self.own_url else named

    @property
    def url(self) -> str:
        """The URL that tests use."""
        return self.foreign_url or self.own_url

    @property
    @abstractmethod
    def own_url(self) -> str:
        """The URL of the server that is run here."""

    @abstractmethod
    def speaks(self, url: str) -> bool:
        """Tell whether the server at ``url`` answers in its own protocol."""

    @abstractmethod
    def installed(self) -> bool:
        """Tell whether the programs are on this machine."""

    @abstractmethod
    def move_if_taken(self) -> None:
        """Choose other ports where something else has taken ours while we were stopped."""

    @abstractmethod
    def start(self, *, fsync: bool) -> None:
        """Start the server if it does not run, and return when it answers."""

    @abstractmethod
    def stop(self) -> None:
        """Stop the server in good order."""

    def kill(self) -> None:
        """Kill the server as a power cut would."""
        self.daemon.kill()

    def down(self) -> None:
        """Stop the server and every helper."""
        self.stop()
