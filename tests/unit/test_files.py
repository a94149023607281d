"""A fault of an administrator's file is found where it stands: file, line, field, what is allowed, the nearest word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bridge.adapters.registry import find_adapters
from bridge.core.errors import InvalidInput
from bridge.core.posting import Capabilities, Kind
from bridge.core.rule_space import Channel
from bridge.files import read_document
from bridge.policy import load_rules, load_targets
from bridge.settings import Loaded, Settings

NAMES = ("sign", "display", "email", "facebook", "outbox")
CHANNELS = [Channel(name, name in ("sign", "display")) for name in NAMES]
TYPES = find_adapters()
CAN = {name: Capabilities(kind=Kind.STATE, channels=frozenset(NAMES)) for name in TYPES}

RULES = """\
# een opmerking
rules:
  - name: goed
    effect: allow
    reason: {nl: mag, en: may}

  - name: bord
    effect: allow
    channels: [sign, dispaly]
    reason: {nl: mag, en: may}
  - name: fout
    efect: deny
    effect: denny
    categories:
      - hold_up
      - street_robery
    owners: [comercial]
    statuses: [actual]
    languages: [nld]
    area: [cirkel]
    reason:
      nl: nee
"""
TARGETS = """\
targets:
  - {id: goed, channel: outbox, adapter: outbox, address: wijk, owner: {kind: citizen}}

  - id: slecht
    channel: outbox
    adapter: outbox
    address: wijk
    owner:
      kind: citizn
      naam: Ans
    locatoin: {lat: 52, lon: 4}
    accepts: {status: [Actul]}
  - {id: zonder, channel: email, adapter: outbox, address: wijk, owner: {kind: citizen}}
  - {id: maat, channel: sign, adapter: http_sign, address: "http://127.0.0.1:9/x", owner: {kind: police}}
  - 3
  - id: goed
    owner: {kind: citizen}
    channel: outbox
    adapter: outbox
    address: wijk
"""


def problems(read: Any) -> list[str]:
    """Give the lines of a refusal."""
    with pytest.raises(InvalidInput) as refused:
        read()
    return list(refused.value.problems)


def write(folder: Path, name: str, text: str) -> Path:
    """Write a file."""
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def test_every_fault_of_the_rules_has_its_line(tmp_path: Path) -> None:
    """All at once: unknown keys and words with the nearest known one, what is missing, each at the line it stands on."""
    path = write(tmp_path, "rules.yaml", RULES)
    found = problems(lambda: load_rules(Loaded(Settings(rules="rules.yaml"), tmp_path), CHANNELS))
    expected = {
        (12, "rules.2.efect: is not a known key; nearest: effect"),
        (13, "rules.2.effect: \"denny\" is not allowed; allowed: 'allow' or 'deny'; nearest: deny"),
        (16, 'rules.2.categories.1: "street_robery" is not allowed; '),
        (17, 'rules.2.owners.0: "comercial" is not allowed; '),
        (18, 'rules.2.statuses.0: "actual" is not allowed; '),
        (19, 'rules.2.languages.0: "nld" is not allowed; allowed: a language of ISO 639-1, like nl; nearest: nl'),
        (20, 'rules.2.area.0: "cirkel" is not allowed; '),
        (21, "rules.2.reason.en: is missing; it is required"),
    }
    assert len(found) == len(expected)
    for line, words in expected:
        assert any(one.startswith(f"{path}:{line}: {words}") for one in found), (line, words, found)
    for word in ("street_robbery", "commercial", "Actual", "circle"):
        assert any(one.endswith(f"; nearest: {word}") for one in found), word


def test_a_channel_that_nothing_drives_is_a_fault(tmp_path: Path) -> None:
    """A misspelt channel would leave open what a deny should close, so the rules are refused, at its line."""
    text = RULES[: RULES.index("  - name: fout")]
    path = write(tmp_path, "rules.yaml", text)
    [line] = problems(lambda: load_rules(Loaded(Settings(rules="rules.yaml"), tmp_path), CHANNELS))
    allowed = "allowed: display, email, facebook, outbox, sign; nearest: display"
    assert line == f"{path}:9: rules.1.channels.1: 'dispaly' is not allowed; {allowed}"


def test_a_name_that_stands_twice_is_found_at_the_second(tmp_path: Path) -> None:
    """Every rule has its own name, for decisions are kept by it."""
    text = RULES[: RULES.index("  - name: bord")] + "  - {name: goed, effect: deny, reason: {nl: a, en: b}}\n"
    path = write(tmp_path, "rules.yaml", text)
    assert problems(lambda: load_rules(Loaded(Settings(rules="rules.yaml"), tmp_path), CHANNELS)) == [
        f"{path}:7: rules: the name 'goed' stands twice; every rule has its own"
    ]


def test_every_fault_of_the_targets_has_its_line(tmp_path: Path) -> None:
    """A target is named as well, and what an adapter or the list as a whole refuses has its line too."""
    path = write(tmp_path, "targets.yaml", TARGETS)
    can = CAN | {"outbox": Capabilities(kind=Kind.MESSAGE, channels=frozenset({"outbox"}))}
    found = problems(lambda: load_targets(Loaded(Settings(targets="targets.yaml"), tmp_path), TYPES, can))
    expected = [
        (9, 'target slecht: owner.kind: "citizn" is not allowed; '),
        (10, "target slecht: owner.naam: is not a known key; nearest: name"),
        (11, "target slecht: locatoin: is not a known key; nearest: location"),
        (12, 'target slecht: accepts.status.0: "Actul" is not allowed; '),
        (13, "target zonder: channel: 'email' is not what outbox drives; allowed: outbox"),
        (14, "target maat: sign: "),
        (15, "target 4: "),
        (16, "target goed: id: stands twice; every target has its own"),
    ]
    assert len(found) == len(expected), found
    for line, words in expected:
        assert any(one.startswith(f"{path}:{line}: {words}") for one in found), (line, words, found)


def test_two_targets_that_are_one_board_are_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They would write over each other, or one page would never be opened; boards that hold many messages may share."""
    monkeypatch.setenv("HALL", "stadhuis-0123456789-0123")
    monkeypatch.setenv("POOL", "zwembad-0123456789-01234")
    place = "channel: display, owner: {kind: municipality}, sign: {columns: 16}"
    lines = [
        f"{{id: a, adapter: mqtt_sign, address: mqtt://b.example/x, {place}}}",
        f"{{id: b, adapter: mqtt_sign, address: mqtt://B.example/x, {place}}}",
        f"{{id: c, adapter: http_sign, address: http://b.example/x, {place}}}",
        f"{{id: d, adapter: http_sign, address: http://b.example/x, {place}}}",
        f"{{id: e, adapter: display, address: hal, secret_env: HALL, {place}}}",
        f"{{id: f, adapter: display, address: hal, secret_env: POOL, {place}}}",
        f"{{id: g, adapter: display, address: bad, secret_env: HALL, {place}}}",
    ]
    path = write(tmp_path, "targets.yaml", "targets:\n" + "".join(f"  - {line}\n" for line in lines))
    one = Capabilities(kind=Kind.STATE, channels=frozenset(NAMES), holds_one=True)
    can = CAN | {"mqtt_sign": one}
    assert problems(lambda: load_targets(Loaded(Settings(targets="targets.yaml"), tmp_path), TYPES, can)) == [
        f"{path}:3: target b: address: is that of a; one board is one target",
        f"{path}:8: target g: secret: is that of e; one board is one target",
    ]


def test_json_has_no_lines_and_says_the_rest(tmp_path: Path) -> None:
    """The same faults in JSON name the file and the field."""
    path = write(
        tmp_path, "rules.json", '{"rules": [{"name": "x", "effect": "maybe", "reason": {"nl": "a", "en": "b"}}]}'
    )
    [line] = problems(lambda: load_rules(Loaded(Settings(rules="rules.json"), tmp_path), CHANNELS))
    assert line.startswith(f"{path}: rules.0.effect: ")


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ((), 1),
        (("b",), 3),
        (("b", 1), 5),
        (("b", 1, "c"), 6),
        (("b", 1, "gone"), 5),
        (("b", 9), 3),
        (("gone", 0), 1),
        ((7,), 7),
    ],
)
def test_a_place_has_the_line_of_what_is_there(tmp_path: Path, place: tuple[int | str, ...], line: int) -> None:
    """What is missing is looked for where it should be: at the nearest thing around it that is there."""
    written = read_document(write(tmp_path, "x.yaml", "a: 1\n\nb:\n  - 2\n  - d: 3\n    c: [4]\n7: x\n"))
    assert written.line(place) == line


def test_an_empty_file_has_no_line(tmp_path: Path) -> None:
    """Only comments: nothing stands anywhere, and nothing breaks."""
    written = read_document(write(tmp_path, "x.yaml", "# niets\n"))
    assert (written.value, written.line(("a",)), written.at(("a",))) == (None, None, str(written.path))
