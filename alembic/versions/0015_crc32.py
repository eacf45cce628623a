"""CRC-32 of instances, by which they are compared while they are sent"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("instance", sa.Column("crc32", sa.BigInteger()))


def downgrade() -> None:
    op.drop_column("instance", "crc32")
