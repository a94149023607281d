"""When a case's words were erased, and the way to those whose time has come."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ERASABLE = "standing <> 'open' AND erased IS NULL"


def upgrade() -> None:
    op.add_column("cases", sa.Column("erased", sa.Double(), nullable=True))
    where = sa.text(ERASABLE)
    op.create_index("ix_cases_erasable", "cases", ["changed"], sqlite_where=where, postgresql_where=where)
