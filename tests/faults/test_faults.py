"""Five of the real faults, small, in every run of the suite; ``make faults`` plays them all."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

from tests.faults import broker_faults, database_faults, peer_faults, process_faults
from tests.faults.rig import Rig
from tests.faults.scenario import Scenario, play
from tests.integration.conftest import server


def named(name: str) -> Scenario:
    """Find a scenario."""
    modules = (broker_faults, database_faults, peer_faults, process_faults)
    return next(one for module in modules for one in module.SCENARIOS if one.name == name)


SMALL = [
    named("rabbitmq-connection-killed"),
    named("postgresql-connections-cut"),
    replace(named("smtp-hangs"), mails=8),
    replace(
        named("sigterm"), play=partial(process_faults.sigterm, rounds=1, seconds=10.0, cases=15), boards=8, mails=8
    ),
    replace(
        named("sigkill-sqlite"),
        play=partial(process_faults.sigkill, fan_outs=1, kills=(1, 1)),
        boards=100,
        mails=90,
        pages=10,
    ),
]


async def test_nothing_is_lost_or_left_behind() -> None:
    """After real faults every acknowledged event has its effect once, but for mails in flight, and nothing stays lit.

    Five towns at a time, for the sake of the suite: each has its own process, queue, store and places.
    """
    rig = Rig(server("BRIDGE_TEST_AMQP_URL"), server("BRIDGE_TEST_POSTGRES_URL"))
    results = await asyncio.gather(*(play(scenario, rig, seed=1) for scenario in SMALL))
    assert [one.scenario.name for one in results if one.skipped] == []
    wrong = {one.scenario.name: (one.seconds, one.lost, one.left, one.wrong) for one in results if not one.holds}
    assert not wrong, wrong
    assert all(one.events for one in results)
