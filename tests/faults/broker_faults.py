"""What happens to RabbitMQ."""

from __future__ import annotations

import asyncio

from tests.faults.judge import What
from tests.faults.scenario import Scenario, needs_own_servers
from tests.faults.town import Town, both_ways

CASES = 20


async def connection_killed(town: Town) -> None:
    """Cut the bridge's connections in the middle of the load, thrice; and have the broker close every connection."""

    async def strike(town: Town, what: What) -> None:
        for _ in range(3):
            await asyncio.sleep(town.random.uniform(0.1, 0.6))
            await town.cut()
        if town.rig.own:
            await town.rig.rabbitmqctl("close_all_connections", "a test")

    await town.start()
    await both_ways(town, strike, CASES)
    town.notes.append(f"{town.way.connections} connections were made")


async def restarted(town: Town) -> None:
    """Stop the broker in good order and start it again."""

    async def strike(town: Town, what: What) -> None:
        await asyncio.sleep(town.random.uniform(0.2, 1.5))
        await town.rig.restart(town.rig.rabbitmq)

    await town.start()
    await both_ways(town, strike, CASES)


async def queue_deleted(town: Town) -> None:
    """Delete the queue of alerts when nothing waits in it; events go on coming at once.

    What waits in a queue goes with it, and nobody can tell: that is not the bridge's to promise.
    """

    async def strike(town: Town, what: What) -> None:
        await town.broker.channel.queue_delete(town.broker.settings.name)

    await town.start()
    for what, names in ((what, names) for names in [town.new_cases(CASES)] for what in ("opened", "ended")):
        first, rest = names[: CASES // 2], names[CASES // 2 :]
        async with town.load(what, first):
            pass
        await town.until_right(what, first)
        async with asyncio.TaskGroup() as group, town.load(what, rest):
            group.create_task(strike(town, what))
        await town.until_right(what, rest)


async def disk_alarm(town: Town) -> None:
    """Let the broker believe that its disk is full: it takes nothing more from whoever publishes. Then let it be well.

    What it had already given out is shown and taken back while the alarm lasts.
    """
    await town.start()
    names = town.new_cases(CASES)
    for what in ("opened", "ended"):
        first, rest = names[: CASES // 2], names[CASES // 2 :]
        async with town.load(what, first, spread=0.2):
            pass
        await town.rig.rabbitmqctl("set_disk_free_limit", "100000GB")
        async with town.load(what, rest):
            try:
                await town.until_right(what, first)
                before = town.events
                await asyncio.sleep(5)
                town.claim(town.events == before, "the alarm stopped nobody")
            finally:
                await town.rig.rabbitmqctl("set_disk_free_limit", "50MB")
        await town.until_right(what, names)


SCENARIOS = [
    Scenario(
        "rabbitmq-connection-killed", "RabbitMQ: connections cut 3× a load, and closed by the broker", connection_killed
    ),
    Scenario("rabbitmq-restarted", "RabbitMQ stopped and started under load", restarted, needs=(needs_own_servers,)),
    Scenario("rabbitmq-queue-deleted", "the queue deleted under load", queue_deleted),
    Scenario(
        "rabbitmq-disk-alarm", "RabbitMQ's disk alarm raised for 5 s and more", disk_alarm, needs=(needs_own_servers,)
    ),
]
