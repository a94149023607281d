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
        ("shown", "other", "iets anders 09:15:00"),
        ("gone", "dark", "donker 09:15:00"),
        ("gone", "other", "niet meer 09:15:00"),
    ],
)
def test_what_was_seen_is_told_by_what_ought_to_be_there(desired: str, seen: str, words: str) -> None:
    """Another text is a fault while the case is open; after its end it only says that this one is gone."""
    said = io.StringIO()
    posting = {**POSTING, "desired": desired, "applied": desired, "seen": seen}
    show.status(Console(file=said, width=160), {"cases": [{**CASE, "postings": [posting]}]}, "nl")
    assert words in said.getvalue()
