"""Names without letters that do not decompose, as they are compared now; new terms"""

from alembic import op
from sqlalchemy import text

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

AT_ONCE = 5_000
LONGEST = 256
LETTERS = str.maketrans(
    {"ł": "l", "ø": "o", "ı": "i", "đ": "d", "ð": "d", "ħ": "h", "ŧ": "t", "ŋ": "n"}
    | {"æ": "ae", "œ": "oe", "þ": "th"}
)
FOUND = text(
    "SELECT id, patient_name, referring_physician_name FROM study WHERE id > :after"
    " AND (patient_name ~ :letters OR referring_physician_name ~ :letters) ORDER BY id LIMIT :most"
)
WRITTEN = text(
    "UPDATE study SET patient_name = :patient, referring_physician_name = :physician WHERE id = :id"
)


def upgrade() -> None:
    after = 0
    letters = f"[{''.join(map(chr, LETTERS))}]"
    while rows := (
        op.get_bind().execute(FOUND, {"after": after, "letters": letters, "most": AT_ONCE}).all()
    ):
        made = [
            {"id": id_, "patient": without(patient), "physician": without(physician)}
            for id_, patient, physician in rows
        ]
        op.get_bind().execute(WRITTEN, made)
        after = rows[-1].id
    op.execute("TRUNCATE indexed, study_terms, series_terms, instance_terms")


def without(name: str | None) -> str | None:
    """The name, its component groups no longer than they may be."""
    if name is None:
        return None
    return "=".join(group[:LONGEST] for group in name.translate(LETTERS).split("="))


def downgrade() -> None:
    """What a name was before is not known; the terms are made again."""
    op.execute("TRUNCATE indexed, study_terms, series_terms, instance_terms")
