"""Text signs that speak NTCIP 1203 over SNMP (``ntcip_sign``).

A message is written into one of two places in the sign, checked there, and only then shown, so that a sign never goes
dark between two texts. It is shown for minutes and renewed, and the sign is told to clear itself when we are gone.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import NoReturn, Self

from pydantic import Field

from bridge.adapters import ntcip_silence
from bridge.adapters.ntcip_board import Board, Fonts, read_board
from bridge.adapters.ntcip_snmp import READ_ONLY, Engines, Line, NoAnswer, Patience, Refused, Value, credentials
from bridge.adapters.registry import AdapterConfig, Resources
from bridge.core.content import Content
from bridge.core.errors import AdapterError, InvalidInput, OutcomeUnknown, PermanentError, TransientError
from bridge.core.layout import DoesNotFit
from bridge.core.posting import Capabilities, Kind, Observation, Posting, Receipt
from bridge.core.target import Target
from bridge.core.turns import fit
from bridge.protocols import ntcip_names as names
from bridge.protocols.ntcip_multi import (
    CHANGEABLE,
    CURRENT_BUFFER,
    DARK,
    FOREVER,
    MessageName,
    activation,
    checksum,
    minutes_until,
    visible,
)

OWNER = "Burgernet"
_BEFORE = re.compile(r"Burgernet before ([0-9a-f]{10})")
_PAUSES = (0.0, *(0.02 * 2**look for look in range(5)), *([0.5] * 6))  # before each look at a sign that is at work
_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+)(?::(?P<port>[0-9]{1,5}))?")


class NtcipSignConfig(AdapterConfig):
    """``adapters.ntcip_sign``; times in seconds.

    ``slot``: the first of the two messages in the sign's changeable memory that are ours. ``priority``: ours among all
    messages of the sign. ``request`` and ``repeats``: for each question. ``comm_loss``: minutes without a word from us
    after which a sign clears itself; nought: never (one firmware hangs otherwise).
    """

    slot: int = Field(1, ge=1, le=65_534)
    priority: int = Field(120, ge=1, le=255)
    comm_loss: int = Field(15, ge=0, le=65_535)
    request: float = Field(1.0, gt=0, le=30)
    repeats: int = Field(2, ge=0, le=10)
    timeout: float = Field(20.0, gt=0, le=300)
    connections: int = Field(64, ge=1, le=1_000)


class NtcipSign:
    """Drives signs that meet NTCIP 1203.

    A receipt's handle: ``crc`` of our message, what stood ``before``, and how the sign was ``found`` to be set.
    """

    Config: type[AdapterConfig] = NtcipSignConfig

    def __init__(
        self,
        config: NtcipSignConfig,
        resources: Resources,  # noqa: ARG002 - every adapter is made so
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.capabilities = Capabilities(
            kind=Kind.STATE,
            channels=frozenset({"sign", "display"}),
            board=True,
            can_observe=True,
            idempotent=True,
            leased=True,
            holds_one=True,
            max_concurrency=config.connections,
            timeout=config.timeout,
        )
        self._config = config
        self._clock = clock
        self._engines = Engines()
        self._boards: dict[tuple[str, int], Board] = {}
        self._fonts: Fonts = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the socket."""
        self._engines.close()

    async def publish(self, posting: Posting, content: Content) -> Receipt:
        """Show all cases of the sign in turn; what stands there already is only renewed."""
        return await self._show(Receipt(posting), content)

    async def update(self, receipt: Receipt, content: Content) -> Receipt:
        """Show another text in place of ours; what stood there before us is not forgotten."""
        return await self._show(receipt, content)

    async def retract(self, receipt: Receipt) -> None:
        """Put back what stood there before us, if the sign still shows our message; someone else's is left alone."""
        line = self._line(receipt.posting.target)
        mode, source = await line.get(names.CONTROL_MODE, names.SOURCE)
        stands = _name(source)
        if not self._is_ours(stands):
            return
        _check_mode(mode)
        before = await self._before(line, stands, receipt)
        await self._put_back(line, before)
        await ntcip_silence.restore(line, receipt.handle.get("found", ""), before, self._config.comm_loss)
        with suppress(Refused, NoAnswer):  # what is not shown any more need not stay in its memory either (R15)
            for slot in self._slots:
                await line.set({names.column(names.STATUS, CHANGEABLE, slot): names.UNUSED})

    async def observe(self, receipt: Receipt) -> Observation:
        """Read back what the sign shows, by its name and by its text."""
        line = self._line(receipt.posting.target)
        source, multi = await line.get(names.SOURCE, names.column(names.MULTI, CURRENT_BUFFER, 1))
        stands, text = _name(source), multi if isinstance(multi, bytes) else b""
        crc = receipt.handle.get("crc", "")
        if self._is_ours(stands) and crc == f"{stands.crc:04x}" == f"{checksum(text):04x}":
            return Observation(present=True)
        shown = visible(text)
        there = shown if shown and not stands.is_blank else None
        return Observation(present=False, text=there, ours=self._is_ours(stands) and there is not None)

    async def find(self, posting: Posting) -> NoReturn:
        """Raise ``PermanentError``: a sign is simply written again."""
        raise PermanentError(f"a sign is written again rather than searched ({posting.id})")

    async def probe(self, target: Target) -> None:
        """Ask the sign what it is, and whether it listens to us."""
        line = self._line(target)
        self._boards.pop(_place(target.address), None)
        await self._board(line, target)
        _check_mode(await line.number(names.CONTROL_MODE))

    @staticmethod
    def check_target(target: Target) -> None:
        """Raise ``InvalidInput`` when the address, the secret or the size cannot be."""
        problems = []
        try:
            _place(target.address)
        except ValueError:
            problems.append(f"address: {target.address!r} is not allowed; allowed: host or host:port (UDP)")
        try:
            credentials(target.secret)
        except InvalidInput as error:
            problems += error.problems
        if target.sign is None:
            problems.append("sign: the size of the board, like {columns: 16, rows: 3}")
        if problems:
            raise InvalidInput(*(f"target {target.id}: {problem}" for problem in problems))

    @property
    def _slots(self) -> tuple[int, int]:
        return self._config.slot, self._config.slot + 1

    def _is_ours(self, name: MessageName) -> bool:
        return name.memory == CHANGEABLE and name.number in self._slots

    def _line(self, target: Target) -> Line:
        host, port = _place(target.address)
        return Line(self._engines, host, port, target.secret, Patience(self._config.request, self._config.repeats))

    async def _board(self, line: Line, target: Target) -> Board:
        """Ask a sign what it is, once."""
        place = _place(target.address)
        if place not in self._boards:
            self._boards[place] = await read_board(line, target.sign.pages if target.sign else 1, self._fonts)
        return self._boards[place]

    async def _show(self, receipt: Receipt, content: Content) -> Receipt:
        target = receipt.posting.target
        line = self._line(target)
        try:
            board = await self._board(line, target)
            multi, cases = fit(content, board.message)
        except DoesNotFit as error:
            raise PermanentError(str(error)) from error
        mode, source, text = await line.get(
            names.CONTROL_MODE, names.SOURCE, names.column(names.MULTI, CURRENT_BUFFER, 1)
        )
        _check_mode(mode)
        stands, crc = _name(source), checksum(multi)
        before = await self._before(line, stands, receipt)
        minutes = minutes_until(content.valid_until, self._clock())
        found = receipt.handle.get("found") or ("" if self._is_ours(stands) else await ntcip_silence.found(line))
        handle = {"crc": f"{crc:04x}", "before": before.octets.hex(), "found": found}
        shown = Receipt(receipt.posting, handle, cases)
        try:
            if self._is_ours(stands) and stands.crc == crc and text == multi:
                await self._renew(line, minutes)
            else:
                slot = self._slots[1] if stands.number == self._slots[0] and self._is_ours(stands) else self._slots[0]
                await self._write(line, slot, multi, before)
                await ntcip_silence.prepare(line, before, self._config.comm_loss)
                await self._activate(line, MessageName(CHANGEABLE, slot, crc), minutes)
        except Refused as error:
            self._boards.pop(_place(target.address), None)
            raise _refusal(error) from error
        except (TransientError, PermanentError):
            self._boards.pop(_place(target.address), None)  # it may be another sign by now
            raise
        return shown

    async def _before(self, line: Line, stands: MessageName, receipt: Receipt) -> MessageName:
        """Find what stood there before us: it stands there now, or we know, or the sign has kept it for us."""
        known = receipt.handle.get("before") if self._is_ours(stands) else None
        before = MessageName.read(bytes.fromhex(known)) if known else await self._not_of_a_bridge(line, stands)
        return DARK if before.is_blank or self._is_ours(before) else before

    async def _not_of_a_bridge(self, line: Line, stands: MessageName) -> MessageName:
        """Give what stands there, or what stood there before a bridge came: this one, or one with other places.

        An alert that was put aside may have ended by the time that it would be put back.
        """
        if stands.memory != CHANGEABLE:
            return stands
        [owner] = await line.get(names.column(names.OWNER, CHANGEABLE, stands.number))
        kept = _BEFORE.fullmatch(owner.decode("latin-1")) if isinstance(owner, bytes) else None
        return MessageName.read(bytes.fromhex(kept[1])) if kept else DARK if self._is_ours(stands) else stands

    async def _renew(self, line: Line, minutes: int) -> None:
        try:
            await line.set({names.TIME_REMAINING: minutes})
        except NoAnswer as error:
            raise OutcomeUnknown("no answer to the renewal") from error

    async def _write(self, line: Line, slot: int, multi: bytes, before: MessageName) -> None:
        """Put a message into the sign's memory and have it checked there; nobody sees it yet."""

        def column(number: int) -> str:
            return names.column(number, CHANGEABLE, slot)

        try:
            await self._reach(line, column(names.STATUS), names.MODIFY, names.MODIFYING)
            await line.set(
                {
                    column(names.MULTI): multi,
                    column(names.OWNER): f"{OWNER} before {before.octets.hex()}".encode(),
                    column(names.BEACON): 0,
                    column(names.PIXEL_SERVICE): 0,
                    column(names.PRIORITY): self._config.priority,
                }
            )
            await self._reach(line, column(names.STATUS), names.VALIDATE, names.VALID)
        except NoAnswer as error:
            raise TransientError("no answer while the message was written; nothing is shown by that") from error
        crc = await line.number(column(names.CRC), -1)
        if crc != checksum(multi):
            raise PermanentError("the sign stored something else than was sent (checksum)")

    async def _reach(self, line: Line, status: str, order: int, goal: int) -> None:
        """Give an order about a message, and wait until the sign has carried it out."""
        try:
            await line.set({status: order})
        except Refused as error:
            if error.status not in ("genErr", "badValue"):
                raise
            # Some firmware says so when it is there already, and some while it is still checking: its status tells.
        for pause in _PAUSES:
            await asyncio.sleep(pause)
            now = await line.number(status)
            if now == goal:
                return
            if now == names.ERROR:
                raise PermanentError(f"the sign refuses the text: {await _syntax(line)}")
        raise TransientError(f"the sign does not get ready (message status {now})")

    async def _activate(self, line: Line, name: MessageName, minutes: int) -> None:
        """Show a message; what the sign says when it will not is the reason."""
        try:
            await line.set({names.ACTIVATE: activation(name, minutes, self._config.priority)})
        except NoAnswer as error:
            raise OutcomeUnknown("no answer to the order to show the message") from error
        except Refused as error:
            if error.status in READ_ONLY:
                raise
            code = await line.number(names.ACTIVATE_ERROR)
            why = names.ACTIVATE_ERRORS.get(code, f"{error.status}, activation error {code}")
            detail = f": {await _syntax(line)}" if code == 8 else ""
            kind = TransientError if code in names.LATER else PermanentError
            raise kind(f"the sign does not show it: {why}{detail}") from error

    async def _put_back(self, line: Line, before: MessageName) -> None:
        """Show what stood there before us; where that is gone, nothing."""
        try:
            await self._activate(line, before, FOREVER)
        except PermanentError:
            if before == DARK:
                raise
            await self._activate(line, DARK, FOREVER)
        except Refused as error:
            raise _refusal(error) from error


async def _syntax(line: Line) -> str:
    """Say what the sign did not like about a text, and where."""
    fault, code, position = await line.get(names.VALIDATE_ERROR, names.SYNTAX_ERROR, names.SYNTAX_POSITION)
    validating = names.VALIDATE_ERRORS.get(fault if isinstance(fault, int) else 0, "")
    syntax = names.MULTI_ERRORS.get(code if isinstance(code, int) else 0, "")
    where = f" at octet {position}" if syntax and isinstance(position, int) else ""
    return ", ".join(filter(None, (validating, f"{syntax}{where}" if syntax else ""))) or "no reason given"


def _check_mode(mode: Value | None) -> None:
    if mode not in names.CENTRAL:
        named = mode if isinstance(mode, int) else "unknown"
        raise TransientError(f"someone controls the sign on the spot (control mode {named})")


def _refusal(error: Refused) -> AdapterError:
    if error.status in READ_ONLY:
        return PermanentError(f"the sign may only be read with this community ({error.status})")
    return PermanentError(f"the sign refuses: {error.status}")


def _name(source: Value | None) -> MessageName:
    try:
        return MessageName.read(source if isinstance(source, bytes) else b"")
    except ValueError as error:
        raise PermanentError("the sign does not tell what it shows (dmsMsgTableSource)") from error


def _place(address: str) -> tuple[str, int]:
    """Read ``host`` or ``host:port``; raise ``ValueError``."""
    found = _ADDRESS.fullmatch(address)
    port = int(found["port"] or 161) if found else 0
    if not found or not 0 < port < 65_536:
        raise ValueError(address)
    return found["host"].strip("[]"), port
