"""A target: one place where an alert can be shown (a board, a page, a mailbox, an admin)."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from functools import cached_property
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, StringConstraints, model_validator

from bridge.core.alert import Area, Language, Line, Status
from bridge.core.font import Font, Matrix
from bridge.core.layout import Face, Grid, characters

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
    """What fits on a board, and whether it can show a picture (R6).

    Its size is in cells (``columns`` × ``rows``) or in pixels (``width`` × ``height``, with a ``font``: a BDF file,
    else the bridge's own). ``pages``: how many it shows in turn. ``characters``: what it has, names of sets or the
    characters themselves; empty: not known, so all (a board of pixels has what its font has).
    """

    columns: int = Field(16, ge=1, le=500)
    rows: int = Field(5, ge=1, le=100)
    width: int | None = Field(None, ge=1, le=5000)
    height: int | None = Field(None, ge=1, le=5000)
    font: str = ""
    characters: tuple[Annotated[str, StringConstraints(min_length=1)], ...] = Field((), strict=False)
    pages: int = Field(1, ge=1, le=100)
    photo: bool = False
    _font: Font | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _one_size(self) -> Sign:
        pixels = self._changed("width", "height", "font")
        cells = self._changed("columns", "rows", "characters")
        if pixels and cells:
            raise ValueError(f"{cells[0]} stands beside {pixels[0]}; a board is of cells or of pixels")
        if pixels and (self.width is None or self.height is None):
            raise ValueError("a board of pixels needs both width and height")
        return self

    def _changed(self, *names: str) -> list[str]:
        """Name the fields that say something: what a target was written down with has all of them."""
        return [name for name in names if getattr(self, name) != type(self).model_fields[name].default]

    def with_font(self, font: Font) -> Sign:
        """Return this board with its font read."""
        copy = self.model_copy()
        copy._font = font  # noqa: SLF001 - our own class
        copy.__dict__.pop("face", None)
        return copy

    @property
    def font_digest(self) -> str:
        """Name the very font that was read; empty: none."""
        return self._font.digest if self._font else ""

    @cached_property
    def face(self) -> Face:
        """How large text is on it."""
        if self.width is None or self.height is None:
            return Grid(self.columns, self.rows, characters(self.characters) if self.characters else None)
        if self._font is None:
            raise ValueError("the font of this board was not read")
        return Matrix(self.width, self.height, self._font)


class Accepts(_Strict):
    """Which alerts a target takes; exercises and tests only where they are named, national ones unless it says no."""

    status: tuple[Annotated[Status, Field(strict=False)], ...] = Field((Status.ACTUAL,), strict=False)
    national: bool = True


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
    contact: Line = ""  # whom to call when it does not do what it should
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

    def with_sign(self, sign: Sign) -> Target:
        """Return this target with its board's font read; it is the same target."""
        copy = self.model_copy(update={"sign": sign})
        copy.__dict__.pop("digest", None)
        return copy

    def with_secret(self, secret: str) -> Target:
        """Return this target with its secret resolved."""
        copy = self.model_copy()
        copy._secret = SecretStr(secret)  # noqa: SLF001 - our own class
        copy.__dict__.pop("secret", None)  # what the original remembered
        return copy
