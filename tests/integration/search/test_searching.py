"""What is found over HTTP, what is returned of it, and in which order (PS3.18 10.6)."""

from urllib.parse import quote

import pytest

from app.dicom.attributes import ATTRIBUTES, Level
from tests.fixtures.server import Server
from tests.integration.search.conftest import (
    MIDDLE,
    MR_IMAGE_STORAGE,
    NEWEST,
    OLDEST,
    Caller,
    value,
)

CT, MR = f"{NEWEST}.1", f"{NEWEST}.2"


@pytest.mark.parametrize(
    ("path", "uids"),
    [
        ("/studies", [NEWEST, MIDDLE, OLDEST]),
        ("/series", [CT, MR, f"{MIDDLE}.1", f"{OLDEST}.1"]),
        (
            "/instances",
            [f"{CT}.1", f"{CT}.2", f"{CT}.10", f"{MR}.1", f"{MIDDLE}.1.1", f"{OLDEST}.1.1"],
        ),
        (f"/studies/{NEWEST}/series", [CT, MR]),
        (f"/studies/{NEWEST}/instances", [f"{CT}.1", f"{CT}.2", f"{CT}.10", f"{MR}.1"]),
        (f"/studies/{NEWEST}/series/{CT}/instances", [f"{CT}.1", f"{CT}.2", f"{CT}.10"]),
        (f"/studies/{MIDDLE}/series/{CT}/instances", []),
        ("/studies/1.2.3.4.5/series", []),
    ],
)
async def test_the_six_resources_give_everything_in_order(
    caller: Caller, path: str, uids: list[str]
) -> None:
    assert await caller.found(path) == uids


@pytest.mark.parametrize(
    ("query", "uids"),
    [
        ("PatientID=PID-1", [NEWEST, OLDEST]),
        ("patientid=PID-1", [NEWEST, OLDEST]),
        ("00100020=PID-1", [NEWEST, OLDEST]),
        ("PatientID=pid-1", []),
        ("PatientID=%20PID-1%20", [NEWEST, OLDEST]),
        ("PatientID=PID-?", [NEWEST, MIDDLE, OLDEST]),
        ("PatientID=*2", [MIDDLE]),
        ("PatientID=", [NEWEST, MIDDLE, OLDEST]),
        ("PatientName=mueller*", []),
        ("PatientName=MULLER*", [MIDDLE]),
        ("PatientName=M%C3%BCller%5Ejorg%5Ekarl", [MIDDLE]),
        ("PatientName=Doe^Jane", [NEWEST, OLDEST]),
        ("PatientName=jane&fuzzymatching=true", [NEWEST, OLDEST]),
        ("PatientName=karl+mull&fuzzymatching=true", [MIDDLE]),
        ("PatientName=Moeller^Georg&fuzzymatching=true", []),
        ("PatientName=Mueller&fuzzymatching=true", [MIDDLE]),
        ("PatientName=miller+jo&fuzzymatching=true", [MIDDLE]),
        ("PatientName=miller+jo", []),
        ("PatientName=*miller*&fuzzymatching=true", []),
        ("PatientName=jane", []),
        ("PatientName=%25", []),
        ("PatientName=D_e*", []),
        ("AccessionNumber=ACC-2", [MIDDLE]),
        ("StudyDescription=*%C3%A4d*", [MIDDLE]),
        ("StudyDescription=%5CSch%C3%A4del&multiplevaluematching=true", [MIDDLE]),
        ("StudyDate=20240301", [NEWEST]),
        ("StudyDate=2024.03.01", [NEWEST]),
        ("StudyDate=20230101-20231231", [MIDDLE]),
        ("StudyDate=20230615-", [NEWEST, MIDDLE]),
        ("StudyDate=-20230615", [MIDDLE, OLDEST]),
        ("StudyDate=20240101-20230101", []),
        ("StudyTime=08-1130", [NEWEST, OLDEST]),
        ("StudyDate=20230615-20240301&StudyTime=235959.5-10", [NEWEST]),
        ("StudyDate=19991231-20240301&StudyTime=10", [NEWEST]),
        ("StudyDate=19991231-20240301&StudyTime=10-10", [NEWEST, MIDDLE]),
        ("ModalitiesInStudy=MR", [NEWEST]),
        ("ModalitiesInStudy=CT,MR", [NEWEST, MIDDLE, OLDEST]),
        ("ModalitiesInStudy=CT%5CMR", [NEWEST, MIDDLE, OLDEST]),
        ("ModalitiesInStudy=M*", [NEWEST]),
        ("ModalitiesInStudy=CT%5CMR&multiplevaluematching=true", [NEWEST]),
        ("ModalitiesInStudy=CT%5CMR,PT&multiplevaluematching=true", [NEWEST]),
        ("ModalitiesInStudy=CT%5CSR,PT&multiplevaluematching=true", []),
        ("Modality=MR", [NEWEST]),
        ("Modality=MR&ModalitiesInStudy=CT", [NEWEST]),
        ("ModalitiesInStudy=CT&Modality=CT", [NEWEST, MIDDLE, OLDEST]),
        ("00080060=MR&ModalitiesInStudy=SR", []),
        (f"SOPClassesInStudy={MR_IMAGE_STORAGE}", [NEWEST]),
        (f"StudyInstanceUID={OLDEST},{MIDDLE}", [MIDDLE, OLDEST]),
        (f"StudyInstanceUID={OLDEST}%5C{MIDDLE}", [MIDDLE, OLDEST]),
        (f"StudyInstanceUID={OLDEST}&StudyInstanceUID={MIDDLE}", [MIDDLE, OLDEST]),
        ("PatientSex=M", [MIDDLE]),
        ("NumberOfStudyRelatedSeries=2", [NEWEST]),
        ("NumberOfStudyRelatedInstances=01", [MIDDLE, OLDEST]),
        ("orderby=-NumberOfStudyRelatedInstances,StudyDate", [NEWEST, OLDEST, MIDDLE]),
        ("PatientID=PID-1&StudyDate=-20000101", [OLDEST]),
        ("token=abc&_=1&PatientID=PID-2", [MIDDLE]),
        ("SpecificCharacterSet=ISO_IR+192&QueryRetrieveLevel=STUDY&PatientID=PID-2", [MIDDLE]),
    ],
)
async def test_which_studies_match(caller: Caller, query: str, uids: list[str]) -> None:
    assert await caller.found(f"/studies?{query}") == uids


@pytest.mark.parametrize(
    ("query", "uids"),
    [
        ("Modality=MR", [MR]),
        ("NumberOfSeriesRelatedInstances=3", [CT]),
        ("NumberOfStudyRelatedInstances=1&PatientID=PID-1", [f"{OLDEST}.1"]),
        ("SeriesNumber=1&PatientID=PID-1", [CT, f"{OLDEST}.1"]),
        ("SeriesNumber=%2B002", [MR]),
        ("SeriesDescription=T1+50%25_off", [MR]),
        ("SeriesDescription=*50%25_*", [MR]),
        ("SeriesDescription=*5%25_*", []),
        ("PerformedProcedureStepStartDate=20240301", [CT]),
        (
            "PerformedProcedureStepStartDate=20240301-20240301"
            "&PerformedProcedureStepStartTime=10-1010",
            [CT],
        ),
        ("RequestAttributesSequence.ScheduledProcedureStepID=S1", [CT]),
        ("00400275.00401001=P?", [CT]),
        ("00400275.00400009=S1&RequestAttributesSequence.RequestedProcedureID=P1", [CT]),
        ("00400275.00400009=S1&RequestAttributesSequence.RequestedProcedureID=P2", []),
        ("00400275.00400009=S*&RequestAttributesSequence.RequestedProcedureID=P2", [CT]),
    ],
)
async def test_which_series_match(caller: Caller, query: str, uids: list[str]) -> None:
    assert await caller.found(f"/series?{query}") == uids


@pytest.mark.parametrize(
    ("query", "uids"),
    [
        (f"SOPInstanceUID={CT}.2", [f"{CT}.2"]),
        ("InstanceNumber=10", [f"{CT}.10"]),
        ("InstanceNumber=10&SpecificCharacterSet=ISO_IR+100", [f"{CT}.10"]),
        ("Rows=16&Modality=MR", [f"{MR}.1"]),
        ("Rows=99999999999", []),
        (f"SOPClassUID={MR_IMAGE_STORAGE}&00080060=MR&0020000E={MR}&0020000E={CT}", [f"{MR}.1"]),
    ],
)
async def test_which_instances_match(caller: Caller, query: str, uids: list[str]) -> None:
    assert await caller.found(f"/instances?{query}") == uids


@pytest.mark.parametrize(
    ("path", "levels"),
    [
        ("/studies", [Level.STUDY]),
        ("/series", [Level.STUDY, Level.SERIES]),
        ("/instances", [Level.STUDY, Level.SERIES, Level.INSTANCE]),
        (f"/studies/{NEWEST}/series", [Level.SERIES]),
        (f"/studies/{NEWEST}/instances", [Level.SERIES, Level.INSTANCE]),
        (f"/studies/{NEWEST}/series/{CT}/instances", [Level.INSTANCE]),
    ],
)
async def test_what_is_returned_unasked(caller: Caller, path: str, levels: list[Level]) -> None:
    always = {
        a.tag for a in ATTRIBUTES.values() if a.level in levels and a.returned and not a.if_known
    }
    at_most = {a.tag for a in ATTRIBUTES.values() if a.level in levels and a.returned}
    parents = {"0020000D", "0020000E", "00080056", "00081190"}
    for result in await caller.search(path):
        assert always <= result.keys() <= at_most | parents
        assert "0020000D" in result
        assert list(result) == sorted(result)
        assert all(element.get("Value") != [] for element in result.values())


async def test_an_attribute_without_a_value_is_returned_empty(caller: Caller) -> None:
    (oldest,) = await caller.search(f"/studies?StudyInstanceUID={OLDEST}")
    assert oldest["00080050"] == {"vr": "SH"}
    assert oldest["00080090"] == {"vr": "PN"}


@pytest.mark.parametrize("query", ["", "includefield=StudyDescription"])
async def test_what_is_returned_if_it_is_known_is_left_out_without_a_value(
    caller: Caller, query: str
) -> None:
    (oldest,) = await caller.search(f"/studies?StudyInstanceUID={OLDEST}&{query}")
    assert "00081030" not in oldest
    (series,) = await caller.search(f"/studies/{OLDEST}/series?{query}")
    assert not series.keys() & {"0008103E", "00081030"}


async def test_what_the_archive_computes(caller: Caller, searched: Server) -> None:
    (newest,) = await caller.search("/studies?AccessionNumber=ACC-1&includefield=SOPClassesInStudy")
    assert newest["00080061"] == {"vr": "CS", "Value": ["CT", "MR"]}
    assert MR_IMAGE_STORAGE in newest["00080062"]["Value"]
    assert value(newest, "00201206") == 2
    assert value(newest, "00201208") == 4
    assert value(newest, "00080056") == "ONLINE"
    assert value(newest, "00081190") == f"{searched.dicomweb}/studies/{NEWEST}"
    ct, _ = await caller.search(f"/studies/{NEWEST}/series")
    assert value(ct, "00201209") == 3
    assert value(ct, "00081190") == f"{searched.dicomweb}/studies/{NEWEST}/series/{CT}"
    first, *_ = await caller.search(f"/studies/{NEWEST}/series/{CT}/instances")
    assert value(first, "00083002") == "1.2.840.10008.1.2.1"
    assert value(first, "00081190").endswith(f"/series/{CT}/instances/{CT}.1")


@pytest.mark.parametrize(
    "path",
    [
        f"/studies?StudyInstanceUID={MIDDLE}",
        f"/instances?StudyInstanceUID={MIDDLE}",
        f"/studies/{MIDDLE}/series",
        f"/studies/{MIDDLE}/series?includefield=PatientName",
        f"/studies/{MIDDLE}/series?SeriesDescription=A*&00181000=",
        f"/studies/{MIDDLE}/instances?ContentDate=*&BurnedInAnnotation=",
        f"/studies/{MIDDLE}/instances?PhotometricInterpretation=MONOCHROME2",
        f"/studies/{MIDDLE}/series/{MIDDLE}.1/instances?includefield=all",
    ],
)
async def test_the_time_zone_is_told_at_every_level_if_it_is_known(
    caller: Caller, path: str
) -> None:
    (found,) = await caller.search(path)
    assert found["00080201"] == {"vr": "SH", "Value": ["+0100"]}
    for other in await caller.search(path.replace(MIDDLE, NEWEST)):
        assert "00080201" not in other


async def test_names_keep_their_form_and_text_is_utf8(caller: Caller) -> None:
    (middle,) = await caller.search("/studies?PatientID=PID-2")
    assert middle["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Müller^Jörg^Karl"}]}


@pytest.mark.parametrize(
    "fields",
    [
        "includefield=PhotometricInterpretation&includefield=00281053",
        "includefield=photometricinterpretation,RescaleSlope",
        "includefield=PhotometricInterpretation%2C00281053",
        "includefield=all",
        "IncludeField=ALL&includefield=nonsense",
    ],
)
async def test_included_fields(caller: Caller, fields: str) -> None:
    (found,) = await caller.search(f"/instances?SOPInstanceUID={CT}.1&{fields}")
    assert value(found, "00280004") == "MONOCHROME2"
    assert value(found, "00281053") == 1


@pytest.mark.parametrize("query", ["NumberOfFrames=1", "includefield=NumberOfFrames"])
async def test_one_frame_is_told_where_the_instance_tells_it(caller: Caller, query: str) -> None:
    (found,) = await caller.search(f"/instances?Modality=MR&{query}")
    assert value(found, "00280008") == 1
    (silent,) = await caller.search(f"/instances?SOPInstanceUID={CT}.1&includefield=00280008")
    assert "00280008" not in silent


async def test_of_lower_levels_nothing_is_included(caller: Caller) -> None:
    (found,) = await caller.search(f"/studies?StudyInstanceUID={NEWEST}&includefield=Rows,Modality")
    assert not found.keys() & {"00280010", "00080060"}


async def test_what_was_matched_is_returned(caller: Caller) -> None:
    (found,) = await caller.search("/series?BodyPartExamined=*&Modality=MR")
    assert "00180015" not in found, "it has no value"
    (found,) = await caller.search(f"/studies/{NEWEST}/series?PatientName=doe*&Modality=MR")
    assert found["00100010"]["Value"] == [{"Alphabetic": "Doe^Jane"}]


@pytest.mark.parametrize(
    ("page", "uids", "remaining"),
    [
        ("limit=2", [NEWEST, MIDDLE], 1),
        ("limit=2&offset=2", [OLDEST], 0),
        ("offset=1", [MIDDLE, OLDEST], 0),
        ("offset=3", [], 0),
        ("offset=1000000", [], 0),
        ("limit=0", [], 3),
        ("limit=0&offset=2", [], 1),
        ("limit=3", [NEWEST, MIDDLE, OLDEST], 0),
    ],
)
async def test_pages(
    caller: Caller, searched: Server, page: str, uids: list[str], remaining: int
) -> None:
    answer = await caller.get(f"/studies?{page}")
    assert [value(result, "0020000D") for result in answer.json()] == uids
    words = f"There are {remaining} additional results that can be requested"
    expected = [f"299 {searched.dicomweb}: {words}"] if remaining else []
    assert answer.headers.get_list("warning") == expected


async def test_a_limit_beyond_the_archives_own_is_lowered_and_said_so(caller: Caller) -> None:
    answer = await caller.get("/studies?limit=1000000")
    assert answer.status_code == 200
    (said,) = answer.headers.get_list("warning")
    assert said.endswith(": The limit parameter was lowered to the maximum of 1000.")


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, "application/dicom+json"),
        ("*/*", "application/dicom+json"),
        ("application/dicom+json, application/json", "application/dicom+json"),
        ("application/json", "application/json"),
    ],
)
async def test_media_types(caller: Caller, accept: str | None, content_type: str) -> None:
    answer = await caller.get("/studies", **({"Accept": accept} if accept else {}))
    assert (answer.status_code, answer.headers["content-type"]) == (200, content_type)


async def test_a_result_of_another_media_type_is_not_acceptable(caller: Caller) -> None:
    assert (await caller.get("/studies", Accept="text/html")).status_code == 406
    assert (await caller.get("/studies?accept=image/png")).status_code == 406


async def test_a_search_of_everything_of_a_large_query_is_answered(caller: Caller) -> None:
    uids = ",".join(f"1.2.3.{number}" for number in range(1, 700))
    assert await caller.found(f"/studies?StudyInstanceUID={uids}") == [NEWEST, MIDDLE, OLDEST]
    assert await caller.found(f"/studies?PatientName={quote('*' * 500)}") == [
        NEWEST,
        MIDDLE,
        OLDEST,
    ]
