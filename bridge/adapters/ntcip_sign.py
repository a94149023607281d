"""Text signs that speak NTCIP 1203 over SNMP (``ntcip_sign``).

A message is written into one of two places in the sign, checked there, and only then shown, so that a sign never goes
dark between two texts. It is shown for minutes and renewed, and the sign is told to clear itself when we are gone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import NoReturn, Self

from pydantic import Field

from bridge.adapters import ntcip_message, ntcip_silence
from bridge.adapters.ntcip_board import Board, Fonts, read_board
from bridge.adapters.ntcip_message import NotShown
from bridge.adapters.ntcip_snmp import Engines, Line, NoAnswer, Patience, Refused, Value, credentials
from bridge.adapters.ntcip_standing import Standing, glance, look
from bridge.adapters.registry import AdapterConfig, Resources
from bridge.core.content import Content
from bridge.core.errors import InvalidInput, OutcomeUnknown, PermanentError, TransientError
from bridge.core.layout import DoesNotFit
from bridge.core.posting import Capabilities, Kind, Observation, Posting, Receipt
from bridge.core.target import Target
from bridge.core.turns import fit
from bridge.protocols import ntcip_names as names
from bridge.protocols.ntcip_before import Before
from bridge.protocols.ntcip_multi import (
    FOREVER,
    SCHEDULE,
    MessageName,
    checksum,
    minutes_until,
    visible,
)

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

    A receipt's handle: ``crc`` of our message, and what the sign was ``before`` us.
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
        standing = await look(line, self._slots)
        before = standing.before(receipt.handle, self._clock().timestamp(), self._config.comm_loss)
        shown = standing.name
        if standing.is_ours(receipt.handle.get("crc", "")):
            _check_mode(standing.mode)
            with ntcip_message.in_words():
                shown = await self._put_back(line, standing, before)
        await ntcip_silence.restore(line, before, self._config.comm_loss)
        await ntcip_silence.forget(line, standing.emptied(shown))

    async def observe(self, receipt: Receipt) -> Observation:
        """Read back what the sign shows, by its name and by its text."""
        stands = await glance(self._line(receipt.posting.target), self._slots)
        crc = receipt.handle.get("crc", "")
        ours = stands.is_ours(crc)
        if ours and crc == f"{stands.name.crc:04x}" == f"{checksum(stands.text):04x}":
            return Observation(present=True)
        shown = visible(stands.text)
        there = shown if shown and not stands.name.is_blank else None
        return Observation(present=False, text=there, ours=ours and there is not None)

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

    def _line(self, target: Target) -> Line:
        host, port = _place(target.address)
        return Line(self._engines, host, port, target.secret, Patience(self._config.request, self._config.repeats))

    async def _board(self, line: Line, target: Target) -> Board:
        """Ask a sign what it is, once."""
        place = _place(target.address)
        if place not in self._boards:
            pages = target.sign.pages if target.sign else 1
            self._boards[place] = await read_board(line, pages, self._slots[-1], self._fonts)
        return self._boards[place]

    async def _look(self, line: Line, target: Target) -> tuple[Board, Standing]:
        """See what stands on a sign that is still the one we know: neither it nor its font is another one now."""
        place = _place(target.address)
        for _ in range(2):
            board = await self._board(line, target)
            standing = await look(line, self._slots, tuple(board.told))
            if standing.more == tuple(board.told.values()):
                break
            del self._boards[place]
        else:
            raise TransientError("the sign is being changed: it is another one each time it is asked")
        return board, standing

    async def _show(self, receipt: Receipt, content: Content) -> Receipt:
        target, now = receipt.posting.target, self._clock()
        line = self._line(target)
        board, standing = await self._look(line, target)
        try:
            multi, cases = fit(content, board.message)
        except DoesNotFit as error:
            raise PermanentError(str(error)) from error
        _check_mode(standing.mode)
        crc = checksum(multi)
        before = standing.before(receipt.handle, now.timestamp(), self._config.comm_loss)
        ours = standing.is_ours(receipt.handle.get("crc", ""))
        minutes = minutes_until(content.valid_until, now)
        try:
            with ntcip_message.in_words():
                if ours and standing.name.crc == crc and standing.text == multi:
                    await self._renew(line, standing.name, minutes)
                else:
                    await self._replace(line, standing, multi, before, minutes, ours=ours)
        except (TransientError, PermanentError):
            self._boards.pop(_place(target.address), None)  # it may be another sign by now
            raise
        return Receipt(receipt.posting, {"crc": f"{crc:04x}", "before": str(before)}, cases)

    async def _replace(
        self, line: Line, standing: Standing, multi: bytes, before: Before, minutes: int, *, ours: bool
    ) -> None:
        """Write a message where none is shown, and show it."""
        name = await ntcip_message.write(line, standing.free, multi, before, self._config.priority)
        await ntcip_silence.prepare(line, standing.settings, before, self._config.comm_loss)
        try:
            await ntcip_message.activate(line, name, minutes, self._config.priority)
        except (NotShown, Refused):
            if not ours:
                await ntcip_silence.restore(line, before, self._config.comm_loss)
            raise

    async def _renew(self, line: Line, name: MessageName, minutes: int) -> None:
        """Let what stands there stand longer; where that is refused, it is shown anew."""
        try:
            await line.set({names.TIME_REMAINING: minutes})
        except NoAnswer as error:
            raise OutcomeUnknown("no answer to the renewal") from error
        except Refused:
            await ntcip_message.activate(line, name, minutes, self._config.priority)

    async def _scheduled(self, line: Line) -> MessageName:
        """Name what a sign's own calendar has now."""
        return MessageName(SCHEDULE, 1, await line.number(names.column(names.CRC, SCHEDULE, 1)))

    async def _put_back(self, line: Line, standing: Standing, before: Before) -> MessageName:
        """Show what stood there before us, for as long as it had; where that is gone or over, nothing."""
        for one, minutes in before.successors(self._clock().timestamp()).items():
            name = await self._scheduled(line) if one.memory == SCHEDULE else one
            try:
                await ntcip_message.activate(line, name, minutes, self._config.priority)
            except NotShown as error:
                if error.code not in names.NO_SUCH_MESSAGE:
                    raise
            else:
                return name
        # Signs of the first edition have no dark message: an empty one of ours.
        empty = await ntcip_message.write(line, standing.free, b"", before, self._config.priority)
        await ntcip_message.activate(line, empty, FOREVER, self._config.priority)
        return empty


def _check_mode(mode: Value | None) -> None:
    if mode not in names.CENTRAL:
        named = mode if isinstance(mode, int) else "unknown"
        raise TransientError(f"someone controls the sign on the spot (control mode {named})")


def _place(address: str) -> tuple[str, int]:
    """Read ``host`` or ``host:port``; raise ``ValueError``."""
    found = _ADDRESS.fullmatch(address)
    port = int(found["port"] or 161) if found else 0
    if not found or not 0 < port < 65_536:
        raise ValueError(address)
    return found["host"].strip("[]"), port
