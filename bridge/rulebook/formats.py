"""The matrix in a terminal, as CSV, as Markdown, and as a page to print and sign. Every text in it is untrusted."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge import show
from bridge.core import rule_words
from bridge.core.alert import Category
from bridge.core.rule_matrix import Cell
from bridge.core.target import OwnerKind
from bridge.rulebook.report import Column, Report
from bridge.rulebook.trial import Played
from bridge.rulebook.words import WORDS

SYMBOLS = {"allow": "✔", "deny": "✖", "partly": "◐"}
_STYLES = {"allow": "green", "deny": "yellow", "partly": "cyan"}
_PAGE = Environment(
    loader=PackageLoader("bridge.rulebook", ""),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    keep_trailing_newline=True,
)


def table(console: Console, report: Report) -> None:
    """Draw the matrix in a terminal; beneath it stands what decides."""
    words = WORDS[report.language]
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in (words["category"], *("\n".join(heading(report, column)) for column in report.columns)):
        drawn.add_column(Text(show.clean(name)), overflow="fold", no_wrap=name == words["category"])
    for category in Category:
        cells = [report.at(column, category) for column in report.columns]
        marks = [
            Text(f"{words[cell.verdict]} {' '.join(map(str, numbers(report, cell)))}", style=_STYLES[cell.verdict])
            for cell in cells
        ]
        drawn.add_row(category.value, *marks)
    console.print(drawn)
    for one in report.listed():
        serves = f" ({', '.join(one['serves'])})" if one["serves"] else ""
        when = f" [{one['when']}]" if one["when"] else ""
        line = f"{one['number']:>3}  {one['name']}{serves}: {words[says(one)]}{when}; {one['reason']}"
        console.print(Text(show.clean(line)))


def heading(report: Report, column: Column) -> tuple[str, str]:
    """Name the channels and the owners of a column."""
    channels = ", ".join(report.label(channel) for channel in column.channels)
    return channels, ", ".join(rule_words.owner(owner, report.language) for owner in column.owners)


def numbers(report: Report, cell: Cell) -> list[int]:
    """Give the numbers of what decides a cell."""
    return [report.number(one) for one in (cell.usual, *cell.others)]


def says(listed: dict[str, object]) -> str:
    """Name the word for what a decider says."""
    return "says_photo" if listed["photo_only"] else "says_allow" if listed["allowed"] else "says_deny"


def as_csv(report: Report) -> str:
    """Write a row for each category, channel and owner."""
    words = WORDS[report.language]
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([words[name] for name in ("category", "channel", "owner", "verdict", "by", "reason", "hangs_on")])
    for channel in report.channels:
        for owner in OwnerKind:
            for category in Category:
                cell = report.cell(report.cells[channel, owner, category])
                others = "; ".join(
                    f"{one['when'] or words['always']}: {words[says(one)]} ({one['by']})" for one in cell["hangs_on"]
                )
                fields = (category.value, channel.name, owner.value, words[cell["verdict"]], cell["by"])
                writer.writerow([_no_formula(text) for text in (*fields, cell["reason"], others)])
    return out.getvalue()


def _no_formula(text: str) -> str:
    """Keep a spreadsheet from taking a text for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def as_markdown(report: Report) -> str:
    """Write the matrix and what decides as two tables."""
    words = WORDS[report.language]
    lines = [f"# {words['title']}", ""]
    lines += _rows([words["category"], *(": ".join(heading(report, column)) for column in report.columns)])
    for category in Category:
        cells = [report.at(column, category) for column in report.columns]
        marks = [f"{words[cell.verdict]} {' '.join(map(str, numbers(report, cell)))}" for cell in cells]
        lines += _rows([rule_words.category(category, report.language), *marks], head=False)
    lines += ["", f"## {words['deciders']}", ""]
    lines += _rows([words[name] for name in ("nr", "by", "what", "when", "reason", "serves")])
    for one in report.listed():
        fields = (one["number"], one["name"], words[says(one)], one["when"], one["reason"], " ".join(one["serves"]))
        lines += _rows([str(field) for field in fields], head=False)
    if report.findings:
        lines += ["", f"## {words['findings']}", "", *(f"- {_plain(line)}" for line in report.findings)]
    return "\n".join(lines) + "\n"


def _rows(cells: list[str], *, head: bool = True) -> list[str]:
    row = f"| {' | '.join(map(_plain, cells))} |"
    return [row, f"|{' --- |' * len(cells)}"] if head else [row]


def _plain(text: str) -> str:
    """Let nothing in a text be mark-up."""
    return re.sub(r"([\\`*_{}\[\]<>|#&~!])", r"\\\1", " ".join(text.split()))


def as_html(report: Report, made: datetime, digest: str) -> str:
    """Write the page that people read, print and sign; it needs nothing but itself."""
    return _PAGE.get_template("matrix.html.j2").render(
        report=report,
        words=WORDS[report.language],
        symbols=SYMBOLS,
        categories=[(one, rule_words.category(one, report.language)) for one in Category],
        heading=lambda column: heading(report, column),
        numbers=lambda cell: numbers(report, cell),
        says=says,
        made=made.strftime("%d-%m-%Y %H:%M" if report.language == "nl" else "%Y-%m-%d %H:%M"),
        digest=digest[:16],
    )


def tests_lines(played: Sequence[Played], missing: Sequence[str], language: str) -> Iterator[str]:
    """Tell what came of the tests: of each that failed the difference, at last the count and what no test proves."""
    failed = [one for one in played if one.failed]
    for one in failed:
        yield f"{one.at}: {one.trial.name}"
        for channel in one.failed:
            wanted, found = channel.lines()
            yield f"  {channel.channel}"
            yield f"  - {wanted}"
            yield f"  + {found}: {channel.decision.explain(language)}"
    yield f"{len(played) - len(failed)} of {len(played)} tests hold"
    if missing:
        yield f"no test serves {', '.join(missing)}"


def tests_data(played: Sequence[Played], missing: Sequence[str]) -> dict[str, Any]:
    """Give what came of the tests, as JSON has it."""
    rows = [
        {"test": one.trial.name, "at": one.at, "holds": not one.failed, "problems": [*one.problems()]} for one in played
    ]
    return {"tests": rows, "unserved": list(missing)}
