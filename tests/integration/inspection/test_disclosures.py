"""A patient is told who has seen what: all of it, and nothing of others."""

import asyncio
import csv
import io
import json
import os
from dataclasses import replace

import httpx
import pytest
import structlog
from typer.testing import CliRunner, Result

from app.audit import disclosures
from app.cli import commands
from tests.fixtures.server import Server
from tests.integration.access.population import THINGS, Given, file_of, store, token_with
from tests.integration.web.conftest import records

THING, OTHER = THINGS[8], THINGS[4]
"""Of different patients."""


def run(monkeypatch: pytest.MonkeyPatch, server: Server, *arguments: str) -> Result:
    monkeypatch.setenv("HILUM_DATABASE_URL", server.database_url)
    # One that is kept would write to what another command had as its output.
    monkeypatch.setattr("app.index.database.log", structlog.get_logger())
    return CliRunner().invoke(commands, ["audit", "disclosures", *arguments])


async def test_the_report_tells_who_saw_what(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert THING.patient_id != OTHER.patient_id
    async with server.client("admin") as http:
        assert (await store(http, [file_of(THING), file_of(OTHER)])).status_code == 200
        seen = [
            f"/studies/{THING.study_instance_uid}/metadata",
            f"{THING.path}/frames/1",
            f"/studies?PatientID={THING.patient_id}",
        ]
        for path in (*seen, f"/studies/{OTHER.study_instance_uid}/metadata"):
            assert (await http.get(path)).status_code == 200
        assert (await http.get(f"{THING.path}/frames/9")).status_code == 404
        assert (await http.get("/studies?PatientID=%3Dcmd()")).status_code == 200
    restricted = await server.token("read", restricted=True)
    async with httpx.AsyncClient(trust_env=False) as refused:
        headers = {"Authorization": f"Bearer {restricted}"}
        answer = await refused.get(f"{server.dicomweb}{seen[0]}", headers=headers)
        assert answer.status_code == 404

    ran = await asyncio.to_thread(run, monkeypatch, server, THING.patient_id)
    assert ran.exit_code == 0, ran.output
    rows = list(csv.DictReader(io.StringIO(ran.stdout)))
    assert [row["request"] for row in rows] == [f"GET /dicomweb{path}" for path in reversed(seen)]
    assert {(row["who"], row["address"]) for row in rows} == {("test", "127.0.0.1")}
    assert [row["what"] for row in rows] == [
        "Query",
        "DICOM Instances Transferred",
        "DICOM Instances Accessed",
    ]
    assert rows[1]["sop_instance_uid"] == THING.sop_instance_uid

    issuer = THING.issuer_of_patient_id or ""
    arguments = (THING.patient_id, "--issuer", issuer, "--format", "json")
    ran = await asyncio.to_thread(run, monkeypatch, server, *arguments)
    told = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [one["record"] for one in told] == [row["record"] for row in rows]

    looks = [one for one in await records(server) if one["event"] == "110101"]
    by = f"hilum audit disclosures, run by user {os.getuid()}"
    assert {(look["principal"], look["method"]) for look in looks} == {(by, "DISCLOSURES")}
    assert [(look["patient_id"], look["issuer_of_patient_id"]) for look in looks] == [
        (THING.patient_id, None),
        (THING.patient_id, issuer),
    ]

    ran = await asyncio.to_thread(run, monkeypatch, server, THING.patient_id, "--issuer", "else")
    assert len(ran.stdout.splitlines()) == 1
    ran = await asyncio.to_thread(run, monkeypatch, server, "x", "--partition", "none")
    assert ran.exit_code != 0


async def test_who_is_corrected_is_told_of_from_then_on(server: Server) -> None:
    corrected = file_of(replace(THING, patient_id="CORRECTED"))
    async with server.client("admin") as http:
        for file in (file_of(THING), corrected):
            assert (await store(http, [file], "/studies?duplicates=replace")).status_code == 200
            assert (await http.get(THING.path)).status_code == 200
    for patient in (THING.patient_id, "CORRECTED"):
        assert await told_of(server, patient, THING.issuer_of_patient_id) == [THING.path]


async def told_of(server: Server, patient: str, issuer: str | None) -> list[str]:
    """The requests that the report tells of a patient, the first one first."""
    headers = {"Accept": "application/x-ndjson"}
    async with server.client("audit", **headers) as http:
        url = f"{server.url}/audit/patients/{patient}/disclosures"
        answer = await http.get(url, params={"issuer": issuer or ""})
    assert answer.status_code == 200
    look = (await records(server))[-1]
    assert (look["patient_id"], look["issuer_of_patient_id"]) == (patient, issuer)
    told = [json.loads(line)["request"] for line in answer.text.splitlines()]
    return [one.removeprefix("GET /dicomweb") for one in reversed(told)]


async def test_a_list_of_several_patients_is_told_to_each_who_is_on_it(server: Server) -> None:
    one, two, three, four = (THINGS[number] for number in (0, 4, 8, 12))
    whose = {(thing.patient_id, thing.issuer_of_patient_id) for thing in (one, two, three, four)}
    assert len(whose) == 4
    async with server.client("admin") as http:
        stored = await store(http, [file_of(thing) for thing in (one, two, three, four)])
        assert stored.status_code == 200
        first = f"/studies?StudyInstanceUID={one.study_instance_uid},{two.study_instance_uid}"
        for path in (first, "/series?Modality=MR", "/instances?limit=100", "/patients"):
            assert (await http.get(path)).status_code == 200
        modalities = {thing.study_instance_uid: thing.modality for thing in (one, two, three, four)}
    assert set(modalities.values()) == {"CT", "MR"}
    for thing in (one, two, three, four):
        expected = [first] if thing in {one, two} else []
        expected += ["/series?Modality=MR"] if thing.modality == "MR" else []
        expected += ["/instances?limit=100", "/patients"]
        assert await told_of(server, thing.patient_id, thing.issuer_of_patient_id) == expected
    assert await told_of(server, one.patient_id, "another") == []


async def test_a_restricted_caller_is_told_of_with_what_he_saw(server: Server) -> None:
    seen, hidden = THING, OTHER
    async with server.client("admin") as http:
        assert (await store(http, [file_of(seen), file_of(hidden)])).status_code == 200
    grant = Given(("search",), (("study_instance_uid", seen.study_instance_uid),))
    token = await token_with(server, [grant], ("read",))
    async with httpx.AsyncClient(trust_env=False) as http:
        headers = {"Authorization": f"Bearer {token}"}
        answer = await http.get(f"{server.dicomweb}/studies", headers=headers)
    assert len(answer.json()) == 1
    assert await told_of(server, seen.patient_id, seen.issuer_of_patient_id) == ["/studies"]
    assert await told_of(server, hidden.patient_id, hidden.issuer_of_patient_id) == []


async def test_a_store_of_two_studies_is_found_by_each_and_its_patient(server: Server) -> None:
    async with server.client("admin") as http:
        assert (await store(http, [file_of(THING), file_of(OTHER)])).status_code == 200
        for thing in (THING, OTHER):
            identifier = f"{thing.issuer_of_patient_id or ''}|{thing.patient_id}"
            for asked in ({"patient": identifier}, {"entity": thing.study_instance_uid}):
                found = await http.get(
                    f"{server.url}/fhir/AuditEvent", params=asked | {"action": "C"}
                )
                (entry,) = found.json()["entry"]
                (study,) = [
                    entity["what"]["identifier"]["value"]
                    for entity in entry["resource"]["entity"]
                    if entity["what"].get("type") == "ImagingStudy"
                ]
                assert study == f"urn:oid:{thing.study_instance_uid}"
    async with server.client("admin") as http:
        await http.get("/studies?limit=2")
        found = await http.get(
            f"{server.url}/fhir/AuditEvent",
            params={"patient": [THING.patient_id, OTHER.patient_id]},
        )
        (entry,) = found.json()["entry"]  # about both: the list
        assert entry["resource"]["action"] == "E"


async def test_what_is_listed_of_a_share_is_told_to_each_patient(server: Server) -> None:
    async with server.client("admin") as http:
        assert (await store(http, [file_of(THING), file_of(OTHER)])).status_code == 200
        studies = [THING.study_instance_uid, OTHER.study_instance_uid]
        for deidentify in (False, True):
            asked = {"studies": studies, "name": "x", "deidentify": deidentify}
            made = await http.post(f"{server.url}/shares", json=asked)
            link = made.json()["url"]
            async with httpx.AsyncClient(trust_env=False, follow_redirects=True) as guest:
                page = await guest.post(link, headers={"Accept": "text/html"})
                assert page.text.count("<img") == 2
                opened = (await guest.post(link)).json()
                bearer = {"Authorization": f"Bearer {opened['access_token']}"}
                answer = await guest.get(f"{opened['dicomweb']}/studies", headers=bearer)
                assert len(answer.json()) == 2
    for thing in (THING, OTHER):
        assert await told_of(server, thing.patient_id, thing.issuer_of_patient_id) == [
            "GET /share/*",
            "/studies",
            "GET /share/*",
            "/deidentified/studies",
        ]


async def test_lists_are_told_page_by_page_with_what_else_there_was(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disclosures, "PAGE", 2)
    async with server.client("admin") as http:
        assert (await store(http, [file_of(THING), file_of(OTHER)])).status_code == 200
        seen = []
        for number in range(4):
            seen += [
                f"/studies?limit={number + 2}",
                f"/studies/{THING.study_instance_uid}/metadata",
            ]
        for path in seen:
            assert (await http.get(path)).status_code == 200
    assert await told_of(server, THING.patient_id, THING.issuer_of_patient_id) == seen
