"""May it go there: invariants in code, then rules from ``rules.yaml``. Deny overrides, and the default is deny.

An ending passes no rule: nothing here is ever asked when something is taken away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from bridge.core.alert import Category, Language, Line, Status, Urgency
from bridge.core.target import Name, OwnerKind
from bridge.core.words import LANGUAGES, nearest

# R1: the only alerts a board may carry. A new category is not on it until someone puts it here.
BOARD_CATEGORIES = frozenset(
    {Category.AMBER_ALERT, Category.MISSING_CHILD_ALERT, Category.MISSING_CHILD, Category.MISSING_PERSON}
)
# R2: where a bystander could be next to the suspect.
NEVER_ON_A_BOARD = frozenset({Category.STREET_ROBBERY, Category.HOLD_UP})
# R7: government bodies and those with a public task.
PUBLIC_BODIES = frozenset(
    {OwnerKind.MUNICIPALITY, OwnerKind.POLICE, OwnerKind.SAFETY_REGION, OwnerKind.PUBLIC_TRANSPORT}
)
# R16: read at leisure, so the end of such a case is no news in a mailbox.
MAIL_ONLY = frozenset({Category.WITNESS_APPEAL, Category.PREVENTION, Category.CAMPAIGN, Category.NEWSLETTER})


class Reason(StrEnum):
    """Why a target gets an alert or not: one word for log, metric and screen."""

    ALLOWED = "allowed"
    BOARD_CATEGORY = "board_category"  # R1
    BOARD_ROBBERY = "board_robbery"  # R2
    BOARD_OWNER = "board_owner"  # R7
    STATUS = "status"
    RULE = "rule"
    NO_RULE = "no_rule"
    AREA = "area"
    NO_AREA = "no_area"
    LANGUAGE = "language"
    LAYOUT = "layout"  # R3
    TARGET_REMOVED = "target_removed"
    OPERATOR = "operator"
    ENDED = "ended"
    EXPIRED = "expired"
    WAITS = "waits"


WORDS: dict[Reason, dict[str, str]] = {
    Reason.ALLOWED: {"nl": "toegestaan door een regel", "en": "allowed by a rule"},
    Reason.BOARD_CATEGORY: {
        "nl": "borden en lichtkranten tonen alleen vermissingen (R1)",
        "en": "boards carry missing-person alerts only (R1)",
    },
    Reason.BOARD_ROBBERY: {
        "nl": "straatroof en overval komen nooit op een bord (R2)",
        "en": "street robbery and hold-up never go on a board (R2)",
    },
    Reason.BOARD_OWNER: {
        "nl": "borden zijn er alleen voor overheid en publieke taak (R7)",
        "en": "boards are for government bodies and public tasks only (R7)",
    },
    Reason.STATUS: {
        "nl": "dit doel neemt deze status (echt, oefening, test) niet aan",
        "en": "this target does not accept this status (actual, exercise, test)",
    },
    Reason.RULE: {"nl": "een regel verbiedt het", "en": "a rule denies it"},
    Reason.NO_RULE: {"nl": "geen regel staat het toe", "en": "no rule allows it"},
    Reason.AREA: {"nl": "ligt buiten het gebied van de melding", "en": "lies outside the alert's area"},
    Reason.NO_AREA: {
        "nl": "de melding heeft geen gebied en is niet landelijk",
        "en": "the alert has no area and is not national",
    },
    Reason.LANGUAGE: {"nl": "geen tekst in een taal van dit doel", "en": "no text in a language of this target"},
    Reason.LAYOUT: {"nl": "de tekst past niet volledig op dit bord", "en": "the text does not fit this board in full"},
    Reason.TARGET_REMOVED: {"nl": "het doel staat niet meer in de lijst", "en": "the target is no longer listed"},
    Reason.OPERATOR: {"nl": "weggehaald door een operator", "en": "taken away by an operator"},
    Reason.ENDED: {"nl": "de zaak is beëindigd", "en": "the case has ended"},
    Reason.EXPIRED: {"nl": "de geldigheid is verstreken", "en": "the alert has expired"},
    Reason.WAITS: {
        "nl": "wacht: het bord is vol met dringender zaken",
        "en": "waits: more pressing cases fill the board",
    },
}


# Which part of the bridge decides for each reason.
DECIDED_BY: dict[Reason, str] = {
    **dict.fromkeys((Reason.ALLOWED, Reason.RULE, Reason.NO_RULE), "rule"),
    **dict.fromkeys((Reason.BOARD_CATEGORY, Reason.BOARD_ROBBERY, Reason.BOARD_OWNER, Reason.STATUS), "invariant"),
    **dict.fromkeys((Reason.AREA, Reason.NO_AREA), "geography"),
    Reason.LANGUAGE: "language",
    **dict.fromkeys((Reason.LAYOUT, Reason.WAITS), "layout"),
    Reason.TARGET_REMOVED: "targets",
    Reason.OPERATOR: "operator",
    **dict.fromkeys((Reason.ENDED, Reason.EXPIRED), "case"),
}


@dataclass(frozen=True, slots=True)
class Facts:
    """The closed vocabulary: everything a rule may ask about an alert and a target."""

    channel: str
    board: bool
    owner: OwnerKind
    category: Category
    status: Status
    urgency: Urgency
    language: str
    photo: bool
    area: frozenset[str]
    accepts: tuple[Status, ...]


class RuleReason(BaseModel):
    """A rule's reason for people, Dutch and English."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    nl: Line
    en: Line


def _primary(language: str) -> str:
    """Read ``NL`` and ``nl-NL`` as ``nl``, like an alert's language: a spelling must not open what a rule closes."""
    primary = language.partition("-")[0].lower()
    if primary not in LANGUAGES:
        near = nearest(primary, sorted(LANGUAGES, key=lambda one: one not in ("nl", "de", "en", "fr")))
        raise ValueError(f"a language of ISO 639-1, like nl{f'; nearest: {near}' if near else ''}")
    return primary


AreaKind = Literal["circle", "polygon", "geocode", "none"]


class Rule(BaseModel):
    """One line of ``rules.yaml``; a list that is absent matches anything."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Name
    effect: Literal["allow", "deny"]
    channels: Annotated[tuple[Name, ...] | None, Field(strict=False)] = None
    categories: Annotated[tuple[Annotated[Category, Field(strict=False)], ...] | None, Field(strict=False)] = None
    statuses: Annotated[tuple[Annotated[Status, Field(strict=False)], ...] | None, Field(strict=False)] = None
    urgencies: Annotated[tuple[Annotated[Urgency, Field(strict=False)], ...] | None, Field(strict=False)] = None
    owners: Annotated[tuple[Annotated[OwnerKind, Field(strict=False)], ...] | None, Field(strict=False)] = None
    languages: Annotated[tuple[Annotated[Language, AfterValidator(_primary)], ...] | None, Field(strict=False)] = None
    photo: Annotated[tuple[bool, ...] | None, Field(strict=False)] = None
    area: Annotated[tuple[AreaKind, ...] | None, Field(strict=False)] = None
    serves: Annotated[tuple[Line, ...], Field(strict=False)] = ()
    reason: RuleReason

    def matches(self, facts: Facts) -> bool:
        """Tell whether every list that is given holds the fact."""
        asked = (
            (self.channels, facts.channel),
            (self.categories, facts.category),
            (self.statuses, facts.status),
            (self.urgencies, facts.urgency),
            (self.owners, facts.owner),
            (self.languages, facts.language),
            (self.photo, facts.photo),
        )
        if any(allowed is not None and fact not in allowed for allowed, fact in asked):
            return False
        return self.area is None or not facts.area.isdisjoint(self.area)


class RuleFile(BaseModel):
    """``rules.yaml``."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    rules: Annotated[tuple[Rule, ...], Field(strict=False)]


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict with its reason; ``rule`` names the rule that decided, ``detail`` adds what only this target knows."""

    allowed: bool
    reason: Reason
    rule: str = ""
    words: RuleReason | None = None
    detail: str = ""
    detail_nl: str = ""

    def explain(self, language: str = "nl") -> str:
        """Say the reason in words."""
        words = getattr(self.words, language) if self.words else WORDS[self.reason][language]
        detail = self.detail_nl if language == "nl" and self.detail_nl else self.detail
        return f"{words}: {detail}" if detail else words


def decide(facts: Facts, rules: Sequence[Rule]) -> Decision:
    """Judge one alert for one target: an invariant, else the first rule that denies, else the first that allows."""
    broken = broken_invariant(facts)
    if broken:
        return Decision(allowed=False, reason=broken)
    matching = [rule for rule in rules if rule.matches(facts)]
    for effect, reason in (("deny", Reason.RULE), ("allow", Reason.ALLOWED)):
        for rule in matching:
            if rule.effect == effect:
                return Decision(effect == "allow", reason, rule.name, rule.reason)
    return Decision(allowed=False, reason=Reason.NO_RULE)


def broken_invariant(facts: Facts) -> Reason | None:
    """Name the invariant that forbids it, if one does; no configuration can switch these off."""
    if facts.status not in facts.accepts:
        return Reason.STATUS
    if not facts.board:
        return None
    if facts.category in NEVER_ON_A_BOARD:
        return Reason.BOARD_ROBBERY
    if facts.category not in BOARD_CATEGORIES:
        return Reason.BOARD_CATEGORY
    return None if facts.owner in PUBLIC_BODIES else Reason.BOARD_OWNER
