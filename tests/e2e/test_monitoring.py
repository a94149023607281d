"""A real Prometheus reads a real bridge: what rules and dashboard ask for is there."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from bridge.simulators.board import Faults
from tests.e2e.bench import Bench, event, open_bench
from tests.e2e.process import Running, until
from tests.unit.test_monitoring import RULES, alerts, expressions, program

CASE = "2026112200042"


class Prometheus:
    """A Prometheus that scrapes one bridge every second."""

    def __init__(self, port: int, http: aiohttp.ClientSession) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1"
        self._http = http

    async def ask(self, path: str, **query: str) -> Any:
        """Ask its API; what it answers must be a success without a warning."""
        async with self._http.get(f"{self._url}/{path}", params=query) as answer:
            found = await answer.json()
        assert found["status"] == "success", (query, found)
        assert "warnings" not in found, (query, found)
        return found["data"]

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """Give the series that an expression has now."""
        return list((await self.ask("query", query=expression))["result"])

    async def scraped(self) -> bool:
        """Tell whether it answers, and has read the bridge."""
        try:
            return [one["value"][1] for one in await self.query("up")] == ["1"]
        except aiohttp.ClientError:
            return False


@asynccontextmanager
async def open_prometheus(folder: Path, bridge: Running) -> AsyncIterator[Prometheus]:
    """Run a Prometheus with our rules, for the time of a test."""
    await bridge.get("/healthz")
    target = f"127.0.0.1:{bridge.logged('web server listens')[0]['port']}"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [{"job_name": "burgernet-bridge", "static_configs": [{"targets": [target]}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    words = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb"]
    words += [f"--web.listen-address=127.0.0.1:{port}"]
    with (folder / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(program("prometheus"), *words, stdout=log, stderr=log)
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as http:
            prometheus = Prometheus(port, http)
            await until(prometheus.scraped, f"it scrapes: {folder}/prometheus.log")
            yield prometheus
    finally:
        process.kill()
        await process.wait()


@pytest.fixture
async def shared(tmp_path: Path, amqp_url: str, postgres_url: str) -> AsyncIterator[Bench]:
    """Give a bench on PostgreSQL, where every figure there is has a meaning."""
    async with open_bench(tmp_path, amqp_url, postgres_url) as bench:
        bench.write()
        await bench.run("migrate")
        yield bench


async def test_prometheus_finds_what_rules_and_dashboard_ask_for(shared: Bench) -> None:
    """Every metric and label in an expression is one that the bridge exports, and every expression can be asked."""
    bench = shared
    bench.add(boards=2, mails=1)
    bench.boards.fail(Faults(status=503, verbs=("DELETE",)), "bord-1")
    bridge = await bench.start()
    await bench.publish(event(CASE, "opened"))
    await until(lambda: bench.lit() == 2, "both boards are lit")
    await bench.publish(event(CASE, "ended"))
    await until(lambda: bool(bridge.failures("bord-1")), "one board does not go dark")
    async with open_prometheus(bench.folder, bridge) as prometheus:
        assert await prometheus.query('burgernet_postings{state="retracting"} > 0')
        names = set(re.findall(r"burgernet_\w+", " ".join(expressions())))
        labels = {name: set().union(*(one["metric"] for one in await prometheus.query(name))) for name in names}
        assert [name for name in names if not labels[name]] == []
        for expression in expressions():
            await prometheus.query(expression)
            grouped = {word for group in re.findall(r"by \(([^)]*)\)", expression) for word in group.split(", ")}
            for name, matchers in re.findall(r"(burgernet_\w+)(?:\{([^}]*)\})?", expression):
                assert grouped | set(re.findall(r"(\w+)(?:=|!=|=~)\"", matchers)) <= labels[name], expression
        [group] = (await prometheus.ask("rules"))["groups"]
        assert {rule["name"]: rule["health"] for rule in group["rules"]} == {rule["alert"]: "ok" for rule in alerts()}
        bench.boards.heal()
        await until(lambda: not bench.lit(), "every board is dark")
