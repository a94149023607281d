"""What the store tells of itself: status and gauges, on SQLite and on PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event as engine_events
from sqlalchemy import insert

from bridge.core.errors import OutcomeUnknown, PermanentError, TransientError
from bridge.store import alarms, reading, schema
from bridge.store.database import Connection, Database
from tests.integration.store_bench import ANS, BORD, PAGINA, Bench, fail
from tests.integration.store_fixtures import fresh_database, store_url  # noqa: F401
from tests.unit.samples import alert_data, rule

DOWN = TransientError("het bord antwoordt niet")


@pytest.fixture
def bench(database: Database) -> Bench:
    """Give a bridge without adapters, on either database."""
    return Bench(database)


async def test_a_new_case_is_told_in_the_shape_of_the_contract(bench: Bench) -> None:
    """The status of an open case has every key of design 3.5, and says what should be there and is not yet."""
    await bench.accept("opened")
    (case,) = await bench.status()
    assert {key: case[key] for key in ("case", "state", "revision", "category", "outcome")} == {
        "case": "zaak",
        "state": "open",
        "revision": 1,
        "category": "missing_child_alert",
        "outcome": None,
    }
    assert [one["target"] for one in case["postings"]] == ["ans", "bord", "pagina", "ver-weg"]
    board = case["postings"][1]
    assert {key: board[key] for key in ("channel", "desired", "applied", "revision", "attempts", "error")} == {
        "channel": "sign",
        "desired": "shown",
        "applied": "none",
        "revision": 0,
        "attempts": 0,
        "error": None,
    }
    assert (board["reason"], board["reason_code"], board["rule"]) == ("nl alles", "allowed", "alles")
    assert not board["settled"]
    assert board["due"].startswith("2026-11-22T09:15:01")
    assert (case["opened"][:19], case["expired"], case["truncated"]) == ("2026-11-22T09:15:01", False, False)


async def test_a_target_that_was_kept_out_is_refused_with_the_reason(bench: Bench) -> None:
    """A target outside the area has no posting, and yet is listed, with the reason in the reader's language."""
    await bench.accept("opened")
    refused = (await bench.postings())["ver-weg"]
    assert (refused["desired"], refused["applied"], refused["settled"]) == ("refused", "none", True)
    assert (refused["reason"], refused["reason_code"]) == ("ligt buiten het gebied van de melding", "area")
    assert (await bench.postings("en"))["ver-weg"]["reason"] == "lies outside the alert's area"


async def test_a_reason_is_that_of_its_day(bench: Bench) -> None:
    """The words of a decision outlive the rule that gave them."""
    bench.rules = (rule("alles"), rule("geen-post", "deny", channels=["facebook"]))
    await bench.accept("opened")
    bench.rules = ()
    page = (await bench.postings())["pagina"]
    assert (page["desired"], page["reason"], page["rule"]) == ("refused", "nl geen-post", "geen-post")


async def test_a_correction_shows_as_an_older_revision_until_it_is_there(bench: Bench) -> None:
    """A posting's revision is the one that is there, so an outdated board can be told from a corrected one."""
    await bench.accept("opened")
    await bench.work()
    await bench.accept("updated", data=alert_data(info=[{"language": "nl", "description": "Hij is 9 jaar."}]))
    before = await bench.postings()
    assert [(before[name]["applied"], before[name]["revision"]) for name in ("bord", "ans")] == [
        ("shown", 1),
        ("none", 1),  # the message that should be there has not been handed over
    ]
    await bench.work()
    after = await bench.postings()
    assert [(after[name]["applied"], after[name]["revision"]) for name in ("bord", "ans")] == [("shown", 2)] * 2
    assert all(one["settled"] for one in after.values())


async def test_an_ending_is_shown_where_it_is_told_and_gone_where_it_is_not(bench: Bench) -> None:
    """A board goes dark, a post and a message tell the outcome, and a message counts once the outcome went out."""
    await bench.accept("opened")
    await bench.work()
    await bench.accept("ended")
    assert await bench.stand() == {
        "ans": ("shown", "none"),
        "bord": ("gone", "shown"),
        "pagina": ("shown", "shown"),
        "ver-weg": ("refused", "none"),
    }
    await bench.work()
    (case,) = await bench.status()
    assert (case["state"], case["outcome"], case["revision"]) == ("ended", "resolved", 2)
    assert await bench.stand() == {
        "ans": ("shown", "shown"),
        "bord": ("gone", "gone"),
        "pagina": ("shown", "shown"),
        "ver-weg": ("refused", "none"),
    }
    postings = await bench.postings("en")
    assert (postings["bord"]["reason"], postings["ans"]["reason_code"]) == ("the case has ended", "ended")


async def test_an_ending_that_nobody_needs_to_hear_reads_gone(bench: Bench) -> None:
    """Who never got the alert is owed no outcome: nothing should be there, and nothing is."""
    await bench.accept("opened")
    await bench.accept("ended")
    await bench.work()
    assert {name: stand for name, stand in (await bench.stand()).items() if name != "ver-weg"} == {
        "ans": ("gone", "none"),
        "bord": ("gone", "none"),
        "pagina": ("gone", "none"),
    }


async def test_an_expired_case_is_ended_without_an_outcome(bench: Bench) -> None:
    """Expiry ends a case in the eyes of its readers; no outcome is invented, and what was mailed stays mailed."""
    await bench.accept("opened")
    await bench.work()
    bench.now += 5 * 3600
    assert await bench.intake.expire() == 1
    await bench.work()
    (case,) = await bench.status()
    assert (case["state"], case["outcome"], case["expired"]) == ("ended", None, True)
    stand = await bench.stand()
    assert (stand["bord"], stand["ans"]) == (("gone", "gone"), ("shown", "shown"))
    assert (await bench.postings())["bord"]["reason"] == "de geldigheid is verstreken"
    assert (await bench.gauges()).outcome_wanted == 1


async def test_a_mail_only_case_stays_as_it_was_sent(bench: Bench) -> None:
    """A case that gets no afloop mail (R16) owes its readers nothing more once it ended."""
    bench.targets = (ANS,)
    await bench.accept("opened", data=alert_data(category="witness_appeal"))
    await bench.work()
    await bench.accept("ended")
    await bench.work()
    mail = (await bench.postings())["ans"]
    assert (mail["desired"], mail["applied"], mail["settled"]) == ("shown", "shown", True)


async def test_a_posting_that_an_operator_took_away_says_so(bench: Bench) -> None:
    """An operator's word is the reason, not the rule that once allowed it."""
    await bench.accept("opened")
    await bench.work()
    await bench.intake.hold("zaak", "bord")
    board = (await bench.postings())["bord"]
    assert (board["desired"], board["applied"], board["settled"]) == ("gone", "shown", False)
    assert (board["reason"], board["rule"]) == ("weggehaald door een operator", "")


async def test_a_target_that_left_the_list_is_refused_until_its_board_is_dark(bench: Bench) -> None:
    """Removing a target takes back what is there, under its own reason."""
    await bench.accept("opened")
    await bench.work()
    bench.targets, bench.digest = (ANS, PAGINA), "other"
    assert await bench.intake.replan() == 1
    board = (await bench.postings())["bord"]
    assert (board["desired"], board["applied"], board["reason_code"]) == ("refused", "shown", "target_removed")
    await bench.work()
    assert (await bench.stand())["bord"] == ("refused", "gone")


async def test_a_correction_that_a_rule_forbids_is_refused_with_that_rules_reason(bench: Bench) -> None:
    """What was allowed and no longer is carries the reason of the latest decision."""
    await bench.accept("opened")
    await bench.work()
    bench.rules = (rule("alles"), rule("geen-bord", "deny", channels=["sign"]))
    await bench.accept("updated", data=alert_data(info=[{"language": "nl", "description": "Hij is 9 jaar."}]))
    board = (await bench.postings())["bord"]
    assert (board["desired"], board["applied"], board["reason"]) == ("refused", "shown", "nl geen-bord")


async def test_failures_and_doubts_are_told(bench: Bench) -> None:
    """A failing target shows its error and how often; an answer that never came shows as unknown."""
    await bench.accept("opened")
    await bench.work(fail(DOWN, "bord"))
    bench.now += 100
    await bench.work(fail(DOWN, "bord"))
    board = (await bench.postings())["bord"]
    assert (board["applied"], board["attempts"], board["error"]) == ("none", 2, "het bord antwoordt niet")
    await bench.accept("updated", data=alert_data(info=[{"language": "nl", "description": "Hij is 9 jaar."}]))
    await bench.work(fail(OutcomeUnknown("geen antwoord"), "ans"))
    mail = (await bench.postings())["ans"]
    assert (mail["desired"], mail["applied"], mail["error"]) == ("shown", "unknown", "geen antwoord")


async def test_without_a_case_the_newest_come_first_and_lists_are_bounded(database: Database) -> None:
    """The overview starts with what changed last and never gives more than its bounds."""
    count = reading.MOST_POSTINGS + 1

    def fill(connection: Connection) -> None:
        cases = [{"id": f"zaak-{n}", "standing": "open", "plan": 1, "changed": n} for n in range(60)]
        postings = [
            {"id": f"p{n:03}", "case_id": "zaak-59", "target": f"t{n:03}", "desired": "shown", "applied": "none"}
            for n in range(count)
        ]
        connection.execute(insert(schema.cases), cases)
        connection.execute(insert(schema.postings), postings)

    await database.write(fill)
    bench = Bench(database)
    found = await bench.status(None)
    assert [case["case"] for case in found] == [f"zaak-{n}" for n in range(59, 9, -1)]
    assert (len(found[0]["postings"]), found[0]["truncated"], found[1]["truncated"]) == (count - 1, True, False)
    (whole,) = await bench.status("zaak-59")
    assert (len(whole["postings"]), whole["truncated"]) == (count, False)


async def test_an_unknown_case_gives_no_case(bench: Bench) -> None:
    """Asking for what never was is not an error here."""
    assert await bench.status("nooit") == []


async def test_gauges_count_by_channel_and_state(bench: Bench) -> None:
    """Every posting of an open case is counted once, under the word for how it stands."""
    await bench.accept("opened")
    before = await bench.gauges()
    assert before.postings == {(name, "pending"): 1 for name in ("sign", "facebook", "email")}
    assert before.due == {"sign": 1, "facebook": 1, "email": 1}

    def answer(work: Any) -> Any:
        errors = {"sign": OutcomeUnknown("stilte"), "facebook": PermanentError("nee")}
        return errors.get(work.channel) or fail(DOWN, "niemand")(work)

    await bench.work(answer)
    after = await bench.gauges()
    assert after.postings == {("sign", "unknown"): 1, ("facebook", "failed"): 1, ("email", "shown"): 1}
    assert not any(after.due.values())
    assert after.notices > 0


async def test_history_is_not_counted_but_what_is_unsettled_is(bench: Bench) -> None:
    """A case that ended leaves the gauges, except for what has still to be taken back."""
    await bench.accept("opened", "oud")
    await bench.work()
    await bench.accept("ended", "oud")
    await bench.work()
    bench.now += 600
    await bench.work()  # the last looks at the dark board
    bench.now += 600
    await bench.work()
    assert (await bench.gauges()).postings == {}
    await bench.accept("opened")
    await bench.work()
    await bench.accept("ended")
    await bench.work(fail(DOWN, "bord"))
    assert (await bench.gauges()).postings == {("sign", "retracting"): 1}


async def test_the_oldest_retraction_that_is_overdue_is_found(bench: Bench) -> None:
    """What should be gone and is not, or may not be, is told with its age; a message cannot be and is not."""
    bench.targets = (BORD, ANS)
    await bench.accept("opened")
    await bench.accept("opened", "tweede")
    await bench.work()
    assert (await bench.gauges()).oldest_left_behind is None
    await bench.intake.hold("zaak", "ans")
    bench.now += 30
    await bench.accept("ended", "tweede")
    await bench.work(fail(DOWN, "bord"))
    bench.now += 12
    await bench.accept("ended")
    left = (await bench.gauges()).oldest_left_behind
    assert left is not None
    assert (left.case, left.target, left.channel) == ("tweede", "bord", "sign")
    assert left.seconds == pytest.approx(13)
    bench.now += 60
    await bench.work()
    assert (await bench.gauges()).oldest_left_behind is None


async def test_what_is_late_is_told_by_channel(bench: Bench) -> None:
    """Work that waits is late after ten seconds, counted from when it was wanted, until it is done or given up."""
    bench.targets = (BORD, ANS)
    await bench.accept("opened")
    await bench.work(fail(DOWN, "bord"))
    assert (await bench.gauges()).late == []
    bench.now += 15
    assert [(one.channel, one.state, one.seconds) for one in (await bench.gauges()).late] == [("sign", "pending", 15)]
    await bench.work()
    await bench.accept("ended")
    await bench.work(fail(DOWN, "bord"))
    bench.now += 3600
    [late] = (await bench.gauges()).late
    assert (late.channel, late.state, late.postings, late.seconds) == ("sign", "retracting", 1, 3600)
    await bench.work()
    assert (await bench.gauges()).late == []


async def test_gauges_follow_an_index_past_the_history(database: Database) -> None:
    """No query of the gauges reads all postings or all cases, whatever the history."""
    bench = Bench(database)
    await bench.accept("opened")
    asked: list[tuple[str, Any]] = []

    def look(connection: Connection) -> list[str]:
        def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
            asked.append((statement, parameters))

        engine_events.listen(connection, "before_cursor_execute", note)
        reading.gauges(connection, bench.now)
        reading.status(connection)
        alarms.overdue(connection, bench.now, 60, 60)
        engine_events.remove(connection, "before_cursor_execute", note)
        if not database.is_sqlite:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # these tables are small
        explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
        return [
            str(row[-1])
            for statement, parameters in asked
            if not any(f"FROM {short}" in statement for short in ("notices", "workers", "alarms"))
            for row in connection.exec_driver_sql(explain + statement, parameters)
        ]

    plan = await database.read(look)
    scans = [line for line in plan if line.strip(" ->").upper().startswith(("SCAN", "SEQ SCAN"))]
    assert [line for line in scans if "INDEX ix_" not in line] == []
    text = "\n".join(plan)
    for index in ("cases_standing_expires", "postings_case_id_target", "postings_left_behind", "postings_on_a_board", "cases_changed"):
        assert f"ix_{index}" in text
