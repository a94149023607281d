"""Who may speak for which source: ``queue.senders`` against the broker user that RabbitMQ vouches for.

RabbitMQ takes a message with ``user_id`` only from the user of that name, so who finds one there knows who published
it. A message that passed through our own hands (put aside, put back) carries our ``user_id``; for those, and for those
alone, our header says who published it first. Whoever may publish as the bridge's own user can speak as anyone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bridge.core.errors import InvalidInput
from bridge.intake.broker import Message, Queue, copy_of, own_user
from bridge.intake.delivery import Delivery

USER_HEADER = "x-bridge-user"


def speaker(message: Delivery, queue: Queue) -> str | None:
    """Name the broker user who published a message first; ``None`` when nobody vouches for one."""
    if message.user_id is None or message.user_id != own_user(queue) or USER_HEADER not in message.headers:
        return message.user_id
    name = message.headers[USER_HEADER]
    return name if isinstance(name, str) and name else None


def copy_for(message: Delivery, queue: Queue, *, without: Callable[[str], bool], extra: Mapping[str, Any]) -> Message:
    """Copy a message to publish it ourselves; where a table is set the copy says who published it first."""
    if not queue.senders:
        return copy_of(message, without=without, extra=extra)
    said = {USER_HEADER: speaker(message, queue) or ""}  # over whatever its sender put there
    return copy_of(message, without=without, extra={**extra, **said}, user=own_user(queue))


def check_sender(message: Delivery, source: str, queue: Queue) -> None:
    """Raise ``InvalidInput`` when its user may not speak for ``source``; an empty table lets everyone speak."""
    if not queue.senders:
        return
    user = speaker(message, queue)
    if user is None:
        raise InvalidInput(
            f"user_id: is missing, so nobody vouches for source {source!r}; allowed: the publisher's user"
        )
    allowed = queue.senders.get(user, ())
    if not any(_covers(pattern, source) for pattern in allowed):
        which = " ".join(allowed) or "none, for queue.senders does not name this user"
        raise InvalidInput(f"source: {source!r} is not for the broker user {user!r} to speak for; allowed: {which}")


def _covers(pattern: str, source: str) -> bool:
    return source.startswith(pattern[:-1]) if pattern.endswith("*") else source == pattern
