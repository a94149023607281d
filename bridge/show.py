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
        "by_operator": "operator", "by_case": "zaak", "seen": "gezien", "seen_ours": "staat er", "seen_dark": "donker",
        "seen_other": "iets anders", "seen_gone": "niet meer", "proof": "bewijs", "proof_dark": "donker gezien",
        "proof_other": "weg gezien", "last": "laatst gezien", "given_up": "wordt niet meer geprobeerd",
        "still_open": "de zaak is nog open",
        "proof_gone": "weggehaald; niet na te zien",
        "proof_told": "verstuurd; afloop verteld", "proof_never": "stond er niet", "proof_not_yet": "NOG NIET",
        "removed": "weggehaald", "proven": "overal weg", "not_proven": "nog niet overal weg", "audited": "nagerekend",
        "no_findings": "geen verschillen; wat nog gaande is, staat in `status`",
        "cases": "zaken", "posting": "plaatsing", "postings": "plaatsingen", "finding": "bevinding",
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
        "by_operator": "operator", "by_case": "case", "seen": "seen", "seen_ours": "there", "seen_dark": "dark",
        "seen_other": "something else", "seen_gone": "no longer", "proof": "proof", "proof_dark": "seen dark",
        "proof_other": "seen gone", "last": "last seen there", "given_up": "not tried again",
        "still_open": "the case is still open",
        "proof_gone": "removed; cannot be seen",
        "proof_told": "sent; outcome told", "proof_never": "was never there", "proof_not_yet": "NOT YET",
        "removed": "removed", "proven": "gone everywhere", "not_proven": "not yet gone everywhere",
        "audited": "audited",
        "no_findings": "no differences; what is still under way stands in `status`",
        "cases": "cases", "posting": "posting", "postings": "postings", "finding": "finding",
    },
}  # fmt: skip
MOST_SEEN = 40  # characters of what stands there instead, in a column
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
        for line in case["advice"] if case["state"] == "open" else ():  # nobody can correct a case that is over
            console.print(Text(clean(f"! {line}"), style="yellow"))
        table = _table(words["target"], words["channel"], words["state"], words["seen"], words["why"])
        for one in case["postings"]:
            why = _failure(one, words) if one["error"] else one["reason"]
            _row(table, one["target"], one["channel"], _stand(one, words), _seen(one, words), why)
        console.print(table)
    if not found["cases"]:
        console.print(words["nothing"])


def _failure(one: Mapping[str, Any], words: Mapping[str, str]) -> str:
    """Say what went wrong, how often in a row, and whether that was the last try."""
    last = "" if one["settled"] or one["due"] else f"; {words['given_up']}"
    return f"{one['error']} ({one['attempts']}×{last})"


def _stand(one: Mapping[str, Any], words: Mapping[str, str]) -> Text:
    """Say in a word or two what is there, and what should be there when that differs."""
    desired, applied = one["desired"], one["applied"]
    if desired == "refused" and applied in ("none", "gone"):
        return Text(words["refused"], style=_STYLES["refused"])
    if one["settled"] or desired == applied:
        version = f" v{one['revision']}" if applied == "shown" else ""
        return Text(words[applied] + version, style=_STYLES[applied])
    return Text(f"{words[applied]} → {words[desired]}", style="bold yellow")


def _seen(one: Mapping[str, Any], words: Mapping[str, str]) -> Text:
    """Say what was seen there last, and when (UTC, as everywhere)."""
    if not one["seen"]:
        return Text("")
    moment = f"{one['verified_at'][11:19]}Z"
    other = one["seen"] == "other"
    if other and one["desired"] != "shown":  # another case stands there, or somebody else's text: this one is gone
        return Text(f"{words['seen_gone']} {moment}")
    text = f": {one['seen_text'][:MOST_SEEN]}" if other and one["seen_text"] else ""
    return Text(clean(f"{words['seen_' + one['seen']]} {moment}{text}"), style="bold yellow" if other else "")


def retraction(console: Console, found: Mapping[str, Any], language: str) -> None:
    """Draw for every target when it was cleared and seen dark, or why not yet."""
    words = WORDS[language]
    outcome = f": {words[found['outcome']]}" if found["outcome"] else ""
    console.print(Text(clean(f"{words['case']} {found['case']} · {words[found['state']]}{outcome}"), style="bold"))
    table = _table(words["target"], words["channel"], words["removed"], words["proof"])
    over = found["state"] == "ended"
    for one in found["targets"]:
        late = over and one["proof"] == "not_yet"
        style = "bold red" if late else "green" if one["proof"] == "dark" else ""
        removed = f"{one['gone_at'][:19]}Z" if one["gone_at"] else ""
        proof = _not_yet(one, words, over=over) if one["proof"] == "not_yet" else _proof(one, words)
        _row(table, one["target"], one["channel"], removed, Text(clean(proof), style=style))
    console.print(table)
    proven = found["proven"]
    last, style = ("proven", "green") if proven else ("not_proven", "red") if over else ("still_open", "yellow")
    console.print(Text(words[last], style=f"bold {style}"))


def _proof(one: Mapping[str, Any], words: Mapping[str, str]) -> str:
    """Say how sure it is that it is gone, since when, and what stands there instead."""
    if not one["dark_at"]:
        return words[f"proof_{one['proof']}"]
    moment = f"{one['dark_at'][:19]}Z"
    if one["seen"] != "other":
        return f"{words['proof_dark']} {moment}"
    last = f"; {words['last']}: {one['seen_text']}" if one["seen_text"] else ""
    return f"{words['proof_other']} {moment}{last}"


def _not_yet(one: Mapping[str, Any], words: Mapping[str, str], *, over: bool) -> str:
    """Say what is known of what is not proven to be gone."""
    begin = words["proof_not_yet"] if over else ""
    if one["gone_at"]:
        begin = f"{begin} {words['proof_dark']}".strip()
    seen = words[f"seen_{one['seen']}"] if one["seen"] else ""
    error = _failure(one, words) if one["error"] else ""
    why = "; ".join(filter(None, [seen, one["seen_text"], error]))
    return ": ".join(filter(None, [begin, why]))


def audited(console: Console, cases: int, postings: int, findings: Sequence[Mapping[str, str]], language: str) -> None:
    """Draw what the audit found."""
    words = WORDS[language]
    counted = [_count(cases, "case", words), _count(postings, "posting", words)]
    console.print(Text(f"{words['audited']}: {', '.join(counted)}", style="bold"))
    table = _table(words["case"], words["target"], words["finding"])
    for one in findings:
        _row(table, one["case"], one["target"], Text(clean(one["finding"]), style="bold red"))
    console.print(table if findings else Text(words["no_findings"], style="green"))


def _count(number: int, what: str, words: Mapping[str, str]) -> str:
    return f"{number} {words[what if number == 1 else f'{what}s']}"


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
