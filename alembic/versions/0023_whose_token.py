"""Who asked, as grants name it, in each record of the audit: names of tokens can be alike"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("audit", sa.Column("subject", sa.Text()))


def downgrade() -> None:
    op.drop_column("audit", "subject")
