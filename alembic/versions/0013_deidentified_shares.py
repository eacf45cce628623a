"""De-identified shares: the key by which their UIDs are replaced"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("share", sa.Column("uid_key", sa.LargeBinary()))


def downgrade() -> None:
    op.execute("UPDATE share SET revoked_at = now() WHERE uid_key IS NOT NULL")
    op.execute(
        "DELETE FROM share_session WHERE share_id IN"
        " (SELECT id FROM share WHERE uid_key IS NOT NULL)"
    )
    op.drop_column("share", "uid_key")
