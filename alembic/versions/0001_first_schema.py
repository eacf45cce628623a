"""What is stored, what happened, who asked, who may"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.schema import CreateSequence, DropSequence

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

CHANGE_ORDER = sa.Sequence("change_order", data_type=sa.BigInteger)
MATCHED = sa.Text(collation="C")
PATTERN_MATCHED = ["patient_name", "patient_id", "accession_number", "study_description"]
LIVE = sa.text("removed_at IS NULL")


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    _create_partition()
    _create_study()
    _create_series()
    _create_instance()
    _create_change()
    _create_audit()
    _create_token()


def downgrade() -> None:
    for table in ("token", "audit", "change", "instance", "series", "study", "partition"):
        op.drop_table(table)
    op.execute(DropSequence(CHANGE_ORDER))


def _create_partition() -> None:
    op.create_table(
        "partition",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False, unique=True),
        _now("created_at"),
    )
    op.execute("INSERT INTO partition (name) VALUES ('default')")


def _create_study() -> None:
    op.create_table(
        "study",
        _identity(),
        sa.Column("partition_id", sa.Integer(), sa.ForeignKey("partition.id"), nullable=False),
        sa.Column("study_instance_uid", MATCHED, nullable=False),
        sa.Column("patient_id", MATCHED),
        sa.Column("issuer_of_patient_id", MATCHED),
        sa.Column("patient_name", MATCHED),
        sa.Column("patient_birth_date", MATCHED),
        sa.Column("patient_sex", MATCHED),
        sa.Column("study_date", MATCHED),
        sa.Column("study_time", MATCHED),
        sa.Column("accession_number", MATCHED),
        sa.Column("study_id", MATCHED),
        sa.Column("study_description", MATCHED),
        sa.Column("referring_physician_name", MATCHED),
        _texts("modalities"),
        _texts("sop_classes"),
        _number("number_of_series", 0),
        _number("number_of_instances", 0),
        sa.Column("attributes", sa.LargeBinary(), nullable=False),
        _number("revision", 1, sa.BigInteger()),
        _now("created_at"),
        _now("updated_at"),
        sa.UniqueConstraint("partition_id", "study_instance_uid"),
        postgresql_with={"fillfactor": 80},
    )
    op.create_index("study_patient_id", "study", ["partition_id", "patient_id"])
    op.create_index("study_accession_number", "study", ["partition_id", "accession_number"])
    op.create_index(
        "study_newest_first",
        "study",
        [
            "partition_id",
            sa.text("study_date DESC NULLS LAST"),
            sa.text("study_time DESC NULLS LAST"),
            "study_instance_uid",
        ],
    )
    op.create_index(
        "study_texts",
        "study",
        PATTERN_MATCHED,
        postgresql_using="gin",
        postgresql_ops=dict.fromkeys(PATTERN_MATCHED, "gin_trgm_ops"),
    )
    op.create_index("study_modalities", "study", ["modalities"], postgresql_using="gin")


def _create_series() -> None:
    op.create_table(
        "series",
        _identity(),
        sa.Column("partition_id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.BigInteger(), sa.ForeignKey("study.id"), nullable=False),
        sa.Column("series_instance_uid", MATCHED, nullable=False),
        sa.Column("modality", MATCHED),
        sa.Column("series_number", sa.BigInteger()),
        sa.Column("series_description", MATCHED),
        sa.Column("body_part_examined", MATCHED),
        sa.Column("performed_procedure_step_start_date", MATCHED),
        sa.Column("performed_procedure_step_start_time", MATCHED),
        sa.Column("request_attributes", JSONB(), server_default="[]", nullable=False),
        _number("number_of_instances", 0),
        sa.Column("attributes", sa.LargeBinary(), nullable=False),
        _number("revision", 1, sa.BigInteger()),
        _now("created_at"),
        _now("updated_at"),
        sa.UniqueConstraint("study_id", "series_instance_uid"),
        sa.UniqueConstraint("study_id", "id"),
        postgresql_with={"fillfactor": 80},
    )
    op.create_index("series_uid", "series", ["partition_id", "series_instance_uid"])
    op.create_index("series_modality", "series", ["partition_id", "modality"])
    op.create_index(
        "series_requests",
        "series",
        ["request_attributes"],
        postgresql_using="gin",
        postgresql_ops={"request_attributes": "jsonb_path_ops"},
    )


def _create_instance() -> None:
    op.create_table(
        "instance",
        _identity(),
        sa.Column("partition_id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("series_id", sa.BigInteger(), nullable=False),
        sa.Column("sop_instance_uid", MATCHED, nullable=False),
        sa.Column("sop_class_uid", MATCHED, nullable=False),
        sa.Column("instance_number", sa.BigInteger()),
        sa.Column("rows", sa.Integer()),
        sa.Column("columns", sa.Integer()),
        sa.Column("bits_allocated", sa.Integer()),
        sa.Column("number_of_frames", sa.BigInteger()),
        _number("version", 1),
        sa.Column("transfer_syntax_uid", MATCHED, nullable=False),
        sa.Column("blob_key", sa.Text(), nullable=False),
        _number("blob_offset", 0, sa.BigInteger()),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("metadata_json", sa.LargeBinary(), nullable=False),
        sa.Column("bulk", JSONB(), server_default="[]", nullable=False),
        sa.Column("pixel_offset", sa.BigInteger()),
        sa.Column("pixel_length", sa.BigInteger()),
        sa.Column("frame_bits", sa.BigInteger()),
        sa.Column("frame_table", sa.LargeBinary()),
        _now("created_at"),
        sa.Column("removed_at", sa.DateTime(timezone=True)),
        sa.Column("removed_by", sa.Text()),
        sa.ForeignKeyConstraint(["study_id", "series_id"], ["series.study_id", "series.id"]),
    )
    # One frame's entry is cut out of its table without reading the others, and the JSON is
    # compressed before it comes here: PostgreSQL shall store both as they are.
    op.execute("ALTER TABLE instance ALTER COLUMN frame_table SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE instance ALTER COLUMN metadata_json SET STORAGE EXTERNAL")
    op.create_index(
        "instance_live",
        "instance",
        ["partition_id", "sop_instance_uid"],
        unique=True,
        postgresql_where=LIVE,
    )
    op.create_index("instance_of_series", "instance", ["series_id"], postgresql_where=LIVE)
    op.create_index("instance_of_study", "instance", ["study_id"], postgresql_where=LIVE)


def _create_change() -> None:
    op.execute(CreateSequence(CHANGE_ORDER))
    op.create_table(
        "change",
        sa.Column(
            "sequence",
            sa.BigInteger(),
            primary_key=True,
            autoincrement=False,
            server_default=CHANGE_ORDER.next_value(),
        ),
        sa.Column(
            "transaction_id",
            sa.BigInteger(),
            server_default=sa.text("(pg_current_xact_id()::text)::bigint"),
            nullable=False,
        ),
        sa.Column("partition_id", sa.Integer(), nullable=False),
        _now("at"),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("study_instance_uid", sa.Text(), nullable=False),
        sa.Column("series_instance_uid", sa.Text(), nullable=False),
        sa.Column("sop_instance_uid", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
    )
    op.create_index("change_of_partition", "change", ["partition_id", "transaction_id", "sequence"])


def _create_audit() -> None:
    op.create_table(
        "audit",
        _identity(),
        sa.Column("partition_id", sa.Integer()),
        _now("at"),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("outcome", sa.SmallInteger(), nullable=False),
        sa.Column("principal", sa.Text()),
        sa.Column("client_address", sa.Text()),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("query", sa.Text()),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("study_instance_uid", sa.Text()),
        sa.Column("series_instance_uid", sa.Text()),
        sa.Column("sop_instance_uid", sa.Text()),
    )
    op.create_index("audit_at", "audit", ["partition_id", "at"])


def _create_token() -> None:
    op.create_table(
        "token",
        _identity(),
        sa.Column("partition_id", sa.Integer(), sa.ForeignKey("partition.id"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False, unique=True),
        _texts("scopes"),
        _now("created_at"),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.Column("last_used_at", sa.DateTime(timezone=True)),
    )


def _identity() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True)


def _number(
    name: str, start: int, kind: sa.Integer | sa.BigInteger | None = None
) -> sa.Column[int]:
    return sa.Column(name, kind or sa.Integer(), server_default=str(start), nullable=False)


def _texts(name: str) -> sa.Column[list[str]]:
    return sa.Column(name, ARRAY(sa.Text()), server_default="{}", nullable=False)


def _now(name: str) -> sa.Column[object]:
    moment = sa.DateTime(timezone=True)
    return sa.Column(name, moment, server_default=sa.func.now(), nullable=False)
