"""Grants as rows: made, listed, ended, and summed up for the one who holds them.

They are applied by `app.index.restriction`. Whoever changes them takes a number of `CHANGE_ORDER`,
since what a search can see changes with them (see `app.index.totals`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from app.index.database import Connection
from app.index.overrides import Override
from app.index.restriction import Action, Depth
from app.index.tables import CHANGE_ORDER

MOST_BOUNDS = 500
"""Studies and patients that a statement names; of more, each row is looked up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a grant covers: what has all of the values that are not None, in normal forms."""

    institution: str | None = None
    patient_id: str | None = None
    issuer_of_patient_id: str | None = None
    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
    modality: str | None = None
    sop_class_uid: str | None = None
    first_date: str | None = None
    last_date: str | None = None
    label: str | None = None

    @property
    def key(self) -> str:
        """What the grant is found by."""
        if self.study_instance_uid is not None:
            return f"study {self.study_instance_uid}"
        if self.patient_id is not None:
            return f"patient {self.patient_id}"
        return "*"

    @property
    def depth(self) -> Depth:
        """The deepest level that it looks at."""
        if self.sop_class_uid is not None:
            return Depth.INSTANCE
        of_series = (self.institution, self.series_instance_uid, self.modality)
        return Depth.STUDY if of_series == (None, None, None) else Depth.SERIES


SCOPE = tuple(field.name for field in fields(Scope))


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGrant:
    """A grant to be made."""

    subject: str
    actions: Sequence[str]
    denies: bool = False
    scope: Scope = Scope()
    purpose: str | None = None
    expires_at: datetime | None = None
    created_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredGrant(NewGrant):
    """A grant that was made."""

    id: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """What the grants of somebody have in common."""

    depth: Depth
    studies: tuple[str, ...] | None
    patients: tuple[str, ...] | None
    """Those that grants name, if every one that shows anything names one; else None."""
    steady: bool = True
    """Whether none of the grants ends by itself."""
    breaking: bool = False
    """Whether one of the grants is to break the glass."""
    auditing: bool = False
    """Whether the audit of the partition may be looked into."""
    overrides: tuple[Override, ...] = ()
    """What is open in an emergency."""

    def opened(self, overrides: Sequence[Override]) -> "Held":
        """The same, while these are open."""
        studies, patients = self.studies, self.patients
        if studies is not None:
            studies += tuple(one.study_instance_uid for one in overrides if one.study_instance_uid)
            patients = (patients or ()) + tuple(
                one.patient_id for one in overrides if one.patient_id
            )
        return replace(
            self, studies=studies, patients=patients, steady=False, overrides=tuple(overrides)
        )


_MADE = ("subject", "actions", "denies", "purpose", "expires_at", "created_by", "key", "depth")
_COLUMNS = ("partition_id", *_MADE, *SCOPE)
_INSERT = (
    f"INSERT INTO access_grant ({', '.join(_COLUMNS)})"
    f" VALUES ({', '.join(f'${number}' for number in range(1, len(_COLUMNS) + 1))})"
    f" RETURNING id, nextval('{CHANGE_ORDER.name}')"
)


async def create(connection: Connection, partition_id: int, grant: NewGrant) -> int:
    """Make a grant and return its id."""
    scope = grant.scope
    values = {name: getattr(grant, name) for name in _MADE if name not in {"key", "depth"}}
    values |= {"key": scope.key, "depth": int(scope.depth), "partition_id": partition_id}
    values |= {name: getattr(scope, name) for name in SCOPE}
    identity: int = await connection.fetchval(_INSERT, *(values[name] for name in _COLUMNS))
    return identity


_READ = "id, created_at, subject, actions, denies, purpose, expires_at, created_by"


async def list_all(
    connection: Connection, partition_id: int, subject: str | None = None, *, after: int, limit: int
) -> list[StoredGrant]:
    """The grants of a partition, or of one subject in it, behind an id and in the order of ids."""
    rows = await connection.fetch(
        f"SELECT {_READ}, {', '.join(SCOPE)} FROM access_grant WHERE partition_id = $1"
        " AND ($2::text IS NULL OR subject = $2) AND id > $3 ORDER BY id LIMIT $4",
        partition_id,
        subject,
        after,
        limit,
    )
    return [_stored(dict(row)) for row in rows]


def _stored(row: dict[str, Any]) -> StoredGrant:
    scope = Scope(**{name: row.pop(name) for name in SCOPE})
    return StoredGrant(scope=scope, **row)


async def delete(connection: Connection, partition_id: int, identity: int) -> bool:
    """End a grant; False if there is none with this id in the partition."""
    gone = await connection.fetchval(
        "DELETE FROM access_grant WHERE id = $1 AND partition_id = $2"
        f" RETURNING id, nextval('{CHANGE_ORDER.name}')",
        identity,
        partition_id,
    )
    return gone is not None


_SHOWS = f"NOT denies AND NOT actions <@ '{{{Action.BREAK_GLASS},{Action.AUDIT}}}'"
"""What is opened by breaking the glass is named by itself; the audit shows no images."""
_AUDITS = f"'{Action.AUDIT}' = ANY (actions)"
_OF_SUBJECTS = (
    "partition_id = $1 AND subject = ANY ($2) AND (expires_at IS NULL OR expires_at > now())"
)
_HELD = f"""
SELECT coalesce(max(depth), 0) AS depth,
    coalesce(bool_or(key = '*' AND {_SHOWS}), false) AS unbounded,
    (SELECT count(*) FROM (
        SELECT DISTINCT key FROM access_grant WHERE {_OF_SUBJECTS} AND {_SHOWS}
        LIMIT {MOST_BOUNDS + 1}
    ) AS found) AS keys,
    count(expires_at) = 0 AS steady,
    coalesce(bool_or('{Action.BREAK_GLASS}' = ANY (actions) AND NOT denies), false) AS breaking,
    coalesce(bool_or({_AUDITS}) AND NOT bool_or({_AUDITS} AND denies), false) AS auditing
FROM access_grant WHERE {_OF_SUBJECTS}
"""
_BOUNDS = f"""
SELECT DISTINCT study_instance_uid, CASE WHEN study_instance_uid IS NULL THEN patient_id END
FROM access_grant WHERE {_OF_SUBJECTS} AND {_SHOWS}
"""


async def held(connection: Connection, partition_id: int, subjects: Sequence[str]) -> Held:
    """What the grants of these subjects have in common at this moment."""
    depth, unbounded, keys, steady, breaking, auditing = await connection.fetchrow(
        _HELD, partition_id, list(subjects)
    )
    if unbounded or keys > MOST_BOUNDS:
        return Held(Depth(depth), None, None, steady, breaking, auditing)
    rows = await connection.fetch(_BOUNDS, partition_id, list(subjects))
    studies = tuple(study for study, _ in rows if study is not None)
    patients = tuple(patient for _, patient in rows if patient is not None)
    return Held(Depth(depth), studies, patients, steady, breaking, auditing)
