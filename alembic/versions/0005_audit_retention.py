"""Old records of the audit may go, up to a signed checkpoint that stays"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

UPWARDS = (
    "DROP TRIGGER append_only ON audit",
    """
    CREATE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()
    """,
    """
    CREATE FUNCTION audit_is_retained() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (
            SELECT FROM audit_retention
            WHERE partition_id = OLD.partition_id AND sequence >= OLD.sequence
        ) THEN
            RETURN OLD;
        END IF;
        RAISE EXCEPTION 'the audit is only ever added to' USING ERRCODE = 'insufficient_privilege';
    END
    $$
    """,
    """
    CREATE TRIGGER retained BEFORE DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION audit_is_retained()
    """,
    """
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_retention
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()
    """,
)
DOWNWARDS = (
    "DROP TRIGGER retained ON audit",
    "DROP FUNCTION audit_is_retained()",
    "DROP TRIGGER append_only ON audit",
    """
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()
    """,
)


def upgrade() -> None:
    op.create_table(
        "audit_retention",
        sa.Column("partition_id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("sequence", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("signed", sa.Text(), nullable=False),
    )
    for statement in UPWARDS:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNWARDS:
        op.execute(statement)
    op.drop_table("audit_retention")
