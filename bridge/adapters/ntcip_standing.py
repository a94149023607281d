"""What stands on a sign, and whose it is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bridge.adapters.ntcip_snmp import Line, Value
from bridge.core.errors import PermanentError
from bridge.protocols import ntcip_names as names
from bridge.protocols.ntcip_before import SETTINGS, Before, read_owner
from bridge.protocols.ntcip_multi import BLANK, CHANGEABLE, CURRENT_BUFFER, DARK, FOREVER, SCHEDULE, MessageName


@dataclass(frozen=True)
class Standing:
    """A sign at one moment. ``owner``: who wrote what stands; ``owners``: and what is in the places that are ours.

    ``minutes``: that it still stands.
    """

    name: MessageName
    text: bytes
    owner: bytes
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
        signed = [owner for owner in (self.owner, self.owners[self.name.number]) if owner]
        return not signed or crc == f"{self.name.crc:04x}" or any(_wrote(owner, self.name) for owner in signed)

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
        if self.is_ours(handle.get("crc", "")) or _wrote(self.owner, self.name):
            before = known or Before()
        else:
            ends = None if self.minutes == FOREVER else math.ceil(now / 60) + self.minutes
            before = Before(self._put_back_as(), None if self.name.is_blank or self.scheduled else ends)
        settings = (known or before).theirs(self.settings, comm_loss) if self.settings else ()
        message = DARK if self._is_an_alert(before.message) else before.message
        return Before(message, before.ends, settings or (known or before).settings)

    def _is_an_alert(self, name: MessageName) -> bool:
        """Whether it is one of ours: it may have ended by the time that it would be put back."""
        return name.memory == CHANGEABLE and _wrote(self.owners.get(name.number, b""), name)

    def _put_back_as(self) -> MessageName:
        if self.scheduled:
            return MessageName(SCHEDULE, 1, 0)  # its calendar goes on; its checksum is asked for when it does
        return MessageName(BLANK, self.name.number or 1, 0) if self.name.is_blank else self.name

    def _kept(self) -> Before | None:
        """Give what the sign has kept for us, or for another bridge: first with what it shows."""
        first = sorted(self.owners, key=lambda slot: slot != self.name.number)
        found = (read_owner(owner) for owner in (self.owner, *(self.owners[slot] for slot in first)))
        return next((one[1] for one in found if one and one[1]), None)


async def glance(line: Line, slots: Sequence[int]) -> Standing:
    """Read back what a sign shows."""
    source, text, owner, *owners = await line.get(*_seen(slots))
    return Standing(_name(source), _octets(text), _octets(owner), _owners(slots, owners))


async def look(line: Line, slots: Sequence[int], more: Sequence[str] = ()) -> Standing:
    """See what a sign shows, who controls it, and how it is set for silence; and what ``more`` is asked for."""
    source, text, owner, *rest = await line.get(
        *_seen(slots), names.CONTROL_MODE, names.SOURCE_MODE, names.TIME_REMAINING, *SETTINGS, *more
    )
    owners, (mode, why, minutes, *rest) = rest[: len(slots)], rest[len(slots) :]
    return Standing(
        name=_name(source),
        text=_octets(text),
        owner=_octets(owner),
        owners=_owners(slots, owners),
        mode=mode,
        scheduled=why == names.SCHEDULER,
        minutes=minutes if isinstance(minutes, int) else FOREVER,
        settings=tuple(map(_setting, rest[: len(SETTINGS)])),
        more=tuple(rest[len(SETTINGS) :]),
    )


def _seen(slots: Sequence[int]) -> tuple[str, ...]:
    owners = (names.column(names.OWNER, CHANGEABLE, slot) for slot in slots)
    return names.SOURCE, *(names.column(one, CURRENT_BUFFER, 1) for one in (names.MULTI, names.OWNER)), *owners


def _owners(slots: Sequence[int], owners: Sequence[Value | None]) -> Mapping[int, bytes]:
    return dict(zip(slots, map(_octets, owners), strict=True))


def _wrote(owner: bytes, name: MessageName) -> bool:
    """Whether a bridge marked the message of this name as its own."""
    marked = read_owner(owner)
    return marked is not None and marked[0] == name.crc


def _setting(value: Value | None) -> Value | None:
    """Take the name of a message, or minutes; nothing else is kept."""
    whole = len(value) == len(DARK.octets) if isinstance(value, bytes) else value in range(FOREVER + 1)
    return value if whole else None


def _octets(value: Value | None) -> bytes:
    return value if isinstance(value, bytes) else b""


def _name(source: Value | None) -> MessageName:
    try:
        return MessageName.read(_octets(source))
    except ValueError as error:
        raise PermanentError("the sign does not tell what it shows (dmsMsgTableSource)") from error
