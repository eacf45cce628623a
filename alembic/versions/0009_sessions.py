"""Sessions: what is given to callers who are known, for a while: cookies and tokens of one study"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def texts(name: str) -> sa.Column[list[str]]:
    return sa.Column(name, ARRAY(sa.Text()), server_default="{}", nullable=False)


def upgrade() -> None:
    op.create_table(
        "session",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True, nullable=False),
        sa.Column("partition_id", sa.Integer(), sa.ForeignKey("partition.id"), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False, unique=True),
        sa.Column("token_id", sa.BigInteger(), sa.ForeignKey("token.id")),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("study_instance_uid", sa.Text()),
        sa.Column("restricted", sa.Boolean(), nullable=False),
        texts("subjects"),
        texts("actions"),
        texts("of_patient"),
        sa.Column("patient_id", sa.Text()),
        sa.Column("issuer_of_patient_id", sa.Text()),
        sa.Column("purpose", sa.Text()),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.func.now(),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("session_expires", "session", ["expires_at"])


def downgrade() -> None:
    op.drop_table("session")
