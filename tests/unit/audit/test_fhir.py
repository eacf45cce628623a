"""A record as AuditEvent: right by the model of FHIR, and by IHE's patterns."""

from base64 import b64decode
from datetime import timedelta, timezone
from typing import Any

import pytest
from fhir.resources.R4B.auditevent import AuditEvent

from app.audit.codes import ACT_REASON, PATTERNS
from app.audit.event import Action, EventId, Outcome
from app.audit.fhir import audit_event_of
from app.index.audits import StoredRecord
from tests.unit.audit.records import READ, record

DCM = "http://dicom.nema.org/resources/ontology/DCM"
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
CUSTODIAN = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
BALP = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
INTERACTIONS = "http://hl7.org/fhir/restful-interaction"

PROFILES: dict[str, tuple[str, str, tuple[str, str], tuple[str, str], str]] = {
    "Read": ("R", "read", (DCM, "110152"), (DCM, "110153"), "IRCP"),
    "Create": ("C", "create", (DCM, "110153"), (DCM, "110152"), "AUT"),
    "Update": ("U", "update", (DCM, "110153"), (DCM, "110152"), "AUT"),
    "Delete": ("D", "delete", (DCM, "110150"), (CUSTODIAN, "custodian"), "AUT"),
    "Query": ("E", "search-type", (DCM, "110153"), (DCM, "110152"), "IRCP"),
}
"""As IHE has them: action, interaction, types of the client, the server and the user."""

KINDS = {
    "Read": ("110104", "R"),
    "Create": ("110104", "C"),
    "Update": ("110104", "U"),
    "Delete": ("110105", "D"),
    "Query": ("110112", "E"),
}


def told(of: StoredRecord) -> dict[str, Any]:
    """The resource, after a look by somebody else's model of it."""
    event = audit_event_of(of, "archive")
    AuditEvent.model_validate(event)
    return event


def of_type(elements: list[dict[str, Any]], code: str) -> list[dict[str, Any]]:
    return [one for one in elements if one["type"]["code"] == code]


@pytest.mark.parametrize("event", EventId)
@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("known", [True, False])
def test_every_record_is_an_audit_event(
    event: EventId, action: Action, outcome: Outcome, known: bool
) -> None:
    nothing = dict.fromkeys(
        ("principal", "client_address", "study_instance_uid", "patient_id", "issuer_of_patient_id")
    )
    made = told(
        record(event=event.value, action=action.value, outcome=int(outcome))
        if known
        else record(event=event.value, action=action.value, outcome=int(outcome), **nothing)
    )
    assert (made["id"], made["action"], made["outcome"]) == ("1-7", action, str(int(outcome)))


def test_each_patient_of_a_list_is_an_entity() -> None:
    several = [{"id": "P1", "issuer": ""}, {"id": "P2", "issuer": "1.2.40"}]
    nothing = dict.fromkeys(("study_instance_uid", "patient_id", "issuer_of_patient_id"))
    made = told(record(event="110112", action="E", patients=several, **nothing))
    assert made["meta"]["profile"] == [f"{BALP}Query"]
    identifiers = [one["what"]["identifier"] for one in of_type(made["entity"], "1")]
    assert identifiers == [{"value": "P1"}, {"value": "P2", "system": "urn:oid:1.2.40"}]


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("patient", ["P1", None])
def test_what_went_well_is_in_a_pattern_of_ihe(name: str, patient: str | None) -> None:
    event, action = KINDS[name]
    made = told(record(event=event, action=action, patient_id=patient, query="limit=1"))
    expected_action, interaction, client, server, user = PROFILES[name]
    assert made["meta"]["profile"] == [f"{BALP}{'Patient' if patient else ''}{name}"]
    assert made["type"]["code"] == "rest"
    assert {"system": INTERACTIONS, "code": interaction, "display": interaction} in made["subtype"]
    assert any(one["system"] == DCM and one["code"] == event for one in made["subtype"])
    assert (made["action"], made["outcome"]) == (expected_action, "0")
    agents = [
        (agent["type"]["coding"][0]["system"], agent["type"]["coding"][0]["code"])
        for agent in made["agent"]
    ]
    assert agents == [client, server, (PARTICIPATION, user)]
    assert all("who" in agent for agent in made["agent"])
    assert [("network" in agent) for agent in made["agent"]] == [True, True, False]
    assert [agent["requestor"] for agent in made["agent"]] == [False, False, True]
    assert [agent.get("altId") for agent in made["agent"]] == [None, None, "token:12"]
    assert len(of_type(made["entity"], "1")) == (patient is not None)
    (thing,) = of_type(made["entity"], "2")
    if name == "Query":
        assert thing["role"]["code"] == "24"
        assert b64decode(thing["query"]).decode() == "GET /dicomweb/studies/1.2.3?limit=1"
        assert not {"what", "lifecycle", "detail"} & thing.keys()
    else:
        assert thing["role"]["code"] == "4"
        assert thing["what"]["identifier"]["value"] == "urn:oid:1.2.3"
    (request,) = of_type(made["entity"], "XrequestId")
    assert request["what"]["identifier"]["value"] == "r7"


def test_there_is_a_pattern_for_everything_that_is_done_to_instances() -> None:
    assert {pattern.profile for pattern in PATTERNS.values()} == PROFILES.keys()


@pytest.mark.parametrize("outcome", [4, 8, 12])
def test_what_failed_claims_no_pattern(outcome: int) -> None:
    assert "meta" not in told(record(outcome=outcome))


def test_what_was_given_out_is_a_disclosure() -> None:
    made = told(record(event="110106", purpose="TREAT"))
    assert made["meta"]["profile"] == [f"{BALP}PrivacyDisclosure.Source"]
    assert (made["type"]["system"], made["type"]["code"]) == (DCM, "110106")
    assert made["subtype"][0]["code"] == "disclose"
    source = next(a for a in made["agent"] if a["type"]["coding"][0]["code"] == "110153")
    assert source["who"] == made["source"]["observer"]


def test_security_events_keep_their_codes_of_dicom() -> None:
    made = told(record(event="110113", action="E", subtype="110127", reason="no pulse"))
    assert (made["type"]["system"], made["type"]["code"]) == (DCM, "110113")
    assert made["subtype"][0]["display"] == "Emergency Override Started"
    assert made["purposeOfEvent"] == [{"text": "no pulse"}]


@pytest.mark.parametrize(
    "kind",
    [{}, {"event": "110112", "action": "E"}, {"event": "110113", "study_instance_uid": None}],
    ids=str,
)
def test_what_an_override_opened_is_told_from_the_rest(kind: dict[str, Any]) -> None:
    code = {"system": ACT_REASON, "code": "BTG", "display": "break the glass"}
    made = told(record(override=17, purpose="TREAT", **kind))
    assert made["purposeOfEvent"] == [{"coding": [code], "text": "TREAT"}]
    user = next(agent for agent in made["agent"] if "purposeOfUse" in agent)
    assert user["purposeOfUse"] == [{"text": "TREAT"}, {"coding": [code]}]
    assert {"type": "Emergency Override", "valueString": "17"} in made["entity"][0]["detail"]
    assert "purposeOfEvent" not in told(record(**kind))


@pytest.mark.parametrize(
    ("issuer", "identifier"),
    [
        ("1.2.40", {"value": "P1", "system": "urn:oid:1.2.40"}),
        ("https://h.example/", {"value": "P1", "system": "https://h.example/"}),
        ("St. Elsewhere", {"value": "P1", "assigner": {"display": "St. Elsewhere"}}),
        (None, {"value": "P1"}),
    ],
)
def test_a_patient_is_an_identifier_of_an_issuer(
    issuer: str | None, identifier: dict[str, Any]
) -> None:
    (patient,) = of_type(told(record(issuer_of_patient_id=issuer))["entity"], "1")
    assert patient["what"] == {"type": "Patient", "identifier": identifier}
    assert "name" not in patient


def test_who_is_not_known_is_no_agent_and_asked_all_the_same() -> None:
    made = told(record(event="110114", action="E", outcome=8, principal=None))
    assert [agent["requestor"] for agent in made["agent"]] == [True, False]


def test_the_moment_is_in_utc() -> None:
    elsewhere = READ["at"].astimezone(timezone(timedelta(hours=-3)))
    assert told(record(at=elsewhere))["recorded"] == "2026-01-02T03:04:05.678901Z"


def test_what_of_a_study_was_asked_for_is_told() -> None:
    (data,) = of_type(
        told(record(series_instance_uid="1.2.3.4", sop_instance_uid="1.2.3.4.5"))["entity"], "2"
    )
    assert {one["type"]: one["valueString"] for one in data["detail"]} == {
        "Request": "GET /dicomweb/studies/1.2.3",
        "Study Instance UID": "1.2.3",
        "Series Instance UID": "1.2.3.4",
        "SOP Instance UID": "1.2.3.4.5",
    }
