"""What must hold, judged from the history alone: no code of the bridge decides here what is right."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from typing import Any

import structlog

from bridge.core.content import Content, Phase
from bridge.core.posting import Posting
from bridge.core.target import Target
from tests.simulation.broker import Letter
from tests.simulation.history import ACTIVE, SKEW, START, Message
from tests.simulation.machine import SimDatabase
from tests.simulation.signs import ROOM
from tests.simulation.world import BETWEEN, Shown, World

BOARD_WORDS = {"missing_child_alert", "missing_child", "missing_person", "amber_alert"}
SIGNS = {"sign-a", "sign-b"}  # boards that hold one message
BOARDS = {"board-a", "board-b", "small", "advert", "drill", "far", *SIGNS}
PRESSING = ("amber_alert", "missing_child_alert", "missing_child", "missing_person")  # the most pressing first

CHANNELS = {"page": "facebook", "mail-a": "email", "mail-b": "email", "outbox": "outbox"}  # the others are signs
OWNERS = {"mail-a": "citizen", "mail-b": "citizen", "outbox": "citizen", "advert": "commercial"}
PHOTOS = {"board-a", "drill", "advert", "far", "page", "mail-a", "mail-b"}  # where a photo can be shown at all


def is_allowed(target: str, message: Message, rules: Sequence[dict[str, Any]], *, photo: bool) -> bool:
    """Read the rules once more: nothing denies it, and something allows it."""
    facts = {
        "channels": CHANNELS.get(target, "sign"),
        "categories": "other" if message.category == "iets_nieuws" else message.category,
        "statuses": message.status,
        "urgencies": "Unknown",
        "owners": OWNERS.get(target, "municipality"),
        "languages": "nl",
        "photo": photo,
        "area": "circle",
    }
    effects = {one["effect"] for one in rules if all(facts[key] in one[key] for key in one if key != "effect")}
    return effects == {"allow"}


def may_picture(target: str, message: Message, rules: Sequence[dict[str, Any]]) -> bool:
    """Say whether a message may be shown at a target with its photo."""
    return message.photo and target in PHOTOS and is_allowed(target, message, rules, photo=True)


def may_show(target: str, message: Message, rules: Sequence[dict[str, Any]]) -> bool:
    """Say whether a message may be shown at a target (R1, R2, R3, R7, the statuses, the place, the rules)."""
    if not may_picture(target, message, rules) and not is_allowed(target, message, rules, photo=False):
        return False
    if message.status != "Actual" and target not in ("drill", "mail-a"):
        return False
    if target in ("advert", "far"):
        return False
    if target == "small" and (not message.fits or message.status != "Actual"):
        return False
    return target not in BOARDS or message.category in BOARD_WORDS


SETTLED = 100.0  # seconds after which what is shown was renewed in a world that is well

LOGGED: list[str] = []  # lines of the log in which words of an alert stand
HEARD: Counter[str] = Counter()


def listen(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Read one line of the log, and let nobody print it (I6)."""
    HEARD["I6"] += 1
    text = str(line)
    if " versie " in text:
        LOGGED.append(text)
    raise structlog.DropEvent


def _rank(said: Message, begun: float) -> tuple[int, float]:
    return PRESSING.index(said.category), -begun


class Judge:
    """Watches every effect and every acknowledgement, and looks at the whole when everything has come to rest."""

    def __init__(self, world: World, database: SimDatabase) -> None:
        self.world = world
        self.database = database
        self.by_text = {message.text: message for message in world.history.messages if message.kind != "garbage"}
        self.told: set[str] = set()  # postings whose alert reached people, or may have
        world.on_effect = self.effect
        world.on_run_out = self.run_out
        world.on_rewrite = self.rewrite
        self.crowd: dict[str, list[tuple[Message, float]]] = defaultdict(list)  # who is to be on a sign; when it began
        LOGGED.clear()
        HEARD.clear()

    # --- at every step

    def effect(self, target: Target, posting: Posting, content: Content) -> None:
        """Judge what is about to be seen (I1, I4, I5, I7)."""
        judged = self.world.happened
        judged["I1"] += content.phase is not Phase.ENDED
        judged["I4"] += target.sign is None
        judged["I5"] += content.phase is Phase.ENDED
        judged["I7"] += target.sign is not None
        if target.channel == "email":
            self._again(target, posting, content)
        if content.phase is Phase.ENDED:
            if posting.id not in self.told and not self._may_know(posting.id):
                self.world.violate(f"I5: {target.id} hears how {posting.case} ended, and never got the alert")
            return
        message = self.said(content)
        if message is None or message.case != posting.case:
            self.world.violate(f"I7: {target.id} shows {content.text!r}, which nobody sent")
        elif not any(may_show(target.id, message, rules) for rules in self.world.rules_so_far):
            self.world.violate(f"I1: {message} is shown at {target.id}")
        elif content.photo and not any(may_picture(target.id, message, rules) for rules in self.world.rules_so_far):
            self.world.violate(f"I1: the photo of {message} is shown at {target.id}")
        if target.sign:
            if message and content.text != message.text:
                self.world.violate(f"I7: {target.id} shows {content.text!r} instead of {message.text!r}")
            marked = content.pages[1:] if content.exercise else content.pages
            if (
                " ".join(" ".join(line) if isinstance(line, tuple) else line for page in marked for line in page)
                != content.text
            ):
                self.world.violate(f"I7: the pages at {target.id} are not the text: {content.pages}")
        self.told.add(posting.id)

    def _again(self, target: Target, posting: Posting, content: Content) -> None:
        """A mail comes twice only after a sending whose outcome nobody learned."""
        copies = sum(one[1] == posting.id and one[2].revision == content.revision for one in self.world.inbox)
        self.world.happened["mailed again"] += bool(copies)
        unknown = "SELECT count(*) FROM journal WHERE posting = ? AND result = 'unknown'"
        if copies > self.database.raw.execute(unknown, (posting.id,)).fetchone()[0]:
            self.world.violate(f"I4: {target.id} gets {content.text!r} again, and nothing was in doubt")

    def said(self, content: Content) -> Message | None:
        """Find the event whose words these are: a board has them alone, a message after the phase and before a footer."""
        plain = content.text.partition("\n\n")[0]
        return self.by_text.get(plain) or self.by_text.get(plain.partition(" ")[2])

    def run_out(self, target: str, shown: Shown) -> None:
        """In a world that is well, a board that should show something is told so again before it clears itself."""
        still = self.world.boards[target].get(shown.posting.id) is shown
        expired = shown.content.expires is not None and shown.content.expires <= self.world.clock() + 1
        excused = target in self.world.given_up or self.world.loop.time() < ACTIVE + SETTLED
        if not still or expired or excused:
            return
        wanted = "SELECT count(*) FROM postings WHERE id = ? AND desired = 'shown'"
        if self.database.raw.execute(wanted, (shown.posting.id,)).fetchone()[0]:
            self.world.violate(f"I3: {target} goes dark while {shown.posting.case} is open")

    def rewrite(self, target: str, shown: Mapping[str, Shown]) -> None:
        """A sign is never put out while another case is to be seen on it (I3)."""
        self.world.happened["signs written"] += 1
        if shown or self.world.fault_now or target in self.world.given_up:
            return
        wanted = "SELECT count(*) FROM postings WHERE id = ? AND desired = 'shown' AND NOT stale AND claim IS NULL"
        settled = (
            " AND abs(desired_at - ?) > 2"  # who is wanted again since the step was claimed comes back with the next
        )
        for one in self.world.showing(target):
            if self.database.raw.execute(wanted + settled, (one.posting.id, self.world.clock())).fetchone()[0]:
                self.world.violate(f"I3: {target} is put out while it shows {one.posting.case}")

    def acknowledged(self, letter: Letter, aside: bool) -> None:
        """Judge an acknowledgement: what is acknowledged is kept, or set aside (I3)."""
        self.world.happened["I3"] += 1
        kept = {row[0].encode() for row in self.database.raw.execute("SELECT id FROM events")}
        if not aside and not any(b'"id": "' + name + b'"' in letter.body for name in kept):
            self.world.violate(f"I3: acknowledged and not kept: {letter.body[:120]!r}")

    def _may_know(self, posting: str) -> bool:
        """Say whether a sending of unknown outcome may have told people of the alert."""
        query = "SELECT EXISTS (SELECT 1 FROM journal WHERE posting = ? AND result = 'unknown')"
        return bool(self.database.raw.execute(query, (posting,)).fetchone()[0])

    # --- at rest

    def after_a_while(self) -> None:
        """Judge that boards are cleared before they would clear themselves (I2)."""
        wanted = "SELECT count(*) FROM postings WHERE id = ? AND desired = 'shown'"
        for target in list(self.world.boards):
            for shown in self.world.showing(target):
                if not self.database.raw.execute(wanted, (shown.posting.id,)).fetchone()[0]:
                    self.world.violate(f"I2: {target} still shows {shown.posting.case}, and is left to clear itself")

    def at_rest(self) -> None:
        """Judge the whole, when nothing is left to do (I2, I3 and that everybody knows)."""
        cases = defaultdict(list)
        for message in self.world.history.messages:
            if message.kind != "garbage":
                cases[message.case].append(message)
        for case, messages in cases.items():
            self._case(case, messages)
        for target, crowd in self.crowd.items():
            self._turns(target, crowd)
        self.world.happened.update(HEARD)
        for line in LOGGED:
            self.world.violate(f"I6: words of an alert in the log: {line}")
        erased = "SELECT count(*) FROM photos p JOIN cases c ON c.id = p.case_id WHERE c.standing <> 'open' AND p.data IS NOT NULL"
        if self.database.raw.execute(erased).fetchone()[0]:
            self.world.violate("I2: a photo is kept though its case is over")

    def _case(self, case: str, messages: list[Message]) -> None:
        ended = [one for one in messages if one.kind == "ended"]
        opened = {one.rank: one for one in messages if one.kind == "opened"}
        said = max((one for one in messages if one.kind != "ended"), key=lambda one: one.rank, default=None)
        end = max(ended, key=lambda one: one.rank, default=None)
        withdrawn = self._withdrawn(case)
        over = withdrawn or (end is not None and max(opened, default=0) < end.rank)
        if (
            end is not None and len(opened) == 1
        ):  # clocks differ: an ending dated shortly before the only opening ends it
            over = over or max(opened.values(), key=lambda one: one.rank).moment - end.moment <= SKEW
        expired = bool(said and said.expires is not None and START + said.expires <= self.world.clock())
        for target in self.world.history.targets:
            if over or expired or said is None:
                self._gone(case, target, over=bool(over), life=max(opened, default=0))
            elif may_show(target, said, self.world.rules_so_far[-1]):
                self._there(case, target, said, min(one.moment for one in messages if one.kind != "ended"))
            elif target in BOARDS or target == "page":
                self._gone(case, target, over=False, life=0)

    def _withdrawn(self, case: str) -> bool:
        query = "SELECT count(*) FROM events WHERE case_id = ? AND source = 'urn:burgernet-bridge:operator'"
        return bool(self.database.raw.execute(query, (case,)).fetchone()[0])

    def _row(self, case: str, target: str) -> dict[str, object]:
        query = "SELECT id, held, blind, error, applied, seen, waits FROM postings WHERE case_id = ? AND target = ?"
        row = self.database.raw.execute(query, (case, target)).fetchone()
        return dict(zip(("id", "held", "blind", "error", "applied", "seen", "waits"), row, strict=True)) if row else {}

    def _excused(self, case: str, target: str) -> bool:
        """Say whether an operator or a refusal for good took this target out."""
        row = self._row(case, target)
        kept = "SELECT count(*) FROM holds WHERE case_id = ? AND target = ?"  # before there was anything to take away
        held = row.get("held") or self.database.raw.execute(kept, (case, target)).fetchone()[0]
        return bool(held) or target in self.world.given_up or int(str(row.get("blind") or 0)) >= 2

    def _gone(self, case: str, target: str, *, over: bool, life: int) -> None:
        world = self.world
        world.happened["I2"] += 1
        if any(one.posting.case == case for one in world.showing(target)):
            world.violate(f"I2: {target} still shows {case}")
        proof = "SELECT count(*) FROM postings WHERE case_id = ? AND target = ? AND applied = 'gone' AND dark_at = 0"
        if target in BOARDS and self.database.raw.execute(proof, (case, target)).fetchone()[0]:
            world.violate(f"I2: {target} no longer shows {case}, and nobody has seen that")
        alerts = [one for one in world.live(target) if one.posting.case == case]
        for post in alerts:
            if over and post.content.phase is not Phase.ENDED:
                world.violate(f"I2: the alert of {case} still stands on {target}")
            if post.photo:
                world.violate(f"I2: a photo of {case} still stands on {target}")
        row = self._row(case, target)
        if over and target not in BOARDS and target != "page" and row and not self._excused(case, target):
            # By revision, not by arrival: a mail that was on its way for long may come after the one that ends all.
            mails = sorted(self._mails(case, target), key=lambda one: one.revision)
            said = [self.said(one) for one in mails if one.phase is not Phase.ENDED]
            # R16: of what only informs, nobody is told how it ended.
            world.happened["I5"] += 1
            asked = any(one and one.category != "prevention" and one.rank >= life for one in said)
            if asked and mails[-1].phase is not Phase.ENDED:
                world.violate(f"I5: {target} never heard how {case} ended")

    def _there(self, case: str, target: str, said: Message, begun: float) -> None:
        world = self.world
        world.happened["I3"] += 1
        if self._excused(case, target):
            return
        if target in SIGNS:
            self.crowd[target].append((said, begun))
            return
        if target in BOARDS:
            texts = [one.content.text for one in world.showing(target) if one.posting.case == case]
        elif target == "page":
            texts = [one.content.text for one in world.live(target) if one.posting.case == case]
        else:
            texts = [one.text for one in sorted(self._mails(case, target), key=lambda one: one.revision)][-1:]
        if len(texts) != 1 or said.text not in texts[0]:
            world.violate(f"I3: {target} should show {said.text!r} and shows {texts}")

    def _turns(self, target: str, crowd: list[tuple[Message, float]]) -> None:
        """On a sign stand the most pressing cases that fit, each with what was said last; who has no room waits (I3)."""
        texts = [one.content.text for one in self.world.showing(target)]
        for said, begun in crowd:
            row = self._row(said.case, target)
            if said.text in texts:
                if row["seen"] != "ours" or row["waits"]:
                    self.world.violate(f"I3: {target} shows {said.case}, and the proof says {row}")
                continue
            self.world.happened["waits"] += 1
            before = [one.text for one, since in crowd if one.text in texts and _rank(one, since) <= _rank(said, begun)]
            if not row["waits"]:
                self.world.violate(f"I3: {target} should show {said.text!r} or let it wait, and shows {texts}")
            elif len(BETWEEN.join([*before, said.text])) <= ROOM:
                self.world.violate(f"I3: {target} has room for {said.text!r}, which waits, and shows {texts}")

    def _mails(self, case: str, target: str) -> Iterable[Content]:
        return (content for name, _, content in self.world.inbox if name == target and content.case == case)
