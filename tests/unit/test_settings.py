"""Files of settings that harm: read within bounds, or refused with one clear line."""

from __future__ import annotations

from pathlib import Path
from time import process_time

import pytest

from bridge.core.errors import InvalidInput
from bridge.files import MAX_LEVELS, read_yaml
from bridge.settings import load_settings

LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{after}: &{after} [{','.join([f'*{before}'] * 9)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)
CHAIN = "- &a0 [x]\n" + "".join(f"- &a{n + 1} [*a{n}]\n" for n in range(200))
HARMFUL = {
    "aliases that multiply": (LAUGHS, ":6: is not valid: aliases make the file too large"),
    "aliases in a chain": (CHAIN, "more than 50 levels deep"),
    "an alias in itself": ("a: &a [*a]\n", ":1: is not valid: an alias stands within what it names"),
    "a merge with itself": ("a: &a {<<: *a}\n", ":1: is not valid: an alias stands within what it names"),
    "brackets": ("[" * 1_000_000, ":1: is not valid: more than 50 levels deep"),
    "dashes": ("- " * 100_000, "more than 50 levels deep"),
    "no such day": ("web:\n  port: 2026-02-31\n", ":2: is not valid: not a value of the kind 'timestamp'"),
    "no time": ("a: !!timestamp x", ":1: is not valid: not a value of the kind 'timestamp'"),
    "no number": ("a: !!int ''", ":1: is not valid: not a value of the kind 'int'"),
    "a huge number": ("a: " + "1" * 5_000, ":1: is not valid: not a value of the kind 'int'"),
    "no word": ("a: !!bool maybe", ":1: is not valid: not a value of the kind 'bool'"),
}


@pytest.mark.parametrize(("text", "line"), HARMFUL.values(), ids=HARMFUL)
def test_a_harmful_file_is_refused_in_one_line(tmp_path: Path, text: str, line: str) -> None:
    """A file that would take minutes, overrun the stack or trip the parser is refused at once, where it says so."""
    file = tmp_path / "x.yaml"
    file.write_text(text)
    started = process_time()
    with pytest.raises(InvalidInput) as refused:
        read_yaml(file)
    assert process_time() - started < 5  # seconds
    [problem] = refused.value.problems
    assert line in problem
    assert problem.startswith(f"{file}:")


def test_ordinary_aliases_and_depth_are_read(tmp_path: Path) -> None:
    """One owner named once for many targets, and a file as deep as is allowed, are read as they mean."""
    file = tmp_path / "x.yaml"
    file.write_text("o: &o {name: Ans}\nt: [" + ", ".join(["{owner: *o}"] * 5_000) + "]\n")
    found = read_yaml(file)
    assert len(found["t"]) == 5_000
    assert found["t"][-1] == {"owner": {"name": "Ans"}}
    file.write_text("[" * MAX_LEVELS + "]" * MAX_LEVELS)
    assert isinstance(read_yaml(file), list)


def test_a_long_mapping_takes_no_square_of_time(tmp_path: Path) -> None:
    """100,000 keys are compared with one another in seconds, and the last double is found."""
    file = tmp_path / "x.yaml"
    file.write_text("\n".join(f"k{n}: 1" for n in range(50_000)) + "\nk7: 2\n")
    started = process_time()
    with pytest.raises(InvalidInput, match="the key 'k7' stands twice"):
        read_yaml(file)
    assert process_time() - started < 10  # seconds; comparing each with each took minutes


def test_json_is_as_strict_as_yaml(tmp_path: Path) -> None:
    """A file in JSON has every key once too."""
    file = tmp_path / "x.json"
    file.write_text('{"targets": [], "targets": [1]}')
    with pytest.raises(InvalidInput, match="targets: stands twice"):
        read_yaml(file)


def test_a_key_is_no_order_to_the_library(tmp_path: Path) -> None:
    """Keys that the library of settings would obey, and keys that are no words, are not known, each in one line."""
    file = tmp_path / "bridge.yaml"
    file.write_text('_env_file: /etc/passwd\n_secrets_dir: /\n1: 2\n"a\\e[2Jb": 3\n')
    with pytest.raises(InvalidInput) as refused:
        load_settings(file, {})
    keys = [problem.removeprefix(f"{file}: ") for problem in refused.value.problems]
    assert keys == [f"{key}: is not a known key" for key in ("1", "_env_file", "_secrets_dir", "a [2Jb")]


def test_a_bad_variable_is_blamed_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that came from the environment is not blamed on the file that it overrides."""
    file = tmp_path / "bridge.yaml"
    file.write_text("web: {port: 8080, host: 3}\n")
    monkeypatch.setenv("BRIDGE_WEB__PORT", "many")
    with pytest.raises(InvalidInput) as refused:
        load_settings(file)
    starts = sorted(problem.split(": ")[:2] for problem in refused.value.problems)
    assert starts == sorted([["BRIDGE_WEB__PORT", "web.port"], [str(file), "web.host"]])
