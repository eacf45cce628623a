"""The tables of the index, as SQLModel classes; migrations are tested against them.

    partition ─┬─ study ── series ─┬─ instance    what is stored (live rows and their old versions)
               │                   └─ series_metadata        what is sent of a series, kept ready
               ├─ upload                     keys of blobs that may not be in the index yet
               ├─ change                           what happened, in commit order
               ├─ audit, audit_chain, audit_retention   who asked for what, refusals included
               ├─ audit_feed, audit_feed_place     how far the audit has been sent
               ├─ token, session                   who may ask
               ├─ access_grant                     and what for, if not for everything
               ├─ emergency_override               what is open although it is closed to somebody
               ├─ share, share_session             links for who has no token
               └─ *_terms, indexed                 what is found without a column

Every table but `partition` and `audit_feed` carries `partition_id`: partitions (tenants) never
share a row. What is unique is so within its partition, or below a row that belongs to one; but for
hashes of secrets and stems of keys, which are random. Columns that Search matches hold normalised
values (see `app.dicom.attributes`); what is returned is the finished DICOM JSON beside them, as
bytes, since JSONB of whole instances costs ten times as much to write.

A foreign key locks the row that it refers to. What each store writes refers to its study and series
alone: if every store locked the one row of its partition, all would wait for one another. What is
made seldom (a study, a token, a grant) refers to its partition. `change` and `audit` outlive what
they speak of, and refer to nothing.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Sequence,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from app.index.access_tables import (
    Audit,
    AuditChain,
    AuditRetention,
    Grant,
    Session,
    Share,
    ShareSession,
    Token,
)
from app.index.columns import identity, moment, now, number, texts
from app.index.feed_tables import AuditFeed, AuditFeedPlace
from app.index.override_tables import EmergencyOverride
from app.index.term_tables import Indexed, InstanceTerms, SeriesTerms, StudyTerms

__all__ = [
    "CHANGE_ORDER",
    "Audit",
    "AuditChain",
    "AuditFeed",
    "AuditFeedPlace",
    "AuditRetention",
    "Change",
    "EmergencyOverride",
    "Grant",
    "Indexed",
    "Instance",
    "InstanceTerms",
    "Partition",
    "Series",
    "SeriesMetadata",
    "SeriesTerms",
    "Session",
    "Share",
    "ShareSession",
    "Study",
    "StudyTerms",
    "Token",
    "Upload",
]

ROOM_FOR_COUNTS = {"fillfactor": 80}
"""Storage of the tables that hold counts: a row finds place for its next version on its page."""

MATCHED = Text(collation="C")
"""Values that are matched and put in order: by their code points, whatever the server's locale."""

PATTERN_MATCHED = ("patient_name", "patient_id", "accession_number", "study_description")
"""Columns of studies in which viewers look for a text anywhere within."""

FURTHER = "further_values IS NOT NULL"
"""Of the few rows in which an attribute has several values."""

CHANGE_ORDER = Sequence("change_order", data_type=BigInteger, metadata=SQLModel.metadata)
"""Gives each change its place in the log."""


class Partition(SQLModel, table=True):
    """A tenant: a wall that nothing but an administrator sees across."""

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(sa_type=Text, unique=True)
    created_at: datetime = now()
    has_further_values: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})
    """Whether any row of it has ever had further values: a trigger says so, with the first."""


class Study(SQLModel, table=True):
    """A Study with its patient's attributes, as its first instance gave them."""

    __table_args__ = (
        UniqueConstraint("partition_id", "study_instance_uid"),
        Index("study_patient_id", "partition_id", "patient_id"),
        Index("study_accession_number", "partition_id", "accession_number"),
        Index(
            "study_newest_first",
            "partition_id",
            text("coalesce(study_date, '') DESC"),
            text("coalesce(study_time, '') DESC"),
            text("study_instance_uid DESC"),
        ),
        Index(
            "study_texts",
            *PATTERN_MATCHED,
            postgresql_using="gin",
            postgresql_ops=dict.fromkeys(PATTERN_MATCHED, "gin_trgm_ops"),
        ),
        Index("study_modalities", "modalities", postgresql_using="gin"),
        Index("study_sounds", "sounds", postgresql_using="gin"),
        Index("study_further", "partition_id", postgresql_where=text(FURTHER)),
        {"postgresql_with": ROOM_FOR_COUNTS},
    )

    id: int | None = identity()
    partition_id: int = Field(foreign_key="partition.id")
    study_instance_uid: str = Field(sa_type=MATCHED)
    patient_id: str | None = Field(default=None, sa_type=MATCHED)
    issuer_of_patient_id: str | None = Field(default=None, sa_type=MATCHED)
    patient_name: str | None = Field(default=None, sa_type=MATCHED)
    patient_birth_date: str | None = Field(default=None, sa_type=MATCHED)
    patient_sex: str | None = Field(default=None, sa_type=MATCHED)
    study_date: str | None = Field(default=None, sa_type=MATCHED)
    study_time: str | None = Field(default=None, sa_type=MATCHED)
    accession_number: str | None = Field(default=None, sa_type=MATCHED)
    study_id: str | None = Field(default=None, sa_type=MATCHED)
    study_description: str | None = Field(default=None, sa_type=MATCHED)
    referring_physician_name: str | None = Field(default=None, sa_type=MATCHED)
    further_values: dict[str, list[str]] | None = Field(default=None, sa_type=JSONB)
    """By column, the normal forms of values beyond the first; null, as a rule, for none."""
    sounds: list[str] = texts()
    """How its names sound: the name's column, a tilde, and a code of `app.dicom.phonetic`."""
    labels: list[str] = texts()
    """What administrators have put on it, for grants to name."""
    modalities: list[str] = texts()
    sop_classes: list[str] = texts()
    number_of_series: int = number(0)
    number_of_instances: int = number(0)
    attributes: bytes = Field(sa_type=LargeBinary)
    """DICOM JSON of the patient's and the study's attributes, one object, not compressed."""
    revision: int = number(1, BigInteger)
    """Grows with every change in the study; validators are made from it."""
    created_at: datetime = now()
    updated_at: datetime = now()


class Series(SQLModel, table=True):
    """A Series of one Study."""

    __table_args__ = (
        UniqueConstraint("study_id", "series_instance_uid"),
        UniqueConstraint("study_id", "id"),
        Index("series_uid", "partition_id", "series_instance_uid"),
        Index("series_modality", "partition_id", "modality"),
        Index("series_further", "partition_id", postgresql_where=text(FURTHER)),
        Index(
            "series_requests",
            "request_attributes",
            postgresql_using="gin",
            postgresql_ops={"request_attributes": "jsonb_path_ops"},
        ),
        {"postgresql_with": ROOM_FOR_COUNTS},
    )

    id: int | None = identity()
    partition_id: int
    study_id: int = Field(sa_type=BigInteger, sa_column_args=[ForeignKey("study.id")])
    series_instance_uid: str = Field(sa_type=MATCHED)
    modality: str | None = Field(default=None, sa_type=MATCHED)
    series_number: int | None = Field(default=None, sa_type=BigInteger)
    series_description: str | None = Field(default=None, sa_type=MATCHED)
    body_part_examined: str | None = Field(default=None, sa_type=MATCHED)
    institution_name: str | None = Field(default=None, sa_type=MATCHED)
    performed_procedure_step_start_date: str | None = Field(default=None, sa_type=MATCHED)
    performed_procedure_step_start_time: str | None = Field(default=None, sa_type=MATCHED)
    request_attributes: list[dict[str, str]] = Field(
        sa_type=JSONB, sa_column_kwargs={"server_default": "[]", "nullable": False}
    )
    """Of each item of Request Attributes Sequence, the matched values by tag."""
    further_values: dict[str, list[str]] | None = Field(default=None, sa_type=JSONB)
    """By column, the normal forms of values beyond the first; null, as a rule, for none."""
    number_of_instances: int = number(0)
    attributes: bytes = Field(sa_type=LargeBinary)
    """DICOM JSON of the series' attributes, one object, not compressed."""
    revision: int = number(1, BigInteger)
    created_at: datetime = now()
    updated_at: datetime = now()


class Instance(SQLModel, table=True):
    """One version of a SOP Instance: where its bytes lie and everything read from them at Store."""

    __table_args__ = (
        ForeignKeyConstraint(["study_id", "series_id"], ["series.study_id", "series.id"]),
        Index(
            "instance_live",
            "partition_id",
            "sop_instance_uid",
            unique=True,
            postgresql_where=text("removed_at IS NULL"),
        ),
        Index("instance_of_blob", "blob_key"),
        Index("instance_of_series", "series_id", postgresql_where=text("removed_at IS NULL")),
        Index("instance_of_study", "study_id", postgresql_where=text("removed_at IS NULL")),
    )

    id: int | None = identity()
    partition_id: int
    study_id: int = Field(sa_type=BigInteger)
    series_id: int = Field(sa_type=BigInteger)
    sop_instance_uid: str = Field(sa_type=MATCHED)
    sop_class_uid: str = Field(sa_type=MATCHED)
    instance_number: int | None = Field(default=None, sa_type=BigInteger)
    rows: int | None = Field(default=None)
    columns: int | None = Field(default=None)
    bits_allocated: int | None = Field(default=None)
    number_of_frames: int | None = Field(default=None, sa_type=BigInteger)
    """How many frames can be retrieved; null without pixel data."""
    version: int = number(1)
    transfer_syntax_uid: str = Field(sa_type=MATCHED)
    blob_key: str = Field(sa_type=Text)
    blob_offset: int = number(0, BigInteger)
    """Where the instance begins in the blob; every other offset counts from there."""
    length: int = Field(sa_type=BigInteger)
    sha256: bytes = Field(sa_type=LargeBinary)
    received_sha256: bytes | None = Field(default=None, sa_type=LargeBinary)
    """Of the file as it came, if it was changed before it was stored."""
    crc32: int | None = Field(default=None, sa_type=BigInteger)
    """Of the same bytes; null of what was stored before it was taken."""
    metadata_json: bytes = Field(sa_type=LargeBinary)
    """The instance's DICOM JSON object with relative BulkDataURIs, compressed by zlib."""
    bulk: list[Any] = Field(
        sa_type=JSONB, sa_column_kwargs={"server_default": "[]", "nullable": False}
    )
    """Values that are not in the JSON: [path, vr, offset, length] each."""
    pixel_offset: int | None = Field(default=None, sa_type=BigInteger)
    """Native: where frame 1 begins. Encapsulated: where the first item begins."""
    pixel_length: int | None = Field(default=None, sa_type=BigInteger)
    frame_bits: int | None = Field(default=None, sa_type=BigInteger)
    """Bits of one native frame; null when encapsulated."""
    frame_table: bytes | None = Field(default=None, sa_type=LargeBinary)
    """Encapsulated: 16 bytes a frame, offset and length of its items (big-endian, unsigned).
    Stored uncompressed, so that one frame's entry is read without the others."""
    created_at: datetime = now()
    removed_at: datetime | None = moment()
    removed_by: str | None = Field(default=None, sa_type=Text)
    """What ended this version: `replaced` or `deleted`."""


class SeriesMetadata(SQLModel, table=True):
    """The metadata of a Series as it is sent. Made from the instances, and can be made again."""

    __tablename__ = "series_metadata"

    series_id: int = Field(
        sa_type=BigInteger,
        primary_key=True,
        sa_column_args=[ForeignKey("series.id", ondelete="CASCADE")],
        sa_column_kwargs={"autoincrement": False},
    )
    partition_id: int
    revision: int = Field(sa_type=BigInteger)
    """Of the series that it was made from; of any other, it is not true."""
    form: str = Field(sa_type=Text)
    """For which base URL it was made, and by which recipe."""
    deflated: bytes = Field(sa_type=LargeBinary)
    """The objects of the instances with commas between, as whole blocks of DEFLATE."""
    length: int = Field(sa_type=BigInteger)
    """Of the JSON, in bytes."""
    crc32: int = Field(sa_type=BigInteger)
    """Of the JSON."""


class Upload(SQLModel, table=True):
    """Keys that one process may give to blobs: committed before a blob has any of them.

    As long as there may be a blob that is not in the index, its key is one of these.
    """

    id: int | None = identity()
    partition_id: int
    key_stem: str = Field(sa_type=Text, unique=True)
    """What the keys have in common: each is the stem, a hyphen and a number, counted from 0."""
    number_of_keys: int
    lease_until: datetime = Field(
        sa_type=DateTime(timezone=True), sa_column_kwargs={"nullable": False}
    )
    """Until then, by the clock of the database, no sweeper takes it from its process."""
    fence: int = number(0)
    """How often a sweeper has taken it; after the first time no instance is added under it."""
    created_at: datetime = now()


class Change(SQLModel, table=True):
    """One thing that happened to an instance. Written in the transaction that did it."""

    __table_args__ = (Index("change_of_partition", "partition_id", "transaction_id", "sequence"),)

    sequence: int | None = Field(
        default=None,
        sa_type=BigInteger,
        primary_key=True,
        sa_column_kwargs={"server_default": CHANGE_ORDER.next_value()},
    )
    transaction_id: int = Field(
        default=None,
        sa_type=BigInteger,
        sa_column_kwargs={
            "server_default": text("(pg_current_xact_id()::text)::bigint"),
            "nullable": False,
        },
    )
    """Readers stop before the oldest running transaction, so that no later commit is missed."""
    partition_id: int
    at: datetime = now()
    action: str = Field(sa_type=Text)
    """`created`, `replaced` or `deleted`."""
    study_instance_uid: str = Field(sa_type=Text)
    series_instance_uid: str = Field(sa_type=Text)
    sop_instance_uid: str = Field(sa_type=Text)
    version: int
