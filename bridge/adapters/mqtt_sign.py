"""Displays that listen to an MQTT 5 broker: one retained topic holds all that a display shows (``mqtt_sign``).

MQTT 5.0 (OASIS Standard, 2019). The state of a display is JSON on its topic, retained, with QoS 1:
``{"id","validUntil","messages":[{"case","revision","language","text","pages","exercise","mark"}, …]}``; an empty
payload is *nothing*. The display says on ``<topic>/ack`` what it shows, and its Last Will on ``<topic>/status`` says
when it is gone. ``docs/boards/mqtt.md`` has the whole contract.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, NoReturn, Self
from unicodedata import category

from aiomqtt import Message, MqttError
from pydantic import Field

from bridge.adapters.mqtt_session import Place, Session, open_session, place_of
from bridge.adapters.registry import AdapterConfig, Resources
from bridge.core.content import Content
from bridge.core.errors import AdapterError, InvalidInput, OutcomeUnknown, PermanentError, TransientError
from bridge.core.layout import DoesNotFit
from bridge.core.posting import Capabilities, Kind, Observation, Posting, Receipt
from bridge.core.target import Target
from bridge.core.turns import fit

STAGE, CONFIRMED = 0.15, 0.75  # parts of the timeout: for each stage, and until the display must have confirmed
ONLINE = b"online"
# What a display may answer instead of showing: whether it may be different later, and what we make of it.
REFUSALS: dict[str, tuple[type[AdapterError], str]] = {
    "busy": (TransientError, "the display refuses for now: it is busy"),
    "local": (TransientError, "the display refuses for now: it is operated by hand"),
    "size": (PermanentError, "the display refuses: it has no room for this text"),
    "characters": (PermanentError, "the display refuses: it does not have all characters of this text"),
}
OTHER_REFUSAL = (PermanentError, "the display refuses, for a reason of its own")


class MqttSignConfig(AdapterConfig):
    """``adapters.mqtt_sign``.

    ``ca_file``: certificates to trust instead of the system's. ``ack``: wait until the display says what it shows;
    without, the broker's word counts and nothing can be read back. ``max_bytes``: of a state; what does not fit waits.
    ``timeout``: seconds for one step, connecting included.
    """

    ca_file: Path | None = None
    ack: bool = True
    max_bytes: int = Field(65_536, ge=200, le=10_000_000)
    connections: int = Field(32, ge=1, le=1_000)
    timeout: float = Field(15.0, gt=0, le=120)


class State(NamedTuple):
    """All that a display is to show. ``seconds``: how long the broker keeps it; ``id`` is ``None`` for nothing."""

    id: str | None
    payload: bytes
    seconds: int | None


NOTHING = State(None, b"", None)


class Ack(NamedTuple):
    """What a display says that it shows; with a ``reason`` it refuses the state ``refused``."""

    id: str | None
    text: str | None
    refused: str | None
    reason: str | None


class MqttSign:
    """Drives displays that keep the contract of one retained topic; each step has a connection of its own."""

    Config: type[AdapterConfig] = MqttSignConfig

    def __init__(self, config: MqttSignConfig, resources: Resources) -> None:  # noqa: ARG002 - it needs none
        self.capabilities = Capabilities(
            kind=Kind.STATE,
            channels=frozenset({"sign", "display"}),
            board=True,
            can_observe=config.ack,
            idempotent=True,
            leased=True,
            holds_one=True,
            max_concurrency=config.connections,
            timeout=config.timeout,
        )
        self._config = config
        self._tls: ssl.SSLContext | None = None

    async def __aenter__(self) -> Self:
        """Open nothing: each step has a connection of its own."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close nothing."""

    async def publish(self, posting: Posting, content: Content) -> Receipt:
        """Have the display show the cases that fit, in turn; again is harmless, and renews ``validUntil``."""
        return await self._show(posting, posting.target.address, content)

    async def update(self, receipt: Receipt, content: Content) -> Receipt:
        """Replace what is shown, where it is shown, without a dark moment in between."""
        return await self._show(receipt.posting, _shown_at(receipt), content)

    async def retract(self, receipt: Receipt) -> None:
        """Delete what the broker keeps, and wait until the display says that it is dark."""
        await self._put(receipt.posting.target, _shown_at(receipt), NOTHING)

    async def observe(self, receipt: Receipt) -> Observation:
        """Tell what the display says that it shows; raise ``TransientError`` while it is not there."""
        if not self._config.ack:
            raise PermanentError("without acks (adapters.mqtt_sign.ack) nobody knows what a display shows")
        ack = await self._hear(receipt.posting.target, _shown_at(receipt))
        if ack.id is not None and ack.id == receipt.handle.get("id"):
            return Observation(present=True)
        return Observation(present=False, text=ack.text or ack.id, ours=ack.id is not None)

    async def find(self, posting: Posting) -> NoReturn:
        """Raise ``PermanentError``: nothing needs to be looked up, for publishing again is harmless."""
        raise PermanentError(f"mqtt_sign: {posting.id} is not looked up but shown again")

    async def probe(self, target: Target) -> None:
        """Return when the broker lets us in, and the display is there (where it acks)."""
        if self._config.ack:
            await self._hear(target, target.address)
            return
        async with self._session(target, target.address):
            pass

    @staticmethod
    def check_target(target: Target) -> None:
        """Raise ``InvalidInput`` when the address names no topic, the size is missing, or the secret is no login."""
        problems = []
        if place_of(target.address) is None:
            problems.append(
                "address: mqtt://host[:port]/topic or mqtts://…; the topic has no empty level, no + or #, "
                "and does not end in /ack or /status"
            )
        if target.sign is None:
            problems.append("sign: its size (columns, rows, pages), or no text can be laid out")
        if target.secret is not None and not _is_login(target.secret):
            problems.append("secret: user:password")
        if problems:
            raise InvalidInput(*(f"target {target.id}: {problem}" for problem in problems))

    async def _show(self, posting: Posting, address: str, content: Content) -> Receipt:
        try:
            state, cases = fit(content, maker(content.valid_until, self._config.max_bytes))
        except DoesNotFit as reason:
            raise PermanentError(str(reason)) from reason
        await self._put(posting.target, address, state)
        return Receipt(posting, {"address": address, "id": state.id or ""}, cases)

    async def _put(self, target: Target, address: str, state: State) -> None:
        deadline = asyncio.get_running_loop().time() + CONFIRMED * self._config.timeout
        async with self._session(target, address) as (session, place):
            try:
                if self._config.ack:
                    await session.watch([place.topic, place.ack, place.status])
            except MqttError as error:
                raise TransientError(f"the broker does not let us listen ({error})") from error
            try:
                await session.put(place.topic, state.payload, state.seconds)
                if self._config.ack:
                    async with asyncio.timeout_at(deadline):
                        await _confirmed(session, place, state)
            except MqttError as error:
                raise OutcomeUnknown(f"the broker did not confirm ({error})") from error
            except TimeoutError as error:
                raise OutcomeUnknown("the broker has it, and the display does not confirm it") from error

    async def _hear(self, target: Target, address: str) -> Ack:
        """Give what the display said last, if it is there."""
        deadline = asyncio.get_running_loop().time() + CONFIRMED * self._config.timeout
        said: dict[str, bytes] = {}
        async with self._session(target, address) as (session, place):
            try:
                await session.watch([place.ack, place.status])
                async with asyncio.timeout_at(deadline):
                    while not {place.ack, place.status} <= said.keys():
                        message = await anext(session.messages)
                        if message.topic.value in (place.ack, place.status):  # a broker could send anything
                            said[message.topic.value] = _bytes(message)
            except MqttError as error:
                raise TransientError(f"the broker does not say what the display shows ({error})") from error
            except TimeoutError as error:
                raise TransientError("the display has never said what it shows") from error
        if said[place.status] != ONLINE:
            raise TransientError("the display is not there: what it shows cannot be seen")
        try:
            return read_ack(said[place.ack])
        except ValueError as error:
            raise PermanentError("what the display says on its ack topic cannot be read") from error

    @asynccontextmanager
    async def _session(self, target: Target, address: str) -> AsyncIterator[tuple[Session, Place]]:
        place = place_of(address)
        if place is None:
            raise PermanentError("the address is not mqtt://host/topic")
        if target.secret is not None and not _is_login(target.secret):
            raise PermanentError("the secret is not user:password")
        tls = self._trust() if place.tls else None
        stage, most = STAGE * self._config.timeout, self._config.max_bytes
        async with open_session(place, target.secret, tls, stage, most) as session:
            yield session, place

    def _trust(self) -> ssl.SSLContext:
        if self._tls is None:
            try:
                self._tls = ssl.create_default_context(cafile=self._config.ca_file)
            except OSError as error:
                raise PermanentError(f"ca_file: cannot be read ({error.strerror or 'no certificates'})") from error
        return self._tls


async def _confirmed(session: Session, place: Place, state: State) -> None:
    """Return when the display says that it shows ``state``; take that back where it says that it will not."""
    before: Message | None = None
    async for message in session.messages:
        topic = message.topic.value
        if topic == place.topic and message.retain:
            before = message
        elif topic == place.status and message.payload != ONLINE:
            raise OutcomeUnknown("the broker has it, and the display is not there: it is to show it when it is back")
        elif topic == place.ack and not message.retain:  # what is retained was said before
            try:
                ack = read_ack(_bytes(message))
            except ValueError:
                continue
            if ack.reason is not None and ack.refused == state.id:
                await _refused(session, place, state, before, ack.reason)
            if ack.reason is None and ack.id == state.id:
                return


async def _refused(session: Session, place: Place, state: State, before: Message | None, reason: str) -> NoReturn:
    """Leave at the broker what was there before, or the display would show later what we then say it does not."""
    if state.id is not None:
        left = getattr(before.properties, "MessageExpiryInterval", None) if before else None
        await session.put(place.topic, _bytes(before) if before else b"", left)
    kind, words = REFUSALS.get(reason, OTHER_REFUSAL)
    raise kind(words)


def maker(until: datetime | None, most: int) -> Callable[[Sequence[Content]], State]:
    """Give what makes a state of some contents, or raises ``DoesNotFit``."""

    def make(contents: Sequence[Content]) -> State:
        for one in contents:
            _check(one.text)
        fields = {"validUntil": until.isoformat() if until else None, "messages": [_message(one) for one in contents]}
        name = hashlib.sha256(_json(fields)).hexdigest()[:16]
        payload = _json({"id": name, **fields})
        if len(payload) > most:
            raise DoesNotFit(
                f"takes {len(payload)} bytes, the display has room for {most}",
                f"het zijn {len(payload)} bytes, in het bord passen er {most}",
            )
        return State(name, payload, _seconds(until))

    return make


def _message(content: Content) -> dict[str, Any]:
    return {
        "case": content.case,
        "revision": content.revision,
        "language": content.language,
        "text": content.text,
        "pages": content.pages,
        "exercise": content.exercise,
        "mark": content.mark,
    }


def _check(text: str) -> None:
    """Refuse what no display can show, and some would obey."""
    foreign = [char for char in dict.fromkeys(text) if category(char) == "Cc" and char not in "\n\r\t"]
    if foreign:
        names = ", ".join(f"{char!r} (U+{ord(char):04X})" for char in foreign[:5]) + (", …" if foreign[5:] else "")
        raise DoesNotFit(f"a display cannot show {names}", f"een bord heeft geen {names}")


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _seconds(until: datetime | None) -> int | None:
    """Give the message expiry interval (MQTT 5.0 section 3.3.2.3.3): four bytes, and never at once."""
    if until is None:
        return None
    return min(max(1, math.ceil((until - datetime.now(UTC)).total_seconds())), 0xFFFFFFFF)


def read_ack(raw: bytes) -> Ack:
    """Read ``{"id": …, "text": …, "refused": …, "reason": …}``, the last three optional; raise ``ValueError``."""
    try:
        said = json.loads(raw)
    except RecursionError as error:
        raise ValueError("no ack") from error
    if not isinstance(said, dict) or "id" not in said:
        raise ValueError("no ack")
    fields = [said.get(name) for name in Ack._fields]
    if not all(one is None or isinstance(one, str) for one in fields):
        raise ValueError("no ack")
    return Ack(*fields)


def _bytes(message: Message) -> bytes:
    return message.payload if isinstance(message.payload, bytes) else b""


def _shown_at(receipt: Receipt) -> str:
    """Where it was put, even when the configuration names another address by now."""
    return receipt.handle.get("address") or receipt.posting.target.address


def _is_login(secret: str) -> bool:
    return secret.find(":") > 0 and secret.isprintable()
