"""The page: everything that was measured, beside its aim, as Markdown with charts, made from the results alone."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import verdicts
from benchmarks.sections import SECTIONS
from benchmarks.tables import prose, table

ROOT = Path(__file__).parents[1]
FOLDER = "performance"  # beside the page: its charts
MARKERS = ("<!-- measured: made by make bench -->", "<!-- end of measured -->")

Results = Mapping[str, Any]

TITLE = "# Performance\n"
MADE_BY = (
    "*This page is made by `make bench ARGS=--write`, from what it measured; do not edit it. The figures themselves"
    " are in [performance.json](performance.json). [How each one is measured](../benchmarks/README.md).*"
)
COMPARED = (
    "The bridge keeps everything durably and checks every rule; beside it runs a *bare* program that keeps nothing,"
    " checks nothing and retries nothing, in the same run, on the same machine, broker and boards. All of them share"
    " its cores."
)
SMALLER = (
    f"*{verdicts.SMALLER}*: fewer boards, readers, events or rows than the aim speaks of; such a run"
    " says nothing about the aim."
)


def render(found: Results) -> str:
    """Write the page."""
    short = table(verdicts.HEADER, verdicts.rows(found))
    parts = [TITLE, prose(MADE_BY), prose(COMPARED), "## In short\n", short]
    if verdicts.SMALLER in short:
        parts.append(prose(SMALLER))
    for name, section in SECTIONS.items():
        if name in found["parts"]:
            parts.append(_section(section, found["parts"][name]))
    parts += ["## The machine\n", table(("", ""), list(found["machine"].items()))]
    took = ", ".join(f"{name} {part['took']} s" for name, part in found["parts"].items())
    parts.append(prose(f"Time taken: {took}."))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)).rstrip() + "\n"


def _section(section: Any, part: Mapping[str, Any]) -> str:
    if "failed" in part:
        return f"## {section.title}\n\n**Did not come to its end:** {part['failed'].splitlines()[0]}\n"
    return f"## {section.title}\n\n{section.write(part)}"


def draw(found: Results) -> dict[str, str]:
    """Draw the charts; give each by its file name."""
    drawn = {}
    for name, section in SECTIONS.items():
        part = found["parts"].get(name, {"failed": ""})
        if section.draw and "failed" not in part:
            drawn[f"{name}.svg"] = section.draw(part)
    return drawn


def readme(text: str, found: Results) -> str:
    """Put the table into the README's text, between the markers."""
    start, end = MARKERS
    words = (f"{name}: {found['machine'].get(name, '?')}" for name in ("processor", "load before"))
    where = prose("; ".join(words) + ".")
    made = f"{start}\n{where}{table(verdicts.HEADER, verdicts.rows(found))}{end}"
    return re.sub(f"{re.escape(start)}.*?{re.escape(end)}", lambda _: made, text, flags=re.DOTALL)


def keep(found: Results, root: Path = ROOT) -> None:
    """Write results, page, charts and the README's table; parts that were not measured now stay as they were."""
    path = root / "docs" / "performance.json"
    before = json.loads(path.read_text())["parts"] if path.exists() else {}
    parts = before | found["parts"]
    whole = {"machine": found["machine"], "parts": {name: parts[name] for name in SECTIONS if name in parts}}
    path.write_text(json.dumps(whole, separators=(",", ":")).replace('],"', '],\n"').replace('},"', '},\n"') + "\n")
    for name, text in files(whole, (root / "README.md").read_text()).items():
        place = root / name
        place.parent.mkdir(exist_ok=True)
        place.write_text(text)


def files(found: Results, read_me: str) -> dict[str, str]:
    """Give every file that is made from the results, by its path in the project."""
    made = {f"docs/{FOLDER}/{name}": drawing for name, drawing in draw(found).items()}
    return made | {"docs/performance.md": render(found), "README.md": readme(read_me, found)}
