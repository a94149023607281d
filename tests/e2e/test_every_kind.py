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
