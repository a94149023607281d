"""Does it fit: read in order, the pages are the text, whole; or the board is refused with the reason (R3, I7)."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.layout import DoesNotFit, Pages, lay_out
from bridge.core.target import Sign

signs = st.builds(Sign, columns=st.integers(1, 40), rows=st.integers(1, 8), pages=st.integers(1, 6))
texts = st.text() | st.lists(st.text(alphabet="abcé€🐈,.", min_size=1, max_size=12), max_size=30).map(" ".join)


def read(pages: Pages) -> str:
    """Read a board as a passer-by does."""
    return " ".join(line for page in pages for line in page)


def fewest_lines(words: list[str], columns: int) -> int:
    """Count the lines that any breaking at white space needs at least (by trying all of them)."""
    need = [0]
    for end in range(1, len(words) + 1):
        fits = (start for start in range(end) if len(" ".join(words[start:end])) <= columns)
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
        too_wide = any(len(word) > sign.columns for word in words)
        assert too_wide or fewest_lines(words, sign.columns) > sign.rows * sign.pages
        return
    assert read(pages) == " ".join(words)
    assert len(pages) <= sign.pages
    for page in pages:
        assert 1 <= len(page) <= sign.rows
        for line in page:
            assert 1 <= len(line) <= sign.columns
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
