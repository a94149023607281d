"""What suppliers were asked to do, and what they answered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "orders",
        sa.Column("posting", sa.String(26), nullable=False),
        sa.Column("case_id", sa.String(255), nullable=False),
        sa.Column("target", sa.String(100), nullable=False),
        sa.Column("what", sa.String(8), nullable=False),
        sa.Column("key", sa.String(32), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("asked", sa.Double(), nullable=False),
        sa.Column("sent", sa.Integer(), nullable=False),
        sa.Column("sent_at", sa.Double(), nullable=False),
        sa.Column("answer", sa.String(8), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("answered_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("posting", name="pk_orders"),
    )
    op.create_index("ix_orders_case_id", "orders", ["case_id"])
