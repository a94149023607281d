"""Channels in memory that keep the adapter's Protocol: a board, a page and a mailbox, whose faults a test scripts.

They outlive dispatchers, as the world does: what a killed dispatcher put there is still there. Every step pauses before
and after its effect, so that a kill can come at either side of it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bridge.core.content import Content
from bridge.core.errors import OutcomeUnknown, PermanentError
from bridge.core.posting import Capabilities, Kind, Observation, Posting, Receipt, Step
from bridge.core.target import Target

T = TypeVar("T")
Fault = Callable[[Callable[[], Any]], Awaitable[Any]]


def refuse(error: Exception) -> Fault:
    """Do nothing, and answer ``error``."""

    async def fault(act: Callable[[], Any]) -> Any:
        raise error

    return fault


async def lose_answer(act: Callable[[], Any]) -> Any:
    """Do what is asked, and break off instead of answering."""
    act()
    raise OutcomeUnknown("the connection broke while waiting for the answer")


async def lose_request(act: Callable[[], Any]) -> Any:
    """Do nothing, in a way that cannot be told from a lost answer."""
    raise OutcomeUnknown("the connection broke while waiting for the answer")


def wait_for(gate: asyncio.Event) -> Fault:
    """Do what is asked once the gate opens."""

    async def fault(act: Callable[[], Any]) -> Any:
        await gate.wait()
        return act()

    return fault


def act_and_wait_for(gate: asyncio.Event) -> Fault:
    """Do what is asked at once, and answer when the gate opens."""

    async def fault(act: Callable[[], Any]) -> Any:
        result = act()
        await gate.wait()
        return result

    return fault


@dataclass
class Script:
    """What goes wrong: at which step and target (``None``: any), how many more times."""

    fault: Fault
    step: Step | None
    target: str | None
    times: float

    def meets(self, step: Step, target: str) -> bool:
        """Whether this fault happens now."""
        return self.times > 0 and self.step in (None, step) and self.target in (None, target)


@dataclass(frozen=True)
class Call:
    """One step that a dispatcher asked for."""

    step: Step
    target: str
    posting: str
    text: str


@dataclass
class Load:
    """How many steps ran at the same moment, at most: in all, on one target, on one posting."""

    now: int = 0
    most: int = 0
    flying: Counter[str] = field(default_factory=Counter)
    most_per_target: int = 0
    most_per_posting: int = 0

    def enter(self, posting: Posting) -> None:
        """A step starts."""
        self.now += 1
        self.flying[posting.id] += 1
        self.flying[f"target {posting.target.id}"] += 1
        self.most = max(self.most, self.now)
        self.most_per_posting = max(self.most_per_posting, self.flying[posting.id])
        self.most_per_target = max(self.most_per_target, self.flying[f"target {posting.target.id}"])

    def leave(self, posting: Posting) -> None:
        """A step ends, however it ends."""
        self.now -= 1
        self.flying[posting.id] -= 1
        self.flying[f"target {posting.target.id}"] -= 1


class Fake:
    """What all channels share: the script of faults and the record of what was asked."""

    def __init__(self, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self.calls: list[Call] = []
        self.load = Load()
        self._scripts: list[Script] = []

    def fail(
        self, fault: Fault, *, step: Step | None = None, target: str | None = None, times: float = float("inf")
    ) -> None:
        """Let this fault happen from now on; the fault that was scripted first goes first."""
        self._scripts.append(Script(fault, step, target, times))

    def heal(self) -> None:
        """Forget all faults that have not happened yet."""
        self._scripts.clear()

    def steps(self, step: Step, target: str | None = None) -> list[Call]:
        """List the calls of one sort, oldest first."""
        return [call for call in self.calls if call.step is step and target in (None, call.target)]

    async def _do(self, step: Step, posting: Posting, text: str, act: Callable[[], T]) -> T:
        self.calls.append(Call(step, posting.target.id, posting.id, text))
        self.load.enter(posting)
        try:
            await asyncio.sleep(0)
            script = next((one for one in self._scripts if one.meets(step, posting.target.id)), None)
            if script:
                script.times -= 1
            result: T = await script.fault(act) if script else act()
            await asyncio.sleep(0)
            return result
        finally:
            self.load.leave(posting)

    async def probe(self, target: Target) -> None:
        """The way is always open."""


class FakeBoard(Fake):
    """Shows what is true now (``Kind.STATE``), photo included; putting the same again is harmless."""

    def __init__(self, max_concurrency: int = 16, timeout: float = 5.0) -> None:
        super().__init__(
            Capabilities(
                kind=Kind.STATE,
                channels=frozenset({"sign"}),
                board=True,
                can_observe=True,
                can_find=True,
                idempotent=True,
                photo=True,
                leased=True,
                max_concurrency=max_concurrency,
                timeout=timeout,
            )
        )
        self.shown: dict[str, tuple[str, Content]] = {}
        self.history: list[tuple[str, str]] = []  # (target, what it showed from then on)

    def showing(self, target: str) -> list[str]:
        """Give the texts that a target shows now."""
        return [content.text for name, content in self.shown.values() if name == target]

    async def publish(self, posting: Posting, content: Content) -> Receipt:
        """Light the board."""

        def act() -> Receipt:
            self.shown[posting.id] = (posting.target.id, content)
            self.history.append((posting.target.id, content.text))
            return Receipt(posting)

        return await self._do(Step.PUBLISH, posting, content.text, act)

    async def update(self, receipt: Receipt, content: Content) -> Receipt:
        """Light the board with something else."""

        def act() -> Receipt:
            self.shown[receipt.posting.id] = (receipt.posting.target.id, content)
            self.history.append((receipt.posting.target.id, content.text))
            return receipt

        return await self._do(Step.UPDATE, receipt.posting, content.text, act)

    async def retract(self, receipt: Receipt) -> None:
        """Put the board out; dark already is fine."""

        def act() -> None:
            self.shown.pop(receipt.posting.id, None)
            self.history.append((receipt.posting.target.id, ""))

        await self._do(Step.RETRACT, receipt.posting, "", act)

    async def observe(self, receipt: Receipt) -> Observation:
        """Look at the board."""

        def act() -> Observation:
            seen = self.shown.get(receipt.posting.id)
            return Observation(True, seen[1].revision, seen[1].text) if seen else Observation(False)

        return await self._do(Step.OBSERVE, receipt.posting, "", act)

    async def find(self, posting: Posting) -> Receipt | None:
        """Look whether the posting is on the board."""
        return await self._do(Step.FIND, posting, "", lambda: Receipt(posting) if posting.id in self.shown else None)


@dataclass
class Post:
    """One post on a page."""

    posting: str
    target: str
    text: str
    photo: str
    live: bool = True


class FakePage(Fake):
    """A page of posts (``Kind.POST``) without idempotency: publishing twice is posting twice."""

    def __init__(self, max_concurrency: int = 4, timeout: float = 5.0) -> None:
        super().__init__(
            Capabilities(
                kind=Kind.POST,
                channels=frozenset({"facebook"}),
                can_find=True,
                photo=True,
                edits_photo=False,
                max_concurrency=max_concurrency,
                timeout=timeout,
            )
        )
        self.posts: list[Post] = []
        self.most_live = 0  # posts of one posting that were live at the same moment, at most

    def live(self, target: str) -> list[str]:
        """Give the texts of a page's posts, oldest first."""
        return [post.text for post in self.posts if post.live and post.target == target]

    async def publish(self, posting: Posting, content: Content) -> Receipt:
        """Make a new post, whatever is there already."""

        def act() -> Receipt:
            photo = content.photo.digest if content.photo else ""
            self.posts.append(Post(posting.id, posting.target.id, content.text, photo))
            mine = sum(post.live and post.posting == posting.id for post in self.posts)
            self.most_live = max(self.most_live, mine)
            return Receipt(posting, {"post": str(len(self.posts) - 1)})

        return await self._do(Step.PUBLISH, posting, content.text, act)

    async def update(self, receipt: Receipt, content: Content) -> Receipt:
        """Edit the text of a post."""

        def act() -> Receipt:
            post = self.posts[int(receipt.handle["post"])]
            if not post.live:
                raise PermanentError("there is no such post")
            post.text = content.text
            return receipt

        return await self._do(Step.UPDATE, receipt.posting, content.text, act)

    async def retract(self, receipt: Receipt) -> None:
        """Delete a post; deleted already is fine."""

        def act() -> None:
            self.posts[int(receipt.handle["post"])].live = False

        await self._do(Step.RETRACT, receipt.posting, "", act)

    async def find(self, posting: Posting) -> Receipt | None:
        """Look for a post with the text that was tried."""

        def act() -> Receipt | None:
            wanted = posting.attempted.text if posting.attempted else None
            for number, post in enumerate(self.posts):
                if post.live and post.target == posting.target.id and post.text == wanted:
                    return Receipt(posting, {"post": str(number)})
            return None

        return await self._do(Step.FIND, posting, "", act)

    async def observe(self, receipt: Receipt) -> Observation:
        """Look at one post."""

        def act() -> Observation:
            post = self.posts[int(receipt.handle["post"])]
            return Observation(post.live, None, post.text if post.live else None)

        return await self._do(Step.OBSERVE, receipt.posting, "", act)


@dataclass(frozen=True)
class Sent:
    """One message that arrived."""

    target: str
    posting: str
    phase: str
    text: str
    follows: bool  # an earlier message, in the same thread


class Unsendable:
    """What no message channel can do."""

    async def retract(self, receipt: Receipt) -> None:
        """Say that a message cannot be unsent."""
        raise PermanentError("a message cannot be unsent")

    async def observe(self, receipt: Receipt) -> Observation:
        """Say that a mailbox cannot be seen."""
        raise PermanentError("a mailbox cannot be seen")

    async def find(self, posting: Posting) -> Receipt | None:
        """Say that a mailbox cannot be searched."""
        raise PermanentError("a mailbox cannot be searched")


class FakeMail(Unsendable, Fake):
    """Mailboxes (``Kind.MESSAGE``): what was sent is sent, and sending twice is mailing twice."""

    def __init__(self, max_concurrency: int = 16, timeout: float = 5.0) -> None:
        super().__init__(
            Capabilities(
                kind=Kind.MESSAGE,
                channels=frozenset({"email"}),
                can_retract=False,
                photo=True,
                max_concurrency=max_concurrency,
                timeout=timeout,
            )
        )
        self.sent: list[Sent] = []

    def inbox(self, target: str) -> list[str]:
        """Give the phases of the messages that someone got, oldest first."""
        return [message.phase for message in self.sent if message.target == target]

    async def publish(self, posting: Posting, content: Content) -> Receipt:
        """Send the first message."""
        return await self._do(Step.PUBLISH, posting, content.text, lambda: self._send(posting, content, follows=False))

    async def update(self, receipt: Receipt, content: Content) -> Receipt:
        """Send a message that follows an earlier one."""
        posting = receipt.posting
        return await self._do(Step.UPDATE, posting, content.text, lambda: self._send(posting, content, follows=True))

    def _send(self, posting: Posting, content: Content, *, follows: bool) -> Receipt:
        self.sent.append(Sent(posting.target.id, posting.id, content.phase.value, content.text, follows))
        return Receipt(posting, {"thread": posting.id})
