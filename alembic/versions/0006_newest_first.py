"""Newest first: an order without null, in which a page can begin anywhere"""

from alembic import op
from sqlalchemy import text

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

BEFORE = ("study_date DESC NULLS LAST", "study_time DESC NULLS LAST", "study_instance_uid")
AFTER = (
    "coalesce(study_date, '') DESC",
    "coalesce(study_time, '') DESC",
    "study_instance_uid DESC",
)


def upgrade() -> None:
    make(AFTER)


def downgrade() -> None:
    make(BEFORE)


def make(columns: tuple[str, ...]) -> None:
    op.drop_index("study_newest_first", "study")
    op.create_index("study_newest_first", "study", ["partition_id", *map(text, columns)])
