"""Terms: what can be searched for without a column; filled from the log of changes, later"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

INDEXES = {
    "study_terms": "terms_of_study",
    "series_terms": "terms_of_series",
    "instance_terms": "terms_of_instances",
}


def upgrade() -> None:
    for table, index in INDEXES.items():
        op.create_table(
            table,
            sa.Column("id", sa.BigInteger(), primary_key=True, autoincrement=False),
            sa.Column("partition_id", sa.Integer(), nullable=False),
            sa.Column("terms", ARRAY(sa.BigInteger()), nullable=False),
        )
        op.create_index(index, table, ["terms"], postgresql_using="gin")
    op.create_table(
        "indexed",
        sa.Column("partition_id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("transaction_id", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("indexed")
    for table in INDEXES:
        op.drop_table(table)
