"""When a case's words were erased, and how far its targets were judged; and the ways to those that wait for either."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ERASABLE = "standing <> 'open' AND erased IS NULL"


def upgrade() -> None:
    op.add_column("cases", sa.Column("erased", sa.Double(), nullable=True))
    op.add_column("cases", sa.Column("planned", sa.Integer(), nullable=True))
    unfinished = sa.text("planned IS NOT NULL")
    op.create_index("ix_cases_planned", "cases", ["planned"], sqlite_where=unfinished, postgresql_where=unfinished)
    where = sa.text(ERASABLE)
    op.create_index("ix_cases_erasable", "cases", ["changed"], sqlite_where=where, postgresql_where=where)
