"""Reads what decides: targets, rules and templates, checked as a whole, every fault at once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bridge.adapters.registry import AdapterConfig, AdapterType, adapter_type
from bridge.core.errors import InvalidInput
from bridge.core.events import explain
from bridge.core.planning import Policy
from bridge.core.posting import Capabilities
from bridge.core.rules import RuleFile
from bridge.core.target import Target
from bridge.rendering import Templates
from bridge.settings import Loaded, read_yaml

PACKAGED = Path(__file__).parent / "defaults"


@dataclass(frozen=True)
class Configured:
    """The policy, its templates, and its targets by their digests."""

    policy: Policy
    templates: Templates
    by_digest: Mapping[str, Target]


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
    rules = _collect(problems, lambda: load_rules(loaded), RuleFile(rules=()))
    templates = _collect(problems, lambda: Templates(_templates_path(loaded)), None)
    if problems or templates is None:
        raise InvalidInput(*problems)
    by_digest = {target.digest: target for target in targets}
    parts = [rules.model_dump_json(), templates.digest, *sorted(by_digest)]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return Configured(Policy(targets, rules.rules, capabilities, templates, digest), templates, by_digest)


def _collect(problems: list[str], read: Any, otherwise: Any) -> Any:
    try:
        return read()
    except InvalidInput as error:
        problems += error.problems
        return otherwise


def _templates_path(loaded: Loaded) -> Path:
    return loaded.path(loaded.settings.templates) if loaded.settings.templates else PACKAGED / "templates"


def load_rules(loaded: Loaded) -> RuleFile:
    """Read ``rules.yaml``; raise ``InvalidInput`` with every fault."""
    path = loaded.path(loaded.settings.rules) if loaded.settings.rules else PACKAGED / "rules.yaml"
    try:
        found = RuleFile.model_validate(read_yaml(path) or {})
    except ValidationError as error:
        raise InvalidInput(*(f"{path}: {line}" for line in explain(error))) from None
    names = [rule.name for rule in found.rules]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInput(
            *(f"{path}: rules: the name {name!r} stands twice; every rule has its own" for name in twice)
        )
    return found


def load_targets(
    loaded: Loaded, types: Mapping[str, AdapterType], capabilities: Mapping[str, Capabilities]
) -> list[Target]:
    """Read ``targets.yaml``, with secrets resolved and every address checked by its adapter."""
    if not loaded.settings.targets:
        return []
    path = loaded.path(loaded.settings.targets)
    listed = read_yaml(path)
    if not isinstance(listed, dict) or set(listed) != {"targets"} or not isinstance(listed["targets"] or [], list):
        raise InvalidInput(f"{path}: allowed: one list called targets")
    problems: list[str] = []
    found: dict[str, Target] = {}
    for number, entry in enumerate(listed.get("targets") or []):
        name = entry.get("id", number) if isinstance(entry, dict) else number
        try:
            target = _target(entry, path.parent, types, capabilities)
            if found.setdefault(target.id, target) is not target:
                problems.append(f"{path}: target {name}: id: stands twice; every target has its own")
        except ValidationError as error:
            problems += [f"{path}: target {name}: {line}" for line in explain(error)]
        except InvalidInput as error:
            problems += [f"{path}: target {name}: {line}" for line in error.problems]
    if problems:
        raise InvalidInput(*problems)
    return list(found.values())


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
    target = with_secret(target)
    found.check_target(target)
    return target


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
