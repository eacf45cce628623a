"""How a record is called, when it was, and what was asked: alike wherever the audit is told."""

from datetime import UTC, datetime

from app.index.audits import StoredRecord


def id_of(record: StoredRecord) -> str:
    """The id of a record: its partition, and its place in the chain of that."""
    return f"{record.partition_id}-{record.sequence}"


def instant(at: datetime) -> str:
    """A moment in UTC, to the microsecond, as XML and FHIR write it."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def patients_of(record: StoredRecord) -> list[tuple[str, str | None]]:
    """Whose data a record is about: Patient IDs, each with its issuer if it has one."""
    if record.patients:
        return [(one["id"], one["issuer"] or None) for one in record.patients]
    if record.patient_id is None:
        return []
    return [(record.patient_id, record.issuer_of_patient_id)]


def request_line(record: StoredRecord) -> str:
    """What was asked: method, path and, if there was one, the query."""
    query = f"?{record.query}" if record.query else ""
    return f"{record.method} {record.path}{query}"
