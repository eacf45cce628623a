"""Feeds that send what is of some subtypes, and an index by which they find it"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("audit_feed", sa.Column("subtypes", ARRAY(sa.Text())))
    op.create_index(
        "audit_subtype",
        "audit",
        ["partition_id", "subtype", "sequence"],
        postgresql_where=sa.text("subtype IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("audit_subtype", "audit")
    op.drop_column("audit_feed", "subtypes")
