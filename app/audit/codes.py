"""What the records of the audit are called by others: codes of DICOM, FHIR and IHE, as tables.

A record has an event and an action (see `app.audit.event`). The audit message of DICOM (PS3.15
A.5) tells them as they are. FHIR and IHE's Basic Audit Log Patterns (BALP) call what is done to
patients' data a RESTful operation, and have a pattern for each; other events keep their codes.
"""

from dataclasses import dataclass

from app.audit.event import Action, EventId

DCM = "http://dicom.nema.org/resources/ontology/DCM"
REST = "http://terminology.hl7.org/CodeSystem/audit-event-type"
INTERACTION = "http://hl7.org/fhir/restful-interaction"
LIFECYCLE = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
CUSTODIAN = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"


@dataclass(frozen=True, slots=True)
class Code:
    """A code of some system, and what it means."""

    system: str
    code: str
    display: str


MEANINGS = {
    "110100": "Application Activity",
    "110101": "Audit Log Used",
    "110103": "DICOM Instances Accessed",
    "110104": "DICOM Instances Transferred",
    "110105": "DICOM Study Deleted",
    "110106": "Export",
    "110112": "Query",
    "110113": "Security Alert",
    "110114": "User Authentication",
    "110120": "Application Start",
    "110121": "Application Stop",
    "110122": "Login",
    "110123": "Logout",
    "110127": "Emergency Override Started",
    "110129": "Security Configuration",
    "110136": "Security Roles Changed",
    "110137": "User security Attributes Changed",
    "110138": "Emergency Override Stopped",
    "110150": "Application",
    "110152": "Destination Role ID",
    "110153": "Source Role ID",
    "110180": "Study Instance UID",
    "110181": "SOP Class UID",
}
"""Of the codes of DICOM that are used here (PS3.16 CID 400 to 405)."""


def dicom(code: str) -> Code:
    """A code of DICOM; one without a known meaning tells only itself."""
    return Code(DCM, code, MEANINGS.get(code, code))


BREAK_THE_GLASS = Code(ACT_REASON, "BTG", "break the glass")
"""The purpose of use of what is done through an emergency override."""
SOURCE, DESTINATION = dicom("110153"), dicom("110152")
RECIPIENT = Code(PARTICIPATION, "IRCP", "information recipient")
AUTHOR = Code(PARTICIPATION, "AUT", "author (originator)")


@dataclass(frozen=True, slots=True)
class Pattern:
    """One of BALP's patterns: what it is called, and in what roles who takes part."""

    profile: str
    """The end of its address; `Patient` comes before it where a patient is known."""
    interaction: Code
    client: Code
    server: Code
    user: Code
    is_query: bool = False


def _pattern(profile: str, interaction: str, client: Code, server: Code, user: Code) -> Pattern:
    code = Code(INTERACTION, interaction, interaction)
    return Pattern(profile, code, client, server, user, is_query=profile == "Query")


_READ = _pattern("Read", "read", DESTINATION, SOURCE, RECIPIENT)
_CREATE = _pattern("Create", "create", SOURCE, DESTINATION, AUTHOR)
_UPDATE = _pattern("Update", "update", SOURCE, DESTINATION, AUTHOR)
_QUERY = _pattern("Query", "search-type", SOURCE, DESTINATION, RECIPIENT)
_DELETE = _pattern(
    "Delete", "delete", dicom("110150"), Code(CUSTODIAN, "custodian", "Custodian"), AUTHOR
)

PATTERNS: dict[tuple[str, str], Pattern] = {
    (EventId.INSTANCES_TRANSFERRED, Action.CREATE): _CREATE,
    (EventId.INSTANCES_TRANSFERRED, Action.UPDATE): _UPDATE,
    (EventId.INSTANCES_TRANSFERRED, Action.READ): _READ,
    (EventId.INSTANCES_ACCESSED, Action.READ): _READ,
    (EventId.INSTANCES_ACCESSED, Action.UPDATE): _UPDATE,
    (EventId.STUDY_DELETED, Action.DELETE): _DELETE,
    (EventId.QUERY, Action.EXECUTE): _QUERY,
}
"""By event and action; what is not here is told by its code of DICOM."""

REST_OPERATION = Code(REST, "rest", "RESTful Operation")
DISCLOSE = Code(LIFECYCLE, "disclose", "Disclose Record Lifecycle Event")
OUTCOMES = {0: "Success", 4: "Minor failure", 8: "Serious failure", 12: "Major failure"}


def type_of(event: str, action: str) -> Code:
    """The type of FHIR's AuditEvent."""
    return REST_OPERATION if (event, action) in PATTERNS else dicom(event)


def subtypes_of(event: str, action: str, subtype: str | None) -> list[Code]:
    """Its subtypes: BALP's, the event of DICOM, and what the record has itself."""
    found = [dicom(subtype)] if subtype else []
    pattern = PATTERNS.get((event, action))
    if pattern is not None:
        return [pattern.interaction, dicom(event), *found]
    return [DISCLOSE, *found] if event == EventId.EXPORT else found


ALL = [(event.value, action.value) for event in EventId for action in Action]


def meant_by_type(system: str | None, code: str) -> list[tuple[str, str]]:
    """Events with actions that have this type; any system if none is given."""
    return [pair for pair in ALL if _fits(type_of(*pair), system, code)]


def meant_by_subtype(system: str | None, code: str) -> list[tuple[str, str]]:
    """Events with actions that have this subtype whatever their record says."""
    return [
        pair for pair in ALL if any(_fits(one, system, code) for one in subtypes_of(*pair, None))
    ]


def _fits(found: Code, system: str | None, code: str) -> bool:
    return found.code == code and system in {None, found.system}
