"""What administrators run is checked without an engine: compose file, image, systemd unit, pinned packages, scripts."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bridge.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ("requirements.txt", "requirements-dev.txt")
# The one-shot step ends by itself; all others are watched.
ONE_SHOT = {"migrate"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The compose file as Docker reads it."""
    content: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return content


@pytest.fixture(scope="module")
def unit() -> configparser.ConfigParser:
    """The systemd unit; of a key that stands twice the last value counts here."""
    parser = configparser.ConfigParser(strict=False, interpolation=None, comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(ROOT / "deploy/burgernet-bridge.service")
    return parser


def instructions(stage: int | None = None) -> list[tuple[str, str]]:
    """The Dockerfile as (instruction, arguments), of one stage or of all."""
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    stages: list[list[tuple[str, str]]] = []
    for line in lines:
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            stages.append([])
        stages[-1].append((word, rest.strip()))
    return [pair for pairs in stages for pair in pairs] if stage is None else stages[stage]


def pinned(name: str) -> dict[str, str]:
    """The packages of a requirements file and their versions."""
    return {canonicalize_name(line.partition("==")[0]): line.split()[0].partition("==")[2] for line in entries(name)}


def entries(name: str) -> Iterator[str]:
    """The logical lines of a requirements file, without comments."""
    text = re.sub(r"\\\n", " ", (ROOT / name).read_text())
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield re.sub(r"\s+", " ", line).strip()


# --- docker compose ---------------------------------------------------------------------------------------------------


def test_every_service_is_watched(compose: dict[str, Any]) -> None:
    """Each long-running service has a health check and is started again; the one-shot step has neither."""
    for name, service in compose["services"].items():
        if name in ONE_SHOT:
            assert service["restart"] == "no", name
            assert service["healthcheck"] == {"disable": True}, name
        else:
            assert service["restart"] == "unless-stopped", name
            assert service["healthcheck"]["test"][0] == "CMD", name
            assert {"interval", "timeout", "retries", "start_period"} <= set(service["healthcheck"]), name


def test_the_bridge_waits_for_what_it_needs(compose: dict[str, Any]) -> None:
    """The bridge starts after healthy servers and after a migration that succeeded."""
    conditions = {name: need["condition"] for name, need in compose["services"]["bridge"]["depends_on"].items()}
    assert conditions.pop("migrate") == "service_completed_successfully"
    assert set(conditions) == {"rabbitmq", "postgres", "mail"}
    assert set(conditions.values()) == {"service_healthy"}


def test_data_and_ports_are_kept_at_home(compose: dict[str, Any]) -> None:
    """State lives in named volumes, and no port is open to the network."""
    for name in ("rabbitmq", "postgres", "bridge"):
        sources = {volume.split(":")[0] for volume in compose["services"][name]["volumes"]}
        assert sources & set(compose["volumes"]), name
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_secrets_are_files_with_examples(compose: dict[str, Any]) -> None:
    """Every secret is a file outside version control with a documented example, and none stands in an environment."""
    for name, secret in compose["secrets"].items():
        assert (ROOT / f"{secret['file']}.example").is_file(), name
    ignored = (ROOT / "deploy/secrets/.gitignore").read_text().split()
    assert ignored == ["*", "!.gitignore", "!*.example"]
    for name, service in compose["services"].items():
        plain = [key for key in service.get("environment", {}) if "PASSWORD" in key and not key.endswith("_FILE")]
        assert plain == [], name


def test_secret_files_reach_the_settings(
    compose: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mounted file named as a setting is that setting: otherwise the bridge would start on SQLite without a broker."""
    for name in compose["services"]["bridge"]["secrets"]:
        shutil.copy(ROOT / f"deploy/secrets/{name}.example", tmp_path / name)
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BRIDGE_SECRETS_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    settings = load_settings().settings
    assert settings.store.url.get_secret_value() == "postgresql://bridge:PASSWORD@postgres:5432/bridge"
    assert settings.queue.url.get_secret_value() == "amqp://bridge:PASSWORD@rabbitmq:5672/"


def test_the_environment_holds_settings_only(compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables of the compose file are read without complaint by the settings."""
    for name, value in compose["services"]["bridge"]["environment"].items():
        monkeypatch.setenv(name, value)
    settings = load_settings().settings
    assert settings.web.host == "0.0.0.0"
    assert settings.adapters["email"]["host"] == "mail"


def test_passwords_are_made_once(tmp_path: Path) -> None:
    """Secrets are random, agree with each other, are closed to others, and survive a second run."""
    (tmp_path / "secrets").mkdir()
    script = Path(shutil.copy(ROOT / "deploy/create-secrets", tmp_path))
    subprocess.run([script], check=True, capture_output=True, timeout=30)
    made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert made["POSTGRES_PASSWORD"].strip() in made["BRIDGE_STORE__URL"]
    assert len(made["POSTGRES_PASSWORD"].strip()) == 48
    broker = re.search(r"default_pass = (\w{48})", made["rabbitmq_user.conf"])
    assert broker is not None
    assert f":{broker[1]}@" in made["BRIDGE_QUEUE__URL"]
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    subprocess.run([script], check=True, capture_output=True, timeout=30)
    assert {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()} == made


# --- the image --------------------------------------------------------------------------------------------------------


def test_the_image_does_not_run_as_root() -> None:
    """The last stage ends as a numbered user that is not root, with a health check on /readyz and state in a volume."""
    last = dict(instructions(-1))
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last["USER"])
    assert "/readyz" in last["HEALTHCHECK"]
    assert last["VOLUME"] == "/app/var"
    assert last["ENTRYPOINT"] == '["burgernet-bridge"]'
    assert last["CMD"] == '["run"]'


def test_the_image_installs_by_hash() -> None:
    """No package enters the image unchecked: pip gets hashes, or neither dependencies nor a fetched build backend."""
    installs = [
        part for word, rest in instructions() if word == "RUN" for part in re.findall(r"pip install[^&]*", rest)
    ]
    assert installs
    assert all("--require-hashes" in part or "--no-deps --no-build-isolation" in part for part in installs)


def test_the_builder_gets_what_the_image_copies() -> None:
    """The builder is sent nothing but what a COPY names, so that no secret or database can slip into an image."""
    admitted = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copies = [rest.split()[:-1] for word, rest in instructions() if word == "COPY" and "--from" not in rest]
    assert {source for sources in copies for source in sources} == admitted
    assert all((ROOT / source).exists() for source in admitted)


# --- the systemd unit -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Type", "notify"),
        ("WatchdogSec", "30"),
        ("KillMode", "mixed"),
        ("Restart", "on-failure"),
        ("User", "burgernet-bridge"),
        ("StateDirectory", "burgernet-bridge"),
        ("WorkingDirectory", "/var/lib/burgernet-bridge"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateTmp", "yes"),
        ("CapabilityBoundingSet", ""),
        ("MemoryDenyWriteExecute", "yes"),
    ],
)
def test_the_unit_is_watched_and_fenced(unit: configparser.ConfigParser, key: str, value: str) -> None:
    """The unit tells systemd when it is ready and alive, starts again, and may touch its own state only."""
    assert unit["Service"][key] == value


def test_the_unit_gives_time_to_stop(unit: configparser.ConfigParser) -> None:
    """SIGKILL comes later than the bridge's own deadline for the steps in flight."""
    assert float(unit["Service"]["TimeoutStopSec"]) > load_settings(environment={}).settings.service.stop_timeout


# --- pinned packages --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_every_requirement_is_pinned_and_hashed(name: str) -> None:
    """Each line names one version and its hashes; no line names an address or a place on somebody's machine."""
    for entry in entries(name):
        assert re.fullmatch(r"[\w.-]+==[\w.+!-]+( ; [^-]+)?( --hash=sha256:[0-9a-f]{64})+", entry), entry[:80]
    assert re.findall(r"\S*(?:://|file:/|find-links|index-url|(?<=\s)/\w)\S*", (ROOT / name).read_text()) == []


def test_what_the_project_asks_for_is_pinned() -> None:
    """Every dependency, tool and build requirement of the project is pinned at a version that it accepts."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    runtime = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    development = [*runtime, *project["project"]["optional-dependencies"]["dev"]]
    for name, wanted in (("requirements.txt", runtime), ("requirements-dev.txt", development)):
        pins = pinned(name)
        for requirement in map(Requirement, wanted):
            assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), (name, str(requirement))


def test_development_runs_what_production_runs() -> None:
    """The development requirements hold every runtime package at the same version."""
    assert pinned("requirements.txt").items() <= pinned("requirements-dev.txt").items()


# --- services for development -----------------------------------------------------------------------------------------


def services(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a copy of scripts/services.py, so that its ``.services/`` is not ours."""
    if not (home / "scripts").exists():
        shutil.copytree(ROOT / "scripts", home / "scripts")
    script = [sys.executable, str(home / "scripts/services.py"), *arguments]
    env = {**os.environ, **environment}
    return subprocess.run(script, check=False, env=env, capture_output=True, text=True, timeout=60)


def test_a_named_server_is_never_broken(tmp_path: Path) -> None:
    """Fault commands refuse a server that somebody else runs."""
    named = "amqp://guest:guest@192.0.2.1:5672/"
    done = services(tmp_path, "kill", "rabbitmq", BRIDGE_TEST_AMQP_URL=named)
    assert done.returncode == 2
    assert "BRIDGE_TEST_AMQP_URL" in done.stderr


def test_a_copied_checkout_has_its_own_servers(tmp_path: Path) -> None:
    """A checkout copied with its ``.services/`` neither uses nor touches the original's ports and processes."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    services(first, "status", BRIDGE_TEST_AMQP_URL="", BRIDGE_TEST_POSTGRES_URL="")
    (first / ".services/rabbitmq.pid").write_text("1 0\n")
    shutil.copytree(first, second)
    services(second, "status", BRIDGE_TEST_AMQP_URL="", BRIDGE_TEST_POSTGRES_URL="")
    assert not (second / ".services/rabbitmq.pid").exists()
    one, other = (json.loads((home / ".services/state.json").read_text()) for home in (first, second))
    assert {"rabbitmq", "postgres"} <= one.keys() == other.keys()
    assert (one["rabbitmq"], one["postgres"]) != (other["rabbitmq"], other["postgres"])
