"""Boards that say what no database can keep and no terminal should obey: they harm nobody but themselves."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.core.posting import Observation, Step
from bridge.store import schema
from bridge.store.database import Database
from tests.integration.fake_adapters import Fault
from tests.integration.spine import Spine, board
from tests.integration.spine_store import database_fixture, masters_fixture, store_url  # noqa: F401

J = schema.journal.c


def say(text: str) -> Fault:
    """Answer that this stands there instead."""

    async def fault(_act: Any) -> Observation:
        return Observation(present=False, text=text)

    return fault


@pytest.mark.parametrize("text", ["half \ud83d", "\0\x1b[2Jdark", "line\r\nline\u202e", "x" * 5_000_000])
async def test_what_a_board_says_stops_no_one(database: Database, text: str) -> None:
    """One board's words hold what UTF-8, PostgreSQL or a terminal cannot bear: the other board is lit and put out."""
    async with Spine(database, [board("liar"), board("honest")]) as spine:
        spine.board.fail(say(text), step=Step.OBSERVE, target="liar")
        spine.start()
        await spine.opened()
        await spine.until(lambda: len(spine.board.steps(Step.OBSERVE, "liar")) >= 2)
        seen = str((await spine.posting("liar"))["seen_text"])
        assert seen.isprintable()
        assert 0 < len(seen) <= 1_000
        await spine.ended()
        await spine.until(lambda: not spine.board.showing("honest"))
