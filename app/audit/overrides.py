"""What the audit says of emergency overrides: that one began or ended, and what was seen by it.

Beginning and end are records of their own, with the code for them as their type (PS3.16 CID 401),
the reason, and the study or the patient. What was read or found while an override was open that
covers it says which one.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC
from urllib.parse import urlencode

from app.audit.event import Action, AuditEvent, EventId, Note, Outcome, identifier
from app.audit.unasked import unasked
from app.dicom.uids import valid_uid
from app.index.overrides import Override, StoredOverride
from app.index.restriction import Patient

STARTED, STOPPED = "110127", "110138"
EXPIRED = "EXPIRE"
"""In the place of an HTTP method: time has ended it."""
ENDED = "END"
"""It was ended by a command."""


def note_asked(note: Note, reason: str, study: str | None, patient: str | None) -> None:
    """Note what somebody wants to open, whether they may or not."""
    note.subtype = STARTED
    note.reason = reason.strip()
    note.study_instance_uid = study if study is not None and valid_uid(study) else None
    note.patient_id = identifier(patient) if patient is not None else None


def note_override(note: Note, subtype: str, override: StoredOverride) -> None:
    """Note which override a request begins or ends."""
    note.subtype = subtype
    note.reason = override.reason
    note.study_instance_uid = override.study_instance_uid
    note.patient_id = override.patient_id
    note.issuer_of_patient_id = override.issuer_of_patient_id
    note.override = override.id
    note.told = _told(override)


def end_of(override: StoredOverride, method: str, principal: str) -> AuditEvent:
    """The record of the end of an override that no request has ended."""
    return unasked(
        EventId.SECURITY_ALERT,
        Action.DELETE,
        by=principal,
        partition_id=override.partition_id,
        method=method,
        path=f"/overrides/{override.id}",
        query=_told(override),
        study_instance_uid=override.study_instance_uid,
        subtype=STOPPED,
        patient_id=override.patient_id,
        issuer_of_patient_id=override.issuer_of_patient_id,
        reason=override.reason,
        override=override.id,
    )


def _told(override: StoredOverride) -> str:
    """Whose it is and until when, as a query says such things."""
    until = f"{override.expires_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return urlencode({"subject": override.subject, "until": until}, safe=":")


_SEEING = frozenset({EventId.INSTANCES_ACCESSED, EventId.INSTANCES_TRANSFERRED, EventId.QUERY})


def through(event: AuditEvent, opened: Sequence[Override]) -> AuditEvent:
    """The record with the last of what is open to its caller that covers what was seen.

    A search that is for no one study or patient, and has found none, is covered by each of them.
    """
    if event.outcome != Outcome.SUCCESS or event.event not in _SEEING:
        return event
    if event.action not in {Action.READ, Action.EXECUTE}:
        return event
    covering = [override.id for override in opened if _covers(override, event)]
    return replace(event, override=covering[-1]) if covering else event


def _covers(override: Override, event: AuditEvent) -> bool:
    if override.study_instance_uid is not None:
        if event.study_instance_uid is not None:
            return event.study_instance_uid == override.study_instance_uid
        return override.whose is None or _may_show(event, override.whose)
    if event.patients is not None:
        issuers = {one["issuer"] for one in event.patients if one["id"] == override.patient_id}
        return bool(issuers) and override.issuer_of_patient_id in {None, *issuers}
    if event.patient_id is None:
        return event.study_instance_uid is None
    if event.patient_id != override.patient_id:
        return False
    if override.issuer_of_patient_id in {None, event.issuer_of_patient_id}:
        return True
    # A search that asks for no issuer may have found this one's.
    return event.study_instance_uid is None and event.issuer_of_patient_id is None


def _may_show(event: AuditEvent, patient: Patient) -> bool:
    """Whether a search for no one study may have found one of the patient."""
    whose = patient.patient_id, patient.issuer or ""
    if event.patients is not None:
        return whose in {(one["id"], one["issuer"]) for one in event.patients}
    if event.patient_id is None:
        return True
    return (event.patient_id, event.issuer_of_patient_id or whose[1]) == whose
