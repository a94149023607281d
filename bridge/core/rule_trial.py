"""Tests of the rules as data (``rules.test.yaml``): an event, a target, and what must become of it on each channel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from bridge.core import rule_words
from bridge.core.alert import Alert, Line
from bridge.core.asking import ask
from bridge.core.content import Photo, Words
from bridge.core.events import Opened
from bridge.core.planning import PhotoState, Policy
from bridge.core.posting import Capabilities
from bridge.core.rules import Decision, Rule
from bridge.core.target import Name, Target

# What an event and a target of a test are where it says nothing else.
USUAL_EVENT: Mapping[str, Any] = {
    "urgency": "Immediate",
    "info": [{"language": "nl", "description": "Proef."}],
    "area": {"circle": ["52.100,5.200 1.0"]},
}
USUAL_TARGET: Mapping[str, Any] = {"address": "test", "owner": {"kind": "municipality"}}
USUAL_SIGN: Mapping[str, Any] = {"columns": 500, "rows": 100, "pages": 100, "photo": True}
_WHEN = datetime(2026, 1, 1, tzinfo=UTC)
_FOR = timedelta(days=1)


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _short(value: Any) -> Any:
    return {"verdict": value} if isinstance(value, str) else value


class Expected(_Strict):
    """What must come out: the verdict, the rule or reason that decides, and whether the photo goes too."""

    verdict: Literal["allow", "deny"]
    by: Name | None = None
    photo: bool | None = None


class Trial(_Strict):
    """One test; ``event`` and ``target`` say what differs from the usual ones."""

    name: Line
    serves: tuple[Line, ...] = Field((), strict=False)
    event: dict[str, Any]
    target: dict[str, Any] = {}
    expect: dict[Name, Annotated[Expected, BeforeValidator(_short)]] = Field(min_length=1)


class TrialFile(_Strict):
    """``rules.test.yaml``."""

    tests: tuple[Trial, ...] = Field(strict=False)


@dataclass(frozen=True, slots=True)
class Failed:
    """A channel on which something else came out."""

    channel: str
    expected: Expected
    decision: Decision
    pictured: bool

    def lines(self) -> tuple[str, str]:
        """Say what was expected and what is, with as many parts as were expected."""
        named, seen = self.expected.by is not None, self.expected.photo is not None
        wanted = _line(self.expected.verdict, self.expected.by if named else "", self.expected.photo if seen else None)
        verdict = "allow" if self.decision.allowed else "deny"
        return wanted, _line(verdict, _by(self.decision), self.pictured if seen else None)


def _line(verdict: str, by: str | None, photo: bool | None) -> str:
    pictured = "" if photo is None else f" {'with' if photo else 'without'} photo"
    return f"{verdict}{f' by {by}' if by else ''}{pictured}"


def _by(decision: Decision) -> str:
    return decision.rule or decision.reason.value


class _Plain:
    """Words without a template: what is tested here is where they go."""

    def render(self, channel: str, words: Words) -> tuple[str, str]:  # noqa: ARG002 - the same for every channel
        return words.description, ""


def read_alert(trial: Trial) -> Alert:
    """Make the alert of a test; pydantic's ``ValidationError`` names what is wrong with it."""
    return Alert.model_validate({**USUAL_EVENT, **trial.event})


def read_target(trial: Trial, channel: str, adapters: Mapping[str, Capabilities]) -> Target:
    """Make the target of a test for a channel that some adapter drives."""
    driving = {name: can for name, can in adapters.items() if channel in can.channels}
    adapter = max(driving, key=lambda name: driving[name].board)
    sign = {"sign": USUAL_SIGN} if driving[adapter].board else {}
    return Target.model_validate(
        {"id": channel, "channel": channel, "adapter": adapter, **USUAL_TARGET, **sign, **trial.target}
    )


def run(trial: Trial, rules: Sequence[Rule], adapters: Mapping[str, Capabilities]) -> list[Failed]:
    """Decide what a test asks, as a real event is decided; give each channel where something else comes out."""
    alert = read_alert(trial)
    targets = [read_target(trial, channel, adapters) for channel in trial.expect]
    event = Opened(
        specversion="1.0",
        id="test",
        source="test",
        subject="test",
        time=_WHEN,
        type="nl.burgernet.alert.opened",
        data=alert,
    )
    photo = PhotoState(ready=Photo("test")) if alert.photo else PhotoState()
    answer = ask(Policy(targets, rules, adapters, _Plain()), event, _WHEN, _FOR, photo)
    failed = []
    for (channel, expected), target, one in zip(trial.expect.items(), targets, answer.judged, strict=True):
        found = Failed(channel, expected, one.decision, target.id in answer.pictured)
        right = one.decision.allowed == (expected.verdict == "allow") and expected.by in (None, _by(one.decision))
        if not right or expected.photo not in (None, found.pictured):
            failed.append(found)
    return failed


def uncovered(tests: Iterable[Trial], rules: Iterable[Rule]) -> list[str]:
    """Name the agreements that rules and invariants serve, and no test proves."""
    served = {number for rule in rules for number in rule.serves}
    served |= {number for numbers in rule_words.SERVES.values() for number in numbers}
    return sorted(served - {number for test in tests for number in test.serves}, key=lambda one: (len(one), one))
