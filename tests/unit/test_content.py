"""What is shown: the words of an alert, the admins' line that nobody can leave out, and names that say the same."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.alert import Category, Ending, Outcome, Status, choose
from bridge.core.case import Case
from bridge.core.content import (
    ADMIN_CHANNELS,
    R8_LINES,
    Content,
    Phase,
    Photo,
    Words,
    board,
    content_id,
    dump,
    ending_words,
    load,
    message,
    one_line,
    words_of,
)
from bridge.core.layout import DoesNotFit
from bridge.core.target import Sign
from tests.unit.samples import HEADLINE, NOW, ORIGINAL, alert

PHOTO = Photo("d" * 64, description="Jongen, rode jas", data=b"\xff\xd8")
CASE = Case("2026112200042", revision=3, expires=NOW)


class Plain:
    """A renderer that writes every word it was given."""

    def __init__(self, text: str = "{channel} {words}", html: str = "") -> None:
        self._text, self._html = text, html

    def render(self, channel: str, words: Words) -> tuple[str, str]:
        """Write the words."""
        return self._text.format(channel=channel, words=words), self._html


def infos(*languages: str) -> list[dict[str, str]]:
    """Give one text a language."""
    return [{"language": language, "headline": f"kop {language}", "description": language} for language in languages]


contents = st.builds(
    Content,
    case=st.text(),
    revision=st.integers(0, 2**31),
    phase=st.sampled_from(Phase),
    language=st.text(),
    subject=st.text(),
    text=st.text(),
    html=st.text(),
    pages=st.lists(st.lists(st.text()).map(tuple)).map(tuple),
    exercise=st.booleans(),
    expires=st.none() | st.floats(1, 1e12),
    photo=st.none() | st.builds(Photo, st.text(), st.text(), st.text(), st.just(b"")),
)


@given(contents)
@settings(deadline=None)
def test_a_content_survives_the_store(content: Content) -> None:
    """Written and read again it is the same, and its name with it; the row is plain ASCII."""
    assert load(dump(content)) == content
    assert content_id(load(dump(content))) == content_id(content)
    assert dump(content).isascii()


def test_neither_bytes_nor_the_time_of_one_delivery_are_stored() -> None:
    """The photo's bytes stand elsewhere (and are erased there), and a lease is new with each delivery."""
    content = Content("c", 1, Phase.OPENED, "nl", "kop", "tekst", photo=PHOTO, valid_until=datetime.now(UTC))
    assert load(dump(content)) == replace(content, photo=replace(PHOTO, data=b""), valid_until=None)
    assert content_id(content) == content_id(replace(content, valid_until=None))
    assert not {"valid_until", "data"} & {*json.loads(dump(content)), *json.loads(dump(content))["photo"]}


@given(contents, contents)
@settings(deadline=None)
def test_contents_share_a_name_only_when_they_say_the_same(one: Content, other: Content) -> None:
    """The name is the content: whatever differs to a reader differs in the name."""
    assert (content_id(one) == content_id(other)) == (one == other)


STATUSES = {Status.ACTUAL: "", Status.EXERCISE: "OEFENING", Status.TEST: "TEST"}
LANGUAGES = ("nl", "nl-NL", "NL", "en", "de", "fr", "pl", "en-GB")


@pytest.mark.parametrize("template", ["", "tekst", "tekst\n\n\n", "{words.headline}"])
def test_every_message_to_admins_says_what_to_do(template: str) -> None:
    """R8: the line stands in every outbox message of any phase, status, outcome and language, whatever the template."""
    assert {"outbox"} == ADMIN_CHANNELS
    renderer = Plain(template)
    for language, status, outcome in product(LANGUAGES, Status, Outcome):
        sent = alert(info=infos(language), status=status.value)
        opened = words_of("c", Phase.OPENED, sent, sent.info[0], photo=False)
        texts = [
            message("outbox", opened, renderer, 1).text,
            message("outbox", replace(opened, phase=Phase.UPDATED), renderer, 2).text,
            message("outbox", ending_words("c", sent, Ending(outcome=outcome), language), renderer, 3).text,
        ]
        for text in texts:
            assert text.splitlines()[-1] == R8_LINES.get(language.split("-")[0].lower(), R8_LINES["nl"])


def test_the_admins_line_names_both_numbers_in_every_language() -> None:
    """112, the number for what can wait, and WhatsApp: in each language that we have."""
    for line in R8_LINES.values():
        assert "112" in line
        assert "0900-8844" in line
        assert "WhatsApp" in line


def test_other_channels_do_not_get_the_admins_line() -> None:
    """A mail or a post says what its template says, to the letter."""
    opened = words_of("c", Phase.OPENED, alert(), alert().info[0], photo=True)
    for channel in ("email", "facebook", "sign"):
        assert message(channel, opened, Plain("x\n", "<p>"), 1).text == "x\n"
        assert message(channel, opened, Plain("x\n", "<p>"), 1).html == "<p>"


@pytest.mark.parametrize(("status", "mark"), STATUSES.items())
def test_an_exercise_is_marked_in_words_subject_and_content(status: Status, mark: str) -> None:
    """Nobody takes an exercise or a test for the real thing: not in the subject, not on a board, not at the end."""
    sent = alert(status=status.value)
    for words in (
        words_of("c", Phase.OPENED, sent, sent.info[0], photo=False),
        ending_words("c", sent, Ending(outcome=Outcome.RESOLVED), "nl"),
    ):
        made = message("email", words, Plain(), 1)
        assert (words.mark, made.exercise) == (mark, bool(mark))
        assert made.subject == (f"{mark}: {HEADLINE}" if mark else HEADLINE)
    shown = board(CASE, sent, sent.info[0], Sign(columns=20, rows=8, pages=3), None)
    assert shown.exercise == bool(mark)
    assert shown.pages[0] == ((mark,) if mark else shown.pages[0])


def test_a_board_shows_the_original_text_to_the_letter() -> None:
    """R3: description and instruction as they were sent, laid out whole; the expiry goes with it; no template."""
    sent = alert()
    made = board(CASE, sent, sent.info[0], Sign(columns=20, rows=5, pages=3), None)
    assert made.text == f"{ORIGINAL}\nGezien? Bel 112."
    assert " ".join(line for page in made.pages for line in page) == one_line(made.text)
    assert (made.case, made.revision, made.expires, made.language) == (CASE.id, 3, NOW.timestamp(), "nl")
    assert board(replace(CASE, expires=None), sent, sent.info[0], Sign(columns=20, pages=9), None).expires is None
    with pytest.raises(DoesNotFit):
        board(CASE, sent, sent.info[0], Sign(columns=20, rows=1, pages=1), None)


@pytest.mark.parametrize("can_show", [False, True])
def test_a_matrix_board_gets_no_photo(can_show: bool) -> None:
    """R6: a text display may show the picture, a matrix board cannot."""
    sign = Sign(columns=40, rows=8, pages=3, photo=can_show)
    assert board(CASE, alert(), alert().info[0], sign, PHOTO).photo == (PHOTO if can_show else None)


def test_an_ending_tells_the_outcome_under_the_alerts_headline() -> None:
    """People know which alert it was; the text of the ending is told when there is one in their language; no photo."""
    sent = alert(info=infos("nl", "de"))
    told = Ending.model_validate({"outcome": "unresolved", "info": [{"language": "de", "description": "Beendet."}]})
    german = ending_words("c", sent, told, "de")
    assert (german.headline, german.description, german.outcome) == ("kop de", "Beendet.", "unresolved")
    dutch = ending_words("c", sent, told, "nl")
    assert (dutch.headline, dutch.description, dutch.outcome, dutch.photo) == ("kop nl", "", "unresolved", False)
    assert ending_words("c", sent, told, "fr").headline == "kop nl"
    assert german.phase is Phase.ENDED


def test_a_headline_is_always_one_line_and_never_missing() -> None:
    """Without a headline the first words of the text stand in; line breaks cannot get into a subject."""
    sent = alert(info=[{"headline": " a\r\nBcc: x@y.nl ", "description": "x"}])
    words = words_of("c", Phase.OPENED, sent, sent.info[0], photo=False)
    assert words.headline == "a Bcc: x@y.nl"
    bare = alert(info=[{"description": "Eerste regel\ntweede " + "x" * 200}])
    made = message("email", words_of("c", Phase.OPENED, bare, bare.info[0], photo=False), Plain(), 1)
    assert made.subject.startswith("Eerste regel tweede x")
    assert len(made.subject) == 80
    long = alert(info=[{"headline": "x" * 10_000, "description": "x"}], status="Exercise")
    made = message("email", words_of("c", Phase.OPENED, long, long.info[0], photo=False), Plain(), 1)
    assert len(made.subject) == 200


def test_words_carry_the_alert_and_nothing_else() -> None:
    """A template sees the category by its own name (an unknown one as *other*), the sender, and the area in words."""
    sent = alert(category="kat_vermist", senderName=" Meldkamer\nDen Haag ")
    words = words_of("c", Phase.UPDATED, sent, sent.info[0], photo=True)
    assert (words.category, words.sender, words.area) == (Category.OTHER, "Meldkamer Den Haag", "Leiden, Merenwijk")
    assert (words.phase, words.photo, words.outcome) == (Phase.UPDATED, True, "")
    assert words_of("c", Phase.OPENED, alert(area=None), sent.info[0], photo=False).area == ""


@pytest.mark.parametrize(
    ("offered", "wanted", "chosen"),
    [
        (["nl", "de"], ["de"], "de"),
        (["nl", "de"], ["fr", "de", "nl"], "de"),
        (["nl", "de-AT"], ["de-DE"], "de-AT"),
        (["NL", "de"], ["nl"], "NL"),
        (["de", "nl"], [], "nl"),
        (["de", "fr"], [], "de"),
        (["de"], ["nl"], None),
        (["nld"], ["nl"], None),
    ],
)
def test_a_reader_gets_a_text_in_his_language_or_none(
    offered: list[str], wanted: list[str], chosen: str | None
) -> None:
    """R17: the best language of the reader; a reader of any language gets Dutch first; nobody gets one he cannot read."""
    info = choose(alert(info=infos(*offered)).info, wanted)
    assert (info.language if info else None) == chosen
