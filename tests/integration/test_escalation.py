"""What takes too long is told: once, again at growing intervals, and that it is solved; and the bridge is watched."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from aiohttp import ClientSession, web
from sqlalchemy import update

from bridge.core.errors import TransientError
from bridge.core.posting import Step
from bridge.dispatch.escalation import Escalation, Limits
from bridge.dispatch.watch import Auditor, Heartbeat
from bridge.store import reading, schema
from bridge.store.database import Database
from tests.integration.fake_adapters import refuse
from tests.integration.spine import Spine, board, mail, page
from tests.integration.spine_store import database_fixture, masters_fixture, store_url  # noqa: F401

LIMITS = Limits(place=60, remove=60, repeat=(300, 900, 3600))
DOWN = refuse(TransientError("no connection"))


class Told:
    """Operators who keep what they are told."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.subjects: list[str] = []
        self.deaf = False

    async def tell(self, subject: str, text: str, facts: Any) -> None:
        """Keep it."""
        if self.deaf:
            raise TransientError("no connection to the mail server")
        self.subjects.append(subject)
        self.texts.append(text)


@pytest.fixture
async def spine(database: Database) -> AsyncIterator[Spine]:
    """Run a bridge with a board that has a contact, a page and a mailbox."""
    called = board("b").model_copy(update={"contact": "Storingsdienst 071-1234567"})
    async with Spine(database, [called, page("p"), mail("m")]) as spine:
        spine.start()
        yield spine


@pytest.fixture
def told() -> Told:
    """Give operators."""
    return Told()


@pytest.fixture
def escalation(spine: Spine, told: Told) -> Escalation:
    """Give who tells them."""
    return Escalation(spine.database, LIMITS, [told], spine.clock)


async def test_a_board_that_is_not_lit_in_time_is_told_once_and_again(
    spine: Spine, told: Told, escalation: Escalation
) -> None:
    """After a minute operators hear which board, of which case, why, and whom to call; then after five, and fifteen."""
    spine.board.fail(DOWN, step=Step.PUBLISH)
    await spine.opened()
    await spine.advance(50)
    assert not (await escalation.look()).late
    moments = []
    for _ in range(1200):
        await spine.advance(5)
        if (await escalation.look()).late:
            moments.append(spine.clock.now)
    assert [later - earlier for earlier, later in pairwise(moments)] == [300, 900, 3600]
    assert "b (sign): zaak zaak is al" in told.texts[0]
    assert "niet te zien" in told.texts[0]
    assert "Storingsdienst 071-1234567" in told.texts[0]
    assert re.search(r"\d keer geprobeerd: (no connection|the step came too late)", told.texts[1])  # time flies here
    spine.board.heal()
    await spine.settled()
    assert (await escalation.look()).solved == 1
    assert told.subjects[-1] == "Burgernet-brug: 1 opgelost"
    assert not (await escalation.look()).solved


async def test_a_board_that_stays_lit_is_told(spine: Spine, told: Told, escalation: Escalation) -> None:
    """What should be gone and is not is told first of all, with what was seen there."""
    await spine.opened()
    await spine.settled()
    spine.board.fail(DOWN, step=Step.RETRACT)
    await spine.ended()
    await spine.advance(61)
    [late] = (await escalation.look()).late
    assert (late.what, late.target) == ("remove", "b")
    assert told.subjects == ["Burgernet-brug: 1 plek met een melding die weg moet zijn"]
    spine.board.heal()
    await spine.settled()
    await spine.until(lambda: not spine.board.shown)
    await _seen_dark(spine)
    assert (await escalation.look()).solved == 1


async def _seen_dark(spine: Spine) -> None:
    t = schema.postings.c

    async def dark() -> bool:
        return await spine.count(schema.postings, t.target == "b", t.dark_at > 0) == 1

    await spine.until(dark)


async def test_a_board_that_forgets_again_and_again_is_told(spine: Spine, told: Told, escalation: Escalation) -> None:
    """A board that takes the message every time and shows nothing a moment later is late too: applied means seen."""
    await spine.opened()
    await spine.settled()
    late: Sequence[reading.Late] = ()
    for _ in range(60):
        spine.board.shown.clear()
        await spine.advance(5)
        await spine.settled()
        late = late or (await escalation.look()).late
    assert [(one.what, one.seen) for one in late] == [("place", "dark")]


async def test_one_reboot_is_no_alarm(spine: Spine, told: Told, escalation: Escalation) -> None:
    """A board that forgets once, hours after it was lit, is mended; nobody is called for it."""
    await spine.opened()
    await spine.settled()
    await spine.advance(7200)
    spine.board.shown.clear()
    await spine.until(lambda: bool(spine.board.shown))
    assert not (await escalation.look()).late
    assert not told.texts


async def test_a_way_that_fails_does_not_stop_the_other(spine: Spine, told: Told) -> None:
    """When the mail server is down too, the web hook is still called."""
    deaf = Told()
    deaf.deaf = True
    escalation = Escalation(spine.database, LIMITS, [deaf, told], spine.clock)
    spine.board.fail(DOWN)
    await spine.opened()
    await spine.advance(61)
    await escalation.look()
    assert len(told.texts) == 1


async def test_a_mailing_that_takes_its_time_is_no_alarm(spine: Spine, told: Told, escalation: Escalation) -> None:
    """Only what stands in public counts: mails are read at leisure."""
    t = schema.postings.c

    async def lit() -> bool:
        return await spine.count(schema.postings, t.target == "b", t.applied == "shown") == 1

    spine.mail.fail(DOWN)
    await spine.opened()
    await spine.until(lit, travel=False)
    await spine.advance(61)
    assert not (await escalation.look()).late
    assert not told.texts


async def test_a_storm_is_one_message(database: Database, told: Told) -> None:
    """A network that is down gives one message that names some and counts the rest."""
    async with Spine(database, [board(f"b{n}") for n in range(80)]) as spine:
        spine.board.fail(DOWN)
        spine.start()
        await spine.opened()
        await spine.advance(61)
        await Escalation(database, LIMITS, [told], spine.clock).look()
    assert told.subjects == ["Burgernet-brug: 80 plekken zonder de melding"]
    assert "En nog 30 andere" in told.texts[0]


# The proof


async def test_a_report_proves_that_all_is_gone(spine: Spine) -> None:
    """For an ended case each target has its proof; before it was seen dark, the board has none."""
    await spine.opened()
    await spine.settled()
    spine.board.fail(DOWN, step=Step.RETRACT)
    await spine.ended()
    await spine.until(lambda: len(spine.mail.sent) == 2)
    before = await spine.database.read(lambda connection: reading.retraction(connection, "zaak"))
    assert before
    assert before["proven"] is False
    assert {one["target"]: one["proof"] for one in before["targets"]}["b"] == "not_yet"
    spine.board.heal()
    await _seen_dark(spine)
    await spine.settled()
    found = await spine.database.read(lambda connection: reading.retraction(connection, "zaak"))
    assert found
    assert {one["target"]: one["proof"] for one in found["targets"]} == {"b": "dark", "p": "told", "m": "told"}
    assert found["proven"] is True
    board_proof = next(one for one in found["targets"] if one["target"] == "b")
    assert board_proof["gone_at"] <= board_proof["dark_at"]
    assert await spine.database.read(lambda connection: reading.retraction(connection, "nooit")) is None


# The watches


def auditor(spine: Spine) -> Auditor:
    """Give an auditor of this bridge."""
    return Auditor(spine.database, timedelta(hours=4), 300, spine.clock)


async def test_an_audit_of_a_sound_bridge_finds_nothing(spine: Spine) -> None:
    """Open, corrected, ended and expired cases, settled, are as they ought to be."""
    for case in ("open", "ended", "expired"):
        await spine.opened(case)
        await spine.settled()
    await spine.updated("open", text="Jongen met blauwe jas")
    await spine.ended("ended")
    await spine.settled()
    await spine.advance(3600 * 5)
    await spine.intake.expire()
    await spine.opened("open")
    await spine.settled()
    found = await auditor(spine).audit()
    assert (found.cases, list(found.findings)) == (3, [])


@pytest.mark.parametrize(
    ("table", "values", "word"),
    [
        (schema.cases, {"standing": "open"}, "by its events the case is ended"),
        (schema.postings, {"desired": "shown"}, "it is to stand here"),
        (schema.postings, {"applied": "shown"}, "may still be shown"),
        (schema.postings, {"seen": "ours"}, "seen all the same"),
        (schema.events, {"body": "{"}, "not every event"),
    ],
)
async def test_an_audit_finds_what_is_not_so(spine: Spine, table: Any, values: dict[str, Any], word: str) -> None:
    """Whatever is changed behind the bridge's back is found, told once, and stops the heart-beat."""
    await spine.opened()
    await spine.settled()
    await spine.ended()
    await _seen_dark(spine)
    await spine.settled()
    await spine.crash()
    spine.clock.now += 300
    await spine.database.write(lambda connection: connection.execute(update(table).values(values)).rowcount)
    watch = auditor(spine)
    found = await watch.audit()
    assert word in " ".join(one.en for one in found.findings)
    assert watch.findings == len(found.findings)


async def test_the_heart_beats_while_all_is_well_and_only_then(
    spine: Spine, told: Told, escalation: Escalation
) -> None:
    """The URL is called while every part is ready and nothing is late, and not while a board is dark."""
    calls: list[str] = []

    async def hear(request: web.Request) -> web.Response:
        calls.append(request.path)
        return web.Response()

    app = web.Application()
    app.router.add_get("/leeft", hear)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/leeft"
    async with ClientSession() as http:
        beat = Heartbeat(url, 60, {}, spine.database, auditor(spine), http)
        assert await beat.beat() == ""
        assert calls == ["/leeft"]
        spine.board.fail(DOWN)
        await spine.opened()
        await spine.advance(61)
        await escalation.look()
        assert await beat.beat() == "1 postings are too late"
        assert calls == ["/leeft"]
        spine.board.heal()
        await spine.settled()
        await escalation.look()
        assert await beat.beat() == ""
    await runner.cleanup()
    assert calls == ["/leeft"] * 2
