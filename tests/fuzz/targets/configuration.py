"""Files of an administrator: bridge.yaml, rules.yaml, targets.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from bridge.adapters.http_sign import HttpSign
from bridge.adapters.registry import find_adapters
from bridge.core.alert import Category, Status, Urgency
from bridge.core.posting import Capabilities, Kind
from bridge.core.rule_check import check
from bridge.core.rule_space import Channel, Space
from bridge.core.rules import BOARD_CATEGORIES, PUBLIC_BODIES, Facts, RuleFile, decide
from bridge.core.target import OwnerKind
from bridge.core.targeting import place_of_target
from bridge.policy import PACKAGED, adapter_configs, load_rules, load_targets
from bridge.rulebook.report import Report
from bridge.rulebook.trial import load_tests, play
from bridge.settings import Loaded, Settings, load_settings
from tests.fuzz.harness import promise, target
from tests.fuzz.mutate import Shape
from tests.fuzz.promises import readable


class Paper(type(Path())):  # type: ignore[misc]
    """Any file of a folder that holds nothing but this input: a real one would cost more than to read it."""

    data = b""

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> str:
        """Give the input."""
        return Paper.data.decode(encoding or "utf-8", errors or "strict")


FOLDER = Paper("/paper")
TYPES = find_adapters()
CAN = {
    name: Capabilities(kind=Kind.STATE, channels=frozenset({"sign", "display", "email", "facebook", "outbox"}))
    for name in TYPES
}
RULES, LISTED = Loaded(Settings(rules="x.yaml"), FOLDER), Loaded(Settings(targets="x.yaml"), FOLDER)
EXAMPLES = PACKAGED.resolve()
NAMES = ("sign", "display", "email", "facebook", "outbox")
CHANNELS = [Channel(name, name in ("sign", "display")) for name in NAMES]
SHIPPED = RuleFile.model_validate(yaml.safe_load((EXAMPLES / "rules.yaml").read_text("utf-8"))).rules
LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{after}: &{after} [{','.join([f'*{before}'] * 9)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)
TRAPS = [
    LAUGHS,
    "[" * 100_000,
    "- " * 5_000,
    "a: &a [*a]",
    "? [a]\n: 1",
    "a: !!timestamp x",
    "1: 2\nnull: 3",
    "\ufeff%YAML 9.9\n--- \n",
]


def _parts(name: str) -> Iterator[str]:
    """Give the shipped file in parts, each good by itself."""
    for key, value in yaml.safe_load((EXAMPLES / name).read_text("utf-8")).items():
        parts = [value[start : start + 2] for start in range(0, len(value), 2)] if isinstance(value, list) else [value]
        yield from (yaml.safe_dump({key: part}, allow_unicode=True, default_flow_style=None) for part in parts)


def _paper(data: bytes) -> Path:
    Paper.data = data
    return FOLDER / "paper.yaml"


@target(
    shape=Shape.TEXT,
    seeds=[
        *_parts("bridge.yaml"),
        *TRAPS,
    ],
    most=4_000,
)
def bridge_yaml(data: bytes) -> None:
    """The settings, and those of each adapter."""
    loaded = readable(lambda: load_settings(_paper(data), {}))
    if loaded is not None:
        readable(lambda: adapter_configs(loaded, TYPES))
        promise(loaded.settings.model_dump_json(), "settings can be written")


@target(shape=Shape.TEXT, seeds=[*_parts("rules.yaml"), *TRAPS], most=4_000)
def rules_yaml(data: bytes) -> None:
    """The rules, what they decide, and what the checker and the matrix make of them: they say what is decided."""
    _paper(data)
    found = readable(lambda: load_rules(RULES, CHANNELS))
    if found is None:
        return
    rules = found[1].rules
    space = Space(CHANNELS, rules)
    for finding in check(space):
        promise(finding.words.isprintable(), "a finding is one printable line")
        promise(found[0].at(() if finding.rule is None else ("rules", finding.rule)), "a finding has a place")
    for bit in (0, space.size // 3, space.size - 1):
        case = space.facts(bit)
        promise(decide(case, rules).allowed == bool(space.allowed >> bit & 1), "the checker knows what is decided")
    boards = [one for one in CHANNELS if one.board]
    fit = space.where(boards, PUBLIC_BODIES, BOARD_CATEGORIES)
    promise(
        not space.allowed & space.where(boards) & ~fit, "boards carry missing persons only (R1), of public bodies (R7)"
    )
    Report(space, (), "nl").data()
    for board in (True, False):
        facts = Facts(
            *("sign" if board else "email", board, OwnerKind.COMMERCIAL, Category.HOLD_UP, Status.ACTUAL),
            *(Urgency.IMMEDIATE, "nl", False, frozenset({"circle"}), (Status.ACTUAL,)),
        )
        decision = decide(facts, rules)
        promise(len(decision.explain().splitlines()) <= 1, "a reason is one line")
        promise(not (board and decision.allowed), "no rule lets a hold-up on a board (R2)")


@target(shape=Shape.TEXT, seeds=[*_parts("rules.test.yaml"), *TRAPS], most=4_000)
def rules_test_yaml(data: bytes) -> None:
    """The tests of the rules: whatever is read can be played, and a failure is told in printable lines."""
    found = readable(lambda: load_tests(_paper(data), CAN))
    for one in play(*found, SHIPPED, CAN) if found else ():
        for line in one.problems():
            promise(line.isprintable(), "a failure is one printable line")


@target(
    shape=Shape.TEXT,
    seeds=[
        b"""targets:
  - {id: bord, channel: sign, adapter: http_sign, address: "http://127.0.0.1:9100/messages", owner: {name: L, kind: municipality},
     location: {lat: 52.17, lon: 4.46}, sign: {columns: 16, rows: 5, pages: 4}, languages: [nl], accepts: {status: [Actual]}}
  - {id: ans, channel: email, adapter: email, address: ans@example.nl, owner: {kind: citizen}, coverage: {geocode: [{valueName: a, value: b}]}}
  - {id: wijk, channel: outbox, adapter: outbox, address: wijk, owner: {kind: citizen}, coverage: {polygon: ["52,4 53,4 53,5"]}}
""",
        *TRAPS,
    ],
    most=4_000,
)
def targets_yaml(data: bytes) -> None:
    """The targets: an address that is taken leads where it says, and into no header or path of ours."""
    _paper(data)
    listed = readable(lambda: load_targets(LISTED, TYPES, CAN))
    for one in listed or ():
        place_of_target(one)
        promise(one.address.isprintable() or one.adapter == "outbox", "an address has no orders in it")
        if one.adapter == "http_sign":
            promise(one.address.startswith(("http://", "https://", "HTTP", "Http")), "a board is reached by HTTP")
            HttpSign.check_target(one)
