"""Of what was seen while an override was open, what is recorded as seen through it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from app.audit.event import AuditEvent, audit_event, note_of
from app.audit.overrides import through
from app.index.overrides import Override
from app.index.restriction import Patient

OF_STUDY = Override(1, "1.2.3", None, None)
OF_PATIENT = Override(2, None, "P1", None)
OF_ISSUER = Override(3, None, "P1", "A")


def event(path: str, query: str = "", method: str = "GET", status: int = 200) -> AuditEvent:
    return audit_event(
        note_of(method, path),
        at=datetime.now(UTC),
        status=status,
        request_id="r",
        method=method,
        path=path,
        query=query.encode(),
        client_address=None,
        partition_id=1,
        principal="doctor",
    )


OF_P1 = {"patient_id": "P1", "issuer_of_patient_id": "A"}
OF_P1_ELSEWHERE = {"patient_id": "P1", "issuer_of_patient_id": "B"}
OF_P2 = {"patient_id": "P2"}


@pytest.mark.parametrize(
    ("path", "query", "patient", "expected"),
    [
        ("/studies/1.2.3", "", {}, [1]),
        ("/studies/1.2.3/metadata", "", OF_P1, [1, 2, 3]),
        ("/studies/1.2.3/series/1/instances/2/frames/1", "", OF_P1_ELSEWHERE, [1, 2]),
        ("/studies/1.2.4", "", {}, []),
        ("/studies/1.2.4", "", OF_P1, [2, 3]),
        ("/studies/1.2.4", "", OF_P2, []),
        ("/studies/1.2.4/series", "", OF_P2, []),
        ("/studies", "", {}, [1, 2, 3]),
        ("/studies", "PatientName=X*", {}, [1, 2, 3]),
        ("/studies", "StudyInstanceUID=1.2.4", {}, []),
        ("/studies", "PatientID=P1", {}, [1, 2, 3]),
        ("/studies", "PatientID=P1&IssuerOfPatientID=B", {}, [1, 2]),
        ("/studies", "PatientID=P2", {}, [1]),
        ("/patients/P1/studies", "", {}, [1, 2, 3]),
        ("/patients/P2/studies", "", {}, [1]),
    ],
)
def test_it_is_what_an_override_covers_or_may_have_shown(
    path: str, query: str, patient: dict[str, Any], expected: list[int]
) -> None:
    told = replace(event(path, query), **patient)
    overrides = (OF_STUDY, OF_PATIENT, OF_ISSUER)
    assert [o.id for o in overrides if through(told, [o]).override == o.id] == expected
    assert through(told, overrides).override == (expected[-1] if expected else None)
    assert through(told, []) == told


@pytest.mark.parametrize(
    ("path", "query", "patient", "covers"),
    [
        ("/studies/1.2.3", "", {}, True),
        ("/studies", "", {}, True),
        ("/studies", "PatientID=P1", {}, True),
        ("/studies", "PatientID=P1", OF_P1, True),
        ("/studies", "PatientID=P1", OF_P1_ELSEWHERE, False),
        ("/studies", "PatientID=P2", {}, False),
        ("/studies", "", {"patients": [{"id": "P1", "issuer": "A"}]}, True),
        ("/studies", "", {"patients": [{"id": "P1", "issuer": ""}]}, False),
    ],
)
def test_a_study_is_not_found_by_who_searches_for_another_patient(
    path: str, query: str, patient: dict[str, Any], covers: bool
) -> None:
    told = replace(event(path, query), **patient)
    override = replace(OF_STUDY, whose=Patient("P1", "A"))
    assert through(told, [override]).override == (1 if covers else None)


@pytest.mark.parametrize(
    "other",
    [
        event("/studies/1.2.3", status=404),
        event("/studies/1.2.3", status=500),
        event("/studies/1.2.3", method="POST"),
        event("/studies/1.2.3", method="PUT"),
        event("/studies/1.2.3", method="DELETE"),
        event("/session", method="POST"),
        event("/fhir/AuditEvent"),
    ],
    ids=lambda one: f"{one.method} {one.path} {one.status}",
)
def test_what_shows_nothing_is_not(other: AuditEvent) -> None:
    assert through(other, [OF_STUDY]).override is None


@pytest.mark.parametrize(
    ("patient_id", "issuer", "covers"),
    [
        ("P1", None, True),
        ("P1", "A", False),
        ("P2", None, True),
        ("P2", "A", True),
        ("P2", "B", False),
        ("P3", None, False),
    ],
)
def test_a_page_is_seen_through_what_was_opened_of_somebody_on_it(
    patient_id: str, issuer: str | None, covers: bool
) -> None:
    listed = [{"id": "P1", "issuer": ""}, {"id": "P2", "issuer": "A"}]
    page = replace(event("/studies"), patients=listed)
    override = Override(17, None, patient_id, issuer)
    assert through(page, [override]).override == (17 if covers else None)
