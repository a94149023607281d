"""What a sign was before us: what stood there, until when, and how it was set for silence. The sign keeps it for us.

It is written in the owner of our own message (dmsMessageOwner, at most 127 octets), so that no lost answer, restart or
lost database leaves a sign otherwise than it was found; and a message that does not say so is not ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bridge.protocols import ntcip_names as names
from bridge.protocols.ntcip_multi import DARK, FOREVER, MessageName

Setting = int | bytes
SETTINGS = (
    names.END_DURATION_MESSAGE,
    names.COMM_LOSS_MESSAGE,
    names.SHORT_LOSS_MESSAGE,
    names.LONG_LOSS_MESSAGE,
    names.RESET_MESSAGE,
    names.COMM_LOSS_TIME,
)
_SET = r" set((?: [0-9a-f]{10}| [0-9]{1,5}| -){6})"
_WORDS = re.compile(rf"(?:before )?([0-9a-f]{{10}})(?:(?: until ([0-9]{{1,12}}))?(?:{_SET})?\.)?")  # whole: a full stop
_MARK = re.compile(r"Burgernet ([0-9a-f]{4})\b ?(.*)")


@dataclass(frozen=True, slots=True)
class Before:
    """``ends``: when the message was to end by itself, in minutes since the epoch; ``settings``: of ``SETTINGS``."""

    message: MessageName = DARK
    ends: int | None = None
    settings: tuple[Setting | None, ...] = ()

    def __str__(self) -> str:
        """Write it in words to be kept."""
        until = "" if self.ends is None else f" until {self.ends}"
        settings = "".join(f" {_written(value)}" for value in self.settings)
        return f"before {self.message.octets.hex()}{until}{' set' if settings else ''}{settings}."

    @classmethod
    def read(cls, words: str) -> Before | None:
        """Read such words; nothing when there are none. Of what was cut off only the message is known."""
        found = _WORDS.match(words)
        if not found:
            return None
        settings = tuple(map(_read, (found[3] or "").split()))
        return cls(MessageName.read(bytes.fromhex(found[1])), int(found[2]) if found[2] else None, settings)

    def minutes(self, now: float) -> int:
        """Give the minutes that it still had to stand at ``now`` (seconds since the epoch); nought: it is over."""
        return FOREVER if self.ends is None else min(FOREVER - 1, max(0, self.ends - int(now // 60)))

    @property
    def follower(self) -> MessageName:
        """Give what would have come after it: a message that was to end is not put back for ever by the sign alone."""
        if self.ends is None:
            return self.message
        after = self.settings[0] if self.settings else None
        return MessageName.read(after) if isinstance(after, bytes) and len(after) == len(DARK.octets) else DARK

    def successors(self, now: float) -> Mapping[MessageName, int]:
        """Give what to show after us, and for how many minutes; the next where one cannot be shown."""
        left = self.minutes(now)
        first = {self.message: left} if left else {self.follower: FOREVER}
        return {**first, DARK: first.get(DARK, FOREVER)}

    def ours(self, comm_loss: int) -> Mapping[str, Setting]:
        """Give how a sign is set while our message stands, so that it clears itself when we are gone, or it was.

        After a loss of power it is dark: our message may have ended meanwhile. ``comm_loss``: in minutes.
        """
        after = self.follower.octets
        values = (after, after, DARK.octets, DARK.octets, DARK.octets, comm_loss)
        return dict(zip(SETTINGS, values, strict=True))

    def theirs(self, now: Sequence[Setting | None], comm_loss: int) -> tuple[Setting | None, ...]:
        """Give how a sign is set without us, from how it is: what is as we set it is taken from what we kept."""
        if not self.settings:
            return tuple(now)
        ours = self.ours(comm_loss).values()
        return tuple(was if value == mine else value for value, mine, was in zip(now, ours, self.settings, strict=True))


def sign(crc: int, before: Before) -> bytes:
    """Write the owner of our message with this checksum."""
    return f"Burgernet {crc:04x} {before}".encode()


def read_owner(owner: object) -> tuple[int, Before | None] | None:
    """Read the owner of a message: the checksum of what we wrote there, and what we kept; nothing if it is not ours."""
    found = _MARK.match(owner.decode("latin-1")) if isinstance(owner, bytes) else None
    return (int(found[1], 16), Before.read(found[2])) if found else None


def _written(value: Setting | None) -> str:
    return "-" if value is None else value.hex() if isinstance(value, bytes) else str(value)


def _read(word: str) -> Setting | None:
    if word == "-":
        return None
    return bytes.fromhex(word) if len(word) == len(DARK.octets) * 2 else int(word)
