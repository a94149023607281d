"""What operators keep off a target, whatever becomes of the target."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "holds",
        sa.Column("case_id", sa.String(length=255), nullable=False),
        sa.Column("target", sa.String(length=100), nullable=False),
        sa.PrimaryKeyConstraint("case_id", "target", name=op.f("pk_holds")),
    )
    op.execute("INSERT INTO holds (case_id, target) SELECT DISTINCT case_id, target FROM postings WHERE held")
