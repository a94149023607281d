"""Zombies A, B and C, two alerts, and drift, for every kind of board: the real process against each simulator."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.simulators.fault import Fault, Simulator
from bridge.testing import HOSTILE_TEXTS
from tests.contract.mosquitto import MOSQUITTO, Mosquitto, free_port
from tests.e2e.bench import Bench, event
from tests.e2e.kinds import DEAD_MAN, KINDS, SLOW, Kind, Place, token
from tests.e2e.process import until

CASE, OTHER_CASE = "2026112200042", "2026112200043"
TEXT, OTHER = "Jongen (8) vermist. Rode jas. Bel 112.", "Man (81) vermist. Grijs vest."
BOARDS = 4
CONTROL = "control-characters"  # in no text at all: the event that brings them is refused
TEXTS = {name: text for name, text in HOSTILE_TEXTS.items() if name != CONTROL}
LONG, EMOJI, ARABIC = "five thousand characters", "emoji", "right-to-left"
SIZE, LETTERS = {LONG: "de tekst past niet volledig op dit bord"}, dict.fromkeys((EMOJI, ARABIC), "does not have")
REFUSES = dict.fromkeys(KINDS, SIZE) | {
    "ntcip_sign": SIZE | LETTERS | {"markup": "heeft 27 tekens, een regel 20"},
    "alpha_sign": SIZE | LETTERS,
    "display": {},
}
NO_BROKER = pytest.mark.skipif(MOSQUITTO is None, reason="Debian's mosquitto is not installed; run: make services")
PARAMS = [pytest.param(name, marks=[NO_BROKER] if name == "mqtt_sign" else []) for name in KINDS]


def words(text: str) -> dict[str, Any]:
    """Give an event's data with this text alone, for all of the town."""
    return {"info": [{"language": "nl", "description": text}], "area": {"circle": ["52.0,4.5 99"]}}


class Town:
    """A bench with boards of one kind."""

    def __init__(self, bench: Bench, kind: Kind, boards: Sequence[Simulator]) -> None:
        self.bench = bench
        self.kind = kind
        self.boards = boards

    def shown(self) -> list[str]:
        """Give what each board shows."""
        return [" ".join(" ".join(board.shown()).split()) for board in self.boards]

    def fail(self, *faults: Fault) -> None:
        """Let every board fail so from now on; without a fault they are well."""
        for board in self.boards:
            board.faults = set(faults)

    async def send(self, case: str, what: str, **changes: Any) -> None:
        """Let an event happen."""
        await self.bench.run("send", "-", stdin=event(case, what, **changes))

    async def until_shown(self, text: str, seconds: float = 30) -> None:
        """Wait until every board shows this."""
        await until(lambda: self.shown() == [text] * BOARDS, f"every board shows {text!r}", seconds)


@asynccontextmanager
async def open_town(name: str, bench: Bench, folder: Path, boards: int = BOARDS) -> AsyncIterator[Town]:
    """Give a town with boards of one kind, each at a place of its own, without the bridge."""
    kind, port = KINDS[name], free_port()
    url = f"http://127.0.0.1:{port}"
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(Mosquitto(folder)) if name == "mqtt_sign" else None
        place = Place(url, broker.port if broker else 0, bench.mails)
        made = [await stack.enter_async_context(kind.make(place, number)) for number in range(boards)]
        for number, board in enumerate(made):
            words = {"location": {"lat": 52.0 + number / 10, "lon": 4.5}, **kind.target(place, board, number)}
            bench._add(f"bord-{number}", kind.channel, name, {"name": "Proefstad", "kind": "municipality"}, **words)
        bench.environment |= {f"SCREEN_{number}": token(number) for number in range(boards)}
        mail_server = {"host": bench.mails.host, "port": bench.mails.port} if name == "work_order" else {}
        bench.settings["adapters"][name] = {**kind.settings, **mail_server}
        bench.settings["web"] = {"port": port, "public_url": url}
        bench.settings["display"] = {"dead_man": DEAD_MAN, "beat": 1}
        bench.settings["dispatch"] = {"checks": [0.5, 1, 2], "retry_base": 0.2, "retry_max": 1, "urgent_max": 1}
        yield Town(bench, kind, made)


@pytest.fixture(params=PARAMS)
async def town(request: pytest.FixtureRequest, alone: Bench, tmp_path: Path) -> AsyncIterator[Town]:
    """Give a town of each kind in turn."""
    async with open_town(request.param, alone, tmp_path) as town:
        yield town


async def test_zombies(town: Town) -> None:
    """None of the three ways in which an alert could outlive its case leaves anything on any board."""
    await _a_show_that_waits_dies_with_its_case(town, "A")
    await _a_slow_show_does_not_outlive_the_end(town, "B")
    await _a_killed_bridge_takes_all_back(town, "C")


async def _a_show_that_waits_dies_with_its_case(town: Town, case: str) -> None:
    bridge = await town.bench.start()
    town.fail(Fault.UNREACHABLE)
    await town.send(case, "opened", **words(TEXT))
    await until(lambda: all(bridge.failures(f"bord-{number}") for number in range(BOARDS)), "all boards were tried")
    await town.send(case, "ended")
    town.fail()
    await town.bench.until_settled(case)
    assert town.shown() == [""] * BOARDS


async def _a_slow_show_does_not_outlive_the_end(town: Town, case: str) -> None:
    town.fail(Fault.SLOW)
    await town.send(case, "opened", **words(TEXT))
    await town.send(case, "ended")
    await town.bench.until_settled(case, 40)
    await town.until_shown("", 2 * SLOW)  # a page may be painting still what it heard of before the end
    town.fail()

    async def proven() -> bool:
        return bool((await town.bench.run("retraction", "report", case, "--json", code=None)).json["proven"])

    await until(proven, "it is proven that nothing is shown")


async def _a_killed_bridge_takes_all_back(town: Town, case: str) -> None:
    await town.send(case, "opened", **words(TEXT))
    await town.until_shown(TEXT)
    await town.bench.bridges[-1].kill()
    await town.send(case, "ended")
    await town.bench.start(ready=False)
    await town.until_shown("")
    await town.bench.until_settled(case)


async def test_two_alerts_and_a_loss_of_power(town: Town) -> None:
    """Two cases are both to be seen; the one that ends leaves the other, which comes back on a board that forgot it."""
    await town.bench.start()
    await town.send(CASE, "opened", **words(TEXT))
    await town.send(OTHER_CASE, "opened", **words(OTHER))

    def both() -> bool:
        return all(TEXT in shown and OTHER in shown for shown in town.shown())

    await until(both, "both are on every board")
    await town.bench.until_settled(CASE)
    await town.send(CASE, "ended")
    await town.until_shown(OTHER)
    await town.bench.until_settled(OTHER_CASE)
    for board in town.boards:
        board.reboot()
    if town.kind.tells:
        await town.until_shown(OTHER)

    async def seen() -> bool:
        found = (await town.bench.status(OTHER_CASE))["postings"]
        return {(one["applied"], one["seen"]) for one in found} == {("shown", "ours" if town.kind.sees else None)}

    await until(seen, "every board was seen as it is to be")


@pytest.mark.parametrize("name", PARAMS)
async def test_any_text(name: str, alone: Bench, tmp_path: Path) -> None:
    """Whatever a text holds, a board shows it as it was sent, or nothing at all and the reason is told (R3, I7)."""
    async with open_town(name, alone, tmp_path, len(TEXTS)) as town:
        await alone.start()
        for number, text in enumerate(TEXTS.values()):
            area = {"circle": [f"{52 + number / 10},4.5 1"]}
            (tmp_path / f"{number}.json").write_bytes(event(f"case-{number}", "opened", **words(text) | {"area": area}))
        await alone.run("send", *(str(tmp_path / f"{number}.json") for number in range(len(TEXTS))))

        why: dict[str, str | None] = {}

        async def decided() -> bool:
            cases = {one["case"]: one["postings"] for one in (await alone.run("status", "--json")).json["cases"]}
            why.update((text, _why_not(number, cases[f"case-{number}"])) for number, text in enumerate(TEXTS))
            return None not in why.values()

        await until(decided, "every board shows its text or refuses it")
        refused = {text: str(reason) for text, reason in why.items() if reason}
        assert refused.keys() == REFUSES[name].keys()
        assert all(REFUSES[name][text] in reason for text, reason in refused.items()), refused
        whole = ["" if text in refused else " ".join(TEXTS[text].split()) for text in TEXTS]
        assert town.shown() == whole


def _why_not(number: int, postings: Sequence[dict[str, Any]]) -> str | None:
    """Tell why a board does not show its case, or nothing when it does; ``None``: that is not known yet."""
    [one] = [one for one in postings if one["target"] == f"bord-{number}"]
    if one["settled"]:
        return str(one["reason"]) if one["desired"] == "refused" else ""
    return str(one["error"]) if one["error"] and one["due"] is None else None


async def test_control_characters_come_nowhere(alone: Bench) -> None:
    """An event whose text would give a sign commands is refused, and says which character is at fault."""
    alone.write()
    answer = await alone.run("send", "-", stdin=event(CASE, "opened", **words(HOSTILE_TEXTS[CONTROL])), code=2)
    assert "text without control characters (found U+0004)" in answer.err
