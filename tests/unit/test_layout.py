"""Does it fit: read in order, the pages are the text, whole; or the board is refused with the reason (R3, I7)."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bridge.core.font import BadFont, Matrix, read_font
from bridge.core.layout import CHARACTER_SETS, DoesNotFit, Pages, Reading, lay_out
from bridge.core.target import Sign
from bridge.files import OWN_FONT, load_font

signs = st.builds(Sign, columns=st.integers(1, 40), rows=st.integers(1, 8), pages=st.integers(1, 6))
texts = st.text() | st.lists(st.text(alphabet="abcé€🐈,.", min_size=1, max_size=12), max_size=30).map(" ".join)


def read(pages: Pages) -> str:
    """Read a board as a passer-by does."""
    return " ".join(line for page in pages for line in page)


def fewest_lines(words: list[str], columns: int) -> int:
    """Count the lines that any breaking at white space needs at least (by trying all of them)."""
    need = [0]
    for end in range(1, len(words) + 1):
        fits = (
            start for start in range(end) if Sign(columns=columns).face.measure(" ".join(words[start:end])) <= columns
        )
        need.append(min(need[start] + 1 for start in fits))
    return need[-1]


@given(text=texts, sign=signs)
@settings(max_examples=400, deadline=None)
def test_the_pages_are_the_text_or_there_are_none(text: str, sign: Sign) -> None:
    """Not a word is lost, added, broken or changed, and nothing sticks out of the board; else it is refused."""
    words = text.split()
    try:
        pages = lay_out(text, sign)
    except DoesNotFit as reason:
        assert str(reason).isprintable() or not text.isprintable()  # noqa: PT017 - either way is right
        too_wide = any(sign.face.measure(word) > sign.columns for word in words)
        assert too_wide or fewest_lines(words, sign.columns) > sign.rows * sign.pages
        return
    assert read(pages) == " ".join(words)
    assert len(pages) <= sign.pages
    for page in pages:
        assert 1 <= len(page) <= sign.rows
        for line in page:
            assert 1 <= sign.face.measure(line) <= sign.columns
            assert line == line.strip()


def test_every_size_of_board_shows_all_or_nothing() -> None:
    """One real text on all boards from 1 × 1 × 1 to 30 × 6 × 6: the whole text, or a refusal that says what is short."""
    text = "Vermist: jongen (8) in Leiden. Rode jas, blauwe muts. Gezien? Bel 112."
    shown = 0
    for columns, rows, pages in product(range(1, 31), range(1, 7), range(1, 7)):
        sign = Sign(columns=columns, rows=rows, pages=pages)
        try:
            laid = lay_out(text, sign)
        except DoesNotFit as reason:
            sizes = f"needs {-(-fewest_lines(text.split(), columns) // rows)} pages" if columns >= 8 else "the word"
            assert sizes in str(reason)  # noqa: PT017 - either way is right, each with its proof
            continue
        shown += 1
        assert read(laid) == text
    assert shown > 500


def test_a_bigger_board_never_shows_less() -> None:
    """Whatever fits a board fits every board with more columns, rows or pages."""
    text = "In de Merenwijk is een jongen van 8 jaar vermist. Gezien? Bel 112."

    def fits(columns: int, rows: int, pages: int) -> bool:
        try:
            return bool(lay_out(text, Sign(columns=columns, rows=rows, pages=pages)))
        except DoesNotFit:
            return False

    for columns, rows, pages in product(range(1, 25), range(1, 6), range(1, 6)):
        if fits(columns, rows, pages):
            assert fits(columns + 1, rows, pages)
            assert fits(columns, rows + 1, pages)
            assert fits(columns, rows, pages + 1)


def test_a_text_that_fills_the_board_exactly_is_shown() -> None:
    """The last line of the last page may be used to its last character; one more is refused."""
    sign = Sign(columns=5, rows=2, pages=2)
    full = "abcde fg hi jklmn opqrs"
    assert lay_out(full, sign) == (("abcde", "fg hi"), ("jklmn", "opqrs"))
    with pytest.raises(DoesNotFit, match="needs 3 pages of 5x2, the board has 2"):
        lay_out(f"{full} t", sign)
    with pytest.raises(DoesNotFit, match="'opqrst' has 6 characters, a line has 5") as refused:
        lay_out(f"{full}t", sign)
    assert refused.value.dutch == "het woord 'opqrst' heeft 6 tekens, een regel 5"


def test_white_space_is_folded_and_nothing_else_changes() -> None:
    """Line breaks, tabs and double spaces become one space; capitals, accents and signs stay as they are."""
    laid = lay_out("  Él  zei:\n\n€ 5,-\ten \r\n'ß' ", Sign(columns=40, rows=1))
    assert laid == (("Él zei: € 5,- en 'ß'",),)


@pytest.mark.parametrize("mark", ["OEFENING", "TEST"])
def test_an_exercise_says_so_on_a_page_of_its_own(mark: str) -> None:
    """The mark comes first and costs a page; where it does not fit, nothing is shown."""
    sign = Sign(columns=16, rows=2, pages=2)
    assert lay_out("Vermist: jongen (8)", sign, mark) == ((mark,), ("Vermist: jongen", "(8)"))
    with pytest.raises(DoesNotFit, match="needs 2 pages"):
        lay_out("Vermist", Sign(columns=16, rows=5, pages=1), mark)
    with pytest.raises(DoesNotFit, match=mark):
        lay_out("a", Sign(columns=len(mark) - 1, rows=1, pages=9), mark)


def test_a_reason_is_short_whatever_the_text() -> None:
    """The refusal of a word without end stays readable."""
    with pytest.raises(DoesNotFit) as refused:
        lay_out("x" * 10_000, Sign(columns=16))
    assert len(str(refused.value)) < 120


# --- the font, boards of pixels, characters, reading

OWN = load_font(OWN_FONT)
pixel_signs = st.builds(
    lambda wide, lines, pages: Sign(width=wide, height=lines * OWN.height, pages=pages).with_font(OWN),
    st.integers(1, 200),
    st.integers(1, 6),
    st.integers(1, 6),
)


@given(text=texts, sign=pixel_signs)
@settings(max_examples=200, deadline=None)
def test_boards_of_pixels_show_all_or_nothing_too(text: str, sign: Sign) -> None:
    """Measured by the font: not a word is lost, nothing sticks out, and what the font cannot draw is refused by name."""
    missing = [char for char in text if char not in OWN.glyphs and not char.isspace()]
    try:
        pages = lay_out(text, sign)
    except DoesNotFit as reason:
        assert read(lay_out(reason.beginning, sign)) == reason.beginning  # noqa: PT017 - what would fit, fits
        assert " ".join(text.split()).startswith(reason.beginning)  # noqa: PT017
        return
    assert not missing
    assert read(pages) == " ".join(text.split())
    assert all(sum(OWN.glyphs[char].advance for char in line) <= sign.width for page in pages for line in page)


@given(text=texts, sign=signs)
@settings(max_examples=200, deadline=None)
def test_the_largest_text_that_would_fit(text: str, sign: Sign) -> None:
    """A refusal names the longest beginning that fits: it does, and one word more does not."""
    try:
        lay_out(text, sign)
    except DoesNotFit as reason:
        words, some = text.split(), reason.beginning.split()
        assert words[: len(some)] == some
        assert read(lay_out(reason.beginning, sign)) == reason.beginning  # noqa: PT017
        with pytest.raises(DoesNotFit):
            lay_out(" ".join(words[: len(some) + 1]), sign)


def test_a_character_that_the_board_does_not_have_is_named() -> None:
    """No character is replaced by one that looks like it; sets and single characters can be joined."""
    plain = Sign(columns=40, characters=("ascii",))
    assert lay_out("Vermist: jongen (8)", plain)
    with pytest.raises(DoesNotFit) as refused:
        lay_out("Vermist: Zoë, € 5", plain)
    assert str(refused.value) == "the board does not have 'ë' (U+00EB), '€' (U+20AC)"
    assert refused.value.dutch == "het bord heeft geen 'ë' (U+00EB), '€' (U+20AC)"
    assert refused.value.beginning == "Vermist:"
    assert lay_out("Vermist: Zoë, € 5", Sign(columns=40, characters=("ascii", "ë€")))
    with pytest.raises(DoesNotFit, match="does not have 'E'"):
        lay_out("OEFENING", Sign(columns=40, characters=("OFNIG",)), "OEFENING")


def test_accents_of_their_own_and_wide_characters_count_as_they_are_seen() -> None:
    """A combining accent takes no cell of its own, a wide character takes two; neither is torn or changed."""
    decomposed = "Zoe\u0308 bel"
    assert lay_out(decomposed, Sign(columns=7, rows=1)) == ((decomposed,),)
    assert [Sign().face.measure(text) for text in ("❤", "❤\ufe0f", "1\ufe0f\u20e3", "🐈")] == [1, 2, 2, 2]
    with pytest.raises(DoesNotFit, match="has 4 characters, a line has 3"):
        lay_out("日本", Sign(columns=3))


def test_pages_stay_as_long_as_they_are_read() -> None:
    """By characters a second, never shorter than the least; a cycle that is too long is refused, a single page never."""
    reading = Reading(characters_per_second=10, page_min=2, cycle_max=10)
    assert [reading.seconds(page) for page in (("abc",), ("a" * 15, "b" * 14))] == [2, 3.0]
    sign = Sign(columns=20, rows=2, pages=5)
    text = " ".join(["a" * 20] * 6)
    with pytest.raises(DoesNotFit, match="takes 12 seconds to read, a cycle may take 10"):
        lay_out(text, sign, reading=reading)
    assert len(lay_out(text, sign)) == 3
    assert lay_out("a" * 200, Sign(columns=200, rows=1), reading=Reading(10, 2, 10))


def test_the_own_font_has_what_dutch_is_written_with() -> None:
    """Every character of Latin-1, the euro and the usual quotes and dashes; no two letters look the same."""
    text = "".join(CHARACTER_SETS["latin-1"]) + "€‘’“”„–—…•ĳĲ"
    assert Matrix(1, 1, OWN).missing(text) == ""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789ÀÁÂÄÇÈÉÊËÍÏÑÓÔÖÚÛÜàáâäçèéêëíïñóôöúûü"
    looks = {char: frozenset(OWN.pixels(char, 0, 0)) for char in letters}
    assert len(set(looks.values())) == len(letters)
    assert all(0 <= x < 6 and 0 <= y < OWN.height for look in looks.values() for x, y in look)


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("", "line 1: it ends too soon"),
        ("hello", "line 1: a BDF font begins with STARTFONT"),
        ("STARTFONT 2.1\nCHARS 0\nENDFONT", "FONTBOUNDINGBOX is missing"),
        ("STARTFONT 2.1\nFONTBOUNDINGBOX 5 x 0 0\nCHARS 0\nENDFONT", "FONTBOUNDINGBOX needs 4 whole numbers"),
        ("STARTFONT 2.1\nFONTBOUNDINGBOX 5 7 0 0\nCHARS 0\nENDFONT", r"the space \(ENCODING 32\) is missing"),
        ("STARTFONT 2.1\nFONTBOUNDINGBOX 5 999 0 0\nCHARS 0\nENDFONT", "a line of 999 pixels; allowed: 1 to 256"),
        (
            "STARTFONT 2.1\nFONTBOUNDINGBOX 5 1 0 0\nCHARS 1\nSTARTCHAR a\nENCODING 97\nBITMAP\nZZ\nENDCHAR\nENDFONT",
            "line 7: 'ZZ' is not a row of 5 pixels in hexadecimal",
        ),
        (
            "STARTFONT 2.1\nFONTBOUNDINGBOX 5 1 0 0\nCHARS 1\nSTARTCHAR a\nENCODING 97\nDWIDTH 0 0\nBITMAP\n00\nENDCHAR\nENDFONT",
            "DWIDTH 0; allowed: 1 to 256",
        ),
        (
            "STARTFONT 2.1\nFONTBOUNDINGBOX 8 1 0 0\nCHARS 1\nSTARTCHAR a\nENCODING 97\nDWIDTH 4 0\nBITMAP\nFF\nENDCHAR\nENDFONT",
            "line 9: the character has light outside its own cell",
        ),
        (
            "STARTFONT 2.1\nFONTBOUNDINGBOX 8 1 0 0\nCHARS 1\nSTARTCHAR a\nENCODING 97\nBBX 8 1 0 20\nBITMAP\nFF\nENDCHAR\nENDFONT",
            "light outside its own cell",
        ),
    ],
)
def test_a_broken_font_is_refused_with_its_line(broken: str, why: str) -> None:
    """What is no font that can be used says why."""
    with pytest.raises(BadFont, match=why):
        read_font(broken, "")


@pytest.mark.parametrize(
    ("sign", "why"),
    [
        ({"width": 96}, "needs both width and height"),
        ({"font": "x.bdf"}, "needs both width and height"),
        ({"width": 96, "height": 16, "columns": 20}, "columns stands beside width"),
        ({"width": 96, "height": 16, "characters": ["ascii"]}, "characters stands beside width"),
    ],
)
def test_a_board_has_one_size(sign: dict[str, object], why: str) -> None:
    """Cells or pixels, not both, and never half."""
    with pytest.raises(ValidationError, match=why):
        Sign.model_validate(sign)
