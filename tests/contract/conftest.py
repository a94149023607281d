"""Adapters are tested with what their authors are given."""

from bridge.testing.plugin import pytest_collection_modifyitems, pytest_configure, pytest_terminal_summary

__all__ = ["pytest_collection_modifyitems", "pytest_configure", "pytest_terminal_summary"]
