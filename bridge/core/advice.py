"""Advice on the text of an alert, for who writes it (R26). It never blocks: the original text goes, or nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from itertools import islice

from bridge.core.alert import Alert, Category, Info, Urgency
from bridge.core.targeting import goes_nowhere, place_of

PHONE_NUMBERS = ("112", "0900-8844", "0800-7000", "0800-6070", "+31 34 357 8844")
SHORTENERS = (
    *("bit.ly", "buff.ly", "cutt.ly", "goo.gl", "is.gd", "lnkd.in", "ow.ly", "rb.gy", "shorturl.at", "t.co", "t.ly"),
    *("tiny.cc", "tinyurl.com"),
)
# Guesses, and words that say something about a group of people instead of about the one who is sought.
WORDS = (
    *("vermoedelijk", "misschien", "waarschijnlijk", "buitenlands uiterlijk", "zuidelijk uiterlijk", "zigeuner"),
    *("junk", "allochtoon"),
)
# What nobody has to act on at once.
CALM = frozenset({Category.PREVENTION, Category.CAMPAIGN, Category.NEWSLETTER})
TEXTS, REMARKS = 8, 20  # of one alert, and of one text, that are looked at and told at most
LOUD = 20  # letters from which a text without small letters is taken for shouting


class Topic(StrEnum):
    """What a piece of advice is about."""

    INSTRUCTION = "instruction"
    EMERGENCY = "emergency"
    CAPITALS = "capitals"
    SHORTENER = "shortener"
    PHONE = "phone"
    WORD = "word"
    BOARDS = "boards"
    AREA = "area"


@dataclass(frozen=True, slots=True)
class Advice:
    """One piece of advice, in Dutch and English. ``language``: that of the text it is about; empty: of all."""

    topic: Topic
    nl: str
    en: str
    language: str = ""

    def say(self, language: str) -> str:
        """Say it in ``nl`` or ``en``, and which text it is about."""
        about = f"[{self.language}] " if self.language else ""
        return f"{about}{self.nl if language == 'nl' else self.en}"


_LOUD = Advice(Topic.CAPITALS, "alleen hoofdletters: dat leest slecht", "capitals only: hard to read")
_NO_INSTRUCTION = Advice(
    Topic.INSTRUCTION, "er staat niet wat mensen moeten doen", "it does not say what people should do"
)
_NO_EMERGENCY = Advice(Topic.EMERGENCY, "er staat niet dat mensen 112 moeten bellen", "it does not say to call 112")


@dataclass(frozen=True, slots=True)
class Advising:
    """What a municipality wants to be warned of: phone numbers that are not in its list, link shorteners, words."""

    phone_numbers: tuple[str, ...] = PHONE_NUMBERS
    words: tuple[str, ...] = WORDS
    shorteners: tuple[str, ...] = SHORTENERS


ADVISING = Advising()


def advise(alert: Alert, advising: Advising) -> tuple[Advice, ...]:
    """Advise on an alert's area and its texts; where there are several texts, each piece names its language."""
    several = len(alert.info) > 1
    on_texts = (
        replace(one, language=info.language) if several else one
        for info in alert.info[:TEXTS]  # an event must not cost seconds, nor a page of remarks
        for one in islice(_on_text(alert, info, advising), REMARKS)
    )
    return (*_on_area(alert), *on_texts)


def _on_area(alert: Alert) -> Iterator[Advice]:
    if goes_nowhere(alert):
        nl = "er staat geen gebied in de melding: zij gaat nergens heen"
        yield Advice(Topic.AREA, nl, "the alert has no area: it goes nowhere")
    elif place_of(alert.area).swapped:
        nl = "breedte en lengte van het gebied staan verwisseld; gelezen als breedte,lengte in Nederland"
        en = "latitude and longitude of the area are swapped; read as latitude,longitude in the Netherlands"
        yield Advice(Topic.AREA, nl, en)


def on_boards(fits: int, boards: int) -> tuple[Advice, ...]:
    """Advise when a text does not fit on all boards that may show it."""
    if fits >= boards:
        return ()
    nl = f"past op {fits} van {boards} borden; preview laat zien wat in te korten"
    en = f"fits on {fits} of {boards} boards; preview shows what to shorten"
    return (Advice(Topic.BOARDS, nl, en),)


def _on_text(alert: Alert, info: Info, advising: Advising) -> Iterator[Advice]:
    text = f"{info.headline}\n{info.original_text}"
    if alert.category not in CALM:
        yield from _on_call(alert, info)
    if _is_loud(info.original_text):
        yield _LOUD
    for host in _found(_hosts(advising.shorteners), text):
        nl = f"een verkorte link ({host}) laat niet zien waar hij heen gaat"
        yield Advice(Topic.SHORTENER, nl, f"a shortened link ({host}) does not show where it leads")
    for number in dict.fromkeys(" ".join(match[0].split()) for match in _PHONE.finditer(text)):
        if _digits(number) not in _dialled(advising.phone_numbers):
            nl = f"het nummer {number} staat niet in de lijst van bekende nummers: klopt het?"
            yield Advice(Topic.PHONE, nl, f"the number {number} is not in the list of known numbers: is it right?")
    for word in _found(_words(advising.words), text):
        nl = f"'{word}': noem feiten (kleding, lengte, voertuig, richting), geen vermoedens of groepen"
        yield Advice(Topic.WORD, nl, f"{word!r}: give facts (clothing, height, vehicle, way), no guesses or groups")


def _on_call(alert: Alert, info: Info) -> Iterator[Advice]:
    if not info.instruction.strip():
        yield _NO_INSTRUCTION
    is_acute = alert.urgency is not Urgency.PAST and alert.category is not Category.WITNESS_APPEAL
    if is_acute and not _EMERGENCY.search(info.original_text):
        yield _NO_EMERGENCY


_EMERGENCY = re.compile(r"(?<!\d)112(?!\d)")
_LINK = re.compile(r"\w[./@]\w")  # within a word that is written small by itself


def _is_loud(text: str) -> bool:
    words = (word for word in text.split() if not _LINK.search(word)) if _LINK.search(text) else text
    letters = "".join(filter(str.isalpha, "".join(words)))
    return len(letters) >= LOUD and not any(map(str.islower, letters))


# A Dutch number, or one from abroad: a 0 or + and at least seven more digits, with what people put between them.
_PHONE = re.compile(r"(?<![\w+])(?:\+|0)(?:[\s().-]{0,2}\d){7,14}(?!\d)", re.ASCII)


def _digits(number: str) -> str:
    """Give a number as it is dialled from abroad, so that it is the same however it is written."""
    digits = re.sub(r"[^\d+]", "", number)
    if digits.startswith("00"):
        digits = f"+{digits[2:]}"
    return f"+31{digits[1:]}" if digits.startswith("0") else digits


@lru_cache(maxsize=8)
def _dialled(numbers: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(_digits, numbers))


def _found(pattern: re.Pattern[str] | None, text: str) -> Iterable[str]:
    return dict.fromkeys(match[1].casefold() for match in pattern.finditer(text)) if pattern else ()


@lru_cache(maxsize=8)
def _hosts(names: tuple[str, ...]) -> re.Pattern[str] | None:
    return re.compile(rf"(?<![\w.-])(?:www\.)?({_any(names)})(?![\w-])(?!\.\w)", re.IGNORECASE) if names else None


@lru_cache(maxsize=8)
def _words(names: tuple[str, ...]) -> re.Pattern[str] | None:
    return re.compile(rf"(?<!\w)({_any(names)})(?!\w)", re.IGNORECASE) if names else None


def _any(names: tuple[str, ...]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
