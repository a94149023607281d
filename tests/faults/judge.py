"""What the places themselves recorded, and what is wrong with it: lost, doubled, left behind. Pure functions of the records.

A case is found again in whatever it became by the word ``zaak-N`` in its text; an outcome by ``afgelopen``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bridge.simulators.board import BoardSimulator
from bridge.simulators.graph import GraphSimulator
from bridge.simulators.graph_pages import Entry
from bridge.simulators.smtp_sink import SunkMail

What = Literal["opened", "ended"]
OVER = "afgelopen"  # the word in every outcome, and in no alert

_CASE = re.compile(rb"zaak-\d+")
_IN_THREAD = re.compile(rb"^In-Reply-To:", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Places:
    """Who is meant by every case: boards and pages by name, readers by address."""

    boards: Sequence[str] = ()
    readers: Sequence[str] = ()
    pages: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.boards) + len(self.readers) + len(self.pages)


@dataclass
class Seen:
    """What was seen: (board, case) that is lit; mails by (reader, case, phase); live posts by (page, case)."""

    lit: set[tuple[str, str]] = field(default_factory=set)
    mails: Counter[tuple[str, str, What]] = field(default_factory=Counter)
    posts: dict[tuple[str, str], list[What]] = field(default_factory=dict)

    def missing(self, what: What, places: Places, cases: Collection[str]) -> Iterator[str]:
        """Name every effect of ``what`` that never came, where it should be."""
        for case in cases:
            for reader in places.readers:
                if not self.mails[reader, case, what]:
                    yield f"{reader} got no mail: {what} {case}"
            for page in places.pages:
                if what not in self.posts.get((page, case), []):
                    yield f"{page} has no post that says: {what} {case}"
            for board in places.boards if what == "opened" else ():
                if (board, case) not in self.lit:
                    yield f"{board} is dark: {case}"

    def left_behind(self, places: Places, cases: Collection[str]) -> Iterator[str]:
        """Name every place that still shows a case that has ended."""
        for board, case in self.lit:
            if case in cases and board in places.boards:
                yield f"{board} is lit: {case}"
        for (page, case), said in self.posts.items():
            if case in cases and page in places.pages and "opened" in said:
                yield f"{page} still alerts: {case}"

    def doubled_mails(self) -> int:
        """Count the mails that a reader got once more than once."""
        return sum(count - 1 for count in self.mails.values())


def see_mails(mails: Iterable[SunkMail]) -> Counter[tuple[str, str, What]]:
    """Read whose case each mail tells of, and whether it is the alert or what follows it."""
    return Counter((mail.recipient, _case(mail.raw), _phase(mail.raw)) for mail in mails)


def see(
    boards: BoardSimulator, graph: GraphSimulator, pages: Sequence[str], mails: Counter[tuple[str, str, What]]
) -> Seen:
    """Look at every place."""
    seen = Seen(mails=mails)
    seen.lit = {(board, body["case"]) for board, shown in boards.everything().items() for body in shown.values()}
    for page in pages:
        for post in graph.posts(page):
            said: What = "ended" if OVER in post.message else "opened"
            seen.posts.setdefault((page, _case(post.message.encode())), []).append(said)
    return seen


def doubled_posts(history: Iterable[Entry]) -> int:
    """Count the posts that were ever published beyond the first of a case on a page, also those deleted since."""
    published = Counter((one.page, _case(one.message.encode())) for one in history if one.action == "published")
    return sum(count - 1 for count in published.values())


def _phase(raw: bytes) -> What:
    return "ended" if _IN_THREAD.search(raw.partition(b"\r\n\r\n")[0]) else "opened"


def _case(text: bytes) -> str:
    found = _CASE.search(text)
    assert found, f"a text of no case: {text[:80]!r}"
    return found.group().decode()
