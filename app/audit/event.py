"""What the audit says of a request (PS3.15 A.5): which event it was, about what, and how it ended.

    POST    /studies...                        110104  DICOM Instances Transferred   C
    GET     ... /metadata                      110103  DICOM Instances Accessed      R
    GET     ... /studies, /series, /instances  110112  Query                         E
    GET     /patients..., ... /priors          110112  Query                         E
    GET     ... /studies/{uid}...              110104  DICOM Instances Transferred   R
    DELETE  ... /studies/{uid}...              110105  DICOM Study Deleted           D
    /session                                   110114  User Authentication           E
    /admin/..., /studies/{uid}/token           110113  Security Alert                C R U D
    GET     /fhir/AuditEvent..., /audit/...    110101  Audit Log Used                R
    /shares..., /overrides...                  110113  Security Alert                C R D
    /share/...                                 110114  User Authentication           E
    ... its page, when it shows images         110112  Query                         E
    answered with 401                          110114  User Authentication           E
    answered with 403                          110113  Security Alert                E
    anything else                              110100  Application Activity          E

All of it is read from the request itself, so that no route can forget to tell; what only the body
or the answer says, a room adds to the request's `Note`. Whose the study is, `app.audit.trail` adds.

What was about several studies leaves a record of each. A list of results leaves one record, which
names the patients on it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from app.audit.queries import plain, query_told, without_tokens
from app.dicom import normal

NOBODY = 0
"""The partition of records of callers whom nobody knows."""
PATH_CHARACTERS = 1024


class EventId(StrEnum):
    """What happened: codes of PS3.16 CID 400."""

    APPLICATION_ACTIVITY = "110100"
    AUDIT_LOG_USED = "110101"
    INSTANCES_ACCESSED = "110103"
    INSTANCES_TRANSFERRED = "110104"
    STUDY_DELETED = "110105"
    EXPORT = "110106"
    QUERY = "110112"
    SECURITY_ALERT = "110113"
    USER_AUTHENTICATION = "110114"


class Action(StrEnum):
    """What was done to the objects."""

    CREATE = "C"
    READ = "R"
    UPDATE = "U"
    DELETE = "D"
    EXECUTE = "E"


class Outcome(IntEnum):
    """How it ended."""

    SUCCESS = 0
    MINOR_FAILURE = 4
    SERIOUS_FAILURE = 8


class Objects(NamedTuple):
    """A study, as far as it was one a series of it, and an instance of that."""

    study_instance_uid: str
    series_instance_uid: str | None = None
    sop_instance_uid: str | None = None


@dataclass(slots=True)
class Note:
    """What is known of a request while it is at work; a room writes into `request.state.audit`."""

    event: EventId
    action: Action
    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
    sop_instance_uid: str | None = None
    subtype: str | None = None
    """A code of PS3.16 CID 401, where the event needs one."""
    patient_id: str | None = None
    issuer_of_patient_id: str | None = None
    reason: str | None = None
    """Why, in the caller's words, if it had to be told."""
    override: int | None = None
    """The emergency override that is opened or ended."""
    told: str = ""
    """What the query would say, of a request whose body says it."""
    recorded_as: int | None = None
    """The status that a record tells of which a room has written, in one transaction with what it
    tells; if another comes of it, that needs a record too."""
    others: Sequence[Objects] = ()
    """More studies that it is about: each has a record of its own."""
    listed: Sequence[tuple[str, str]] = ()
    """Whose data a list of results shows: Patient IDs with their issuers, empty for none."""

    def is_about(self, objects: Sequence[Objects]) -> None:
        """Note what was done to objects of several studies, or of one."""
        if objects:
            first, *self.others = objects
            self.study_instance_uid, self.series_instance_uid, self.sop_instance_uid = first

    def lists(self, patients: Iterable[tuple[str | None, str | None]]) -> None:
        """Note of whose data results are shown, each by Patient ID and issuer; None for none."""
        self.listed = sorted({(patient, issuer or "") for patient, issuer in patients if patient})


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One record: fields as the columns of `app.index.tables.Audit`.

    Every field is covered by the hashes of the chain. One that is added later is left out of them
    where it has no value, so that older records keep theirs (see `app.audit.chain`).
    """

    partition_id: int
    at: datetime
    request_id: str
    event: str
    action: str
    outcome: int
    principal: str | None
    client_address: str | None
    method: str
    path: str
    query: str | None
    status: int
    study_instance_uid: str | None
    series_instance_uid: str | None
    sop_instance_uid: str | None
    subtype: str | None = None
    patient_id: str | None = None
    """As the index matches it, like the issuer."""
    issuer_of_patient_id: str | None = None
    purpose: str | None = None
    """What the caller is there for (purpose of use), as its token says."""
    reason: str | None = None
    override: int | None = None
    """The emergency override that is opened or ended, or through which something was seen."""
    patients: Sequence[Mapping[str, str]] | None = None
    """Instead of one patient several, each by `id` and `issuer`, which is empty for none."""
    subject: str | None = None
    """The principal as grants name it, since names can be alike: `token:12`, `user:f3a0`."""


_OBJECT = re.compile(
    r"(?:/studies/(?P<study>[^/]+))?(?:/series/(?P<series>[^/]+))?(?:/instances/(?P<instance>[^/]+))?"
)
_UID = re.compile(r"[0-9.]{1,64}")
_LINKS = "/share/"
_LINK = re.compile(r"/share/[^/]*", re.IGNORECASE)
"""With the secret that lets somebody in, which nobody is to read in the audit, mistyped or not."""
_COLLECTIONS = frozenset({"/studies", "/series", "/instances", "/patients", "/priors"})
_OF_PATIENT = re.compile(r"/patients/(?P<patient>.+)/studies")
_REPORT = re.compile(r"/audit/patients/(?P<patient>.+)/disclosures")
_AUDIT = re.compile(r"/fhir/AuditEvent(/.*)?")
_ADMINISTERED = re.compile(r"/admin/|/(shares|overrides)(/|$)")
TEXT_CHARACTERS = 1024
_BY_METHOD = {
    "POST": (EventId.INSTANCES_TRANSFERRED, Action.CREATE),
    "PUT": (EventId.INSTANCES_TRANSFERRED, Action.UPDATE),
    "DELETE": (EventId.STUDY_DELETED, Action.DELETE),
}
_ADMINISTRATIVE = {"POST": Action.CREATE, "PUT": Action.UPDATE, "DELETE": Action.DELETE}
_OTHER = (EventId.APPLICATION_ACTIVITY, Action.EXECUTE)

_IDENTIFYING = {
    "patientid": "patient",
    "00100020": "patient",
    "issuerofpatientid": "issuer",
    "00100021": "issuer",
    "studyinstanceuid": "study",
    "0020000d": "study",
}
_MOST_KEYS = 256
IDENTIFIER_CHARACTERS = 64


def note_of(method: str, path: str) -> Note:
    """What the method and the path (below the DICOMweb base) tell of a request."""
    of = _OBJECT.match(path)
    study, series, instance = of.groups() if of else (None, None, None)
    rest = path[of.end() :] if of else path
    of_patient = _OF_PATIENT.fullmatch(rest)
    if of_patient:
        note = Note(EventId.QUERY, Action.EXECUTE, patient_id=identifier(of_patient["patient"]))
        return note if method in {"GET", "HEAD"} else Note(*_OTHER)
    if report := _REPORT.fullmatch(path):
        of_whom = identifier(report["patient"])
        return Note(EventId.AUDIT_LOG_USED, Action.READ, patient_id=of_whom)
    if _AUDIT.fullmatch(path):
        return Note(EventId.AUDIT_LOG_USED, Action.READ)
    if path.startswith(_LINKS):
        return Note(EventId.USER_AUTHENTICATION, Action.EXECUTE)
    if _ADMINISTERED.match(path):
        return Note(EventId.SECURITY_ALERT, _ADMINISTRATIVE.get(method, Action.READ), _uid(study))
    if path == "/session":
        return Note(EventId.USER_AUTHENTICATION, Action.EXECUTE)
    if study is None and rest not in _COLLECTIONS:
        return Note(*_OTHER)
    if rest == "/token":
        what = EventId.SECURITY_ALERT, Action.CREATE
    elif method not in {"GET", "HEAD"}:
        what = _BY_METHOD.get(method, _OTHER)
    elif rest in _COLLECTIONS:
        what = EventId.QUERY, Action.EXECUTE
    elif rest == "/metadata":
        what = EventId.INSTANCES_ACCESSED, Action.READ
    else:
        what = EventId.INSTANCES_TRANSFERRED, Action.READ
    return Note(*what, _uid(study), _uid(series), _uid(instance))


def _uid(text: str | None) -> str | None:
    return text if text is not None and _UID.fullmatch(text) else None


def audit_event(
    note: Note,
    *,
    at: datetime,
    status: int,
    request_id: str,
    method: str,
    path: str,
    query: bytes,
    client_address: str | None,
    partition_id: int,
    principal: str | None,
    purpose: str | None = None,
    subject: str | None = None,
) -> AuditEvent:
    """The record of a request that is answered with this status.

    `query` is the query string as it came; `partition_id`, `principal`, `purpose` and `subject`
    are the caller's, or `NOBODY` and None.
    """
    event, action = note.event, note.action
    if query and event == EventId.QUERY:
        _note_what_is_matched(note, query)
    if status == 401:
        event, action = EventId.USER_AUTHENTICATION, Action.EXECUTE
    elif status == 403:
        event, action = EventId.SECURITY_ALERT, Action.EXECUTE
    return AuditEvent(
        partition_id=partition_id,
        at=at,
        request_id=request_id,
        event=event,
        action=action,
        outcome=outcome_of(status),
        principal=_plain(principal),
        client_address=client_address,
        method=method,
        path=plain(without_tokens(_LINK.sub(_LINKS + "*", path)), PATH_CHARACTERS),
        query=note.told or query_told(query),
        status=status,
        study_instance_uid=note.study_instance_uid,
        series_instance_uid=note.series_instance_uid,
        sop_instance_uid=note.sop_instance_uid,
        subtype=note.subtype,
        **_whose(note),
        purpose=_plain(purpose),
        reason=_plain(note.reason),
        override=note.override,
        subject=_plain(subject),
    )


def _plain(text: str | None) -> str | None:
    """What others have chosen the words of; None for nothing."""
    return plain(text, TEXT_CHARACTERS) if text else None


def of_each_study(event: AuditEvent, note: Note) -> list[AuditEvent]:
    """The record of a request, and one more for each other study that it was about."""
    return [event, *(replace(event, **objects._asdict()) for objects in note.others)]


def _whose(note: Note) -> dict[str, Any]:
    """The one patient, or the several ones whose data is listed."""
    if len(note.listed) > 1:
        return {"patients": [{"id": id_, "issuer": issuer} for id_, issuer in note.listed]}
    if note.listed:
        patient_id, issuer = note.listed[0]
        return {"patient_id": patient_id, "issuer_of_patient_id": issuer or None}
    return {"patient_id": note.patient_id, "issuer_of_patient_id": note.issuer_of_patient_id}


def _note_what_is_matched(note: Note, query: bytes) -> None:
    """Note the one patient or the one study that a search is for."""
    found: dict[str, str] = {}
    for key, value in parse_qsl(query.decode("latin-1"))[:_MOST_KEYS]:
        if (name := _IDENTIFYING.get(key.lower())) and not set(value) & set("*?\\,"):
            found[name] = value
    if patient := found.get("patient"):
        note.patient_id = note.patient_id or identifier(patient)
    if note.patient_id and (issuer := found.get("issuer")):
        note.issuer_of_patient_id = identifier(issuer)
    if note.study_instance_uid is None:
        note.study_instance_uid = _uid(found.get("study"))


def identifier(text: str) -> str | None:
    """An identifier as the index has it; None for what is none."""
    return normal.text(text[:IDENTIFIER_CHARACTERS]) if text.isprintable() else None


def outcome_of(status: int) -> Outcome:
    """How a request ended that was answered with this HTTP status."""
    if status < 400:
        return Outcome.SUCCESS
    if status in {401, 403} or status >= 500:
        return Outcome.SERIOUS_FAILURE
    return Outcome.MINOR_FAILURE
