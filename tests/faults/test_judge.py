"""The judge of the real faults is not blind: what is planted in the records is found, and counted once."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from bridge.simulators.graph_pages import Entry
from bridge.simulators.smtp_sink import SunkMail
from tests.faults.judge import Places, Seen, doubled_posts, see_mails

PLACES = Places(["bord-0"], ["lezer0@example.nl"], ["1048"])
CASES = ["zaak-1", "zaak-2"]


def shown() -> Seen:
    """Give the records of two cases that everybody was told of."""
    return Seen(
        lit={("bord-0", case) for case in CASES},
        mails=Counter({("lezer0@example.nl", case, "opened"): 1 for case in CASES}),
        posts={("1048", case): ["opened"] for case in CASES},
    )


def entry(action: str, post: str) -> Entry:
    """Give a line of a page's history."""
    return Entry(datetime.now(UTC), action, "1048", post, "Vermist: zaak-2")


def mail(case: str, thread: str = "") -> SunkMail:
    """Give a mail as it arrives; ``thread`` is a line of its head."""
    raw = f"Subject: Vermist: {case}\r\n{thread}\r\nIn-Reply-To: is no header here, for this is the body.\r\n"
    return SunkMail("a@example.nl", "lezer0@example.nl", raw.encode())


def test_nothing_is_wrong_with_what_is_right() -> None:
    """Records in which all came once have nothing lost or doubled."""
    seen = shown()
    assert list(seen.missing("opened", PLACES, CASES)) == []
    assert seen.doubled_mails() == 0


def test_what_never_came_is_lost() -> None:
    """Each place that an acknowledged event never reached is one loss."""
    seen = shown()
    seen.lit.discard(("bord-0", "zaak-2"))
    del seen.mails["lezer0@example.nl", "zaak-1", "opened"]
    seen.posts["1048", "zaak-1"] = []
    assert len(list(seen.missing("opened", PLACES, CASES))) == 3


def test_what_came_again_is_doubled() -> None:
    """A second mail of the same phase and a second post of a case count, also one that was deleted since."""
    seen = shown()
    seen.mails["lezer0@example.nl", "zaak-1", "opened"] += 2
    history = [entry("published", "1"), entry("deleted", "1"), entry("published", "2"), entry("updated", "2")]
    assert (seen.doubled_mails(), doubled_posts(history)) == (2, 1)


def test_what_is_lit_after_the_end_is_left_behind() -> None:
    """After all has ended a board that is lit, and a page that still alerts beside its outcome, are left behind."""
    seen = shown()
    seen.posts["1048", "zaak-1"] = ["ended", "opened"]
    seen.posts["1048", "zaak-2"] = ["ended"]
    seen.lit = {("bord-0", "zaak-2")}
    assert len(list(seen.left_behind(PLACES, CASES))) == 2
    assert list(seen.left_behind(PLACES, ["zaak-3"])) == []


def test_outcomes_that_never_came_are_lost() -> None:
    """An ending is lost where no mail and no post tells of it."""
    seen = shown()
    seen.mails["lezer0@example.nl", "zaak-1", "ended"] = 1
    assert len(list(seen.missing("ended", PLACES, CASES))) == 3


def test_mails_are_told_apart() -> None:
    """Of a mail the case is read, and whether it follows another: by its head, whatever its body says."""
    seen = see_mails([mail("zaak-1"), mail("zaak-1", "In-Reply-To: <x@y>\r\n"), mail("zaak-12")])
    assert seen == {
        ("lezer0@example.nl", "zaak-1", "opened"): 1,
        ("lezer0@example.nl", "zaak-1", "ended"): 1,
        ("lezer0@example.nl", "zaak-12", "opened"): 1,
    }
