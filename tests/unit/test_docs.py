"""What the documents say is true: commands, events, settings, metrics, paths and links in them exist."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import pytest
import typer
import yaml
from pydantic import BaseModel

from bridge import cli
from bridge.adapters.registry import find_adapters
from bridge.core.alert import Category, Outcome, Status, Urgency
from bridge.core.errors import InvalidInput
from bridge.core.events import parse_structured
from bridge.core.layout import lay_out
from bridge.core.rule_trial import TrialFile
from bridge.core.rules import Reason, RuleFile
from bridge.core.target import Sign, Target
from bridge.demo.words import LANGUAGES
from bridge.settings import PREFIX, Settings
from bridge.simulators.board_body import read_body
from bridge.web.metrics import Metrics

ROOT = Path(__file__).parents[2]
NAMES = sorted(
    str(path.relative_to(ROOT))
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md"))
)
PROGRAM = "burgernet-bridge"
SECTIONS = (
    "store",
    "queue",
    "web",
    "photos",
    "cases",
    "retention",
    "dispatch",
    "log",
    "tracing",
    "service",
    "adapters",
)
FOLDERS = ("bridge", "config", "deploy", "docs", "tests", "scripts", "benchmarks", ".ci")

in_each_document = pytest.mark.parametrize("name", NAMES)


class Block(NamedTuple):
    """One fenced block: its language, its text, and whether the page says that it is wrong on purpose."""

    language: str
    text: str
    wrong: bool


@cache
def read(name: str) -> str:
    """Read one document."""
    return (ROOT / name).read_text("utf-8")


def blocks(name: str, *languages: str) -> list[Block]:
    """Give the fenced blocks of a document, without the indent that they have in a list."""
    found = re.finditer(r"^(<!-- wrong -->\n)?( *)```(\w+)\n(.*?)^\2```$", read(name), re.DOTALL | re.MULTILINE)
    texts = [Block(one[3], re.sub(f"^{one[2]}", "", one[4], flags=re.MULTILINE), bool(one[1])) for one in found]
    return [block for block in texts if block.language in languages]


def spans(name: str) -> list[str]:
    """Give what stands in code marks within the prose of a document."""
    prose = re.sub(r"^ *```.*?^ *```$", "", read(name), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"`([^`\n]+)`", prose)


def shell_lines(name: str) -> list[str]:
    """Give every line that somebody would type: shell blocks, prompts in consoles, and code in the prose."""
    lines = [line for block in blocks(name, "sh") for line in block.text.replace("\\\n", " ").splitlines()]
    prompts = [line for block in blocks(name, "console") for line in block.text.splitlines() if line.startswith("$ ")]
    return lines + [line[2:] for line in prompts] + spans(name)


def calls(line: str) -> Iterator[list[str]]:
    """Find the arguments of each call of the program on a line."""
    for part in re.split(r"&&|\|\||[|;&<>]|\d>", line.split(" #", maxsplit=1)[0]):
        try:
            words = shlex.split(part)
        except ValueError:  # a part of something quoted
            continue
        for at, word in enumerate(words):
            is_named = word == PROGRAM or word.endswith(f"bin/{PROGRAM}")
            is_program = is_named and not (at and words[at - 1].startswith("-"))
            if is_program and words[at + 1 :]:
                yield words[at + 1 :]
                break


COMMANDS = [(name, words) for name in NAMES for line in shell_lines(name) for words in calls(line)]


@pytest.mark.parametrize(("name", "words"), COMMANDS, ids=lambda value: value if isinstance(value, str) else None)
def test_every_command_exists_with_its_options(name: str, words: list[str]) -> None:
    """A command that a document names is read by the real command line; nothing is run."""
    command: Any = typer.main.get_command(cli.app)
    parent = None
    while hasattr(command, "commands"):
        if words[0] in ("--version", "--help"):
            return
        assert words[0] in command.commands, f"{name}: {' '.join(words)}"
        command, words = command.commands[words[0]], words[1:]
        if words and not hasattr(command, "commands"):  # a command named in prose stands without its arguments
            command.make_context(command.name, list(words), parent=parent)


def test_every_command_is_in_the_reference() -> None:
    """The reference leaves out no command."""
    command: Any = typer.main.get_command(cli.app)
    known = {
        (first, second) if second else (first,)
        for first, one in command.commands.items()
        for second in (getattr(one, "commands", None) or {"": None})
    }
    told = {tuple(words[:size]) for name, words in COMMANDS if name == "docs/reference.md" for size in (1, 2)}
    assert known <= told


@in_each_document
def test_every_make_target_exists(name: str) -> None:
    """What ``make`` is asked for can be made."""
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    asked = {
        word for line in shell_lines(name) for word in re.findall(r"(?:^|&& )make ([a-z][a-z-]*)", line.split("#")[0])
    }
    assert asked <= targets


@in_each_document
def test_every_module_that_is_run_exists(name: str) -> None:
    """What is started with ``python -m`` is there."""
    modules = {module for line in shell_lines(name) for module in re.findall(r"-m (bridge[\w.]*)", line)}
    assert {module for module in modules if find_spec(module) is None} == set()


def json_blocks(name: str) -> Iterator[tuple[str, bool]]:
    """Give the JSON of a document, and of the files that its shell blocks write; a date stands for a date command."""
    yield from ((block.text, block.wrong) for block in blocks(name, "json"))
    for block in blocks(name, "sh"):
        for text in re.findall(r"<<END\n(.*?)^END$", block.text, re.DOTALL | re.MULTILINE):
            yield re.sub(r"\$\(date[^)]*\)", "2026-11-22T10:15:00Z", text), False


JSON = [(name, text, wrong) for name in NAMES for text, wrong in json_blocks(name)]


@pytest.mark.parametrize(("name", "text", "wrong"), JSON, ids=lambda value: value if value in NAMES else "")
def test_every_json_is_what_it_seems(name: str, text: str, wrong: bool) -> None:
    """Events can be read (or cannot, where the page says so); a board takes the bodies; the rest is JSON."""
    found = json.loads(text)
    if str(found.get("type", "")).startswith("nl.burgernet.alert."):
        if wrong:
            with pytest.raises(InvalidInput) as refused:
                parse_structured(text)
            assert "\n".join(refused.value.problems) in read(name)
        else:
            parse_structured(text)
    elif "pages" in found:
        read_body(text.encode())


def test_the_handbook_shows_an_event_of_each_type() -> None:
    """An operator has an example of each type to start from."""
    texts = "".join(text for page, text, _ in JSON if page == "docs/handleiding.md")
    assert set(re.findall(r'"type": "nl\.burgernet\.alert\.(\w+)"', texts)) == {"opened", "updated", "ended"}


@in_each_document
def test_every_yaml_is_read_by_the_bridge(name: str) -> None:
    """Targets and rules on a page have no key too many or too few."""
    for block in blocks(name, "yaml"):
        found = yaml.safe_load(block.text)
        for entry in found.get("targets", []):
            Target.model_validate(entry)
        if "rules" in found:
            RuleFile.model_validate(found)
        if "tests" in found:
            TrialFile.model_validate(found)


def is_setting(path: list[str]) -> bool:
    """Tell whether a path of keys, in small letters, leads to a setting or a section of them."""
    model: type[BaseModel] | None = Settings
    if path[:1] == ["adapters"] and len(path) > 1:
        adapter = find_adapters().get(path[1])
        # The page on adapters makes one of its own.
        model, path = (adapter.Config if adapter else None), path[2:]
        if model is None:
            return not path and adapter is None
    for key in path:
        if model is None or key not in model.model_fields:
            return False
        hint = get_type_hints(model)[key]
        model = hint if isinstance(hint, type) and issubclass(hint, BaseModel) else None
    return True


def test_the_look_up_of_settings_tells_true_from_false() -> None:
    """The test below can fail."""
    assert is_setting(["queue", "delivery_limit"])
    assert is_setting(["adapters", "email", "connections"])
    assert not is_setting(["queue", "limit"])
    assert not is_setting(["adapters", "email", "retries"])


@in_each_document
def test_every_setting_exists(name: str) -> None:
    """A setting in code marks, or as an environment variable, is one that the bridge knows."""
    dotted = {span.split(":")[0] for span in spans(name) if re.match(rf"({'|'.join(SECTIONS)})\.[a-z_]+(\.|:|$)", span)}
    variables = set(re.findall(rf"{PREFIX}([A-Z]+__[A-Z_]*[A-Z])", read(name)))
    paths = [text.split(".") for text in dotted] + [text.lower().split("__") for text in variables]
    assert [path for path in paths if not is_setting(path)] == []


def test_every_metric_is_in_the_reference_and_every_name_there_is_a_metric() -> None:
    """The reference names exactly the metrics that the bridge has."""
    families = Metrics().registry.collect()
    known = {f"{family.name}_total" if family.type == "counter" else family.name for family in families}
    told = set(re.findall(r"burgernet_[a-z_]+[a-z]", read("docs/reference.md"))) - {"burgernet_bridge"}
    assert told == known


@pytest.mark.parametrize("words", [Category, Reason, Status, Urgency, Outcome])
def test_every_word_of_the_contract_is_in_the_reference(words: type[StrEnum]) -> None:
    """Categories, reason codes and their like are listed in full."""
    assert set(words) <= set(spans("docs/reference.md"))


def anchor(heading: str) -> str:
    """Name a heading as GitHub does."""
    plain = re.sub(r"[`*]|\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    """Give the anchors of a page."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return {anchor(heading) for heading in re.findall(r"^#+ (.+)$", prose, re.MULTILINE)}


@in_each_document
def test_every_link_leads_somewhere(name: str) -> None:
    """A link within the project leads to a file that is there, and to a heading that is on it."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", read(name)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, heading = link.partition("#")
        page = (ROOT / name).parent / path if path else ROOT / name
        if not page.exists() or (heading and heading not in anchors(page)):
            broken.append(link)
    assert broken == []


@in_each_document
def test_every_path_exists(name: str) -> None:
    """A file or folder of the project that stands in code marks is there."""
    here = re.compile(rf"(?:{'|'.join(map(re.escape, FOLDERS))})/[\w./-]*")
    paths = {span for span in spans(name) if here.fullmatch(span)}
    assert {path for path in paths if not (ROOT / path).exists()} == set()


def test_the_table_of_lengths_in_the_handbook_holds() -> None:
    """The short example fits one page of a matrix board, and the long one needs four, as the handbook says."""
    short, long = (block.text for block in blocks("docs/handleiding.md", "text"))
    assert len(lay_out(short, Sign(columns=16, rows=5, pages=9))) == 1
    assert len(lay_out(long, Sign(columns=16, rows=5, pages=9))) == 4


@in_each_document
def test_every_document_is_tidy(name: str) -> None:
    """Each begins with its title, and no line ends in white space."""
    assert read(name).startswith("# ")
    assert re.search(r"[ \t]+$", read(name), re.MULTILINE) is None


@pytest.mark.parametrize("scene", ["child", "end"])
def test_the_demonstration_in_the_readme_says_what_it_says(scene: str) -> None:
    """The words of the scenes on the first screen are those that the demonstration prints."""
    words = LANGUAGES["nl"]
    page = " ".join(read("README.md").split())
    assert words[f"scene.{scene}"] in page
    assert words[f"scene.{scene}.why"] in page
