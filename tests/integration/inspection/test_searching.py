"""The audit is searched as FHIR R4 AuditEvent, by who may, in their own partition."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.operationoutcome import OperationOutcome

from app.access.credentials import new_token
from app.audit import chain
from app.index import audits
from tests.fixtures.server import Server
from tests.integration.access.population import THINGS, file_of, index_of, store
from tests.integration.index.test_audits import RECORD
from tests.integration.inspection.conftest import auditor
from tests.integration.web.conftest import execute, records

THING = THINGS[8]
STUDY = THING.study_instance_uid


@pytest.fixture
async def used(server: Server) -> Server:
    """A study is stored, read and searched for; somebody is refused, here and elsewhere."""
    async with server.client("store") as http:
        assert (await store(http, [file_of(THING)])).status_code == 200
    async with server.client("read") as http:
        assert (await http.get(f"/studies/{STUDY}/metadata")).status_code == 200
        assert (await http.get(f"/studies/{STUDY}")).status_code == 200
        assert (await http.get(f"/studies?PatientID={THING.patient_id}")).status_code == 200
        assert (await http.get("/studies/9.9/metadata")).status_code == 404
        assert (await http.post("/studies")).status_code == 403
    async with httpx.AsyncClient(trust_env=False) as nobody:
        assert (await nobody.get(f"{server.dicomweb}/studies/{STUDY}")).status_code == 401
    elsewhere = await server.token("read", partition="elsewhere")
    async with httpx.AsyncClient(trust_env=False) as other:
        headers = {"Authorization": f"Bearer {elsewhere}"}
        answer = await other.get(f"{server.dicomweb}/studies/{STUDY}", headers=headers)
        assert answer.status_code == 404
    return server


@pytest.fixture
async def http(used: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with auditor(used) as client:
        yield client


async def found(http: httpx.AsyncClient, query: str) -> list[dict[str, Any]]:
    answer = await http.get(f"/AuditEvent?{query}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/fhir+json"
    assert answer.headers["cache-control"] == "no-store"
    bundle = answer.json()
    Bundle.model_validate(bundle)
    assert bundle["type"] == "searchset"
    return [entry["resource"] for entry in bundle.get("entry", ())]


def paths(events: list[dict[str, Any]]) -> list[str]:
    return [
        entity["detail"][0]["valueString"] if "detail" in entity else entity["description"]
        for event in events
        for entity in event["entity"]
        if "detail" in entity or "description" in entity
    ]


STORED = "POST /dicomweb/studies"
METADATA = f"GET /dicomweb/studies/{STUDY}/metadata"
RETRIEVED = f"GET /dicomweb/studies/{STUDY}"
SEARCHED = f"GET /dicomweb/studies?PatientID={THING.patient_id}"
MISSED = "GET /dicomweb/studies/9.9/metadata"
OUTCOME = "http://terminology.hl7.org/CodeSystem/audit-event-outcome"


OF_THING = f"{THING.issuer_of_patient_id}|{THING.patient_id}"
FOUND = {
    "action=C": [STORED],
    "action=R&type=rest": [MISSED, RETRIEVED, METADATA],
    "action=E&outcome=0": [SEARCHED],
    f"entity={STUDY}": [RETRIEVED, METADATA, STORED],
    f"entity.identifier=urn:dicom:uid|urn:oid:{STUDY}&action=C": [STORED],
    f"patient={THING.patient_id}": [SEARCHED, RETRIEVED, METADATA, STORED],
    f"patient.identifier={OF_THING}": [SEARCHED, RETRIEVED, METADATA, STORED],
    f"patient.identifier=|{THING.patient_id}": [],
    f"patient.identifier=C|{THING.patient_id}": [],
    "patient=nobody": [],
    "subtype=110103": [MISSED, METADATA],
    "subtype=http://hl7.org/fhir/restful-interaction|read&outcome=0": [RETRIEVED, METADATA],
    "subtype=search-type,read&outcome=0": [SEARCHED, RETRIEVED, METADATA],
    "type=110113": [STORED],
    f"outcome={OUTCOME}|4,8": [STORED, MISSED],
    "agent=test&date=ge2020&action=C": [STORED],
    "agent=somebody": [],
    "address=127.0.0.1&action=C": [STORED],
    "address=192.0.2.1": [],
    "address=127.0.&action=C": [STORED],
    "address:exact=127.0.&action=C": [],
    "address:exact=127.0.0.1&action=C&_sort=-date": [STORED],
    "date=lt2020": [],
    "date=ge2020&date=lt2020-02": [],
    "date=ne2020-01&action=C": [STORED],
    "date=ap2020&action=C": [],
}


async def test_what_is_asked_for_is_found_latest_first(http: httpx.AsyncClient) -> None:
    assert {query: paths(await found(http, query)) for query in FOUND} == FOUND
    this_year = f"{datetime.now(UTC):%Y}"
    assert paths(await found(http, f"date=ap{this_year}&action=C")) == [STORED]
    assert paths(await found(http, f"date=ne{this_year}&action=C")) == []


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def posted(http: httpx.AsyncClient, address: str, body: str) -> dict[str, Any]:
    url = f"/AuditEvent/_search?{address}"
    answer = await http.post(url, content=body.encode(), headers=FORM)
    assert answer.status_code == 200, answer.text
    bundle: dict[str, Any] = answer.json()
    Bundle.model_validate(bundle)
    return bundle


async def test_a_form_asks_as_an_address_does(http: httpx.AsyncClient) -> None:
    for query, expected in FOUND.items():
        before, _, last = query.rpartition("&")
        for address, body in (("", query), (query, ""), (before, last)):
            bundle = await posted(http, address, body)
            events = [entry["resource"] for entry in bundle.get("entry", ())]
            assert paths(events) == expected
            (link,) = bundle["link"]
            assert await found(http, link["url"].partition("?")[2]) == events
    page = await posted(http, "", f"entity={STUDY}&_count=1")
    links = {link["relation"]: link["url"] for link in page["link"]}
    next_page = (await http.get(links["next"])).json()
    assert paths([next_page["entry"][0]["resource"]]) == [METADATA]


@pytest.mark.parametrize(
    ("body", "headers", "status", "issue"),
    [
        (b"x=1", FORM, 400, "invalid"),
        (b"date=x", FORM, 400, "invalid"),
        (b"action=C", {"Content-Type": "application/json"}, 415, "not-supported"),
        (b"action=C", {"Content-Type": "x"}, 400, "invalid"),
    ],
    ids=str,
)
async def test_a_form_that_cannot_be_used_is_refused(
    http: httpx.AsyncClient, body: bytes, headers: dict[str, str], status: int, issue: str
) -> None:
    answer = await http.post("/AuditEvent/_search", content=body, headers=headers)
    assert answer.status_code == status
    outcome = OperationOutcome.model_validate(answer.json())
    assert outcome.issue[0].code == issue


async def test_the_record_of_a_search_tells_what_was_searched_for(used: Server) -> None:
    token = new_token()
    async with auditor(used) as http:
        await found(http, f"patient=|P%201&date=ge2026&agent={token}&_count=5")
        await posted(http, "action=C", "patient=P1,P2&entity=1.2")
        answer = await http.post("/AuditEvent/_search", content=b"patient=P1&x=Doe", headers=FORM)
        assert answer.status_code == 400
    looks = [one for one in await records(used) if one["event"] == "110101"]
    assert [(one["method"], one["query"], one["status"]) for one in looks] == [
        ("GET", "patient=|P+1&date=ge2026&agent=hilum_...&_count=5", 200),
        ("POST", "action=C&patient=P1,P2&entity=1.2", 200),
        ("POST", "patient=&x=", 400),
    ]


async def test_a_record_is_read_by_its_id(http: httpx.AsyncClient) -> None:
    (event,) = await found(http, "action=C")
    answer = await http.get(f"/AuditEvent/{event['id']}")
    assert answer.json() == event
    assert await found(http, f"_id={event['id']}") == [event]
    for identity in ("1-999999", "x", "2-1", "1-0", "1-99999999999999999999"):
        answer = await http.get(f"/AuditEvent/{identity}")
        assert answer.status_code == 404
        OperationOutcome.model_validate(answer.json())


async def test_nobody_sees_another_tenants_records(used: Server) -> None:
    async with auditor(used, partition="elsewhere") as other:
        events = await found(other, f"entity={STUDY}")
        assert [event["outcome"] for event in events] == ["4"]
        assert await found(other, f"patient={THING.patient_id}") == []
        theirs = {event["id"] for event in await found(other, "")}
        assert (await other.get("/AuditEvent/1-1")).status_code == 404
    async with auditor(used) as http:
        ours = {event["id"] for event in await found(http, "")}
    assert ours
    assert theirs
    assert not ours & theirs


async def test_who_nobody_knows_is_in_no_tenants_audit(http: httpx.AsyncClient) -> None:
    assert await found(http, "type=110114") == []


async def test_it_needs_a_permission_of_its_own(server: Server) -> None:
    for scope in ("read", "store", "delete"):
        async with auditor(server, scope) as http:
            assert (await http.get("/AuditEvent")).status_code == 403
    async with server.client("audit") as http:
        assert (await http.get("/studies")).status_code == 403


async def test_looking_into_the_audit_is_recorded(used: Server, http: httpx.AsyncClient) -> None:
    await found(http, "patient=P1&date=ge2020")
    last = [record for record in await records(used) if record["partition_id"] == 1][-1]
    assert (last["event"], last["action"], last["status"]) == ("110101", "R", 200)
    (event,) = await found(http, "type=110101&_count=1")
    assert event["type"]["display"] == "Audit Log Used"


async def test_no_name_is_told(http: httpx.AsyncClient) -> None:
    answer = await http.get("/AuditEvent")
    assert "Doe" not in answer.text


async def test_what_cannot_be_understood_is_an_outcome(http: httpx.AsyncClient) -> None:
    for query in ("nothing=1", "date=x", "action=X", "_format=xml"):
        answer = await http.get(f"/AuditEvent?{query}")
        assert answer.status_code == 400
        outcome = OperationOutcome.model_validate(answer.json())
        assert outcome.issue[0].code == "invalid"
    answer = await http.get("/AuditEvent", headers={"Accept": "application/fhir+xml"})
    assert answer.status_code == 406


async def test_what_there_is_of_fhir_is_stated(http: httpx.AsyncClient) -> None:
    statement = (await http.get("/metadata")).json()
    CapabilityStatement.model_validate(statement)
    parameters = statement["rest"][0]["resource"][0]["searchParam"]
    for parameter in parameters:
        value = {"date": "2026", "action": "R", "outcome": "0", "entity": "1.2", "_id": "1-1"}
        name = parameter["name"]
        assert (await http.get(f"/AuditEvent?{name}={value.get(name, 'x')}")).status_code == 200


async def test_pages_lead_to_every_record_once_while_more_are_written(server: Server) -> None:
    """Many records have the same moment, and each page is recorded itself."""
    made = [(RECORD.at + timedelta(seconds=number // 5), f"r{number}") for number in range(60)]
    async with index_of(server) as index, index.reading() as connection:
        for at, request_id in made:
            one = replace(RECORD, at=at, request_id=request_id)
            text = chain.canonical(one)
            await audits.append(connection, 1, chain.genesis(1), [text], [chain.digest_of(text)])
    seen: list[str] = []
    async with auditor(server) as http:
        url: str | None = "/AuditEvent?_count=7&agent=viewer"
        while url is not None:
            bundle = (await http.get(url)).json()
            seen += [_request_id(entry["resource"]) for entry in bundle["entry"]]
            links = {link["relation"]: link["url"] for link in bundle["link"]}
            assert links["self"].startswith(f"{server.url}/fhir/AuditEvent?_count=7&agent=viewer")
            url = links.get("next")
    assert seen == [request_id for _, request_id in reversed(made)]


def _request_id(event: dict[str, Any]) -> str:
    value: str = event["entity"][-1]["what"]["identifier"]["value"]
    return value


async def test_a_patient_is_told_also_when_the_study_is_gone(used: Server) -> None:
    await execute(used, "UPDATE study SET study_instance_uid = 'gone', patient_id = 'gone'")
    async with auditor(used) as http:
        events = await found(http, f"patient={THING.patient_id}")
    assert len(events) == 4


async def test_a_refused_look_at_a_patients_study_is_told_with_the_patient(used: Server) -> None:
    token = await used.token("read", restricted=True)
    async with httpx.AsyncClient(trust_env=False) as http:
        headers = {"Authorization": f"Bearer {token}"}
        answer = await http.get(f"{used.dicomweb}/studies/{STUDY}", headers=headers)
        assert answer.status_code == 404
    async with auditor(used) as http:
        (event,) = await found(http, f"patient={THING.patient_id}&outcome=4")
    assert event["action"] == "R"
