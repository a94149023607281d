"""Reads ``rules.test.yaml`` and plays it; every fault has its file and line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bridge.core import rule_trial
from bridge.core.alert import Alert, Category
from bridge.core.errors import InvalidInput
from bridge.core.posting import Capabilities
from bridge.core.rule_trial import Failed, Trial, TrialFile
from bridge.core.rules import Rule
from bridge.core.target import Target
from bridge.core.words import nearest
from bridge.files import Document, read_document

_ALIKE = 0.75  # of a category that is taken for a slip of the pen; any other unknown word is meant


@dataclass(frozen=True)
class Played:
    """A test, where it stands, and what came out otherwise: nothing, if all is well."""

    trial: Trial
    at: str
    failed: Sequence[Failed]

    def problems(self) -> Iterator[str]:
        """Say each failure in one line."""
        for one in self.failed:
            wanted, found = one.lines()
            yield f"{self.at}: test {self.trial.name!r}: {one.channel}: expected {wanted}; found {found}"


def trials_path(rules: Path) -> Path:
    """Find the tests of a rule file: beside it, ``rules.test.yaml`` for ``rules.yaml``."""
    return rules.with_name(f"{rules.stem}.test{rules.suffix}")


def load_tests(path: Path, adapters: Mapping[str, Capabilities]) -> tuple[Document, TrialFile]:
    """Read the tests; raise ``InvalidInput`` with every fault."""
    written = read_document(path)
    try:
        found = TrialFile.model_validate(written.value or {})
    except ValidationError as error:
        raise InvalidInput(*written.faults(error, TrialFile)) from None
    problems = [line for at, test in enumerate(found.tests) for line in _faults(written, at, test, adapters)]
    if problems:
        raise InvalidInput(*problems)
    return written, found


def _faults(written: Document, at: int, test: Trial, adapters: Mapping[str, Capabilities]) -> Iterator[str]:
    place = ("tests", at)
    who = f"test {test.name}: "
    known = sorted({name for can in adapters.values() for name in can.channels})
    for channel in test.expect:
        if channel not in known:
            near = nearest(channel, known)
            what = f"expect: {channel!r} is not allowed; allowed: {', '.join(known)}{near and f'; nearest: {near}'}"
            yield f"{written.at((*place, 'expect', channel))}: {who}{what}"
    for key, word in _slips(test.event):
        yield f"{written.at((*place, 'event', key))}: {who}event.{key}{word}"
    try:
        rule_trial.read_alert(test)
    except ValidationError as error:
        yield from written.faults(error, Alert, (*place, "event"), f"{who}event.")
    for key in sorted({"id", "channel", "adapter"} & set(test.target)):
        yield f"{written.at((*place, 'target', key))}: {who}target.{key}: is not allowed; each channel gives its own"
    try:
        for channel in set(test.expect) & set(known):
            rule_trial.read_target(test, channel, adapters)
    except ValidationError as error:
        yield from written.faults(error, Target, (*place, "target"), f"{who}target.")


def _slips(event: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Find what an alert would take as it is, and a test surely does not mean: unknown keys, misspelt categories."""
    for key in event:
        if key not in Alert.model_fields:
            near = nearest(key, Alert.model_fields)
            yield key, f": is not a known key{near and f'; nearest: {near}'}"
    category = event.get("category")
    if isinstance(category, str) and category not in set(Category) and len(category) <= 60:
        for near in get_close_matches(category, list(Category), n=1, cutoff=_ALIKE):
            yield (
                "category",
                f": {category!r} is not a known category; nearest: {near}; another word is read as 'other'",
            )


def play(
    written: Document, found: TrialFile, rules: Sequence[Rule], adapters: Mapping[str, Capabilities]
) -> list[Played]:
    """Play every test."""
    return [
        Played(test, written.at(("tests", at)), rule_trial.run(test, rules, adapters))
        for at, test in enumerate(found.tests)
    ]
