"""Texts: templates, boards, and what goes into the log."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import structlog
from pydantic import ValidationError

from bridge import logs
from bridge.core.advice import REMARKS, Advising, advise
from bridge.core.alert import Alert
from bridge.core.content import Phase, Words
from bridge.core.layout import DoesNotFit, lay_out
from bridge.core.target import Sign
from bridge.policy import PACKAGED
from bridge.rendering import Templates
from bridge.settings import LogSettings
from tests.fuzz.harness import promise, target
from tests.fuzz.mutate import Shape
from tests.fuzz.promises import readable

TEMPLATES = Templates(PACKAGED / "templates")
PLAIN = Words(
    case="zaak",
    phase=Phase.OPENED,
    language="nl",
    category="missing_child_alert",
    headline="kop",
    description="wat",
    instruction="oproep",
    sender="wie",
    area="waar",
)
FIELDS = ("headline", "description", "instruction", "sender", "area", "case")


class _Tags(HTMLParser):
    """The bones of a page: its tags with their attributes, and what is comment or order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.bones: list[Any] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag; the words in its attributes may differ, but not which there are."""
        # A title and an alternative text hold words of the alert; where a link leads may not change.
        self.bones.append((tag, [(name, value if name in ("href", "src", "style") else "") for name, value in attrs]))

    def handle_endtag(self, tag: str) -> None:
        """Keep the end of a tag."""
        self.bones.append(tag)

    def handle_comment(self, data: str) -> None:
        """Keep a comment, which no words may open."""
        self.bones.append(data)

    def handle_decl(self, decl: str) -> None:
        """Keep a declaration."""
        self.bones.append(decl)


@target(
    shape=Shape.JSON,
    seeds=[
        json.dumps(
            {**{name: getattr(PLAIN, name) for name in FIELDS}, "language": "nl", "phase": "opened", "photo": True}
        ),
        json.dumps(
            {
                **dict.fromkeys(FIELDS, "<b>&amp;{{ 7*7 }}"),
                "language": "fr",
                "phase": "ended",
                "outcome": "resolved",
            }
        ),
    ],
)
def templates(data: bytes) -> None:
    """Hostile words in every shipped template: they change no tag, no link, and are all there."""
    try:
        given = dict(json.loads(data))
        texts = {name: str(given.get(name, "")) for name in FIELDS}
        json.dumps(texts, ensure_ascii=False).encode()  # what no event can hold is no input
    except (ValueError, TypeError, RecursionError):
        return
    texts["description"] = texts["description"].strip() or "x"
    for name in ("headline", "sender", "area", "case"):
        texts[name] = " ".join(texts[name].split()) or "x"
    language = given.get("language") if given.get("language") in ("nl", "en", "de", "fr") else "nl"
    phase = Phase.ENDED if given.get("phase") == "ended" else Phase.OPENED
    outcome = "resolved" if phase is Phase.ENDED else ""
    words = replace(PLAIN, **texts, language=language, phase=phase, outcome=outcome, photo=bool(given.get("photo")))
    plain = replace(words, **{name: "x" if texts[name].strip() else texts[name] for name in FIELDS})
    for channel in ("email", "facebook", "outbox"):
        text, html = TEMPLATES.render(channel, words)
        seen = "".join(text.split())
        promise("".join(words.description.split()) in seen, "a message says the whole description")
        if html:
            like = TEMPLATES.render(channel, plain)[1]
            ours, theirs = _shape(html), _shape(like)
            promise(ours == theirs, "words change no tag, attribute or link of a page")


@target(
    shape=Shape.TEXT,
    seeds=[
        "{% extends '_part.j2' %}{% block foot %}{{ super() }}{% endblock %}{% include '_part.j2' ignore missing %}",
        "{% for a in range(9) %}{% for b in headline %}{{ (a * 9 ** 2) ~ b|upper }}{% endfor %}{% endfor %}",
        "{% macro m(n) %}{{ m(n - 1) if n }}{{ headline[:n] * 3 }}{% endmacro %}{{ m(9) }}{# #}{{ x.__class__ }}",
    ],
    most=4_000,
)
def template_source(data: bytes) -> None:
    """Whatever an administrator writes for a template: a message, or one line that names the file; never a hang."""
    try:
        source = data.decode()
    except UnicodeDecodeError:
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / "nl" / "email" / "opened.txt.j2"
        path.parent.mkdir(parents=True)
        path.write_text(source, "utf-8")
        (Path(folder) / "_part.j2").write_text("{{ headline }}", "utf-8")
        made = readable(lambda: Templates(Path(folder)))
        told = readable(lambda: made.render("email", PLAIN)) if made else None
    promise(told is None or told[0], "a message is not empty")


def _shape(html: str) -> list[Any]:
    """Give the bones without line breaks, which stand for those of the words."""
    return [bone for bone in _Tags(html).bones if bone not in ("br", ("br", []))]


@target(
    shape=Shape.TEXT,
    seeds=[
        "16 5 2\nLeiden: jongen (8) vermist. Rode jas, blauwe muts. Gezien? Bel 112.",
        "1 1 100\na b\tc\u00a0d\u2003e\u200bf",
        "500 100 100\n" + "woord " * 2_000,
    ],
    most=40_000,
)
def layout(data: bytes) -> None:
    """A text on a board: whole, word for word, within its size, or refused (I7)."""
    head, _, rest = data.partition(b"\n")
    text = rest.decode("utf-8", "replace")
    sizes = [int(word) for word in head.split()[:3] if word.isdigit() and len(word) < 5]
    columns, rows, pages = (*sizes, 16, 5, 2)[:3] if len(sizes) == 3 else (16, 5, 2)
    sign = Sign(columns=max(1, min(500, columns)), rows=max(1, min(100, rows)), pages=max(1, min(100, pages)))
    try:
        shown = lay_out(text, sign, "TEST" if sign.columns > 3 and len(text) % 2 else "")
    except DoesNotFit as refusal:
        promise(str(refusal).isprintable() and refusal.dutch.isprintable(), "a refusal is one printable line")
        return
    lines = [line for page in shown for line in page]
    promise(
        " ".join(lines).removeprefix("TEST ").split() == text.split() or lines[:1] == ["TEST"],
        "pages read back give the text",
    )
    promise(all(sign.face.measure(line) <= sign.columns for line in lines), "a line fits")
    promise(len(shown) <= sign.pages and all(len(page) <= sign.rows for page in shown), "pages fit")


@target(
    shape=Shape.TEXT,
    seeds=["JONGEN VERMIST. Zie bit.ly/x of bel 071-512 34 56, 0900-8844, +31 6 12345678. Misschien."],
    most=20_000,
)
def advice(data: bytes) -> None:
    """Advice on a text: some printable lines, in little time."""
    text = data.decode("utf-8", "replace")
    try:
        read = Alert.model_validate({"category": "missing_child", "info": [{"description": text}]})
    except ValidationError:
        return
    said = advise(read, Advising())
    promise(len(said) <= REMARKS + 1, "advice is no page")
    promise(all(one.say(language).isprintable() for one in said for language in ("nl", "en")), "advice is lines")


SECRET = "Gehe1mW00rd"


@target(
    shape=Shape.JSON,
    seeds=[
        json.dumps(
            {"event": "ready", "case": "zaak", "count": 3, "inside": {"a": [1, {"b": None}], "page_token": "x"}}
        ),
        json.dumps({"event": "x\ny", "a\nb": "\x1b[2J", "text": "Vermist", "big": 10**4_000, "url": "amqp://a:b@c/"}),
    ],
)
def log(data: bytes) -> None:
    """Anything as the fields of a log line: one line, printable, without what is secret."""
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        return
    fields = {str(key): value for key, value in fields.items()} if isinstance(fields, dict) else {"value": fields}
    name = str(fields.pop("event", "x"))
    fields |= {"page_token": SECRET, "where": f"{name[:50]} amqp://user:{SECRET}@mq/ {name[:50]}"}
    for form in ("json", "console"):
        stream = io.StringIO()
        logs.configure(LogSettings.model_validate({"format": form}), stream)
        structlog.get_logger().warning(name, **{key: value for key, value in fields.items() if key not in _TAKEN})
        written = stream.getvalue()
        promise(written.endswith("\n") and len(written.splitlines()) == 1, "one event is one line")
        promise(written[:-1].isprintable() or form == "console", "a line does nothing to a terminal")
        promise(not set(written[:-1]) & _ORDERS, "a line holds no order to a terminal")
        promise(SECRET not in written, "a secret is hidden")
        promise(form == "console" or isinstance(json.loads(written), dict), "a line is JSON")


_TAKEN = {
    "exc_info",
    "stack_info",
    "exception",
    "stack",
    "_record",
    "_from_structlog",
    "self",
    "event",
    "level",
    "timestamp",
}
_ORDERS = {*map(chr, range(32)), *map(chr, range(0x7F, 0xA0)), "\u202e", "\u2066", "\u2028"}
