"""The patients whose data a search has listed, in its record of the audit"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("audit", sa.Column("patients", JSONB()))
    # Every record takes its own time: a list of those to be indexed later would be emptied by one
    # record while all others of its partition wait.
    op.create_index(
        "audit_patients",
        "audit",
        ["patients"],
        postgresql_using="gin",
        postgresql_ops={"patients": "jsonb_path_ops"},
        postgresql_with={"fastupdate": "off"},
        postgresql_where=sa.text("patients IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("audit_patients", "audit")
    op.drop_column("audit", "patients")
