"""The photo desk: how long a photo is tried for."""

from __future__ import annotations

from typing import Any

from bridge.core.content import Photo
from bridge.core.errors import TransientError
from bridge.dispatch.parts import PhotoDesk
from bridge.store.database import Database
from bridge.store.photos import wanted_photos
from tests.integration.broker_bench import running, until_equal
from tests.integration.spine import START, Spine, board, with_photo
from tests.integration.spine_store import database_fixture, masters_fixture, store_url  # noqa: F401


class Nowhere:
    """A fetcher whose site never answers."""

    async def fetch(self, uri: str) -> Photo:
        """Fail as a site does that is away."""
        raise TransientError(f"photo: the server answered 503 ({len(uri)})")


async def test_a_clock_that_was_set_back_lengthens_no_wait(database: Database) -> None:
    """A deadline that a step of the clock moved an hour away is not waited for: the photo is left out in its usual time."""
    async with Spine(database, [board("pictures", photo=True)]) as spine:
        await spine.opened(resource=with_photo())
        fetcher: Any = Nowhere()
        desk = PhotoDesk(database, spine.intake, fetcher, lambda: START - 3600, longest=0.3)

        async def wanted() -> int:
            return len(await database.read(wanted_photos))

        assert await wanted() == 1
        async with running(desk):
            await until_equal(wanted, 0)
