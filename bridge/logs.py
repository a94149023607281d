"""How the bridge logs: one line an event, JSON for machines or readable on a terminal; never a secret or a text."""

from __future__ import annotations

import json
import logging
import math
import re
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from types import TracebackType
from typing import Any, Self, TextIO, TypeVar

import structlog

from bridge.settings import LogSettings

MAX_VALUE = 2_000  # characters
SHORT = 200  # characters of a text whose safe form is remembered
MAX_KEY = 200
MAX_VALUES = 1_000  # within the lists and mappings of one line
MAX_DEPTH = 20
MAX_BITS = 256  # of an integer; Python refuses to write one of more than 4300 digits
MAX_TRACEBACK = 20_000
HIDDEN = "***"

_Fields = structlog.typing.EventDict
_T = TypeVar("_T")

_DROPPED = frozenset({"text", "body", "html", "description"})  # what an alert says is not for the log (I6)
_SECRET_KEY = re.compile(r"(?:^|[_-])(?:token|secret|password|passwd|authorization|api_?key)s?$", re.IGNORECASE)
_SECRETS = tuple(
    (re.compile(pattern, re.IGNORECASE), rf"\g<1>{HIDDEN}")
    for pattern in (
        r"(://)[^\s/?#]*(?=@)",  # user:password@host
        r"(://)[^\s:/?#@]*:(?!\d+(?:[/?#\s]|$))[^\s@]{0,200}(?=@)",  # the same with a slash in the password
        r"(whsec_)[\w+/=-]+",
        r"((?:token|secret|password|passwd|appsecret_proof|signature)=)[^\s&\"'<>;,]+",
        r"([\"'][\w-]*(?:token|secret|password|passwd)[\"']\s*:\s*[\"'])[^\"']*",
        r"(authorization[\"']?\s*[:=]\s*[\"']?)(?:\w+\s+)?[^\s\"',]+",
        r"(\bbearer\s+)[^\s\"',]+",
        r"(\bEAA)[a-z0-9]{16,}",  # an access token of Facebook
    )
)
_SUSPECT = re.compile(r"[:=]|whsec_|bearer|EAA", re.IGNORECASE)  # each of those has one of these
# Line breaks forge log lines, escape sequences play with terminals, direction marks turn a line around.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def configure(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Send the log of the bridge and of its libraries to ``stream`` (stderr). May be called again."""
    stream = stream or sys.stderr
    readable = settings.format == "console" or (settings.format == "auto" and stream.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _describe_exception,
            _make_safe,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *(_for_people(stream) if readable else [_as_json]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(settings.level),
        logger_factory=_Writer(stream),
        cache_logger_on_first_use=False,
    )
    _route_libraries()


def mask(text: str) -> str:
    """Hide every secret that can be told by its looks: passwords in URLs, tokens, signing secrets."""
    if _SUSPECT.search(text):
        for pattern, replacement in _SECRETS:
            text = pattern.sub(replacement, text)
    return text


def _describe_exception(_logger: object, _method: str, fields: _Fields) -> _Fields:
    """Tell type, message and traceback; never local variables, for texts and tokens live there."""
    error = fields.pop("exc_info", None)
    if isinstance(error, tuple):
        error = error[1]
    elif error and not isinstance(error, BaseException):
        error = sys.exception()
    if isinstance(error, BaseException):
        lines = "".join(traceback.format_exception(error))
        fields["exception"] = {"type": type(error).__qualname__, "message": str(error), "traceback": _Lines(lines)}
    return fields


class _Lines(str):
    """Text whose line breaks are our own."""

    __slots__ = ()


def _make_safe(_logger: object, _method: str, fields: _Fields) -> _Fields:
    return _Safe().items(fields.items(), MAX_DEPTH)


class _Safe:
    """Makes the values of one line safe; what is too much of it is left out, for no value may stop what logs it."""

    def __init__(self) -> None:
        self._left = MAX_VALUES

    def items(self, fields: Iterable[tuple[Any, Any]], depth: int) -> dict[str, Any]:
        """Make keys and values safe."""
        safe: dict[str, Any] = {}
        for key, value in fields:
            name = _words(key, MAX_KEY)
            if name not in _DROPPED:
                safe[name] = HIDDEN if _is_secret(name) else self._value(value, depth - 1)
        return safe

    def _value(self, value: Any, depth: int) -> Any:
        match value:
            case str() if not isinstance(value, _Lines):  # most values
                return _words(value)
            case None | bool():
                return value
            case int():
                return value if value.bit_length() <= MAX_BITS else _words(value)
            case float():
                return value if math.isfinite(value) else str(value)
            case _Lines():
                return _Lines("\n".join(_one_line(line) for line in mask(value)[-MAX_TRACEBACK:].rstrip().split("\n")))
            case Mapping() | list() | tuple() | set() | frozenset() if not depth:
                return "…"
            case Mapping():
                return self.items(self._some(value.items()), depth)
            case list() | tuple() | set() | frozenset():
                return [self._value(item, depth - 1) for item in self._some(value)]
            case _:
                return _words(value)

    def _some(self, values: Iterable[_T]) -> Iterator[_T]:
        for value in values:
            if self._left <= 0:
                return
            self._left -= 1
            yield value


def _words(value: Any, most: int = MAX_VALUE) -> str:
    if isinstance(value, str) and len(value) <= SHORT:
        return _short(value, most)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        return f"<a number of {value.bit_length()} bits>"
    return _one_line(mask(str(value)))[:most]


@lru_cache(maxsize=4096)
def _short(text: str, most: int) -> str:
    """Keys and most values come again in every line."""
    return _one_line(mask(text))[:most]


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return bool(_SECRET_KEY.search(name))


def _one_line(text: str) -> str:
    return _UNSAFE.sub(lambda match: match.group().encode("unicode_escape").decode(), text)


def _as_json(_logger: object, _method: str, fields: _Fields) -> str:
    first = {key: fields[key] for key in ("timestamp", "level", "event") if key in fields}
    return json.dumps({**first, **fields})


def _for_people(stream: TextIO) -> list[structlog.typing.Processor]:
    renderer = structlog.dev.ConsoleRenderer(
        colors=stream.isatty(), sort_keys=False, exception_formatter=structlog.dev.plain_traceback
    )
    return [_indent_traceback, renderer]


def _indent_traceback(_logger: object, _method: str, fields: _Fields) -> _Fields:
    """Set a traceback apart, so that no line of it can pass for a line of the log."""
    exception = fields.get("exception")
    if isinstance(exception, dict):
        fields["exception"] = "\n".join(f"    {line}" for line in exception["traceback"].splitlines())
    return fields


class _Writer:
    """Writes whole lines. A log that cannot be written (a full disk, a closed terminal) stops nothing."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def __call__(self, *_names: Any) -> Self:
        return self

    def msg(self, line: str) -> None:
        try:
            with self._lock:
                self._stream.write(f"{line}\n")
                self._stream.flush()
        except (OSError, ValueError):
            return

    debug = info = warning = error = critical = msg


class _Route(logging.Handler):
    """Brings what libraries log into our log."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except (TypeError, ValueError):  # a library's own slip in its arguments
            message = str(record.msg)
        level = min(record.levelno // 10 * 10, logging.CRITICAL)
        error: tuple[Any, Any, TracebackType | None] | None = record.exc_info or None
        log = structlog.get_logger()
        log.log(level, message, logger=record.name, **({"exc_info": error} if error else {}))


def _route_libraries() -> None:
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler, _Route)]:
        root.removeHandler(old)
    root.addHandler(_Route(logging.WARNING))
    root.setLevel(logging.WARNING)
