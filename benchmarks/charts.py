"""Small charts as SVG, readable on light and dark pages: bars against an aim, and lines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, LEFT, RIGHT, TOP, ROW = 760, 230, 150, 44, 30
_COLOURS = ("a", "b", "c", "d")
_STYLE = """  <style>
    svg { --paper: #ffffff; --ink: #16202c; --soft: #4d5b6b; --rule: #c9d3df; --a: #8a97a6; --b: #1f6fb2; --c: #b45309;
      --d: #7c3aed; --aim: #b91c1c; }
    @media (prefers-color-scheme: dark) {
      svg { --paper: #10161d; --ink: #eef3f8; --soft: #b3c0ce; --rule: #33414f; --a: #7d8b9a; --b: #5cb0f0;
        --c: #fdba74; --d: #c4b5fd; --aim: #fca5a5; }
    }
    text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: var(--ink); }
    .head { font-weight: 700; font-size: 15px; }
    .soft { fill: var(--soft); }
    .end { text-anchor: end; }
    .mid { text-anchor: middle; }
    .rule { stroke: var(--rule); }
    .aim { stroke: var(--aim); stroke-width: 2; stroke-dasharray: 4 3; }
    .aimed { fill: var(--aim); }
    .line { fill: none; stroke-width: 2; }
  </style>
"""

Bar = tuple[str, float, str]  # what, how much, and how it is said
Series = Mapping[str, Sequence[tuple[float, float]]]


def bars(title: str, given: Sequence[Bar], aims: Sequence[tuple[float, str]] = ()) -> str:
    """Draw a bar for each thing; an aim, one for each bar, is a line that its bar should reach."""
    most = max([value for _, value, _ in given] + [value for value, _ in aims] + [1e-9]) * 1.02
    width = WIDTH - LEFT - RIGHT
    parts = []
    for number, (what, value, said) in enumerate(given):
        y = TOP + number * ROW
        long = width * value / most
        parts.append(_text(LEFT - 10, y + 15, what, "end"))
        parts.append(f'<rect x="{LEFT}" y="{y}" width="{max(long, 1):.1f}" height="20" rx="2" fill="var(--b)"/>')
        if number < len(aims):
            at = width * aims[number][0] / most
            right = max(long, at)
            parts.append(_line(LEFT + at, y - 4, LEFT + at, y + 24, "aim"))
            parts.append(_text(LEFT + right + 8, y + 15, f"{said} ({aims[number][1]})"))
        else:
            parts.append(_text(LEFT + long + 8, y + 15, said))
    return _frame(title, TOP + len(given) * ROW + 8, parts)


def stacks(title: str, given: Mapping[str, Sequence[float]], words: Sequence[str]) -> str:
    """Draw a bar of several parts for each thing; ``words`` name the parts."""
    most = max([sum(values) for values in given.values()] + [1.0])
    width = WIDTH - LEFT - RIGHT
    parts = _legend(words, TOP - 8)
    for number, (what, values) in enumerate(given.items()):
        y, x = TOP + 16 + number * ROW, float(LEFT)
        parts.append(_text(LEFT - 10, y + 15, what, "end"))
        for colour, value in zip(_COLOURS[1:], values, strict=False):
            long = width * value / most
            if value:
                parts.append(f'<rect x="{x:.1f}" y="{y}" width="{long:.1f}" height="20" fill="var(--{colour})"/>')
            x += long
        said = " + ".join(f"{value:g}" for value in values) if any(values) else "0"
        parts.append(_text(x + 8, y + 15, said))
    return _frame(title, TOP + 16 + len(given) * ROW + 8, parts)


def lines(
    title: str, series: Series, x_words: str, y_words: str, *, log: bool = False, limit: tuple[float, str] | None = None
) -> str:
    """Draw a line for each series; ``log`` is for the x axis; ``limit`` is a y value not to be passed."""
    points = [point for given in series.values() for point in given]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    low, high = (min(xs), max(xs)) if log else (0.0, max(xs))
    top = max([*ys, limit[0] if limit else 0.0]) * 1.1 or 1.0
    left, right, bottom, head = 70, WIDTH - 30, 330, 70

    def place(x: float, y: float) -> tuple[float, float]:
        share = (math.log10(x / low) / (math.log10(high / low) or 1)) if log else (x - low) / ((high - low) or 1)
        return left + share * (right - left), bottom - y / top * (bottom - head)

    parts = _legend(list(series), 44, first=0)
    for value in _ticks(top):
        _, y = place(high, value)
        parts += [_line(left, y, right, y, "rule"), _text(left - 8, y + 4, f"{value:,g}", "end soft")]
    marks = sorted(set(xs)) if log else [one for one in _ticks(high) if one <= high]
    for value in marks:
        x, _ = place(value, 0)
        parts.append(_text(x, bottom + 18, f"{value:,g}", "mid soft"))
    if limit:
        _, y = place(high, limit[0])
        parts += [_line(left, y, right, y, "aim"), _text(right, y - 6, limit[1], "end aimed")]
    for colour, given in zip(_COLOURS, series.values(), strict=False):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in given))
        parts.append(f'<polyline class="line" points="{path}" stroke="var(--{colour})"/>')
        if len(given) < 12:
            dots = (place(*point) for point in given)
            parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="var(--{colour})"/>' for x, y in dots]
    parts += [_text((left + right) / 2, bottom + 40, x_words, "mid soft"), _text(left - 50, head - 10, y_words, "soft")]
    return _frame(title, bottom + 52, parts)


def _ticks(top: float) -> list[float]:
    """Give some round numbers up to ``top``."""
    step = 10.0 ** math.floor(math.log10(top))
    step = next(size for size in (step / 5, step / 2, step, step * 2) if top / size <= 6)
    return [step * number for number in range(int(top / step) + 1)]


def _legend(words: Sequence[str], y: float, first: int = 1) -> list[str]:
    parts, x = [], 20.0
    for colour, word in zip(_COLOURS[first:], words, strict=False):
        parts.append(f'<rect x="{x:.0f}" y="{y - 10:.0f}" width="12" height="12" fill="var(--{colour})"/>')
        parts.append(_text(x + 18, y, word))
        x += 40 + 7.2 * len(word)
    return parts


def _frame(title: str, height: float, parts: Sequence[str]) -> str:
    size = f'viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" height="{height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(title)}">'
    paper = f'  <rect width="{WIDTH}" height="{height:.0f}" rx="6" fill="var(--paper)"/>'
    body = "\n".join(f"  {part}" for part in [_text(20, 24, title, "head"), *parts])
    return f"{head}\n  <title>{escape(title)}</title>\n{_STYLE}{paper}\n{body}\n</svg>\n"


def _text(x: float, y: float, words: str, look: str = "") -> str:
    how = f' class="{look}"' if look else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{how}>{escape(words)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, look: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{look}"/>'
