"""The bridge as a service: how it starts, what it tells, how it ends, and what an operator can do beside it."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from pathlib import Path

from yarl import URL

from bridge.simulators.board import Faults
from tests.e2e.bench import TEXT, Bench, event, open_bench, text_of
from tests.e2e.conftest import Figures
from tests.e2e.process import until
from tests.integration.broker_bench import open_way

CASE = "2026112200042"
START = 10.0  # seconds that a start may take on a busy machine; two are usual


async def test_it_starts(bench: Bench, figures: Figures) -> None:
    """From nothing to ready takes a few seconds; health, readiness and figures are there."""
    bench.add(boards=1)
    bench.before = ("env",)  # from the very start of the program
    bridge = await bench.start(ready=False)
    seconds = await bridge.ready()
    assert seconds < START
    assert await bridge.get("/healthz") == (200, '{"status": "ok"}')
    ready = json.loads((await bridge.get("/readyz"))[1])
    policy = ready.pop("details").pop("policy")
    assert ready == {"ready": True, "parts": {}, "late": []}
    assert policy["error"] == []
    status, metrics = await bridge.get("/metrics")
    assert status == 200
    assert 'burgernet_events_total{result="applied"} 0.0' in metrics
    assert 'burgernet_parts_ready{part="queue"} 1.0' in metrics
    await bridge.stop()
    figures(f"ready {seconds:.2f} s after the start of the process")


async def test_an_ordered_stop(bench: Bench, figures: Figures) -> None:
    """SIGTERM lets the step in flight end and be written down; then the exit code is 0."""
    bench.add(boards=1)
    bridge = await bench.start()
    bench.boards.fail(Faults(delay=1.5))
    await bench.publish(event(CASE, "opened"))
    await bench.boards.until(lambda: bench.boards.requests["bord-0", "PUT"] == 1)
    assert not bench.lit()
    began = bridge.age()
    await bridge.stop()
    seconds = bridge.age() - began
    assert bench.lit() == 1
    assert bridge.logged("stopped")
    assert "web" not in str(bridge.logged("step failed"))
    [posting] = (await bench.status(CASE))["postings"]
    assert (posting["applied"], posting["settled"], posting["attempts"]) == ("shown", True, 0)
    figures(f"stopped {seconds:.2f} s after SIGTERM, with a step of 1.5 s in flight")


async def test_a_stop_with_a_deadline(bench: Bench) -> None:
    """A board that never answers holds up a stop no longer than stop_timeout, and is looked at at the next start."""
    bench.add(boards=1)
    bench.settings["service"] = {"stop_timeout": 0.5}
    bench.settings["adapters"]["http_sign"]["timeout"] = 60
    bridge = await bench.start()
    bench.boards.fail(Faults(delay=60))
    await bench.publish(event(CASE, "opened"))
    await bench.boards.until(lambda: bench.boards.requests["bord-0", "PUT"] == 1)
    await bridge.stop()
    assert "steps still in flight" in bridge.text
    bench.boards.heal()
    await bench.start()
    await bench.boards.until(lambda: bench.lit() == 1)


async def test_a_second_signal(bench: Bench) -> None:
    """Whoever sends a second signal does not wait for a step in flight."""
    bench.add(boards=1)
    bench.settings["adapters"]["http_sign"]["timeout"] = 60
    bridge = await bench.start()
    bench.boards.fail(Faults(delay=60))
    await bench.publish(event(CASE, "opened"))
    await bench.boards.until(lambda: bench.boards.requests["bord-0", "PUT"] == 1)
    bridge.signal(signal.SIGTERM)
    await bridge.until_logged("stopping")
    bridge.signal(signal.SIGINT)
    assert await bridge.ended(seconds=2) == -signal.SIGINT


async def test_a_broker_that_is_late(bench: Bench, figures: Figures) -> None:
    """A broker that is not there at the start is waited for; until then readyz names the part and the reason."""
    bench.add(boards=1)
    url = bench.environment["BRIDGE_QUEUE__URL"]
    async with open_way(url) as way:
        bench.environment["BRIDGE_QUEUE__URL"] = way.url
        bench.settings["queue"] = {"retry_max": 1}
        way.close()
        bridge = await bench.start(ready=False)
        await bridge.until_logged("waiting for the broker")
        status, text = await bridge.get("/readyz")
        assert status == 503
        why = json.loads(text)["parts"]["queue"]
        assert "no queue at amqp://127.0.0.1" in why
        assert "Connect" in why
        await way.open()
        seconds = await until(lambda: bool(bridge.logged("taking events")), "events are taken")
        await bridge.ready()
        await bench.publish(event(CASE, "opened"))
        await bench.boards.until(lambda: bench.lit() == 1)
        figures(f"ready {seconds:.2f} s after the broker came")


async def test_a_wrong_password(bench: Bench) -> None:
    """A broker that refuses the log-in is told of, the password is not."""
    url = URL(bench.environment["BRIDGE_QUEUE__URL"]).with_password("n0-0ne-may-see-this")
    bench.environment["BRIDGE_QUEUE__URL"] = str(url)
    bridge = await bench.start(ready=False)
    await bridge.until_logged("waiting for the broker")
    status, text = await bridge.get("/readyz")
    assert status == 503
    assert "ACCESS_REFUSED" in text
    letters = await bench.run("dead-letters", "list", code=1)
    assert "ACCESS_REFUSED" in letters.err
    assert "n0-0ne" not in text + bench.everything_said()


async def test_a_port_that_is_taken(alone: Bench) -> None:
    """A part that cannot live stops the whole, with one sentence and an exit code."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        alone.settings["web"]["port"] = port
        bridge = await alone.start(ready=False)
        assert await bridge.ended() == 1
    said = [line for line in bridge.text.splitlines() if not line.startswith("{")]
    assert len(said) == 1
    assert f"web: cannot listen on 127.0.0.1 port {port}: " in said[0]
    assert "Traceback" not in bridge.text


async def test_one_bridge_a_file(alone: Bench) -> None:
    """A second bridge on the same SQLite file is refused, and does the first no harm."""
    first = await alone.start()
    second = await alone.start(ready=False)
    assert await second.ended() == 1
    assert "another bridge runs on" in second.text
    assert (await first.get("/readyz"))[0] == 200


async def test_a_database_without_a_schema(postgres_url: str, tmp_path: Path) -> None:
    """An empty PostgreSQL is refused with the command that mends it; then the bridge runs."""
    async with open_bench(tmp_path, store=postgres_url) as bench:
        refused = await bench.start(ready=False)
        assert await refused.ended() == 1
        assert "run: burgernet-bridge migrate" in refused.text
        await bench.run("migrate")
        await bench.start()


async def test_dead_letters(bench: Bench) -> None:
    """What cannot be read stops nothing: it is listed with the reason, shown whole, and put back."""
    bench.add(boards=1)
    bridge = await bench.start()
    assert bench.broker
    await bench.broker.put(b'{"specversion": "1.0", "type": "nl.burgernet.alert.begun"}', key="alert.begun")
    await bench.publish(event(CASE, "opened"))
    await bench.boards.until(lambda: bench.lit() == 1)
    await bridge.until_logged("unreadable message put aside")
    [letter] = (await bench.run("dead-letters", "list", "--json")).json["dead_letters"]
    assert letter["position"] == 1
    assert letter["error"].startswith('type: "nl.burgernet.alert.begun" is not allowed; allowed: nl.burgernet.alert.')
    whole = (await bench.run("dead-letters", "show", "1")).json
    assert whole["body"] == '{"specversion": "1.0", "type": "nl.burgernet.alert.begun"}'
    assert (await bench.run("dead-letters", "replay", "1")).out == "1 put back on the queue\n"
    await bridge.until_logged("unreadable message put aside", times=2)
    assert 'burgernet_events_total{result="unreadable"} 2.0' in (await bridge.get("/metrics"))[1]
    assert "is not there" in (await bench.run("dead-letters", "show", "2", code=2)).err


async def test_send_beside_a_running_bridge(alone: Bench, figures: Figures) -> None:
    """Without a broker an event that is sent from the command line is on the board within a second."""
    alone.add(boards=1)
    await alone.start()
    sent = await alone.run("send", "-", stdin=event(CASE, "opened"))
    back = alone.clock()
    assert sent.out == f"{CASE}: opened applied; case open, revision 1\n"
    await alone.boards.until(lambda: alone.lit() == 1)
    seconds = alone.happened("PUT")[0] - back
    assert seconds < 1
    figures(f"on the board {seconds:+.2f} s after the command ended")


async def test_retract(alone: Bench) -> None:
    """An operator takes a case off one board for good, then back everywhere: the readers hear that it is withdrawn."""
    alone.add(boards=2, mails=1)
    await alone.start()
    await alone.run("send", "-", stdin=event(CASE, "opened"))
    await alone.until_settled(CASE)
    await alone.run("retract", CASE, "--target", "bord-0")
    await alone.boards.until(lambda: list(alone.boards.everything()) == ["bord-1"])
    corrected = [{"headline": "Vermist: jongen (8)", "description": "Hij draagt een groene jas."}]
    await alone.run("send", "-", stdin=event(CASE, "updated", info=corrected))
    await until(lambda: len(alone.mails.messages) == 2, "the correction")
    assert list(alone.boards.everything()) == ["bord-1"]
    answer = await alone.run("retract", CASE)
    assert (
        answer.out
        == f"{CASE}: withdrawn (applied); is being taken back everywhere, see: burgernet-bridge status {CASE}\n"
    )
    status = await alone.until_settled(CASE)
    assert (status["state"], status["outcome"]) == ("ended", "withdrawn")
    assert not alone.lit()
    [(_, mails)] = alone.mailboxes().items()
    assert len(mails) == 3
    assert "ingetrokken" in text_of(mails[-1])
    assert alone.boards.requests["bord-0", "PUT"] == 1


async def test_systemd_is_told(alone: Bench) -> None:
    """Systemd hears READY once all parts are, WATCHDOG all the time, and STOPPING at the end."""
    told: list[str] = []
    place = alone.folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(place))
        systemd.setblocking(False)
        loop = asyncio.get_running_loop()
        loop.add_reader(systemd, lambda: told.append(systemd.recv(4096).decode()))
        try:
            alone.environment["NOTIFY_SOCKET"] = str(place)
            bridge = await alone.start()
            await until(lambda: "READY=1" in told and told[-1] == "WATCHDOG=1", "ready and watched")
            await bridge.stop()
            await until(lambda: "STOPPING=1" in told, "stopping")
        finally:
            loop.remove_reader(systemd)
    assert told.count("READY=1") == told.count("STOPPING=1") == 1
    assert set(told) == {"READY=1", "STOPPING=1", "WATCHDOG=1"}


async def test_status_events(bench: Bench) -> None:
    """What was shown, refused, failed and taken back is told on the status exchange, as CloudEvents without the text."""
    bench.add(boards=1, mails=2)
    bench.targets.append({**bench.targets[0], "id": "reclamezuil", "owner": {"kind": "commercial"}})
    bench.mails.faults.recipients["lezer1@example.nl"] = "550 5.1.1 no such user"
    await bench.start()
    assert bench.broker
    queue = await bench.broker.channel.declare_queue(exclusive=True)
    await queue.bind(bench.broker.settings.status_exchange, "posting.#")
    await bench.publish(event(CASE, "opened"))
    await until(lambda: bench.lit() == len(bench.mails.messages) == 1, "the alert is out")
    await bench.publish(event(CASE, "ended"))
    told: list[tuple[str, str]] = []
    bodies = b""

    async def all_told() -> bool:
        nonlocal bodies
        while message := await queue.get(no_ack=True, fail=False):
            body = json.loads(message.body)
            assert body["subject"] == body["data"]["case"] == CASE
            assert message.routing_key == body["type"].removeprefix("nl.burgernet.")
            told.append((body["data"]["target"], body["type"].rpartition(".")[2]))
            bodies += message.body
        return {("bord-0", "retracted"), ("mail-0", "applied"), ("mail-1", "failed")} <= set(told)

    await until(all_told, f"all is told: {told}")
    assert ("bord-0", "applied") in told
    assert ("reclamezuil", "refused") in told
    assert TEXT.encode() not in bodies
