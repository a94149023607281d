"""Faults that a channel cannot have: their tests are deselected, and the declared reasons printed."""

from __future__ import annotations

from typing import Any

import pytest

_declared = pytest.StashKey[Any]()


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "fault(name): needs a peer with this fault (see AdapterContract.no_such_fault)")
    config.stash[_declared] = set()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what a channel declares it cannot have."""
    impossible = [item for item in items if _fault(item) in _gaps(item)]
    for item in impossible:
        items.remove(item)
        config.stash[_declared].add(f"{item.nodeid}: {_gaps(item)[_fault(item)]}")
    config.hook.pytest_deselected(items=impossible)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the declared gaps."""
    for line in sorted(config.stash[_declared]):
        terminalreporter.write_line(f"NO SUCH FAULT {line}")


def _gaps(item: pytest.Item) -> dict[str, str]:
    return dict(getattr(getattr(item, "cls", None), "no_such_fault", {}))


def _fault(item: pytest.Item) -> str:
    marker = item.get_closest_marker("fault")
    callspec = getattr(item, "callspec", None)
    return marker.args[0] if marker else str(callspec.params.get("fault", "")) if callspec else ""
