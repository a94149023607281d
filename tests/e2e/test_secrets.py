"""Secrets come and go while boards are lit: the bridge lives on, and whatever it can reach goes dark (I2)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.bench import Bench, event

CASE = "2026112200042"


def removed(bench: Bench) -> None:
    """Take a target out, together with its secret; the other one keeps its own under another name."""
    bench.targets = [target for target in bench.targets if target["id"] != "bord-1"]
    renamed(bench)


def renamed(bench: Bench) -> None:
    """Put the same secret into another variable."""
    bench.environment["OTHER_SECRET"] = bench.environment.pop("BOARD_SECRET")
    for target in bench.targets:
        target["secret_env"] = "OTHER_SECRET"


def rotated(bench: Bench) -> None:
    """Leave a revoked secret in the old variable."""
    renamed(bench)
    bench.environment["BOARD_SECRET"] = "whsec_b2xkIGFuZCByZXZva2VkIHNlY3JldCE="


@pytest.mark.parametrize(("change", "left"), [(removed, 1), (renamed, 0), (rotated, 0)])
async def test_a_secret_that_changed_while_boards_were_lit(
    alone: Bench, change: Callable[[Bench], None], left: int
) -> None:
    """Boards that are still listed are put out with today's secret; one without any is tried, and told of."""
    alone.add(boards=2)
    bridge = await alone.start()
    await alone.run("send", "-", stdin=event(CASE, "opened"))
    await alone.boards.until(lambda: alone.lit() == 2)
    await bridge.stop()
    change(alone)
    bridge = await alone.start()
    await alone.run("send", "-", stdin=event(CASE, "ended"))
    await alone.boards.until(lambda: alone.lit() == left)
    if left:
        await bridge.until_logged("what stands at a target that is no longer listed may stay: its secret is gone")
        await bridge.until_logged("step failed")
    await bridge.stop()
