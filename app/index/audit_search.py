"""Searching the audit of one partition: the latest records first, page by page.

Pages follow a place, not a number: no record is missed or told twice while others are written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from app.index.audits import COLUMNS, STORED, StoredRecord
from app.index.database import Connection


@dataclass(frozen=True, slots=True)
class OneOf:
    """Records that have one of these values in a column."""

    column: Literal[
        "principal", "client_address", "study_instance_uid", "action", "outcome", "sequence"
    ]
    values: Sequence[str] | Sequence[int]


@dataclass(frozen=True, slots=True)
class Begins:
    """Records with a text in a column that begins with one of these."""

    column: Literal["client_address"]
    values: Sequence[str]


@dataclass(frozen=True, slots=True)
class OfKind:
    """Records with one of these pairs of event and action, or of these subtypes."""

    pairs: Sequence[tuple[str, str]]
    subtypes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class OfPatient:
    """Records about one of these: Patient ID and issuer; None for any issuer, empty for none."""

    patients: Sequence[tuple[str, str | None]]


@dataclass(frozen=True, slots=True)
class Outside:
    """Records from before a moment, or from another one on."""

    since: datetime
    until: datetime


Condition = OneOf | Begins | OfKind | OfPatient | Outside
_KINDS = COLUMNS | {"sequence": "bigint"}
Place = tuple[datetime, int]
"""The moment and the sequence of a record: pages go on after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is searched for; all of it has to hold."""

    partition_id: int
    conditions: Sequence[Condition] = ()
    since: datetime | None = None
    until: datetime | None = None
    """The moment itself is no part of it."""
    after: Place | None = None
    limit: int


async def search(connection: Connection, wanted: Wanted) -> list[StoredRecord]:
    """The records of a page, latest first."""
    where = _Where(wanted)
    page = f"ORDER BY at DESC, sequence DESC LIMIT {where.bound(wanted.limit)}"
    terms = " AND ".join(where.terms)
    found = f"SELECT {STORED} FROM audit WHERE {' AND '.join([terms, *where.of_one])} {page}"
    if where.of_several:
        # Found first, and by its index, however few of the latest records it has.
        listing = f"SELECT * FROM audit WHERE {' AND '.join(where.of_several)}"
        found = (
            f"WITH listing AS MATERIALIZED ({listing})"
            f" SELECT * FROM (({found}) UNION ALL"
            f" (SELECT {STORED} FROM listing WHERE {terms} {page})) AS found {page}"
        )
    rows = await connection.fetch(found, *where.parameters)
    return [StoredRecord(*row) for row in rows]


class _Where:
    """What is wanted, as the terms of a statement and their parameters."""

    def __init__(self, wanted: Wanted) -> None:
        self.parameters: list[Any] = []
        self.terms = [f"partition_id = {self.bound(wanted.partition_id)}"]
        """What holds of every record."""
        self.of_one: list[str] = []
        """What also holds of a record that is of one patient."""
        self.of_several: list[str] = []
        """What holds instead of a record that lists its patients."""
        if wanted.since is not None:
            self.terms.append(f"at >= {self.bound(wanted.since)}")
        if wanted.until is not None:
            self.terms.append(f"at < {self.bound(wanted.until)}")
        if wanted.after is not None:
            at, sequence = map(self.bound, wanted.after)
            self.terms.append(f"at <= {at} AND (at, sequence) < ({at}, {sequence})")
        for condition in wanted.conditions:
            if isinstance(condition, OfPatient):
                self._add_patients(condition)
            else:
                self.terms.append(self._term(condition))

    def bound(self, value: Any) -> str:
        """The placeholder of a value."""
        self.parameters.append(value)
        return f"${len(self.parameters)}"

    def _term(self, condition: OneOf | Begins | Outside | OfKind) -> str:
        match condition:
            case OneOf(column, values):
                return f"{column} = ANY ({self.bound(list(values))}::{_KINDS[column]}[])"
            case Begins(column, values):
                beginnings = f"unnest({self.bound(list(values))}::text[]) AS beginning"
                return f"EXISTS (SELECT FROM {beginnings} WHERE starts_with({column}, beginning))"
            case Outside(since, until):
                return f"NOT (at >= {self.bound(since)} AND at < {self.bound(until)})"
            case OfKind(pairs, subtypes):
                events = self.bound([event for event, _ in pairs])
                actions = self.bound([action for _, action in pairs])
                return (
                    "((event, action) IN"
                    f" (SELECT * FROM unnest({events}::text[], {actions}::text[]))"
                    f" OR subtype = ANY ({self.bound(list(subtypes))}::text[]))"
                )

    def _add_patients(self, wanted: OfPatient) -> None:
        # The IDs by themselves first: they are what the index knows.
        ids = self.bound([patient for patient, _ in wanted.patients])
        issuers = self.bound([issuer for _, issuer in wanted.patients])
        self.of_one.append(
            f"patient_id = ANY ({ids}::text[]) AND EXISTS ("
            f"SELECT FROM unnest({ids}::text[], {issuers}::text[]) AS of (patient, issuer)"
            " WHERE of.patient = patient_id AND (of.issuer IS NULL"
            " OR of.issuer = coalesce(issuer_of_patient_id, '')))"
        )
        listed = (f"patients @> {self.bound([_listed(*one)])}::jsonb" for one in wanted.patients)
        self.of_several.append(f"({' OR '.join(listed)})")


def _listed(patient: str, issuer: str | None) -> dict[str, str]:
    """What a record has of a patient among several."""
    return {"id": patient} if issuer is None else {"id": patient, "issuer": issuer}


async def find(connection: Connection, partition_id: int, sequence: int) -> StoredRecord | None:
    """One record; None if there is none at this place of the chain."""
    row = await connection.fetchrow(
        f"SELECT {STORED} FROM audit WHERE partition_id = $1 AND sequence = $2",
        partition_id,
        sequence,
    )
    return StoredRecord(*row) if row else None
