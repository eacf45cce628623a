"""Emergency overrides: what a caller has opened for a while, and what was seen through it"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "emergency_override",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True, nullable=False),
        sa.Column("partition_id", sa.Integer(), sa.ForeignKey("partition.id"), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("opened_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("study_instance_uid", sa.Text()),
        sa.Column("patient_id", sa.Text()),
        sa.Column("issuer_of_patient_id", sa.Text()),
        sa.Column(
            "opened_at",
            sa.DateTime(timezone=True),
            server_default=sa.func.now(),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
    )
    op.create_index(
        "emergency_override_of_subject",
        "emergency_override",
        ["partition_id", "subject", "opened_at"],
    )
    # Empty in older records, whose hashes therefore stay what they are.
    op.add_column("audit", sa.Column("override", sa.BigInteger()))


def downgrade() -> None:
    op.drop_column("audit", "override")
    op.drop_table("emergency_override")
