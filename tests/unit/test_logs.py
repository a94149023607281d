"""What the log tells, and what it never tells."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from bridge import logs
from bridge.settings import LogSettings

SECRETS = [
    "amqp://guest:geheim@mq.example.nl:5672/vhost",
    "amqp://guest:ge@heim@mq.example.nl/",
    "postgresql://bridge:ge/heim@db.example.nl:5432/bridge",
    "https://geheim@example.nl/",
    "signed with whsec_geheim+/abc=",
    "GET /v23.0/page/feed?limit=10&access_token=geheim&fields=id",
    "appsecret_proof=geheim",
    "client_secret=geheim",
    "password=geheim host=db",
    '{"page_token": "geheim", "id": 1}',
    "Authorization: Bearer geheim",
    "Authorization: Basic geheim",
    "headers {'Authorization': 'Bearer geheim'}",
    "sent with bearer geheim",
    "token EAAGgeheimgeheimgeheim1234",
]
HARMLESS = [
    "http://127.0.0.1:9100/messages/abc",
    "https://example.nl:8443/pad?x=1#y",
    "secret_file: cannot be read (No such file or directory)",
    "token: is not set; allowed: secret_env or secret_file",
    "ans@example.nl: mailbox unavailable",
]


class Log:
    """A configured log and what it wrote."""

    def __init__(self, form: str = "json", level: str = "info", stream: io.StringIO | None = None) -> None:
        self.stream = stream or io.StringIO()
        logs.configure(LogSettings.model_validate({"format": form, "level": level}), self.stream)
        self.log = structlog.get_logger()

    @property
    def text(self) -> str:
        """Everything that was written."""
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Every line, read as JSON."""
        return [json.loads(line) for line in self.text.splitlines()]


def caught(error: Exception) -> Exception:
    """Give an exception that was raised, with its traceback."""
    try:
        raise error
    except type(error) as raised:
        return raised


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    """Leave logging as it was."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before, level
    structlog.reset_defaults()


def test_a_line_is_one_json_object_with_time_level_and_event() -> None:
    """A machine reads each line by itself: an instant in UTC, a level, an event, and the fields as they are."""
    made = Log()
    made.log.info("step done", case="zaak", seconds=0.25, attempts=2, ready=True, why=None)
    (line,) = made.lines
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "info",
        "event": "step done",
        "case": "zaak",
        "seconds": 0.25,
        "attempts": 2,
        "ready": True,
        "why": None,
    }


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_hidden_wherever_it_stands(form: str, secret: str) -> None:
    """Passwords in URLs, tokens and signing secrets are hidden in events, fields, lists, and exceptions."""
    made = Log(form)
    made.log.info(secret, error=secret, deep={"list": [secret]}, exception_value=ValueError(secret))
    made.log.error("failed", exc_info=caught(RuntimeError(secret)))
    logging.getLogger("aiormq").error("lost %s", secret)
    assert "geheim" not in made.text
    assert "heim" not in made.text
    assert "***" in made.text


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays_readable(text: str) -> None:
    """Ports, mail addresses and the names of settings are not mistaken for secrets."""
    assert logs.mask(text) == text


@pytest.mark.parametrize("key", ["token", "page_token", "secret", "webhook_secret", "password", "Authorization"])
def test_a_field_named_after_a_secret_is_hidden(key: str) -> None:
    """The value of such a field is hidden, whatever it looks like."""
    made = Log()
    made.log.info("x", **{key: "geheim"}, more={key: ["geheim"]}, kept=SecretStr("geheim"))
    assert "geheim" not in made.text
    assert made.lines[0][key] == "***"


@pytest.mark.parametrize("key", ["text", "body", "html", "description"])
def test_a_text_is_never_logged(key: str) -> None:
    """What an alert says is dropped by the name of its field, at any depth (I6); bytes are only counted."""
    made = Log()
    made.log.info("x", **{key: "Vermist: jongen"}, alert={key: "Vermist: jongen", "id": 1}, raw=b"Vermist")
    assert "Vermist" not in made.text
    assert made.lines[0]["alert"] == {"id": 1}
    assert made.lines[0]["raw"] == "<7 bytes>"


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_value_cannot_forge_a_line_or_play_with_the_terminal(form: str) -> None:
    """Line breaks, escape sequences, direction marks and lone surrogates in values come out as harmless text."""
    made = Log(form)
    hostile = "zaak\n2026-11-22 [error] forged\r\x1b[2J\x9b31m\u2028\u202e\ud800\x00"
    made.log.info(hostile, case=hostile, deep=[hostile])
    logging.getLogger("aiohttp.server").warning("bad request %s", hostile)
    assert len(made.text.splitlines()) == 2
    assert not any(ord(char) < 32 or ord(char) == 127 for char in made.text.replace("\n", ""))
    assert "\\n2026-11-22 [error] forged" in made.text.replace("\\\\", "\\")


def test_an_exception_is_told_without_local_variables() -> None:
    """Type, message and traceback are there; what stood in variables is not."""
    made = Log()

    def fail(word: str) -> None:
        words = word.capitalize()
        raise ValueError(f"cannot read {len(words)} characters")

    try:
        fail("vermist")
    except ValueError:
        made.log.exception("failed", case="zaak")
    (line,) = made.lines
    assert line["case"] == "zaak"
    assert (line["exception"]["type"], line["exception"]["message"]) == ("ValueError", "cannot read 7 characters")
    assert "in fail\n" in line["exception"]["traceback"]
    assert "Vermist" not in made.text


def test_a_traceback_on_a_terminal_cannot_pass_for_the_log() -> None:
    """Each line of a traceback is indented, those of a hostile message too."""
    made = Log("console")
    made.log.error("failed", exc_info=caught(ValueError("x\n2026-11-22T10:00:00Z [info] all is well \x1b[31m")))
    first, *others = made.text.splitlines()
    assert "failed" in first
    assert others
    assert all(line.startswith("    ") for line in others)
    assert "\x1b" not in made.text


def test_libraries_are_heard_from_warning_on() -> None:
    """A library's warnings and errors come out as ours do, under its name; its chatter does not."""
    made = Log()
    logger = logging.getLogger("aio_pika.robust_connection")
    logger.info("connecting")
    logger.warning("lost %s after %d s, 100%%", "mq", 3)
    logging.getLogger("asyncio").error("Task failed", exc_info=caught(ConnectionError("reset")))
    logging.getLogger("odd").log(35, "odd level")
    first, second, third = made.lines
    assert (first["event"], first["level"]) == ("lost mq after 3 s, 100%", "warning")
    assert first["logger"] == "aio_pika.robust_connection"
    assert (second["level"], second["exception"]["message"]) == ("error", "reset")
    assert third["level"] == "warning"


def test_a_librarys_slip_in_its_arguments_is_still_logged() -> None:
    """A message whose arguments do not fit comes out as it is, and the library goes on."""
    made = Log()
    ours = logging.getLogger().handlers[-1]
    ours.handle(logging.LogRecord("odd", logging.WARNING, "odd.py", 1, "wrong %d", ("arguments",), None))
    assert made.lines[0]["event"] == "wrong %d"


def test_the_level_holds_and_a_second_call_replaces_the_first() -> None:
    """Only the last configuration writes, only from its level on, and each line once."""
    first = Log(level="debug")
    second = Log(level="error")
    second.log.warning("quiet")
    logging.getLogger("aiohttp").warning("quiet")
    logging.getLogger("aiohttp").error("loud")
    assert first.text == ""
    assert [line["event"] for line in second.lines] == ["loud"]


def test_the_form_follows_where_the_log_goes() -> None:
    """Auto is JSON for a file and readable on a terminal."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    to_file, to_terminal = Log("auto"), Log("auto", stream=Terminal())
    to_terminal.log.info("ready", part="queue")
    assert "{" not in to_terminal.text
    assert "ready" in to_terminal.text
    to_file = Log("auto")
    to_file.log.info("ready", part="queue")
    assert to_file.lines[0]["part"] == "queue"


def test_odd_values_never_break_a_line() -> None:
    """A number that JSON has no word for, an object and an endless text are all one readable line."""
    made = Log()
    made.log.info("x", nan=float("nan"), thing=object, long="a" * 100_000, keys={1: "one"})
    (line,) = made.lines
    assert line["nan"] == "nan"
    assert line["keys"] == {"1": "one"}
    assert len(line["long"]) == logs.MAX_VALUE


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_value_is_too_much_for_the_log(form: str) -> None:
    """A number of 5,000 digits, a mapping 3,000 deep and a list of a million are one short line, with all its fields."""
    deep: dict[str, Any] = {}
    for _ in range(3_000):
        deep = {"a": deep}
    made = Log(form)
    made.log.info("much", number=10**5_000, deep=deep, long=list(range(10**6)), keys={10**5_000: 1}, last="here")
    assert "a number of 16610 bits" in made.text
    assert "here" in made.text
    assert len(made.text) < 10_000


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_name_is_as_harmless_as_its_value(form: str) -> None:
    """Names of fields come from strangers too: they break no line, play with no terminal, and hide secrets still."""
    made = Log(form)
    names = {"a\n2026-11-22 [info] all is well\x1b[2J": 1, "page\u202e_token": "geheim", "text": "Vermist", b"x": 2}
    made.log.info("names", inside=names, **{"out\nside\x1b": 1, "x\n_secret": "geheim"})
    assert len(made.text.splitlines()) == 1
    assert "\x1b" not in made.text
    assert "geheim" not in made.text
    assert "Vermist" not in made.text


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    """A full disk or a closed terminal costs the line, not the bridge."""

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    Log(stream=Full()).log.error("lost")
    closed = Log()
    closed.stream.close()
    closed.log.error("lost")
    logging.getLogger("asyncio").error("lost")
