"""The matrix on paper: what each form says is what is decided, and no text in it is mark-up."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from bridge.core.alert import Category, Status, Urgency
from bridge.core.rule_matrix import Verdict
from bridge.core.rule_space import Channel, Space
from bridge.core.rules import DECIDED_BY, Facts, Reason, Rule, RuleFile, decide
from bridge.core.target import OwnerKind
from bridge.rulebook import formats
from bridge.rulebook.report import Report
from bridge.rulebook.words import WORDS
from bridge.show import WORDS as SHOWN
from tests.unit.hostile import CHANNELS
from tests.unit.samples import rule

RULES = Path(__file__).parents[2] / "config" / "rules.yaml"
SHIPPED = RuleFile.model_validate(yaml.safe_load(RULES.read_text("utf-8"))).rules
ALL_CHANNELS = [Channel(name, name in ("sign", "display")) for name in CHANNELS]
MADE = datetime(2026, 11, 26, 12, 30, tzinfo=UTC)
BAD = "<script>alert(1)</script>\"'|`*=1+1"


def report(rules: Any = SHIPPED, language: str = "nl", findings: tuple[str, ...] = ()) -> Report:
    """Make a report."""
    return Report(Space(ALL_CHANNELS, rules), findings, language)


def hostile() -> Rule:
    """Give a rule whose reasons are mark-up."""
    return Rule.model_validate({"name": "x", "effect": "allow", "serves": [BAD], "reason": {"nl": BAD, "en": "=cmd()"}})


def usual(channel: Channel, owner: OwnerKind, category: Category) -> Facts:
    """Give the alert that a cell tells of first."""
    return Facts(
        *(channel.name, channel.board, owner, category, Status.ACTUAL, Urgency.IMMEDIATE, "nl", False),
        *(frozenset({"circle", "geocode"}), tuple(Status)),
    )


@pytest.mark.parametrize(
    "rules", [SHIPPED, (rule("nl", languages=["nl"]), rule("nee", "deny", area=["polygon"]))], ids=["shipped", "own"]
)
def test_each_cell_is_what_is_decided(rules: Any) -> None:
    """The first that a cell names decides the usual alert; *yes* and *no* are so for every alert without a photo."""
    about = report(rules)
    space = Space(ALL_CHANNELS, rules)
    seen = set()
    for (channel, owner, category), cell in about.cells.items():
        assert cell.usual.decision == decide(usual(channel, owner, category), rules)
        plain = space.where([channel], [owner], [category], None, None, None, [False])
        verdict = {plain: Verdict.ALLOW, 0: Verdict.DENY}.get(plain & space.allowed, Verdict.PARTLY)
        assert cell.verdict is verdict
        seen.add(verdict)
    assert len(about.cells) == 5 * 6 * 26
    assert seen == set(Verdict) if rules is SHIPPED else {Verdict.PARTLY} <= seen


def test_columns_hold_every_channel_and_owner_once() -> None:
    """What is decided alike stands in one column, and nothing is left out of the table."""
    about = report()
    pairs = [(channel, owner) for one in about.columns for channel in one.channels for owner in one.owners]
    assert len(pairs) == len(set(pairs)) == 5 * 6
    for column in about.columns:
        for channel in column.channels:
            for owner in column.owners:
                for category in Category:
                    assert about.cells[channel, owner, category].verdict is about.at(column, category).verdict


def test_words_of_a_cell() -> None:
    """A cell says in words what it hangs on, and what becomes of the photo."""
    about = report()
    outbox, mail, sign = (Channel(name, name == "sign") for name in ("outbox", "email", "sign"))
    town = OwnerKind.MUNICIPALITY
    assert about.note(about.cells[outbox, town, Category.BURGLARY]) == "hangt af van urgentie, foto"
    assert about.note(about.cells[mail, town, Category.BURGLARY]) == "zonder foto"
    assert about.note(about.cells[mail, town, Category.SUSPECT]) == "foto hangt af van urgentie"
    assert about.note(about.cells[sign, town, Category.BURGLARY]) == ""
    spoken = report(
        [
            rule("taal", languages=["nl", "fr"], statuses=["Actual"], area=["none", "circle"]),
            rule("rest", "deny", channels=["email"]),
        ],
        "en",
    )
    assert spoken.note(spoken.cells[outbox, town, Category.FIRE]) == "hangs on status, language, area"
    [listed] = [one for one in spoken.listed() if one["name"] == "taal"]
    assert listed["when"] == "status actual, language Dutch or French, area without an area or circle"


def test_json_has_every_category_channel_and_owner() -> None:
    """The data that scripts read: verdict, what decides and why, for each owner; the shape of before stays."""
    about = json.loads(json.dumps(report(findings=("rules.yaml:3: x",)).data()))
    rows = {row["category"]: row["channels"] for row in about["matrix"]}
    assert set(rows) == set(Category)
    cell = rows["burglary"]["outbox"]
    assert (cell["allowed"], cell["verdict"], cell["by"]) == (True, "partly", "beheerder-acuut")
    assert {
        "by": "beheerder-niet-later-of-voorbij",
        "allowed": False,
        "photo_only": False,
        "when": "urgentie later of voorbij",
    }.items() <= cell["hangs_on"][0].items()
    assert set(cell["owners"]) == set(OwnerKind)
    assert cell["owners"]["commercial"]["by"] == "geen-commerciele-doelen"
    assert rows["hold_up"]["sign"]["by"] == "board_robbery"
    assert about["findings"] == ["rules.yaml:3: x"]
    assert [one["number"] for one in about["deciders"]] == list(range(1, len(about["deciders"]) + 1))


def test_csv_has_a_row_for_each_and_no_formula() -> None:
    """A spreadsheet opens it: 780 rows, and a reason that begins like a formula is text."""
    rows = list(csv.reader(io.StringIO(formats.as_csv(report([hostile()], "en")))))
    assert len(rows) == 1 + 26 * 5 * 6
    assert {len(row) for row in rows} == {7}
    assert ["amber_alert", "email", "citizen", "yes", "x", "'=cmd()", ""] in rows


def test_markdown_is_two_tables() -> None:
    """Every row has as many cells as its head, whatever a reason holds."""
    text = formats.as_markdown(report([hostile()], findings=(BAD,)))
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert len(tables) == 2
    for one in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in one.splitlines()}) == 1
    assert "<script>" not in re.sub(r"\\.", "", text)


class Page(HTMLParser):
    """Reads a page: its elements, which of them are open, and its text."""

    VOID = ("meta", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element."""
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close an element, which must be the one that was opened last."""
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Give the attributes of every such element."""
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.mark.parametrize("language", ["nl", "en"])
def test_the_page_can_be_read_by_everyone(language: str) -> None:
    """Language, title, one heading of the first level, headers with scopes, links that lead somewhere, nothing loaded."""
    text = formats.as_html(report(language=language, findings=("rules.yaml:3: x",)), MADE, "0123456789abcdef0")
    page = Page(text)
    assert page.all("html") == [{"lang": language}]
    assert text.count(f"<title>{WORDS[language]['title']}</title>") == len(page.all("h1")) == len(page.all("main")) == 1
    assert all(one.get("scope") in ("col", "row") for one in page.all("th"))
    assert len(page.all("caption")) == 1
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(names) == len(set(names))
    assert {str(one["href"])[1:] for one in page.all("a")} <= set(names)
    assert all(str(one["href"]).startswith("#") for one in page.all("a"))
    labelled = {attributes["aria-labelledby"] for _, attributes in page.elements if "aria-labelledby" in attributes}
    assert labelled <= set(names)
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in page.elements}
    assert not re.search(r"url\(|@import|https?:", text)
    assert all(
        one.get("tabindex") == "0" and one.get("role") == "region"
        for one in page.all("div")
        if one.get("class") == "scroll"
    )
    assert text.count("<tr") == 1 + 26 + 1 + len(report().listed())
    for word in ("signed", "name", "role", "date", "signature"):
        assert WORDS[language][word] in text


def test_colours_of_the_page_can_be_told_apart() -> None:
    """Text stands out from its ground by 4.5 to 1 (WCAG 2.2, 1.4.3), and lines by 3 to 1 (1.4.11)."""
    text = formats.as_html(report(), MADE, "x")
    css = dict(re.findall(r"--(\w+): (#\w{3,6});", text))
    grounds = ["#ffffff", *re.findall(r"background: (#\w{6})", text)]
    inks = [css["ink"], css["quiet"], css["link"]]
    assert len(grounds) >= 5
    assert min(contrast(ink, ground) for ink in inks for ground in grounds) >= 4.5
    for name in ("allow", "deny", "partly"):
        ground = re.search(rf"\.{name} {{ background: (#\w+)", text)
        ink = re.search(rf"\.{name} b {{ color: (#\w+)", text)
        assert ground
        assert ink
        assert contrast(ink[1], ground[1]) >= 4.5
    assert min(contrast(css["line"], ground) for ground in grounds) >= 3


def contrast(one: str, other: str) -> float:
    """Give the contrast of two colours (WCAG 2.2, relative luminance)."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    """Give how light a colour is, from 0 to 1."""
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_no_text_on_the_page_is_mark_up() -> None:
    """A reason, a served agreement and a finding that are mark-up are shown as they are written."""
    page = formats.as_html(report([hostile()], findings=(BAD,)), MADE, BAD)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 3
    Page(page)


@pytest.mark.parametrize("language", ["nl", "en"])
def test_the_terminal_shows_every_category_and_what_decides(language: str) -> None:
    """The table has a row for each category, and the list below it every number that the table names."""
    out = io.StringIO()
    about = report(language=language)
    formats.table(Console(file=out, width=160), about)
    lines = out.getvalue().splitlines()
    for category in Category:
        assert sum(line.strip().split(" ")[0] == category.value for line in lines) == 1
    for one in about.listed():
        assert any(line.startswith(f"{one['number']:>3}  {one['name']}") for line in lines)
    assert "R24" in out.getvalue()


def test_both_languages_have_the_same_words() -> None:
    """No word of the page is missing in a language, and every part that decides has its word on screen."""
    assert set(WORDS["nl"]) == set(WORDS["en"])
    assert set(DECIDED_BY) == set(Reason)
    assert all(f"by_{part}" in words for words in SHOWN.values() for part in DECIDED_BY.values())
