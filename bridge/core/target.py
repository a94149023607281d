"""A target: one place where an alert can be shown (a board, a page, a mailbox, an admin)."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from functools import cached_property
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, StringConstraints

from bridge.core.alert import Area, Language, Line, Status

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class OwnerKind(StrEnum):
    """Who answers for a target; boards are for the first four only (R7)."""

    MUNICIPALITY = "municipality"
    POLICE = "police"
    SAFETY_REGION = "safety_region"
    PUBLIC_TRANSPORT = "public_transport"
    CITIZEN = "citizen"
    COMMERCIAL = "commercial"


class Owner(_Strict):
    """The person or body that owns a target."""

    name: Line = ""
    kind: OwnerKind = Field(strict=False)


class Location(_Strict):
    """A point, WGS 84 degrees."""

    lat: float = Field(ge=-90, le=90, strict=False)
    lon: float = Field(ge=-180, le=180, strict=False)


class Sign(_Strict):
    """What fits on a board: characters a line, lines a page, pages; and whether it can show a picture (R6)."""

    columns: int = Field(16, ge=1, le=500)
    rows: int = Field(5, ge=1, le=100)
    pages: int = Field(1, ge=1, le=100)
    photo: bool = False


class Accepts(_Strict):
    """Which alerts a target takes; exercises and tests only where they are named."""

    status: tuple[Annotated[Status, Field(strict=False)], ...] = Field((Status.ACTUAL,), strict=False)


class Target(_Strict):
    """One entry of ``targets.yaml``; its secret is never written there: ``secret_env`` or ``secret_file`` names it."""

    id: Name
    channel: Name
    adapter: Name
    address: Line
    owner: Owner
    location: Location | None = None
    coverage: Area | None = None
    sign: Sign | None = None
    languages: tuple[Language, ...] = Field((), strict=False)
    accepts: Accepts = Accepts()
    secret_env: str | None = None
    secret_file: str | None = None
    _secret: SecretStr | None = PrivateAttr(None)

    @cached_property
    def secret(self) -> str | None:
        """The page token or signing secret, in the clear; never log it."""
        return self._secret.get_secret_value() if self._secret else None

    @cached_property
    def digest(self) -> str:
        """Name this target as it is configured: another address or secret reference is another digest."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def with_secret(self, secret: str) -> Target:
        """Return this target with its secret resolved."""
        copy = self.model_copy()
        copy._secret = SecretStr(secret)  # noqa: SLF001 - our own class
        copy.__dict__.pop("secret", None)  # what the original remembered
        return copy
