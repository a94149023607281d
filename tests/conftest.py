"""For all tests: they run side by side, and what one of them wrote must reach the process that tells of it."""

from __future__ import annotations

import gc
from collections.abc import Generator

import pytest

gc.disable()  # until all tests are collected: there is no garbage yet


def pytest_collection_finish() -> None:
    """Look for garbage among what tests make, and seldom: else a fifth of the time goes to looking through the tests."""
    gc.freeze()
    gc.enable()
    gc.set_threshold(10_000, 10, 10)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape lone surrogates in what was captured: tests of hostile texts log them, and no report can carry them."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report
