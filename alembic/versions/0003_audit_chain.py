"""The audit as chains of hashes that nobody can change unseen"""

import hashlib
from datetime import UTC
from typing import Any

import orjson
import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

FIELDS = (
    *("at", "request_id", "event", "action", "outcome", "principal", "client_address", "method"),
    *("path", "query", "status", "study_instance_uid", "series_instance_uid", "sop_instance_uid"),
)
"""What a hash covers besides the partition."""

APPEND_ONLY = (
    """
    CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'the audit is only ever added to' USING ERRCODE = 'insufficient_privilege';
    END
    $$
    """,
    """
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()
    """,
    """
    CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON audit_chain
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()
    """,
    """
    CREATE TRIGGER goes_on BEFORE UPDATE ON audit_chain FOR EACH ROW
    WHEN (NEW.partition_id <> OLD.partition_id OR NEW.sequence <= OLD.sequence)
    EXECUTE FUNCTION audit_is_append_only()
    """,
)


def upgrade() -> None:
    op.add_column("audit", sa.Column("sequence", sa.BigInteger()))
    op.add_column("audit", sa.Column("hash", sa.LargeBinary()))
    op.create_table(
        "audit_chain",
        sa.Column("partition_id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
    )
    op.execute("UPDATE audit SET partition_id = 0 WHERE partition_id IS NULL")
    _chain_what_is_there(op.get_bind())
    for column in ("partition_id", "sequence", "hash"):
        op.alter_column("audit", column, nullable=False)
    op.alter_column("audit", "at", server_default=None)
    op.drop_column("audit", "id")
    op.create_primary_key("audit_pkey", "audit", ["partition_id", "sequence"])
    for statement in APPEND_ONLY:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP FUNCTION audit_is_append_only() CASCADE")
    op.drop_table("audit_chain")
    op.drop_constraint("audit_pkey", "audit")
    op.add_column(
        "audit", sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True, nullable=False)
    )
    op.create_primary_key("audit_pkey", "audit", ["id"])
    op.drop_column("audit", "sequence")
    op.drop_column("audit", "hash")
    op.alter_column("audit", "at", server_default=sa.func.now())
    op.alter_column("audit", "partition_id", nullable=True)
    op.execute("UPDATE audit SET partition_id = NULL WHERE partition_id = 0")


def _chain_what_is_there(connection: sa.Connection) -> None:
    """Seal the records that there are, as they are now; what was done to them before, nobody knows.

    The hashes are those of `app.audit.chain` at the time of this migration.
    """
    seal = sa.text("UPDATE audit SET sequence = :sequence, hash = :hash WHERE id = :id")
    heads: dict[int, tuple[int, bytes]] = {}
    last = 0
    page = sa.text(
        f"SELECT id, partition_id, {', '.join(FIELDS)} FROM audit"  # noqa: S608
        " WHERE id > :last ORDER BY id LIMIT 5000"
    )
    while rows := connection.execute(page, {"last": last}).mappings().all():
        sealed = []
        for row in rows:
            partition = row["partition_id"]
            first = hashlib.sha256(b"hilum audit, partition %d" % partition).digest()
            sequence, before = heads.get(partition, (0, first))
            heads[partition] = sequence + 1, hashlib.sha256(before + _digest(row)).digest()
            head = dict(zip(("sequence", "hash"), heads[partition], strict=True))
            sealed.append(head | {"id": row["id"]})
        connection.execute(seal, sealed)
        last = rows[-1]["id"]
    for partition, (sequence, head_hash) in heads.items():
        connection.execute(
            sa.text("INSERT INTO audit_chain VALUES (:partition, :sequence, :hash)"),
            {"partition": partition, "sequence": sequence, "hash": head_hash},
        )


def _digest(row: Any) -> bytes:
    values = {name: row[name] for name in FIELDS} | {"partition_id": row["partition_id"]}
    values["at"] = f"{row['at'].astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    return hashlib.sha256(orjson.dumps(values, option=orjson.OPT_SORT_KEYS)).digest()
