"""How adapters are found: entry points of the group ``burgernet_bridge.adapters``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Protocol

import aiohttp
from pydantic import BaseModel, ConfigDict

from bridge.core.errors import InvalidInput
from bridge.core.ports import Adapter, AdminOutbox, Displays, Orders
from bridge.core.target import Target

GROUP = "burgernet_bridge.adapters"


class AdapterConfig(BaseModel):
    """Base of every adapter's own settings (``adapters.<name>`` in bridge.yaml): frozen, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Resources:
    """What adapters share: one HTTP session, and where the store keeps what admins and screens come to get."""

    http: aiohttp.ClientSession
    outbox: AdminOutbox
    displays: Displays | None = None
    orders: Orders | None = None


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
