"""Benches for end-to-end tests, and the figures that they measured, printed at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.bench import WARM, Bench, open_bench
from tests.e2e.forked import Forge
from tests.e2e.process import Running
from tests.integration.conftest import amqp_url, postgres_url

__all__ = ["amqp_url", "postgres_url"]

Figures = Callable[..., None]


@pytest.fixture(scope="session", autouse=True)
def _warm() -> Iterator[None]:
    """Save commands and bridges some of their start-up time; let nothing run after the last test."""
    Running.forge = Forge()
    yield
    Running.forge.stop()
    WARM.stop()


@pytest.fixture
async def bench(tmp_path: Path, amqp_url: str) -> AsyncIterator[Bench]:
    """Give a bench with a broker and SQLite."""
    async with open_bench(tmp_path, amqp_url) as bench:
        yield bench


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[Bench]:
    """Give a bench without a broker."""
    async with open_bench(tmp_path) as bench:
        yield bench


@pytest.fixture
def figures(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Figures:
    """Give a way to tell what was measured: in the test's report, and in the summary of the run."""

    def tell(text: str) -> None:
        request.node.add_report_section("call", "figures", text)
        record_property("figures", text)

    return tell


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures of all tests."""
    reports = [one for word in ("passed", "failed") for one in terminalreporter.stats.get(word, [])]
    told = [(one.nodeid, text) for one in reports for name, text in one.user_properties if name == "figures"]
    if told:
        terminalreporter.section("figures of end-to-end tests")
    for name, text in told:
        terminalreporter.write_line(f"{name.rpartition('::')[2]}: {text}")
