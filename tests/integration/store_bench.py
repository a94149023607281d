"""A bridge without adapters: the real intake and the real queue of work, whose steps are answered by the test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from bridge.core.content import Phase, Words
from bridge.core.errors import AdapterError
from bridge.core.planning import Policy
from bridge.core.posting import Applied, Observation, Receipt, Step
from bridge.core.retry import Done, Timing
from bridge.core.rules import Rule
from bridge.core.target import Target
from bridge.core.trace import UNTRACED, Tracer
from bridge.intake.accept import AT_A_TIME, Accepted, Intake
from bridge.store import reading
from bridge.store.database import Database
from bridge.store.rows import Finished, Work
from bridge.store.work import Slots, Turn, WorkStore
from tests.unit.samples import BOARD, MAIL, NOW, OUTBOX, PAGE, event, rule, target

ADAPTERS = {"http_sign": BOARD, "facebook": PAGE, "email": MAIL, "outbox": OUTBOX}
BORD, PAGINA, ANS = target("bord"), target("pagina", "facebook"), target("ans", "email", address="ans@example.nl")
BEHEERDER = target("beheerder", "outbox", address="merenwijk-1")
ELSEWHERE = target("ver-weg", location={"lat": 53.2, "lon": 6.5})

Result = Receipt | Observation | AdapterError | None
Answer = Callable[[Work], Result]


class PlainTexts:
    """Templates that say the phase and what the words are."""

    def render(self, channel: str, words: Words) -> tuple[str, str]:
        """Give a text that differs where the words do."""
        told = words.outcome if words.phase is Phase.ENDED else words.description
        return f"{channel} {words.phase.value}: {told}", ""


def succeed(work: Work) -> Result:
    """Answer as a channel that does what it is asked."""
    if work.step is Step.OBSERVE:
        return Observation(work.state.applied is Applied.SHOWN, work.state.applied_revision)
    return None if work.step is Step.RETRACT else Receipt(work.posting, {"id": "1"})


def fail(error: AdapterError, *targets: str) -> Answer:
    """Answer ``error`` for these targets (none: for all), and do the rest."""
    return lambda work: error if not targets or work.posting.target.id in targets else succeed(work)


class Bench:
    """One case after another, on a clock that the test turns."""

    def __init__(
        self,
        database: Database,
        targets: Sequence[Target] = (BORD, PAGINA, ANS, ELSEWHERE),
        tracer: Tracer = UNTRACED,
        *,
        at_a_time: int = AT_A_TIME,
        random: Random | None = None,
    ) -> None:
        self.database = database
        self.now = NOW.timestamp()
        self.targets: Sequence[Target] = targets
        self.rules: Sequence[Rule] = (rule("alles"),)
        self.digest = ""
        self.intake = Intake(
            database,
            lambda: Policy(self.targets, self.rules, ADAPTERS, PlainTexts(), self.digest),
            max_lifetime=timedelta(hours=4),
            photo_wait=0.0,
            tell=True,
            wake=lambda: None,
            clock=lambda: datetime.fromtimestamp(self.now, UTC),
            tracer=tracer,
            at_a_time=at_a_time,
        )
        self._store = WorkStore(
            database,
            ADAPTERS,
            lambda _digest, read: Target.model_validate_json(read()),
            Timing(),
            worker="bench",
            tell=True,
            random=random or Random(1),
            traced=tracer is not UNTRACED,
        )

    async def accept(self, kind: str, case: str = "zaak", **changes: Any) -> Accepted:
        """Take an event in; each is a second after the one before."""
        self.now += 1
        minute = (self.now - NOW.timestamp()) / 60
        return await self.intake.accept(event(kind, minute, name=f"{case}-{self.now}", subject=case, **changes))

    async def plan(self) -> None:
        """Judge the targets that are still to be judged."""
        while await self.intake.plan_more():
            pass

    async def work(self, answer: Answer = succeed) -> int:
        """Run steps until none is due now; give how many ran."""
        finished: list[Finished] = []
        count = 0
        while True:
            slots = [Slots(name, 16, 16) for name in ADAPTERS]
            turn = await self._store.turn(finished, slots, self.now)
            if not turn.work and not finished:
                return count
            count += len(turn.work)
            finished = [Finished(work, self.done(work, answer(work)), 0.01) for work in turn.work]

    async def turn(self, finished: Sequence[Finished], slots: Sequence[Slots]) -> Turn:
        """Take one turn, as a dispatcher does: write results, claim what is due."""
        return await self._store.turn(finished, slots, self.now)

    def done(self, work: Work, result: Result) -> Done:
        """Say what came of a step."""
        return Done(work.step, work.content, work.content_id, work.ending, result)

    async def status(self, case: str | None = "zaak", language: str = "nl") -> list[dict[str, Any]]:
        """Read the status: its cases."""
        found = await self.database.read(lambda connection: reading.status(connection, case, language))
        cases: list[dict[str, Any]] = found["cases"]
        return cases

    async def postings(self, language: str = "nl") -> dict[str, dict[str, Any]]:
        """Read the status of the one case: its postings by target."""
        (case,) = await self.status("zaak", language)
        return {one["target"]: one for one in case["postings"]}

    async def stand(self) -> dict[str, tuple[str, str]]:
        """Give what should be there and what is there, by target."""
        return {name: (one["desired"], one["applied"]) for name, one in (await self.postings()).items()}

    async def gauges(self) -> reading.Gauges:
        """Read the gauges, now."""
        return await self.database.read(lambda connection: reading.gauges(connection, self.now))
