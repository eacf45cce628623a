"""How the first of several names sounds, and not how all of them do"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from app.dicom.matched import sounds_of
from app.dicom.phonetic import codes_of_name

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

NAMES = ("patient_name", "referring_physician_name")
FOUND = sa.text(
    "SELECT id, patient_name, referring_physician_name FROM study"
    " WHERE further_values -> 'patient_name' IS NOT NULL"
    " OR further_values -> 'referring_physician_name' IS NOT NULL"
)
WRITTEN = sa.text("UPDATE study SET sounds = :sounds WHERE id = :id")


def upgrade() -> None:
    for row in op.get_bind().execute(FOUND).all():
        op.get_bind().execute(WRITTEN, {"id": row.id, "sounds": sorted(of_row(row))})


def of_row(row: sa.Row[Any]) -> set[str]:
    """What Store keeps of a new row."""
    names = {column: getattr(row, column) or "" for column in NAMES}
    return {
        sound for column, name in names.items() for sound in sounds_of(column, codes_of_name(name))
    }


def downgrade() -> None:
    """Of several names the first is still found by sound."""
