"""Preview, check-text and exercises, as an operator uses them: nothing is sent, and nobody is fooled."""

from __future__ import annotations

import base64
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from bridge.core.target import Sign
from bridge.preview import picture
from tests.e2e.bench import TEXT, Bench, event, text_of

CASE = "2026112200042"
HOSTILE = "</pre><script>alert(1)</script> \u202e[b]x[/b] {{ 7*7 }} & \"'"
IMAGES = Path(__file__).parents[2] / "docs" / "images"


def save(bench: Bench, name: str, what: str, **changes: object) -> str:
    """Write an event to a file of the bench's folder."""
    (bench.folder / name).write_bytes(event(CASE, what, **changes))
    return name


@pytest.fixture
def written(alone: Bench) -> Bench:
    """Give a bench with every kind of place, whose bridge does not run."""
    alone.add(boards=2, mails=2, pages=1, admins=1)
    alone.targets[1]["sign"] = {"columns": 10, "rows": 2, "pages": 1}
    alone.targets[1]["accepts"] = {"status": ["Actual", "Exercise"]}
    alone.write()
    return alone


async def test_in_a_terminal(written: Bench) -> None:
    """Boards page by page, the mail, the post and the admin's message; what does not fit, and what to shorten."""
    shown = (await written.run("preview", save(written, "open.json", "opened"))).out
    folded = " ".join(shown.replace("┃", " ").replace("│", " ").split())
    assert "Jongen van 8" in shown
    assert "scherm 1 van" in shown
    assert "Onderwerp: Vermist: jongen (8)" in folded
    assert "Op 1 van de 2 borden past de tekst niet" in folded
    assert "Bel bij nood direct 112" in folded
    assert not written.boards.requests
    assert not written.mails.messages
    assert not (written.folder / "bridge.db").exists(), "no store is made"


async def test_as_a_page(written: Bench) -> None:
    """All in one file: pictures with the page's text beside them, hostile texts as text, nothing from elsewhere."""
    info = [{"language": "nl", "headline": HOSTILE, "description": f"{TEXT} {HOSTILE}", "instruction": "Bel 112"}]
    name = save(written, "open.json", "opened", info=info)
    written.targets[0]["sign"] = {"columns": 40, "rows": 5, "pages": 4}
    written.write()
    await written.run("preview", name, "--html", "page.html", "--language", "en")
    text = (written.folder / "page.html").read_text("utf-8")
    page = Tags()
    page.feed(text)
    assert ("html", {"lang": "en"}) in page.found
    assert not {tag for tag, _ in page.found} & {"script", "link", "form", "base", "object"}
    links = [value for _, fields in page.found for name, value in fields.items() if name in ("src", "href")]
    assert all(one.startswith(("data:image/png;", "#")) for one in links), links
    pictures = [fields for tag, fields in page.found if tag == "img"]
    assert " ".join(one["alt"] for one in pictures) == " ".join(f"{TEXT} {HOSTILE}\nBel 112".split())
    first = Image.open(BytesIO(base64.b64decode(pictures[0]["src"].partition(",")[2])))
    assert first.size == (40 * 6 * picture.DOT + 2 * picture.EDGE, 5 * 11 * picture.DOT + 2 * picture.EDGE)
    assert [fields["sandbox"] for tag, fields in page.found if tag == "iframe"] == [""]


class Tags(HTMLParser):
    """Finds every tag of a page, with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.found.append((tag, {name: value or "" for name, value in attrs}))


async def test_as_pictures(written: Bench) -> None:
    """A PNG for each page; lit where the letters are."""
    told = await written.run("preview", save(written, "open.json", "opened"), "--png", "borden", "--target", "bord-0")
    names = told.out.split()
    assert names == [f"borden/bord-0-{number}.png" for number in range(1, len(names) + 1)]
    with Image.open(written.folder / names[0]) as drawn:
        colours = {colour for _, colour in drawn.convert("RGB").getcolors() or ()}
    assert any(red > 200 > green > 100 > blue for red, green, blue in colours), "amber"


async def test_endings_and_what_cannot_be_previewed(written: Bench) -> None:
    """After its opening an ending shows dark boards and the outcome; alone, of two cases, or unreadable it is refused."""
    opened, ended = save(written, "open.json", "opened"), save(written, "end.json", "ended")
    shown = (await written.run("preview", opened, ended)).out
    assert "Donker" in shown
    assert "opgelost" in shown
    assert "an ending shows nothing by itself" in (await written.run("preview", ended, code=2)).err
    other = written.folder / "other.json"
    other.write_bytes(event("ander", "updated"))
    assert "are different cases" in (await written.run("preview", opened, "other.json", code=2)).err
    assert "target: 'x' is not known" in (await written.run("preview", opened, "--target", "x", code=2)).err
    assert "cannot be written" in (await written.run("preview", opened, "--html", "/proc/x", code=1)).err


async def test_check_text(written: Bench) -> None:
    """A text or an event: what to mind, and on how many boards it fits; it blocks nothing."""
    told = await written.run("check-text", "-", stdin=b"Jongen weg. Kijk op bit.ly/x")
    assert told.out.splitlines() == [
        "! er staat niet dat mensen 112 moeten bellen",
        "! een verkorte link (bit.ly) laat niet zien waar hij heen gaat",
        "! past op 1 van 2 borden; preview laat zien wat in te korten",
    ]
    assert (await written.run("check-text", "-", stdin="Zoë weg. Bel 112.".encode())).out == "Geen opmerkingen.\n"
    found = await written.run("check-text", save(written, "open.json", "opened"), "--json")
    assert [one["topic"] for one in found.json["advice"]] == ["boards"]
    assert "is not UTF-8" in (await written.run("check-text", "-", stdin=b"\xff", code=2)).err
    assert "text" in (await written.run("check-text", "-", stdin=b" ", code=2)).err


async def test_advice_is_kept_with_the_case(written: Bench) -> None:
    """What was advised is told by status, in both languages, until the words of the case are erased."""
    info = [{"language": "nl", "description": "MISSCHIEN VERDWAALD IN LEIDEN", "instruction": "BEL 112"}]
    await written.run("send", save(written, "open.json", "opened", info=info))
    told = (await written.status(CASE))["advice"]
    assert told[0] == "alleen hoofdletters: dat leest slecht"
    assert "past op 1 van 2 borden" in told[-1]
    assert "! capitals only: hard to read" in (await written.run("status", CASE, "--language", "en")).out


async def test_an_exercise_reaches_only_who_exercises(written: Bench) -> None:
    """A real alert, its correction and its end are replayed as an exercise, twice: marked everywhere, the public spared."""
    for number in (2, 4, 5):  # a mailbox, the page and the admin take part
        written.targets[number]["accepts"] = {"status": ["Actual", "Exercise"]}
    written.targets[1]["sign"] = {"columns": 16, "rows": 5, "pages": 9}
    await written.start()
    files = [save(written, f"{what}.json", what) for what in ("opened", "updated", "ended")]
    for _ in range(2):
        await written.run("send", "--exercise", files[0])
        found = await written.until_settled(f"oefening-{CASE}")
        assert [one["target"] for one in found["postings"] if one["applied"] == "shown"] == [
            *("beheerder-0", "bord-1", "fb-104857600", "mail-0")
        ]
        assert written.shown("bord-1")["pages"][0] == ["OEFENING"]
        assert written.shown("bord-1")["exercise"] is True
        assert written.graph.posts("104857600")[0].message.startswith("OEFENING")
        await written.run("send", "--exercise", *files[1:])
        await written.until_settled(f"oefening-{CASE}")
        assert not written.lit()
    mails = [mail.message for mail in written.mails.messages]
    assert {mail.recipient for mail in written.mails.messages} == {"lezer0@example.nl"}
    assert all("OEFENING: " in str(mail["Subject"]) and "OEFENING" in text_of(mail) for mail in mails)
    outbox = (await written.run("outbox", "wijk-0", "--json")).json["messages"]
    assert outbox
    assert all("OEFENING" in one["text"].splitlines()[0] for one in outbox)
    assert CASE not in await written.known(), "the real case was never touched"


async def test_the_picture_of_the_readme(tmp_path: Path) -> None:
    """It is what this program draws of the example's stop."""
    page = ("Leiden: jongen (8)", "vermist. Rode jas,", "blauwe muts. Gezien? Bel", "112.")
    drawn = tmp_path / "drawn.png"
    drawn.write_bytes(picture.draw(page, Sign(columns=24, rows=4)))
    with Image.open(drawn) as made, Image.open(IMAGES / "halte.png") as kept:
        assert made.convert("RGB").tobytes() == kept.convert("RGB").tobytes()
