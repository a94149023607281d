"""What events make of cases and of what targets should show, on both databases."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bridge.core.case import Standing, Verdict
from bridge.core.errors import BridgeError, InvalidInput, PermanentError
from bridge.core.posting import Step
from bridge.core.rules import RuleFile
from bridge.store import schema
from bridge.store.database import Database
from tests.integration.fake_adapters import refuse
from tests.integration.spine import ALLOW_ALL, Spine, board, mail, page
from tests.integration.spine_store import database_fixture, masters_fixture, store_url  # noqa: F401

TARGETS = [board("b"), page("p"), mail("m")]
T = schema.postings.c


async def test_an_opening_wishes_for_every_target(database: Database) -> None:
    """An opening leaves one posting for each target, due now, that desires the alert and has nothing there yet."""
    spine = Spine(database, TARGETS)
    accepted = await spine.opened()
    assert (accepted.verdict, accepted.standing, accepted.revision) == (Verdict.APPLIED, Standing.OPEN, 1)
    rows = await spine.rows(schema.postings)
    assert {row["target"] for row in rows} == {"b", "p", "m"}
    assert {(row["desired"], row["applied"], row["due"], row["revision"]) for row in rows} == {
        ("shown", "none", spine.clock(), 1)
    }


async def test_a_duplicate_changes_nothing(database: Database) -> None:
    """The same source and id again is a duplicate and leaves every table as it was; the same id of another source is not."""
    spine = Spine(database, TARGETS)
    await spine.opened(id="1")
    before = [await spine.rows(table) for table in schema.metadata.tables.values()]
    again = await spine.opened(id="1", text="Iets heel anders")
    assert (again.verdict, again.revision) == (Verdict.DUPLICATE, 1)
    assert [await spine.rows(table) for table in schema.metadata.tables.values()] == before
    other = await spine.opened(id="1", source="urn:other", text="Jongen met blauwe jas")
    assert (other.verdict, other.revision) == (Verdict.APPLIED, 2)


async def test_a_duplicate_that_names_another_case_makes_no_case(database: Database) -> None:
    """An event id that comes back under another subject is still a duplicate, and no empty case is left behind."""
    spine = Spine(database, TARGETS)
    await spine.opened("zaak-1", id="1")
    again = await spine.opened("zaak-2", id="1")
    assert again.verdict is Verdict.DUPLICATE
    assert [row["id"] for row in await spine.rows(schema.cases)] == ["zaak-1"]


async def test_an_ending_before_its_opening_is_a_tombstone(database: Database) -> None:
    """An ending of an unknown case is kept; the opening that comes later shows nothing anywhere."""
    spine = Spine(database, TARGETS)
    ended = await spine.ended()
    assert (ended.verdict, ended.standing) == (Verdict.TOMBSTONE, Standing.ENDED)
    late = await spine.opened(time=spine.clock.instant() - timedelta(seconds=30))
    assert (late.verdict, late.standing) == (Verdict.ENDED_ALREADY, Standing.ENDED)
    assert await spine.count(schema.postings) == 0
    assert [row["verdict"] for row in await spine.rows(schema.events)] == ["tombstone", "ended_already"]


async def test_an_update_after_the_end_is_recorded_and_ignored(database: Database) -> None:
    """A correction of a case that is over is kept with its verdict, and changes no wish."""
    spine = Spine(database, TARGETS)
    await spine.opened()
    await spine.ended()
    before = await spine.rows(schema.postings)
    late = await spine.updated(text="Jongen met blauwe jas")
    assert (late.verdict, late.standing) == (Verdict.ENDED_ALREADY, Standing.ENDED)
    assert await spine.rows(schema.postings) == before
    assert (await spine.case())["outcome"] == "resolved"


async def test_a_late_correction_does_not_undo_a_newer_one(database: Database) -> None:
    """Corrections that come in the wrong order leave the newest text, and the older one is recorded as superseded."""
    spine = Spine(database, TARGETS)
    await spine.opened()
    older = spine.clock.instant() + timedelta(seconds=1)
    await spine.updated(text="Leeftijd 46", time=older + timedelta(seconds=5))
    late = await spine.updated(text="Leeftijd 47", time=older)
    assert late.verdict is Verdict.SUPERSEDED
    wanted = {row["content"] for row in await spine.rows(schema.postings)}
    texts = [row["body"] for row in await spine.rows(schema.contents) if row["id"] in wanted]
    assert all("46" in text and "47" not in text for text in texts)


async def test_an_ending_cancels_what_was_never_sent(database: Database) -> None:
    """An ending of a case that reached nobody leaves nothing to do anywhere."""
    spine = Spine(database, TARGETS)
    await spine.opened()
    await spine.ended()
    assert {row["due"] for row in await spine.rows(schema.postings)} == {None}


async def test_an_ending_goes_whole_where_it_was_shown(database: Database) -> None:
    """When a case ends, the board goes dark, the post is replaced by the outcome and the mail gets its follow-up."""
    async with Spine(database, TARGETS) as spine:
        spine.start()
        await spine.opened()
        await spine.settled()
        assert spine.board.showing("b") == ["Jongen met rode jas"]
        await spine.ended(info=[{"description": "Terecht"}])
        await spine.settled()
        assert spine.board.showing("b") == []
        assert spine.page.live("p") == ["ended Terecht resolved"]
        assert [(one.phase, one.follows) for one in spine.mail.sent] == [("opened", False), ("ended", True)]


async def test_a_case_that_opens_again_is_shown_again(database: Database) -> None:
    """A later opening of an ended case shows the new alert everywhere; the earlier ending does not come back."""
    async with Spine(database, TARGETS) as spine:
        spine.start()
        await spine.opened()
        await spine.settled()
        await spine.ended()
        await spine.settled()
        again = await spine.opened(text="Opnieuw vermist")
        assert (again.verdict, again.standing, again.revision) == (Verdict.APPLIED, Standing.OPEN, 3)
        await spine.settled()
        assert spine.board.showing("b") == ["Opnieuw vermist"]
        assert spine.page.live("p") == ["updated Opnieuw vermist"]
        assert spine.page.most_live == 1
        assert spine.mail.inbox("m") == ["opened", "ended", "updated"]


async def test_a_case_that_opens_again_and_ends_before_it_was_sent_tells_nobody(database: Database) -> None:
    """Who did not get the second opening gets no second outcome."""
    async with Spine(database, [mail("m")]) as spine:
        worker = spine.start()
        await spine.opened()
        await spine.settled()
        await spine.ended()
        await spine.settled()
        await worker.stop()
        await spine.opened(text="Opnieuw vermist")
        await spine.ended(outcome="unresolved")
        spine.start()
        await spine.settled()
        assert spine.mail.inbox("m") == ["opened", "ended"]


async def test_1000_postings_share_one_text(database: Database) -> None:
    """What a thousand mailboxes get is one row of contents, a correction is one more, and so is the outcome."""
    spine = Spine(database, [mail(f"m{number}") for number in range(1000)])
    await spine.opened()
    assert (await spine.count(schema.postings), await spine.count(schema.contents)) == (1000, 1)
    await spine.updated(text="Leeftijd 46")
    assert (await spine.count(schema.postings), await spine.count(schema.contents)) == (1000, 2)
    assert await spine.count(schema.targets) == 1000
    await spine.ended()
    assert await spine.count(schema.contents) == 3


async def test_each_language_and_channel_has_its_own_text(database: Database) -> None:
    """Readers of two languages on one channel share nothing but the case."""
    spine = Spine(database, [mail("nl", languages=["nl"]), mail("de", languages=["de"]), board("b")])
    infos = [{"language": "nl", "description": "Jongen vermist"}, {"language": "de", "description": "Junge vermisst"}]
    await spine.opened(info=infos)
    rows = {row["target"]: row["content"] for row in await spine.rows(schema.postings)}
    bodies = {row["id"]: json.loads(row["body"])["text"] for row in await spine.rows(schema.contents)}
    texts = {target: bodies[content] for target, content in rows.items()}
    assert texts == {"nl": "opened Jongen vermist", "de": "opened Junge vermisst", "b": "Jongen vermist"}


async def test_every_decision_is_kept_with_its_reason(database: Database) -> None:
    """Each look at the targets leaves one decision a target: allowed by which rule, or refused and why, in words."""
    spine = Spine(database, [board("b"), board("narrow", columns=4), mail("m", languages=["fr"]), mail("ok")])
    await spine.opened(category="street_robbery")
    await spine.updated(category="missing_child_alert", text="Jongen vermist")
    found = {(row["plan"], row["target"]): row for row in await spine.rows(schema.decisions)}
    reasons = {key: (row["allowed"], row["reason"], row["rule"]) for key, row in found.items()}
    assert reasons == {
        (1, "b"): (False, "board_robbery", ""),
        (1, "narrow"): (False, "board_robbery", ""),
        (1, "m"): (False, "language", ""),
        (1, "ok"): (True, "allowed", "all"),
        (2, "b"): (True, "allowed", "all"),
        (2, "narrow"): (False, "layout", ""),
        (2, "m"): (False, "language", ""),
        (2, "ok"): (True, "allowed", "all"),
    }
    assert found[2, "narrow"]["detail"] == "the word 'Jongen' has 6 characters, a line has 4"
    assert "R2" in json.loads(found[1, "b"]["words"])["nl"]
    assert json.loads(found[1, "ok"]["words"]) == {"nl": "mag", "en": "may"}
    assert found[2, "b"]["at"] == spine.clock()


async def test_refusals_are_told_with_the_event(database: Database) -> None:
    """With a status exchange, each refusal is queued as a notice in the same transaction; without one nothing is."""
    for tell, expected in ((True, ["refused"]), (False, ["refused"])):
        spine = Spine(database, [board("narrow", columns=4), mail("ok")], tell=tell)
        await spine.opened(f"zaak-{tell}")
        assert [row["what"] for row in await spine.rows(schema.notices)] == expected
    [notice] = await spine.rows(schema.notices)
    assert json.loads(notice["body"])["reason"] == "layout"


async def test_withdraw_takes_a_case_back_everywhere(database: Database) -> None:
    """An operator's withdrawal ends the case as withdrawn: board dark, post deleted, mail told."""
    async with Spine(database, TARGETS) as spine:
        spine.start()
        await spine.opened()
        await spine.settled()
        withdrawn = await spine.intake.withdraw("zaak")
        assert (withdrawn.verdict, withdrawn.standing) == (Verdict.APPLIED, Standing.ENDED)
        await spine.settled()
        assert (await spine.case())["outcome"] == "withdrawn"
        assert (spine.board.showing("b"), spine.page.live("p")) == ([], [])
        assert spine.mail.sent[-1].text == "ended withdrawn"


async def test_withdraw_follows_an_event_of_a_fast_clock(database: Database) -> None:
    """A withdrawal counts although the source's clock runs ahead of ours."""
    spine = Spine(database, TARGETS)
    await spine.opened()
    await spine.updated(text="Leeftijd 46", time=spine.clock.instant() + timedelta(minutes=4))
    assert (await spine.intake.withdraw("zaak")).standing is Standing.ENDED


async def test_withdraw_of_an_unknown_case_is_refused(database: Database) -> None:
    """A typing error in a case's name says so, and makes no case."""
    spine = Spine(database, TARGETS)
    with pytest.raises(BridgeError, match=r"case: 'zaag' is not known"):
        await spine.intake.withdraw("zaag")
    assert await spine.count(schema.cases) == 0


async def test_hold_takes_one_target_away_and_keeps_it_away(database: Database) -> None:
    """What an operator took off one target stays off it through corrections, and stays everywhere else."""
    async with Spine(database, [board("b"), board("other")]) as spine:
        spine.start()
        await spine.opened()
        await spine.settled()
        await spine.intake.hold("zaak", "b")
        await spine.settled()
        await spine.updated(text="Leeftijd 46")
        await spine.settled()
        assert (spine.board.showing("b"), spine.board.showing("other")) == ([], ["Leeftijd 46"])
        row = await spine.posting("b")
        assert (row["desired"], row["reason"], row["held"]) == ("gone", "operator", True)


async def test_hold_outlasts_a_move_of_the_target(database: Database) -> None:
    """A board that an operator cleared is not lit again because it got another address."""
    async with Spine(database, [board("b")]) as spine:
        spine.start()
        await spine.opened()
        await spine.settled()
        await spine.intake.hold("zaak", "b")
        spine.policy = replace(spine.policy, targets=[board("b", address="elsewhere")], digest="2")
        assert await spine.intake.replan() == 1
        await spine.settled()
        assert spine.board.showing("b") == []
        assert len(spine.board.steps(Step.PUBLISH, "b")) == 1


async def test_hold_before_anything_is_there(database: Database) -> None:
    """A target that the rules refuse today is kept free of the case when they allow it tomorrow."""
    deny = {"name": "not-yet", "effect": "deny", "channels": ["sign"], "reason": {"nl": "nee", "en": "no"}}
    async with Spine(database, [board("b"), board("other")]) as spine:
        allowed = spine.policy.rules
        spine.policy = replace(spine.policy, rules=RuleFile.model_validate({"rules": [deny]}).rules + tuple(allowed))
        spine.start()
        await spine.opened()
        await spine.intake.hold("zaak", "b")
        spine.policy = replace(spine.policy, rules=allowed, digest="2")
        await spine.intake.replan()
        await spine.settled()
        assert (spine.board.showing("b"), spine.board.showing("other")) == ([], ["Jongen met rode jas"])


async def test_hold_of_what_is_not_known_is_refused(database: Database) -> None:
    """A typing error in a target's or a case's name says so."""
    spine = Spine(database, TARGETS)
    await spine.opened()
    with pytest.raises(InvalidInput, match=r"target: 'bb' is not known"):
        await spine.intake.hold("zaak", "bb")
    with pytest.raises(BridgeError, match=r"case: 'zaag' is not known"):
        await spine.intake.hold("zaag", "b")
    assert await spine.count(schema.holds) == 0


async def test_replan_judges_open_cases_by_the_rules_of_today(database: Database) -> None:
    """New rules and targets reach open cases once: a removed target and a refused one are taken back, a new one is lit."""
    async with Spine(database, [board("b"), mail("m"), page("p")]) as spine:
        spine.start()
        await spine.opened("over", text="Al voorbij")
        await spine.settled()
        await spine.opened()
        await spine.ended("over")
        await spine.settled()
        deny = {"name": "no-page", "effect": "deny", "channels": ["facebook"], "reason": {"nl": "nee", "en": "no"}}
        rules = RuleFile.model_validate({"rules": [deny]}).rules + tuple(spine.policy.rules)
        spine.policy = replace(spine.policy, targets=[board("new"), mail("m"), page("p")], rules=rules, digest="2")
        assert await spine.intake.replan() == 1
        assert await spine.intake.replan() == 0
        await spine.settled()
        assert (spine.board.showing("b"), spine.board.showing("new")) == ([], ["Jongen met rode jas"])
        assert spine.page.live("p") == ["ended resolved"], "the outcome of the other case stays"
        assert (await spine.posting("b"))["reason"] == "target_removed"
        assert (await spine.posting("p"))["reason"] == "rule"


async def test_replan_sends_nobody_the_same_message_again(database: Database) -> None:
    """Who got the alert is not mailed because an administrator changed rules that do not concern them."""
    async with Spine(database, [mail("m")]) as spine:
        spine.start()
        await spine.opened()
        await spine.settled()
        spine.policy = replace(spine.policy, digest="2")
        assert await spine.intake.replan() == 1
        await spine.settled()
        assert spine.mail.inbox("m") == ["opened"]


async def test_what_was_forbidden_for_a_while_is_not_mailed_again(database: Database) -> None:
    """Rules that forbid a channel and then allow it again: nobody gets twice what they have, all hear how it ends."""
    async with Spine(database, [mail("m")]) as spine:
        spine.start()
        await spine.opened()
        await spine.settled()
        allowed = spine.policy
        for number, rules in (("2", ()), ("3", allowed.rules)):
            spine.policy = replace(allowed, digest=number, rules=rules)
            assert await spine.intake.replan() == 1
            await spine.settled()
        assert spine.mail.inbox("m") == ["opened"]
        await spine.updated(text="Leeftijd 46")
        await spine.settled()
        await spine.ended()
        await spine.settled()
        assert spine.mail.inbox("m") == ["opened", "updated", "ended"]


@pytest.mark.parametrize(
    "odd",
    [
        {"category": "c" * 9_000},
        {"info": [{"language": "nl" + "-abcdefgh" * 30, "description": "Jongen met rode jas"}]},
        {"info": [{"headline": "é" * 9_000, "description": "Jongen met rode jas"}]},
        {
            "resource": [
                {"uri": "https://photos.example/" + "".join(map(chr, range(161, 8_000))), "mimeType": "image/jpeg"}
            ]
        },
        {"senderName": "\N{GRINNING FACE}" * 2_000},
    ],
    ids=["category", "language", "headline", "photo", "sender"],
)
async def test_a_valid_event_always_fits_the_store(database: Database, odd: dict[str, Any]) -> None:
    """Whatever the contract lets through, however long, is taken in, shown, and ended again."""
    async with Spine(database, [mail("m")]) as spine:
        spine.start()
        assert (await spine.opened(**odd)).verdict is Verdict.APPLIED
        await spine.settled()
        assert (await spine.ended()).verdict is Verdict.APPLIED
        await spine.settled()
        assert spine.mail.inbox("m") == ["opened", "ended"]


async def test_names_may_be_as_long_as_the_contract_says(database: Database) -> None:
    """A case, an id and a source of 255 characters outside ASCII are kept whole."""
    spine = Spine(database, TARGETS)
    name = "\N{GRINNING FACE}" * 255
    assert (await spine.opened(name, id=name, source=name)).verdict is Verdict.APPLIED
    assert (await spine.opened(name, id=name, source=name)).verdict is Verdict.DUPLICATE


@pytest.mark.parametrize("change", [{"category": "drugs"}, {"status": "Exercise"}], ids=["category", "status"])
async def test_the_ending_says_nothing_of_what_was_kept_from_a_reader(
    database: Database, change: dict[str, str]
) -> None:
    """Who got the alert and not the correction hears the outcome of what it was told, and of nothing else (I1, R9)."""
    no_drugs = {
        "name": "no",
        "effect": "deny",
        "categories": ["drugs"],
        "channels": ["email"],
        "reason": {"nl": "nee", "en": "no"},
    }
    targets = [mail("m"), mail("late")]
    rules = {"rules": [no_drugs, *ALLOW_ALL["rules"]]}
    async with Spine(database, targets, rules=rules) as spine:
        spine.mail.fail(refuse(PermanentError("no such mailbox")), target="late")
        spine.start()
        await spine.opened(info=[{"headline": "Vermist: jongen", "description": "Rode jas"}])
        await spine.settled()
        secret = [{"headline": "GEHEIM", "description": "Kerkstraat 5"}]
        await spine.updated(info=secret, senderName="GEHEIM", **change)
        await spine.ended()
        await spine.settled()
        assert spine.mail.inbox("m") == ["opened", "ended"]
        assert spine.mail.inbox("late") == []
        told = [json.loads(row["body"]) for row in await spine.rows(schema.contents)]
        endings = [one for one in told if one["phase"] == "ended"]
        assert {one["subject"] for one in endings if "ended" in one["text"]} >= {"Vermist: jongen"}
        row = await spine.posting("m")
        [sent] = [one for one in await spine.rows(schema.contents) if one["id"] == row["applied_content"]]
        assert "GEHEIM" not in sent["body"]
        assert json.loads(sent["body"])["exercise"] is False


async def test_who_was_asked_to_look_out_hears_the_end_of_a_campaign(database: Database) -> None:
    """An alert that was corrected to a campaign still ends for those it alerted; a case that never was more does not."""
    async with Spine(database, [mail("m")]) as spine:
        spine.start()
        for case, first in (("alert", "missing_child_alert"), ("news", "newsletter")):
            await spine.opened(case, category=first)
            await spine.settled()
            await spine.updated(case, category="campaign", text="Let op")
            await spine.settled()
            await spine.ended(case)
            await spine.settled()
        assert spine.mail.inbox("m") == ["opened", "updated", "ended", "opened", "updated"]


async def test_an_update_that_says_nothing_new_mails_nobody(database: Database) -> None:
    """The same words with another urgency, or with a field nobody knows, are no correction."""
    async with Spine(database, [mail("m")]) as spine:
        spine.start()
        await spine.opened(info=[{"headline": "Vermist", "description": "Rode jas"}])
        await spine.settled()
        await spine.updated(info=[{"headline": "Vermist", "description": "Rode jas", "web": None}], urgency="Expected")
        await spine.settled()
        assert spine.mail.inbox("m") == ["opened"]
