"""How the commands' answers look in a terminal. Texts from outside are printed as text, never as mark-up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bridge.store.backup import Copied

WORDS: dict[str, dict[str, str]] = {
    "nl": {
        "case": "zaak", "state": "stand", "target": "doel", "channel": "kanaal", "desired": "hoort", "applied": "is",
        "revision": "versie", "attempts": "pogingen", "why": "waarom", "open": "open", "ended": "beëindigd",
        "expired": "verlopen; wacht op een afloop", "outcome": "afloop", "category": "soort", "shown": "getoond",
        "gone": "weg", "refused": "niet hier", "none": "nog niets", "unknown": "onbekend", "nothing": "geen zaken",
        "goes": "gaat", "stays": "gaat niet", "rule": "regel", "empty": "geen berichten", "yes": "ja", "no": "nee",
        "way": "weg open", "resolved": "opgelost", "unresolved": "niet opgelost", "withdrawn": "ingetrokken",
        "nr": "nr", "when": "wanneer", "error": "fout", "no_letters": "geen onleesbare berichten",
        "erased": "teksten en adressen zijn gewist", "by": "door", "by_rule": "regel", "by_invariant": "vaste regel",
        "by_geography": "gebied", "by_language": "taal", "by_layout": "indeling", "by_targets": "doelenlijst",
        "by_operator": "operator", "by_case": "zaak",
    },
    "en": {
        "case": "case", "state": "state", "target": "target", "channel": "channel", "desired": "should be",
        "applied": "is", "revision": "revision", "attempts": "attempts", "why": "why", "open": "open",
        "ended": "ended", "expired": "expired; waits for an outcome", "outcome": "outcome", "category": "category",
        "shown": "shown", "gone": "gone", "refused": "not here", "none": "nothing yet", "unknown": "unknown",
        "nothing": "no cases", "goes": "goes", "stays": "does not go", "rule": "rule", "empty": "no messages",
        "yes": "yes", "no": "no", "way": "way open", "resolved": "resolved", "unresolved": "unresolved",
        "withdrawn": "withdrawn", "nr": "no.", "when": "when", "error": "error", "no_letters": "no dead letters",
        "erased": "texts and addresses are erased", "by": "by", "by_rule": "rule", "by_invariant": "fixed rule",
        "by_geography": "area", "by_language": "language", "by_layout": "layout", "by_targets": "list of targets",
        "by_operator": "operator", "by_case": "case",
    },
}  # fmt: skip
_STYLES = {"shown": "green", "gone": "dim", "refused": "yellow", "unknown": "bold red", "none": ""}


def clean(value: object) -> str:
    """Keep a terminal safe from control characters in texts."""
    return "".join(char if char.isprintable() or char == "\n" else "·" for char in str(value))


def _table(*headings: str) -> Table:
    """Make a table whose last column takes what is left of the line; the others stay on one."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, heading in enumerate(headings, 1):
        last = number == len(headings)
        table.add_column(Text(heading), overflow="fold", no_wrap=not last)
    return table


def _row(table: Table, *cells: object) -> None:
    table.add_row(*(cell if isinstance(cell, Text) else Text(clean(cell)) for cell in cells))


def status(console: Console, found: Mapping[str, Any], language: str) -> None:
    """Draw what every target should show and does show."""
    words = WORDS[language]
    for case in found["cases"]:
        state = words["expired"] if case.get("expired") else words[case["state"]]
        if case["outcome"]:
            state = f"{state}: {words[case['outcome']]}"
        if case["erased"]:
            state = f"{state} ({words['erased']})"
        parts = (f"{words['case']} {case['case']}", case["category"], state, f"{words['revision']} {case['revision']}")
        console.print(Text(clean(" · ".join(parts)), style="bold"))
        for line in case["advice"]:
            console.print(Text(clean(f"! {line}"), style="yellow"))
        table = _table(words["target"], words["channel"], words["state"], words["why"])
        for one in case["postings"]:
            why = f"{one['error']} ({one['attempts']}×)" if one["error"] else one["reason"]
            _row(table, one["target"], one["channel"], _stand(one, words), why)
        console.print(table)
    if not found["cases"]:
        console.print(words["nothing"])


def _stand(one: Mapping[str, Any], words: Mapping[str, str]) -> Text:
    """Say in a word or two what is there, and what should be there when that differs."""
    desired, applied = one["desired"], one["applied"]
    if desired == "refused" and applied in ("none", "gone"):
        return Text(words["refused"], style=_STYLES["refused"])
    if one["settled"] or desired == applied:
        version = f" v{one['revision']}" if applied == "shown" else ""
        return Text(words[applied] + version, style=_STYLES[applied])
    return Text(f"{words[applied]} → {words[desired]}", style="bold yellow")


def outbox(console: Console, messages: Sequence[Mapping[str, Any]], language: str) -> None:
    """Print an admin's messages, each ready to forward."""
    for message in messages:
        title = Text(clean(f"{message['at']} · {message['phase']} · {message['subject']}"))
        console.print(Panel(Text(clean(message["text"])), title=title, title_align="left"))
    if not messages:
        console.print(WORDS[language]["empty"])


def explained(console: Console, rows: Sequence[Mapping[str, Any]], language: str) -> None:
    """Draw for every target whether an alert goes there, and why."""
    words = WORDS[language]
    table = _table(words["target"], words["channel"], "", words["by"], words["why"])
    for row in rows:
        goes = Text(words["goes"], style="green") if row["goes"] else Text(words["stays"], style="yellow")
        by = words[f"by_{row['decided_by']}"]
        _row(table, row["target"], row["channel"], goes, f"{by} {row['rule']}".strip(), row["reason"])
    console.print(table)


def probed(console: Console, rows: Sequence[Mapping[str, Any]], language: str) -> None:
    """Draw for every target whether its way is open."""
    words = WORDS[language]
    table = _table(words["target"], words["channel"], words["way"], words["error"])
    for row in rows:
        way = Text(words["yes"], style="green") if row["open"] else Text(words["no"], style="bold red")
        _row(table, row["target"], row["channel"], way, row["error"])
    console.print(table)


def dead_letters(console: Console, letters: Sequence[Mapping[str, Any]], language: str) -> None:
    """Draw the dead letters with their reasons."""
    words = WORDS[language]
    table = _table(words["nr"], words["when"], words["case"], words["error"])
    for letter in letters:
        _row(
            table, letter["position"], letter.get("time") or "", letter.get("subject") or "", letter.get("error") or ""
        )
    console.print(table if letters else words["no_letters"])


def contents(found: Copied) -> str:
    """Say what a backup holds."""
    rows = found.rows
    cases, postings = (f"{rows[what]} {what[: -1 if rows[what] == 1 else None]}" for what in ("cases", "postings"))
    return f"{cases}, {len(found.open_cases)} of them open; {postings}"


def restored(console: Console, found: Copied, *, moved: bool) -> None:
    """Say what came back, and what people must look at before the bridge starts."""
    when = datetime.fromtimestamp(found.made, UTC).isoformat(timespec="seconds")
    console.print(Text(f"restored from the backup of {when}: {contents(found)}"))
    if found.open_cases and not moved:
        console.print(Text("open at that time; take back what has ended since, before you start the bridge:"))
        for case in found.open_cases:
            console.print(Text(clean(f"  burgernet-bridge retract {case}")), soft_wrap=True)
