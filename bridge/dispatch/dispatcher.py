"""Closes the difference between what should be there and what is there. The whole loop is on this page.

Each turn is one transaction that writes what came of finished steps and claims as many due postings as there are free
slots, endings first. A slot is free again only with the commit that makes its result durable, so a kill leaves at most
the steps in flight in doubt.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Container, Mapping
from contextlib import suppress
from random import Random

import structlog

from bridge.core.content import Content
from bridge.core.errors import AdapterError, OutcomeUnknown, PermanentError, StoreUnavailable, TransientError
from bridge.core.ports import Adapter
from bridge.core.posting import Observation, Receipt, Step
from bridge.core.retry import Breaker, Done, Timing, is_news
from bridge.core.trace import UNTRACED, Tracer, trace_words
from bridge.dispatch.spans import in_trace, step_span, tell
from bridge.store.rows import Finished, Work
from bridge.store.work import Slots, WorkStore

GAP = 0.01  # seconds from a turn that found nothing to the next one
GATHER = 0.005  # seconds that a finished step waits at most for others: a turn costs as much as some steps
POLL = 0.25  # seconds between looks when nobody wakes us: retries come due, another process wrote

STEP_BACK = 5.0  # seconds; a smaller step is what a clock does to stay right
CROWD = 4  # steps in flight at an adapter, and half of what it can take, from which other work waits
MOMENT = 1.0  # seconds that a crowd is remembered

log = structlog.get_logger()


class Dispatcher:
    """Runs steps of many postings at a time, one at a time for each target."""

    def __init__(
        self,
        store: WorkStore,
        adapters: Mapping[str, Adapter],
        timing: Timing,
        *,
        on_step: Callable[[Work, Finished], None],
        random: Random,
        clock: Callable[[], float] = time.time,
        poll: float = POLL,
        tracer: Tracer = UNTRACED,
    ) -> None:
        self._store = store
        self._adapters = adapters
        self._timing = timing
        self._on_step = on_step
        self._random = random
        self._clock = clock
        self._poll = poll
        self._tracer = tracer
        self._wake = asyncio.Event()
        self._flying: dict[str, Work] = {}
        self._finished: list[Finished] = []
        self._gathering: asyncio.TimerHandle | None = None  # looks when it runs out
        self._breakers = {name: Breaker() for name in adapters}
        self._latest = 0.0  # the time at the turn before
        self._crowded_at = -math.inf
        self._turned = 0.0  # when, by the loop's clock
        self._tells_all = log.is_enabled_for(logging.DEBUG)
        self._idle = False  # the latest turn found nothing to do
        self._stopping = False
        self._ended = asyncio.Event()
        self.not_ready: str | None = "has not looked at its postings yet"
        self.last_turn = time.monotonic()

    @property
    def busy(self) -> bool:
        """Whether many steps were under way a moment ago, so that what can wait should."""
        return asyncio.get_running_loop().time() - self._crowded_at < MOMENT

    def wake(self) -> None:
        """Look now: an event changed something, or a step ended."""
        self._wake.set()

    async def stop(self) -> None:
        """Start no more steps, and wait until those in flight have ended and are written down."""
        self._stopping = True
        self._wake.set()
        await self._ended.wait()

    async def run(self) -> None:
        """Turn after turn, until stopped."""
        async with asyncio.TaskGroup() as steps:
            while not self._stopping or self._flying:
                self._wake.clear()
                self.last_turn, self._turned = time.monotonic(), asyncio.get_running_loop().time()
                try:
                    more = await self._turn(steps)
                except StoreUnavailable as error:
                    self.not_ready, more = str(error), False
                    log.warning("the store does not answer; trying again", error=str(error))
                if not more:
                    await self._sleep()
        self._ended.set()

    async def _turn(self, steps: asyncio.TaskGroup) -> bool:
        await self._watch_clock()
        finished = self._finished[:]
        slots = [] if self._stopping else self._free_slots({one.work.posting.id for one in finished})
        turn = await self._store.turn(finished, slots, self._clock())
        del self._finished[: len(finished)]
        for one in finished:
            del self._flying[one.work.posting.id]
        for work in turn.work:
            self._flying[work.posting.id] = work
            steps.create_task(self._step(work))
        self.not_ready = None
        if self._is_crowded():
            self._crowded_at = self._turned
        self._idle = not (turn.work or finished)
        return turn.more or self._has_gathered

    @property
    def _has_gathered(self) -> bool:
        """Whether half of what is under way has ended."""
        return 2 * len(self._finished) >= max(1, len(self._flying))

    def _gather(self) -> None:
        """Write results down together: at once when there are enough of them, and soon when there are not."""
        if self._has_gathered:
            self._wake.set()
        elif self._gathering is None:
            self._gathering = asyncio.get_running_loop().call_later(GATHER, self._look)

    def _look(self) -> None:
        self._gathering = None
        self._wake.set()

    def _is_crowded(self) -> bool:
        flying = Counter(work.posting.target.adapter for work in self._flying.values())
        return any(
            count >= max(CROWD, self._adapters[name].capabilities.max_concurrency // 2)
            for name, count in flying.items()
        )

    async def _watch_clock(self) -> None:
        """After the clock was set back, retries and breakers must not wait for the time that was taken away."""
        now, back = self._clock(), self._latest - self._clock()
        if not self._latest:  # who ran here before may have died with a clock that was ahead
            ahead = await self._store.clock_was_ahead(now)
            await self._store.clock_went_back(ahead if ahead > STEP_BACK else 0.0, now)
        if back > STEP_BACK:
            await self._store.clock_went_back(back, now)
            for breaker in self._breakers.values():
                breaker.closed_until -= back
            log.warning("the clock was set back", seconds=round(back))
        self._latest = now

    async def _sleep(self) -> None:
        """Wait until there may be something to do; a storm of events must not make us look after every one of them."""
        # Not wait_for: before Python 3.12 it swallows a cancellation that comes together with the wake-up.
        with suppress(TimeoutError):
            async with asyncio.timeout(self._poll):
                await self._wake.wait()
        if self._idle and (early := self._turned + GAP - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(early)

    def _free_slots(self, ended: Container[str]) -> list[Slots]:
        """Offer each adapter's free slots; a few stay free for endings and retractions, always."""
        offers = []
        busy: dict[str, list[str]] = {name: [] for name in self._adapters}
        for name, work in self._flying.items():
            if name not in ended:
                busy[work.posting.target.adapter].append(work.posting.target.id)
        for name, adapter in self._adapters.items():
            flying, most = busy[name], adapter.capabilities.max_concurrency
            free = self._breakers[name].slots(most - len(flying), len(flying), self._clock())
            if free > 0:
                kept = most // 4 if flying or free > 1 else 0  # a lone first step tries the way for all
                offers.append(Slots(name, free, free - kept, frozenset(flying)))
        return offers

    async def _step(self, work: Work) -> None:
        """Run one step, whatever comes of it."""
        with step_span(self._tracer, work) as span:
            finished = await self._run(in_trace(work, span.trace))
            tell(span, finished)
        self._note(finished.work, finished)
        self._finished.append(finished)
        self._gather()

    async def _run(self, work: Work) -> Finished:
        started = time.perf_counter()
        adapter = self._adapters[work.posting.target.adapter]
        result: Receipt | Observation | AdapterError | None
        try:
            async with asyncio.timeout(adapter.capabilities.timeout):
                result = await self._perform(adapter, work)
        except AdapterError as error:
            result = error
        except TimeoutError:
            result = OutcomeUnknown(f"no answer within {adapter.capabilities.timeout:g} s")
        except Exception as error:  # noqa: BLE001 - the named boundary: a bug in an adapter must not stop the others
            result = OutcomeUnknown(f"a fault in the adapter ({type(error).__name__})")
        done = Done(work.step, work.content, work.content_id, work.ending, result, work.since)
        return Finished(work, done, time.perf_counter() - started)

    async def _perform(self, adapter: Adapter, work: Work) -> Receipt | Observation | None:
        """Ask the adapter for the one step."""
        if self._clock() + adapter.capabilities.timeout > work.lease:
            # The turn that claimed it waited for others. Nobody may take over what is still being sent.
            raise TransientError("the step came too late: too little of its lease is left")
        match work.step:
            case Step.PUBLISH:
                if work.shared.handle is not None:  # the board shows another case already: they go on together
                    return _receipt(await adapter.update(work.receipt, _content(work)))
                return _receipt(await adapter.publish(work.posting, _content(work)))
            case Step.UPDATE:
                return _receipt(await adapter.update(work.receipt, _content(work)))
            case Step.OBSERVE:
                return await adapter.observe(work.receipt)
            case Step.FIND:
                return await adapter.find(work.posting)
            case Step.RETRACT if work.shared.rest:
                return _receipt(await adapter.update(work.receipt, work.shared.rest))
            case Step.RETRACT:
                await adapter.retract(work.receipt)
                return None

    def _note(self, work: Work, finished: Finished) -> None:
        error = finished.done.result if isinstance(finished.done.result, AdapterError) else None
        breaker = self._breakers[work.posting.target.adapter]
        breaker.record(error, self._timing, self._clock(), self._random.random())
        self._on_step(work, finished)
        attempts = work.state.attempts + 1
        if error:
            # The 1st, 2nd, 4th, 8th … failure: 10,000 dead boards must not fill a disk. The journal has them all.
            quiet = not is_news(attempts)
            level = log.debug if quiet else log.error if isinstance(error, PermanentError) else log.warning
            level("step failed", step=work.step.value, error=str(error), attempts=attempts, **_words(work))
        elif finished.is_drift:
            log.warning("a board is not as it was left", attempts=attempts, **_words(work))
        elif self._tells_all:
            log.debug("step done", step=work.step.value, seconds=round(finished.seconds, 4), **_words(work))


def _words(work: Work) -> dict[str, str]:
    posting = work.posting
    return {
        "case": posting.case,
        "posting": posting.id,
        "target": posting.target.id,
        **trace_words(posting.trace),
    }


def _content(work: Work) -> Content:
    if work.content is None:
        raise PermanentError("there is nothing to show")
    return work.content


def _receipt(given: object) -> Receipt:
    """Take no adapter's silence for a success: without a receipt nobody could take back what is out there."""
    if not isinstance(given, Receipt):
        raise OutcomeUnknown(f"a fault in the adapter (it gave no receipt, but {type(given).__name__})")
    return given
