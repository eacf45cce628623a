"""A record of the audit as FHIR R4 AuditEvent, in the patterns of IHE's Basic Audit Log Patterns.

    type, subtype       the RESTful operation, and the event of DICOM (see `app.audit.codes`)
    agent               the client's address, the archive, and the user as its token names it
    source              the archive
    entity              the study, series and instance; the patient; the query; the request

A pattern is claimed only of what went well, as the patterns are. There are identifiers and no
names: the patient is one with its issuer, which is told as the identifier's system where it is a
UID or a URI, and else as who assigned it.
"""

from base64 import b64encode
from typing import Any

from app.audit.codes import (
    BREAK_THE_GLASS,
    DESTINATION,
    OUTCOMES,
    PATTERNS,
    RECIPIENT,
    SOURCE,
    Code,
    subtypes_of,
    type_of,
)
from app.audit.event import EventId
from app.audit.telling import id_of, instant, patients_of, request_line
from app.dicom.uids import valid_uid
from app.index.audits import StoredRecord

Json = dict[str, Any]

MEDIA_TYPE = "application/fhir+json"
BALP = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
REQUEST_ID = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType"
ENTITY_TYPE = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
SOURCE_TYPE = "http://terminology.hl7.org/CodeSystem/security-source-type"
DICOM_UID = "urn:dicom:uid"
URN_OID = "urn:oid:"
IP_ADDRESS = "2"

_LEVELS = {
    "study_instance_uid": "Study Instance UID",
    "series_instance_uid": "Series Instance UID",
    "sop_instance_uid": "SOP Instance UID",
}


def audit_event_of(record: StoredRecord, source: str) -> Json:
    """The resource; `source` is what this archive is called where audits are gathered."""
    event: Json = {"resourceType": "AuditEvent", "id": id_of(record)}
    if profile := _profile(record):
        event["meta"] = {"profile": [profile]}
    event["type"] = _coding(type_of(record.event, record.action))
    if subtypes := subtypes_of(record.event, record.action, record.subtype):
        event["subtype"] = [_coding(code) for code in subtypes]
    event |= {
        "action": record.action,
        "recorded": instant(record.at),
        "outcome": str(record.outcome),
        "outcomeDesc": f"{OUTCOMES.get(record.outcome, '')}: HTTP status {record.status}",
    }
    if purpose := _purpose(record):
        event["purposeOfEvent"] = [purpose]
    event["agent"] = _agents(record, source)
    event["source"] = {
        "observer": _observer(source),
        "type": [_coding(Code(SOURCE_TYPE, "4", "Application Server"))],
    }
    event["entity"] = _entities(record)
    return event


def _profile(record: StoredRecord) -> str | None:
    """The pattern that the record fits; they are of what went well."""
    if record.outcome:
        return None
    if record.event == EventId.EXPORT:
        return f"{BALP}PrivacyDisclosure.Source" if record.patient_id else None
    pattern = PATTERNS.get((record.event, record.action))
    if pattern is None or not (pattern.is_query or record.study_instance_uid):
        return None
    return f"{BALP}{'Patient' if record.patient_id else ''}{pattern.profile}"


def _coding(code: Code) -> Json:
    return {"system": code.system, "code": code.code, "display": code.display}


def _concept(code: Code) -> Json:
    return {"coding": [_coding(code)]}


def _purpose(record: StoredRecord) -> Json:
    """What the caller was there for, and why; nothing if neither is known."""
    purpose = {} if record.override is None else _concept(BREAK_THE_GLASS)
    told = [text for text in (record.purpose, record.reason) if text]
    return purpose | {"text": ": ".join(told)} if told else purpose


def _observer(source: str) -> Json:
    return {"identifier": {"value": source}, "display": source}


def _agents(record: StoredRecord, source: str) -> list[Json]:
    """The client, the archive, and whose token it was."""
    pattern = PATTERNS.get((record.event, record.action))
    roles = (pattern.client, pattern.server) if pattern else (DESTINATION, SOURCE)
    user = pattern.user if pattern else RECIPIENT
    address = record.client_address or "unknown"
    agents = [
        {
            "type": _concept(roles[0]),
            "who": {"identifier": {"value": address}, "display": address},
            "requestor": record.principal is None,
            "network": {"address": address, "type": IP_ADDRESS},
        },
        {
            "type": _concept(roles[1]),
            "who": _observer(source),
            "requestor": False,
            "network": {"address": source, "type": "1"},
        },
    ]
    if record.principal is not None:
        told: Json = {
            "type": _concept(user),
            "who": {"identifier": {"value": record.principal}},
            "requestor": True,
        }
        if record.subject is not None:
            told["altId"] = record.subject
        purposes = [{"text": record.purpose}] if record.purpose else []
        if record.override is not None:
            purposes.append(_concept(BREAK_THE_GLASS))
        if purposes:
            told["purposeOfUse"] = purposes
        agents.append(told)
    return agents


def _entities(record: StoredRecord) -> list[Json]:
    entities: list[Json] = []
    pattern = PATTERNS.get((record.event, record.action))
    if pattern is not None and pattern.is_query:
        entities.append(_entity("2", "System Object", "24", "Query") | _query(record))
    elif data := _data(record):
        entities.append(data)
    if record.override is not None:
        detail = {"type": "Emergency Override", "valueString": str(record.override)}
        entities[0].setdefault("detail", []).append(detail)
    for patient_id, issuer in patients_of(record):
        patient = {"type": "Patient", "identifier": patient_identifier(patient_id, issuer)}
        entities.append(_entity("1", "Person", "1", "Patient") | {"what": patient})
    request_id = Code(REQUEST_ID, "XrequestId", "X-Request-Id")
    entities.append(
        {
            "type": _coding(request_id),
            "what": {"identifier": {"value": record.request_id}},
        }
    )
    return entities


def _entity(kind: str, kind_name: str, role: str, role_name: str) -> Json:
    return {
        "type": _coding(Code(ENTITY_TYPE, kind, kind_name)),
        "role": _coding(Code(ROLE, role, role_name)),
    }


def _query(record: StoredRecord) -> Json:
    asked = request_line(record)
    return {"description": asked, "query": b64encode(asked.encode()).decode()}


def _data(record: StoredRecord) -> Json | None:
    """The study with, in detail, what of it was asked for; another path where there is none."""
    detail = [{"type": "Request", "valueString": request_line(record)}]
    entity = _entity("2", "System Object", "4", "Domain Resource")
    if record.study_instance_uid is None:
        return entity | {"what": {"display": record.path}, "detail": detail}
    detail += [
        {"type": name, "valueString": uid}
        for column, name in _LEVELS.items()
        if (uid := getattr(record, column)) is not None
    ]
    value = URN_OID + record.study_instance_uid
    study = {"type": "ImagingStudy", "identifier": {"system": DICOM_UID, "value": value}}
    return entity | {"what": study, "detail": detail}


def patient_identifier(patient_id: str, issuer: str | None) -> Json:
    """The Patient ID with its issuer."""
    identifier: Json = {"value": patient_id}
    if issuer:
        system = system_of(issuer)
        identifier |= {"system": system} if system else {"assigner": {"display": issuer}}
    return identifier


def system_of(issuer: str) -> str | None:
    """The URI of an issuer of Patient IDs; None if it is a name and no more."""
    if valid_uid(issuer) and "." in issuer:
        return URN_OID + issuer
    return issuer if issuer.startswith(("urn:", "http://", "https://")) else None


def issuer_of(system: str) -> str:
    """The issuer that is told by this system, or is itself given as one."""
    return system.removeprefix(URN_OID)
