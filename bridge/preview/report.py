"""Puts together what an alert would look like: targets that show the very same thing stand together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bridge.core.advice import Advice, advise, on_boards
from bridge.core.asking import Foresight, Scene
from bridge.core.content import Content, Phase
from bridge.core.layout import Reading
from bridge.core.planning import Policy
from bridge.core.posting import Kind
from bridge.core.target import Sign, Target


@dataclass
class View:
    """What some targets would show, all the same. ``sign`` only for boards; no ``content``: nothing (any more)."""

    kind: Kind
    channel: str
    content: Content | None
    sign: Sign | None
    seconds: Sequence[float] = ()  # that each page stays
    targets: list[Target] = field(default_factory=list)


@dataclass
class Refusal:
    """Targets that would show nothing, for the same reason."""

    channel: str
    reason: str
    targets: list[Target] = field(default_factory=list)


@dataclass
class Shortening:
    """Boards of one size that cannot show the text. ``beginning``: the longest beginning that they can."""

    sign: Sign
    reason: str
    beginning: str
    targets: list[Target] = field(default_factory=list)


@dataclass(frozen=True)
class Preview:
    """Everything that a preview tells. ``boards``: those that may show it, ``reach``: what all of them could."""

    foresight: Foresight
    language: str
    views: Sequence[View]
    refusals: Sequence[Refusal]
    shortenings: Sequence[Shortening]
    boards: int
    text: str
    advice: Sequence[Advice]

    @property
    def too_small(self) -> int:
        """Count the boards that cannot show the text."""
        return sum(len(one.targets) for one in self.shortenings)

    @property
    def reach(self) -> str:
        """Give the longest beginning that all boards can show."""
        return min((one.beginning for one in self.shortenings), key=len, default=self.text)


def make(foresight: Foresight, policy: Policy, language: str, only: str = "") -> Preview:
    """Put a preview together; ``only``: for one target (its id)."""
    scenes = [one for one in foresight.scenes if only in ("", one.target.id)]
    views = _views(scenes, policy)
    shortenings: dict[object, Shortening] = {}
    refusals: dict[object, Refusal] = {}
    for scene in scenes:
        reason = scene.decision.explain(language)
        if scene.too_long and scene.target.sign:
            words = scene.too_long.dutch if language == "nl" else str(scene.too_long)
            one = Shortening(scene.target.sign, words, scene.too_long.beginning)
            shortenings.setdefault((scene.target.sign, words), one).targets.append(scene.target)
        elif not scene.decision.allowed:
            refused = Refusal(scene.target.channel, reason)
            refusals.setdefault((scene.target.channel, reason), refused).targets.append(scene.target)
    boards = sum(1 for one in scenes if policy.adapters[one.target.adapter].board and (one.content or one.too_long))
    text = " ".join(foresight.alert.info[0].original_text.split())
    found = list(shortenings.values())
    small = sum(len(one.targets) for one in found)
    advice = [*advise(foresight.alert, policy.advising), *on_boards(boards - small, boards)]
    return Preview(foresight, language, views, list(refusals.values()), found, boards, text, advice)


def _views(scenes: Iterable[Scene], policy: Policy) -> list[View]:
    views: dict[object, View] = {}
    for scene in scenes:
        if not scene.decision.allowed:
            continue
        can, target = policy.adapters[scene.target.adapter], scene.target
        sign = target.sign if can.board else None
        key = (target.channel, scene.content, sign)
        if key not in views:
            pages = scene.content.pages if scene.content else ()
            seconds = [_stays(page, len(pages), policy.reading) for page in pages]
            views[key] = View(can.kind, target.channel, scene.content, sign, seconds)
        views[key].targets.append(target)
    return list(views.values())


def _stays(page: Sequence[str], pages: int, reading: Reading) -> float:
    """Give the seconds that a page stays; the only one stays for ever: 0."""
    return reading.seconds(page) if pages > 1 else 0.0


def is_over(preview: Preview) -> bool:
    """Tell whether the case has ended, so that boards are dark."""
    return any(view.content is None or view.content.phase is Phase.ENDED for view in preview.views)
