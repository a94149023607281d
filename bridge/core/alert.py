"""What an alert says, in the words of CAP 1.2 (OASIS Common Alerting Protocol): the ``data`` of our events."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

MAX_TEXT = 10_000

# RFC 3339 section 5.6; the zone is not optional, for a naive time ends the wrong case twice a year.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")  # Cc and Cs, but for tab, LF, CR
_BREAK = re.compile("[\r\n\t\u2028\u2029]")
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d):(\d\d)(\.\d+)?([Zz]|[+-]\d\d:[0-5]\d)")


def parse_time(value: Any) -> datetime:
    """Read an RFC 3339 time with zone as an instant in UTC; raise ``ValueError`` for anything else."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("a time with a zone, like 2026-11-22T10:15:00+01:00")
        return value.astimezone(UTC)
    match = _RFC3339.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("a time with a zone, like 2026-11-22T10:15:00+01:00")
    day, minute, second, fraction, zone = match.groups()
    if second == "60":  # a leap second is the last instant of its minute
        second, fraction = "59", ".999999"
    zone = "+00:00" if zone in "Zz" else zone
    try:
        return datetime.fromisoformat(f"{day}T{minute}:{second}{(fraction or '')[:7]}{zone}").astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("an existing date and time, like 2026-11-22T10:15:00+01:00") from None


def _no_control(text: str) -> str:
    """Let through any Unicode but control characters and lone surrogates; line breaks and tabs are fine."""
    if not text.isprintable() and (found := _CONTROL.search(text)):
        raise ValueError(f"text without control characters (found U+{ord(found[0]):04X})")
    return text


def _one_line(text: str) -> str:
    if not text.isprintable():  # most are, and pass both checks
        _no_control(text)
        if _BREAK.search(text):
            raise ValueError("one line of text")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("text that is not empty")
    return text


Instant = Annotated[datetime, BeforeValidator(parse_time)]
Text = Annotated[str, StringConstraints(max_length=MAX_TEXT), AfterValidator(_no_control)]
Line = Annotated[str, StringConstraints(max_length=MAX_TEXT), AfterValidator(_one_line)]
MAX_TEXTS = 100  # languages of an alert, and files with it
MAX_POINTS = 2_000  # of all polygons of an area together

Language = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]


class Status(StrEnum):
    """CAP ``status``: is it real?"""

    ACTUAL = "Actual"
    EXERCISE = "Exercise"
    TEST = "Test"


class Urgency(StrEnum):
    """CAP ``urgency``: can people act on it now?"""

    IMMEDIATE = "Immediate"
    EXPECTED = "Expected"
    FUTURE = "Future"
    PAST = "Past"
    UNKNOWN = "Unknown"


class Category(StrEnum):
    """Kinds of case. A word outside this list is read as ``other`` and so never reaches a board."""

    AMBER_ALERT = "amber_alert"
    MISSING_CHILD_ALERT = "missing_child_alert"
    MISSING_CHILD = "missing_child"
    MISSING_PERSON = "missing_person"
    CONFUSED_PERSON = "confused_person"
    WANTED_PERSON = "wanted_person"
    SUSPECT = "suspect"
    WITNESS_APPEAL = "witness_appeal"
    BURGLARY = "burglary"
    ATTEMPTED_BURGLARY = "attempted_burglary"
    DOORSTEP_SCAM = "doorstep_scam"
    STREET_ROBBERY = "street_robbery"
    HOLD_UP = "hold_up"
    VEHICLE_THEFT = "vehicle_theft"
    BICYCLE_THEFT = "bicycle_theft"
    VANDALISM = "vandalism"
    HIT_AND_RUN = "hit_and_run"
    VIOLENCE = "violence"
    FIRE = "fire"
    HAZARD = "hazard"
    DRUGS = "drugs"
    NUISANCE = "nuisance"
    PREVENTION = "prevention"
    CAMPAIGN = "campaign"
    NEWSLETTER = "newsletter"
    OTHER = "other"


class Outcome(StrEnum):
    """How a case ended (R18): closed does not mean found."""

    RESOLVED = "resolved"
    UNRESOLVED = "unresolved"
    WITHDRAWN = "withdrawn"


class CapModel(BaseModel):
    """Frozen, strict about types, and keeping what it does not know."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)


def _point(text: str) -> str:
    lat, comma, lon = text.partition(",")
    try:
        inside = bool(comma) and abs(float(lat)) <= 90 and abs(float(lon)) <= 180
    except ValueError:
        inside = False
    if not inside or "_" in text:
        raise ValueError('a WGS 84 point "lat,lon", like "52.180,4.495"')
    return text


def _circle(text: str) -> str:
    point, _, radius = text.strip().rpartition(" ")
    try:
        good = 0 <= float(radius) <= 20_040 and "_" not in radius
    except ValueError:
        good = False
    if not good:
        raise ValueError('a circle "lat,lon radius-in-km", like "52.180,4.495 2.0"')
    return _point(point.strip()) and text


def _polygon(text: str) -> str:
    points = text.split()
    if len(points) < 3:
        raise ValueError('a polygon of at least three points "lat,lon lat,lon lat,lon"')
    for point in points:
        _point(point)
    return text


class Geocode(CapModel):
    """A coded place, for instance ``gemeente`` = ``GM0546``; compared by equality."""

    valueName: Line
    value: Line


class Area(CapModel):
    """Where an alert is meant: circles (km), polygons and codes; empty lists when a form is not used.

    The lists are bounded, for every target is held against every shape: an event must not cost minutes.
    """

    areaDesc: Text = ""
    circle: tuple[Annotated[str, AfterValidator(_circle)], ...] = Field((), strict=False, max_length=100)
    polygon: tuple[Annotated[str, AfterValidator(_polygon)], ...] = Field((), strict=False, max_length=100)
    geocode: tuple[Geocode, ...] = Field((), strict=False, max_length=1_000)

    @field_validator("polygon", mode="after")
    @classmethod
    def _not_too_many_points(cls, polygons: tuple[str, ...]) -> tuple[str, ...]:
        if sum(len(polygon.split()) for polygon in polygons) > MAX_POINTS:
            raise ValueError(f"at most {MAX_POINTS} points in all polygons together")
        return polygons


class Info(CapModel):
    """The text of an alert in one language. ``description`` and ``instruction`` together are the original text (R3)."""

    language: Language = "nl"
    headline: Text = ""
    description: Annotated[Text, AfterValidator(_not_blank)]
    instruction: Text = ""

    @property
    def original_text(self) -> str:
        """The text as sent, that a board shows verbatim or not at all."""
        return f"{self.description}\n{self.instruction}" if self.instruction else self.description


class OutcomeInfo(CapModel):
    """The text of an ending in one language; every part may be missing."""

    language: Language = "nl"
    headline: Text = ""
    description: Text = ""
    instruction: Text = ""


class Resource(CapModel):
    """A file with the alert; one with an image type is the photo."""

    uri: Line
    mimeType: Line = "image/jpeg"
    resourceDesc: Text = ""

    @property
    def is_photo(self) -> bool:
        """Whether this file is an image."""
        return self.mimeType.lower().startswith("image/")


_CATEGORIES = frozenset(Category)


def _known_category(value: Any) -> Any:
    """Read an unknown word as ``other`` (R1 is a whitelist); anything but text stays as it is and is refused."""
    return value if not isinstance(value, str) or value in _CATEGORIES else Category.OTHER


def _at_least_one(infos: tuple[Info, ...]) -> tuple[Info, ...]:
    if not infos:
        raise ValueError("at least one text")
    return infos


T = TypeVar("T", Info, OutcomeInfo)


class Alert(CapModel):
    """The whole content of an ``opened`` or ``updated`` event."""

    status: Status = Field(Status.ACTUAL, strict=False)
    category: Annotated[Category, BeforeValidator(_known_category)] = Field(strict=False)
    categoryAsGiven: Text = ""
    urgency: Urgency = Field(Urgency.UNKNOWN, strict=False)
    senderName: Text = ""
    expires: Instant | None = None
    info: Annotated[tuple[Info, ...], AfterValidator(_at_least_one)] = Field(strict=False, max_length=MAX_TEXTS)
    area: Area | None = None
    resource: tuple[Resource, ...] = Field((), strict=False, max_length=MAX_TEXTS)

    @model_validator(mode="before")
    @classmethod
    def _keep_category(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("category"), str) and not data.get("categoryAsGiven"):
            return {**data, "categoryAsGiven": data["category"]}
        return data

    @property
    def photo(self) -> Resource | None:
        """The first image of the alert, if it has one."""
        return next((resource for resource in self.resource if resource.is_photo), None)


class Ending(CapModel):
    """The whole content of an ``ended`` event; the outcome is all it needs."""

    outcome: Outcome = Field(strict=False)
    info: tuple[OutcomeInfo, ...] = Field((), strict=False, max_length=MAX_TEXTS)


def choose(infos: Sequence[T], languages: Sequence[str]) -> T | None:
    """Pick the text for a reader of ``languages``, best first; an empty list accepts any, Dutch before others."""
    for wanted in languages or ("nl",):
        for info in infos:
            if info.language.lower().split("-")[0] == wanted.lower().split("-")[0]:
                return info
    return infos[0] if infos and not languages else None
