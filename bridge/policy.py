"""Reads what decides: targets, rules and templates, checked as a whole, every fault at once."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bridge import boundaries
from bridge.adapters.registry import AdapterConfig, AdapterType, adapter_type
from bridge.core.errors import InvalidInput
from bridge.core.events import Place, explain
from bridge.core.planning import Policy
from bridge.core.posting import Capabilities
from bridge.core.rule_check import check as check_rules
from bridge.core.rule_space import Channel, Space
from bridge.core.rules import RuleFile
from bridge.core.target import Target
from bridge.core.target_index import TargetIndex
from bridge.core.targeting import place_of_target
from bridge.core.words import nearest
from bridge.files import OWN_FONT, Document, load_font, read_document
from bridge.rendering import Templates
from bridge.settings import Loaded

PACKAGED = Path(__file__).parent / "defaults"


@dataclass(frozen=True)
class Configured:
    """The policy, its templates, and its targets by their digests.

    ``findings``: mistakes in the rules that make nothing unsafe, a line each; ``space``: every case that they judge.
    ``mended``: mistakes in targets that were put right, because what was meant is plain.
    """

    policy: Policy
    templates: Templates
    by_digest: Mapping[str, Target]
    space: Space
    findings: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()


@dataclass
class Current:
    """What decides now: the last good set. Replaced whole, never changed; so take it once for what belongs together.

    ``read``: when it was read (``time.monotonic``).
    """

    configured: Configured
    read: float = field(default_factory=time.monotonic)

    def take(self, configured: Configured) -> None:
        """Let another set decide from now on."""
        self.configured, self.read = configured, time.monotonic()


def adapter_configs(loaded: Loaded, types: Mapping[str, AdapterType]) -> dict[str, AdapterConfig]:
    """Read each adapter's own settings; file names in them are relative to bridge.yaml."""
    configs: dict[str, AdapterConfig] = {}
    installed = ", ".join(sorted(types))
    strange = sorted(set(loaded.settings.adapters) - set(types))
    problems = [f"adapters.{name}: is not installed; installed are {installed}" for name in strange]
    for name, found in types.items():
        values = {
            key: str(loaded.path(value)) if key.endswith("_file") and isinstance(value, str) and value else value
            for key, value in loaded.settings.adapters.get(name, {}).items()
        }
        try:
            configs[name] = found.Config.model_validate(values)
        except ValidationError as error:
            problems += [f"adapters.{name}.{line}" for line in explain(error)]
    if problems:
        raise InvalidInput(*problems)
    return configs


def load_policy(
    loaded: Loaded, types: Mapping[str, AdapterType], capabilities: Mapping[str, Capabilities]
) -> Configured:
    """Read targets, rules and templates; raise ``InvalidInput`` with every fault of all three."""
    problems: list[str] = []
    targets = _collect(problems, lambda: load_targets(loaded, types, capabilities), [])
    channels = channels_of(capabilities)
    written, rules = _collect(problems, lambda: load_rules(loaded, channels), (None, RuleFile(rules=())))
    templates = _collect(problems, lambda: Templates(_templates_path(loaded)), None)
    regions, mark = _collect(problems, lambda: boundaries.load(loaded.path(loaded.settings.boundaries)), ({}, ""))
    if problems or templates is None:
        raise InvalidInput(*problems)
    by_digest = {target.digest: target for target in targets}
    fonts = {target.sign.font_digest for target in targets if target.sign}
    reading = loaded.settings.layout.reading
    parts = [rules.model_dump_json(), templates.digest, repr(reading), mark, *sorted(fonts), *sorted(by_digest)]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    space = Space(channels, rules.rules)
    findings = tuple(f"{written.at(_place(one.rule))}: {one.words}" for one in check_rules(space))
    index = TargetIndex(targets, regions)
    advising = loaded.settings.advice.advising
    policy = Policy(targets, rules.rules, capabilities, templates, digest, reading, advising, index)
    return Configured(policy, templates, by_digest, space, findings, tuple(_swapped(targets)))


def _swapped(targets: Iterable[Target]) -> Iterator[str]:
    for target in targets:
        if place_of_target(target).swapped:
            yield f"target {target.id}: latitude and longitude are swapped; they are read the other way about"


def channels_of(capabilities: Mapping[str, Capabilities]) -> frozenset[Channel]:
    """Name every channel that an installed adapter drives."""
    return frozenset(Channel(name, can.board) for can in capabilities.values() for name in can.channels)


def _place(rule: int | None) -> Place:
    return ("rules",) if rule is None else ("rules", rule)


def _collect(problems: list[str], read: Any, otherwise: Any) -> Any:
    try:
        return read()
    except InvalidInput as error:
        problems += error.problems
        return otherwise


def _templates_path(loaded: Loaded) -> Path:
    return loaded.path(loaded.settings.templates) if loaded.settings.templates else PACKAGED / "templates"


def rules_path(loaded: Loaded) -> Path:
    """Find ``rules.yaml``; its tests stand beside it."""
    return loaded.path(loaded.settings.rules) if loaded.settings.rules else PACKAGED / "rules.yaml"


def load_rules(loaded: Loaded, channels: Iterable[Channel]) -> tuple[Document, RuleFile]:
    """Read ``rules.yaml``, and where everything in it stands; raise ``InvalidInput`` with every fault."""
    written = read_document(rules_path(loaded))
    try:
        found = RuleFile.model_validate(written.value or {})
    except ValidationError as error:
        raise InvalidInput(*written.faults(error, RuleFile)) from None
    known = frozenset(one.name for one in channels)
    problems = [*_named_twice(written, found), *_unknown_channels(written, found, known)]
    if problems:
        raise InvalidInput(*problems)
    return written, found


def _named_twice(written: Document, found: RuleFile) -> Iterator[str]:
    seen: set[str] = set()
    for number, rule in enumerate(found.rules):
        if rule.name in seen:
            where = written.at(("rules", number, "name"))
            yield f"{where}: rules: the name {rule.name!r} stands twice; every rule has its own"
        seen.add(rule.name)


def _unknown_channels(written: Document, found: RuleFile, known: frozenset[str]) -> Iterator[str]:
    """A misspelt channel in a deny would leave open what it should close."""
    for number, rule in enumerate(found.rules):
        for at, name in enumerate(rule.channels or ()):
            if name not in known:
                place = ("rules", number, "channels", at)
                near = nearest(name, sorted(known))
                what = f"{name!r} is not allowed; allowed: {', '.join(sorted(known))}{near and f'; nearest: {near}'}"
                yield f"{written.at(place)}: {'.'.join(map(str, place))}: {what}"


def load_targets(
    loaded: Loaded, types: Mapping[str, AdapterType], capabilities: Mapping[str, Capabilities]
) -> list[Target]:
    """Read ``targets.yaml``, with secrets resolved and every address checked by its adapter."""
    if not loaded.settings.targets:
        return []
    path = loaded.path(loaded.settings.targets)
    written = read_document(path)
    listed = written.value
    if not isinstance(listed, dict) or set(listed) != {"targets"} or not isinstance(listed["targets"] or [], list):
        raise InvalidInput(f"{path}: allowed: one list called targets")
    problems: list[str] = []
    found: dict[str, Target] = {}
    places: dict[tuple[str, ...], str] = {}
    for number, entry in enumerate(listed.get("targets") or []):
        name = entry.get("id", number) if isinstance(entry, dict) else number
        place = ("targets", number)
        try:
            target = _target(entry, path.parent, types, capabilities)
            if found.setdefault(target.id, target) is not target:
                where = written.at((*place, "id"))
                problems.append(f"{where}: target {name}: id: stands twice; every target has its own")
            elif (mine := _own_place(target, capabilities)) and (
                other := places.setdefault(mine, target.id)
            ) != target.id:
                where = written.at((*place, mine[0]))
                problems.append(f"{where}: target {name}: {mine[0]}: is that of {other}; one board is one target")
        except ValidationError as error:
            problems += written.faults(error, Target, place, f"target {name}: ")
        except InvalidInput as error:
            said = [line.removeprefix(f"target {name}: ") for line in error.problems]  # an adapter may name it as well
            problems += [f"{_where(written, place, line)}: target {name}: {line}" for line in said]
    if problems:
        raise InvalidInput(*problems)
    return list(found.values())


def _own_place(target: Target, capabilities: Mapping[str, Capabilities]) -> tuple[str, ...] | None:
    """Give what no two targets may share: they would write over each other, or one would never be seen."""
    if target.adapter == "display":
        return ("secret", target.adapter, target.secret or "")
    holds_one = capabilities[target.adapter].holds_one
    return ("address", target.adapter, _same(target.address)) if holds_one else None


def _same(address: str) -> str:
    """Give an address as its like is written: names of hosts are of any case, what follows (an MQTT topic) is not."""
    scheme, found, rest = address.partition("://")
    host, slash, path = (rest if found else scheme).partition("/")
    return f"{scheme.lower() if found else ''}{found}{host.lower()}{slash}{path}"


def _where(written: Document, place: Place, line: str) -> str:
    """Find the line of a fault that names its field."""
    field = line.partition(":")[0]
    return written.at((*place, *field.split(".")))


def _target(
    entry: Any, base: Path, types: Mapping[str, AdapterType], capabilities: Mapping[str, Capabilities]
) -> Target:
    target = Target.model_validate(entry)
    if target.secret_file:
        target = target.model_copy(update={"secret_file": str((base / target.secret_file).resolve())})
    found = adapter_type(target.adapter, types)
    channels = capabilities[target.adapter].channels
    if target.channel not in channels:
        allowed = ", ".join(sorted(channels))
        raise InvalidInput(f"channel: {target.channel!r} is not what {target.adapter} drives; allowed: {allowed}")
    target = _with_font(with_secret(target), base)
    found.check_target(target)
    return target


def _with_font(target: Target, base: Path) -> Target:
    """Read the font of a board of pixels, and see that it has room for a line."""
    if target.sign is None or target.sign.height is None:
        return target
    try:
        font = load_font(base / target.sign.font if target.sign.font else OWN_FONT)
    except InvalidInput as error:
        raise InvalidInput(*(f"sign.font: {line}" for line in error.problems)) from None
    if target.sign.height < font.height:
        raise InvalidInput(f"sign.height: {target.sign.height} pixels; a line of this font needs {font.height}")
    return target.with_sign(target.sign.with_font(font))


def with_secret(target: Target) -> Target:
    """Resolve a target's secret from the environment or a file."""
    if target.secret_env and target.secret_file:
        raise InvalidInput("secret_env: stands beside secret_file; allowed: one of the two")
    if target.secret_env:
        secret = os.environ.get(target.secret_env, "").strip()
        if not secret:
            raise InvalidInput(f"secret_env: {target.secret_env} is not set; the environment must hold the secret")
        return target.with_secret(secret)
    if target.secret_file:
        try:
            return target.with_secret(Path(target.secret_file).read_text("utf-8").strip())
        except (OSError, UnicodeDecodeError):
            raise InvalidInput(f"secret_file: {target.secret_file} cannot be read") from None
    return target
