"""What tables say of a board, word by word."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from bridge import show

POSTING = {
    "target": "bord",
    "channel": "sign",
    "desired": "shown",
    "applied": "shown",
    "revision": 1,
    "attempts": 0,
    "error": None,
    "settled": True,
    "reason": "",
    "reason_code": "allowed",
    "rule": "",
    "waits": False,
    "verified_at": "2026-11-22T09:15:00.000+00:00",
    "seen": "ours",
    "seen_text": None,
    "due": "2026-11-22T09:20:00.000+00:00",
}
CASE = {
    "case": "Z1",
    "state": "open",
    "category": "missing_child",
    "revision": 1,
    "outcome": None,
    "erased": False,
    "advice": [],
}


@pytest.mark.parametrize(
    ("desired", "seen", "words"),
    [
        ("shown", "ours", "staat er 09:15:00"),
        ("shown", "dark", "donker 09:15:00"),
        ("shown", "other", "iets anders 09:15:00Z: KERMIS"),
        ("gone", "dark", "donker 09:15:00"),
        ("gone", "other", "niet meer 09:15:00"),
    ],
)
def test_what_was_seen_is_told_by_what_ought_to_be_there(desired: str, seen: str, words: str) -> None:
    """Another text is a fault while the case is open; after its end it only says that this one is gone."""
    said = io.StringIO()
    posting = {**POSTING, "desired": desired, "applied": desired, "seen": seen}
    posting["seen_text"] = "KERMIS" if seen == "other" else None
    show.status(Console(file=said, width=160), {"cases": [{**CASE, "postings": [posting]}]}, "nl")
    assert words in said.getvalue()


@pytest.mark.parametrize(
    ("due", "words"),
    [("2026-11-22T09:20:00.000+00:00", "away (3×)"), (None, "away (3×; wordt niet meer geprobeerd)")],
)
def test_a_failure_says_whether_it_is_tried_again(due: str | None, words: str) -> None:
    """Who reads of a failure knows whether the bridge goes on by itself, or somebody must do something."""
    said = io.StringIO()
    posting = {**POSTING, "applied": "none", "settled": False, "error": "away", "attempts": 3, "due": due}
    show.status(Console(file=said, width=160), {"cases": [{**CASE, "postings": [posting]}]}, "nl")
    assert words in said.getvalue()


def test_advice_is_for_who_can_still_follow_it() -> None:
    """What a text lacks is told while the case is open, and not when it is over."""
    for state, told in (("open", True), ("ended", False)):
        said = io.StringIO()
        case = {**CASE, "state": state, "advice": ["er staat niet wat mensen moeten doen"], "postings": [POSTING]}
        show.status(Console(file=said, width=160), {"cases": [case]}, "nl")
        assert ("er staat niet" in said.getvalue()) is told


PROVEN = {**POSTING, "proof": "dark", "gone_at": "2026-11-22T10:00:00.000+00:00", "seen": "dark"}
LIT = {**POSTING, "proof": "not_yet", "gone_at": None, "dark_at": None}


@pytest.mark.parametrize(
    ("state", "target", "words"),
    [
        ("ended", {**PROVEN, "dark_at": "2026-11-22T10:00:02.000+00:00"}, "donker gezien 2026-11-22T10:00:02Z\n|overal weg"),
        (
            "ended",
            {**PROVEN, "dark_at": "2026-11-22T10:00:02.000+00:00", "seen": "other", "seen_text": "KERMIS"},
            "weg gezien 2026-11-22T10:00:02Z; laatst gezien: KERMIS|overal weg",
        ),
        ("ended", {**PROVEN, "proof": "not_yet", "dark_at": None, "seen": None}, "NOG NIET donker gezien|nog niet overal weg"),
        ("ended", {**LIT, "error": "no answer", "attempts": 3}, "NOG NIET: staat er; no answer (3×)|nog niet overal weg"),
        ("open", LIT, "  staat er|de zaak is nog open"),
    ],
)  # fmt: skip
def test_a_report_says_what_is_proven_of_a_board(state: str, target: dict[str, object], words: str) -> None:
    """Dark, something else, taken away and not seen yet, or still there: each in its own words, and what that makes."""
    said = io.StringIO()
    proven = state == "ended" and target["proof"] == "dark"
    found = {"case": "Z1", "state": state, "outcome": None, "proven": proven, "targets": [target]}
    show.retraction(Console(file=said, width=160), found, "nl")
    lines = "\n".join(line.rstrip() for line in said.getvalue().splitlines()) + "\n"
    assert all(one in lines for one in words.split("|"))
    assert ("NOG NIET" in lines) is (state == "ended" and not proven)


@pytest.mark.parametrize(
    ("cases", "language", "words"), [(1, "nl", "1 zaak, 1 plaatsing"), (2, "nl", "2 zaken, 2 plaatsingen"), (0, "en", "0 cases, 0 postings")]
)  # fmt: skip
def test_an_audit_counts_as_people_do(cases: int, language: str, words: str) -> None:
    """One case is no cases."""
    said = io.StringIO()
    show.audited(Console(file=said, width=160), cases, cases, [], language)
    assert words in said.getvalue()
