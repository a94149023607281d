"""Work orders: every promise of an adapter with a supplier who confirms, and what happens while he does not."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, NoReturn

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bridge.adapters.registry import Resources
from bridge.adapters.work_order import WorkOrder, WorkOrderConfig
from bridge.core.errors import InvalidInput, OutcomeUnknown, PermanentError, StoreUnavailable, TransientError
from bridge.core.posting import Posting, posting_id, reference
from bridge.core.target import Target
from bridge.simulators.smtp_sink import SmtpSink
from bridge.store.database import Database
from bridge.store.orders import OrderStore
from bridge.testing import CORRECTION, OPENING, AdapterContract, stored
from bridge.web.orders import OrderPages
from tests.contract.test_docs_adapter import Nowhere
from tests.integration.spine_store import database_fixture, masters_fixture, store_url  # noqa: F401

LINK = re.compile(r"http://127\.0\.0\.1:\d+/order/\S+")
BY_HAND = "a supplier's answer is a person's: it comes by the page, or not at all"
SECRET = "whsec_bm90IGEgc2VjcmV0IG91dHNpZGUgdGhpcyB0ZXN0"


def target(address: str) -> Target:
    """Give a board behind a supplier's portal."""
    owner = {"name": "Gemeente Leiden", "kind": "municipality"}
    fields: dict[str, Any] = {"id": "mast-n206", "channel": "sign", "adapter": "work_order", "owner": owner}
    return Target.model_validate(
        {**fields, "address": address, "sign": {"columns": 20, "rows": 4}, "location": {"lat": 52.17, "lon": 4.46}}
    )


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        """Give the time."""
        return self.now

    def seconds(self) -> float:
        """Give the time as the store reads it."""
        return self.now.timestamp()


class Desk:
    """The bridge's own page for suppliers, the mail server, and the supplier who reads both."""

    def __init__(self, store: OrderStore, mails: SmtpSink, url: str) -> None:
        self.store = store
        self.mails = mails
        self.url = url
        self.texts: list[str] = []  # what stands on the board
        self.answers = True

    async def press(self, link: str, answer: str = "done", **form: str) -> tuple[int, str]:
        """Press a button on the page."""
        async with aiohttp.ClientSession() as http, http.post(link, data={"answer": answer, **form}) as response:
            return response.status, await response.text()

    async def look(self, link: str, language: str = "nl") -> tuple[int, str]:
        """Open the page and press nothing, as a mail scanner does."""
        async with (
            aiohttp.ClientSession(headers={"Accept-Language": language}) as http,
            http.get(link) as response,
        ):
            return response.status, await response.text()

    def letters(self) -> list[str]:
        """Give the mails, oldest first."""
        return [str(mail.message.get_body(("plain",)).get_content()) for mail in self.mails.messages]  # type: ignore[union-attr]

    def link(self, number: int = -1) -> str:
        """Give the link of one mail."""
        found = LINK.search(self.letters()[number])
        assert found
        return found[0]

    async def shown(self) -> list[str]:
        """Give what stands on the board."""
        return self.texts


@pytest.fixture
def clock() -> Clock:
    """Give a clock."""
    return Clock()


@pytest.fixture
async def desk(database: Database, clock: Clock) -> AsyncIterator[Desk]:
    """Open the desk."""
    database.clock = clock.seconds  # type: ignore[method-assign]
    app = web.Application()
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    store = OrderStore(database, "", lambda: None)
    OrderPages(store).add_to(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    store._public_url = url  # only now is the port known
    async with SmtpSink() as mails:
        yield Desk(store, mails, url)
    await runner.cleanup()


@pytest.fixture
async def adapter(desk: Desk, clock: Clock) -> AsyncIterator[WorkOrder]:
    """Give the adapter."""
    config = WorkOrderConfig(host=desk.mails.host, port=desk.mails.port, security="none", timeout=5)
    async with (
        aiohttp.ClientSession() as http,
        WorkOrder(config, Resources(http, Nowhere(), orders=desk.store), clock) as adapter,
    ):
        yield adapter


@pytest.fixture
def posting(desk: Desk) -> Posting:
    """Give one case."""
    board = target("mailto:storing@borden.example")
    return Posting(posting_id("2026112200042", board), "2026112200042", board)


class Prompt:
    """An adapter whose supplier does at once what he is asked: what the suite of all adapters is run with."""

    def __init__(self, adapter: WorkOrder, desk: Desk) -> None:
        self._adapter = adapter
        self._desk = desk
        self.capabilities = adapter.capabilities

    async def publish(self, posting: Posting, content: Any) -> Any:
        """Ask; the supplier places and confirms; ask again."""
        try:
            return await self._adapter.publish(posting, content)
        except OutcomeUnknown:
            await self._obey(posting, content.text)
            return await self._adapter.publish(posting, content)

    async def update(self, receipt: Any, content: Any) -> Any:
        """Ask for another text."""
        return await self.publish(receipt.posting, content)

    async def retract(self, receipt: Any) -> None:
        """Ask; the supplier removes and confirms; ask again."""
        try:
            await self._adapter.retract(receipt)
        except OutcomeUnknown:
            await self._obey(receipt.posting, "")
            await self._adapter.retract(receipt)

    async def _obey(self, posting: Posting, text: str) -> None:
        order = await self._desk.store.latest(posting)
        assert order
        self._desk.texts = [text] if text else []
        assert (await self._desk.press(order.link))[0] == 200

    def __getattr__(self, name: str) -> Any:
        return getattr(self._adapter, name)


class TestWorkOrder(AdapterContract):
    """Every promise of an adapter, with a supplier who does as he is asked."""

    no_such_fault: ClassVar = dict.fromkeys(("refuse_for_now", "refuse_for_good", "vanish", "lose_answers"), BY_HAND)

    @pytest.fixture
    def peer(self, desk: Desk) -> Desk:
        """Give the supplier."""
        return desk

    @pytest.fixture
    def adapter(self, adapter: WorkOrder, desk: Desk) -> Prompt:
        """Give the adapter with a prompt supplier."""
        return Prompt(adapter, desk)


def content(posting: Posting, text: str = OPENING) -> Any:
    """Make what is to be placed."""
    return AdapterContract().make_content(posting, text=text)


async def test_the_letter_says_all_and_looking_confirms_nothing(
    adapter: WorkOrder, posting: Posting, desk: Desk
) -> None:
    """The mail has the board, its place, the text word for word and a link; only pressing the button counts."""
    with pytest.raises(OutcomeUnknown, match="not confirmed as placed yet"):
        await adapter.publish(posting, content(posting))
    [letter] = desk.letters()
    for words in ("mast-n206 (Gemeente Leiden)", "52.17, 4.46", OPENING, "letterlijk en volledig"):
        assert words in letter
    status, page = await desk.look(desk.link())
    assert (status, "Staat de melding op het bord?" in page, OPENING in page) == (200, True, True)
    assert "Does the board show the alert?" in (await desk.look(desk.link(), "en"))[1]
    with pytest.raises(OutcomeUnknown):
        await adapter.publish(posting, content(posting))
    await desk.press(desk.link())
    receipt = await adapter.publish(posting, content(posting))
    assert (await adapter.observe(receipt)).present


async def test_he_is_reminded_at_growing_intervals(
    adapter: WorkOrder, posting: Posting, desk: Desk, clock: Clock
) -> None:
    """Asked every minute for hours, the supplier hears after ten minutes, twenty more, forty more, then each hour."""
    sent = []
    for minute in range(300):
        with pytest.raises(OutcomeUnknown) as open_end:
            await adapter.publish(posting, content(posting))
        if len(desk.mails.messages) > len(sent):
            sent.append(minute)
        clock.now += timedelta(minutes=1)
    assert sent == [0, 10, 30, 70, 130, 190, 250]
    assert "6 reminders" in str(open_end.value)
    assert "Herinnering: Burgernet: plaats" in str(desk.mails.messages[-1].message["Subject"])


async def test_a_supplier_who_cannot_says_why(adapter: WorkOrder, posting: Posting, desk: Desk) -> None:
    """*Cannot* is a refusal with his reason; when he can after all, that counts."""
    with pytest.raises(OutcomeUnknown):
        await adapter.publish(posting, content(posting))
    _, page = await desk.press(desk.link(), "cannot", reason="de mast is stuk\r\nBcc: x")
    assert "ziet uw reden" in page
    with pytest.raises(PermanentError, match="the supplier cannot place it: de mast is stuk Bcc: x"):
        await adapter.publish(posting, content(posting))
    await desk.press(desk.link())
    await adapter.publish(posting, content(posting))


async def test_a_removal_stays_open_until_it_is_confirmed(
    adapter: WorkOrder, posting: Posting, desk: Desk, clock: Clock
) -> None:
    """Not confirmed is not gone; the link of the placing does not confirm the removal, and says that it is old."""
    with pytest.raises(OutcomeUnknown):
        await adapter.publish(posting, content(posting))
    placing = desk.link()
    await desk.press(placing)
    receipt = stored(await adapter.publish(posting, content(posting)))
    with pytest.raises(OutcomeUnknown, match="not confirmed as removed yet"):
        await adapter.retract(receipt)
    assert "VERWIJDER" in str(desk.mails.messages[-1].message["Subject"])
    assert OPENING not in desk.letters()[-1]
    name = f"Kenmerk: {reference(posting.id)}"  # which of two alerts on the board
    assert all(name in letter for letter in desk.letters())
    assert reference(posting.id) in (await desk.look(desk.link()))[1]
    status, page = await desk.press(placing)
    assert (status, "verouderd" in page) == (410, True)
    with pytest.raises(OutcomeUnknown):
        await adapter.retract(receipt)
    await desk.press(desk.link())
    await adapter.retract(receipt)
    assert not (await adapter.observe(receipt)).present


async def test_a_correction_is_a_new_order(adapter: WorkOrder, posting: Posting, desk: Desk) -> None:
    """Another text is asked for anew, and the old link confirms nothing of it."""
    with pytest.raises(OutcomeUnknown):
        await adapter.publish(posting, content(posting))
    old = desk.link()
    with pytest.raises(OutcomeUnknown):
        await adapter.publish(posting, content(posting, CORRECTION))
    assert (await desk.press(old))[0] == 410
    with pytest.raises(OutcomeUnknown):
        await adapter.publish(posting, content(posting, CORRECTION))
    assert ["vervangt" in letter for letter in desk.letters()] == [False, True]
    assert (await desk.press(desk.link()))[0] == 200
    await adapter.publish(posting, content(posting, CORRECTION))


async def test_no_link_can_be_made_up(adapter: WorkOrder, posting: Posting, desk: Desk) -> None:
    """Another signature, serial, purpose or order is not valid, whatever is pressed; nothing is confirmed by it."""
    with pytest.raises(OutcomeUnknown):
        await adapter.publish(posting, content(posting))
    link = desk.link()
    for wrong in (
        link[:-1] + ("A" if link[-1] != "A" else "B"),
        link.replace("/1/", "/2/"),
        link.replace("/place/", "/remove/"),
        link.replace(posting.id, "a" * 26),
        link.rpartition("/")[0] + "/%00",
    ):
        assert (await desk.press(wrong))[0] == 404
        assert (await desk.look(wrong))[0] == 404
    for cut_off in (link[:-9], link.rpartition("/")[0], f"{desk.url}/order/"):
        status, page = await desk.look(cut_off)
        assert (status, "niet geldig. Neem hem geheel over" in page) == (404, True)
    assert (await desk.press(link, "anders"))[0] == 400
    with pytest.raises(OutcomeUnknown):
        await adapter.publish(posting, content(posting))
    for _ in range(2):  # twice is harmless
        assert (await desk.press(link))[0] == 200
    await adapter.publish(posting, content(posting))


async def test_a_web_hook_is_signed_and_a_failure_is_told(adapter: WorkOrder, desk: Desk) -> None:
    """A supplier's own system gets the same as JSON, signed; one that is down is tried again, one that refuses is not."""
    got: list[Any] = []
    answers = [503, 400, 200]

    async def hear(request: web.Request) -> web.Response:
        got.append((dict(request.headers), await request.json()))
        return web.Response(status=answers[len(got) - 1])

    app = web.Application()
    app.router.add_post("/opdracht", hear)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    board = target(f"http://127.0.0.1:{runner.addresses[0][1]}/opdracht").with_secret(SECRET)
    for error in (TransientError, PermanentError, OutcomeUnknown):
        one = Posting(posting_id("zaak", board), "zaak", board)
        with pytest.raises(error):
            await adapter.publish(one, content(one))
    headers, body = got[-1]
    assert {"webhook-id", "webhook-timestamp", "webhook-signature"} <= {name.lower() for name in headers}
    assert body["reference"] == reference(one.id)
    assert (body["what"], body["text"], body["target"]) == ("place", OPENING, "mast-n206")
    await runner.cleanup()
    assert (await desk.press(body["confirm"]))[0] == 200
    await adapter.publish(one, content(one))


async def test_without_an_address_nobody_is_asked(adapter: WorkOrder, posting: Posting, desk: Desk) -> None:
    """Where web.public_url is empty no supplier could confirm: that is said, and no mail goes."""
    desk.store._public_url = ""
    with pytest.raises(PermanentError, match=r"web\.public_url is empty"):
        await adapter.publish(posting, content(posting))
    assert not desk.mails.messages


@pytest.mark.parametrize("address", ["storing@borden.example", "mailto:", "mailto:a b@c", "ftp://x/", "https://u:p@x/"])
def test_an_address_is_a_mailbox_or_a_hook(address: str) -> None:
    """Anything else is refused in one sentence."""
    with pytest.raises(InvalidInput, match="mailto:name"):
        WorkOrder.check_target(target(address))
    WorkOrder.check_target(target("mailto:storing@borden.example"))
    WorkOrder.check_target(target("https://borden.example/opdracht"))


class Down(OrderStore):
    """A desk whose database is away."""

    async def asked(self, *_: object) -> NoReturn:
        """Find nothing out."""
        raise StoreUnavailable("no connection")


async def test_a_supplier_is_told_when_nothing_can_be_noted(database: Database) -> None:
    """Without the database the page says so, in his language: his answer is not lost in silence."""
    app = web.Application()
    OrderPages(Down(database, "", lambda: None)).add_to(app)
    path = f"/order/{'a' * 26}/1/place/signature"
    async with TestClient(TestServer(app)) as client:
        for answer in (await client.get(path), await client.post(path, data={"answer": "done"})):
            assert answer.status == 503
            assert "<h1>Het kan nu even niet worden genoteerd." in await answer.text()
        english = await client.get(path, headers={"Accept-Language": "en"})
        assert "Try again in a minute." in await english.text()
