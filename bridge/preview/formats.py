"""A preview as a page, as pictures, and in a terminal. Every text in it is untrusted."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from rich import box
from rich.columns import Columns
from rich.console import Console
from rich.panel import Panel
from rich.rule import Rule
from rich.text import Text

from bridge.core import rule_words
from bridge.core.content import PHOTO_PLACEHOLDER, one_line
from bridge.core.target import Sign, Target
from bridge.preview import picture
from bridge.preview.report import Preview, View, is_over
from bridge.preview.words import WORDS
from bridge.show import clean

MOST = 8  # targets that are named; the rest is counted
CHANNELS = ("email", "facebook", "outbox")  # in this order; others follow
_PAGE = Environment(
    loader=PackageLoader("bridge.preview", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


def as_html(preview: Preview) -> str:
    """Write a page that needs nothing else: pictures are in it."""
    words = WORDS[preview.language]

    @cache
    def drawn(page: Sequence[str], sign: Sign) -> str:
        return "data:image/png;base64," + base64.b64encode(picture.draw(page, sign)).decode()

    return _PAGE.get_template("preview.html.j2").render(
        preview=preview,
        words=words,
        case=preview.foresight.case,
        alert=preview.foresight.alert,
        headline=headline(preview),
        category=rule_words.category(preview.foresight.alert.category.value, preview.language),
        boards=[view for view in preview.views if view.sign],
        messages=list(_messages(preview)),
        picture=drawn,
        size=lambda sign: size(sign, words),
        duration=lambda seconds: duration(seconds, words),
        with_photo=lambda html: html.replace(PHOTO_PLACEHOLDER, picture.stand_in(words["photo"])),
        undrawable=_undrawable,
        over=is_over(preview),
        most=MOST,
    )


def headline(preview: Preview) -> str:
    """Name the alert."""
    info = preview.foresight.alert.info[0]
    return one_line(info.headline) or one_line(info.description)[:80]


def size(sign: Sign, words: dict[str, str]) -> str:
    """Name the size of a board."""
    if sign.width is not None:
        return words["pixels"].format(width=sign.width, height=sign.height)
    return words["size"].format(columns=sign.columns, rows=sign.rows)


def duration(seconds: float, words: dict[str, str]) -> str:
    """Write seconds as people do."""
    return f"{round(seconds, 1):g}".replace(".", words["comma"])


def _undrawable(view: View) -> str:
    pages = view.content.pages if view.content and view.sign else ()
    found = dict.fromkeys(char for page in pages for char in picture.undrawable(page, view.sign))  # type: ignore[arg-type]
    return " ".join(found)


def _messages(preview: Preview) -> Iterator[tuple[str, list[View]]]:
    words = WORDS[preview.language]
    rest = [view for view in preview.views if not view.sign]
    for channel in CHANNELS:
        if mine := [view for view in rest if view.channel == channel]:
            yield words[channel], mine
    if others := [view for view in rest if view.channel not in CHANNELS]:
        yield words["other"], others


def write_pictures(preview: Preview, folder: Path) -> list[Path]:
    """Write a PNG for each page of each board, ``<target>-<page>.png``; boards that show the same share the drawing."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for view in preview.views:
        for number, page in enumerate(view.content.pages if view.content and view.sign else (), 1):
            drawn = picture.draw(page, view.sign) if view.sign else b""
            for target in view.targets:
                path = folder / f"{target.id}-{number}.png"
                path.write_bytes(drawn)
                written.append(path)
    return written


def as_text(console: Console, preview: Preview) -> None:
    """Draw a preview in a terminal."""
    words = WORDS[preview.language]
    console.print(Text(clean(headline(preview)), style="bold"))
    console.print(Text(words["nothing_sent"]))
    for one in preview.advice:
        console.print(Text(clean(f"! {one.say(preview.language)}"), style="yellow"))
    _head(console, words["boards"])
    if not any(view.sign for view in preview.views):
        console.print(Text(words["no_boards"]))
    for view in preview.views:
        if view.sign:
            _board(console, view, words)
    _shorten(console, preview, words)
    for name, views in _messages(preview):
        _head(console, name)
        for view in views:
            _message(console, view, words)
    if preview.refusals:
        _head(console, words["not_here"])
    for refusal in preview.refusals:
        console.print(Text(clean(f"{named(refusal.targets, words)}: {refusal.reason}")))


def named(targets: Sequence[Target], words: dict[str, str]) -> str:
    """Name some targets, and count the rest."""
    rest = len(targets) - MOST
    more = f" {words['more'].format(number=rest)}" if rest > 0 else ""
    return ", ".join(target.id for target in targets[:MOST]) + more


def _head(console: Console, text: str) -> None:
    console.print()
    console.print(Rule(Text(text, style="bold"), align="left"))


def _board(console: Console, view: View, words: dict[str, str]) -> None:
    sign = view.sign or Sign()
    console.print(Text(clean(f"{named(view.targets, words)} · {size(sign, words)}")))
    if view.content is None:
        console.print(Text(words["dark"]))
        return
    panels = []
    for number, page in enumerate(view.content.pages, 1):
        lines = [*page, *[""] * (sign.face.rows - len(page))]
        wide = sign.face.width if sign.width is None else max(map(len, page))
        under = words["page"].format(number=number, pages=len(view.content.pages))
        if view.seconds[number - 1]:
            under += f", {words['seconds'].format(seconds=duration(view.seconds[number - 1], words))}"
        text = Text("\n".join(clean(line) for line in lines), style="#ffb000 on black")
        panels.append(Panel(text, subtitle=Text(under), width=max(wide + 4, len(under) + 4), box=box.HEAVY))
    console.print(Columns(panels))


def _shorten(console: Console, preview: Preview, words: dict[str, str]) -> None:
    if not preview.boards or is_over(preview):
        return
    if not preview.shortenings:
        console.print(Text(words["all_boards"].format(boards=preview.boards)))
        return
    said = words["too_small"].format(too_small=preview.too_small, boards=preview.boards)
    console.print(Text(said, style="bold yellow"))
    for one in preview.shortenings:
        console.print(Text(clean(f"  {named(one.targets, words)} · {size(one.sign, words)}: {one.reason}")))
        if one.beginning:
            console.print(Text(clean(f"    {words['fits_to']} {one.beginning}"), style="dim"))
    if preview.reach:
        console.print(Text(words["reach"].format(over=len(preview.text) - len(preview.reach))))
        console.print(Text(clean(f"  {preview.reach}")))
    else:
        console.print(Text(words["reach_nothing"]))


def _message(console: Console, view: View, words: dict[str, str]) -> None:
    title = Text(clean(named(view.targets, words)))
    if view.content is None:
        console.print(title, Text(words["gone"]))
        return
    subject = f"{words['subject']}: {view.content.subject}\n\n" if view.channel == "email" else ""
    photo = f"\n\n[{words['photo']}]" if view.content.photo else ""
    text = re.sub(r"\r\n?", "\n", f"{subject}{view.content.text}{photo}")
    console.print(Panel(Text(clean(text)), title=title, title_align="left"))
