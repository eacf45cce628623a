"""Of which file an instance was made that was changed before it was stored"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("instance", sa.Column("received_sha256", sa.LargeBinary()))


def downgrade() -> None:
    op.drop_column("instance", "received_sha256")
