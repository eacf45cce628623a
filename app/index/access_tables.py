"""The tables of access and audit; what is true of all tables is said in `app.index.tables`."""

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, Index, LargeBinary, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from app.index.columns import identity, moment, now, number, texts


def _found_by(column: str) -> Index:
    there = text(f"{column} IS NOT NULL")
    return Index(f"audit_{column}", "partition_id", column, "at", postgresql_where=there)


class Audit(SQLModel, table=True):
    """One request and its outcome, written before the answer is sent. Append-only."""

    __table_args__ = (
        Index("audit_at", "partition_id", "at"),
        _found_by("principal"),
        _found_by("patient_id"),
        _found_by("study_instance_uid"),
        Index(
            "audit_subtype",
            *("partition_id", "subtype", "sequence"),
            postgresql_where=text("subtype IS NOT NULL"),
        ),
        Index(
            "audit_patients",
            "patients",
            postgresql_using="gin",
            postgresql_ops={"patients": "jsonb_path_ops"},
            postgresql_with={"fastupdate": "off"},
            postgresql_where=text("patients IS NOT NULL"),
        ),
    )

    partition_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    """The caller's; 0 if nobody is known."""
    sequence: int = Field(
        sa_type=BigInteger, primary_key=True, sa_column_kwargs={"autoincrement": False}
    )
    """Its place in the chain of the partition, from 1, without a gap."""
    hash: bytes = Field(sa_type=LargeBinary)
    """Over this record and all before it (see `app.audit.chain`)."""
    at: datetime = Field(sa_type=DateTime(timezone=True))
    request_id: str = Field(sa_type=Text)
    event: str = Field(sa_type=Text)
    """The DICOM code (PS3.16 CID 400) of what was asked, for example 110112 Query."""
    action: str = Field(sa_type=Text)
    """C, R, U, D or E (PS3.15 A.5)."""
    outcome: int = Field(sa_type=SmallInteger)
    """0 success, 4 the caller's failure, 8 ours, 12 a major failure (PS3.15 A.5)."""
    principal: str | None = Field(default=None, sa_type=Text)
    client_address: str | None = Field(default=None, sa_type=Text)
    method: str = Field(sa_type=Text)
    path: str = Field(sa_type=Text)
    query: str | None = Field(default=None, sa_type=Text)
    """The query's keys; values of names of persons are left out."""
    status: int = Field(sa_type=SmallInteger)
    study_instance_uid: str | None = Field(default=None, sa_type=Text)
    series_instance_uid: str | None = Field(default=None, sa_type=Text)
    sop_instance_uid: str | None = Field(default=None, sa_type=Text)
    subtype: str | None = Field(default=None, sa_type=Text)
    """A DICOM code (PS3.16 CID 401), where the event needs one."""
    patient_id: str | None = Field(default=None, sa_type=Text)
    """Whose data it was about, if it was one patient's."""
    issuer_of_patient_id: str | None = Field(default=None, sa_type=Text)
    purpose: str | None = Field(default=None, sa_type=Text)
    """What the caller was there for (purpose of use)."""
    reason: str | None = Field(default=None, sa_type=Text)
    """Why, in the caller's words, if it had to be told."""
    override: int | None = Field(default=None, sa_type=BigInteger)
    """The emergency override that was opened or ended, or through which this was seen."""
    patients: list[dict[str, str]] | None = Field(default=None, sa_type=JSONB(none_as_null=True))
    """Whose data it was about, if it was several patients': each by `id` and `issuer`."""
    subject: str | None = Field(default=None, sa_type=Text)
    """The principal as grants name it: names can be alike."""


class AuditChain(SQLModel, table=True):
    """How far the records of a partition go. Whoever appends holds its row until the commit."""

    __tablename__ = "audit_chain"

    partition_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    sequence: int = Field(sa_type=BigInteger)
    hash: bytes = Field(sa_type=LargeBinary)


class AuditRetention(SQLModel, table=True):
    """Up to which record the beginning of a chain may be removed. Append-only."""

    __tablename__ = "audit_retention"

    partition_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    sequence: int = Field(
        sa_type=BigInteger, primary_key=True, sa_column_kwargs={"autoincrement": False}
    )
    """Of the last record that may go."""
    hash: bytes = Field(sa_type=LargeBinary)
    """Of that record: what is left of the chain goes on from it."""
    signed: str = Field(sa_type=Text)
    """The checkpoint that stands for what was removed (see `app.audit.checkpoint`)."""


class Token(SQLModel, table=True):
    """An access token of the archive's own, known by its hash alone."""

    id: int | None = identity()
    partition_id: int = Field(foreign_key="partition.id")
    name: str = Field(sa_type=Text)
    sha256: bytes = Field(sa_type=LargeBinary, unique=True)
    scopes: list[str] = texts()
    """Some of those of `app.access.principal.Scope`."""
    restricted: bool = Field(
        default=False, sa_column_kwargs={"server_default": text("false"), "nullable": False}
    )
    """Whether it sees only what grants let it see; else the whole partition."""
    roles: list[str] = texts()
    """Whose grants are its own."""
    purpose: str | None = Field(default=None, sa_type=Text)
    """What it is used for, where a grant asks that (purpose of use)."""
    created_at: datetime = now()
    expires_at: datetime | None = moment()
    revoked_at: datetime | None = moment()
    last_used_at: datetime | None = moment()


class Session(SQLModel, table=True):
    """What a caller who is known was given to come again with; removed when it is ended."""

    __table_args__ = (
        Index("session_expires", "expires_at"),
        Index("session_of_caller", "partition_id", "name", "expires_at"),
    )

    id: int | None = identity()
    partition_id: int = Field(foreign_key="partition.id")
    sha256: bytes = Field(sa_type=LargeBinary, unique=True)
    token_id: int | None = Field(default=None, sa_type=BigInteger, foreign_key="token.id")
    """With which the caller came; it ends with it."""
    name: str = Field(sa_type=Text)
    study_instance_uid: str | None = Field(default=None, sa_type=Text)
    """The one that it opens, as a parameter of an address; null for a cookie."""
    restricted: bool
    """Whether it sees only what grants let these subjects see; else the whole partition."""
    subjects: list[str] = texts()
    actions: list[str] = texts()
    of_patient: list[str] = texts()
    """Actions that are narrowed to the patient."""
    patient_id: str | None = Field(default=None, sa_type=Text)
    issuer_of_patient_id: str | None = Field(default=None, sa_type=Text)
    purpose: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = now()
    expires_at: datetime = Field(sa_type=DateTime(timezone=True))


class Grant(SQLModel, table=True):
    """What a subject may do, and of what. It covers what has all the values that are not null."""

    __tablename__ = "access_grant"
    __table_args__ = (Index("access_grant_of_subject", "partition_id", "subject", "key"),)

    id: int | None = identity()
    partition_id: int = Field(foreign_key="partition.id")
    subject: str = Field(sa_type=Text)
    """`token:12`, `role:radiologist` and the like."""
    actions: list[str] = texts()
    """See `app.index.restriction.Action`."""
    denies: bool
    """Whether it forbids, which always wins, instead of allowing."""
    key: str = Field(sa_type=Text)
    """What it is found by: `study 1.2.3`, `patient PID-1`, or `*`."""
    depth: int = Field(sa_type=SmallInteger)
    """See `app.index.restriction.Depth`."""
    institution: str | None = Field(default=None, sa_type=Text)
    patient_id: str | None = Field(default=None, sa_type=Text)
    issuer_of_patient_id: str | None = Field(default=None, sa_type=Text)
    study_instance_uid: str | None = Field(default=None, sa_type=Text)
    series_instance_uid: str | None = Field(default=None, sa_type=Text)
    modality: str | None = Field(default=None, sa_type=Text)
    sop_class_uid: str | None = Field(default=None, sa_type=Text)
    first_date: str | None = Field(default=None, sa_type=Text)
    last_date: str | None = Field(default=None, sa_type=Text)
    """Of the study."""
    label: str | None = Field(default=None, sa_type=Text)
    purpose: str | None = Field(default=None, sa_type=Text)
    """Of use, which the caller must have."""
    created_at: datetime = now()
    created_by: str | None = Field(default=None, sa_type=Text)
    expires_at: datetime | None = moment()


class Share(SQLModel, table=True):
    """A link to studies for who has no token. What it shows, grants of `share:ID` say."""

    __table_args__ = (Index("share_of_partition", "partition_id", "id"),)

    id: int | None = identity()
    partition_id: int = Field(foreign_key="partition.id")
    sha256: bytes = Field(sa_type=LargeBinary, unique=True)
    """Of the secret in the link."""
    name: str = Field(sa_type=Text)
    """Whom it is for, in the words of its maker."""
    studies: list[str] = texts()
    password: bytes | None = Field(default=None, sa_type=LargeBinary)
    """Derived from it (see `app.access.passwords`)."""
    uid_key: bytes | None = Field(default=None, sa_type=LargeBinary)
    """By which UIDs are replaced, if it is shown de-identified."""
    most_uses: int | None = None
    """How often it may be exchanged; None for any number."""
    uses: int = number(0)
    guesses: int = number(0)
    """Wrong passwords in a row, since `guessed_at`."""
    guessed_at: datetime | None = moment()
    creator: str = Field(sa_type=Text)
    """The subject that made it, as grants name it."""
    created_by: str = Field(sa_type=Text)
    """That subject's name."""
    created_at: datetime = now()
    expires_at: datetime = Field(sa_type=DateTime(timezone=True))
    revoked_at: datetime | None = moment()
    last_used_at: datetime | None = moment()


class ShareSession(SQLModel, table=True):
    """What a link was exchanged for: a token that is valid for a while, known by its hash."""

    __tablename__ = "share_session"
    __table_args__ = (Index("share_session_of_share", "share_id"),)

    sha256: bytes = Field(sa_type=LargeBinary, primary_key=True)
    partition_id: int
    share_id: int = Field(sa_type=BigInteger, foreign_key="share.id")
    expires_at: datetime = Field(sa_type=DateTime(timezone=True))
