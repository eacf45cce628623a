"""Whose data each record of the audit is about, and indexes that records are searched by"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ADDED = ("subtype", "patient_id", "issuer_of_patient_id", "purpose", "reason")
"""Empty in older records, whose hashes therefore stay what they are."""
FOUND_BY = ("principal", "patient_id", "study_instance_uid")


def upgrade() -> None:
    for column in ADDED:
        op.add_column("audit", sa.Column(column, sa.Text()))
    for column in FOUND_BY:
        op.create_index(
            f"audit_{column}",
            "audit",
            ["partition_id", column, "at"],
            postgresql_where=sa.text(f"{column} IS NOT NULL"),
        )


def downgrade() -> None:
    for column in FOUND_BY:
        op.drop_index(f"audit_{column}", "audit")
    for column in ADDED:
        op.drop_column("audit", column)
