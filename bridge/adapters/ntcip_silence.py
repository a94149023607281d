"""What a sign does without us: it clears itself when we are silent, and is left as it was found (NTCIP 1203, 5.7)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress

from bridge.adapters.ntcip_snmp import Line, NoAnswer, Refused, Value
from bridge.core.errors import AdapterError
from bridge.protocols import ntcip_names as names
from bridge.protocols.ntcip_multi import DARK, MessageName

LONGEST = 16  # octets of a message's name; five by the standard
_WHERE = (
    names.END_DURATION_MESSAGE,
    names.COMM_LOSS_MESSAGE,
    names.SHORT_LOSS_MESSAGE,
    names.LONG_LOSS_MESSAGE,
    names.COMM_LOSS_TIME,
)


async def found(line: Line) -> str:
    """Tell, in words to be kept, how a sign is set for silence; nothing when it does not say."""
    try:
        values = await line.get(*_WHERE)
    except AdapterError:
        return ""
    if any(isinstance(value, bytes) and len(value) > LONGEST for value in values):
        return ""  # no name of a message
    return json.dumps([value.hex() if isinstance(value, bytes) else value for value in values])


async def prepare(line: Line, before: MessageName, comm_loss: int) -> None:
    """Have a sign clear itself when we are gone, or it was. One that cannot still has the message's own end."""
    for name, value in _ours(before, comm_loss).items():
        with suppress(Refused, NoAnswer):
            await line.set({name: value})


async def restore(line: Line, kept: str, before: MessageName, comm_loss: int) -> None:
    """Set a sign as it was ``found``, but for what somebody else has set meanwhile."""
    if not kept:
        return
    with suppress(AdapterError):
        now, ours = await line.get(*_WHERE), _ours(before, comm_loss)
        for name, value, was in zip(_WHERE, now, json.loads(kept), strict=True):
            if was is not None and value == ours[name]:
                with suppress(Refused, NoAnswer):
                    await line.set({name: bytes.fromhex(was) if isinstance(was, str) else was})


def _ours(before: MessageName, comm_loss: int) -> Mapping[str, Value]:
    return {
        names.END_DURATION_MESSAGE: before.octets,
        names.COMM_LOSS_MESSAGE: before.octets,
        names.SHORT_LOSS_MESSAGE: DARK.octets,  # it would come back although it has ended meanwhile
        names.LONG_LOSS_MESSAGE: DARK.octets,
        names.COMM_LOSS_TIME: comm_loss,
    }
