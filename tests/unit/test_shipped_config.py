"""The examples in ``config/`` are a working start, and name every setting there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bridge.adapters.registry import find_adapters
from bridge.core.alert import Alert, Status
from bridge.core.target import Target
from bridge.core.target_index import TargetIndex
from bridge.files import read_yaml
from bridge.rendering import Templates
from bridge.settings import Settings, load_settings

CONFIG = Path(__file__).parents[2] / "config"
ADAPTERS = find_adapters()

MERENWIJK = Alert.model_validate(
    {
        "category": "missing_child_alert",
        "info": [{"description": "Jongen (8) vermist."}],
        "area": {
            "circle": ["52.180,4.495 2.0"],
            "geocode": [{"valueName": "gemeente", "value": "GM0546"}],
        },
    }
)


def targets() -> list[Target]:
    """Read the example targets."""
    return [Target.model_validate(entry) for entry in read_yaml(CONFIG / "targets.yaml")["targets"]]


def test_settings_are_the_defaults() -> None:
    """Every value in bridge.yaml is the one that holds without the file."""
    settings = load_settings(CONFIG / "bridge.yaml", {}).settings
    for name in set(Settings.model_fields) - {"rules", "targets", "templates", "adapters"}:
        assert getattr(settings, name) == Settings.model_fields[name].default, name
    for name, adapter in ADAPTERS.items():
        assert adapter.Config.model_validate(settings.adapters[name]) == adapter.Config(), name


def test_every_setting_is_shown() -> None:
    """An administrator sees each setting, as a value or as a comment that shows its use."""
    text = (CONFIG / "bridge.yaml").read_text("utf-8")
    sections = {name: type(field.default) for name, field in Settings.model_fields.items() if name != "adapters"}
    models = [model for model in sections.values() if hasattr(model, "model_fields")]
    models += [adapter.Config for adapter in ADAPTERS.values()]
    shown = set(re.findall(r"^ *(?:# )?([a-z0-9_]+):", text, re.MULTILINE))
    assert shown >= set(sections) | set(ADAPTERS) | {key for model in models for key in model.model_fields}


def test_paths_lead_to_the_examples() -> None:
    """The three files that bridge.yaml names are there, and the templates have no fault."""
    loaded = load_settings(CONFIG / "bridge.yaml", {})
    assert loaded.path(loaded.settings.rules).is_file()
    assert loaded.path(loaded.settings.targets).is_file()
    assert Templates(loaded.path(loaded.settings.templates)).digest


@pytest.mark.parametrize("target", targets(), ids=lambda target: target.id)
def test_each_target_can_be_reached(target: Target) -> None:
    """Its adapter accepts every example target, once the environment holds its secret."""
    ADAPTERS[target.adapter].check_target(target.with_secret("token") if target.secret_env else target)


def test_targets_show_each_sort() -> None:
    """The example has a matrix board, displays with and without a photo, mail and admins; some take exercises."""
    listed = targets()
    assert len({target.id for target in listed}) == len(listed)
    assert [target.channel for target in listed].count("email") == 3
    assert [target.channel for target in listed].count("outbox") == 2
    assert {target.sign.photo for target in listed if target.sign} == {False, True}
    assert [target.id for target in listed if target.accepts.status == (Status.ACTUAL, Status.EXERCISE)] == [
        "lichtkrant-leiden-centraal",
        "beheerder-merenwijk-1",
    ]


def test_an_alert_reaches_the_targets_it_is_meant_for() -> None:
    """An alert in the Merenwijk goes to the district and to the town, and not to the admin of another district."""
    meant = set(TargetIndex(targets()).meant(MERENWIJK))
    assert meant == {
        "lichtkrant-leiden-centraal",
        "halte-leiden-merenwijk",
        "mail-ans",
        "mail-joris",
        "mail-emma",
        "beheerder-merenwijk-1",
    }
