"""What the other sides do: a mail server that refuses or says nothing, a Graph API that fails and posts."""

from __future__ import annotations

import asyncio

from bridge.simulators.smtp_sink import Break, Faults
from tests.faults.judge import What
from tests.faults.scenario import Scenario
from tests.faults.town import Town, both_ways

MAILS = {"boards": 4, "mails": 20, "pages": 1}
PAGES = {"boards": 4, "mails": 2, "pages": 6}

PUT_OFF = (
    Faults(recipients={"*": "450 4.2.1 mailbox busy"}),
    Faults(mail="451 4.3.0 try later"),
    Faults(greeting="421 4.3.2 closing"),
    Faults(message="452 4.3.1 no room"),
    Faults(mail="550 5.7.1 sender refused"),  # the way of all mails, not of one reader: it is mended by people
)


async def smtp_put_off(town: Town) -> None:
    """Let the mail server put everybody off, at another command each second."""

    async def strike(town: Town, what: What) -> None:
        for faults in town.random.sample(PUT_OFF, len(PUT_OFF)):
            town.bench.mails.faults = faults
            await asyncio.sleep(1)
        town.bench.mails.faults = Faults()

    await town.start()
    await both_ways(town, strike, 10)


async def smtp_refused(town: Town) -> None:
    """Let the mail server know one reader no more: that one is given up and told of; the others get their mail."""

    async def strike(town: Town, what: What) -> None:
        town.bench.mails.faults = Faults(recipients={"lezer0@example.nl": "550 5.1.1 no such user"})

    town.without_reader(0)
    await town.start()
    await both_ways(town, strike, 10)
    told = (await town.bench.run("status", "--json")).json["cases"]
    given_up = [one for case in told for one in case["postings"] if one["target"] == "mail-0"]
    town.claim(all("550" in one["error"] and one["applied"] == "none" for one in given_up), f"not told: {given_up[:1]}")
    town.notes.append(f"{len(given_up)} mails to one reader refused for good (550): status tells each, with the reason")


async def smtp_hangs(town: Town) -> None:
    """Let the mail server keep every mail of 1.5 s and never answer: those may come twice, and no others."""

    async def strike(town: Town, what: What) -> None:
        await asyncio.sleep(town.random.uniform(0.2, 0.6))
        town.bench.mails.faults = Faults(breaks=Break.HANG_AFTER_DATA)
        before = len(town.bench.mails.messages)
        await asyncio.sleep(1.5)
        town.bench.mails.faults = Faults()
        town.excuse(len(town.bench.mails.messages) - before)

    town.bench.settings["adapters"]["email"]["timeout"] = 2
    await town.start()
    await both_ways(town, strike, 10)
    town.claim(town.excused, "no mail hung")


async def graph_fails_and_posts(town: Town) -> None:
    """Let publications and updates fail after they were done: HTTP 500, silence, a broken connection. One fails in earnest."""

    async def strike(town: Town, what: What) -> None:
        graph = town.bench.graph
        operation = "publish" if what == "opened" else "update"
        graph.fault("hang", operations={operation})
        for name, times in (("fail_and_post", 8), ("hang_and_post", 3), ("disconnect_and_post", 3)):
            graph.fault(name, operations={operation}, times=times)

    town.bench.settings["adapters"]["facebook"]["timeout"] = 3
    await town.start()
    await both_ways(town, strike, 10)


SCENARIOS = [
    Scenario("smtp-4xx", "the mail server puts off at RCPT, MAIL, DATA and greeting, 5 s", smtp_put_off, **MAILS),
    Scenario("smtp-5xx", "the mail server refuses one reader for good", smtp_refused, **MAILS),
    Scenario("smtp-hangs", "the mail server keeps mails and hangs after DATA, 1.5 s", smtp_hangs, **MAILS),
    Scenario(
        "graph-fails-and-posts",
        "Graph API: 15 failures a load, 14 of them after posting",
        graph_fails_and_posts,
        **PAGES,
    ),
]
