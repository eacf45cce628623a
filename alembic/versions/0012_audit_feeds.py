"""Feeds of the audit: who sends them, and how far they have come"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def moment(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True))


def upgrade() -> None:
    op.create_table(
        "audit_feed",
        sa.Column("name", sa.Text(), primary_key=True, nullable=False),
        sa.Column("holder", sa.Text()),
        moment("held_until"),
        moment("sent_at"),
        moment("failing_since"),
        sa.Column("failure", sa.Text()),
    )
    op.create_table(
        "audit_feed_place",
        sa.Column("feed", sa.Text(), primary_key=True, nullable=False),
        sa.Column(
            "partition_id", sa.Integer(), primary_key=True, autoincrement=False, nullable=False
        ),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column(
            "sent_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
    )


def downgrade() -> None:
    op.drop_table("audit_feed_place")
    op.drop_table("audit_feed")
