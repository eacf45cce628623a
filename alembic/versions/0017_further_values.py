"""Values beyond the first, of attributes that should have one"""

import orjson
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from app.dicom.attributes import Level
from app.dicom.matched import level_columns

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

AT_ONCE = 5_000
SEVERAL = r'"Value":\[[^]]*,'
"""What the JSON of a row is like in which an attribute has several values, and of some others."""


def upgrade() -> None:
    for level in (Level.STUDY, Level.SERIES):
        op.add_column(level, sa.Column("further_values", JSONB()))
        fill(level)
        op.create_index(
            f"{level}_further",
            level,
            ["partition_id"],
            postgresql_where=sa.text("further_values IS NOT NULL"),
        )


def fill(level: Level) -> None:
    """What is to be kept is what Store keeps of a new row."""
    rows = sa.table(level, sa.column("id"), sa.column("attributes"))
    text = sa.func.convert_from(rows.c.attributes, "UTF8")
    after = 0
    while found := (
        op.get_bind()
        .execute(
            sa.select(rows.c.id, rows.c.attributes)
            .where(rows.c.id > after, text.regexp_match(SEVERAL))
            .order_by(rows.c.id)
            .limit(AT_ONCE)
        )
        .all()
    ):
        for id_, attributes in found:
            columns, _ = level_columns(orjson.loads(attributes), level)
            if further := columns["further_values"]:
                written = {name: columns[name] for name in further}
                keep(level, id_, written, further)
        after = found[-1].id


def keep(level: Level, id_: int, first: dict[str, str], further: dict[str, list[str]]) -> None:
    """The first values too: of those before it some may have been empty."""
    kinds = (sa.column("further_values", JSONB()), *map(sa.column, first))
    row = sa.table(level, sa.column("id"), *kinds)
    values = {**first, "further_values": further}
    op.get_bind().execute(sa.update(row).where(row.c.id == id_).values(values))


def downgrade() -> None:
    for level in (Level.STUDY, Level.SERIES):
        op.drop_index(f"{level}_further", level)
        op.drop_column(level, "further_values")
