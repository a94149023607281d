"""What a supplier says is heard at once, whatever the bridge is doing."""

from __future__ import annotations

import asyncio

from bridge.core.errors import OutcomeUnknown
from bridge.core.posting import Posting, Step
from bridge.store.database import Database
from bridge.store.orders import OrderStore
from tests.integration.fake_adapters import FakeBoard
from tests.integration.spine import Spine, board
from tests.integration.spine_store import database_fixture, masters_fixture, store_url  # noqa: F401


class Supplied(FakeBoard):
    """A board that is lit by a supplier, who answers while he is still being asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.told = asyncio.Event()


async def test_an_answer_that_comes_during_the_step_is_heard_after_it(database: Database) -> None:
    """A supplier whose system confirms before the mail server has said goodbye does not wait for his first reminder."""
    supplied = Supplied()

    async def ask(_act: object) -> None:
        supplied.asked.set()
        await supplied.told.wait()
        raise OutcomeUnknown("asked the supplier; not confirmed as placed yet", retry_after=600)

    supplied.fail(ask, step=Step.PUBLISH, times=1)
    async with Spine(database, [target := board("b")], adapters={"board": supplied}) as spine:
        database.clock = spine.clock  # type: ignore[method-assign]
        orders = OrderStore(database, "http://bridge.example", spine.wake)
        spine.start()
        await spine.opened()
        await supplied.asked.wait()
        posting = Posting(spine.posting_id("b"), "zaak", target)
        order = await orders.ask(posting, "place", "key", {})
        answer = asyncio.create_task(orders.answer(posting.id, order.serial, "done"))
        while not ((latest := await orders.latest(posting)) and latest.answer):
            await asyncio.sleep(0.01)
        supplied.told.set()
        await spine.until(lambda: len(supplied.shown) == 1, travel=False)
        await answer


async def test_an_answer_waits_for_no_step_that_nobody_takes(database: Database) -> None:
    """A worker that died in the step, and no other: what the supplier says is kept, and his page is answered in time."""
    hanging = FakeBoard()
    begun = asyncio.Event()

    async def hang(_act: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    hanging.fail(hang, step=Step.PUBLISH, times=1)
    async with Spine(database, [target := board("b")], adapters={"board": hanging}) as spine:
        database.clock = spine.clock  # type: ignore[method-assign]
        orders = OrderStore(database, "http://bridge.example", spine.wake)
        worker = spine.start()
        await spine.opened()
        await begun.wait()
        await worker.kill()
        posting = Posting(spine.posting_id("b"), "zaak", target)
        order = await orders.ask(posting, "place", "key", {})
        spine.clock.now += 3600
        async with asyncio.timeout(5):
            await orders.answer(posting.id, order.serial, "done")
        latest = await orders.latest(posting)
        assert latest
        assert latest.answer == "done"
