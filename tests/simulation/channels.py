"""The ways from the bridge to boards, a page, mailboxes, outboxes and photos, with everything that can happen on a way.

A request travels: its effect comes later than it was sent, and comes even when the sender was killed meanwhile. Whether,
when, and whether the answer arrives, is for the history's faults to say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bridge.core.content import Content, Photo
from bridge.core.errors import OutcomeUnknown, PermanentError, TransientError
from bridge.core.posting import Capabilities, Observation, Posting, Receipt, Step
from bridge.core.target import Target
from tests.integration.fake_adapters import Unsendable
from tests.simulation.loop import PROCESS
from tests.simulation.world import Shown, World
from tests.unit import samples

INSTANT = 1e-4  # seconds that an answer comes after its effect, at the least
LATE = 8.0  # seconds until a request that seemed lost takes effect after all: more than any timeout here
BOARD = replace(samples.BOARD, max_concurrency=4, timeout=5.0)
PAGE = replace(samples.PAGE, max_concurrency=2, timeout=5.0)
MAIL = replace(samples.MAIL, max_concurrency=4, timeout=5.0)
OUTBOX = replace(samples.OUTBOX, max_concurrency=4, timeout=5.0)


class Channel:
    """What all channels share: the way there and back, with its faults."""

    capabilities: Capabilities

    def __init__(self, world: World) -> None:
        self.world = world

    async def _go(self, step: Step, posting: Posting, act: Callable[[], Any], content: Content | None = None) -> Any:
        """Send a request, let it take effect, and wait for the answer."""
        world, name = self.world, posting.target.id
        what = world.fault(name)
        if what == "late" and step in (Step.UPDATE, Step.RETRACT) and posting.target.channel == "facebook":
            # Not promised: what is done to a post long after its answer failed to come undoes what was done since.
            what = "lost answer"
        world.note(f"{step.value} {posting.case} at {name}{f' v{content.revision}' if content else ''} {what}".rstrip())
        match what:
            case "refused" | "busy":
                await asyncio.sleep(world.lag())
                raise TransientError("not now", retry_after=30 if what == "busy" else None)
            case "way down":
                await asyncio.sleep(world.lag())
                raise TransientError("the way is down", whole_adapter=True)
            case "never" if step in (Step.PUBLISH, Step.UPDATE):
                await asyncio.sleep(world.lag())
                world.given_up.add(name)
                raise PermanentError("never")
            case "crash":
                raise RuntimeError("a bug in an adapter")
        effect = Effect(world, act, what, looks=step is Step.FIND)
        delay = {"slow": 3.0, "late": LATE}.get(what, world.lag())
        if what not in ("lost request", "dies before"):
            world.later(delay, effect)
        if what.startswith("dies") and (process := PROCESS.get()):
            world.dies(process, int(world.chance(40)) if what == "dies at the answer" else 0)
        if what in ("lost request", "lost answer", "late", "hangs"):
            # Past its timeout the dispatcher goes on by itself.
            await asyncio.sleep(60.0 if what == "hangs" else 2.0)
            raise OutcomeUnknown("no answer")
        await asyncio.sleep(delay + INSTANT + world.lag())
        return effect.result()

    async def probe(self, target: Target) -> None:
        """The way is open."""


class Effect:
    """One thing done in the world, once, and what it gave."""

    def __init__(self, world: World, act: Callable[[], Any], what: str, *, looks: bool) -> None:
        self._world = world
        self._act = act
        self._what = what
        self._lie = what == "lie"
        self._looks = looks
        self._result: Any = None

    def __call__(self) -> None:
        """Do it."""
        self._world.fault_now = self._what
        try:
            self._result = self._act()
        except PermanentError as error:
            self._result = error

    def result(self) -> Any:
        """Give the answer, or a false one where it only tells what is there."""
        if isinstance(self._result, PermanentError):
            raise self._result
        if self._lie and isinstance(self._result, Observation):
            return Observation(present=not self._result.present)
        return None if self._lie and self._looks else self._result


class SimBoard(Channel):
    """Boards: what is true now, cleared at ``valid_until``."""

    capabilities = BOARD

    def _put(self, posting: Posting, content: Content) -> Receipt:
        world = self.world
        world.on_effect(posting.target, posting, content)
        until = content.valid_until.timestamp() if content.valid_until else float("inf")
        photo = content.photo.digest if content.photo else ""
        shown = world.boards.setdefault(posting.target.id, {})[posting.id] = Shown(posting, content, until, photo)
        if until > world.clock():
            world.later(until - world.clock(), lambda: world.on_run_out(posting.target.id, shown))
        return Receipt(posting, {"put": "1"})

    async def publish(self, posting: Posting, content: Content) -> Receipt:
        """Light the board."""
        receipt: Receipt = await self._go(Step.PUBLISH, posting, lambda: self._put(posting, content), content)
        return receipt

    async def update(self, receipt: Receipt, content: Content) -> Receipt:
        """Light it with something else."""
        posting = receipt.posting
        after: Receipt = await self._go(Step.UPDATE, posting, lambda: self._put(posting, content), content)
        return after

    async def retract(self, receipt: Receipt) -> None:
        """Put it out."""

        def act() -> None:
            name = receipt.posting.target.id
            if gone := self.world.boards.setdefault(name, {}).pop(receipt.posting.id, None):
                self.world.removed[name] = {receipt.posting.id: gone}

        await self._go(Step.RETRACT, receipt.posting, act)

    async def observe(self, receipt: Receipt) -> Observation:
        """Read it back."""

        def act() -> Observation:
            mine = [
                one for one in self.world.showing(receipt.posting.target.id) if one.posting.id == receipt.posting.id
            ]
            return Observation(True, mine[0].content.revision, mine[0].content.text) if mine else Observation(False)

        seen: Observation = await self._go(Step.OBSERVE, receipt.posting, act)
        return seen

    async def find(self, posting: Posting) -> Receipt | None:
        """Look whether it is there."""
        seen = await self.observe(Receipt(posting))
        return Receipt(posting, {"put": "1"}) if seen.present else None


class SimPage(Channel):
    """A page: every publication is one more post."""

    capabilities = PAGE

    async def publish(self, posting: Posting, content: Content) -> Receipt:
        """Post."""

        def act() -> Receipt:
            world = self.world
            world.on_effect(posting.target, posting, content)
            name = f"post-{len(world.posts)}-{world.loop.time():.3f}"
            photo = content.photo.digest if content.photo else ""
            world.posts[name] = Shown(posting, content, photo=photo)
            if sum(one.posting.id == posting.id for one in world.posts.values()) > 1:
                world.violate(f"I4: {posting.target.id} shows {posting.case} twice")
            return Receipt(posting, {"post": name})

        receipt: Receipt = await self._go(Step.PUBLISH, posting, act, content)
        return receipt

    async def update(self, receipt: Receipt, content: Content) -> Receipt:
        """Edit."""

        def act() -> Receipt:
            name = receipt.handle["post"]
            if name not in self.world.posts:
                raise PermanentError("there is no such post")
            self.world.on_effect(receipt.posting.target, receipt.posting, content)
            self.world.posts[name].content = content
            return receipt

        after: Receipt = await self._go(Step.UPDATE, receipt.posting, act, content)
        return after

    async def retract(self, receipt: Receipt) -> None:
        """Delete."""
        await self._go(
            Step.RETRACT, receipt.posting, lambda: self.world.posts.pop(receipt.handle["post"], None) and None
        )

    async def observe(self, receipt: Receipt) -> Observation:
        """Look at one post."""

        def act() -> Observation:
            post = self.world.posts.get(receipt.handle.get("post", ""))
            return Observation(True, None, post.content.text) if post else Observation(False)

        seen: Observation = await self._go(Step.OBSERVE, receipt.posting, act)
        return seen

    async def find(self, posting: Posting) -> Receipt | None:
        """Look in the feed for the text that was tried."""

        def act() -> Receipt | None:
            wanted = posting.attempted.text if posting.attempted else ""
            names = [name for name, post in self.world.posts.items() if post.posting.target.id == posting.target.id]
            same = [name for name in names if self.world.posts[name].content.text == wanted]
            self.world.happened["found"] += bool(same)
            return Receipt(posting, {"post": same[0]}) if same else None

        found: Receipt | None = await self._go(Step.FIND, posting, act)
        return found


class SimMail(Unsendable, Channel):
    """Mailboxes: what came is there for good."""

    capabilities = MAIL

    async def publish(self, posting: Posting, content: Content) -> Receipt:
        """Send."""
        return await self._send(Step.PUBLISH, posting, content)

    async def update(self, receipt: Receipt, content: Content) -> Receipt:
        """Send in the same thread."""
        return await self._send(Step.UPDATE, receipt.posting, content)

    async def _send(self, step: Step, posting: Posting, content: Content) -> Receipt:
        def act() -> Receipt:
            self.world.on_effect(posting.target, posting, content)
            same = any(one[1] == posting.id and one[2].revision == content.revision for one in self.world.inbox)
            if not (same and self.capabilities.idempotent):
                self.world.inbox.append((posting.target.id, posting.id, content))
            return Receipt(posting, {"thread": posting.id})

        receipt: Receipt = await self._go(step, posting, act, content)
        return receipt


class SimOutbox(SimMail):
    """An admin's outbox: putting the same again changes nothing."""

    capabilities = OUTBOX


class SimPhotos:
    """The host of the photos, which may hang, refuse, or be slow."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def fetch(self, uri: str) -> Photo:
        """Fetch one photo; the bridge does not look into it."""
        how = "" if self._world.healed else self._world.photos
        await asyncio.sleep({"hang": 600.0, "slow": 6.0}.get(how, self._world.lag()))
        if how == "refused":
            raise TransientError("photo: not now")
        if how == "gone":
            raise PermanentError("photo: 404")
        return Photo("ab" * 32, data=uri.encode())
