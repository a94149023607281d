"""Advice on texts: each remark where it is due, none where it is not, and never a fault of its own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.advice import Advising, Topic, advise, on_boards
from tests.unit.samples import alert

GOOD = "Leiden: jongen (8) vermist. Rode jas, blauwe muts."


def topics(
    text: str, *, instruction: str = "Gezien? Bel 112.", advising: Advising | None = None, **more: Any
) -> list[str]:
    """Give what is remarked on a text."""
    info = {"language": "nl", "headline": "Vermist", "description": text, "instruction": instruction}
    return [one.topic.value for one in advise(alert(info=[info], **more), advising or Advising())]


def test_a_good_text_gets_no_remark() -> None:
    """The text of the guide is fine."""
    assert topics(GOOD) == []


@pytest.mark.parametrize(
    ("text", "instruction", "topic"),
    [
        (GOOD, "", "instruction"),
        (GOOD, "Gezien? Bel de politie.", "emergency"),
        (GOOD, "Gezien? Bel 1123.", "emergency"),
        ("LEIDEN: JONGEN VERMIST. RODE JAS. ZIE BIT.NL/KORT", "BEL 112", "capitals"),
        (f"{GOOD} Zie https://bit.ly/3xYz", "Bel 112", "shortener"),
        (f"{GOOD} Zie www.tinyurl.com/x.", "Bel 112", "shortener"),
        (GOOD, "Bel 112 of 071-5123456", "phone"),
        (GOOD, "Bel 112 of +31 6 12 34 56 78", "phone"),
        (f"{GOOD} Vermoedelijk verdwaald.", "Bel 112", "word"),
        (f"{GOOD} Man met Buitenlands Uiterlijk.", "Bel 112", "word"),
    ],
)
def test_each_remark_where_it_is_due(text: str, instruction: str, topic: str) -> None:
    """One fault gives one remark, of its own kind."""
    found = set(topics(text, instruction=instruction))
    assert topic in found
    assert found <= {topic, "emergency"}


@pytest.mark.parametrize(
    "text",
    [
        "Bel 0900-8844 of 0900 88 44, anoniem 0800-7000; uit het buitenland 0031 34 357 8844.",
        "Kenteken 12-ABC-3, om 10:15 uur, zaak 2026112200042, bus 0900.",
        "Zie politie.nl/vermist of bit.lyceum.nl; tot 2026-11-22T10:15:00.",
        "Een jonk, de allochtonenraad en het misschienloket.",
        "NOS, ANP en KLM: rood.",
    ],
)
def test_no_remark_where_none_is_due(text: str) -> None:
    """Known numbers however they are written, plates, times, other hosts, and longer words are no fault."""
    assert topics(f"{GOOD} {text}") == []


@pytest.mark.parametrize(
    ("more", "missing"),
    [
        ({"category": "newsletter"}, []),
        ({"category": "prevention"}, []),
        ({"category": "witness_appeal"}, ["instruction"]),
        ({"category": "burglary", "urgency": "Past"}, ["instruction"]),
        ({"category": "suspect"}, ["instruction", "emergency"]),
    ],
)
def test_who_need_not_call_is_not_asked_to(more: dict[str, str], missing: list[str]) -> None:
    """A newsletter asks nothing, an old burglary needs no 112."""
    assert topics(GOOD, instruction="", **more) == missing


def test_a_municipality_has_lists_of_its_own() -> None:
    """Other numbers, words and links; empty lists remark nothing."""
    text = f"{GOOD} Bel 14 071 of 071-5165165. Verward. Zie kort.nl/a"
    own = Advising(phone_numbers=("071 516 51 65",), words=("verward",), shorteners=("kort.nl",))
    assert topics(text, advising=own) == ["shortener", "word"]
    assert topics(text, advising=Advising((), (), ())) == ["phone"]


def test_each_text_is_named_where_there_are_several() -> None:
    """Of two languages the remark says which one it is about."""
    texts = [{"language": "nl", "description": GOOD, "instruction": "Bel 112"}, {"language": "en", "description": GOOD}]
    found = advise(alert(info=texts), Advising())
    assert [(one.topic, one.language) for one in found] == [(Topic.INSTRUCTION, "en"), (Topic.EMERGENCY, "en")]
    assert found[0].say("nl") == "[en] er staat niet wat mensen moeten doen"
    assert found[0].say("en") == "[en] it does not say what people should do"


def test_boards() -> None:
    """Only where the text does not fit everywhere."""
    assert on_boards(3, 3) == on_boards(0, 0) == ()
    assert on_boards(2, 3)[0].say("nl").startswith("past op 2 van 3 borden")


def test_a_long_text_in_a_hundred_languages_costs_little_and_says_little() -> None:
    """Nobody reads a thousand remarks, and no event may hold up the others."""
    text = "bel 071-5123456 of " + "071-51234" + " 071-5123".join(str(number) for number in range(10, 800))
    found = advise(alert(info=[{"description": text[:10_000], "instruction": "x"}] * 100), Advising())
    assert 8 <= len(found) <= 160


@given(st.text(min_size=1).filter(str.strip), st.text())
def test_no_text_breaks_it(text: str, instruction: str) -> None:
    """Whatever is written, advice is a few printable lines or none."""
    info = {"description": "".join(c for c in text if c.isprintable()).strip() or "x"}
    info["instruction"] = "".join(c for c in instruction if c.isprintable())
    for one in advise(alert(info=[info]), Advising()):
        assert one.say("nl")
        assert one.say("en")
