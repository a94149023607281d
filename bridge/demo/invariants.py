"""The seven things that must always hold, judged from what the other sides saw; our own database is not asked.

What is allowed is written down here once more on purpose: a judge that borrowed the bridge's own tables would agree
with every mistake in them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bridge.core.target import Sign
from bridge.demo.record import BOARD_CHANNELS, Deed, Record, Sight, Told, folded, heard, source_of

MISSING = frozenset({"amber_alert", "missing_child_alert", "missing_child", "missing_person"})  # R1
WITHOUT_PHOTO = frozenset({"missing_child"})  # R14: a local alert goes out without the child's photo
MESSAGES = frozenset({"email", "outbox"})  # what cannot be unsent
_CAME = (Deed.SHOWN, Deed.CHANGED)
_SHORT = 8  # characters; a shorter text may stand in a log by chance


@dataclass(frozen=True)
class Finding:
    """One invariant, judged: the faults (none: it held), and the figures of its evidence."""

    name: str
    faults: tuple[str, ...]
    evidence: Mapping[str, int] = field(default_factory=dict)

    @property
    def held(self) -> bool:
        """Whether it held."""
        return not self.faults


def nothing_forbidden(record: Record) -> Finding:
    """I1: nothing forbidden ever reaches an adapter: neither a place, nor a kind of case on a board, nor a photo."""
    return Finding(
        "I1",
        tuple(_forbidden(record)),
        {"boards": len(_on_boards(record.sights)), "never": len(record.never), "photos": len(_photos(record.sights))},
    )


def _forbidden(record: Record) -> Iterator[str]:
    for sight in record.sights:
        if sight.deed not in _CAME:
            continue
        source = source_of(sight, record.told)
        category = source.category or source.kind if source else "unknown"
        if sight.place in record.never:
            yield f"{sight.place}: got {sight.case or 'something'}"
        elif sight.channel in BOARD_CHANNELS and category not in MISSING:
            yield f"{sight.place}: {category} on a board"
        if sight.photo and (category in WITHOUT_PHOTO | {"ended"} or not _may_picture(sight, record.signs)):
            yield f"{sight.place}: a photo of {sight.case} ({category})"


def _may_picture(sight: Sight, signs: Mapping[str, Sign]) -> bool:
    return sight.place not in signs or signs[sight.place].photo  # R6


def nothing_left(record: Record) -> Finding:
    """I2: when a case has ended and the world is reachable, nothing is shown anywhere, and no photo is kept."""
    ended = {told.case for told in record.told if told.kind == "ended"}
    faults = []
    for sight in record.left:
        source = source_of(sight, record.told)
        tells_the_end = source is not None and source.kind == "ended"
        if sight.photo or (sight.case in ended and (sight.channel in BOARD_CHANNELS or not tells_the_end)):
            faults.append(f"{sight.place}: still has {'a photo of ' if sight.photo else ''}{sight.case}")
    gone = sum(one.deed is Deed.GONE for one in record.sights)
    return Finding("I2", tuple(faults), {"ended": len(ended), "gone": gone, "left": len(record.left)})


def nothing_lost(record: Record) -> Finding:
    """I3: an acknowledged event is never lost: everyone who must hear of it did; a silent one stays silent."""
    faults: list[str] = []
    reached = 0
    for told in record.told:
        if told.silent:
            noise = [one for one in record.sights if one.case == told.case and one.at > told.at]
            faults += [f"{one.place}: moved by {told.kind} of {told.case}" for one in noise]
            continue
        deaf = told.reach - heard(told, record.sights)
        faults += [f"{place}: never heard of {told.kind} of {told.case}" for place in sorted(deaf)]
        reached += len(told.reach) - len(deaf)
    silent = sum(told.silent for told in record.told)
    return Finding("I3", tuple(faults), {"told": len(record.told) - silent, "reached": reached, "silent": silent})


def nothing_doubled(record: Record) -> Finding:
    """I4: no double mail, post or admin's message, whatever was answered."""
    kept = [one for one in record.sights if one.deed is Deed.SHOWN and one.channel not in BOARD_CHANNELS]
    faults = _twice(kept, lambda one: (one.place, one.case, folded(one.text)), "the same text")
    faults += _twice([one for one in kept if one.message_id], lambda one: (one.place, one.message_id), "one Message-ID")
    channels = Counter(one.channel for one in kept)
    return Finding("I4", tuple(faults), {name: channels[name] for name in ("email", "facebook", "outbox")})


def _twice(sights: Sequence[Sight], key: Callable[[Sight], tuple[str, ...]], what: str) -> list[str]:
    return [f"{name[0]}: {what} {times}×" for name, times in Counter(map(key, sights)).items() if times > 1]


def outcome_to_those_alerted(record: Record) -> Finding:
    """I5: an outcome goes to those who got the alert, to no one else, and in the same thread."""
    faults: list[str] = []
    cases = outcomes = 0
    for ending in (told for told in record.told if told.kind == "ended"):
        alerted, informed = _readers(record, ending)
        cases += bool(alerted)
        outcomes += len(informed)
        faults += [f"{place}: outcome of {ending.case} without the alert" for place in sorted(informed - alerted)]
        silent = {place for place in alerted - informed if _is_message(place, record.sights)}
        faults += [f"{place}: alert of {ending.case} without the outcome" for place in sorted(silent)]
    faults += _loose_mails(record)
    return Finding("I5", tuple(faults), {"cases": cases, "outcomes": outcomes})


def _readers(record: Record, ending: Told) -> tuple[set[str], set[str]]:
    """Name those whom a case alerted, and those who heard how it ended; boards are neither."""
    seen = [(one, source_of(one, record.told)) for one in record.sights if one.case == ending.case]
    read = [(one.place, told.kind) for one, told in seen if told and one.channel not in BOARD_CHANNELS]
    return {place for place, kind in read if kind != "ended"}, {place for place, kind in read if kind == "ended"}


def _is_message(place: str, sights: Sequence[Sight]) -> bool:
    return any(one.place == place and one.channel in MESSAGES for one in sights)


def _loose_mails(record: Record) -> list[str]:
    """Find outcomes and corrections that do not continue the reader's thread."""
    threads: dict[tuple[str, str], set[str]] = {}
    faults = []
    for mail in (one for one in record.sights if one.channel == "email"):
        thread = threads.setdefault((mail.place, mail.case), set())
        if thread and mail.replies_to not in thread:
            faults.append(f"{mail.place}: a mail of {mail.case} outside its thread")
        thread.add(mail.message_id)
    return faults


def log_is_discreet(record: Record) -> Finding:
    """I6: no secret and no message body in a log. A log without a line proves nothing, and is a fault too."""
    texts = {text for told in record.told for text in (told.headline, *told.texts, *told.originals)}
    faults = [] if record.log else ["the log is empty"]
    for what, words in (("secret", set(record.secrets)), ("text", texts)):
        spellings = {spelling for word in words if len(word) >= _SHORT for spelling in _spellings(word)}
        lines = sum(any(word in line for word in spellings) for line in record.log)
        if lines:
            faults.append(f"log: a {what} in {lines} of {len(record.log)} lines")
    return Finding("I6", tuple(faults), {"lines": len(record.log), "secrets": len(record.secrets), "texts": len(texts)})


def _spellings(word: str) -> set[str]:
    return {word, json.dumps(word)[1:-1], json.dumps(word, ensure_ascii=False)[1:-1]}


def whole_or_nothing(record: Record) -> Finding:
    """I7: what a board shows is the text, whole, on pages that it has; or nothing."""
    originals: dict[str, set[str]] = {}
    for told in record.told:
        originals.setdefault(told.case, set()).update(told.originals)
    shown = _on_boards(record.sights)
    faults = []
    for one in shown:
        in_full = one.text in originals.get(one.case, ())
        if not in_full or folded(" ".join(line for page in one.pages for line in page)) != folded(one.text):
            faults.append(f"{one.place}: not the whole text of {one.case}")
        elif not _fits(one.pages, record.signs[one.place]):
            faults.append(f"{one.place}: more than the board can show of {one.case}")
    return Finding("I7", tuple(faults), {"shown": len(shown), "boards": len({one.place for one in shown})})


def _fits(pages: Sequence[Sequence[str]], sign: Sign) -> bool:
    lines = [line for page in pages for line in page]
    rows = max(map(len, pages), default=0)
    return len(pages) <= sign.pages and rows <= sign.rows and all(len(line) <= sign.columns for line in lines)


def _on_boards(sights: Sequence[Sight]) -> list[Sight]:
    return [one for one in sights if one.channel in BOARD_CHANNELS and one.deed in _CAME]


def _photos(sights: Sequence[Sight]) -> list[Sight]:
    return [one for one in sights if one.photo]


INVARIANTS: tuple[Callable[[Record], Finding], ...] = (
    nothing_forbidden,
    nothing_left,
    nothing_lost,
    nothing_doubled,
    outcome_to_those_alerted,
    log_is_discreet,
    whole_or_nothing,
)


def judge(record: Record) -> list[Finding]:
    """Judge all seven, in order."""
    return [invariant(record) for invariant in INVARIANTS]


def is_good(findings: Sequence[Finding], missed: Sequence[str]) -> bool:
    """Whether every invariant held, and everything that was waited for happened."""
    return not missed and all(one.held for one in findings)
