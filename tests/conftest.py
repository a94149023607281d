"""For all tests: they run side by side, and what one of them wrote must reach the process that tells of it."""

from __future__ import annotations

import gc
from collections.abc import Generator

import pytest

gc.set_threshold(10_000, 10, 10)


def pytest_collection_finish() -> None:
    """Look for garbage among what tests make, and seldom: else up to a fifth of the time goes into that."""
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape lone surrogates in what was captured: tests of hostile texts log them, and no report can carry them."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report
