"""A board that holds one message shows all its open cases in turn, each whole, and never goes dark in between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bridge.core.errors import TransientError
from bridge.core.posting import Step
from bridge.core.target import Target
from bridge.store import reading, schema
from bridge.store.database import Database
from tests.integration.fake_adapters import lose_answer, lose_request, refuse
from tests.integration.fake_sign import FakeSign
from tests.integration.spine import Spine
from tests.integration.spine_store import database_fixture, masters_fixture, store_url  # noqa: F401

BOY, MAN, GIRL = "Jongen, 8 jaar, rode jas", "Man, 81 jaar, grijs vest", "Meisje, 6 jaar, geel"
T = schema.postings.c


def one_sign(**more: Any) -> Target:
    """Make a sign that holds one message."""
    size = {"columns": 40, "rows": 5, "pages": 4}
    fields = {"id": "s", "channel": "sign", "adapter": "sign", "address": "at s", "owner": {"kind": "municipality"}}
    return Target.model_validate({**fields, "sign": size, **more})


@pytest.fixture
def sign() -> FakeSign:
    """Give a sign with room for two of the texts."""
    return FakeSign()


@pytest.fixture
async def spine(database: Database, sign: FakeSign) -> AsyncIterator[Spine]:
    """Run a bridge with this sign."""
    async with Spine(database, [one_sign()], adapters={"sign": sign}, tell=True) as spine:
        spine.start()
        yield spine


async def stand(spine: Spine, case: str) -> dict[str, Any]:
    """Tell how a case stands on the sign, as ``status`` does."""
    told = await spine.database.read(lambda connection: reading.status(connection, case))
    [posting] = told["cases"][0]["postings"]
    return dict(posting)


async def test_two_cases_take_turns_and_one_that_ends_leaves_the_other(spine: Spine, sign: FakeSign) -> None:
    """Both stand in one message; when one ends the other goes on, and the sign was never dark."""
    await spine.opened("boy", text=BOY)
    await spine.settled()
    await spine.opened("girl", text=GIRL)
    await spine.settled()
    assert sign.shown["s"] == f"{GIRL} | {BOY}"  # alike, so the newest first
    await spine.ended("boy")
    await spine.settled()
    assert sign.shown["s"] == GIRL
    assert (await stand(spine, "boy"))["applied"] == "gone"
    assert (await stand(spine, "girl"))["applied"] == "shown"
    await spine.ended("girl")
    await spine.settled()
    assert [message for _, message in sign.history] == [BOY, f"{GIRL} | {BOY}", GIRL, ""]


async def test_where_there_is_no_room_the_most_pressing_stands(spine: Spine, sign: FakeSign) -> None:
    """A missing man makes room for two children, is said to wait, and comes back when one of them is found."""
    await spine.opened("man", text=MAN, category="missing_person")
    await spine.settled()
    await spine.opened("boy", text=BOY)
    await spine.settled()
    await spine.opened("girl", text=GIRL, category="amber_alert")
    await spine.settled()
    assert sign.shown["s"] == f"{GIRL} | {BOY}"
    waits = await stand(spine, "man")
    assert (waits["desired"], waits["applied"], waits["reason_code"]) == ("shown", "gone", "waits")
    assert "wacht" in waits["reason"]
    await spine.ended("boy")
    await spine.settled()
    assert sign.shown["s"] == f"{GIRL} | {MAN}"
    back = await stand(spine, "man")
    assert (back["applied"], back["settled"], back["reason_code"]) == ("shown", True, "allowed")


async def test_who_comes_last_and_finds_no_room_waits(spine: Spine, sign: FakeSign) -> None:
    """A case that is less pressing than those on a full sign waits from the start, and its end takes nothing away."""
    for name, text in (("boy", BOY), ("girl", GIRL)):
        await spine.opened(name, text=text)
        await spine.settled()
    await spine.opened("man", text=MAN, category="missing_person")
    await spine.settled()
    assert (await stand(spine, "man"))["reason_code"] == "waits"
    before = list(sign.history)
    await spine.ended("man")
    await spine.settled()
    assert sign.history == before


async def test_a_text_that_never_fits_is_refused_and_does_not_wait(spine: Spine, sign: FakeSign) -> None:
    """What would not even fit alone is refused with the reason, and the other case stands as it stood."""
    await spine.opened("boy", text=BOY)
    await spine.settled()
    await spine.opened("long", text="Een lange tekst " * 6)
    await spine.settled()
    assert (await stand(spine, "long"))["error"] == "it is too long"
    assert sign.shown["s"] == BOY
    await spine.ended("boy")
    await spine.settled()
    assert sign.shown["s"] == ""


async def test_a_correction_that_does_not_fit_any_more_leaves_the_others(spine: Spine, sign: FakeSign) -> None:
    """A case whose new text is too long leaves the sign (R3), and the one beside it stays."""
    for name, text in (("boy", BOY), ("girl", GIRL)):
        await spine.opened(name, text=text)
        await spine.settled()
    await spine.updated("girl", text="Een lange tekst " * 6)
    await spine.settled()
    assert sign.shown["s"] == BOY
    assert (await stand(spine, "girl"))["error"] == "it is too long"


@pytest.mark.parametrize("fault", [lose_answer, lose_request, refuse(TransientError("niet nu"))])
@pytest.mark.parametrize("step", [Step.PUBLISH, Step.UPDATE, Step.RETRACT])
async def test_a_fault_leaves_nobody_behind(spine: Spine, sign: FakeSign, step: Step, fault: Any) -> None:
    """Whatever step fails, and however: in the end the sign shows who is still missing, and then nothing."""
    sign.fail(fault, step=step, times=2)
    await spine.opened("boy", text=BOY)
    await spine.opened("girl", text=GIRL)
    await spine.settled()
    assert sign.shown["s"] == f"{GIRL} | {BOY}"
    await spine.ended("girl")
    await spine.settled()
    assert sign.shown["s"] == BOY
    await spine.ended("boy")
    await spine.settled()
    assert sign.shown["s"] == ""


async def test_a_killed_bridge_leaves_nobody_behind(spine: Spine, sign: FakeSign) -> None:
    """Killed while it wrote the message of two cases, one of which ends meanwhile, it clears that one and no other."""
    await spine.opened("boy", text=BOY)
    await spine.settled()
    await spine.opened("girl", text=GIRL)
    await spine.until(lambda: sign.shown["s"] != BOY, travel=False)
    await spine.crash()
    await spine.ended("girl")
    await spine.restart()
    await spine.settled()
    assert sign.shown["s"] == BOY


async def test_drift_is_seen_and_mended_for_all(spine: Spine, sign: FakeSign) -> None:
    """Someone else writes on the sign: that is seen, told with what stands there, and both cases are put back."""
    for name, text in (("boy", BOY), ("girl", GIRL)):
        await spine.opened(name, text=text)
        await spine.settled()
    sign.write("s", "A44 DICHT")
    await spine.until(lambda: sign.shown["s"] == f"{GIRL} | {BOY}")
    seen = await spine.rows(schema.postings, T.seen == "other")
    assert [row["seen_text"] for row in seen] == ["A44 DICHT"]
    await spine.settled()
    for name in ("boy", "girl"):
        assert (await stand(spine, name))["applied"] == "shown"


async def test_renewing_one_renews_all(spine: Spine, sign: FakeSign) -> None:
    """A message with two cases is renewed for both at once, with all its texts."""
    for name, text in (("boy", BOY), ("girl", GIRL)):
        await spine.opened(name, text=text)
        await spine.settled()
    written = len(sign.history)
    await spine.advance(spine.timing.valid_for / 2)
    await spine.until(lambda: len(sign.history) > written)
    await spine.settled()
    assert {message for _, message in sign.history[written:]} == {f"{GIRL} | {BOY}"}
    ends = {row["shown_until"] for row in await spine.rows(schema.postings)}
    assert len(ends) == 1


async def test_two_processes_do_not_write_one_board_at_once(spine: Spine, sign: FakeSign) -> None:
    """With two dispatchers on one store, two cases of one board are never written at the same moment."""
    spine.start("two")
    for name in "abcd":
        await spine.opened(name, text=f"Zaak {name}")
    await spine.settled()
    for name in "abc":
        await spine.ended(name)
    await spine.settled()
    assert sign.shown["s"] == "Zaak d"
    assert sign.load.most_per_target == 1
