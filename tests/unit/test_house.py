"""The house rules that can be checked by looking at the files (style, habits 1 and 2; design 2)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

BRIDGE = Path(__file__).parents[2] / "bridge"
FILES = sorted(BRIDGE.rglob("*.py"))
CORE = sorted((BRIDGE / "core").glob("*.py"))
CLOCKS = {"now", "utcnow", "today", "time", "monotonic", "perf_counter", "time_ns", "monotonic_ns"}

each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(BRIDGE)))
each_core_file = pytest.mark.parametrize("path", CORE, ids=lambda path: path.name)


@cache
def tree(path: Path) -> ast.Module:
    """Read a file as Python does."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[str]:
    """Give every module that a file imports."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def importers(package: str) -> set[str]:
    """Name the rooms of the bridge that import a package."""
    return {
        path.relative_to(BRIDGE).parts[0]
        for path in FILES
        if any(name == package or name.startswith(f"{package}.") for name in imports(path))
    }


def test_the_house_is_there() -> None:
    """The checks below look at something: every room's files are found."""
    assert {"events.py", "case.py", "posting.py", "retry.py", "planning.py"} <= {path.name for path in CORE}
    assert len(FILES) > len(CORE) + 10


@each_core_file
def test_the_core_has_no_coroutine_clock_or_environment(path: Path) -> None:
    """Files in ``core/`` are pure: no ``async``, no clock (time is a parameter), no ``os.environ``, no sleeping."""
    asynchronous = (ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await)
    for node in ast.walk(tree(path)):
        assert not isinstance(node, asynchronous), f"line {node.lineno}"
        if isinstance(node, ast.Attribute):
            assert node.attr not in ("environ", "getenv", "sleep"), f"line {node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS:
            assert not isinstance(node.func.value, ast.Name), f"line {node.lineno}"
    text = path.read_text(encoding="utf-8")
    for word in ("datetime.now", "os.environ", "async def"):
        assert word not in text


@each_core_file
def test_the_core_does_no_input_or_output(path: Path) -> None:
    """The core opens, sends, logs and draws lots for nothing: it imports nothing that could."""
    forbidden = {"asyncio", "os", "io", "socket", "pathlib", "random", "secrets", "time", "logging", "structlog"}
    forbidden |= {"aiohttp", "sqlalchemy", "aio_pika", "jinja2", "PIL", "aiosmtplib", "threading", "subprocess"}
    assert not {name.partition(".")[0] for name in imports(path)} & forbidden
    assert not [name for name in imports(path) if name.startswith("bridge.") and not name.startswith("bridge.core")]
    calls = [node.func for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
    assert not {call.id for call in calls if isinstance(call, ast.Name)} & {"open", "print", "input", "exec", "eval"}


def test_the_broker_is_spoken_to_in_one_room() -> None:
    """``aio_pika`` is imported under ``intake/`` only."""
    assert importers("aio_pika") <= {"intake"}


def test_the_database_is_spoken_to_in_one_room() -> None:
    """SQLAlchemy and Alembic are imported under ``store/`` only."""
    assert importers("sqlalchemy") == {"store"}
    assert importers("alembic") <= {"store"}


def test_opentelemetry_is_known_to_one_file() -> None:
    """OpenTelemetry is imported by ``tracing.py`` only, and that file by nobody but the composition root."""
    assert importers("opentelemetry") == {"tracing.py"}
    assert importers("bridge.tracing") == {"assembly.py"}


def test_each_channels_library_stays_in_its_adapter() -> None:
    """SMTP is spoken by an adapter (and by the simulator that answers it), pictures are read by one part."""
    assert importers("aiosmtplib") <= {"adapters"}
    assert importers("PIL") <= {"dispatch", "simulators", "demo", "preview"}


@each_file
def test_no_file_is_longer_than_four_hundred_lines(path: Path) -> None:
    """A longer file is asking to be split by idea."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@each_file
def test_no_task_is_forgotten_and_no_error_swallowed(path: Path) -> None:
    """No task is started without a hold on it, no bare ``except``, and ``except Exception`` only at a boundary that is named."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):  # started, and its result dropped
            dropped = ast.unparse(node.value.func)
            assert dropped not in ("asyncio.create_task", "asyncio.ensure_future"), f"line {node.lineno}"
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"line {node.lineno}"
            name = node.type.id if isinstance(node.type, ast.Name) else ""
            named = "BLE001 - " in lines[node.lineno - 1]
            assert name not in ("Exception", "BaseException") or named, f"line {node.lineno}"
