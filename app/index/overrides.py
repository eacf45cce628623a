"""Emergency overrides as rows: opened, listed, ended. They are applied by `app.index.restriction`.

Rules:
- They begin and end by the clock of the database, whoever asks.
- A row is ended once, by whoever comes first: the caller, an administrator, or time. It is kept for
  a day longer, so that it is known how many somebody has opened.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, or_, select
from sqlalchemy.types import Text

from app.index.restriction import Patient
from app.index.statements import Connection, prepare, table
from app.index.tables import Instance, Series, Study
from app.index.visibility import Visibility, visible


@dataclass(frozen=True, slots=True)
class Override:
    """What is open to a caller in an emergency: one study, or one patient."""

    id: int
    study_instance_uid: str | None
    patient_id: str | None
    issuer_of_patient_id: str | None
    """None for any."""
    whose: Patient | None = None
    """The patient of the study, if it has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOverride:
    """An override to be opened, in normal forms."""

    subject: str
    """The caller, as grants name it."""
    opened_by: str
    """The caller's name."""
    reason: str
    study_instance_uid: str | None = None
    patient_id: str | None = None
    issuer_of_patient_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredOverride(NewOverride):
    """An override that was opened."""

    id: int
    partition_id: int
    opened_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Recent:
    """What a caller has opened in the last hour."""

    number: int
    seconds: int
    """Until the first of them is an hour old."""


_NEW = "subject, opened_by, reason, study_instance_uid, patient_id, issuer_of_patient_id"
_STORED = f"id, partition_id, opened_at, expires_at, {_NEW}"
_OPEN = "ended_at IS NULL AND expires_at > now()"


async def open_to(connection: Connection, partition_id: int, subject: str) -> list[Override]:
    """What is open to a caller at this moment."""
    rows = await connection.fetch(
        "SELECT o.id, o.study_instance_uid, o.patient_id, o.issuer_of_patient_id,"
        " st.patient_id, st.issuer_of_patient_id FROM emergency_override AS o"
        " LEFT JOIN study AS st ON st.partition_id = o.partition_id"
        " AND st.study_instance_uid = o.study_instance_uid WHERE o.partition_id = $1"
        " AND o.subject = $2 AND o.ended_at IS NULL AND o.expires_at > now() ORDER BY o.id",
        partition_id,
        subject,
    )
    return [
        Override(id_, study, patient, issuer, Patient(*whose) if whose[0] is not None else None)
        for id_, study, patient, issuer, *whose in rows
    ]


async def recent(connection: Connection, partition_id: int, subject: str) -> Recent:
    """What the caller has opened lately. Until the transaction ends, nobody opens more as it."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('override ' || $1 || ' ' || $2, 0))",
        str(partition_id),
        subject,
    )
    number, seconds = await connection.fetchrow(
        "SELECT count(*), coalesce(ceil(extract(epoch FROM"
        " min(opened_at) + interval '1 hour' - now())), 0)::integer FROM emergency_override"
        " WHERE partition_id = $1 AND subject = $2 AND opened_at > now() - interval '1 hour'",
        partition_id,
        subject,
    )
    return Recent(number, seconds)


async def create(
    connection: Connection, partition_id: int, new: NewOverride, minutes: int
) -> StoredOverride:
    """Open an override for so many minutes."""
    row = await connection.fetchrow(
        f"INSERT INTO emergency_override (partition_id, expires_at, {_NEW})"
        " VALUES ($1, now() + make_interval(mins => $2), $3, $4, $5, $6, $7, $8)"
        f" RETURNING {_STORED}",
        partition_id,
        minutes,
        *(getattr(new, name) for name in _NEW.split(", ")),
    )
    return StoredOverride(**row)


async def list_open(
    connection: Connection,
    partition_id: int,
    subject: str | None = None,
    *,
    after: int,
    limit: int,
) -> list[StoredOverride]:
    """What is open in a partition, or to one caller, behind an id and in the order of ids."""
    rows = await connection.fetch(
        f"SELECT {_STORED} FROM emergency_override WHERE partition_id = $1"
        f" AND ($2::text IS NULL OR subject = $2) AND id > $3 AND {_OPEN} ORDER BY id LIMIT $4",
        partition_id,
        subject,
        after,
        limit,
    )
    return [StoredOverride(**row) for row in rows]


async def end(
    connection: Connection, partition_id: int, identity: int, subject: str | None = None
) -> StoredOverride | None:
    """End an override (of one caller); None if none with this id is open."""
    row = await connection.fetchrow(
        "UPDATE emergency_override SET ended_at = now() WHERE partition_id = $1 AND id = $2"
        f" AND ($3::text IS NULL OR subject = $3) AND {_OPEN} RETURNING {_STORED}",
        partition_id,
        identity,
        subject,
    )
    return None if row is None else StoredOverride(**row)


async def end_expired(connection: Connection, most: int) -> list[StoredOverride]:
    """End what time has ended, each once, whoever asks; forget what ended a day ago."""
    await connection.execute(
        "DELETE FROM emergency_override WHERE ended_at < now() - interval '1 day'"
    )
    rows = await connection.fetch(
        "UPDATE emergency_override SET ended_at = expires_at WHERE id IN ("
        " SELECT id FROM emergency_override WHERE ended_at IS NULL AND expires_at <= now()"
        f" ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING {_STORED}",
        most,
    )
    return [StoredOverride(**row) for row in rows]


_STUDY, _SERIES, _INSTANCE = table(Study).c, table(Series).c, table(Instance).c
_ISSUER = bindparam("issuer", type_=Text())
_SEEN = (
    select(_STUDY.id)
    .select_from(table(Instance))
    .join(table(Series), _SERIES.id == _INSTANCE.series_id)
    .join(table(Study), _STUDY.id == _INSTANCE.study_id)
    .where(*(visible(model) for model in (Study, Series, Instance)))
    .limit(1)
)
_STUDY_SEEN = prepare(
    _SEEN.where(_STUDY.study_instance_uid == bindparam("study", type_=Text())), joined=True
)
_PATIENT_SEEN = prepare(
    _SEEN.where(
        _STUDY.patient_id == bindparam("patient", type_=Text()),
        or_(_ISSUER.is_(None), _STUDY.issuer_of_patient_id == _ISSUER),
    ),
    joined=True,
)


async def covers(connection: Connection, visibility: Visibility, new: NewOverride) -> bool:
    """Whether there is anything of what the override names that is visible so."""
    if new.study_instance_uid is not None:
        found = await _STUDY_SEEN.fetchval(
            connection, **visibility.parameters, study=new.study_instance_uid
        )
    else:
        found = await _PATIENT_SEEN.fetchval(
            connection,
            **visibility.parameters,
            patient=new.patient_id,
            issuer=new.issuer_of_patient_id,
        )
    return found is not None
