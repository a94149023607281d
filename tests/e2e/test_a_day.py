"""A day in the life: an alert with a photo on every channel, a correction, the end; and what the logs say of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from email.message import EmailMessage

import pytest

from tests.e2e.bench import FOUND, INSTRUCTION, PAGES, SECRET, TEXT, TOKEN, Bench, event, text_of
from tests.e2e.conftest import Figures
from tests.e2e.process import until
from tests.integration.photo_site import Site, jpeg, open_site

CASE = "2026112200042"
CORRECTED = TEXT.replace("8 jaar", "9 jaar")


def told(text: str) -> list[dict[str, str]]:
    """Write the text of an alert."""
    return [{"language": "nl", "headline": "Vermist: jongen", "description": text, "instruction": INSTRUCTION}]


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """Give a web server with a photo."""
    async with open_site() as site:
        site.tell(jpeg())
        yield site


@pytest.fixture
async def town(bench: Bench, site: Site) -> Bench:
    """Give a town with every channel, and two boards that must never show anything."""
    bench.add(boards=4, mails=2, pages=1, admins=1)
    plain, lichtkrant, commercial, far = bench.targets[:4]
    lichtkrant |= {"id": "lichtkrant", "channel": "display", "sign": {"columns": 40, "rows": 8, "photo": True}}
    commercial |= {"id": "reclamezuil", "owner": {"kind": "commercial"}}
    far |= {"id": "bord-maastricht", "location": {"lat": 50.85, "lon": 5.69}}
    plain["location"] = {"lat": 52.18, "lon": 4.49}
    bench.settings["photos"] = {"allow_hosts": [site.host]}
    bench.settings["log"]["level"] = "debug"
    await bench.start()
    return bench


def photos_of(mail: EmailMessage) -> int:
    """Count the pictures in a mail."""
    return sum(1 for part in mail.walk() if part.get_content_maintype() == "image")


async def test_a_day(town: Bench, site: Site, figures: Figures) -> None:
    """Alert, correction and end reach exactly the places they should, and take back what can be taken back."""
    area = {"areaDesc": "Leiden, Merenwijk", "circle": ["52.180,4.495 2.0"]}
    photo = [{"uri": site.url(), "mimeType": "image/jpeg", "resourceDesc": "Jongen met rode jas"}]
    sent = await town.publish(event(CASE, "opened", info=told(TEXT), area=area, resource=photo))
    await check_alert(town)
    first, all_out = min(town.happened("PUT")) - sent, town.clock() - sent

    await town.publish(event(CASE, "updated", info=told(CORRECTED), area=area, resource=photo))
    await check_correction(town)

    sent = await town.publish(event(CASE, "ended", info=[{"language": "nl", "description": FOUND}]))
    await until(lambda: not town.lit(), "the boards are dark")
    dark = max(town.happened("DELETE")) - sent
    await check_end(town)
    check_what_was_said(town)
    figures(
        f"first board {1000 * first:.0f} ms, all checked {all_out:.1f} s after the event; dark {1000 * dark:.0f} ms"
    )


async def check_alert(town: Bench) -> None:
    """The text is whole on the boards, the photo where it may be, and the commercial and far boards are dark."""
    status = await town.until_settled(CASE)
    postings = {one["target"]: one for one in status["postings"]}
    assert {name: one["desired"] for name, one in postings.items()} == {
        **dict.fromkeys(("bord-0", "lichtkrant", "mail-0", "mail-1", f"fb-{PAGES[0]}", "beheerder-0"), "shown"),
        **dict.fromkeys(("reclamezuil", "bord-maastricht"), "refused"),
    }
    assert {one["applied"] for one in postings.values() if one["desired"] == "shown"} == {"shown"}
    assert all(one["reason"] for one in postings.values())
    await until(lambda: town.shown("bord-1")["photo"] is not None, "the photo follows the text")
    assert set(town.boards.everything()) == {"bord-0", "bord-1"}
    plain = town.shown("bord-0")
    assert plain["text"] == f"{TEXT}\n{INSTRUCTION}"
    assert " ".join(line for page in plain["pages"] for line in page) == f"{TEXT} {INSTRUCTION}"
    assert plain["photo"] is None
    for [mail] in town.mailboxes().values():
        assert TEXT in text_of(mail)
        assert photos_of(mail) == 1
    [post] = town.graph.posts(PAGES[0])
    assert TEXT in post.message
    assert post.photo
    [entry] = (await town.run("outbox", "wijk-0", "--json")).json["messages"]
    assert TEXT in entry["text"]
    assert "0900-8844" in entry["text"]


async def check_correction(town: Bench) -> None:
    """Boards and post are replaced, readers and admin get a second message in the thread."""
    status = await town.until_settled(CASE)
    assert status["revision"] == 2
    assert town.shown("bord-0")["text"] == f"{CORRECTED}\n{INSTRUCTION}"
    for alert, correction in town.mailboxes().values():
        assert CORRECTED in text_of(correction)
        assert correction["References"] == alert["Message-ID"]
        assert correction["Subject"] == alert["Subject"]
        assert photos_of(correction) == 0
    [post] = town.graph.posts(PAGES[0])
    assert CORRECTED in post.message
    assert town.published() == {PAGES[0]: 1}


async def check_end(town: Bench) -> None:
    """Boards are dark, the photo is gone everywhere, and everybody who got the alert hears how it ended."""
    status = await town.until_settled(CASE)
    assert (status["state"], status["outcome"]) == ("ended", "resolved")
    assert not town.lit()
    for alert, correction, outcome in town.mailboxes().values():
        assert FOUND in text_of(outcome)
        assert outcome["In-Reply-To"] == correction["Message-ID"]
        assert str(alert["Message-ID"]) in str(outcome["References"])
    assert set(town.mailboxes()) == {"lezer0@example.nl", "lezer1@example.nl"}
    [post] = town.graph.posts(PAGES[0])
    assert FOUND in post.message
    assert not post.photo
    assert not town.graph.pages.photos(PAGES[0])
    messages = (await town.run("outbox", "wijk-0", "--json")).json["messages"]
    assert [one["phase"] for one in messages] == ["opened", "updated", "ended"]
    assert FOUND in messages[-1]["text"]
    assert {entry.board for entry in town.boards.history} == {"bord-0", "bord-1"}


def check_what_was_said(town: Bench) -> None:
    """No log line, at the level debug too, holds a text or a secret (I6); case and target are on the lines of steps."""
    said = town.everything_said()
    assert town.broker
    login = town.broker.settings.url.get_secret_value().partition("://")[2].partition("@")[0]
    for secret in (TEXT, CORRECTED, FOUND, TOKEN, SECRET.removeprefix("whsec_"), login, "rode jas", "lezer0@"):
        assert secret not in said, secret
    steps = town.bridges[0].logged("step done")
    assert len(steps) >= 15
    assert all({"case", "posting", "target"} <= line.keys() for line in steps)


async def test_hostile_answers(bench: Bench) -> None:
    """Places that answer with our own texts and secrets do not bring them into a log (I6)."""
    bench.add(boards=1, mails=1, pages=1)
    bench.settings["log"]["level"] = "debug"
    bench.environment["FB_TOKEN"] = "EAAnotthetokenofthispage"  # the simulator, as the real one may, repeats it
    bench.environment["BOARD_SECRET"] = "whsec_bm90IHRoZSBib2FyZCdzIG93biBzZWNyZXQh"
    bench.mails.faults.message = f"550 5.7.1 refused: lezer0@example.nl wrote {TEXT}"
    bridge = await bench.start()
    await bench.publish(event(CASE, "opened"))
    await until(lambda: all(bridge.failures(name) for name in ("bord-0", "mail-0", f"fb-{PAGES[0]}")), "all refused")
    said = bench.everything_said()
    for secret in (TEXT, "rode jas", "lezer0@", "notthetoken", "bm90IHRoZSBi"):
        assert secret not in said, secret
