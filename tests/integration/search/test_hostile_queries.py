"""Queries that nobody means well by are answered at once, and never with what was not asked for."""

import time
from urllib.parse import quote

import pytest

from tests.integration.search.conftest import Caller

REFUSED = [
    "limit=-1",
    "limit=1e20",
    "limit=abc",
    "limit=1.0",
    "limit=",
    "limit=1&limit=2",
    "limit=99999999999999999999",
    "offset=9223372036854775808",
    "offset=9223372036854775807",
    "offset=-1",
    "offset=%D9%A1",
    "fuzzymatching=maybe",
    "NoSuchAttribute=1",
    "00109999=1",
    "TransferSyntaxUID=1.2.840.10008.1.2.1",
    "MessageID=1",
    "RequestAttributesSequence.NoSuchAttribute=1",
    "RequestAttributesSequence.=1",
    ".PatientID=1",
    "A..B=1",
    "(0010,0010)=x",
    "0010,0010=x",
    "0010:0020=x",
    "0010001=1",
    "001000100=1",
    "0x00100010=1",
    "60xx0010=1",
    "PatientID[]=x",
    "PatientID+=x",
    "Study.PatientID[0]=x",
    "PatientID.PatientName=x",
    "RequestAttributesSequence=x",
    "PatientID=a&PatientID=b",
    "PatientID=a&00100020=a",
    "StudyDate=2020-",
    "StudyDate=-2020",
    "StudyDate=2020-13-01",
    "StudyDate=20201301",
    "StudyDate=20200101-20200102-20200103",
    "StudyDate=2020*",
    "StudyTime=25",
    "StudyInstanceUID=1.2.*",
    "StudyInstanceUID=1..2",
    "StudyInstanceUID=x",
    "PatientName=^",
    "PatientName=a=b=c=d",
    "PatientID=" + "x" * 300,
    "PatientID=a%00b",
    "%00=1",
    "PatientID=%FF",
    "&".join(f"a{number}=1" for number in range(1001)),
    ".".join(["00400275"] * 17) + "=1",
    "00091001=" + "x" * 300,
    "00091001=a&00091001=b",
    "00090010.00091001=x",
    "emptyvaluematching=1",
    "multiplevaluematching=true&OtherPatientIDs=a*%5Cb",
    "multiplevaluematching=true&OtherPatientIDs=" + "%5C".join(map(str, range(65))),
    "00091001=a%00",
    "ModalitiesInStudy=" + ",".join(f"A{number}*" for number in range(65)),
    "ImageType=" + ",".join(f"%3FA{number}*" for number in range(900)),
    "AcquisitionDateTime=2024-13",
    "KVP=high",
    "FrameIncrementPointer=(0018,1063)",
    "FrameIncrementPointer=001810",
    "PatientAge=45",
    "PatientAge=45Y",
    "PatientAge=04*",
    "PatientWeight=NaN",
    "PixelData=x",
    "TimezoneOffsetFromUTC=late",
    "NumberOfPatientRelatedStudies=1",
    "InstanceAvailability=ONLINE",
]


@pytest.mark.parametrize("query", REFUSED, ids=lambda query: query[:40])
@pytest.mark.parametrize("resource", ["/studies", "/instances"])
async def test_what_cannot_be_understood_is_refused_with_a_reason(
    caller: Caller, resource: str, query: str
) -> None:
    begin = time.perf_counter()
    answer = await caller.get(f"{resource}?{query}")
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]
    assert time.perf_counter() - begin < 20


@pytest.mark.parametrize(
    "query",
    [
        "PatientName=" + "*" * 500,
        "PatientName=" + "%3F*" * 100,
        "PatientName=" + "a*" * 120,
        "PatientID=%25",
        "PatientID=_",
        "PatientID=%5C",
        "PatientID=%27%3B--",
        "PatientID=%22%27%24%24",
        "PatientName=%28%5B%5C&fuzzymatching=true",
        "PatientName=" + quote("é" * 250),
        "StudyDate=20201231-20200101",
        "StudyInstanceUID=" + "%2C".join(f"1.2.{number}" for number in range(700)),
        "includefield=all&includefield=all",
        "AdmissionID=" + "a*" * 120,
        "AdmissionID=%25",
        "ModalitiesInStudy=" + ",".join(f"A{number}*" for number in range(64)),
        "PatientIdentityRemoved=" + ",".join(f"A{number}*" for number in range(64)),
        "PatientIdentityRemoved=" + ",".join(f"A{number}" for number in range(900)),
        "AdmissionID=%27%3B--%5C",
        "OtherPatientNames=%28%5B%5C&fuzzymatching=true",
        ".".join(["00400275"] * 15) + ".00400009=1&StudyInstanceUID=1.2.3",
        "PatientWeight=1e308",
        "AcquisitionDateTime=" + "*" * 500,
        "emptyvaluematching=true&AdmissionID=%22%22",
        "emptyvaluematching=true&PatientID=%22%22",
        "PatientName=" + "+".join(f"name{number}" for number in range(16)) + "&fuzzymatching=true",
        "includefield=" + ",".join(["PatientName"] * 200),
        "includefield=../../x,%27",
        "x" * 2000 + "=1",
        "_dc=1700000000000&_=1&t=1&v=2&cb=3&session=a.b&X-Amz-Signature=ab&1700000000",
        "utm_source=a&x-rows=1&my-study=2&filter%5Bid%5D=1&columns%5B0%5D=rows&00=1",
        "&&&=&",
        ";",
    ],
    ids=lambda query: query[:40],
)
async def test_what_is_odd_and_allowed_is_answered_quickly(caller: Caller, query: str) -> None:
    begin = time.perf_counter()
    answer = await caller.get(f"/studies?{query}")
    assert answer.status_code == 200, answer.text
    assert time.perf_counter() - begin < 20


@pytest.mark.parametrize("path", ["/studies/1..2/series", "/studies/x/series", "/studies/*/series"])
async def test_what_is_no_uid_in_the_path_is_refused(caller: Caller, path: str) -> None:
    assert (await caller.get(path)).status_code == 400


async def test_an_address_that_is_too_long_is_refused(caller: Caller) -> None:
    uids = ",".join(f"1.2.{number}" for number in range(5_000))
    assert (await caller.get(f"/studies?StudyInstanceUID={uids}")).status_code == 414
