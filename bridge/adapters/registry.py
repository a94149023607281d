"""How adapters are found: entry points of the group ``burgernet_bridge.adapters``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, NoReturn, Protocol

import aiohttp
from pydantic import BaseModel, ConfigDict

from bridge.core.errors import InvalidInput, PermanentError
from bridge.core.ports import Adapter, AdminOutbox, Counter, Displays, Number, Orders
from bridge.core.target import Target

GROUP = "burgernet_bridge.adapters"


class AdapterConfig(BaseModel):
    """Base of every adapter's own settings (``adapters.<name>`` in bridge.yaml): frozen, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NoCounter:
    """Where there is no store, no number can be given out."""

    async def next(self, name: str, most: int, holder: str = "", until: float = 0.0) -> NoReturn:  # noqa: ARG002
        """Raise ``PermanentError``."""
        raise PermanentError(f"{name}: there is no store that counts")

    async def held(self, holder: str) -> Collection[Number]:  # noqa: ARG002 - nobody has any
        """Give none."""
        return ()

    async def release(self, holder: str, numbers: Collection[Number]) -> None:
        """Do nothing: there are none."""


@dataclass(frozen=True)
class Resources:
    """What adapters share: one HTTP session, where the store keeps what people come to get, and a durable counter."""

    http: aiohttp.ClientSession
    outbox: AdminOutbox
    displays: Displays | None = None
    orders: Orders | None = None
    counter: Counter = field(default_factory=NoCounter)


class OpenableAdapter(Adapter, Protocol):
    """An adapter as an async context manager that yields itself."""

    async def __aenter__(self) -> Adapter:
        """Open the way."""
        ...

    async def __aexit__(self, *_: object) -> bool | None:
        """Close it."""
        ...


class AdapterType(Protocol):
    """The class an entry point names."""

    Config: type[AdapterConfig]

    def __call__(self, config: Any, resources: Resources) -> OpenableAdapter:
        """Make an adapter from its own settings."""
        ...

    @staticmethod
    def check_target(target: Target) -> None:
        """Raise ``InvalidInput`` when this adapter can never reach ``target`` (bad address, missing secret or size)."""
        ...


def find_adapters() -> Mapping[str, AdapterType]:
    """Load every installed adapter by its name."""
    return {point.name: point.load() for point in entry_points(group=GROUP)}


def adapter_type(name: str, adapters: Mapping[str, AdapterType]) -> AdapterType:
    """Find one adapter, or raise ``InvalidInput`` that names the installed ones."""
    if name not in adapters:
        raise InvalidInput(f"adapter: {name!r} is not installed; installed are {', '.join(sorted(adapters))}")
    return adapters[name]
