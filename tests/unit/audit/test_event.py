"""What the audit says of a request follows from the request, and names no person."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.audit.event import (
    AuditEvent,
    Note,
    Objects,
    Outcome,
    audit_event,
    note_of,
    of_each_study,
    outcome_of,
)
from app.audit.queries import without_names


@pytest.mark.parametrize(
    ("method", "path", "event", "action", "uids"),
    [
        ("POST", "/studies", "110104", "C", ""),
        ("POST", "/studies/1.2", "110104", "C", "1.2"),
        ("GET", "/studies", "110112", "E", ""),
        ("GET", "/series", "110112", "E", ""),
        ("GET", "/instances", "110112", "E", ""),
        ("GET", "/studies/1.2/series", "110112", "E", "1.2"),
        ("GET", "/studies/1.2/instances", "110112", "E", "1.2"),
        ("GET", "/studies/1.2/series/3/instances", "110112", "E", "1.2 3"),
        ("GET", "/studies/1.2", "110104", "R", "1.2"),
        ("HEAD", "/studies/1.2", "110104", "R", "1.2"),
        ("GET", "/studies/1.2/series/3", "110104", "R", "1.2 3"),
        ("GET", "/studies/1.2/series/3/instances/4", "110104", "R", "1.2 3 4"),
        ("GET", "/studies/1.2/series/3/instances/4/frames/1,2", "110104", "R", "1.2 3 4"),
        ("GET", "/studies/1.2/series/3/instances/4/bulkdata/7FE00010", "110104", "R", "1.2 3 4"),
        ("GET", "/studies/1.2/rendered", "110104", "R", "1.2"),
        ("GET", "/studies/1.2/metadata", "110103", "R", "1.2"),
        ("GET", "/studies/1.2/series/3/instances/4/metadata", "110103", "R", "1.2 3 4"),
        ("DELETE", "/studies/1.2", "110105", "D", "1.2"),
        ("GET", "/", "110100", "E", ""),
        ("GET", "", "110100", "E", ""),
        ("GET", "/docs", "110100", "E", ""),
        ("GET", "/fhir/AuditEvent", "110101", "R", ""),
        ("POST", "/fhir/AuditEvent/_search", "110101", "R", ""),
        ("GET", "/fhir/AuditEvent/1-2", "110101", "R", ""),
        ("GET", "/fhir/metadata", "110100", "E", ""),
        ("POST", "/patients/x/studies", "110100", "E", ""),
        ("GET", "/shares", "110113", "R", ""),
        ("DELETE", "/shares/1", "110113", "D", ""),
        ("GET", "/share/secret", "110114", "E", ""),
        ("POST", "/share/secret", "110114", "E", ""),
        ("PATCH", "/studies/1.2", "110100", "E", "1.2"),
        ("GET", "/studies/Doe^Jane/series/3", "110104", "R", "- 3"),
    ],
)
def test_the_event_follows_from_method_and_path(
    method: str, path: str, event: str, action: str, uids: str
) -> None:
    note = note_of(method, path)
    assert (note.event, note.action) == (event, action)
    found = [note.study_instance_uid, note.series_instance_uid, note.sop_instance_uid]
    expected = [None if uid == "-" else uid for uid in uids.split()]
    assert found == expected + [None] * (3 - len(expected))


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.SUCCESS),
        (304, Outcome.SUCCESS),
        (404, Outcome.MINOR_FAILURE),
        (499, Outcome.MINOR_FAILURE),
        (401, Outcome.SERIOUS_FAILURE),
        (403, Outcome.SERIOUS_FAILURE),
        (500, Outcome.SERIOUS_FAILURE),
        (503, Outcome.SERIOUS_FAILURE),
    ],
)
def test_the_outcome_follows_from_the_status(status: int, outcome: Outcome) -> None:
    assert outcome_of(status) is outcome


def event(note: Note | None = None, **values: Any) -> AuditEvent:
    given: dict[str, Any] = {
        "status": 200,
        "at": datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC),
        "request_id": "r1",
        "method": "GET",
        "path": "/dicomweb/studies/1.2",
        "query": b"",
        "client_address": "192.0.2.1",
        "partition_id": 1,
        "principal": "viewer",
    }
    return audit_event(note or note_of("GET", "/studies/1.2"), **given | values)


def test_a_request_about_several_studies_has_a_record_of_each() -> None:
    note = note_of("POST", "/studies")
    note.is_about([Objects("1.2", "1.3", "1.4"), Objects("2.2"), Objects("3.2", "3.3")])
    made = of_each_study(event(note, method="POST"), note)
    assert [
        (one.study_instance_uid, one.series_instance_uid, one.sop_instance_uid) for one in made
    ] == [("1.2", "1.3", "1.4"), ("2.2", None, None), ("3.2", "3.3", None)]
    assert {(one.event, one.request_id, one.method) for one in made} == {("110104", "r1", "POST")}


@pytest.mark.parametrize(
    ("query", "found", "patient", "issuer", "several"),
    [
        (b"", [], None, None, None),
        (b"", [("P1", None)], "P1", None, None),
        (b"", [("P1", "A"), ("P1", "A")], "P1", "A", None),
        (b"", [(None, None), (None, "A")], None, None, None),
        (b"PatientID=P1", [], "P1", None, None),
        (b"PatientID=P1", [("P1", "A")], "P1", "A", None),
        (
            b"PatientID=P1",
            [("P1", "A"), ("P1", None)],
            None,
            None,
            [{"id": "P1", "issuer": ""}, {"id": "P1", "issuer": "A"}],
        ),
        (
            b"Modality=CT",
            [("P2", "A"), ("P1", None), ("P2", "A")],
            None,
            None,
            [{"id": "P1", "issuer": ""}, {"id": "P2", "issuer": "A"}],
        ),
    ],
)
def test_a_list_tells_whose_data_it_shows(
    query: bytes,
    found: list[tuple[str | None, str | None]],
    patient: str | None,
    issuer: str | None,
    several: list[dict[str, str]] | None,
) -> None:
    note = note_of("GET", "/studies")
    note.lists(found)
    record = event(note, query=query)
    assert (record.patient_id, record.issuer_of_patient_id) == (patient, issuer)
    assert record.patients == several


def test_a_record_says_who_asked_for_what() -> None:
    record = event()
    assert (record.principal, record.client_address) == ("viewer", "192.0.2.1")
    assert (record.event, record.outcome) == ("110104", 0)
    assert record.path == "/dicomweb/studies/1.2"
    assert record.study_instance_uid == "1.2"
    assert record.query is None


def test_refusals_are_events_of_their_own() -> None:
    assert event(status=401).event == "110114"
    assert event(status=403).event == "110113"
    assert event(status=403).study_instance_uid == "1.2"


def test_nothing_in_a_record_upsets_a_database_or_a_terminal() -> None:
    path = event(path="/a\x00b\r\n\x1b[31m\udc80" + "x" * 5000).path
    assert path.isprintable()
    assert path.startswith(r"/a\x00b\r\n\x1b[31m\udc80x")
    assert len(path) < 1200
    words = event(principal="a\x00\ud800", purpose="\x1b[2J")
    assert (words.principal, words.purpose) == (r"a\x00\ud800", r"\x1b[2J")


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("PatientID=PID-1&limit=10", "PatientID=PID-1&limit=10"),
        ("PatientName=Doe*&StudyDate=20240101-", "PatientName=&StudyDate=20240101-"),
        ("patientname=Doe", "patientname="),
        ("00100010=Doe", "00100010="),
        ("ReferringPhysicianName=House", "ReferringPhysicianName="),
        ("RequestAttributesSequence.RequestedProcedureID=1", None),
        ("00081048=House", "00081048="),
        ("PatientComments=Jane", "PatientComments="),
        ("token=secret&access_token=secret", "token=&access_token="),
        ("00091001=private", "00091001="),
        ("Pati%65ntName=Doe", "PatientName="),
        ("ModalitiesInStudy=CT%2CMR", "ModalitiesInStudy=CT,MR"),
        ("StudyDescription=a%0D%0Ab", "StudyDescription=a%0D%0Ab"),
        ("includefield=PatientName,00081030", "includefield=PatientName,00081030"),
        ("PatientName", "PatientName="),
    ],
)
def test_the_query_is_told_without_names_and_secrets(query: str, told: str | None) -> None:
    assert without_names(query) == (told or query)


@given(st.text(), st.binary(max_size=500))
def test_any_request_has_a_record(path: str, query: bytes) -> None:
    note_of("GET", path)
    record = event(path=path, query=query)
    assert record.path.isprintable()
    assert (record.query or "").isprintable()


@pytest.mark.parametrize(
    ("path", "query", "patient", "issuer", "study"),
    [
        ("/studies", "PatientID=P1", "P1", None, None),
        ("/studies", "00100020=P1&IssuerOfPatientID=A", "P1", "A", None),
        ("/studies", "patientid=%20P1%20", "P1", None, None),
        ("/studies", "PatientID=P*", None, None, None),
        ("/studies", "PatientID=P1,P2", None, None, None),
        ("/studies", "IssuerOfPatientID=A", None, None, None),
        ("/studies", "PatientID=%00", None, None, None),
        ("/studies", "StudyInstanceUID=1.2", None, None, "1.2"),
        ("/studies", "StudyInstanceUID=1.2,1.3", None, None, None),
        ("/studies", "StudyInstanceUID=x", None, None, None),
        ("/studies/1.9/series", "StudyInstanceUID=1.2", None, None, "1.9"),
        ("/studies/1.9/metadata", "PatientID=P1", None, None, "1.9"),
        ("/patients/P1/studies", "", "P1", None, None),
        ("/patients/P1/studies", "PatientID=P2&IssuerOfPatientID=A", "P1", "A", None),
        ("/patients/a/b/studies", "", "a/b", None, None),
    ],
)
def test_a_search_for_one_patient_or_one_study_is_about_that(
    path: str, query: str, patient: str | None, issuer: str | None, study: str | None
) -> None:
    found = event(note=note_of("GET", path), query=query.encode())
    assert (found.patient_id, found.issuer_of_patient_id) == (patient, issuer)
    assert found.study_instance_uid == study


def test_what_a_room_tells_is_recorded() -> None:
    note = note_of("POST", "/nothing")
    note.subtype, note.reason = "110127", "no\npulse" + "x" * 2000
    found = event(note=note, purpose="ETREAT")
    assert (found.subtype, found.purpose) == ("110127", "ETREAT")
    assert found.reason is not None
    assert found.reason.startswith("no\\npulse")
    assert len(found.reason) <= 1024 + 1
