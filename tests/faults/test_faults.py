"""Five of the real faults, small, in every run of the suite; ``make faults`` plays them all."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

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
    named("smtp-hangs"),
    replace(named("sigterm"), play=partial(process_faults.sigterm, rounds=1, seconds=10.0), boards=8, mails=8),
    replace(named("sigkill-sqlite"), play=partial(process_faults.sigkill, rounds=2), boards=100, mails=90, pages=10),
]


@pytest.mark.parametrize("scenario", SMALL, ids=lambda scenario: scenario.name)
async def test_nothing_is_lost_or_left_behind(scenario: Scenario) -> None:
    """After a real fault every acknowledged event has its effect once, but for mails in flight, and nothing stays lit."""
    rig = Rig(server("BRIDGE_TEST_AMQP_URL"), server("BRIDGE_TEST_POSTGRES_URL"))
    result = await play(scenario, rig, seed=1)
    assert result.holds, "\n".join(result.wrong)
    assert not result.skipped
    assert result.events
