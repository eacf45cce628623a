"""What has no column is found as well: private, nested, just stored, replaced, or marked."""

import asyncio
import threading
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import httpx
import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence

from app.dicom import terms
from app.index.database import Database
from app.index.search import by_terms, looking
from app.index.terms import follow, following
from tests.factories import ct_dataset, multipart, part10
from tests.fixtures.server import Server
from tests.integration.search.conftest import Caller

pytestmark = pytest.mark.usefixtures("no_indexing")


async def store(http: httpx.AsyncClient, *data_sets: Dataset, query: str = "") -> None:
    body, content_type = multipart(map(part10, data_sets))
    answer = await http.post(
        f"/studies{query}", content=body, headers={"Content-Type": content_type}
    )
    assert answer.status_code in (200, 202), answer.text


fresh = count(1)
"""Numbers of instances that have not been stored yet."""


async def index(url: str) -> int:
    """Follow the log to its end."""
    database = await Database.open(url, connections=1, statement_seconds=30)
    try:
        async with database.transaction() as connection:
            return await follow(connection, 1)
    finally:
        await database.close()


def item(**values: object) -> Dataset:
    found = Dataset()
    for name, value in values.items():
        setattr(found, name, value)
    return found


def image(study: int, series: int, instance: int, **values: object) -> Dataset:
    uid = f"1.2.5.{study}"
    return ct_dataset(
        StudyInstanceUID=uid,
        SeriesInstanceUID=f"{uid}.{series}",
        SOPInstanceUID=f"{uid}.{series}.{instance}",
        PatientID=f"P{study}",
        **values,
    )


def report(study: int) -> Dataset:
    """An instance that refers to others, deep within, with a private attribute."""
    refers = item(
        ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2",
        ReferencedSOPInstanceUID=f"1.2.5.{study}.1.1",
    )
    series = item(SeriesInstanceUID=f"1.2.5.{study}.1", ReferencedSOPSequence=Sequence([refers]))
    evidence = item(StudyInstanceUID=f"1.2.5.{study}", ReferencedSeriesSequence=Sequence([series]))
    data_set = image(
        study,
        9,
        1,
        Modality="SR",
        CurrentRequestedProcedureEvidenceSequence=Sequence([evidence]),
        InstitutionalDepartmentName="Deep Hospital",
        AdmissionID=f"ADM{study}",
    )
    block = data_set.private_block(0x0011, "HILUM", create=True)
    block.add_new(0x02, "LO", "secret word")
    block.add_new(0x03, "FL", 0.1)
    return data_set


DEEP = (
    "CurrentRequestedProcedureEvidenceSequence.ReferencedSeriesSequence"
    ".ReferencedSOPSequence.ReferencedSOPInstanceUID"
)
FOUND = [
    ("/instances?00111002=secret+word", ["1.2.5.1.9.1"]),
    ("/instances?00111002=secret*", ["1.2.5.1.9.1"]),
    ("/instances?00111002=other", []),
    ("/instances?00111003=0.1", ["1.2.5.1.9.1"]),
    ("/instances?00110010=HILUM", ["1.2.5.1.9.1"]),
    (f"/instances?{DEEP}=1.2.5.1.1.1", ["1.2.5.1.9.1"]),
    (f"/instances?{DEEP}=1.2.5.1.1.1,9.9", ["1.2.5.1.9.1"]),
    (f"/instances?{DEEP}=9.9", []),
    ("/instances?0040a375.00081115.00081199.00081155=1.2.5.1.1.1", ["1.2.5.1.9.1"]),
    ("/series?InstitutionalDepartmentName=Deep+Hospital", ["1.2.5.1.9"]),
    ("/series?InstitutionalDepartmentName=Deep*", ["1.2.5.1.9"]),
    (
        "/instances?InstitutionalDepartmentName=Deep+Hospital&PhotometricInterpretation=MONOCHROME2",
        ["1.2.5.1.9.1"],
    ),
    ("/studies?AdmissionID=ADM1", ["1.2.5.1"]),
    ("/studies?AdmissionID=adm1", []),
    ("/studies?AdmissionID=ADM*&AdmissionID=", None),
    ("/studies?InstitutionalDepartmentName=Deep+Hospital", ["1.2.5.1"]),
    ("/studies?BodyPartExamined=KNEE", ["1.2.5.2"]),
    ("/studies?BodyPartExamined=KNEE&InstitutionalDepartmentName=Deep+Hospital", []),
    ("/studies?SOPInstanceUID=1.2.5.1.9.1", ["1.2.5.1"]),
    ("/series?SOPInstanceUID=1.2.5.1.9.1", ["1.2.5.1.9"]),
    ("/series?InstanceNumber=77&SeriesNumber=5", ["1.2.5.2.1"]),
    ("/instances?PatientID=P1&00111002=secret*", ["1.2.5.1.9.1"]),
    ("/studies/1.2.5.1/instances?00111002=secret+word", ["1.2.5.1.9.1"]),
    ("/studies/1.2.5.2/instances?00111002=secret+word", []),
]


@pytest.fixture(scope="module", params=["unindexed", "indexed"])
async def reader(
    request: pytest.FixtureRequest, module_database_url: str, searched: Server
) -> AsyncIterator[Caller]:
    async with searched.client("store", "read", "delete") as http:
        await store(
            http,
            *(image(1, 1, number, AdmissionID="ADM1") for number in (1, 2)),
            report(1),
            image(2, 1, 1, BodyPartExamined="KNEE", InstanceNumber=77, SeriesNumber=5),
        )
        if request.param == "indexed":
            await index(module_database_url)
        yield Caller(http)


@pytest.mark.parametrize(("path", "uids"), FOUND, ids=[path for path, _ in FOUND])
async def test_what_has_no_column_is_found(
    reader: Caller, path: str, uids: list[str] | None
) -> None:
    if uids is None:
        assert (await reader.get(path)).status_code == 400
    else:
        assert await reader.found(path) == uids


async def test_what_was_matched_is_returned_with_its_creator(reader: Caller) -> None:
    (found,) = await reader.search("/instances?00111002=secret*")
    assert found["00111002"]["Value"] == ["secret word"]
    assert found["00110010"]["Value"] == ["HILUM"]


async def test_what_lies_below_is_not_looked_at(reader: Caller) -> None:
    for query in (
        "00111002=x",
        "InstitutionalDepartmentName=Deep*",
        "PhotometricInterpretation=MONOCHROME2",
    ):
        answer = await reader.get(f"/studies?{query}")
        assert answer.status_code == 400
        assert "search for" in answer.json()["detail"]


async def test_what_replaces_is_found_as_it_is_now(
    module_database_url: str, reader: Caller
) -> None:
    before, after = (
        image(
            3, 1, 1, InstitutionalDepartmentName=name, AdmissionID=name, ImageComments=name, KVP=kvp
        )
        for name, kvp in (("Old", "80"), ("New", "90"))
    )
    await store(reader.http, before, query="?duplicates=replace")
    await index(module_database_url)
    await store(reader.http, after, query="?duplicates=replace")
    for _ in range(2):
        assert await reader.found("/series?InstitutionalDepartmentName=New") == ["1.2.5.3.1"]
        assert await reader.found("/series?InstitutionalDepartmentName=Old") == []
        assert await reader.found("/studies?AdmissionID=Old") == []
        assert await reader.found("/studies?AdmissionID=New") == ["1.2.5.3"]
        assert await reader.found("/instances?KVP=80") == []
        assert await reader.found("/instances?KVP=90.0") == ["1.2.5.3.1.1"]
        assert await reader.found("/instances?ImageComments=New") == ["1.2.5.3.1.1"]
        await index(module_database_url)
        await store(reader.http, before, query="?duplicates=replace")
        await store(reader.http, after, query="?duplicates=replace")


async def test_too_much_to_be_looked_at_is_refused_and_says_what_to_do(
    reader: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "MOST", 1)
    monkeypatch.setattr(looking, "AT_ONCE", 1)
    answer = await reader.get("/instances?PhotometricInterpretation=MONO*X")
    assert answer.status_code == 413
    assert "narrow the search down" in answer.json()["detail"]


async def test_a_full_page_is_answered_without_counting_to_the_end(
    reader: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "MOST_FOR_COUNTING", 2)
    monkeypatch.setattr(looking, "AT_ONCE", 1)
    answer = await reader.get("/instances?PhotometricInterpretation=MONO*&limit=1")
    assert len(answer.json()) == 1
    assert "There are at least 1 additional results" in answer.headers["warning"]
    assert "x-total-count" not in answer.headers
    found = []
    url: str | None = "/instances?PhotometricInterpretation=MONO*&limit=2"
    while url:
        answer = await reader.get(url)
        found += [result["00080018"]["Value"][0] for result in answer.json()]
        url = answer.links.get("next", {}).get("url")
    assert found == await reader.found("/instances")


async def test_when_the_index_is_far_behind_what_needs_it_is_put_off(
    reader: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        await store(reader.http, image(4, 1, next(fresh), InstitutionalDepartmentName="Late"))
    monkeypatch.setattr("app.index.search.plan.MOST_UNINDEXED", 1)
    assert await reader.found("/series?InstitutionalDepartmentName=Late") == ["1.2.5.4.1"]
    answer = await reader.get("/studies?InstitutionalDepartmentName=Late")
    assert answer.status_code == 503
    assert answer.headers["retry-after"]


@pytest.mark.parametrize("in_thread_from", [1, by_terms.IN_THREAD_FROM])
async def test_what_is_marked_is_looked_up(
    module_database_url: str,
    reader: Caller,
    monkeypatch: pytest.MonkeyPatch,
    in_thread_from: int,
) -> None:
    monkeypatch.setattr(by_terms, "IN_THREAD_FROM", in_thread_from)
    monkeypatch.setattr(terms, "MOST_OF_PATH", 1)
    monkeypatch.setattr(terms, "MOST_TERMS", 200)
    many = [f"N{number}" for number in range(5)]
    await store(reader.http, image(5, 1, 1, OtherPatientIDs=many, ManufacturerModelName="M"))
    await index(module_database_url)
    assert await reader.found("/studies?OtherPatientIDs=N3") == ["1.2.5.5"]
    assert await reader.found("/studies?OtherPatientIDs=N9") == []
    assert await reader.found("/series?ManufacturerModelName=M") == ["1.2.5.5.1"]


async def test_an_instance_with_very_long_metadata_is_passed_over_and_said_so(
    module_database_url: str, reader: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "LONGEST_JSON", 10)
    await store(reader.http, image(7, 1, next(fresh), ImageComments="long"))
    await index(module_database_url)
    assert await reader.found("/instances?ImageComments=long")
    monkeypatch.setattr(looking, "LONGEST_JSON", 10)
    answer = await reader.get("/instances?ImageComments=long")
    assert answer.json() == []
    assert "instances were passed over" in answer.headers["warning"]


async def test_what_takes_too_long_to_look_at_is_refused(
    reader: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store(reader.http, image(13, 1, next(fresh), ImageComments="looked at"))
    query = "/instances?StudyInstanceUID=1.2.5.13&ImageComments=look*"
    assert await reader.found(query)
    monkeypatch.setattr(looking, "MOST_SECONDS", -1)
    answer = await reader.get(query)
    assert answer.status_code == 413
    assert "narrow" in answer.json()["detail"]


async def test_the_zone_of_the_query_is_that_of_its_moments(reader: Caller) -> None:
    at = "AcquisitionDateTime"
    await store(reader.http, image(8, 1, next(fresh), AcquisitionDateTime="20240101120000+0100"))
    found = ["1.2.5.8.1"]
    study = "StudyInstanceUID=1.2.5.8"

    async def series(query: str) -> list[str]:
        results = await reader.search(f"/instances?{study}&{query}")
        return sorted({result["0020000E"]["Value"][0] for result in results})

    assert await series(f"{at}=20240101120000") == found
    assert await series(f"{at}=20240101110000&TimezoneOffsetFromUTC=%2B0000") == found
    assert await series(f"{at}=20240101120000&TimezoneOffsetFromUTC=%2B0000") == []
    assert await series(f"{at}=20240101120000%2B0100&TimezoneOffsetFromUTC=-0500") == found
    answer = await reader.get("/studies?StudyDate=20240101&00080201=-0500")
    assert "adjusts values of DT alone" in answer.headers["warning"]
    assert (await reader.get("/studies?00080201=x")).status_code == 400


async def test_moments_that_tell_no_zone_are_in_that_of_their_data_set(
    module_database_url: str, reader: Caller
) -> None:
    told = image(
        10,
        1,
        next(fresh),
        AcquisitionDateTime="20200131130000",
        TimezoneOffsetFromUTC="+0100",
        ReferencedImageSequence=Sequence([item(AcquisitionDateTime="20200131130000")]),
    )
    far = image(11, 1, next(fresh), AcquisitionDateTime="20200102010000+1400")
    month = image(12, 1, next(fresh), AcquisitionDateTime="202002", TimezoneOffsetFromUTC="+0100")
    await store(reader.http, told, far, month)
    at = "AcquisitionDateTime"
    here = "StudyInstanceUID=1.2.5.10"
    for path in (at, f"ReferencedImageSequence.{at}"):
        assert await reader.found(f"/instances?{here}&{path}=20200131120000%2B0000")
        assert await reader.found(f"/instances?{here}&{path}=20200131130000")
        assert not await reader.found(f"/instances?{here}&{path}=20200131130000%2B0000")
    of_month = f"/instances?StudyInstanceUID=1.2.5.12&{at}"
    assert await reader.found(f"{of_month}=20200229220000%2B0000")
    assert not await reader.found(f"{of_month}=20200301000000%2B0000")
    await index(module_database_url)
    assert far.SOPInstanceUID in await reader.found(f"/instances?{at}=20191231230000-1200")


async def test_few_look_at_once_and_nobody_else_waits_for_them(
    reader: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store(reader.http, image(14, 1, next(fresh), ImageComments="looked at"))
    inside: list[int] = []
    most = 0
    two_look, go_on = threading.Event(), threading.Event()
    fitting = looking._fitting

    def slowly(*arguments: Any) -> tuple[list[int], int]:
        nonlocal most
        inside.append(1)
        most = max(most, len(inside))
        if most >= 2:
            two_look.set()
        go_on.wait(60)
        inside.pop()
        return fitting(*arguments)

    monkeypatch.setattr(looking, "_fitting", slowly)
    query = "/instances?StudyInstanceUID=1.2.5.14&ImageComments=look*"
    searches = [asyncio.create_task(reader.get(query)) for _ in range(12)]
    await asyncio.to_thread(two_look.wait, 60)
    ordinary = await reader.get("/studies?StudyInstanceUID=1.2.5.14")
    go_on.set()
    answers = await asyncio.gather(*searches)
    assert ordinary.status_code == 200
    assert {answer.status_code for answer in answers} == {200}
    assert most == 2
