"""Tables and numbers in Markdown."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table whose columns stand under each other, also for who reads it as text."""
    lines = [list(header), *map(list, rows)]
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(header))]
    written = ["| " + " | ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)) for line in lines]
    written.insert(1, "| " + " | ".join("-" * width for width in widths))
    return "".join(f"{line} |\n" for line in written)


def prose(text: str) -> str:
    """Write a paragraph."""
    return textwrap.fill(text, 118, break_long_words=False, break_on_hyphens=False) + "\n\n"


def chart(name: str, words: str) -> str:
    """Show a chart of the page."""
    return f"\n![{words}](performance/{name}.svg)\n"


def percentile(values: Sequence[float], share: int) -> float:
    """Give the value that ``share`` percent of the values stay under."""
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[share - 1]
