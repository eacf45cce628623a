"""Whether any study or series of a partition has further values, so that searches need not ask"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "partition",
        sa.Column("has_further_values", sa.Boolean(), server_default="false", nullable=False),
    )
    op.execute("""
    CREATE FUNCTION partition_has_further_values() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE partition SET has_further_values = true
        WHERE id = NEW.partition_id AND NOT has_further_values;
        RETURN NULL;
    END $$
    """)
    for table in ("study", "series"):
        op.execute(f"""
        CREATE TRIGGER further_values AFTER INSERT OR UPDATE OF further_values ON {table}
        FOR EACH ROW WHEN (NEW.further_values IS NOT NULL)
        EXECUTE FUNCTION partition_has_further_values()
        """)
    op.execute("""
    UPDATE partition SET has_further_values = true WHERE id IN (
        SELECT partition_id FROM study WHERE further_values IS NOT NULL
        UNION SELECT partition_id FROM series WHERE further_values IS NOT NULL
    )
    """)


def downgrade() -> None:
    op.execute("DROP FUNCTION partition_has_further_values() CASCADE")
    op.drop_column("partition", "has_further_values")
