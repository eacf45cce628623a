"""How names sound, beside them and no longer among the terms"""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

from app.dicom.matched import sounds_of
from app.dicom.phonetic import codes_of_name

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

AT_ONCE = 5_000
NAMES = ("patient_name", "referring_physician_name")
FOUND = sa.text(
    "SELECT id, patient_name, referring_physician_name, further_values FROM study"
    " WHERE id > :after AND coalesce(patient_name, referring_physician_name) IS NOT NULL"
    " ORDER BY id LIMIT :most"
)
WRITTEN = sa.text(
    "UPDATE study SET sounds = given.sounds::text[]"
    " FROM unnest(CAST(:ids AS bigint[]), CAST(:sounds AS text[])) AS given (id, sounds)"
    " WHERE study.id = given.id"
)


def upgrade() -> None:
    texts = ARRAY(sa.Text())
    op.add_column("study", sa.Column("sounds", texts, server_default="{}", nullable=False))
    fill()
    op.create_index("study_sounds", "study", ["sounds"], postgresql_using="gin")


def fill() -> None:
    after = 0
    while rows := op.get_bind().execute(FOUND, {"after": after, "most": AT_ONCE}).all():
        made = [f"{{{','.join(sorted(set(of_row(row))))}}}" for row in rows]
        op.get_bind().execute(WRITTEN, {"ids": [row.id for row in rows], "sounds": made})
        after = rows[-1].id


def of_row(row: sa.Row[Any]) -> Iterator[str]:
    """What Store keeps of a new row."""
    for column in NAMES:
        for name in (getattr(row, column) or "", *(row.further_values or {}).get(column, ())):
            yield from sounds_of(column, codes_of_name(name))


def downgrade() -> None:
    op.drop_index("study_sounds", "study")
    op.drop_column("study", "sounds")
