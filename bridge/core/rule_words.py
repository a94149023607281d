"""The vocabulary of the rules in words, Dutch and English, for people who have to sign."""

from __future__ import annotations

from bridge.core.rule_matrix import HANGS_ON
from bridge.core.rules import Reason, Rule

_CATEGORIES = {
    "amber_alert": "AMBER Alert",
    "missing_child_alert": "Vermist Kind Alert|Missing Child Alert",
    "missing_child": "vermist kind (lokaal)|missing child (local)",
    "missing_person": "vermiste persoon|missing person",
    "confused_person": "verward persoon|confused person",
    "wanted_person": "gezochte persoon|wanted person",
    "suspect": "verdachte|suspect",
    "witness_appeal": "getuigenoproep|appeal for witnesses",
    "burglary": "woninginbraak|burglary",
    "attempted_burglary": "poging tot inbraak|attempted burglary",
    "doorstep_scam": "babbeltruc|doorstep scam",
    "street_robbery": "straatroof|street robbery",
    "hold_up": "overval|hold-up",
    "vehicle_theft": "autodiefstal|vehicle theft",
    "bicycle_theft": "fietsdiefstal|bicycle theft",
    "vandalism": "vernieling|vandalism",
    "hit_and_run": "doorrijden na ongeval|hit and run",
    "violence": "geweld|violence",
    "fire": "brand|fire",
    "hazard": "gevaar|hazard",
    "drugs": "drugs",
    "nuisance": "overlast|nuisance",
    "prevention": "preventie|prevention",
    "campaign": "campagne|campaign",
    "newsletter": "nieuwsbrief|newsletter",
    "other": "al het andere|anything else",
}
_OWNERS = {
    "municipality": "gemeente|municipality",
    "police": "politie|police",
    "safety_region": "veiligheidsregio|safety region",
    "public_transport": "openbaar vervoer|public transport",
    "citizen": "burger|citizen",
    "commercial": "commercieel|commercial",
}
_CHANNELS = {
    "sign": "matrixbord|matrix board",
    "display": "lichtkrant of halte|text display",
    "email": "mail|e-mail",
    "facebook": "Facebook",
    "outbox": "beheerder van een groep|group admin",
}
_VALUES = {
    "Actual": "echt|actual",
    "Exercise": "oefening|exercise",
    "Test": "test",
    "Immediate": "nu|immediate",
    "Expected": "binnenkort|expected",
    "Future": "later|future",
    "Past": "voorbij|past",
    "Unknown": "onbekend|unknown",
    "True": "met foto|with a photo",
    "False": "zonder foto|without a photo",
    "circle": "cirkel|circle",
    "polygon": "veelhoek|polygon",
    "geocode": "code",
    "none": "zonder gebied|without an area",
    "nl": "Nederlands|Dutch",
    "de": "Duits|German",
    "en": "Engels|English",
    "fr": "Frans|French",
}
_FACTS = {
    "statuses": "status",
    "urgencies": "urgentie|urgency",
    "languages": "taal|language",
    "photo": "foto|photo",
    "area": "gebied|area",
}
# The agreements that an invariant serves.
SERVES = {Reason.BOARD_CATEGORY: ("R1",), Reason.BOARD_ROBBERY: ("R2",), Reason.BOARD_OWNER: ("R7",)}


def _say(words: dict[str, str], word: str, language: str) -> str:
    dutch, _, english = words.get(word, word).partition("|")
    return english or dutch if language == "en" else dutch


def category(word: str, language: str) -> str:
    """Name a kind of case."""
    return _say(_CATEGORIES, word, language)


def owner(word: str, language: str) -> str:
    """Name a kind of owner."""
    return _say(_OWNERS, word, language)


def channel(word: str, language: str) -> str:
    """Name a channel; one that came with a plug-in has its own name."""
    return _say(_CHANNELS, word, language)


def hangs_on(rule: Rule | None, language: str, besides: str = "") -> list[str]:
    """Name what a rule asks about in a cell, ``besides`` one of its lists: urgency, photo, area, language, status."""
    asked = [name for name in HANGS_ON if rule and name != besides and getattr(rule, name) is not None]
    return [_say(_FACTS, name, language) for name in asked]


def when(rule: Rule | None, language: str, besides: str = "") -> str:
    """Say in which cases of a cell a rule speaks, ``besides`` one of its lists; empty: in all of them."""
    parts = []
    for name in [one for one in HANGS_ON if one != besides]:
        values = None if rule is None else getattr(rule, name)
        if values is not None:
            said = _either([_say(_VALUES, str(value), language) for value in values], language)
            parts.append(said if name == "photo" else f"{_say(_FACTS, name, language)} {said}")
    return ", ".join(parts)


def _either(words: list[str], language: str) -> str:
    *most, last = words or ["–"]
    return f"{', '.join(most)} {'or' if language == 'en' else 'of'} {last}" if most else last
