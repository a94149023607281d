"""Display pages: what they are to show, and what they have painted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "display_messages",
        sa.Column("posting", sa.String(26), nullable=False),
        sa.Column("case_id", sa.String(255), nullable=False),
        sa.Column("target", sa.String(100), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("photo", sa.String(64), nullable=False),
        sa.Column("valid_until", sa.Double(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("posting", name="pk_display_messages"),
    )
    op.create_index("ix_display_messages_target", "display_messages", ["target"])
    op.create_index("ix_display_messages_case_id", "display_messages", ["case_id"])
    op.create_table(
        "displays",
        sa.Column("target", sa.String(100), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("target", name="pk_displays"),
    )
    op.create_index("ix_displays_changed", "displays", ["changed"])
    op.create_table(
        "screens",
        sa.Column("target", sa.String(100), nullable=False),
        sa.Column("screen", sa.String(64), nullable=False),
        sa.Column("seen", sa.Double(), nullable=False),
        sa.Column("showing", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("target", "screen", name="pk_screens"),
    )
