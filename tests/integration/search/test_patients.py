"""Patients, their timelines, and the priors of a study."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from app.index.search import patients
from tests.factories import ct_dataset, multipart, part10
from tests.fixtures.server import Server
from tests.integration.search.conftest import Caller, value

SLASH = "A/7 é?"
STUDIES: dict[str, dict[str, Any]] = {
    "1.2.6.1": {"day": "20200101", "modality": "CT", "part": "CHEST"},
    "1.2.6.2": {"day": "20210101", "modality": "MR", "part": "HEAD"},
    "1.2.6.3": {"day": "20220101", "modality": "CR", "part": "CHEST"},
    "1.2.6.4": {"day": "20230101", "modality": "CT", "part": "HEAD"},
    "1.2.6.5": {"day": "20240101", "modality": "CT", "part": "CHEST"},
    "1.2.6.6": {"day": "20250101", "modality": "CT", "part": "CHEST"},
    "1.2.6.7": {"day": "20200101", "modality": "CT", "part": "CHEST", "issuer": "OTHER"},
    "1.2.6.8": {"day": "20200101", "modality": "CT", "part": "CHEST", "patient": "B"},
    "1.2.6.9": {"day": "20200101", "modality": "CT", "part": "CHEST", "patient": None},
    "1.2.6.10": {"day": "20200101", "modality": "CT", "part": "CHEST", "patient": SLASH},
}


@pytest.fixture(scope="module")
async def reader(searched: Server) -> AsyncIterator[Caller]:
    async with searched.client("store", "read") as http:
        files = [
            part10(
                ct_dataset(
                    StudyInstanceUID=uid,
                    SeriesInstanceUID=f"{uid}.1",
                    SOPInstanceUID=f"{uid}.1.{number}",
                    SpecificCharacterSet="ISO_IR 192",
                    StudyDate=given["day"],
                    Modality=given["modality"],
                    BodyPartExamined=given["part"],
                    PatientID=given.get("patient", "A"),
                    IssuerOfPatientID=given.get("issuer", ""),
                    PatientName=f"Name^{given['day']}",
                )
            )
            for uid, given in STUDIES.items()
            for number in (1, 2)
        ]
        body, content_type = multipart(files)
        answer = await http.post("/studies", content=body, headers={"Content-Type": content_type})
        assert "00081198" not in answer.json(), answer.text
        yield Caller(http)


def ids(answer: httpx.Response) -> list[tuple[str, str | None]]:
    assert answer.status_code == 200, answer.text
    return [
        (value(result, "00100020"), result.get("00100021", {}).get("Value", [None])[0])
        for result in answer.json()
    ]


async def test_patients_are_found_by_what_any_of_their_studies_says(reader: Caller) -> None:
    everybody = [("A", None), ("A", "OTHER"), (SLASH, None), ("B", None)]
    assert ids(await reader.get("/patients")) == everybody
    assert ids(await reader.get("/patients?PatientID=A")) == everybody[:2]
    assert ids(await reader.get("/patients?IssuerOfPatientID=OTHER")) == [("A", "OTHER")]
    assert ids(await reader.get("/patients?PatientName=name*&StudyDate=20260101-")) == []
    assert ids(await reader.get("/patients?ModalitiesInStudy=MR")) == [("A", None)]
    assert ids(await reader.get("/patients?BodyPartExamined=HEAD")) == [("A", None)]
    assert ids(await reader.get("/patients?PatientName=nobody")) == []


async def test_a_patient_is_told_with_all_studies_as_the_newest_says(reader: Caller) -> None:
    (patient,) = (await reader.get("/patients?ModalitiesInStudy=MR")).json()
    assert value(patient, "00100010") == {"Alphabetic": "Name^20250101"}
    counts = [value(patient, tag) for tag in ("00201200", "00201202", "00201204")]
    assert counts == [6, 6, 12]


async def test_patients_are_paged(reader: Caller) -> None:
    first = await reader.get("/patients?limit=3")
    assert first.headers["x-total-count"] == "4"
    assert "There are 1 additional results" in first.headers["warning"]
    second = await reader.get(first.links["next"]["url"])
    assert ids(first) + ids(second) == ids(await reader.get("/patients"))
    assert "link" not in second.headers
    assert (await reader.get("/patients?after=WzAsIngiXQ")).status_code == 400
    refused = await reader.get("/patients?orderby=-StudyDate")
    assert refused.status_code == 400
    assert "orderby='-StudyDate'" in refused.text


async def test_the_timeline_of_a_patient_is_newest_first(reader: Caller) -> None:
    assert await reader.found("/patients/A/studies?IssuerOfPatientID=OTHER") == ["1.2.6.7"]
    assert (await reader.found("/patients/A/studies?limit=3")) == [
        "1.2.6.6",
        "1.2.6.5",
        "1.2.6.4",
    ]
    assert await reader.found("/patients/A/studies?ModalitiesInStudy=MR") == ["1.2.6.2"]
    assert await reader.found(f"/patients/{quote(SLASH, safe='')}/studies") == ["1.2.6.10"]
    assert await reader.found("/patients/nobody/studies") == []
    assert (await reader.get("/patients/%20/studies")).status_code == 400
    assert (await reader.get("/patients/%FF/studies")).status_code == 400


async def test_the_next_page_of_a_timeline_is_the_same_patients(reader: Caller) -> None:
    found: list[str] = []
    url: str | None = "/patients/A/studies?limit=3"
    while url:
        page = await reader.get(url)
        found += [value(result, "0020000D") for result in page.json()]
        url = page.links.get("next", {}).get("url")
    assert len(found) == 7
    assert found == await reader.found("/patients/A/studies")


async def test_priors_are_most_alike_first(reader: Caller) -> None:
    async def priors(of: str, query: str = "") -> list[str]:
        answer = await reader.get(f"/studies/{of}/priors{query}")
        assert answer.status_code == 200, answer.text
        return [value(result, "0020000D")[-1] for result in answer.json()]

    assert await priors("1.2.6.5") == ["1", "3", "4", "2"]
    assert await priors("1.2.6.5", "?limit=2&offset=1") == ["3", "4"]
    assert await priors("1.2.6.5", "?ModalitiesInStudy=MR") == ["2"]
    assert await priors("1.2.6.4") == ["2", "1", "3"]
    assert await priors("1.2.6.7") == []
    assert await priors("1.2.6.9") == []
    answer = await reader.get("/studies/1.2.6.5/priors?limit=1")
    assert answer.headers["x-total-count"] == "4"
    assert "There are 3 additional results" in answer.headers["warning"]


async def test_of_no_study_there_are_no_priors(reader: Caller) -> None:
    assert (await reader.get("/studies/1.2.3.4/priors")).status_code == 404
    assert (await reader.get("/studies/x/priors")).status_code == 400
    assert (await reader.get("/studies/1.2.6.5/priors?orderby=StudyDate")).status_code == 400


async def test_the_series_of_a_study_link_to_its_priors(reader: Caller) -> None:
    answer = await reader.get("/studies/1.2.6.5/series")
    url = answer.links["related"]["url"]
    assert url.endswith("/dicomweb/studies/1.2.6.5/priors")
    assert (await reader.get(url)).status_code == 200


async def test_the_counts_of_the_patient_are_told_with_a_study_on_request(reader: Caller) -> None:
    query = "includefield=NumberOfPatientRelatedStudies,00201204"
    (found,) = await reader.search(f"/studies?StudyInstanceUID=1.2.6.7&{query}")
    assert (value(found, "00201200"), value(found, "00201204")) == (1, 2)
    assert "00201202" not in found
    (found,) = await reader.search(f"/series?StudyInstanceUID=1.2.6.1&{query}")
    assert value(found, "00201200") == 6
    (found,) = await reader.search(f"/studies?StudyInstanceUID=1.2.6.9&{query}")
    assert "00201200" not in found
    (found,) = await reader.search("/studies?StudyInstanceUID=1.2.6.8&includefield=all")
    assert "00201202" not in found


async def test_who_is_found_is_told_though_the_study_becomes_anothers_meanwhile(
    searched: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with searched.client("store", "read", "delete") as http:

        async def become(patient_id: str, http: httpx.AsyncClient = http) -> None:
            dataset = ct_dataset(
                StudyInstanceUID="1.2.6.20",
                SeriesInstanceUID="1.2.6.20.1",
                SOPInstanceUID="1.2.6.20.1.1",
                PatientID=patient_id,
            )
            answer = await http.post(
                "/studies?duplicates=replace",
                content=part10(dataset),
                headers={"Content-Type": "application/dicom"},
            )
            assert answer.status_code == 200, answer.text

        async def known_a_moment_later(*arguments: Any) -> Any:
            async with searched.client("store", "read", "delete") as other:
                await become("LATER", other)
            return await known(*arguments)

        known = patients.known_patients
        await become("SOONER")
        monkeypatch.setattr(patients, "known_patients", known_a_moment_later)
        async with searched.client("read") as reader:
            answer = await reader.get("/patients?PatientID=SOONER")
            assert ids(answer) == [("SOONER", None)]
            assert answer.headers["x-total-count"] == "1"
