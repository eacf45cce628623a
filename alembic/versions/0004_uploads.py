"""Who may be putting blobs, and which row a blob belongs to"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "upload",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("partition_id", sa.Integer(), nullable=False),
        sa.Column("key_stem", sa.Text(), nullable=False, unique=True),
        sa.Column("number_of_keys", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fence", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.func.now(),
            nullable=False,
        ),
    )
    op.create_index("instance_of_blob", "instance", ["blob_key"])


def downgrade() -> None:
    op.drop_index("instance_of_blob", "instance")
    op.drop_table("upload")
