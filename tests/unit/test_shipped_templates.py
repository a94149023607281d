"""The templates that come with the bridge say what the rules ask, in every language, whatever the category."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from bridge.core.alert import Category, Outcome
from bridge.core.content import MARKS, Phase, message
from bridge.rendering import Templates
from tests.unit.test_rendering import CHANNELS, ENDED, LANGUAGES, OPENED, SHIPPED


@pytest.fixture(scope="module")
def shipped() -> Templates:
    """Give the templates of ``config/``."""
    return Templates(SHIPPED)


SPEAKS = {"nl": "Bericht van", "en": "Message from", "de": "Nachricht von", "fr": "Message de"}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("status", MARKS.values())
def test_an_admin_hears_who_speaks_what_is_asked_and_whom_to_call(
    shipped: Templates, language: str, status: str
) -> None:
    """Whatever the category and the moment: the sender first (after OEFENING), the text whole, 112 and 0900-8844 last."""
    moments = [OPENED, replace(OPENED, phase=Phase.UPDATED), *(replace(ENDED, outcome=one) for one in Outcome)]
    for words, category, sender in product(moments, Category, ("Meldkamer Den Haag", "")):
        asked = replace(words, language=language, category=category, mark=status, sender=sender)
        text = message("outbox", asked, shipped, 1).text
        first, second, *_ = (line for line in text.splitlines() if line)
        assert (second if status else first).startswith(f"{SPEAKS[language]} {sender or 'Burgernet'}")
        assert not status or first.startswith(status)
        assert asked.description in text
        assert asked.instruction in text
        last = text.splitlines()[-1]
        assert "112" in last
        assert "0900-8844" in last
        assert "WhatsApp" in last


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("channel", CHANNELS)
def test_an_outcome_thanks(shipped: Templates, language: str, channel: str) -> None:
    """Resolved, without result or withdrawn: people are thanked, whatever it was about (R9, R18)."""
    thanks = {"nl": "Bedankt voor uw", "en": "Thank you for your", "de": "Vielen Dank für Ihre", "fr": "Merci de votre"}
    for category, outcome in product(Category, Outcome):
        words = replace(ENDED, language=language, category=category, outcome=outcome)
        text, html = shipped.render(channel, words)
        assert thanks[language] in text
        assert not html or thanks[language] in html
