"""The matrix as data: rows of cells, the columns that can be told apart, and a numbered list of what decides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.core import rule_words
from bridge.core.alert import Category
from bridge.core.rule_matrix import Cell, Matrix, Verdict, matrix
from bridge.core.rule_space import Channel, Decider, Space
from bridge.core.rules import Reason
from bridge.core.target import OwnerKind
from bridge.rulebook.words import WORDS


@dataclass(frozen=True)
class Column:
    """Channels and kinds of owner for which every category is decided alike."""

    channels: tuple[Channel, ...]
    owners: tuple[OwnerKind, ...]


class Report:
    """The matrix in one language; ``findings`` are the mistakes that the checker found."""

    def __init__(self, space: Space, findings: Sequence[str], language: str) -> None:
        self.language = language
        self.findings = tuple(findings)
        self.cells: Matrix = matrix(space)
        self.channels = space.channels
        shown = {_key(one) for cell in self.cells.values() for one in (cell.usual, *cell.others)}
        self.deciders = [one for one in space.deciders if _key(one) in shown]
        self.numbers = {_key(one): number for number, one in enumerate(self.deciders, 1)}
        self.columns = self._columns()

    def _columns(self) -> list[Column]:
        """Put together what is decided alike: the owners of each channel, then channels with the same owners."""
        alike: dict[tuple[Any, ...], list[Channel]] = defaultdict(list)
        for channel in self.channels:
            owners: dict[tuple[Any, ...], list[OwnerKind]] = defaultdict(list)
            for owner in OwnerKind:
                owners[tuple(self._mark(self.cells[channel, owner, one]) for one in Category)].append(owner)
            for marks, same in owners.items():
                alike[marks, tuple(same)].append(channel)
        return [Column(tuple(channels), owners) for (_, owners), channels in alike.items()]

    def _mark(self, cell: Cell) -> tuple[Any, ...]:
        return cell.verdict, _key(cell.usual), tuple(_key(one) for one in cell.others)

    def at(self, column: Column, category: Category) -> Cell:
        """Give a cell."""
        return self.cells[column.channels[0], column.owners[0], category]

    def number(self, decider: Decider) -> int:
        """Give the number under which the list has it."""
        return self.numbers[_key(decider)]

    def note(self, cell: Cell) -> str:
        """Say on which facts a cell hangs (urgency, photo, area, language, status), or what becomes of the photo."""
        if not cell.others:
            return ""
        words = WORDS[self.language]
        if cell.verdict is Verdict.ALLOW and any(not self._said(one)["when"] for one in cell.others):
            return words["no_photo"]
        besides = "photo" if cell.verdict is Verdict.ALLOW else ""
        deciding = (cell.usual, *cell.others)
        found = [word for one in deciding for word in rule_words.hangs_on(one.rule, self.language, besides)]
        what = words["photo_hangs_on" if besides else "hangs_on"]
        return f"{what} {', '.join(dict.fromkeys(found))}"

    def label(self, channel: Channel) -> str:
        """Name a channel; one that both a board and something else can drive is two."""
        word = rule_words.channel(channel.name, self.language)
        twice = [one.name for one in self.channels].count(channel.name) > 1
        return f"{word} (bord)" if twice and channel.board else word

    def listed(self) -> list[dict[str, Any]]:
        """Give what decides, by number: name, what it says, when, why, and the agreements that it serves."""
        return [
            {
                "number": number,
                "name": _name(one),
                "kind": "rule" if one.rule else "default" if one.decision.reason is Reason.NO_RULE else "invariant",
                **self._said(one),
                "serves": list(one.rule.serves if one.rule else rule_words.SERVES.get(one.decision.reason, ())),
            }
            for number, one in enumerate(self.deciders, 1)
        ]

    def _said(self, one: Decider) -> dict[str, Any]:
        """Say what a decider says, in which cases, and why; ``photo_only``: the alert goes without its photo."""
        photo_only = bool(one.rule and one.rule.photo == (True,) and not one.decision.allowed)
        return {
            "allowed": one.decision.allowed,
            "photo_only": photo_only,
            "when": rule_words.when(one.rule, self.language, "photo" if photo_only else ""),
            "reason": one.decision.explain(self.language),
        }

    def data(self) -> dict[str, Any]:
        """Give everything, as JSON has it; ``matrix`` has a row for each category, with channels and their owners."""
        rows = [self._row(category) for category in Category]
        return {"matrix": rows, "deciders": self.listed(), "findings": self.findings}

    def _row(self, category: Category) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for channel in self.channels:
            owners = {owner.value: self.cell(self.cells[channel, owner, category]) for owner in OwnerKind}
            name = f"{channel.name} (board)" if channel.name in found else channel.name
            found[name] = {**owners[OwnerKind.MUNICIPALITY], "owners": owners}
        return {"category": category.value, "channels": found}

    def cell(self, cell: Cell) -> dict[str, Any]:
        """Give one cell in words."""
        usual = cell.usual.decision
        others = [{"by": _name(one), **self._said(one)} for one in cell.others]
        verdict: Mapping[str, Any] = {"allowed": usual.allowed, "verdict": cell.verdict.value}
        return {**verdict, "by": _name(cell.usual), "reason": usual.explain(self.language), "hangs_on": others}


def _key(decider: Decider) -> tuple[Reason, str]:
    return decider.decision.reason, decider.decision.rule


def _name(decider: Decider) -> str:
    return decider.decision.rule or decider.decision.reason.value


__all__ = ["Column", "Report", "Verdict"]
