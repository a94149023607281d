"""Bugs to plant: what the simulation must find, or it is worth nothing.

Each is one change of one place of the bridge, spelled as the source has it. The text must occur exactly once, so that a
bug whose place has moved is planted anew and not forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Mutant:
    """A bug: its name, what it may break (the first letters of a violation), where, and the texts without and with it."""

    name: str
    breaks: tuple[str, ...]
    file: str
    good: str
    bad: str

    def plant(self, root: Path) -> None:
        """Change a copy of the bridge; ``LookupError`` when the place is not there, or is there twice."""
        path = root / self.file
        text = path.read_text("utf-8")
        if text.count(self.good) != 1:
            raise LookupError(f"{self.name}: {self.file} has {text.count(self.good)} places like this: {self.good!r}")
        path.write_text(text.replace(self.good, self.bad), "utf-8")


MUTANTS = (
    Mutant(
        "an event is acknowledged before the commit",
        ("I3",),
        "bridge/intake/amqp.py",
        "        async with self._turns.setdefault(event.subject, asyncio.Lock()):\n",
        "        await self._answer(message.ack())\n        async with self._turns.setdefault(event.subject, asyncio.Lock()):\n",
    ),
    Mutant(
        "the lease of what a board shows is not renewed",
        ("I3",),
        "bridge/core/retry.py",
        "state.shown_until - now <= timing.valid_for / 2",
        "state.shown_until - now <= -timing.valid_for",
    ),
    Mutant(
        "an ending is filtered by area, and carries none",
        ("I2", "I3", "I5"),
        "bridge/intake/accept.py",
        "        if after != before:\n            with self._tracer",
        '        if after != before and getattr(event.data, "area", None):\n            with self._tracer',
    ),
    Mutant(
        "a later look does not see what stands at its targets",
        ("I1", "I2", "I3"),
        "bridge/intake/accept.py",
        "is_first=start > 0 and look == 1",
        "is_first=start > 0",
    ),
    Mutant(
        "a post of unknown outcome is adopted without looking",
        ("I3",),
        "bridge/core/retry.py",
        "    if isinstance(done.result, Receipt):\n        return _shown(state, done)\n    return state._replace(looks",
        "    if done:\n        return _shown(state, done)\n    return state._replace(looks",
    ),
    Mutant(
        "a post of unknown outcome is posted again without looking",
        ("I4",),
        "bridge/core/posting.py",
        "    if can.can_find and not can.idempotent:\n",
        "    if can.can_find and can.idempotent:\n",
    ),
    Mutant(
        "a step that did not end in time counts as failed",
        ("I4",),
        "bridge/dispatch/dispatcher.py",
        'result = OutcomeUnknown(f"no answer within',
        'result = TransientError(f"no answer within',
    ),
    Mutant(
        "a step that was taken over counts as not done",
        ("I4",),
        "bridge/store/recorder.py",
        "        then = self._after(row, done, now)\n        if done.step in",
        '        then = self._after(row, done._replace(result=TransientError("lost")), now)\n        if done.step in',
    ),
    Mutant(
        "an ending that comes before its opening is forgotten",
        ("I2", "I3"),
        "bridge/core/case.py",
        "            if self.ended is not None and key <= self.ended:\n",
        "            if self.first is None or (self.ended is not None and key <= self.ended):\n",
    ),
    Mutant(
        "the event that came last wins",
        ("I2", "I3"),
        "bridge/core/case.py",
        "        if self.content is None or key > self.content:\n",
        "        if key:\n",
    ),
    Mutant(
        "boards carry what is not a missing person",
        ("I1",),
        "bridge/core/rules.py",
        "    if facts.category not in BOARD_CATEGORIES:\n",
        "    if not BOARD_CATEGORIES:\n",
    ),
    Mutant(
        "a rule that allows outweighs one that denies",
        ("I1", "I3"),
        "bridge/core/rules.py",
        '    for effect, reason in (("deny", Reason.RULE), ("allow", Reason.ALLOWED)):\n',
        '    for effect, reason in (("allow", Reason.ALLOWED), ("deny", Reason.RULE)):\n',
    ),
    Mutant(
        "a reload forgets the open cases",
        ("I2", "I3"),
        "bridge/dispatch/planner.py",
        "                    await self._intake.replan()\n",
        "",
    ),
    Mutant(
        "a photo goes that only the photo's rule forbids",
        ("I1",),
        "bridge/core/planning.py",
        "if carries and (decision := self._decide(target, can, info, photo=True)).allowed:",
        "if carries and (decision := self._decide(target, can, info, photo=False)).allowed:",
    ),
    Mutant(
        "a word that is too long for a board is cut",
        ("I1", "I7"),
        "bridge/core/layout.py",
        "    for word in words:\n        wide = face.measure(word)\n",
        "    for word in [word[: face.width] for word in words]:\n        wide = face.measure(word)\n",
    ),
    Mutant(
        "an outcome is told to who never got the alert",
        ("I5",),
        "bridge/core/posting.py",
        "return self.desired is Desired.SHOWN and (self.carried or not self.ending)",
        "return self.desired is Desired.SHOWN",
    ),
    Mutant(
        "taking away is tried only once",
        ("I2",),
        "bridge/core/retry.py",
        "        return After(failed, again)  # looking and taking away have no last try\n",
        "        return After(failed, None)\n",
    ),
    Mutant(
        "an ending puts out a sign that other cases share",
        ("I3",),
        "bridge/store/sharing.py",
        "rest=joined(turns[0].content, turns) if turns else None",
        "rest=None",
    ),
    Mutant(
        "who waits for room on a sign is forgotten",
        ("I3",),
        "bridge/store/sharing.py",
        "self.row.due is None and not self.state.waits",
        "self.row.due is None",
    ),
    Mutant(
        "the least pressing case stands on a sign",
        ("I3",),
        "bridge/core/turns.py",
        "sorted(turns, key=lambda turn: turn.rank)",
        "sorted(turns, key=lambda turn: turn.rank, reverse=True)",
    ),
    Mutant(
        "an old message that came back is taken for somebody else's",
        ("I2",),
        "bridge/store/sharing.py",
        "    return done._replace(result=replace(seen, present=True))\n",
        "    return done\n",
    ),
    Mutant(
        "a board that keeps what it showed is not looked at again",
        ("I2",),
        "bridge/core/retry.py",
        "        changed = changed._replace(shown_until=now + AFTERWARDS)\n",
        "        changed = changed._replace(shown_until=now)\n",
    ),
    Mutant(
        "boards are not read back",
        ("I2", "I3"),
        "bridge/store/work.py",
        "        return Step.OBSERVE if can.can_observe else None\n",
        "        return None\n",
    ),
    Mutant(
        "a clock that was set back is not noticed",
        ("I2", "I3"),
        "bridge/dispatch/dispatcher.py",
        "        if back > STEP_BACK:\n",
        "        if back > 10 * 86_400:\n",
    ),
    Mutant(
        "photos stay when the case ends",
        ("I2",),
        "bridge/intake/accept.py",
        "        photos.erase_photos(writing.connection, case.id)\n",
        "",
    ),
    Mutant(
        "a line of the log quotes the event",
        ("I6",),
        "bridge/intake/accept.py",
        "            case=event.subject,\n            type=",
        "            case=str(event.data),\n            type=",
    ),
)
