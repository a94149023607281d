"""From a case, the targets and the rules to one wish for each target, and what an ending makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from bridge.core.alert import Ending, Outcome
from bridge.core.case import Case, fold, settle
from bridge.core.content import Content, Phase, Photo, Words
from bridge.core.planning import Existing, Group, GroupWish, PhotoState, Plan, Policy, Wish, plan_end, plan_open
from bridge.core.posting import Applied, Desired, Kind, posting_id
from bridge.core.rules import Reason, Rule
from bridge.core.target import Target
from tests.unit.samples import ALERT, BOARD, MAIL, NOW, ORIGINAL, OUTBOX, PAGE, event, rule, target

LIFETIME = timedelta(hours=12)
ADAPTERS = {"http_sign": BOARD, "email": MAIL, "facebook": PAGE, "outbox": OUTBOX}
ALLOW_ALL = rule("alles")
PHOTO = PhotoState(ready=Photo("d" * 64, data=b"jpeg"))
NO_PHOTO = PhotoState()
BORD, MAILBOX = target("bord"), target("mail-ans", "email", owner={"kind": "citizen"})
PAGINA = target("fb-leiden", "facebook")
KRANT = target("krant", sign={"columns": 16, "rows": 5, "pages": 4, "photo": True})
BEHEERDER = target("beheerder-1", "outbox", owner={"kind": "citizen"})
ALL = (BORD, MAILBOX, PAGINA, BEHEERDER)
CHANNELS = pytest.mark.parametrize("place", ALL, ids=lambda one: one.channel)


class Plain:
    """A renderer that writes down what it was given."""

    def render(self, channel: str, words: Words) -> tuple[str, str]:
        """Write channel, phase, language, texts, and whether there is a photo."""
        said = (channel, words.phase, words.language, words.description, words.outcome, "foto" if words.photo else "")
        return "|".join(said), ""


def policy(*targets: Target, rules: Sequence[Rule] = (ALLOW_ALL,)) -> Policy:
    """Give what decides: these targets, and a rule that allows everything unless others are given."""
    return Policy(targets or ALL, rules, ADAPTERS, Plain())


def case(*steps: tuple[str, dict[str, Any]]) -> Case:
    """Fold an opening, or these events a minute apart, into a case."""
    folded = Case("2026112200042")
    for minute, (kind, changes) in enumerate(steps or (("opened", {}),)):
        data = changes if kind == "ended" else {**ALERT, **changes}
        folded, _ = fold(folded, event(kind, minute, data=data), NOW, LIFETIME)
    return folded


def corrected(**changes: Any) -> Case:
    """Give a case whose second revision has these fields changed."""
    text = {"info": [{**ALERT["info"][0], "description": f"{ORIGINAL} Correctie."}]}
    return case(("opened", {}), ("updated", {**text, **changes}))


def existing(plan: Plan, revision: int = 1, **changes: Any) -> dict[str, Existing]:
    """Give the postings of a plan as they stand after its wishes were fulfilled."""
    there = Existing(Desired.SHOWN, "", revision, "", Applied.SHOWN, "", carried=True, in_flight=False, held=False)
    return {
        wish.posting: replace(there, content=wish.content, applied_photo=wish.photo, **changes) for wish in plan.wishes
    }


def only(plan: Plan) -> tuple[Wish, Content]:
    """Give the one wish of a plan that shows something, and its content."""
    [wish] = plan.wishes
    assert wish.desired is Desired.SHOWN
    return wish, plan.contents[wish.content]


def verdicts(plan: Plan) -> dict[str, Reason]:
    """Give the reason for each target."""
    return {one.target: one.decision.reason for one in plan.judged}


def test_an_opening_goes_everywhere_it_is_allowed() -> None:
    """Every target gets one wish with its own content; each wish's content is in the plan; all is decided by name."""
    plan = plan_open(case(), policy(), {}, PHOTO)
    assert [wish.posting for wish in plan.wishes] == [posting_id("2026112200042", one) for one in ALL]
    assert set(verdicts(plan).values()) == {Reason.ALLOWED}
    assert {wish.content for wish in plan.wishes} == set(plan.contents)
    assert all((wish.desired, wish.reason, wish.language) == (Desired.SHOWN, "alles", "nl") for wish in plan.wishes)


def test_targets_that_show_the_same_share_one_content() -> None:
    """A thousand mailboxes cost one rendering; boards share by their size."""
    boards = [target(f"bord-{n}", sign={"columns": 16 + n % 2, "rows": 5, "pages": 4}) for n in range(20)]
    mails = [target(f"mail-{n}", "email") for n in range(20)]
    plan = plan_open(case(), policy(*boards, *mails), {}, NO_PHOTO)
    assert (len(plan.wishes), len(plan.contents)) == (40, 3)


REFUSALS: list[tuple[dict[str, Any], dict[str, Any], Reason]] = [
    ({}, {"category": "street_robbery"}, Reason.BOARD_ROBBERY),
    ({}, {"category": "hold_up"}, Reason.BOARD_ROBBERY),
    ({}, {"category": "burglary"}, Reason.BOARD_CATEGORY),
    ({}, {"category": "een_nieuw_woord"}, Reason.BOARD_CATEGORY),
    ({}, {"status": "Exercise"}, Reason.STATUS),
    ({"owner": {"kind": "commercial"}}, {}, Reason.BOARD_OWNER),
    ({"location": {"lat": 51.0, "lon": 4.0}}, {}, Reason.AREA),
    ({"location": {"lat": 52.18, "lon": 4.495}}, {"area": None}, Reason.NO_AREA),
    ({"languages": ["de"]}, {}, Reason.LANGUAGE),
    ({"sign": {"columns": 16, "rows": 2, "pages": 2}}, {}, Reason.LAYOUT),
    ({"sign": {"columns": 5, "rows": 9, "pages": 9}}, {}, Reason.LAYOUT),
    ({"sign": None}, {}, Reason.LAYOUT),
]


@pytest.mark.parametrize(("place", "sent", "reason"), REFUSALS)
def test_a_board_is_refused_with_the_reason(place: dict[str, Any], sent: dict[str, Any], reason: Reason) -> None:
    """I1, I7: what may not be there, or does not fit in full, is not placed, and the operator is told why."""
    plan = plan_open(case(("opened", sent)), policy(target(**place)), {}, PHOTO)
    assert (plan.wishes, plan.contents, verdicts(plan)) == ([], {}, {"bord": reason})
    assert plan.judged[0].decision.explain("nl")


def test_a_board_shows_the_original_text_and_never_a_template() -> None:
    """R3: pages and text are the alert's own words, also after a correction."""
    for revision, told in ((1, case()), (2, corrected())):
        _, content = only(plan_open(told, policy(BORD), {}, NO_PHOTO))
        assert content.text == f"{told.registers.alert.info[0].description}\nGezien? Bel 112."  # type: ignore[union-attr]
        assert " ".join(line for page in content.pages for line in page) == content.text.replace("\n", " ")
        assert content.revision == revision


@CHANNELS
@pytest.mark.parametrize(("carried", "in_flight"), [(True, False), (False, True), (False, False)])
def test_judging_the_same_revision_again_changes_nothing(place: Target, carried: bool, in_flight: bool) -> None:
    """A reload of rules or targets with the same outcome touches no posting: nobody is mailed twice for it."""
    for photo in (NO_PHOTO, PHOTO):
        first = plan_open(case(), policy(place), {}, photo)
        applied = Applied.SHOWN if carried else Applied.NONE
        there = existing(first, carried=carried, in_flight=in_flight, applied=applied)
        assert plan_open(case(), policy(place), there, photo).wishes == []


@pytest.mark.parametrize("place", [MAILBOX, BEHEERDER], ids=lambda one: one.channel)
def test_a_message_that_was_sent_is_not_sent_again_for_a_photo_or_a_template(place: Target) -> None:
    """A follow-up tells news of the case; a photo that came too late or another template is none."""
    for revision, told in ((1, case()), (2, corrected())):
        there = existing(plan_open(told, policy(place), {}, PhotoState(coming=True)), revision)
        assert plan_open(told, policy(place), there, PHOTO).wishes == []
        other = {name: replace(one, content="an older template's") for name, one in there.items()}
        assert plan_open(told, policy(place), other, PHOTO).wishes == []


def test_a_photo_that_comes_late_is_added_where_that_can_be_done() -> None:
    """A text display gets the picture as an update of the same revision; a page gets a new wish with the photo."""
    for place in (KRANT, PAGINA):
        there = existing(plan_open(case(), policy(place), {}, PhotoState(coming=True)))
        wish, content = only(plan_open(case(), policy(place), there, PHOTO))
        assert wish.photo == "d" * 64
        assert content.phase is Phase.OPENED


@pytest.mark.parametrize(
    ("place", "waits"), [(BORD, False), (KRANT, False), (MAILBOX, True), (PAGINA, True), (BEHEERDER, False)]
)
def test_only_what_carries_a_photo_waits_for_it(place: Target, waits: bool) -> None:
    """R4: a board never waits; a post and a mail do for a while; an outbox that carries no photo does not."""
    wish, content = only(plan_open(case(), policy(place), {}, PhotoState(coming=True)))
    assert (wish.waits_for_photo, wish.photo, content.photo) == (waits, "", None)
    assert not only(plan_open(case(), policy(place), {}, NO_PHOTO))[0].waits_for_photo
    assert not only(plan_open(case(("opened", {"resource": []})), policy(place), {}, NO_PHOTO))[0].waits_for_photo


def test_what_only_the_photo_forbids_goes_without_it() -> None:
    """R14: a rule against a child's photo takes the photo out, not the alert; without a photo nothing is waited for."""
    rules = [ALLOW_ALL, rule("geen-kinderfoto", "deny", photo=[True], categories=["missing_child_alert"])]
    for photo in (PHOTO, PhotoState(coming=True)):
        wish, content = only(plan_open(case(), policy(MAILBOX, rules=rules), {}, photo))
        assert (wish.photo, content.photo, wish.waits_for_photo) == ("", None, False)
        assert not content.text.endswith("foto")
    _, pictured = only(
        plan_open(case(("opened", {"category": "amber_alert"})), policy(MAILBOX, rules=rules), {}, PHOTO)
    )
    assert pictured.photo is not None
    assert verdicts(plan_open(case(), policy(MAILBOX, rules=rules[1:]), {}, PHOTO)) == {"mail-ans": Reason.NO_RULE}


@CHANNELS
@pytest.mark.parametrize(
    ("changes", "rules", "reason"),
    [
        ({"category": "street_robbery"}, [ALLOW_ALL, rule("nee", "deny", categories=["street_robbery"])], Reason.RULE),
        ({"status": "Test"}, [ALLOW_ALL], Reason.STATUS),
        ({"info": [{"language": "fr", "description": "x"}]}, [ALLOW_ALL], Reason.LANGUAGE),
    ],
)
def test_an_update_that_forbids_takes_away(
    place: Target, changes: dict[str, Any], rules: list[Rule], reason: Reason
) -> None:
    """What was allowed and no longer is, is taken back with the reason, and once."""
    there = existing(plan_open(case(), policy(place), {}, NO_PHOTO))
    now = case(("opened", {}), ("updated", changes))
    plan = plan_open(now, policy(place, rules=rules), there, NO_PHOTO)
    [wish] = plan.wishes
    expected = reason if place is not BORD or reason is not Reason.RULE else Reason.BOARD_ROBBERY
    assert (wish.desired, wish.content, wish.reason) == (Desired.REFUSED, "", expected)
    [(name, before)] = there.items()
    refused = {name: replace(before, desired=Desired.REFUSED, content="", revision=2)}
    assert plan_open(now, policy(place, rules=rules), refused, NO_PHOTO).wishes == []


@CHANNELS
def test_a_target_that_is_removed_or_moved_is_cleared_where_it_stood(place: Target) -> None:
    """A board that left the list, or moved to another address, is taken back by its old posting; the new one is new."""
    there = existing(plan_open(case(), policy(place), {}, NO_PHOTO))
    [old] = there
    moved = place.model_copy(update={"address": "http://127.0.0.2:9100/elders"})
    gone = Wish(old, None, Desired.REFUSED, reason=Reason.TARGET_REMOVED)
    assert plan_open(case(), replace(policy(), targets=()), there, NO_PHOTO).wishes == [gone]
    new, taken = plan_open(case(), policy(moved), there, NO_PHOTO).wishes
    assert taken == gone
    assert (new.posting, new.desired) == (posting_id("2026112200042", moved), Desired.SHOWN)
    cleared = {old: replace(there[old], desired=Desired.REFUSED, content="")}
    assert plan_open(case(), replace(policy(), targets=()), cleared, NO_PHOTO).wishes == []


@CHANNELS
def test_what_an_operator_took_away_stays_away(place: Target) -> None:
    """A held posting gets no wish from an update, whatever it allows."""
    there = existing(plan_open(case(), policy(place), {}, NO_PHOTO))
    held = {name: replace(one, desired=Desired.GONE, content="", held=True) for name, one in there.items()}
    assert plan_open(corrected(), policy(place), held, NO_PHOTO).wishes == []
    assert plan_open(corrected(status="Test"), policy(place), held, NO_PHOTO).wishes == []


@pytest.mark.parametrize("state", ["carried", "in_flight", "unknown", "shown"])
def test_a_correction_is_told_as_one_to_whom_may_have_read_the_alert(state: str) -> None:
    """R19: who may have got the first message gets an update; the photo is sent once, so a follow-up has none."""
    marks: Mapping[str, dict[str, Any]] = {
        "carried": {"carried": True, "applied": Applied.NONE},
        "in_flight": {"carried": False, "applied": Applied.NONE, "in_flight": True},
        "unknown": {"carried": False, "applied": Applied.UNKNOWN},
        "shown": {"carried": False, "applied": Applied.SHOWN},
    }
    for place in (MAILBOX, PAGINA):
        there = existing(plan_open(case(), policy(place), {}, PHOTO), **marks[state])
        _, content = only(plan_open(corrected(), policy(place), there, PHOTO))
        assert content.phase is Phase.UPDATED
        assert "Correctie." in content.text
        assert (content.photo is None) == (place is MAILBOX and state == "carried")


def test_a_correction_to_who_got_nothing_is_an_opening() -> None:
    """A mail that never left is replaced by the corrected one, told as new, with the photo."""
    first = plan_open(case(), policy(MAILBOX), {}, PHOTO)
    there = existing(first, carried=False, applied=Applied.NONE)
    _, content = only(plan_open(corrected(), policy(MAILBOX), there, PHOTO))
    assert content.phase is Phase.OPENED
    assert content.photo is not None


def test_a_target_reads_its_own_language() -> None:
    """R17: each target gets the text in its first language that there is; nobody gets one he cannot read."""
    texts = [{"language": word, "description": f"tekst {word}"} for word in ("nl", "de")]
    places = [target(f"mail-{word}", "email", languages=[word]) for word in ("nl", "de", "fr")]
    plan = plan_open(case(("opened", {"info": texts})), policy(*places), {}, NO_PHOTO)
    assert [wish.language for wish in plan.wishes] == ["nl", "de"]
    assert verdicts(plan)["mail-fr"] is Reason.LANGUAGE
    assert ["tekst de" in plan.contents[wish.content].text for wish in plan.wishes] == [False, True]


def test_a_case_that_was_never_opened_plans_nothing() -> None:
    """A tombstone has no alert: there is nothing to judge and nobody to tell."""
    tombstone = case(("ended", {"outcome": "resolved"}))
    assert plan_open(tombstone, policy(), {}, NO_PHOTO) == Plan((), {}, ())
    wishes = plan_end(tombstone, [Group(kind, "x", "nl") for kind in Kind], Plain())
    assert [wish.content for wish in wishes] == [None] * 3


def ends(kind: Kind, outcome: str = "resolved", category: str = "missing_child_alert") -> GroupWish:
    """Give what an ending makes of one group."""
    over = case(("opened", {"category": category}), ("ended", {"outcome": outcome}))
    [wish] = plan_end(over, [Group(kind, "email" if kind is Kind.MESSAGE else "facebook", "nl")], Plain())
    return wish


def test_an_ending_clears_boards_and_tells_the_others() -> None:
    """Design 1: a state channel goes dark, a post becomes the outcome, a message is followed by it."""
    for outcome in Outcome:
        assert ends(Kind.STATE, outcome).content is None
        told = ends(Kind.MESSAGE, outcome)
        assert told.content is not None
        assert (told.content.phase, told.forget, told.content.photo) == (Phase.ENDED, False, None)
        assert told.content.text == f"email|ended|nl||{outcome}|"
        assert told.content.revision == 2
    replaced = ends(Kind.POST, "unresolved")
    assert replaced.content is not None
    assert (replaced.content.subject, replaced.forget) == ("Vermist: jongen (8) in Leiden", False)


def test_a_withdrawn_post_is_deleted_and_nothing_replaces_it() -> None:
    """An alert sent in error is taken off the page; later outcomes are not told there."""
    wish = ends(Kind.POST, "withdrawn")
    assert (wish.content, wish.forget) == (None, True)


def test_a_case_that_was_read_at_leisure_gets_no_outcome_by_mail() -> None:
    """R16: witness appeals, prevention, campaigns and newsletters have no afloop mail; their posts do change."""
    for category in ("witness_appeal", "prevention", "campaign", "newsletter"):
        wish = ends(Kind.MESSAGE, category=category)
        assert (wish.content, wish.forget) == (None, True)
        assert ends(Kind.POST, category=category).content is not None


def test_an_expiry_invents_no_outcome() -> None:
    """Past its time boards go dark and photos go; nothing is told, and what was sent as text stays."""
    expired = settle(case(), NOW + 2 * LIFETIME, LIFETIME)
    wishes = plan_end(expired, [Group(kind, "x", "nl") for kind in Kind], Plain())
    assert [wish.content for wish in wishes] == [None] * 3
    assert [wish.spare_sent for wish in wishes] == [False, True, True]
    assert not any(wish.forget for wish in wishes)


def test_an_ending_asks_no_rule_no_area_and_no_target() -> None:
    """Truth 1: whatever category, area or status the alert had, each kind of channel is cleared or told the same."""
    for category, status, area in product(("hold_up", "amber_alert"), ("Actual", "Test"), (None, ALERT["area"])):
        sent = {"category": category, "status": status, "area": area}
        over = case(("opened", sent), ("ended", {"outcome": "resolved"}))
        wishes = plan_end(over, [Group(kind, "x", "nl") for kind in Kind], Plain())
        assert [wish.content is None for wish in wishes] == [True, False, False]


def test_the_outcome_is_told_in_the_language_of_the_alert() -> None:
    """R17: a group that got the German text hears the German outcome, under the German headline."""
    texts = [{"language": word, "headline": f"kop {word}", "description": "x"} for word in ("nl", "de")]
    ending = Ending.model_validate({"outcome": "resolved", "info": [{"language": "de", "description": "Gefunden."}]})
    over = case(("opened", {"info": texts}), ("ended", ending.model_dump(mode="json")))
    dutch, german = plan_end(over, [Group(Kind.MESSAGE, "email", word) for word in ("nl", "de")], Plain())
    assert dutch.content is not None
    assert german.content is not None
    assert (dutch.content.subject, german.content.subject) == ("kop nl", "kop de")
    assert "Gefunden." in german.content.text
    assert "Gefunden." not in dutch.content.text
