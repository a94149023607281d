"""What is due at a target is found by the target's name; by its digest, every result wrote a page of its own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_IS_DUE = sa.text("due IS NOT NULL")


def upgrade() -> None:
    op.create_index("ix_postings_target", "postings", ["target"], sqlite_where=_IS_DUE, postgresql_where=_IS_DUE)
    op.drop_index("ix_postings_target_row", "postings")
