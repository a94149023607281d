"""Words become messages: whole, escaped where they must be, and always for an ending."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.core.alert import Category, Outcome
from bridge.core.content import R8_LINES, Phase, Words, message
from bridge.core.errors import InvalidInput
from bridge.rendering import Templates, built_in_ending

SHIPPED = Path(__file__).parents[2] / "config" / "templates"
LANGUAGES = ("nl", "en", "de", "fr")
CHANNELS = ("email", "facebook", "outbox")

OPENED = Words(
    case="2026112200042",
    phase=Phase.OPENED,
    language="nl",
    category="missing_child_alert",
    headline="Vermist: jongen (8) in Leiden",
    description="In de Merenwijk is sinds 09:30 uur een jongen vermist.\nHij draagt een rode jas & <muts>.",
    instruction="Gezien? Bel 112.",
    sender="Meldkamer Den Haag",
    area="Leiden, Merenwijk",
)
ENDED = replace(OPENED, phase=Phase.ENDED, outcome="resolved", description="", instruction="")


@pytest.fixture(scope="module")
def shipped() -> Templates:
    """Give the templates of ``config/``."""
    return Templates(SHIPPED)


def folder(root: Path, **files: str) -> Path:
    """Make a folder of templates; ``nl__email__opened__txt`` is ``nl/email/opened.txt.j2``."""
    for name, source in files.items():
        *parts, form = name.split("__")
        path = root.joinpath(*parts[:-1], f"{parts[-1]}.{form}.j2")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, "utf-8")
    return root


def test_shipped_templates_have_no_problem(shipped: Templates) -> None:
    """Every shipped template renders with every combination of words and leaves nothing out."""
    assert shipped.check() == []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("words", [OPENED, replace(OPENED, phase=Phase.UPDATED)], ids=["opened", "updated"])
def test_an_alert_says_all_of_it(shipped: Templates, language: str, channel: str, words: Words) -> None:
    """Headline, original text, area and sender reach the reader of every language on every channel."""
    text, _ = shipped.render(channel, replace(words, language=language))
    for part in (words.headline, words.description, words.instruction, words.area, words.sender):
        assert part in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_facebook_ends_with_the_case(shipped: Templates, language: str) -> None:
    """The adapter finds its own post by its whole text, so two cases never have the same."""
    for words in (OPENED, replace(OPENED, phase=Phase.UPDATED), ENDED):
        text, _ = shipped.render("facebook", replace(words, language=language))
        assert text.splitlines()[-1] == "Burgernet-actie 2026112200042"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("mark", ["OEFENING", "TEST"])
def test_a_mark_stands_first_and_near_the_end(shipped: Templates, language: str, channel: str, mark: str) -> None:
    """Nobody takes an exercise or a test for real, whichever end of the message is read."""
    for words in (OPENED, replace(OPENED, phase=Phase.UPDATED), ENDED):
        text, html = shipped.render(channel, replace(words, language=language, mark=mark))
        lines = [line for line in text.splitlines() if line]
        assert lines[0].startswith(mark)
        assert lines[-2].startswith(mark)
        assert not html or html.count(mark) == 2


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("channel", CHANNELS)
def test_the_real_thing_bears_no_mark(shipped: Templates, language: str, channel: str) -> None:
    """A real alert never says that it is an exercise or a test."""
    text, html = shipped.render(channel, replace(OPENED, language=language))
    assert not re.search(r"OEFENING|EXERCI|ÜBUNG|\bTEST\b", text + html)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("category", Category)
@pytest.mark.parametrize("words", [OPENED, replace(OPENED, phase=Phase.UPDATED), ENDED], ids=lambda words: words.phase)
def test_the_outbox_forwards_cleanly(shipped: Templates, language: str, category: Category, words: Words) -> None:
    """No template adds what WhatsApp reads as formatting, and the numbers of R8 stand there once."""
    plain = replace(
        words, language=language, category=category, sender="", description="Rode jas." if words.description else ""
    )
    plain = replace(plain, instruction="")
    text = message("outbox", plain, shipped, 1).text
    assert not re.search(r"[*_~`]|^\s*(?:[-*>•]|\d+\.)\s", text, re.MULTILINE)
    assert text.count("0900-8844") == 1
    assert text.endswith(R8_LINES[language])


def test_an_update_is_called_a_correction(shipped: Templates) -> None:
    """Readers see that the new text replaces the old one (R19)."""
    words = replace(OPENED, phase=Phase.UPDATED)
    for channel in CHANNELS:
        text, html = shipped.render(channel, words)
        assert "CORRECTIE" in text
        assert not html or "CORRECTIE" in html


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("category", ["missing_child_alert", "missing_person", "suspect", "fire", "witness_appeal"])
def test_outcomes_are_told_apart(shipped: Templates, language: str, channel: str, category: str) -> None:
    """Resolved, without result and withdrawn read differently (R18), and none says how someone is doing."""
    words = replace(ENDED, language=language, category=category)
    told = {shipped.render(channel, replace(words, outcome=outcome))[0] for outcome in Outcome}
    assert len(told) == 3
    health = r"gezond|gevonden|aangetroffen|terecht|found|safe|healthy|gefunden|wohlbehalten|retrouvé|sain"
    assert not any(re.search(health, text) for text in told)


@pytest.mark.parametrize("channel", CHANNELS)
def test_an_ending_carries_the_control_rooms_own_words(shipped: Templates, channel: str) -> None:
    """What the operator wrote about the end is told with the outcome."""
    text, _ = shipped.render(channel, replace(ENDED, description="Hij is weer thuis.", instruction="Dank u wel."))
    assert "Hij is weer thuis." in text
    assert "Dank u wel." in text


def test_html_escapes_every_word(shipped: Templates) -> None:
    """An alert cannot put markup into a mail."""
    attack = "<script>x</script>"
    words = replace(OPENED, headline=attack, description=attack, instruction=attack, sender=attack, area=attack)
    for phase in Phase:
        text, html = shipped.render("email", replace(words, phase=phase, case=attack, outcome="resolved"))
        assert "<script" not in html
        assert attack in text


def test_html_shows_a_photo_only_if_there_is_one(shipped: Templates) -> None:
    """The picture's place, with a text for who cannot see it, is there exactly when the picture is."""
    _, without = shipped.render("email", OPENED)
    _, pictured = shipped.render("email", replace(OPENED, photo=True))
    assert "<img" not in without
    assert re.search(r'<img src="cid:photo" alt="[^"]+"', pictured)


def test_html_names_its_languages(shipped: Templates) -> None:
    """A reading machine hears the frame in the template's language and the alert in its own."""
    _, html = shipped.render("email", replace(OPENED, language="pl"))
    assert '<html lang="nl">' in html
    assert '<h1 lang="pl"' in html


def test_html_keeps_line_breaks(shipped: Templates) -> None:
    """The lines of the original text stay lines."""
    _, html = shipped.render("email", replace(OPENED, description="een\r\ntwee"))
    assert re.search(r"een<br>\s*twee", html)


def test_an_unknown_language_gets_the_dutch_template(shipped: Templates) -> None:
    """A text in a language without templates goes out in a Dutch frame."""
    words = replace(OPENED, description="Zaginiony chłopiec.")
    assert shipped.render("outbox", replace(words, language="pl")) == shipped.render("outbox", words)


def test_only_email_has_html(shipped: Templates) -> None:
    """A channel without an HTML template gives no HTML."""
    assert [bool(shipped.render(channel, OPENED)[1]) for channel in CHANNELS] == [True, False, False]


def test_plain_text_is_normalised(tmp_path: Path) -> None:
    """No trailing blanks, at most one blank line in a row, none at either end."""
    root = folder(tmp_path, nl__email__opened__txt="\n\n{{ headline }}  \n\n\n\n{{ description }}\t\n\n\n")
    text, html = Templates(root).render("email", replace(OPENED, description="een  \r\ntwee\u00a0\n\n\n\ndrie"))
    assert text == f"{OPENED.headline}\n\neen\ntwee\n\ndrie"
    assert html == ""


@pytest.mark.parametrize(
    "source",
    [
        "{{ unknown }}",
        "{{ headline.nothing }}",
        "{{ 1 // 0 }}",
        "{{ headline + 1 }}",
        "{{ headline.__class__.__mro__ }}",
        "{% extends 'gone.j2' %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ range(10000000) }}",
        "{% for one in range(99999) %}{% for other in range(99999) %}{% endfor %}{% endfor %}",
        "{% macro m(n) %}{{ m(n + 1) if n < 40 }}{{ m(n + 1) if n < 40 }}{% endmacro %}{{ m(0) }}",
        "{% for one in range(5000) %}{{ headline * 1000 }}{% endfor %}",
        "{{ headline * 100000000 }}",
        "{{ 9 ** (9 ** 9) }}",
        "   \n",
    ],
)
def test_a_failing_template_is_one_clear_line(tmp_path: Path, source: str) -> None:
    """Whatever a template does wrong, the fault names its file in one line and quotes nothing of the alert."""
    templates = Templates(folder(tmp_path, nl__email__opened__txt=source, nl__email__ended__txt=source))
    with pytest.raises(InvalidInput) as caught:
        templates.render("email", OPENED)
    (line,) = caught.value.problems
    assert line.startswith("templates: nl/email/opened.txt.j2: ")
    assert "\n" not in line
    assert OPENED.headline not in line
    assert templates.render("email", ENDED) == (built_in_ending(ENDED), "")


def test_a_fault_in_a_shared_part_names_the_part(tmp_path: Path) -> None:
    """The line that is wrong is named, also when another file includes it."""
    root = folder(tmp_path, nl__email__opened__txt="{% include '_part.txt.j2' %}", _part__txt="een\n{{ unknown }}")
    with pytest.raises(InvalidInput, match=r"opened\.txt\.j2: _part\.txt\.j2, line 2: UndefinedError"):
        Templates(root).render("email", OPENED)


@pytest.mark.parametrize("language", [*LANGUAGES, "pl"])
@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("mark", ["", "OEFENING", "TEST"])
def test_an_ending_needs_no_template(tmp_path: Path, language: str, outcome: Outcome, mark: str) -> None:
    """Without any template the outcome is told: which alert, how it ended, and that it was an exercise."""
    words = replace(ENDED, language=language, outcome=outcome, mark=mark)
    text, html = Templates(tmp_path).render("email", words)
    assert words.headline in text
    assert text.startswith(mark)
    assert text.endswith("Burgernet-actie 2026112200042")
    assert html == ""


def test_built_in_endings_differ() -> None:
    """Each language tells each outcome in its own words."""
    told = {built_in_ending(replace(ENDED, language=one, outcome=how)) for one in LANGUAGES for how in Outcome}
    assert len(told) == len(LANGUAGES) * 3


def test_an_ending_with_broken_html_keeps_its_text(tmp_path: Path) -> None:
    """A fault in the HTML costs the layout of an ending, not the ending."""
    root = folder(tmp_path, nl__email__ended__txt="Afgelopen: {{ headline }}", nl__email__ended__html="{{ unknown }}")
    assert Templates(root).render("email", ENDED) == (f"Afgelopen: {ENDED.headline}", "")


def test_an_alert_without_a_template_is_refused(tmp_path: Path) -> None:
    """An alert on a channel without templates says which file is missing."""
    with pytest.raises(InvalidInput, match=r"templates: nl/fax/opened\.txt\.j2 is missing"):
        Templates(folder(tmp_path, nl__email__opened__txt="x")).render("fax", OPENED)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """A path that is wrong in the settings is told at once."""
    with pytest.raises(InvalidInput, match="is not a folder"):
        Templates(tmp_path / "nowhere")


def test_files_that_cannot_be_compiled_are_all_named(tmp_path: Path) -> None:
    """Faults in several files are told together, each with its line."""
    root = folder(tmp_path, nl__email__opened__txt="een\n{% if %}", nl__email__updated__txt="{{ headline")
    (root / "nl/email/ended.txt.j2").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(InvalidInput) as caught:
        Templates(root)
    assert caught.value.problems == (f"templates: {root / 'nl/email/ended.txt.j2'}: is not UTF-8",)
    (root / "nl/email/ended.txt.j2").unlink()
    with pytest.raises(InvalidInput) as caught:
        Templates(root)
    first, second = caught.value.problems
    assert first.startswith("templates: nl/email/opened.txt.j2, line 2: ")
    assert second.startswith("templates: nl/email/updated.txt.j2, line 1: ")


GOOD = "{{ mark }} {{ headline }} {{ description }} {{ instruction }} {{ case }}"


@pytest.mark.parametrize(
    ("name", "source", "problem"),
    [
        ("nl__email__opened__txt", GOOD.replace("{{ description }}", ""), "leaves out the description"),
        ("nl__email__updated__txt", GOOD.replace("{{ instruction }}", ""), "leaves out the instruction"),
        ("nl__email__updated__txt", GOOD.replace("{{ mark }}", ""), "leaves out the mark"),
        ("nl__email__ended__txt", GOOD.replace("{{ headline }}", ""), "leaves out the headline"),
        ("nl__email__opened__txt", GOOD.replace("{{ case }}", ""), "leaves out the case"),
        ("nl__email__opened__txt", GOOD.replace("{{ description }}", "{{ description|e }}"), "leaves out the descript"),
        ("nl__email__opened__html", GOOD.replace("{{ description }}", ""), "leaves out the description"),
        ("nl__email__opened__html", f"{GOOD}{{{{ sender|safe }}}}", "lets words through unescaped"),
        ("nl__email__opened__txt", f"{GOOD}{{{{ unknown }}}}", "line 1: UndefinedError: 'unknown' is undefined"),
        (
            "nl__email__ended__txt",
            f"{GOOD}{{% if outcome == 'withdrawn' %}}{{{{ nix }}}}{{% endif %}}",
            "'nix' is undef",
        ),
        (
            "nl__email__opened__txt",
            f"{GOOD}{{% if category == 'drugs' and photo %}}{{{{ 1 // 0 }}}}{{% endif %}}",
            "Zero",
        ),
    ],
)
def test_check_finds_the_fault(tmp_path: Path, name: str, source: str, problem: str) -> None:
    """Each sort of fault is one line that names the file and the line in it, however seldom it shows."""
    files = {f"nl__email__{phase}__txt": GOOD for phase in Phase}
    (found,) = Templates(folder(tmp_path, **(files | {name: source}))).check()
    *parts, form = name.split("__")
    file = f"templates: {'/'.join(parts)}.{form}.j2"
    assert re.match(rf"{re.escape(file)}(, line|: line) 1: ", found) or found.startswith(f"{file}: gives")
    assert problem in found


def test_check_finds_files_out_of_place(tmp_path: Path) -> None:
    """A mistyped name and a message that has no template are told; shared parts are not."""
    root = folder(tmp_path, de__email__opened__txt=GOOD, nl__email__opend__txt=GOOD, nl___part__txt="{{ anything }}")
    assert Templates(root).check() == [
        "templates: nl/email/opend.txt.j2: is used by nothing; messages are opened, updated and ended",
        "templates: de/email/updated.txt.j2 is missing",
        "templates: de/email/ended.txt.j2 is missing",
        "templates: nl/email/opened.txt.j2 is missing",
        "templates: nl/email/updated.txt.j2 is missing",
        "templates: nl/email/ended.txt.j2 is missing",
    ]


def test_check_of_nothing_is_a_problem(tmp_path: Path) -> None:
    """An empty folder is not taken for a good one."""
    assert Templates(tmp_path).check() == ["templates: there is no nl/<channel>/<phase>.txt.j2"]


def test_digest_names_what_the_files_say(tmp_path: Path) -> None:
    """The digest changes with any file, shared parts included, and with nothing else."""
    root = folder(tmp_path, nl__email__opened__txt=GOOD, _part__txt="een")
    before = Templates(root).digest
    (root / "README.md").write_text("geen sjabloon", "utf-8")
    assert Templates(root).digest == before
    folder(root, _part__txt="twee")
    assert Templates(root).digest != before


def test_templates_are_read_once(tmp_path: Path) -> None:
    """A file that is half written while the bridge runs changes nothing until it is loaded anew."""
    root = folder(tmp_path, nl__email__opened__txt="{{ headline }}")
    templates = Templates(root)
    folder(root, nl__email__opened__txt="{{ broken")
    assert templates.render("email", OPENED)[0] == OPENED.headline
