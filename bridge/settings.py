"""Settings: ``bridge.yaml``, overridden by environment and secret files, as frozen models; all errors at once."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from bridge.core.advice import PHONE_NUMBERS, SHORTENERS, WORDS, Advising
from bridge.core.errors import InvalidInput
from bridge.core.events import HIDDEN, explain
from bridge.core.layout import Reading
from bridge.core.retry import Timing
from bridge.files import read_yaml

PREFIX = "BRIDGE_"
DEFAULT_PATH = Path("config/bridge.yaml")


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _seconds(minimum: float = 0.0) -> Any:
    return Field(ge=minimum, le=10 * 365 * 86400)


Seconds = Annotated[float, _seconds(0.001)]


class StoreSettings(_Section):
    """Where the bridge remembers."""

    url: SecretStr = SecretStr("sqlite:///var/bridge.db")


def _amqp(url: SecretStr) -> SecretStr:
    value = url.get_secret_value()
    if value and not value.startswith(("amqp://", "amqps://")):
        raise ValueError("a URL that begins with amqp:// or amqps://, or nothing")
    return url


def _sources(senders: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    for user, patterns in senders.items():
        if not user or not patterns or any(not pattern or "*" in pattern[:-1] for pattern in patterns):
            raise ValueError(
                "a list of sources for each user; a * may stand at the end of a source, for whatever follows"
            )
    return senders


class QueueSettings(_Section):
    """The RabbitMQ that events come from; an empty ``url`` means none.

    ``senders``: broker user → sources that it may speak for (a ``*`` at the end: whatever follows); empty: any for all.
    """

    url: Annotated[SecretStr, AfterValidator(_amqp)] = SecretStr("")
    name: str = Field("burgernet.alerts", min_length=1, max_length=200)
    exchange: str = "burgernet"
    binding: str = "alert.#"
    dead_exchange: str = "burgernet.dead"
    status_exchange: str = "burgernet.status"
    declare: bool = True
    prefetch: int = Field(32, ge=1, le=2000)
    delivery_limit: int = Field(20, ge=1, le=1000)
    retry_max: Seconds = 30.0
    senders: Annotated[dict[str, tuple[str, ...]], AfterValidator(_sources)] = {}


class WebSettings(_Section):
    """The web server: health, readiness and metrics."""

    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    public_url: str = ""


class DisplaySettings(_Section):
    """Display pages. ``dead_man``: seconds of silence after which a page clears itself; ``beat``: how often we speak.

    ``idle``: what it shows when there is nothing to show; ``coat_of_arms``: an image beside the clock.
    """

    idle: Literal["clock", "black"] = "clock"
    coat_of_arms: str = ""
    dead_man: Annotated[float, _seconds(5)] = 60.0
    beat: Seconds = 10.0

    @model_validator(mode="after")
    def _often_enough(self) -> DisplaySettings:
        if self.beat * 2 > self.dead_man:
            raise ValueError("dead_man is at least twice beat, or pages clear themselves while we are there")
        return self


class PhotoSettings(_Section):
    """How photos are fetched. ``allow_hosts``: hosts (``name`` or ``name:port``) that may have an inside address."""

    allow_hosts: tuple[str, ...] = ()
    max_bytes: int = Field(8 * 1024 * 1024, ge=1024)
    max_pixels: int = Field(40_000_000, ge=10_000)
    max_side: int = Field(1600, ge=64)
    timeout: Seconds = 10.0
    wait: Seconds = 15.0


class LayoutSettings(_Section):
    """How long a page of a board stays: people read ``characters_per_second``. And how long a cycle may take."""

    characters_per_second: float = Field(12.0, ge=1, le=100, allow_inf_nan=False)
    page_min: Seconds = 3.0
    cycle_max: Annotated[float, _seconds(10)] = 120.0

    @property
    def reading(self) -> Reading:
        """These figures, for the core."""
        return Reading(**dict(self))


class AdviceSettings(_Section):
    """What who writes a text is warned of: phone numbers that are not in the list, words, shortened links."""

    phone_numbers: tuple[str, ...] = PHONE_NUMBERS
    words: tuple[Annotated[str, Field(min_length=1)], ...] = WORDS
    shorteners: tuple[Annotated[str, Field(min_length=1)], ...] = SHORTENERS

    @property
    def advising(self) -> Advising:
        """These lists, for the core."""
        return Advising(**dict(self))


class CaseSettings(_Section):
    """What holds for every case."""

    max_lifetime: Annotated[float, _seconds(60)] = 24 * 3600.0


class RetentionSettings(_Section):
    """How long the words of a case that is over are kept."""

    days: int = Field(30, ge=1, le=3650)


class DispatchSettings(_Section):
    """How differences are closed; all times in seconds. See ``bridge.core.retry.Timing``."""

    retry_base: Seconds = 1.0
    retry_max: Seconds = 60.0
    urgent_max: Seconds = 15.0
    valid_for: Annotated[float, _seconds(10)] = 900.0
    looks: Annotated[tuple[Seconds, ...], Field(min_length=1)] = (2.0, 6.0, 15.0, 37.0)
    late_looks: tuple[Seconds, ...] = (300.0, 3600.0)
    checks: tuple[Seconds, ...] = (5.0, 60.0)
    check_interval: Seconds = 300.0

    @property
    def timing(self) -> Timing:
        """These times, for the core."""
        return Timing(**dict(self))


def _hook(url: SecretStr) -> SecretStr:
    """Take an http or https address; no error may repeat it, for it may hold a token."""
    value = url.get_secret_value()
    if value and not (re.fullmatch(r"https?://[!-~]+", value) and urlsplit(value).hostname):
        raise PydanticCustomError(HIDDEN, "an http or https URL, or nothing")
    return url


HookUrl = Annotated[SecretStr, AfterValidator(_hook)]


class EscalationSettings(_Section):
    """When operators are told that something takes too long, and how; times in seconds.

    ``repeat``: until it is told again, the first, second, … time; the last one stays.
    """

    place: Annotated[float, _seconds(1)] = 60.0
    remove: Annotated[float, _seconds(1)] = 60.0
    repeat: Annotated[tuple[Annotated[float, _seconds(10)], ...], Field(min_length=1)] = (300.0, 900.0, 3600.0)
    mail: tuple[str, ...] = ()
    webhook: HookUrl = SecretStr("")

    @field_validator("mail")
    @classmethod
    def _check_mail(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        for address in addresses:
            try:
                validate_email(address, check_deliverability=False, test_environment=True)
            except EmailNotValidError as error:
                raise ValueError(f"a list of mail addresses ({address!r}: {error})") from error
        return addresses


class WatchSettings(_Section):
    """Who watches the bridge. ``heartbeat``: a URL that is called every ``interval`` seconds while all is well."""

    heartbeat: HookUrl = SecretStr("")
    interval: Annotated[float, _seconds(1)] = 60.0
    audit: Annotated[float, _seconds(10)] = 300.0


class LogSettings(_Section):
    """``format``: json in production, console on a terminal, auto chooses by where the log goes."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"


def _collector(text: str) -> str:
    """Give the whole address; without a path it is the one that OTLP/HTTP names for traces."""
    try:
        url = urlsplit(text)
        good = url.scheme in ("http", "https") and url.hostname and url.username is None
    except ValueError:
        good = False
    if text and not good:
        raise ValueError("an http or https URL without user, like http://127.0.0.1:4318/v1/traces, or nothing")
    return url._replace(path="/v1/traces").geturl() if text and url.path in ("", "/") else text


def _headers(given: Any) -> Any:
    """Look at headers before anything else does, for no error may repeat them."""
    texts = given.items() if isinstance(given, dict) else [("", given)]
    for name, value in texts:
        secret = value.get_secret_value() if isinstance(value, SecretStr) else value
        fits = isinstance(secret, str) and re.fullmatch(r"[\x21-\x7e]+( +[\x21-\x7e]+)*", secret)
        if not fits or not re.fullmatch(r"[A-Za-z0-9-]+", str(name)):
            raise PydanticCustomError(HIDDEN, "names of letters, digits and -, each with one line of printable ASCII")
    return given


class TracingSettings(_Section):
    """Where spans go (OpenTelemetry, OTLP over HTTP); an empty ``endpoint`` means that nothing is traced.

    ``sample``: the share of traces that begin here and are kept; others follow what their publisher decided.
    """

    endpoint: Annotated[str, AfterValidator(_collector)] = ""
    sample: float = Field(1.0, ge=0, le=1)
    headers: Annotated[dict[str, SecretStr], BeforeValidator(_headers)] = {}


class ServiceSettings(_Section):
    """The process. ``stop_timeout``: seconds that running steps get to end when the service stops."""

    stop_timeout: Seconds = 20.0
    name: str = ""


class Settings(BaseSettings):
    """Everything an administrator can set. Paths are relative to the file that names them."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid")

    store: StoreSettings = StoreSettings()
    queue: QueueSettings = QueueSettings()
    web: WebSettings = WebSettings()
    display: DisplaySettings = DisplaySettings()
    photos: PhotoSettings = PhotoSettings()
    layout: LayoutSettings = LayoutSettings()
    advice: AdviceSettings = AdviceSettings()
    cases: CaseSettings = CaseSettings()
    retention: RetentionSettings = RetentionSettings()
    dispatch: DispatchSettings = DispatchSettings()
    escalation: EscalationSettings = EscalationSettings()
    watch: WatchSettings = WatchSettings()
    log: LogSettings = LogSettings()
    tracing: TracingSettings = TracingSettings()
    service: ServiceSettings = ServiceSettings()
    adapters: dict[str, dict[str, Any]] = {}
    rules: str = ""
    targets: str = ""
    templates: str = ""
    boundaries: str = "boundaries.geojson"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over secret files, and both over bridge.yaml."""
        files = NestedSecretsSettingsSource(file_secret_settings, secrets_prefix=PREFIX, secrets_nested_delimiter="__")
        return env_settings, files, init_settings


@dataclass(frozen=True)
class Loaded:
    """Settings, the folder that their relative paths start from, and the file that they were read from, if any."""

    settings: Settings
    base: Path
    file: Path | None = None

    def path(self, name: str) -> Path:
        """Resolve a path that the settings name."""
        return self.base / name


def load_settings(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Loaded:
    """Read the settings; raise ``InvalidInput`` with every fault at once.

    Without ``path`` it is ``config/bridge.yaml`` if that is there, else the built-in defaults with the example rules,
    targets and templates switched off.
    """
    environment = os.environ if environment is None else environment
    chosen = path or (DEFAULT_PATH if DEFAULT_PATH.is_file() else None)
    values = read_yaml(chosen) if chosen else None
    if not isinstance(values, dict | None):
        raise InvalidInput(f"{chosen}: is not a mapping; allowed: the sections of bridge.yaml")
    given = {key: value for key, value in (values or {}).items() if value is not None}  # all lines may be comments
    secrets = Path(environment.get(f"{PREFIX}SECRETS_DIR", "/run/secrets"))
    unknown = _unknown_variables(environment)
    # Checked here, for pydantic's settings take some names (_env_file) as orders to themselves.
    unknown += [
        f"{chosen}: {key}: is not a known key" for key in sorted(set(map(str, given)) - set(Settings.model_fields))
    ]
    given = {key: value for key, value in given.items() if key in Settings.model_fields}
    try:
        settings = Settings(_secrets_dir=secrets if secrets.is_dir() else None, **given)
    except ValidationError as error:
        raise InvalidInput(*unknown, *(_blame(line, chosen, environment) for line in explain(error))) from None
    except (SettingsError, UnicodeDecodeError) as error:
        what = f"environment or secret file: {error}; allowed: JSON for a list or a whole section"
        raise InvalidInput(*unknown, what) from None
    if unknown:
        raise InvalidInput(*unknown)
    return Loaded(settings, chosen.resolve().parent if chosen else Path.cwd(), chosen.resolve() if chosen else None)


def _blame(line: str, file: Path | None, environment: Mapping[str, str]) -> str:
    """Say where a value comes from that is not allowed: a variable wins over the file."""
    key = line.partition(":")[0]
    parts = key.split(".")
    for depth in range(len(parts), 0, -1):
        name = PREFIX + "__".join(parts[:depth])
        for variable in environment:
            if variable.upper() == name.upper():
                return f"{variable}: {line}"
    return f"{file or 'settings'}: {line}"


def _unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """A mistyped variable would silently do nothing, so it is refused."""
    known = {f"{PREFIX}SECRETS_DIR"} | {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    strange = [
        name
        for name in environment
        if name.startswith(PREFIX) and not name.startswith("BRIDGE_TEST_") and name.split("__")[0].upper() not in known
    ]
    return [f"{name}: is not a setting; allowed: BRIDGE_<SECTION>__<KEY>" for name in sorted(strange)]
