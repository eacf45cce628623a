"""Grants: who may see what, where it is not the whole partition"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def texts(name: str) -> sa.Column[list[str]]:
    return sa.Column(name, ARRAY(sa.Text()), server_default="{}", nullable=False)


def upgrade() -> None:
    op.create_table(
        "access_grant",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True, nullable=False),
        sa.Column("partition_id", sa.Integer(), sa.ForeignKey("partition.id"), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        texts("actions"),
        sa.Column("denies", sa.Boolean(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("depth", sa.SmallInteger(), nullable=False),
        sa.Column("institution", sa.Text()),
        sa.Column("patient_id", sa.Text()),
        sa.Column("issuer_of_patient_id", sa.Text()),
        sa.Column("study_instance_uid", sa.Text()),
        sa.Column("series_instance_uid", sa.Text()),
        sa.Column("modality", sa.Text()),
        sa.Column("sop_class_uid", sa.Text()),
        sa.Column("first_date", sa.Text()),
        sa.Column("last_date", sa.Text()),
        sa.Column("label", sa.Text()),
        sa.Column("purpose", sa.Text()),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.func.now(),
            nullable=False,
        ),
        sa.Column("created_by", sa.Text()),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
    )
    op.create_index("access_grant_of_subject", "access_grant", ["partition_id", "subject", "key"])
    op.add_column("study", texts("labels"))
    op.add_column("token", texts("roles"))
    op.add_column("token", sa.Column("purpose", sa.Text()))
    op.add_column(
        "token",
        sa.Column("restricted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.add_column("series", sa.Column("institution_name", sa.Text(collation="C")))
    op.execute(
        """
        UPDATE series SET institution_name = named.institution
        FROM (
            SELECT id, nullif(rtrim(left(btrim(
                convert_from(attributes, 'UTF8')::jsonb #>> '{00080080,Value,0}'
            ), 256)), '') AS institution FROM series
        ) AS named
        WHERE named.id = series.id AND named.institution IS NOT NULL
        """
    )


def downgrade() -> None:
    op.drop_column("series", "institution_name")
    for column in ("restricted", "purpose", "roles"):
        op.drop_column("token", column)
    op.drop_column("study", "labels")
    op.drop_table("access_grant")
