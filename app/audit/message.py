"""A record of the audit as an audit message of DICOM (PS3.15 A.5), in XML.

The client, the archive and the user take part; the objects are the study, with the instance or the
series asked for in its detail, the patient by ID, the query, and what of the audit was read or of
who may do what was asked for. There are no names in it. Which record it is, is told by the detail
of an object, or, where there is none, by the description of the outcome.
"""

from base64 import b64encode
from xml.etree.ElementTree import Element, SubElement, tostring

from app.audit.codes import BREAK_THE_GLASS, DCM, DESTINATION, MEANINGS, OUTCOMES, PATTERNS, SOURCE
from app.audit.event import EventId
from app.audit.telling import id_of, instant, patients_of, request_line
from app.index.audits import StoredRecord

DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>'
APPLICATION_SERVER = "4"
MACHINE_NAME, IP_ADDRESS = "1", "2"
PERSON, SYSTEM_OBJECT = "1", "2"
PATIENT, REPORT, SECURITY_RESOURCE, QUERY = "1", "3", "13", "24"
_LIFE_CYCLES = {"C": "1", "U": "3", "R": "6", "D": "15"}
"""Of objects, by what is done to them."""


def message_of(record: StoredRecord, source: str) -> bytes:
    """The message; `source` is what this archive is called where audits are gathered."""
    message = Element("AuditMessage")
    _event(message, record)
    _participants(message, record, source)
    origin = SubElement(message, "AuditSourceIdentification", AuditSourceID=source)
    SubElement(origin, "AuditSourceTypeCode", {"csd-code": APPLICATION_SERVER})
    if record.event == EventId.QUERY:
        _query(message, record)
    elif record.study_instance_uid is not None:
        _study(message, record)
    if record.event in _RESOURCES:
        _resource(message, record)
    for patient_id, issuer in patients_of(record):
        patient = _patient(message, patient_id, issuer)
        if (
            record.override is not None
            and record.study_instance_uid is None
            and not record.patients
        ):
            _details(patient, record)
    if message.find(".//ParticipantObjectDetail[@type='Record']") is None:
        _without_details(message, record)
    # On one line: of syslog, receivers write something else for the end of a line.
    text: bytes = tostring(message, encoding="utf-8")
    return DECLARATION + text


def _event(message: Element, record: StoredRecord) -> None:
    event = SubElement(
        message,
        "EventIdentification",
        EventActionCode=record.action,
        EventDateTime=instant(record.at),
        EventOutcomeIndicator=str(record.outcome),
    )
    _code(event, "EventID", record.event)
    if record.subtype:
        _code(event, "EventTypeCode", record.subtype)
    why = f"; {record.reason}" if record.reason else ""
    told = f"{OUTCOMES.get(record.outcome, '')}: HTTP status {record.status}{why}"
    SubElement(event, "EventOutcomeDescription").text = told


def _without_details(message: Element, record: StoredRecord) -> None:
    description = message.find("EventIdentification/EventOutcomeDescription")
    assert description is not None
    description.text = f"{description.text}; {request_line(record)}; record {id_of(record)}"


def _participants(message: Element, record: StoredRecord, source: str) -> None:
    pattern = PATTERNS.get((record.event, record.action))
    client, archive = DESTINATION.code, SOURCE.code
    if pattern is not None and pattern.server.system == DCM:
        client, archive = pattern.client.code, pattern.server.code
    address = record.client_address or "unknown"
    asking = SubElement(
        message,
        "ActiveParticipant",
        UserID=record.principal or address,
        UserIsRequestor="true",
        NetworkAccessPointID=address,
        NetworkAccessPointTypeCode=IP_ADDRESS,
    )
    if record.subject is not None:
        asking.set("AlternativeUserID", record.subject)
    _code(asking, "RoleIDCode", client)
    answering = SubElement(
        message,
        "ActiveParticipant",
        UserID=source,
        UserIsRequestor="false",
        NetworkAccessPointID=source,
        NetworkAccessPointTypeCode=MACHINE_NAME,
    )
    _code(answering, "RoleIDCode", archive)


def _study(message: Element, record: StoredRecord) -> None:
    study = _object(message, record.study_instance_uid or "", SYSTEM_OBJECT, REPORT)
    if life_cycle := _LIFE_CYCLES.get(record.action):
        study.set("ParticipantObjectDataLifeCycle", life_cycle)
    _code(study, "ParticipantObjectIDTypeCode", "110180")
    SubElement(study, "ParticipantObjectName").text = ""
    _details(study, record)


_RESOURCES = {
    EventId.AUDIT_LOG_USED: ("Security Audit Log", "Request"),
    EventId.SECURITY_ALERT: ("", "Alert Description"),
}
"""By event, what its object is called and what its detail is of (PS3.15 A.5.3.2, A.5.3.11)."""


def _resource(message: Element, record: StoredRecord) -> None:
    name, detail = _RESOURCES[EventId(record.event)]
    resource = _object(message, record.path, SYSTEM_OBJECT, SECURITY_RESOURCE)
    _code(resource, "ParticipantObjectIDTypeCode", "12")
    SubElement(resource, "ParticipantObjectName").text = name
    for kind, value in ((detail, request_line(record)), ("Record", id_of(record))):
        SubElement(resource, "ParticipantObjectDetail", type=kind, value=_base64(value))


def _query(message: Element, record: StoredRecord) -> None:
    about = record.study_instance_uid or record.path
    query = _object(message, about, SYSTEM_OBJECT, QUERY)
    kind = "110180" if record.study_instance_uid else "10"
    _code(query, "ParticipantObjectIDTypeCode", kind)
    SubElement(query, "ParticipantObjectQuery").text = _base64(request_line(record))
    _details(query, record)


def _patient(message: Element, patient_id: str, issuer: str | None) -> Element:
    told = f"{patient_id}^^^{issuer}" if issuer else patient_id
    patient = _object(message, told, PERSON, PATIENT)
    _code(patient, "ParticipantObjectIDTypeCode", "2")
    SubElement(patient, "ParticipantObjectName").text = ""
    return patient


def _details(thing: Element, record: StoredRecord) -> None:
    overrides = record.override is not None
    purposes = [record.purpose, BREAK_THE_GLASS.code if overrides else None]
    told = {
        "Series Instance UID": record.series_instance_uid,
        "SOP Instance UID": record.sop_instance_uid,
        "Request ID": record.request_id,
        "Record": id_of(record),
        "Purpose of Use": ", ".join(purpose for purpose in purposes if purpose),
        "Emergency Override": str(record.override) if overrides else None,
    }
    for name, value in told.items():
        if value:
            SubElement(thing, "ParticipantObjectDetail", type=name, value=_base64(value))


def _object(message: Element, identity: str, kind: str, role: str) -> Element:
    return SubElement(
        message,
        "ParticipantObjectIdentification",
        ParticipantObjectID=identity,
        ParticipantObjectTypeCode=kind,
        ParticipantObjectTypeCodeRole=role,
    )


_RFC_3881 = {"2": "Patient Number", "10": "Search Criteria", "12": "URI"}


def _code(parent: Element, name: str, code: str) -> None:
    """A code of DICOM, or of RFC 3881."""
    system = "RFC-3881" if code in _RFC_3881 else "DCM"
    meaning = _RFC_3881.get(code) or MEANINGS.get(code, code)
    told = {"csd-code": code, "codeSystemName": system, "originalText": meaning}
    SubElement(parent, name, told)


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()
