"""Zombies A, B and C, two alerts, and drift, for every kind of board: the real process against each simulator."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from bridge.simulators.fault import Fault, Simulator
from tests.contract.mosquitto import MOSQUITTO, Mosquitto, free_port
from tests.e2e.bench import Bench, event
from tests.e2e.kinds import DEAD_MAN, KINDS, SLOW, Kind, Place
from tests.e2e.process import until

CASE, OTHER_CASE = "2026112200042", "2026112200043"
TEXT, OTHER = "Jongen (8) vermist. Rode jas. Bel 112.", "Man (81) vermist. Grijs vest."
BOARDS = 4
NO_BROKER = pytest.mark.skipif(MOSQUITTO is None, reason="Debian's mosquitto is not installed; run: make services")
PARAMS = [pytest.param(name, marks=[NO_BROKER] if name == "mqtt_sign" else []) for name in KINDS]


def words(text: str) -> dict[str, Any]:
    """Give an event's data with this text alone."""
    return {"info": [{"language": "nl", "description": text}]}


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


@pytest.fixture(params=PARAMS)
async def town(request: pytest.FixtureRequest, alone: Bench, tmp_path: Path) -> AsyncIterator[Town]:
    """Give a town with four boards of each kind in turn, without the bridge."""
    name, kind = request.param, KINDS[request.param]
    port, owner = free_port(), {"name": "Proefstad", "kind": "municipality"}
    url = f"http://127.0.0.1:{port}"
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(Mosquitto(tmp_path)) if name == "mqtt_sign" else None
        place = Place(url, broker.port if broker else 0, alone.mails)
        boards = [await stack.enter_async_context(kind.make(place, number)) for number in range(BOARDS)]
        for number, board in enumerate(boards):
            alone._add(f"bord-{number}", kind.channel, name, owner, **kind.target(place, board, number))
        alone.environment |= kind.environment
        mail_server = {"host": alone.mails.host, "port": alone.mails.port} if name == "work_order" else {}
        alone.settings["adapters"][name] = {**kind.settings, **mail_server}
        alone.settings["web"] = {"port": port, "public_url": url}
        alone.settings["display"] = {"dead_man": DEAD_MAN, "beat": 1}
        alone.settings["dispatch"] = {"checks": [0.5, 1, 2], "retry_base": 0.2, "retry_max": 1, "urgent_max": 1}
        yield Town(alone, kind, boards)


async def test_zombie_a(town: Town) -> None:
    """A "show" that waits for boards that are down dies with its case: none is lit when they come back."""
    bridge = await town.bench.start()
    town.fail(Fault.UNREACHABLE)
    await town.send(CASE, "opened", **words(TEXT))
    await until(lambda: all(bridge.failures(f"bord-{number}") for number in range(BOARDS)), "all boards were tried")
    await town.send(CASE, "ended")
    town.fail()
    await town.bench.until_settled(CASE)
    assert town.shown() == [""] * BOARDS


async def test_zombie_b(town: Town) -> None:
    """A "show" that is slow at the board does not outlive the "end" that came meanwhile."""
    await town.bench.start()
    town.fail(Fault.SLOW)
    await town.send(CASE, "opened", **words(TEXT))
    await town.send(CASE, "ended")
    await town.bench.until_settled(CASE, 40)
    await town.until_shown("", 2 * SLOW)  # a page may be painting still what it heard of before the end
    town.fail()

    async def proven() -> bool:
        return bool((await town.bench.run("retraction", "report", CASE, "--json", code=None)).json["proven"])

    await until(proven, "it is proven that nothing is shown")


async def test_zombie_c(town: Town) -> None:
    """A bridge that is killed between alert and ending takes all of it back when it is started again."""
    bridge = await town.bench.start()
    await town.send(CASE, "opened", **words(TEXT))
    await town.until_shown(TEXT)
    await bridge.kill()
    await town.send(CASE, "ended")
    await town.bench.start(ready=False)
    await town.until_shown("")
    await town.bench.until_settled(CASE)


async def test_two_alerts_on_one_board(town: Town) -> None:
    """Two cases are both to be seen; the one that ends leaves the other, on every board."""
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


async def test_drift_is_mended(town: Town) -> None:
    """A board that lost its power shows the alert again, and is seen to; where nobody can tell, it says so."""
    await town.bench.start()
    await town.send(CASE, "opened", **words(TEXT))
    await town.until_shown(TEXT)
    await town.bench.until_settled(CASE)
    for board in town.boards:
        board.reboot()
    if town.kind.tells:
        await town.until_shown(TEXT)

    async def seen() -> bool:
        found = (await town.bench.status(CASE))["postings"]
        return {(one["applied"], one["seen"]) for one in found} == {("shown", "ours" if town.kind.sees else None)}

    await until(seen, "every board was seen as it is to be")
