"""Sessions by caller, since nobody may have any number of them"""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("session_of_caller", "session", ["partition_id", "name", "expires_at"])


def downgrade() -> None:
    op.drop_index("session_of_caller", "session")
