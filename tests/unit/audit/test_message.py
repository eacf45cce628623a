"""A record as DICOM's audit message: right by the schema of PS3.15 A.5.1."""

from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from app.audit.event import Action, EventId, Outcome
from app.audit.message import message_of
from app.index.audits import StoredRecord
from tests.unit.audit.records import record

SCHEMA = etree.RelaxNG(etree.parse(Path(__file__).with_name("schema.rng")))


def told(of: StoredRecord) -> etree._Element:
    text = message_of(of, "archive")
    assert b"\n" not in text
    message = etree.fromstring(text)
    SCHEMA.assertValid(message)
    return message


@pytest.mark.parametrize("event", EventId)
@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("study", ["1.2.3", None])
def test_every_record_is_a_message(
    event: EventId, action: Action, outcome: Outcome, study: str | None
) -> None:
    kind = {"event": event.value, "action": action.value, "outcome": int(outcome)}
    message = told(record(**kind, study_instance_uid=study, subtype="110127"))
    assert message.xpath("string(EventIdentification/EventID/@csd-code)") == event
    assert message.xpath("string(EventIdentification/EventTypeCode/@csd-code)") == "110127"
    nobody = told(record(**kind, principal=None, client_address=None, patient_id=None))
    assert nobody.xpath("count(ActiveParticipant[@UserIsRequestor='true'])") == 1


@pytest.mark.parametrize("event", EventId)
@pytest.mark.parametrize("unknown", ["", "study_instance_uid", "study_instance_uid patient_id"])
def test_every_message_tells_which_record_it_is(event: EventId, unknown: str) -> None:
    about: dict[str, Any] = dict.fromkeys(unknown.split())
    message = told(record(event=event.value, action="E", **about))
    details = [b64decode(value) for value in message.xpath("//*[@type='Record']/@value")]
    outcome = message.xpath("string(EventIdentification/EventOutcomeDescription)")
    if details:
        assert set(details) == {b"1-7"}
    else:
        assert outcome == "Success: HTTP status 200; GET /dicomweb/studies/1.2.3; record 1-7"


def test_who_what_and_whose_are_told() -> None:
    message = told(record(sop_instance_uid="1.2.3.4.5"))
    assert message.xpath("ActiveParticipant/@UserID") == ["viewer", "archive"]
    assert message.xpath("ActiveParticipant/@AlternativeUserID") == ["token:12"]
    assert message.xpath("ActiveParticipant/RoleIDCode/@csd-code") == ["110152", "110153"]
    objects = "ParticipantObjectIdentification"
    assert message.xpath(f"{objects}/@ParticipantObjectID") == ["1.2.3", "P1^^^1.2.40"]
    (uid,) = message.xpath(f"{objects}/ParticipantObjectDetail[@type='SOP Instance UID']/@value")
    assert b64decode(uid) == b"1.2.3.4.5"


@pytest.mark.parametrize(
    ("kind", "name", "detail"),
    [
        ({"event": "110101", "path": "/fhir/AuditEvent"}, "Security Audit Log", "Request"),
        ({"event": "110113", "path": "/admin/grants"}, "", "Alert Description"),
    ],
)
def test_what_of_the_audit_or_of_grants_was_asked_for_is_told(
    kind: dict[str, Any], name: str, detail: str
) -> None:
    message = told(record(study_instance_uid=None, query="grant=5", **kind))
    (resource,) = message.xpath(f"//*[@ParticipantObjectID='{kind['path']}']")
    assert resource.get("ParticipantObjectTypeCode") == "2"
    assert resource.get("ParticipantObjectTypeCodeRole") == "13"
    assert resource.xpath("string(ParticipantObjectIDTypeCode/@csd-code)") == "12"
    assert resource.xpath("string(ParticipantObjectName)") == name
    (value,) = resource.xpath(f"ParticipantObjectDetail[@type='{detail}']/@value")
    assert b64decode(value).decode() == f"GET {kind['path']}?grant=5"


@pytest.mark.parametrize(
    "kind",
    [{}, {"event": "110112", "action": "E"}, {"event": "110113", "study_instance_uid": None}],
    ids=str,
)
def test_what_an_override_opened_is_told_from_the_rest(kind: dict[str, Any]) -> None:
    def detail(of: StoredRecord, name: str) -> list[bytes]:
        return [b64decode(v) for v in told(of).xpath(f"//*[@type='{name}']/@value")]

    through = record(override=17, **kind)
    assert detail(through, "Emergency Override") == [b"17"]
    assert detail(through, "Purpose of Use") == [b"BTG"]
    assert detail(record(override=17, purpose="TREAT", **kind), "Purpose of Use") == [b"TREAT, BTG"]
    assert detail(record(**kind), "Emergency Override") == []


def test_each_patient_of_a_list_is_an_object() -> None:
    several = [{"id": "P1", "issuer": ""}, {"id": "P2", "issuer": "1.2.40"}]
    nothing = dict.fromkeys(("study_instance_uid", "patient_id", "issuer_of_patient_id"))
    message = told(record(event="110112", action="E", patients=several, **nothing))
    patients = "ParticipantObjectIdentification[@ParticipantObjectTypeCode='1']"
    assert message.xpath(f"{patients}/@ParticipantObjectID") == ["P1", "P2^^^1.2.40"]


def test_a_query_is_told_as_it_was_recorded() -> None:
    kept = 'a=<b>&c="d"'
    message = told(record(event="110112", action="E", path="/dicomweb/studies", query=kept))
    assert message.xpath("ActiveParticipant/RoleIDCode/@csd-code") == ["110153", "110152"]
    query = message.xpath("string(//ParticipantObjectQuery)")
    assert b64decode(query).decode() == f"GET /dicomweb/studies?{kept}"
