"""Boards that hold one message, and the proof of what boards show."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

ON_A_BOARD = sa.text("kind = 'state' AND (desired = 'shown' OR applied IN ('shown', 'unknown'))")


def upgrade() -> None:
    op.add_column("postings", sa.Column("waits", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("postings", sa.Column("seen", sa.String(8), nullable=False, server_default=""))
    op.add_column("postings", sa.Column("seen_text", sa.Text(), nullable=False, server_default=""))
    op.add_column("postings", sa.Column("gone_at", sa.Double(), nullable=False, server_default=sa.text("0")))
    op.add_column("postings", sa.Column("dark_at", sa.Double(), nullable=False, server_default=sa.text("0")))
    op.create_index(
        "ix_postings_on_a_board", "postings", ["target"], sqlite_where=ON_A_BOARD, postgresql_where=ON_A_BOARD
    )
