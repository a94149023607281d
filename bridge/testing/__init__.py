"""What everyone who writes an adapter may test it with: the promises of all adapters, stated once."""

import pytest

pytest.register_assert_rewrite("bridge.testing.contract")

from bridge.testing.contract import (  # noqa: E402 - only what is registered first gets its failures explained
    CORRECTION,
    HOSTILE_TEXTS,
    OPENING,
    AdapterContract,
    Peer,
    attempted,
    stored,
)

__all__ = ["CORRECTION", "HOSTILE_TEXTS", "OPENING", "AdapterContract", "Peer", "attempted", "stored"]
