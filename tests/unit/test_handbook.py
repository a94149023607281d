"""The guide's examples of boards, targets and templates are real, and what the guide says of them is true."""

from __future__ import annotations

import re
from pathlib import Path
from shutil import copytree

import yaml

from bridge.core.content import Phase, words_of
from bridge.core.layout import Reading, lay_out
from bridge.core.target import Sign, Target
from bridge.core.target_index import TargetIndex
from bridge.files import OWN_FONT, load_font
from bridge.policy import PACKAGED
from bridge.rendering import Templates
from bridge.settings import LayoutSettings
from tests.unit.samples import alert

GUIDE = (Path(__file__).parents[2] / "docs" / "handleiding.md").read_text("utf-8")
EXAMPLES = [Sign.model_validate(yaml.safe_load(one)["sign"]) for one in re.findall(r"```yaml\n(sign: .*)\n```", GUIDE)]
SHORT = "Leiden: jongen (8) vermist. Rode jas, blauwe muts. Gezien? Bel 112."


def test_every_example_can_show_the_short_text() -> None:
    """Three ways to say how large a board is; the one of lights has three lines of sixteen letters."""
    assert len(EXAMPLES) == 3
    for sign in EXAMPLES:
        assert lay_out(SHORT, sign.with_font(load_font(OWN_FONT)) if sign.width else sign)
    lights = EXAMPLES[2].with_font(load_font(OWN_FONT)).face
    assert (lights.rows, lights.width // lights.measure("a")) == (3, 16)


def test_the_targets_of_the_guide_are_targets() -> None:
    """They load as they stand; the town's board and reader are meant, and who wants no national alerts gets none."""
    [listed] = re.findall(r"```yaml\n(targets:\n.*?)\n```", GUIDE, re.DOTALL)
    found = [Target.model_validate(one) for one in yaml.safe_load(listed)["targets"]]
    index = TargetIndex(found)
    assert index.meant(alert()) == {"bord-leiden-station", "mail-lezer", "mail-streek"}
    assert index.meant(alert(category="amber_alert", area=None)) == {"bord-leiden-station", "mail-lezer"}
    assert index.meant(alert(area=None)) == set()


def test_the_template_of_the_guide_is_a_template(tmp_path: Path) -> None:
    """In the place of the shipped one it passes every check, and its line stands in the mail."""
    folder = tmp_path / "templates"
    copytree(PACKAGED / "templates", folder)
    [example] = re.findall(r"```jinja\n(.*?)```", GUIDE, re.DOTALL)
    (folder / "nl" / "email" / "opened.txt.j2").write_text(example, "utf-8")
    templates = Templates(folder)
    assert templates.check() == []
    sent = alert()
    text, _ = templates.render("email", words_of("1", Phase.OPENED, sent, sent.info[0], photo=True))
    assert "www.leiden.nl/vermist" in text
    assert "Bij dit bericht hoort een foto." in text


def test_reading_times_are_as_told() -> None:
    """Twelve characters a second, three seconds at least, two minutes at most."""
    assert LayoutSettings().reading == Reading(characters_per_second=12, page_min=3, cycle_max=120)
