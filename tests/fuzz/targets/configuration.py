"""Files of an administrator: bridge.yaml, rules.yaml, targets.yaml."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

from bridge.adapters.http_sign import HttpSign
from bridge.adapters.registry import find_adapters
from bridge.core.alert import Category, Status, Urgency
from bridge.core.posting import Capabilities, Kind
from bridge.core.rules import Facts, decide
from bridge.core.target import OwnerKind
from bridge.core.targeting import place_of_target
from bridge.policy import PACKAGED, adapter_configs, load_rules, load_targets
from bridge.settings import Loaded, Settings, load_settings
from tests.fuzz.harness import promise, target
from tests.fuzz.mutate import Shape
from tests.fuzz.promises import readable

FOLDER = Path(tempfile.mkdtemp(prefix="burgernet-fuzz-"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
TYPES = find_adapters()
CAN = {
    name: Capabilities(kind=Kind.STATE, channels=frozenset({"sign", "display", "email", "facebook", "outbox"}))
    for name in TYPES
}
EXAMPLES = PACKAGED.resolve()
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


def _file(name: str, data: bytes) -> Path:
    path = FOLDER / name
    path.write_bytes(data)
    return path


@target(
    shape=Shape.TEXT,
    seeds=[
        (EXAMPLES / "bridge.yaml").read_bytes() if (EXAMPLES / "bridge.yaml").exists() else b"web: {port: 1}",
        *TRAPS,
    ],
    most=12_000,
)
def bridge_yaml(data: bytes) -> None:
    """The settings, and those of each adapter."""
    loaded = readable(lambda: load_settings(_file("bridge.yaml", data), {}))
    if loaded is not None:
        readable(lambda: adapter_configs(loaded, TYPES))
        promise(loaded.settings.model_dump_json(), "settings can be written")


@target(shape=Shape.TEXT, seeds=[(EXAMPLES / "rules.yaml").read_bytes(), *TRAPS], most=12_000)
def rules_yaml(data: bytes) -> None:
    """The rules, and what they decide."""
    _file("rules.yaml", data)
    rules = readable(lambda: load_rules(Loaded(Settings(rules="rules.yaml"), FOLDER)))
    for board in (True, False) if rules else ():
        facts = Facts(
            *("sign" if board else "email", board, OwnerKind.COMMERCIAL, Category.HOLD_UP, Status.ACTUAL),
            *(Urgency.IMMEDIATE, "nl", False, frozenset({"circle"}), (Status.ACTUAL,)),
        )
        decision = decide(facts, rules.rules if rules else ())
        promise(decision.explain().isprintable(), "a reason is one line")
        promise(not (board and decision.allowed), "no rule lets a hold-up on a board (R2)")


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
    most=12_000,
)
def targets_yaml(data: bytes) -> None:
    """The targets: an address that is taken leads where it says, and into no header or path of ours."""
    _file("targets.yaml", data)
    listed = readable(lambda: load_targets(Loaded(Settings(targets="targets.yaml"), FOLDER), TYPES, CAN))
    for one in listed or ():
        place_of_target(one)
        promise(one.address.isprintable() or one.adapter == "outbox", "an address has no orders in it")
        if one.adapter == "http_sign":
            promise(one.address.startswith(("http://", "https://", "HTTP", "Http")), "a board is reached by HTTP")
            HttpSign.check_target(one)
