"""Shares: links to studies for who has no token"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def moment(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default="0", nullable=False)


def upgrade() -> None:
    op.create_table(
        "share",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True, nullable=False),
        sa.Column("partition_id", sa.Integer(), sa.ForeignKey("partition.id"), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False, unique=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("studies", ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("password", sa.LargeBinary()),
        sa.Column("most_uses", sa.Integer()),
        count("uses"),
        count("guesses"),
        moment("guessed_at"),
        sa.Column("creator", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.func.now(),
            nullable=False,
        ),
        moment("expires_at", nullable=False),
        moment("revoked_at"),
        moment("last_used_at"),
    )
    op.create_index("share_of_partition", "share", ["partition_id", "id"])
    op.create_table(
        "share_session",
        sa.Column("sha256", sa.LargeBinary(), primary_key=True, nullable=False),
        sa.Column("partition_id", sa.Integer(), nullable=False),
        sa.Column("share_id", sa.BigInteger(), sa.ForeignKey("share.id"), nullable=False),
        moment("expires_at", nullable=False),
    )
    op.create_index("share_session_of_share", "share_session", ["share_id"])


def downgrade() -> None:
    op.execute("DELETE FROM access_grant WHERE subject LIKE 'share:%'")
    op.drop_table("share_session")
    op.drop_table("share")
