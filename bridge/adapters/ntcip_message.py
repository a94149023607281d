"""The handshake for one message (NTCIP 1203, 4.3): it is written, checked by the sign, and only then shown."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bridge.adapters.ntcip_snmp import READ_ONLY, Line, NoAnswer, Refused, Value
from bridge.core.errors import AdapterError, OutcomeUnknown, PermanentError, TransientError
from bridge.protocols import ntcip_names as names
from bridge.protocols.ntcip_before import Before, sign
from bridge.protocols.ntcip_multi import CHANGEABLE, MessageName, activation, checksum, plain

_PAUSES = (0, 0.05, 0.1, 0.2, 0.4, *(0.8,) * 10)  # seconds between two looks at a sign that is still at work
_PASSING = frozenset({"genErr", "resourceUnavailable", "inconsistentValue", "commitFailed", "undoFailed", "tooBig"})
_SAID = 80  # characters of a sign's own words


class NotShown(Exception):
    """The sign does not show a message; ``code`` (dmsActivateMsgError) says why."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code

    @property
    def error(self) -> AdapterError:
        """Say it to the bridge. That somebody wrote over what was just written passes, too."""
        kind = PermanentError if self.code in (5, 8) else TransientError
        return kind(f"the sign does not show it: {self}")


async def write(line: Line, slot: int, multi: bytes, before: Before, priority: int) -> MessageName:
    """Put a message into the sign's memory and have it checked there; nobody sees it yet."""

    def column(number: int) -> str:
        return names.column(number, CHANGEABLE, slot)

    crc = checksum(multi)
    needed: dict[str, Value] = {column(names.MULTI): multi, column(names.PRIORITY): priority}
    helpful: dict[str, Value] = {
        column(names.OWNER): sign(crc, before),
        column(names.BEACON): 0,
        column(names.PIXEL_SERVICE): 0,
    }
    try:
        await _reach(line, column(names.STATUS), names.MODIFY, names.MODIFYING)
        try:
            await line.set({**needed, **helpful})
        except Refused:  # it takes only short datagrams, or has no beacons (it counts them as nought then)
            for name, value in needed.items():
                await line.set({name: value})
            for name, value in helpful.items():
                with suppress(Refused):
                    await line.set({name: value})
        await _reach(line, column(names.STATUS), names.VALIDATE, names.VALID)
    except NoAnswer as error:
        raise TransientError("no answer while the message was written; nothing is shown by that") from error
    if await line.number(column(names.CRC), -1) != crc:
        raise PermanentError("the sign stored something else than was sent (checksum)")
    return MessageName(CHANGEABLE, slot, crc)


async def _reach(line: Line, status: str, order: int, goal: int) -> None:
    """Give an order about a message, and wait until the sign has carried it out."""
    taken, now = False, 0
    for pause in _PAUSES:
        await asyncio.sleep(pause)
        taken = taken or await _ordered(line, status, order)
        now = await line.number(status)
        if now == goal:
            return
        if now == names.ERROR and goal == names.VALID:
            raise PermanentError(f"the sign refuses the text: {await syntax(line)}")
    raise TransientError(f"the sign does not get ready (message status {now})")


async def _ordered(line: Line, status: str, order: int) -> bool:
    """Give an order; some firmware refuses it and has done so all the same, some is still at work: its status tells."""
    try:
        await line.set({status: order})
    except Refused as error:
        if error.status not in ("genErr", "badValue", "wrongValue", "inconsistentValue"):
            raise
        return False
    return True


async def activate(line: Line, name: MessageName, minutes: int, priority: int) -> None:
    """Show a message; raise ``NotShown`` with what the sign says when it will not."""
    try:
        await line.set({names.ACTIVATE: activation(name, minutes, priority)})
    except NoAnswer as error:
        raise OutcomeUnknown("no answer to the order to show the message") from error
    except Refused as error:
        if error.status in READ_ONLY:
            raise
        code = await line.number(names.ACTIVATE_ERROR)
        why = names.ACTIVATE_ERRORS.get(code, f"{error.status}, activation error {code}")
        detail = f": {await syntax(line)}" if code == 8 else ""  # syntaxMULTI
        raise NotShown(code, f"{why}{detail}") from error


async def syntax(line: Line) -> str:
    """Say what the sign did not like about a text, and where."""
    fault, code, position, words = await line.get(
        names.VALIDATE_ERROR, names.SYNTAX_ERROR, names.SYNTAX_POSITION, names.OTHER_ERROR
    )
    validating = names.VALIDATE_ERRORS.get(fault if isinstance(fault, int) else 0, "")
    problem = names.MULTI_ERRORS.get(code if isinstance(code, int) else 0, "")
    where = f" at octet {position}" if problem and isinstance(position, int) else ""
    said = plain(words.decode("latin-1"))[:_SAID] if code == names.OTHER and isinstance(words, bytes) else ""
    return ", ".join(filter(None, (validating, f"{problem}{where}" if problem else "", said))) or "no reason given"


@contextmanager
def in_words() -> Iterator[None]:
    """Say to the bridge that a sign refused."""
    try:
        yield
    except NotShown as error:
        raise error.error from error
    except Refused as error:
        if error.status in READ_ONLY:
            raise PermanentError(f"the sign may only be read with this community ({error.status})") from error
        kind = TransientError if error.status in _PASSING else PermanentError
        raise kind(f"the sign refuses: {error.status}") from error
