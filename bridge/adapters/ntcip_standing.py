"""What stands on a sign, and whose it is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bridge.adapters.ntcip_snmp import Line, Value
from bridge.core.errors import PermanentError
from bridge.protocols import ntcip_names as names
from bridge.protocols.ntcip_before import SETTINGS, Before, read_owner
from bridge.protocols.ntcip_multi import BLANK, CHANGEABLE, CURRENT_BUFFER, FOREVER, SCHEDULE, MessageName


@dataclass(frozen=True)
class Standing:
    """A sign at one moment. ``owners``: who wrote the messages that are ours to write; ``minutes``: it still stands."""

    name: MessageName
    text: bytes
    owners: Mapping[int, bytes]
    mode: Value | None = None
    scheduled: bool = False
    minutes: int = FOREVER
    settings: tuple[Value | None, ...] = ()
    more: tuple[Value | None, ...] = ()

    def is_ours(self, crc: str = "") -> bool:
        """Whether we wrote what stands: ``crc``, or marked; where a sign keeps no owner, whatever is in our place."""
        if self.name.memory != CHANGEABLE or self.name.number not in self.owners:
            return False
        owner = self.owners[self.name.number]
        marked = read_owner(owner)
        return not owner or crc == f"{self.name.crc:04x}" or (marked is not None and marked[0] == self.name.crc)

    @property
    def free(self) -> int:
        """Give the place of ours to write in: not the one that is shown."""
        shown = self.name.number if self.name.memory == CHANGEABLE else 0
        return next(slot for slot in self.owners if slot != shown)

    def emptied(self, shown: MessageName) -> list[int]:
        """Give the places of ours to be emptied when ``shown`` stands there: not its own, nor what others wrote."""
        free = (slot for slot in self.owners if (CHANGEABLE, slot) != (shown.memory, shown.number))
        return [slot for slot in free if not self.owners[slot] or read_owner(self.owners[slot])]

    def before(self, handle: Mapping[str, str], now: float, comm_loss: int) -> Before:
        """Find what was there before us: it stands there now, or we know, or the sign has kept it for us.

        ``now``: seconds since the epoch.
        """
        known = Before.read(handle.get("before", "")) or self._kept()
        if self.is_ours(handle.get("crc", "")):
            before = known or Before()
        else:
            ends = None if self.minutes == FOREVER else math.ceil(now / 60) + self.minutes
            before = Before(self._put_back_as(), None if self.name.is_blank or self.scheduled else ends)
        settings = (known or before).theirs(self.settings, comm_loss) if self.settings else ()
        return Before(before.message, before.ends, settings or (known or before).settings)

    def _put_back_as(self) -> MessageName:
        if self.scheduled:
            return MessageName(SCHEDULE, 1, 0)  # its calendar goes on; its checksum is asked for when it does
        return MessageName(BLANK, self.name.number or 1, 0) if self.name.is_blank else self.name

    def _kept(self) -> Before | None:
        """Give what the sign has kept for us, first with what it shows."""
        first = sorted(self.owners, key=lambda slot: slot != self.name.number)
        found = (read_owner(self.owners[slot]) for slot in first)
        return next((one[1] for one in found if one and one[1]), None)


async def glance(line: Line, slots: Sequence[int]) -> Standing:
    """Read back what a sign shows."""
    source, text, *owners = await line.get(*_seen(slots))
    return Standing(_name(source), _octets(text), dict(zip(slots, map(_octets, owners), strict=True)))


async def look(line: Line, slots: Sequence[int], more: Sequence[str] = ()) -> Standing:
    """See what a sign shows, who controls it, and how it is set for silence; and what ``more`` is asked for."""
    source, text, *rest = await line.get(
        *_seen(slots), names.CONTROL_MODE, names.SOURCE_MODE, names.TIME_REMAINING, *SETTINGS, *more
    )
    owners, (mode, why, minutes, *rest) = rest[: len(slots)], rest[len(slots) :]
    return Standing(
        name=_name(source),
        text=_octets(text),
        owners=dict(zip(slots, map(_octets, owners), strict=True)),
        mode=mode,
        scheduled=why == names.SCHEDULER,
        minutes=minutes if isinstance(minutes, int) else FOREVER,
        settings=tuple(rest[: len(SETTINGS)]),
        more=tuple(rest[len(SETTINGS) :]),
    )


def _seen(slots: Sequence[int]) -> tuple[str, ...]:
    owners = (names.column(names.OWNER, CHANGEABLE, slot) for slot in slots)
    return names.SOURCE, names.column(names.MULTI, CURRENT_BUFFER, 1), *owners


def _octets(value: Value | None) -> bytes:
    return value if isinstance(value, bytes) else b""


def _name(source: Value | None) -> MessageName:
    try:
        return MessageName.read(_octets(source))
    except ValueError as error:
        raise PermanentError("the sign does not tell what it shows (dmsMsgTableSource)") from error
