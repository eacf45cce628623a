"""Records of the audit, made up."""

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from app.index.audits import StoredRecord

READ: dict[str, Any] = {
    "partition_id": 1,
    "sequence": 7,
    "hash": b"\0" * 32,
    "at": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    "request_id": "r7",
    "event": "110104",
    "action": "R",
    "outcome": 0,
    "principal": "viewer",
    "client_address": "192.0.2.1",
    "method": "GET",
    "path": "/dicomweb/studies/1.2.3",
    "status": 200,
    "study_instance_uid": "1.2.3",
    "patient_id": "P1",
    "issuer_of_patient_id": "1.2.40",
    "subject": "token:12",
}


def record(**changed: Any) -> StoredRecord:
    """Somebody has read a study of a patient, but for what is changed."""
    nothing: dict[str, Any] = dict.fromkeys(field.name for field in fields(StoredRecord))
    return StoredRecord(**(nothing | READ | changed))
