"""A case's photos: wanted, fetched, and erased when the case ends (R15)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, and_, bindparam, select, update

from bridge.core.case import Case
from bridge.core.content import Photo
from bridge.core.planning import PhotoState
from bridge.store import schema
from bridge.store.database import Prepared, insert

_ERASE = Prepared(
    update(schema.photos)
    .where(schema.photos.c.case_id == bindparam("name"))
    .values({name: bindparam(f"p_{name}") for name in ("state", "data", "digest", "description")})
)
_p = schema.photos.c
_WANTED = select(_p.case_id, _p.uri, _p.deadline).where(_p.state == "wanted").limit(100)  # asked after every event
MAX_URI = 1_600  # bytes; with the longest name of a case it still fits an index: a longer one goes without its photo


def want_photo(connection: Connection, after: Case, now: float, deadline: float) -> PhotoState:
    """Tell how far the photo of a case is; ask for it when nobody has yet."""
    resource = after.registers.alert.photo if after.registers.alert else None
    if resource is None or len(resource.uri.encode()) > MAX_URI:
        return PhotoState()
    table = schema.photos
    mine = and_(table.c.case_id == after.id, table.c.uri == resource.uri)
    row = connection.execute(select(table.c.state, table.c.digest, table.c.deadline).where(mine)).first()
    if row is None or row.state == "erased":
        values = {"state": "wanted", "deadline": deadline, "description": resource.resourceDesc}
        statement = insert(connection.dialect.name, table).values({"case_id": after.id, "uri": resource.uri, **values})
        connection.execute(statement.on_conflict_do_update(index_elements=["case_id", "uri"], set_=values))
        return PhotoState(coming=True)
    if row.state == "ready":
        return PhotoState(ready=Photo(row.digest, description=resource.resourceDesc))
    return PhotoState(coming=row.state == "wanted" and row.deadline > now)


def erase_photos(connection: Connection, name: str) -> None:
    """Forget the photos of a case that is over (R15), and stop waiting for them."""
    _ERASE.one(connection, {"name": name, "p_state": "erased", "p_data": None, "p_digest": "", "p_description": ""})


def wanted_photos(connection: Connection) -> list[tuple[str, str, float]]:
    """List the photos to fetch: case, URI, deadline."""
    return [(row[0], row[1], row[2]) for row in connection.execute(_WANTED)]


def keep_photo(connection: Connection, name: str, uri: str, photo: Photo | None, error: str) -> bool:
    """Keep a fetched photo, or why there is none; ``False`` when the case no longer wants it."""
    t = schema.photos.c
    wanted = and_(t.case_id == name, t.uri == uri, t.state == "wanted")
    values: dict[str, Any] = {"state": "failed", "error": error}
    if photo:
        values = {"state": "ready", "digest": photo.digest, "data": photo.data, "error": ""}
    return bool(connection.execute(update(schema.photos).where(wanted).values(values)).rowcount)
