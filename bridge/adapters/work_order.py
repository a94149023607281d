"""Boards behind a supplier's closed portal (``work_order``): a person is asked to place and to remove, and confirms it.

A posting counts as shown once the supplier has said that it was placed, and as gone once he has said that it was
removed. Until then he is reminded, at growing intervals.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import NoReturn, Self

import aiohttp
from pydantic import Field
from standardwebhooks.webhooks import Webhook
from yarl import URL

from bridge.adapters.email import EmailConfig
from bridge.adapters.mime import Thread, parse_address
from bridge.adapters.registry import AdapterConfig, Resources
from bridge.adapters.smtp import SmtpPool
from bridge.core.content import Content, Phase
from bridge.core.dutch_time import AMSTERDAM, clock_time, day_and_time
from bridge.core.errors import (
    AdapterError,
    InvalidInput,
    OutcomeUnknown,
    PermanentError,
    StoreUnavailable,
    TransientError,
)
from bridge.core.ports import Order, Orders
from bridge.core.posting import Capabilities, Kind, Observation, Posting, Receipt, reference
from bridge.core.target import Target

_MAILTO = "mailto:"
_LONGEST = 3600.0  # seconds between reminders at most
_TRY_LATER = frozenset({408, 425, 429, 503})


class WorkOrderConfig(EmailConfig):
    """``adapters.work_order``: the mail server as in ``adapters.email``; times in seconds.

    ``deadline``: within which the supplier is asked to act. ``remind_after``: until the first reminder; doubles.
    """

    deadline: float = Field(1800.0, ge=60, le=86_400)
    remind_after: float = Field(600.0, ge=60, le=86_400)
    timeout: float = Field(30.0, gt=0, le=300)
    connections: int = Field(4, ge=1, le=100)


class WorkOrder:
    """Asks suppliers. A receipt's handle: ``serial``, the order that was confirmed."""

    Config: type[AdapterConfig] = WorkOrderConfig

    def __init__(
        self,
        config: WorkOrderConfig,
        resources: Resources,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.capabilities = Capabilities(
            kind=Kind.STATE,
            channels=frozenset({"sign", "display"}),
            board=True,
            can_observe=True,
            idempotent=True,
            max_concurrency=config.connections,
            timeout=config.timeout + 5,
        )
        self._config = config
        self._clock = clock
        self._http = resources.http
        self._orders = resources.orders
        self._composer = config.composer()
        self._pool = SmtpPool(config)

    async def __aenter__(self) -> Self:
        await self._pool.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pool.__aexit__(kind, error, trace)

    async def publish(self, posting: Posting, content: Content) -> Receipt:
        """Ask to place the text; raise ``OutcomeUnknown`` until the supplier has said that it stands there."""
        key = hashlib.sha256(f"{content.mark}\0{content.text}".encode()).hexdigest()[:32]
        text = f"{content.mark}\n{content.text}" if content.mark else content.text
        order = await self._ask(posting, "place", key, text)
        if order.answer == "cannot":
            raise PermanentError(f"the supplier cannot place it: {order.reason or 'no reason given'}")
        if order.answer != "done":
            raise OutcomeUnknown(await self._remind(posting, order, text), retry_after=self._pause(order))
        return Receipt(posting, {"serial": str(order.serial)})

    async def update(self, receipt: Receipt, content: Content) -> Receipt:
        """Ask to place another text in its stead."""
        return await self.publish(receipt.posting, content)

    async def retract(self, receipt: Receipt) -> None:
        """Ask to remove it; raise ``OutcomeUnknown`` until the supplier has said that it is gone."""
        order = await self._ask(receipt.posting, "remove", "", "")
        if order.answer != "done":
            why = await self._remind(receipt.posting, order, "")
            refused = f" (he answered: {order.reason or 'cannot'})" if order.answer == "cannot" else ""
            # Not a fault of the board: others' alerts go there meanwhile.
            raise OutcomeUnknown(f"{why}{refused}", retry_after=self._pause(order))

    async def observe(self, receipt: Receipt) -> Observation:
        """Tell what the supplier said last."""
        order = await self._store(receipt.posting)
        return Observation(present=order is not None and order.what == "place" and order.answer == "done")

    async def find(self, posting: Posting) -> NoReturn:
        """Raise ``PermanentError``: a supplier is asked again rather than searched."""
        raise PermanentError(f"a supplier is asked again rather than searched ({posting.id})")

    async def probe(self, target: Target) -> None:
        """Return when the supplier can be reached; nobody is asked anything."""
        if target.address.startswith(_MAILTO):
            await self._pool.check()
            return
        try:
            async with self._http.head(target.address, timeout=self._timeout, allow_redirects=False):
                return
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise TransientError(f"web hook: no connection ({type(error).__name__})") from error

    @staticmethod
    def check_target(target: Target) -> None:
        """Raise ``InvalidInput`` when the address is neither a mail address nor a web hook, or the size is missing."""
        problems = []
        if not _is_address(target.address):
            problems.append(
                f"address: {target.address!r} is not allowed; allowed: mailto:name@supplier, or an https URL"
            )
        if target.sign is None:
            problems.append("sign: the size of the board, like {columns: 16, rows: 5}")
        if problems:
            raise InvalidInput(*(f"target {target.id}: {problem}" for problem in problems))

    @property
    def _timeout(self) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(total=self._config.timeout)

    @property
    def _desk(self) -> Orders:
        if self._orders is None:
            raise TransientError("no supplier can be asked here: this command has no store")
        return self._orders

    async def _store(self, posting: Posting) -> Order | None:
        try:
            return await self._desk.latest(posting)
        except StoreUnavailable as error:
            raise TransientError(str(error)) from error

    async def _ask(self, posting: Posting, what: str, key: str, text: str) -> Order:
        try:
            return await self._desk.ask(posting, what, key, self._told(posting.target, text))
        except StoreUnavailable as error:
            raise TransientError(str(error)) from error

    def _told(self, target: Target, text: str) -> dict[str, str]:
        """Collect what a supplier must know: the board, where it is, the text, and by when."""
        place = f"{target.location.lat}, {target.location.lon}" if target.location else ""
        by = (self._clock() + timedelta(seconds=self._config.deadline)).astimezone(AMSTERDAM)
        return {
            "target": target.id,
            "owner": target.owner.name,
            "place": place,
            "text": text,
            "by": by.isoformat(timespec="minutes"),
        }

    def _pause(self, order: Order) -> float:
        return min(_LONGEST, self._config.remind_after * 2.0 ** max(0, order.sent - 1))

    async def _remind(self, posting: Posting, order: Order, text: str) -> str:
        """Send the order, or a reminder when one is due; say how it stands."""
        now = self._clock().timestamp()
        if not order.sent or now - order.sent_at >= self._pause(order):
            # Noted before it is sent: when nobody knows whether it went, it does not go twice within the minute.
            await self._note(order, order.sent + 1)
            try:
                await self._send(posting.target, order, text)
            except (TransientError, PermanentError):
                await self._note(order, order.sent)
                raise
            order = replace(order, sent=order.sent + 1)
        asked = clock_time(order.asked)
        what = "placed" if order.what == "place" else "removed"
        again = f", {order.sent - 1} reminders" if order.sent > 1 else ""
        return f"asked the supplier at {asked}{again}; not confirmed as {what} yet"

    async def _note(self, order: Order, times: int) -> None:
        try:
            await self._desk.sent(order, times)
        except StoreUnavailable as error:
            raise TransientError(str(error)) from error

    async def _send(self, target: Target, order: Order, text: str) -> None:
        told = self._told(target, text)
        if target.address.startswith(_MAILTO):
            await self._mail(target, order, told)
        else:
            await self._post(target, order, told)

    async def _mail(self, target: Target, order: Order, told: dict[str, str]) -> None:
        verb = "plaats" if order.what == "place" else "VERWIJDER"
        reminder = "Herinnering: " if order.sent else ""
        subject = f"{reminder}Burgernet: {verb} melding {reference(order.posting)} op {target.id}"
        content = Content(order.link, order.sent, Phase.OPENED, "nl", subject, _letter(order, told))
        reader = parse_address(target.address.removeprefix(_MAILTO))
        await self._pool.deliver(self._composer.compose(reader, target.id, content, Thread(subject), None))

    async def _post(self, target: Target, order: Order, told: dict[str, str]) -> None:
        body = json.dumps(
            {
                **told,
                "what": order.what,
                "reference": reference(order.posting),
                "confirm": order.link,
                "reminder": order.sent,
            },
            ensure_ascii=False,
        )
        headers = {"Content-Type": "application/json"}
        if target.secret:
            now, name = datetime.now(UTC), f"{order.posting}.{order.serial}.{order.sent}"
            signature = Webhook(target.secret).sign(name, now, body)
            headers |= {"webhook-id": name, "webhook-timestamp": str(int(now.timestamp()))}
            headers["webhook-signature"] = signature
        request = self._http.post(
            target.address, data=body.encode(), headers=headers, timeout=self._timeout, allow_redirects=False
        )
        try:
            async with request as answer:
                status = answer.status
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise TransientError("web hook: no connection") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise OutcomeUnknown("web hook: no answer") from error
        if not 200 <= status < 300:
            raise _refused(status)


def _refused(status: int) -> AdapterError:
    why = f"web hook: HTTP {status}"
    return (
        TransientError(why) if status in _TRY_LATER else OutcomeUnknown(why) if status >= 500 else PermanentError(why)
    )


def _letter(order: Order, told: dict[str, str]) -> str:
    """Write the mail: in Dutch, for people who work with signs."""
    name = reference(order.posting)  # a board may show more than one, and the ended one's text is told no more
    lines = [
        f"Kenmerk: {name}",
        f"Bord: {told['target']} ({told['owner']})",
        *([f"Plaats: {told['place']}"] if told["place"] else []),
    ]
    by = day_and_time(datetime.fromisoformat(told["by"]))
    if order.what == "place":
        lines += ["", f"Plaats deze tekst, letterlijk en volledig, vóór {by}:", "", told["text"]]
        if order.serial > 1:
            lines += ["", f"Zij vervangt wat er met kenmerk {name} al staat."]
        lines += ["", "Staat het er? Bevestig dat hier; lukt het niet, zeg het daar ook:", order.link]
    else:
        lines += ["", f"Verwijder melding {name} van Burgernet van dit bord, vóór {by}.", "De zaak is voorbij."]
        lines += ["", "Staat zij er niet meer? Bevestig dat hier:", order.link]
    return "\n".join(lines) + "\n"


def _is_address(address: str) -> bool:
    if address.startswith(_MAILTO):
        try:
            parse_address(address.removeprefix(_MAILTO))
        except ValueError:
            return False
        return True
    try:
        url = URL(address)
    except ValueError:
        return False
    return url.scheme in ("http", "https") and bool(url.host) and url.user is None
