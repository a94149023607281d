"""The processes that share one PostgreSQL: who is alive, who leads, and what becomes of the claims of the dead.

Nobody is trusted to say goodbye. Each process writes its row anew every few seconds; one that has been silent for
``DEAD`` seconds is buried by whoever notices first, and its claims are free. The oldest that dispatches leads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, delete, select, text, update

from bridge.store import schema
from bridge.store.database import insert, session_of

DEAD = 8.0  # seconds of silence

_END = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name = :session AND pid <> pg_backend_pid()"
)
_t = schema.workers.c
_p = schema.postings.c


@dataclass(frozen=True, slots=True)
class Member:
    """One process: its name, which no other has, and its roles."""

    id: str
    roles: frozenset[str]
    version: str


@dataclass(frozen=True, slots=True)
class Roll:
    """Who is alive, the longest a member first, and who was found dead just now."""

    alive: Sequence[Member]
    buried: Sequence[str]

    def leader(self, role: str) -> str:
        """Name the one that leads those with a role; nobody: empty."""
        return next((member.id for member in self.alive if role in member.roles), "")

    def missing(self, roles: Sequence[str]) -> list[str]:
        """Name the roles that nobody has."""
        return [role for role in roles if not self.leader(role)]


def beat(connection: Connection, me: Member, now: float, *, may_bury: bool) -> Roll:
    """Say that this process is alive, and look who else is. ``now`` is the database's time."""
    values = {"id": me.id, "roles": ",".join(sorted(me.roles)), "version": me.version, "since": now, "seen": now}
    mine = insert(connection.dialect.name, schema.workers).values(values)
    connection.execute(mine.on_conflict_do_update(index_elements=["id"], set_={"seen": now}))
    buried = _bury(connection, now) if may_bury else ()
    alive = select(schema.workers).where(_t.seen >= now - DEAD).order_by(_t.since, _t.id)
    members = [Member(row.id, frozenset(row.roles.split(",")), row.version) for row in connection.execute(alive)]
    return Roll(members, buried)


def _bury(connection: Connection, now: float) -> Sequence[str]:
    # One that froze may hold locks, until its sessions are ended: nobody waits for it.
    silent = select(_t.id).where(_t.seen < now - DEAD).with_for_update(skip_locked=True)
    buried = connection.scalars(silent).all()
    for name in buried:
        _end_sessions(connection, name)
        leave(connection, name, now)
    return buried


def _end_sessions(connection: Connection, name: str) -> None:
    """End what a dead process still holds at PostgreSQL: it may only be frozen, in the middle of a transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(_END, {"session": session_of(name.rpartition("/")[2])})


def release(connection: Connection, name: str, now: float) -> None:
    """Declare the claims of one process dead: another takes them over and finds out what came of them."""
    claimed = select(_p.id).where(_claimed(name)).with_for_update(skip_locked=True)
    connection.execute(update(schema.postings).where(_p.id.in_(claimed)).values(due=now))


def leave(connection: Connection, name: str, now: float) -> None:
    """Take a process that stops off the list; while claims of it are locked it stays, to be buried again."""
    release(connection, name, now)
    left = select(_p.id).where(_claimed(name), _p.due > now).exists()
    connection.execute(delete(schema.workers).where(_t.id == name, ~left))
    connection.execute(delete(schema.policies).where(schema.policies.c.worker == name))


def _claimed(name: str) -> ColumnElement[bool]:
    return and_(_p.due.is_not(None), _p.claim.startswith(f"{name}/", autoescape=True))
