"""Pages of one search: together they are everything, each result once, whatever is stored."""

import re
from collections.abc import AsyncIterator
from urllib.parse import quote

import httpx
import pytest

from app.search.paging import token_of
from tests.factories import ct_dataset, multipart, part10
from tests.fixtures.server import Server
from tests.integration.search.conftest import Caller, value

UID = {"studies": "0020000D", "series": "0020000E", "instances": "00080018"}
DATES = ["20240301", "20240301", "20230101", None, None, "20240301", "20220101"]
TIMES = ["1000", None, "0900", "1100", None, "1000", "0800"]
FIRST = "/studies?limit=2"


def study(number: int, date: str | None, time: str | None) -> list[bytes]:
    """Two series, the second one without a number; of two instances one has a number."""
    uid = f"1.2.7.{number}"
    return [
        part10(
            ct_dataset(
                StudyInstanceUID=uid,
                StudyDate=date,
                StudyTime=time,
                PatientName=f"Name{number % 3}",
                PatientID=f"P{number}",
                SeriesInstanceUID=f"{uid}.{series}",
                SeriesNumber=series_number,
                SOPInstanceUID=f"{uid}.{series}.{instance}",
                InstanceNumber=instance_number,
            )
        )
        for series, series_number, instance, instance_number in (
            *((1, 1, 1, None), (1, 1, 2, 7)),
            (2, None, 1, 1),
        )
    ]


async def store(http: httpx.AsyncClient, files: list[bytes]) -> None:
    body, content_type = multipart(files)
    answer = await http.post("/studies", content=body, headers={"Content-Type": content_type})
    assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
async def reader(searched: Server) -> AsyncIterator[Caller]:
    """Someone who reads an archive of seven studies, of which some have no date or time."""
    async with searched.client("store", "read") as http:
        for number, (date, time) in enumerate(zip(DATES, TIMES, strict=True)):
            await store(http, study(number, date, time))
        yield Caller(http)


async def walk(reader: Caller, path: str) -> list[list[str]]:
    """The UIDs of each page, from link to link."""
    tag = UID[path.partition("?")[0].rpartition("/")[2]]
    pages = []
    url: str | None = path
    while url is not None:
        answer = await reader.get(url)
        assert answer.status_code == 200, answer.text
        pages.append([value(result, tag) for result in answer.json()])
        url = answer.links.get("next", {}).get("url")
    return pages


@pytest.mark.parametrize("resource", UID)
@pytest.mark.parametrize(
    "order",
    [
        "",
        "&orderby=StudyDate",
        "&orderby=-studydate",
        "&orderby=PatientName,-StudyTime",
        "&orderby=-00100010",
        "&orderby=-PatientName,StudyDate,PatientName",
    ],
)
async def test_links_lead_through_everything_in_order(
    reader: Caller, resource: str, order: str
) -> None:
    whole = await reader.found(f"/{resource}?limit=100{order}")
    assert len(set(whole)) == len(whole) == {"studies": 7, "series": 14, "instances": 21}[resource]
    for size in (1, 2, 5):
        pages = await walk(reader, f"/{resource}?limit={size}{order}")
        assert [uid for page in pages for uid in page] == whole
        assert all(len(page) == size for page in pages[:-1])


async def test_links_keep_to_what_was_asked(reader: Caller) -> None:
    query = f"limit=1&offset=1&PatientName={quote('name1*')}&includefield=StudyID%2C00081030"
    assert await walk(reader, f"/studies?{query}") == [["1.2.7.4"]]
    assert await walk(reader, "/series?Modality=CT&StudyInstanceUID=1.2.7.1,1.2.7.2&limit=3") == [
        ["1.2.7.1.1", "1.2.7.1.2", "1.2.7.2.1"],
        ["1.2.7.2.2"],
    ]
    assert await walk(reader, "/studies/1.2.7.0/instances?limit=2") == [
        ["1.2.7.0.1.2", "1.2.7.0.1.1"],
        ["1.2.7.0.2.1"],
    ]


async def test_what_is_asked_to_be_first_is_first(reader: Caller) -> None:
    async def order(by: str) -> list[str]:
        return [uid[-1] for uid in await reader.found(f"/studies?orderby={by}")]

    assert await order("StudyDate,StudyTime") == ["4", "3", "6", "2", "1", "0", "5"]
    assert await order("-StudyDate") == ["5", "0", "1", "2", "6", "3", "4"]
    assert await order("PatientName,PatientID") == ["0", "3", "6", "1", "4", "2", "5"]
    assert await order("-PatientID") == ["6", "5", "4", "3", "2", "1", "0"]


@pytest.mark.parametrize("large", [1, 1000])
async def test_each_page_tells_how_many_there_are(
    reader: Caller, large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.index.search.LARGE", large)
    expected = [("7", 5), (None, 3), (None, 1), (None, 0)]
    url = FIRST
    for total, remaining in expected:
        answer = await reader.get(url)
        assert answer.headers.get("x-total-count") == total
        words = f"There are {remaining} additional results that can be requested"
        assert [w.endswith(words) for w in answer.headers.get_list("warning")] == (
            [True] if remaining else []
        )
        url = answer.links.get("next", {}).get("url", "")
    assert url == ""


@pytest.mark.parametrize("few", [4, 8, 5000], ids=["many match", "many could", "few match"])
@pytest.mark.parametrize(
    "path",
    [
        "/studies?PatientName=Name*",
        "/studies?PatientName=name&fuzzymatching=true&orderby=PatientID",
        "/studies?ModalitiesInStudy=CT&orderby=-PatientName",
        "/series?Modality=CT",
        "/series?Modality=CT&orderby=SeriesNumber&PatientName=Name0*",
    ],
)
async def test_pages_are_the_same_whether_few_match_or_many(
    reader: Caller, path: str, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await reader.found(f"{path}&limit=100")
    resource = path[1:].partition("?")[0]
    monkeypatch.setattr("app.index.search.FEW", few)
    pages = await walk(reader, f"{path}&limit=2")
    assert [uid for page in pages for uid in page] == whole
    for offset in range(0, len(whole), 2):
        answer = await reader.get(f"{path}&limit=2&offset={offset}")
        assert [value(result, UID[resource]) for result in answer.json()] == (
            whole[offset : offset + 2]
        )
        assert answer.headers["x-total-count"] == str(len(whole))
    beyond = await reader.get(f"{path}&limit=2&offset={len(whole)}")
    assert beyond.json() == []
    assert "x-total-count" not in beyond.headers


@pytest.mark.parametrize(
    ("path", "total"),
    [
        ("/studies?limit=3&offset=2", "7"),
        ("/studies?limit=0", "7"),
        ("/studies?PatientID=nobody", "0"),
        ("/studies?offset=100", None),
        ("/series?limit=1", "14"),
        ("/series?limit=1&PatientID=P1", "2"),
        ("/series?limit=1&SeriesNumber=1", "7"),
        ("/instances?limit=1", "21"),
        ("/instances?limit=1&StudyDate=20240301", "9"),
        ("/instances?limit=1&SeriesNumber=1", "14"),
        ("/instances?limit=1&InstanceNumber=7&StudyDate=2024.03.01", "3"),
        ("/studies/1.2.7.0/instances?limit=1", "3"),
        ("/studies/1.2.7.0/series/1.2.7.0.1/instances?limit=1", "2"),
    ],
)
async def test_how_many_match(reader: Caller, path: str, total: str | None) -> None:
    assert (await reader.get(path)).headers.get("x-total-count") == total


async def test_the_next_page_stays_where_it_is_when_studies_arrive(
    module_database_url: str, reader: Caller
) -> None:
    path = "/studies?limit=2&PatientID=P*"
    before = await reader.found("/studies?PatientID=P*&limit=100")
    first = await reader.get(path)
    await store(reader.http, study(8, "20250101", "1000"))
    await store(reader.http, study(9, "20100101", "1000"))
    rest = await walk(reader, first.links["next"]["url"])
    assert [uid for page in rest for uid in page] == [
        *(uid for uid in before[2:] if int(uid[-1]) not in (3, 4)),
        "1.2.7.9",
        *(uid for uid in before[2:] if int(uid[-1]) in (3, 4)),
    ]


@pytest.mark.parametrize(
    "query",
    [
        "after=x",
        "after=%FF",
        "after=" + "A" * 5000,
        "after=" + token_of(("20240101",), 0),
        "after=" + token_of(("20240101", "", 7), 0),
        "after=" + token_of(("20240101", "a\0", "1.2"), 0),
        "after=bnVsbA",
        "after=W1tdXQ",
        "after=W10",
        "after=" + token_of(("20240101", "", "1.2"), -1),
        "after=" + token_of(("20240101", "", "1.2"), 2**53),
        "after=W3RydWVd",
        "orderby=NoSuchAttribute",
        "orderby=Rows",
        "orderby=ModalitiesInStudy",
        "orderby=PixelData",
        "orderby=StudyDate&orderby=StudyTime",
        "orderby=StudyDate,StudyTime,PatientID,PatientName,StudyID",
    ],
    ids=lambda query: query[:40],
)
async def test_places_and_orders_that_are_none_are_refused(reader: Caller, query: str) -> None:
    assert (await reader.get(f"/studies?{query}")).status_code == 400


async def test_a_number_that_no_place_has_is_refused(reader: Caller) -> None:
    place = token_of(("", "", "1.2", 2**63, "1.2"), 1)
    assert (await reader.get(f"/series?after={place}")).status_code == 400
    place = token_of(("", "", "1.2", 2**63 - 1, "1.2"), 1)
    assert (await reader.get(f"/series?after={place}")).status_code == 200
    place = token_of(("", "", "1.2", -(2**63), "1.2"), 1)
    assert (await reader.get(f"/series?after={place}")).status_code == 200


async def test_a_place_told_by_long_values_leads_on(reader: Caller) -> None:
    place = token_of(("山" * 256, "山" * 256, "", "", "1.2"), 1)
    assert len(place) > 2048
    answer = await reader.get(f"/studies?orderby=StudyDescription,PatientID&after={place}")
    assert answer.status_code == 200


async def test_where_a_link_would_be_too_long_the_place_alone_is_told(reader: Caller) -> None:
    uids = ",".join(f"1.2.7.{number % 7}" for number in range(450))
    query = f"/studies?limit=3&StudyInstanceUID={uids}"
    whole = await reader.found(query.replace("limit=3", "limit=100"))
    found, after = [], ""
    for _ in range(3):
        answer = await reader.get(query + after)
        assert "link" not in answer.headers
        found += [value(result, UID["studies"]) for result in answer.json()]
        told = re.search(r"after=[\w-]+", " ".join(answer.headers.get_list("warning")))
        after = f"&{told[0]}" if told else ""
    assert found == whole
    assert after == ""
