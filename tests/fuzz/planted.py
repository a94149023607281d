"""A parser with faults that were put there, to prove that they are found (only with ``FUZZ_PLANTED``)."""

from __future__ import annotations

import os

from tests.fuzz.harness import target
from tests.fuzz.mutate import Shape


@target(shape=Shape.TEXT, seeds=["a: 1\n"], most=500)
def planted(data: bytes) -> None:
    """Raise over a zero byte, and die of an alias."""
    if b"\0" in data:
        raise LookupError
    if b"*a" in data:
        os.abort()
