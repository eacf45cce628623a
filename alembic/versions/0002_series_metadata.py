"""The metadata of a series, kept ready"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    series = sa.ForeignKey("series.id", ondelete="CASCADE")
    op.create_table(
        "series_metadata",
        sa.Column("series_id", sa.BigInteger(), series, primary_key=True, autoincrement=False),
        sa.Column("partition_id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("deflated", sa.LargeBinary(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("crc32", sa.BigInteger(), nullable=False),
    )
    op.execute("ALTER TABLE series_metadata ALTER COLUMN deflated SET STORAGE EXTERNAL")


def downgrade() -> None:
    op.drop_table("series_metadata")
