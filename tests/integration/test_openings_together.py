"""Openings that wait at the same time are one transaction, and each fares as it would alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import pytest

from bridge.core.case import Verdict
from bridge.intake.accept import Accepted
from bridge.store import schema
from bridge.store.database import Connection, Database
from tests.integration.spine import BrokenTemplate, Spine, board, event, mail
from tests.integration.spine_store import database_fixture, masters_fixture, store_url  # noqa: F401

TARGETS = [board("b"), board("narrow", columns=4), mail("m")]
T = TypeVar("T")


@pytest.fixture
def writes(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the transactions that write: one entry each."""
    counted: list[int] = []
    write = database.write

    async def counting(change: Callable[[Connection], T], *, ring: bool = False) -> T:
        counted.append(1)
        return await write(change, ring=ring)

    monkeypatch.setattr(database, "write", counting)
    return counted


async def crowd(spine: Spine, *events: tuple[str, str]) -> list[Accepted | BaseException]:
    """Take in openings (case, id) at the same time, with one of another case."""
    spine.clock.now += 1
    came = [event("opened", case, spine.clock.instant(), id=name) for case, name in [("first", "0"), *events]]
    results = await asyncio.gather(*map(spine.intake.accept, came), return_exceptions=True)
    return results[1:]


def verdicts(results: list[Accepted | BaseException]) -> list[Verdict | None]:
    """Give what became of each event."""
    return [one.verdict if isinstance(one, Accepted) else None for one in results]


async def kept(spine: Spine) -> dict[str, tuple[int, int, str]]:
    """Give what the store has of each case: revision, looks at its targets, and who decided on them."""
    rows = await spine.rows(schema.cases)
    decided = {row["id"]: set() for row in rows}
    for row in await spine.rows(schema.decisions):
        decided[row["case_id"]].add(row["target"])
    return {row["id"]: (row["revision"], row["plan"], " ".join(sorted(decided[row["id"]]))) for row in rows}


async def test_those_that_wait_are_one_transaction(database: Database, writes: list[int]) -> None:
    """Twenty-one openings at once are one transaction; each case has all that it has alone."""
    spine = Spine(database, TARGETS, tell=True)
    results = await crowd(spine, *((f"case-{number}", str(number + 1)) for number in range(20)))
    assert verdicts(results) == [Verdict.APPLIED] * 20
    assert len(writes) == 1
    assert set((await kept(spine)).values()) == {(1, 1, "b m narrow")}
    assert await spine.count(schema.events) == 21
    assert await spine.count(schema.postings) == 42
    assert await spine.count(schema.notices) == 21  # the narrow board, refused


async def test_very_many_targets_are_not_judged_in_one_transaction(database: Database, writes: list[int]) -> None:
    """Where one opening has as many targets as a transaction judges, each has a transaction of its own."""
    spine = Spine(database, [mail(f"m{number}") for number in range(200)])
    assert verdicts(await crowd(spine, ("a", "1"), ("b", "2"), ("c", "3"))) == [Verdict.APPLIED] * 3
    assert len(writes) == 4


async def test_what_is_known_is_found_in_a_crowd(database: Database) -> None:
    """A known event, a second one of its case, and one that another case had: each gets the verdict it gets alone."""
    spine = Spine(database, TARGETS)
    await spine.opened("known", id="1")
    results = await crowd(
        spine,
        ("known", "1"),
        ("new", "2"),
        ("new", "2"),
        ("new", "3"),
        ("stolen", "1"),
        ("robbed", "2"),
        ("stolen", "4"),
    )
    duplicate, applied = Verdict.DUPLICATE, Verdict.APPLIED
    assert verdicts(results)[:3] == [duplicate, applied, duplicate]
    assert verdicts(results)[4:] == [duplicate, duplicate, applied]
    assert {name: one[0] for name, one in (await kept(spine)).items()} == {
        "known": 1,
        "first": 1,
        "new": 1,
        "stolen": 1,
    }
    assert sorted(row["id"] for row in await spine.rows(schema.events)) == ["0", "1", "2", "3", "4"]


async def test_a_case_of_others_events_only_is_not_made(database: Database) -> None:
    """Events that came before for another case leave no empty case behind, in a crowd as alone."""
    spine = Spine(database, TARGETS)
    await spine.opened("known", id="1")
    results = await crowd(spine, ("ghost", "1"), ("phantom", "1"))
    assert verdicts(results) == [Verdict.DUPLICATE] * 2
    assert set(await kept(spine)) == {"known", "first"}


async def test_one_that_fails_takes_no_other_with_it(database: Database) -> None:
    """A fault at one opening of a crowd undoes that one alone; the others are kept whole, and each once."""
    spine = Spine(database, TARGETS)
    render = spine.words.render

    def broken(channel: str, words: object) -> tuple[str, str]:
        if getattr(words, "case", "") == "bad":
            raise BrokenTemplate
        return render(channel, words)  # type: ignore[arg-type]

    spine.words.render = broken  # type: ignore[assignment]
    results = await crowd(spine, ("a", "1"), ("bad", "2"), ("c", "3"))
    assert verdicts(results) == [Verdict.APPLIED, None, Verdict.APPLIED]
    assert isinstance(results[1], BrokenTemplate)
    assert set(await kept(spine)) == {"first", "a", "c"}
    assert await spine.count(schema.events) == 3
    assert await spine.count(schema.decisions) == 9


async def test_an_ending_does_not_wait_for_a_crowd(database: Database) -> None:
    """An ending beside many openings ends its case; an opening of an ended case finds it so."""
    spine = Spine(database, TARGETS)
    await spine.opened("old", id="1")
    spine.clock.now += 1
    ending = event("ended", "old", spine.clock.instant(), id="2")
    openings = [event("opened", f"case-{n}", spine.clock.instant(), id=f"o{n}") for n in range(5)]
    results = await asyncio.gather(*map(spine.intake.accept, [*openings, ending]))
    assert [one.verdict for one in results] == [Verdict.APPLIED] * 6
    assert (await spine.case("old"))["standing"] == "ended"
    late = event("opened", "old", spine.clock.instant(), id="3")
    assert (await spine.intake.accept(late)).verdict in (Verdict.ENDED_ALREADY, Verdict.SUPERSEDED)
