"""What a sign does without us: it clears itself when we are silent, and is left as it was found (NTCIP 1203, 5.7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from bridge.adapters.ntcip_snmp import Line, NoAnswer, Refused, Value
from bridge.core.errors import AdapterError
from bridge.protocols import ntcip_names as names
from bridge.protocols.ntcip_before import SETTINGS, Before
from bridge.protocols.ntcip_multi import CHANGEABLE


async def prepare(line: Line, now: Sequence[Value | None], before: Before, comm_loss: int) -> None:
    """Have a sign clear itself when we are gone, or it was. One that cannot still has the message's own end."""
    await _set(line, now, before.ours(comm_loss))


async def restore(line: Line, before: Before, comm_loss: int) -> None:
    """Set a sign as it was before, but for what somebody else has set meanwhile."""
    if not before.settings:
        return
    with suppress(AdapterError):
        now = await line.get(*SETTINGS)
        await _set(line, now, dict(zip(SETTINGS, before.theirs(now, comm_loss), strict=True)))


async def forget(line: Line, slots: Iterable[int]) -> None:
    """Empty messages of ours: what is not shown any more need not stay in a sign's memory either (R15)."""
    for slot in slots:
        with suppress(Refused, NoAnswer):
            await line.set({names.column(names.STATUS, CHANGEABLE, slot): names.UNUSED})


async def _set(line: Line, now: Sequence[Value | None], wanted: Mapping[str, Value | None]) -> None:
    """Set what differs and is known on both sides, one by one; a sign that falls silent has more to be asked."""
    for (name, value), is_now in zip(wanted.items(), now, strict=True):
        if value is None or is_now is None or value == is_now:
            continue
        try:
            await line.set({name: value})
        except Refused:
            continue
        except NoAnswer:
            return
