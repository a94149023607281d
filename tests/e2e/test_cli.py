"""The command line: what every command prints, where, with which exit code, and what it says of a mistake."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from bridge import cli
from tests.e2e.bench import TEXT, TOKEN, Bench, event
from tests.e2e.process import Answer

CASE = "2026112200042"
STATUS = {"case", "state", "revision", "category", "outcome", "postings"}
POSTING = {"target", "channel", "desired", "applied", "revision", "attempts", "error", "reason"}


def commands(group: Any = None, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Give every command with its words."""
    top: Any = typer.main.get_command(cli.app)
    for name, one in (group or top).commands.items():
        if hasattr(one, "commands"):
            yield from commands(one, (*words, name))
        else:
            yield (*words, name), one


EVERY = dict(commands())
NEEDS_A_FILE = {"send", "backup", "restore", "preview", "check-text", "geo"}
CONFIGURED = [
    (
        *words,
        *(
            ["9"]
            if words[-1] in ("show", "report")
            else ["-"] * ("event" in str(one.params) or words[0] in NEEDS_A_FILE)
        ),
    )
    for words, one in EVERY.items()
    if any("--config" in parameter.opts for parameter in one.params)
]


def told(answer: Answer) -> list[str]:
    """Give the error lines of a command that must say what is wrong and nothing else."""
    assert answer.out == ""
    assert "Traceback" not in answer.err
    assert all(line.startswith("error: ") for line in answer.problems), answer.err
    return [line.removeprefix("error: ") for line in answer.problems]


def test_all_commands_are_there() -> None:
    """The commands are those of the design, as far as they are built, and each explains itself."""
    names = {" ".join(words) for words in EVERY}
    assert names >= {
        *(
            "demo",
            "run",
            "check",
            "migrate",
            "schema",
            "send",
            "status",
            "retract",
            "outbox",
            "rules matrix",
            "rules test",
        ),
        *("backup", "restore"),
        *("rules explain", "dead-letters list", "dead-letters show", "dead-letters replay", "targets probe"),
    }
    for words in EVERY:
        shown = CliRunner().invoke(cli.app, [*words, "--help"])
        assert shown.exit_code == 0
        assert "Usage: " in shown.stdout
    assert names - {" ".join(words[:2]).removesuffix(" -").removesuffix(" 9") for words in CONFIGURED} == {
        "demo",
        "schema",
        "simulate",
    }


async def test_from_a_cold_start(alone: Bench) -> None:
    """The program itself, installed or as a module, tells its version, its help, and with exit code 2 a wrong word."""
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", (await alone.run("--version", cold=True)).out)
    assert "dead-letters" in (await alone.run("--help", cold=True)).out
    assert "No such command 'zork'" in (await alone.run("zork", code=2, cold=True)).err
    module = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bridge", "--version", stdout=asyncio.subprocess.PIPE
    )
    assert re.fullmatch(rb"\d+\.\d+\.\d+\n", (await module.communicate())[0])


async def test_json_alone(alone: Bench) -> None:
    """With --json every command prints JSON and nothing else, from any folder by --config, in the promised shape."""
    alone.add(boards=1, mails=1, pages=1, admins=1)
    alone.targets.append({**alone.targets[0], "id": "reclamezuil", "owner": {"kind": "commercial"}})
    config = ("--config", str(alone.write()))
    alone.folder = alone.folder / "elsewhere"
    alone.folder.mkdir()
    await alone.run("migrate", *config)
    await alone.run("send", "-", *config, stdin=event(CASE, "opened"))
    answers: dict[tuple[str, ...], Answer] = {
        words: await alone.run(*words, *config, stdin=event(CASE, "opened"))
        for words in (
            *(("status", "--json"), ("status", CASE, "--json", "--language", "en"), ("outbox", "wijk-0", "--json")),
            *(("rules", "matrix", "--json"), ("rules", "explain", "-", "--json"), ("targets", "probe", "--json")),
        )
    }
    answers["schema",] = await alone.run("schema")
    assert {words: answer.err for words, answer in answers.items()} == dict.fromkeys(answers, "")
    found = {words: answer.json for words, answer in answers.items()}
    for words in (("status", "--json"), ("status", CASE, "--json", "--language", "en")):
        [case] = found[words]["cases"]
        assert case.keys() >= STATUS
        assert (case["state"], case["revision"], case["category"]) == ("open", 1, "missing_child_alert")
        assert all(posting.keys() >= POSTING for posting in case["postings"])
        assert {one["target"]: (one["desired"], one["applied"]) for one in case["postings"]} == {
            **dict.fromkeys(("bord-0", "mail-0", "fb-104857600", "beheerder-0"), ("shown", "none")),
            "reclamezuil": ("refused", "none"),
        }
    refused = [one for one in case["postings"] if one["desired"] == "refused"]
    assert refused[0]["reason"] == "boards are for government bodies and public tasks only (R7)"
    assert found["outbox", "wijk-0", "--json"] == {"admin": "wijk-0", "messages": []}
    goes = {one["target"]: one["goes"] for one in found["rules", "explain", "-", "--json"]["targets"]}
    assert goes == {"bord-0": True, "mail-0": True, "fb-104857600": True, "beheerder-0": True, "reclamezuil": False}
    assert all(one["open"] for one in found["targets", "probe", "--json"]["targets"])
    assert found["schema",]["$schema"].startswith("https://json-schema.org/")
    matrix = {row["category"]: row["channels"] for row in found["rules", "matrix", "--json"]["matrix"]}
    assert not matrix["street_robbery"]["sign"]["allowed"]
    assert matrix["amber_alert"]["sign"]["allowed"]


async def test_for_people(alone: Bench) -> None:
    """Without --json the same commands print tables in Dutch or English, and a text cannot play with the terminal."""
    alone.add(boards=1, admins=1)
    alone.write()
    trick = "[red]niet rood[/red] \u202edraai"
    info = [{"language": "nl", "headline": "Vermist", "description": f"{TEXT} {trick}"}]
    await alone.run("send", "-", stdin=event(CASE, "opened", category="burglary", info=info))
    dutch = (await alone.run("status")).out
    assert CASE in dutch
    assert "borden en lichtkranten tonen alleen vermissingen" in " ".join(dutch.split())
    assert "missing" in (await alone.run("status", "--language", "en")).out
    await alone.start()
    await alone.until_settled(CASE)
    outbox = (await alone.run("outbox", "wijk-0")).out
    assert "[red]niet rood[/red]" in outbox
    assert "\u202e" not in outbox
    assert "R1" in (await alone.run("rules", "matrix")).out
    explained = (await alone.run("rules", "explain", "-", stdin=event(CASE, "opened"))).out
    assert "bord-0" in explained
    await alone.boards.stop()
    probed = await alone.run("targets", "probe", code=1)
    assert "no connection" in " ".join(probed.out.split())


async def test_a_probe_looks_whether_a_screen_is_there(alone: Bench) -> None:
    """Without a store no page can be shown; with one the probe knows which screens were heard of."""
    alone.environment["HALL"] = "stadhuis-0123456789-0123"
    owner = {"name": "Proefstad", "kind": "municipality"}
    alone._add("hal", "display", "display", owner, address="hal", secret_env="HALL")
    alone.write()
    for command, why in ((None, "this command has no store"), ("migrate", "no screen has the page open")):
        if command:
            await alone.run(command)
        [found] = (await alone.run("targets", "probe", "--json", code=1)).json["targets"]
        assert why in found["error"]


WRONG_USE: list[tuple[tuple[str, ...], str]] = [
    (("send",), "Missing argument 'FILE"),
    (("retract",), "Missing argument 'CASE"),
    (("outbox",), "Missing argument 'ADMIN"),
    (("rules",), "explain"),
    (("run", "--role", "web2"), "Invalid value for '--role': 'web2' is not one of"),
    (("status", "--language", "de"), "'de' is not one of 'nl', 'en'"),
    (("status", "--jsn"), "No such option: --jsn"),
    (("dead-letters", "show", "0"), "greater than or equal to 1"),
    (("dead-letters", "show", "one"), "valid integer"),
    (("dead-letters", "list", "--limit", "0"), "greater than or equal to 1"),
]
MISTAKES: list[tuple[tuple[str, ...], int, str]] = [
    (("send", "nowhere.json"), 2, "nowhere.json: cannot be read (No such file or directory)"),
    (("send", "."), 2, ".: cannot be read (Is a directory)"),
    (("status", "zork"), 1, "case: 'zork' is not known"),
    (("retract", "zork"), 1, "case: 'zork' is not known"),
    (("outbox", "zork"), 2, "admin: 'zork' is not the address of an outbox; allowed: none: targets.yaml has no outbox"),
    (
        ("retract", CASE, "--target", "zork"),
        2,
        "target: 'zork' is not known; allowed: a target of targets.yaml, or of this case",
    ),
    (
        ("retract", CASE, "--target", ""),
        2,
        "target: '' is not known; allowed: a target of targets.yaml, or of this case",
    ),
    (
        ("rules", "explain", "ended.json"),
        2,
        "ended.json: type: an ending passes no rule; allowed: an opened or updated",
    ),
    (("dead-letters", "list"), 2, "queue.url: is empty; dead letters need a queue"),
    (("dead-letters", "show", "1"), 2, "queue.url: is empty; dead letters need a queue"),
    (("dead-letters", "replay"), 2, "queue.url: is empty; dead letters need a queue"),
]


async def test_wrong_use(alone: Bench) -> None:
    """A mistake in the words, or in what they name, is told on stderr, with exit code 2 (1 for an unknown case)."""
    alone.add(boards=1)
    alone.write()
    (alone.folder / "ended.json").write_bytes(event(CASE, "ended"))
    await alone.run("send", "-", stdin=event(CASE, "opened"))
    for words, why in WRONG_USE:
        answer = await alone.run(*words, code=2)
        text = " ".join(answer.err.split()) or answer.out
        assert why in text, words
        assert "Traceback" not in text
    for words, code, why in MISTAKES:
        [line] = told(await alone.run(*words, code=code))
        assert line.startswith(why), words
    status = await alone.status(CASE)
    assert {one["desired"] for one in status["postings"]} == {"shown"}


BAD_EVENTS: dict[str, tuple[dict[str, Any], str]] = {
    "type": ({"type": "nl.burgernet.alert.begun"}, 'type: "nl.burgernet.alert.begun" is not allowed; allowed: nl.bur'),
    "version": ({"specversion": "0.3"}, "specversion: \"0.3\" is not allowed; allowed: '1.0'"),
    "naive": (
        {"time": "2026-11-22T10:15:00"},
        'time: "2026-11-22T10:15:00" is not allowed; allowed: a time with a zone',
    ),
    "subject": ({"subject": ""}, 'subject: "" is not allowed; '),
    "missing": ({"id": None}, "id: is missing; it is required"),
    "sequence": ({"sequence": "one"}, 'sequence: "one" is not allowed; allowed: an integer as string'),
    "data": ({"data": 3}, "data: 3 is not allowed; "),
}
BAD_DATA: dict[str, tuple[dict[str, Any], str]] = {
    "status": ({"status": "Real"}, "data.status: \"Real\" is not allowed; allowed: 'Actual', 'Exercise' or 'Test'"),
    "category": ({"category": 7}, "data.category: 7 is not allowed; "),
    "circle": (
        {"area": {"circle": ["here"]}},
        'data.area.circle.0: "here" is not allowed; allowed: a circle "lat,lon ra',
    ),
    "expires": ({"expires": "soon"}, 'data.expires: "soon" is not allowed; allowed: a time with a zone'),
    "no text": ({"info": []}, "data.info: [] is not allowed; allowed: at least one text"),
    "long": ({"info": [{"description": "a" * 10_001}]}, "data.info.0.description: "),
    "control": ({"info": [{"description": "a\x07b"}]}, "data.info.0.description: "),
}
NO_EVENTS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "body: not JSON ("),
    "list": (b"[1]", "body: [1] is not an object; allowed: one CloudEvent as a JSON object"),
    "binary": (b"\xff\xfe\x00", "body: not JSON ("),
    "deep": (b"[" * 100_000, "body: not JSON ("),
    "huge": (b'"' + b"a" * 1_000_001, "body: 1000002 bytes is too much; allowed: at most 1000000"),
}


async def test_bad_events(alone: Bench) -> None:
    """Events that cannot be read are all told at once: file, field, value, what is allowed; none of them is sent."""
    alone.write()
    good = json.loads(event(CASE, "opened"))
    bodies: dict[str, tuple[bytes, str]] = dict(NO_EVENTS)
    for name, (changes, line) in BAD_EVENTS.items():
        bodies[name] = json.dumps(good | changes).encode(), line
    for name, (changes, line) in BAD_DATA.items():
        bodies[name] = event(CASE, "opened", **changes), line
    (alone.folder / "good").write_bytes(event(CASE, "opened"))
    for name, (body, _) in bodies.items():
        (alone.folder / name).write_bytes(body)
    lines = told(await alone.run("send", "good", *bodies, code=2))
    expected = [f"{name}: {line}" for name, (_, line) in bodies.items()]
    assert len(lines) == len(expected)
    assert [line[: len(start)] for line, start in zip(lines, expected, strict=True)] == expected
    assert max(map(len, lines)) < 500
    [line] = told(await alone.run("status", "--json", code=1))
    assert line.startswith(f"there is no store at {alone.folder}/bridge.db; has the bridge run here?")
    assert not (alone.folder / "bridge.db").exists(), "to ask makes no empty store"


BAD_ENVIRONMENT: dict[str, tuple[str, str]] = {
    "BRIDGE_NONSENSE": ("1", "BRIDGE_NONSENSE: is not a setting; allowed: BRIDGE_<SECTION>__<KEY>"),
    "BRIDGE_WEB__PORT": ("abc", '{variable}: web.port: "abc" is not allowed; Input should be a valid integer'),
    "BRIDGE_QUEUE__ZORK": ("1", "{variable}: queue.zork: is not a known key"),
    "BRIDGE_QUEUE__PREFETCH": ("0", '{variable}: queue.prefetch: "0" is not allowed; Input should be greater than'),
    "BRIDGE_QUEUE__URL": (
        "ampq://guest:n0-0ne@x/",
        '{variable}: queue.url: "ampq://***@x/" is not allowed; allowed: a URL',
    ),
    "BRIDGE_LOG__LEVEL": (
        "loud",
        "{variable}: log.level: \"loud\" is not allowed; allowed: 'debug', 'info', 'warning' or 'er",
    ),
    "BRIDGE_DISPATCH__LOOKS": ("[]", "{variable}: dispatch.looks: [] is not allowed; "),
}
BAD_FILES: dict[str, tuple[bytes, str]] = {
    "no yaml": (b"web: [1\n", "{file}:2: is not valid: "),
    "a list": (b"- 1\n", "{file}: is not a mapping; allowed: the sections of bridge.yaml"),
    "twice": (b"web: {port: 1}\nweb: {port: 2}\n", "{file}:1: is not valid: the key 'web' stands twice"),
    "no text": (b"\xff\xfe", "{file}: is not valid: 'utf-8' codec can't decode"),
    "code": (b"web: !!python/object:os.system x\n", "{file}:1: is not valid: could not determine a constructor"),
    "a word": (b"web: zork\n", '{file}: web: "zork" is not allowed; '),
    "a key": (b"zork: 1\n", "{file}: zork: is not a known key"),
    "a store": (
        b"store: {url: 'mysql://a:n0-0ne@b/c'}\n",
        "store.url: is not a database URL; allowed: sqlite:///path or ",
    ),
    "memory": (b"store: {url: 'sqlite://'}\n", "store.url: needs a file, like sqlite:///var/bridge.db"),
}


async def test_bad_settings(alone: Bench) -> None:
    """Every fault of the settings is one line with file, key, value and what is allowed; no password is among them."""
    file = alone.write()
    environment = alone.environment
    alone.environment = environment | {name: value for name, (value, _) in BAD_ENVIRONMENT.items()}
    lines = told(await alone.run("run", code=2))
    expected = sorted(line.format(variable=variable) for variable, (_, line) in BAD_ENVIRONMENT.items())
    assert [line[: len(start)] for line, start in zip(sorted(lines), expected, strict=True)] == expected
    for variable in ("BRIDGE_WEB", "BRIDGE_PHOTOS__ALLOW_HOSTS"):
        alone.environment = environment | {variable: "zork"}
        [line] = told(await alone.run("status", code=2))
        assert "allowed: JSON for a list or a whole section" in line
    alone.environment = environment
    for name, (text, start) in BAD_FILES.items():
        file.write_bytes(text)
        [line] = told(await alone.run("status", code=2))
        assert line.startswith(start.format(file="config/bridge.yaml")), name
    file.write_text("# only comments\n")
    await alone.run("migrate")
    assert (await alone.run("status", "--json")).json == {"cases": []}
    assert "n0-0ne" not in alone.everything_said()


BAD_TARGETS: list[tuple[Any, str]] = [
    (3, "target 0: "),
    ({"id": "b b"}, 'target b b: id: "b b" is not allowed; String should match pattern'),
    (
        {"owner": {"kind": "king"}},
        "target goed: owner.kind: \"king\" is not allowed; allowed: 'municipality', 'police', ",
    ),
    ({"adapter": "zork"}, "target goed: adapter: 'zork' is not installed"),
    ({"channel": "email"}, "target goed: channel: 'email' is not what http_sign drives; allowed: display, sign"),
    ({"address": "ftp://x"}, "target goed: "),
    ({"sign": None}, "target goed: "),
    ({"location": {"lat": 100, "lon": 3}}, "target goed: location.lat: 100 is not allowed; "),
    (
        {"secret_env": "NOT_THERE"},
        "target goed: secret_env: NOT_THERE is not set; the environment must hold the secret",
    ),
    ({"secret": TOKEN}, "target goed: secret: is not a known key"),
    ({"id": "twee"}, ""),
    ({"id": "twee"}, "target twee: id: stands twice; every target has its own"),
]


async def test_bad_files_behind_the_settings(alone: Bench) -> None:
    """``check`` tells every fault of adapters, targets, rules and templates at once, and ``run`` does not start."""
    alone.add(boards=1)
    good = {**alone.targets[0], "id": "goed", "secret_env": None}
    alone.targets = [good | one if isinstance(one, dict) else one for one, _ in BAD_TARGETS]
    rules = alone.folder / "rules.yaml"
    rules.write_text("rules: [{name: x, effect: maybe, reason: {nl: a, en: b}}]\n")
    template = alone.folder / "templates" / "nl" / "email" / "opened.txt.j2"
    template.parent.mkdir(parents=True)
    template.write_text("{% if %}")
    alone.settings["adapters"]["email"]["port"] = 0
    alone.settings["adapters"]["zork"] = {}
    paths: dict[str, Any] = {"rules": str(rules), "templates": str(alone.folder / "templates")}
    alone.settings |= paths
    file = alone.write()
    lines = told(await alone.run("check", code=2))
    where = f"{file.parent}/targets.json: "
    expected = [where + line for _, line in BAD_TARGETS if line]
    about = [line for line in lines if where in line]
    assert [line[: len(start)] for line, start in zip(about, expected, strict=True)] == expected
    assert (
        "adapters.zork: is not installed; installed are alpha_sign, display, email, facebook, http_sign, kv15, mqtt_sign, ntcip_sign, outbox, work_order"
        in lines
    )
    assert any(line.startswith("adapters.email.port: 0 is not allowed; ") for line in lines)
    assert f"{rules}:1: rules.0.effect: \"maybe\" is not allowed; allowed: 'allow' or 'deny'" in lines
    assert any(line.startswith("templates: nl/email/opened.txt.j2, line 1: ") for line in lines)
    assert TOKEN not in "".join(lines)
    assert told(await alone.run("run", code=2))


@pytest.mark.parametrize("words", CONFIGURED, ids=" ".join)
async def test_every_command_reads_its_config(alone: Bench, words: tuple[str, ...]) -> None:
    """Each command reads the file that --config names, and says so when it is not there."""
    given = {"outbox": ["wijk-0"], "retract": [CASE]}.get(words[0], [])
    answer = await alone.run(*words, *given, "--config", "zork.yaml", code=2, stdin=event(CASE, "opened"))
    assert told(answer) == ["zork.yaml: cannot be read (No such file or directory)"]


async def test_what_cannot_be_reached(alone: Bench) -> None:
    """A broker or a database that is away, or no database at all, is one line with exit code 1, and no password."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    alone.write()
    alone.environment["BRIDGE_QUEUE__URL"] = f"amqp://guest:n0-0ne@127.0.0.1:{port}/"
    for words in ("send -", "dead-letters list", "dead-letters replay"):
        [line] = told(await alone.run(*words.split(), code=1, stdin=event(CASE, "ended")))
        assert "Connect call failed" in line
    (alone.folder / "garbage.db").write_bytes(b"no database" * 1000)
    for url, why in (
        (f"postgresql://me:n0-0ne@127.0.0.1:{port}/x", "the database did not answer: "),
        (f"sqlite:///{alone.folder}/garbage.db", "the database cannot be used: file is not a database"),
    ):
        alone.environment["BRIDGE_STORE__URL"] = url
        for words in ("status", "outbox wijk-0", "migrate"):
            [line] = told(await alone.run(*words.split(), code=1))
            assert line.startswith(why)
    alone.environment["BRIDGE_STORE__URL"] = "sqlite:////proc/zork/bridge.db"
    assert told(await alone.run("run", code=2)) == [
        "store.url: the folder /proc/zork cannot be made (No such file or directory)"
    ]
    assert "n0-0ne" not in alone.everything_said()


async def test_json_can_do_nothing_to_a_terminal(alone: Bench) -> None:
    """A direction mark in a stranger's text is escaped in JSON on stdout, and is itself again for who reads it."""
    case = "zaak\u202e\u00eb\U000e0001"
    alone.add(boards=1)
    sent = await alone.run("send", "-", stdin=event(case, "opened"))
    assert sent.out.removesuffix("\n").isprintable()
    answer = await alone.run("status", case, "--json")
    assert answer.json["cases"][0]["case"] == case
    assert "zaak\\u202e\u00eb\\udb40\\udc01" in answer.out
    assert all(char.isprintable() or char == "\n" for char in answer.out)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("zork", "No such command 'zork'."),
        ("status --zork", "No such option: --zork"),
        ("dead-letters list --limit 0", "Invalid value for '--limit'"),
        ("retract", "Missing argument 'CASE'"),
    ],
)
async def test_wrong_use_is_one_line(alone: Bench, words: str, line: str) -> None:
    """A mistyped command or option is one line on stderr like every other error, with exit code 2."""
    [problem] = told(await alone.run(*words.split(), code=2))
    assert problem.startswith(line)
