"""Boards that hold one message, and the proof of what boards show."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

ON_A_BOARD = sa.text(
    "kind = 'state' AND (desired = 'shown' OR applied IN ('shown', 'unknown')"
    " OR (gone_at > dark_at AND due IS NOT NULL))"
)


def upgrade() -> None:
    op.add_column("postings", sa.Column("waits", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("postings", sa.Column("seen", sa.String(8), nullable=False, server_default=""))
    op.add_column("postings", sa.Column("seen_text", sa.Text(), nullable=False, server_default=""))
    op.add_column("postings", sa.Column("gone_at", sa.Double(), nullable=False, server_default=sa.text("0")))
    op.add_column("postings", sa.Column("dark_at", sa.Double(), nullable=False, server_default=sa.text("0")))
    op.add_column("postings", sa.Column("drift_at", sa.Double(), nullable=False, server_default=sa.text("0")))
    op.create_table(
        "alarms",
        sa.Column("posting", sa.String(26), nullable=False),
        sa.Column("case_id", sa.String(255), nullable=False),
        sa.Column("what", sa.String(8), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.Column("told", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("posting", name="pk_alarms"),
    )
    op.create_index("ix_alarms_case_id", "alarms", ["case_id"])
    op.create_index(
        "ix_postings_on_a_board", "postings", ["target"], sqlite_where=ON_A_BOARD, postgresql_where=ON_A_BOARD
    )
