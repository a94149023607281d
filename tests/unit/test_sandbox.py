"""A slip in a template costs that template, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.core.content import Phase
from bridge.core.errors import InvalidInput
from bridge.rendering import Templates
from tests.unit.test_rendering import GOOD, OPENED, folder


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("een\n{% for one in [0] recursive %}{{ loop([0]) }}{% endfor %}", ", line 2: a loop cannot be recursive"),
        ("{% for one in [0] %}" * 40 + "{% endfor %}" * 40, ": cannot be compiled: too many statically nested blocks"),
        ("{{ " + "(" * 900 + "1" + ")" * 900 + " }}", ": cannot be compiled: maximum recursion depth exceeded"),
        ("{{ " + "9" * 5000 + " }}", ": cannot be compiled: Exceeds the limit"),
    ],
)
def test_what_python_cannot_compile_is_one_line(tmp_path: Path, source: str, problem: str) -> None:
    """A template that is too deep, too long or without end is a fault of that file, not of the bridge."""
    with pytest.raises(InvalidInput) as caught:
        Templates(folder(tmp_path, nl__email__opened__txt=source))
    (line,) = caught.value.problems
    assert line.startswith(f"templates: nl/email/opened.txt.j2{problem}")
    assert "\n" not in line


def test_a_template_without_end_is_told_once(tmp_path: Path) -> None:
    """``check`` does not wait for it with every category."""
    endless = "{% for one in range(9999) %}{% for other in range(9999) %}{% endfor %}{% endfor %}"
    files = {f"nl__email__{phase}__txt": GOOD for phase in Phase}
    (found,) = Templates(folder(tmp_path, **(files | {"nl__email__opened__txt": f"{GOOD}\n{endless}"}))).check()
    assert found == "templates: nl/email/opened.txt.j2: line 2: TooMuch: takes more than 10,000 steps"


def test_loops_are_what_they_were(tmp_path: Path) -> None:
    """A loop whose turns are counted still knows its place, its length, its filter and its else."""
    source = (
        "{% for one in 'abc' if one != 'b' %}{{ loop.index }}/{{ loop.length }}{{ one }}{{ ';' if not loop.last }}"
        "{% endfor %}{% for key, value in {'k': 1}.items() %} {{ key }}={{ value }}{% endfor %}"
        "{% for one in [] %}{% else %} leeg{% endfor %}"
    )
    text, _ = Templates(folder(tmp_path, nl__email__opened__txt=source)).render("email", OPENED)
    assert text == "1/2a;2/2c k=1 leeg"
