"""The demonstration as people run it, and the judge of its invariants against forged histories."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import string
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.core.target import Sign
from bridge.demo.invariants import INVARIANTS, is_good, judge
from bridge.demo.record import Deed, Record, Sight, Told
from bridge.demo.words import LANGUAGES

BRIDGE = Path(sys.executable).with_name("burgernet-bridge")
LIMIT = 30.0  # seconds, from the issue

MISBEHAVING = """
import asyncio, sys
from bridge.demo.play import play
from bridge.demo.world import World
from bridge.simulators.smtp_sink import Break

class ForgetfulMail(World):
    def __init__(self, directory):
        super().__init__(directory)
        self.sink.faults.breaks = Break.DROP_AFTER_DATA

sys.exit(asyncio.run(play(serve=False, make_world=ForgetfulMail)))
"""


@pytest.fixture
def taken_ports() -> Iterator[None]:
    """Occupy the ports that a real bridge and its boards use."""
    with ExitStack() as stack:
        for port in (8080, 9100):
            taken = stack.enter_context(socket.socket())
            with suppress(OSError):  # taken already, which is as good
                taken.bind(("127.0.0.1", port))
                taken.listen()
        yield


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Give an environment without a terminal, whose temporary files can be counted."""
    plain = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "COLUMNS")}
    temporary = folder / "tmp"
    temporary.mkdir()
    return {**plain, "TMPDIR": str(temporary), **more}


async def run(folder: Path, *command: str, **more: str) -> tuple[int, str, str]:
    """Run a command in an empty folder to its end; give exit code, stdout and stderr."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=environment(folder, **more),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(2 * LIMIT):
        out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_plays_and_everything_holds(tmp_path: Path, taken_ports: None) -> None:
    """The real command exits 0 within 30 s with all seven held, in plain text, and leaves nothing behind."""
    started = time.monotonic()
    real = tmp_path / "real.db"
    code, out, err = await run(tmp_path, str(BRIDGE), "demo", BRIDGE_STORE__URL=f"sqlite:///{real}")
    assert (code, err) == (0, ""), out + err
    assert time.monotonic() - started < LIMIT
    assert [f"I{number}" for number in range(1, 8)] == re.findall(r"^✓ (I\d)", out, re.MULTILINE)
    assert "✗ I" not in out
    assert "Straatroof" in out
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", out)
    assert max(map(len, out.splitlines())) <= 80
    assert not real.exists()
    assert list((tmp_path / "tmp").iterdir()) == []


async def test_speaks_english(tmp_path: Path) -> None:
    """With --language en the timeline and the verdict are English."""
    code, out, _ = await run(tmp_path, str(BRIDGE), "demo", "--language", "en")
    assert code == 0, out
    assert "All seven hold." in out
    assert "street robbery and hold-up never go on a board" in " ".join(out.split())


async def test_fails_when_the_world_misbehaves(tmp_path: Path) -> None:
    """A mail server that keeps a mail and never says so makes readers get it twice: exit 1, and I4 is named."""
    code, out, _ = await run(tmp_path, sys.executable, "-c", MISBEHAVING)
    assert code == 1, out
    assert re.search(r"^✗ I4 ", out, re.MULTILINE), out
    assert "NIET alles geldt." in out


async def test_serves_until_interrupted(tmp_path: Path) -> None:
    """With --serve other commands reach the running bridge with the printed configuration, until Ctrl-C."""
    process = await asyncio.create_subprocess_exec(
        *(str(BRIDGE), "demo", "--serve"),
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    try:
        async with asyncio.timeout(2 * LIMIT):
            folder = (await until(process.stdout, r"D=(\S+)"))[1]
            await until(process.stdout, "_faults.*fail_and_post")
            sender = await asyncio.create_subprocess_exec(
                *(str(BRIDGE), "send", "--config", f"{folder}/bridge.yaml", f"{folder}/events/1-vermist.json"),
                cwd=tmp_path,
                stdout=asyncio.subprocess.PIPE,
            )
            told, _ = await sender.communicate()
            assert b"applied" in told
            await until(process.stdout, "Bord A44.*tekst zichtbaar")
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert not Path(folder).exists()


async def until(stream: asyncio.StreamReader, pattern: str) -> re.Match[str]:
    """Read lines until one matches."""
    while line := (await stream.readline()).decode():
        if match := re.search(pattern, line):
            return match
    raise AssertionError(f"the output ended before {pattern}")


async def test_stops_in_the_middle(tmp_path: Path) -> None:
    """Ctrl-C during the story ends it at once with 130, and cleans up."""
    process = await asyncio.create_subprocess_exec(
        *(str(BRIDGE), "demo"),
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    async with asyncio.timeout(LIMIT):
        await until(process.stdout, "Straatroof")
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
    assert (process.returncode, err) == (130, b"")
    assert list((tmp_path / "tmp").iterdir()) == []


# --- the judge ------------------------------------------------------------------------------------------------------

ALERT = "Leiden: jongen (8) vermist. Rode jas."
OUTCOME = "De jongen is gevonden en weer thuis."
SECRET = "whsec_c2VjcmV0c2VjcmV0"
OPENED = Told(1.0, "e1", "1", "opened", "missing_child_alert", ALERT, "", (ALERT,), (ALERT,), frozenset({"a", "ans"}))
ENDED = Told(5.0, "e2", "1", "ended", outcome="resolved", texts=(OUTCOME,), reach=frozenset({"ans"}))
AGAIN = replace(OPENED, at=8.0, silent=True)
LIT = Sight(2.0, "a", "sign", Deed.SHOWN, "1", ALERT, (("Leiden: jongen (8)", "vermist. Rode jas."),))
DARK = Sight(6.0, "a", "sign", Deed.GONE, "1")
MAIL = Sight(2.0, "ans", "email", Deed.SHOWN, "1", f"Kop\n{ALERT}\nVoet 1", photo=True, message_id="<1>")
FOLLOW_UP = Sight(6.0, "ans", "email", Deed.SHOWN, "1", f"Kop\n{OUTCOME}\n1", message_id="<2>", replies_to="<1>")
POST = Sight(2.0, "page", "facebook", Deed.SHOWN, "1", ALERT)
POST_ENDED = Sight(6.0, "page", "facebook", Deed.CHANGED, "1", OUTCOME)
GOOD = Record(
    told=(OPENED, ENDED, AGAIN),
    sights=(LIT, MAIL, POST, DARK, FOLLOW_UP, POST_ENDED),
    left=(POST_ENDED,),
    log=('{"event": "step done"}',),
    secrets=(SECRET,),
    signs={"a": Sign(columns=20, rows=2, pages=1)},
    never=frozenset({"screen"}),
)


def seen(*more: Sight, without: tuple[Sight, ...] = (), **fields: object) -> Record:
    """Forge the good record: other sights, or other fields."""
    sights = (*(one for one in GOOD.sights if one not in without), *more)
    return replace(GOOD, sights=sights, **fields)  # type: ignore[arg-type]


ROBBERY = replace(OPENED, case="2", category="street_robbery", reach=frozenset())
LOCAL = replace(OPENED, category="missing_child")
FORGERIES = {
    "I1 a robbery on a board": ("I1", seen(replace(LIT, case="2"), told=(*GOOD.told, ROBBERY))),
    "I1 a case of unknown kind on a board": ("I1", seen(replace(LIT, case="9"))),
    "I1 at a commercial screen": ("I1", seen(replace(LIT, place="screen"), signs={**GOOD.signs, "screen": Sign()})),
    "I1 a photo on a board for text": ("I1", seen(replace(LIT, deed=Deed.CHANGED, photo=True))),
    "I1 a photo with a local missing child": ("I1", seen(told=(LOCAL, ENDED, AGAIN))),
    "I1 a photo with the outcome": ("I1", seen(replace(FOLLOW_UP, photo=True), without=(FOLLOW_UP,))),
    "I2 a board still lit": ("I2", seen(without=(DARK,), left=(LIT,))),
    "I2 an alert still on the page": ("I2", seen(left=(POST,))),
    "I2 a photo in the album": ("I2", seen(left=(Sight(9.0, "page", "facebook", Deed.SHOWN, "", photo=True),))),
    "I2 a photo in our own store": ("I2", seen(left=(Sight(9.0, "store", "store", Deed.SHOWN, "1", photo=True),))),
    "I3 a board that never heard": ("I3", seen(without=(LIT,))),
    "I3 a reader without the outcome": ("I3", seen(without=(FOLLOW_UP,))),
    "I3 a duplicate that did something": ("I3", seen(replace(DARK, at=9.0))),
    "I4 the same mail twice": ("I4", seen(MAIL)),
    "I4 another mail with the same id": ("I4", seen(replace(FOLLOW_UP, text=f"anders {OUTCOME}", replies_to="<2>"))),
    "I4 the same post twice": ("I4", seen(replace(POST, at=3.0))),
    "I5 an outcome to a stranger": ("I5", seen(replace(FOLLOW_UP, place="joris", replies_to=""))),
    "I5 an alert without its outcome": ("I5", seen(replace(MAIL, place="joris"))),
    "I5 an outcome outside the thread": ("I5", seen(replace(FOLLOW_UP, replies_to=""), without=(FOLLOW_UP,))),
    "I6 a secret in the log": ("I6", seen(log=(f'{{"url": "{SECRET}"}}',))),
    "I6 a text in the log": ("I6", seen(log=(f'{{"event": "{ALERT}"}}',))),
    "I6 no log at all": ("I6", seen(log=())),
    "I7 half a text": ("I7", seen(replace(LIT, pages=(("Leiden: jongen (8)",),)))),
    "I7 another text": ("I7", seen(replace(LIT, text=f"{ALERT}!"))),
    "I7 a text that nobody could witness": ("I7", seen(replace(LIT, text="", pages=()))),
    "I7 more lines than the board has": ("I7", seen(signs={"a": Sign(columns=20, rows=1, pages=1)})),
    "I7 a line that is too long": ("I7", seen(signs={"a": Sign(columns=10, rows=2, pages=1)})),
}


def test_a_good_history_holds() -> None:
    """A history in which all is well breaks none of the seven."""
    findings = judge(GOOD)
    assert [one.faults for one in findings] == [()] * len(INVARIANTS)
    assert [one.name for one in findings] == [f"I{number}" for number in range(1, 8)]
    assert is_good(findings, [])
    assert not is_good(findings, ["a board that never came back"])


@pytest.mark.parametrize(("name", "forged"), FORGERIES.values(), ids=FORGERIES.keys())
def test_a_forged_history_is_found_out(name: str, forged: Record) -> None:
    """Each breach is found by the invariant that it breaks, and the demonstration fails."""
    findings = judge(forged)
    assert name in [one.name for one in findings if not one.held]
    assert not is_good(findings, [])


def test_both_languages_say_the_same() -> None:
    """Dutch and English have the same sentences, which ask for the same values."""
    asked = {
        language: {
            key: {name for _, name, _, _ in string.Formatter().parse(text) if name} for key, text in words.items()
        }
        for language, words in LANGUAGES.items()
    }
    assert asked["nl"] == asked["en"]
