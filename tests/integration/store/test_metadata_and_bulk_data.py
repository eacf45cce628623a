"""Instances that come as metadata and bulk data are stored like any other."""

import asyncio
import io
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from pydicom import dcmread
from pydicom.uid import generate_uid

from app.archive import Archive
from app.dicom import nativexml
from tests.factories import ct_dataset
from tests.fixtures.server import Server
from tests.integration.store.conftest import Modality, StoreResponse, blobs_of, count
from tests.unit.dicom.codestreams import COLUMNS, GREY, RGB, ROWS, jpeg, jpeg_2000, jpeg_ls
from tests.unit.dicom.models import DATA_SETS, Attributes

JSON = "application/dicom+json"
XML = "application/dicom+xml"
OCTETS = "application/octet-stream"
PHOTOGRAPHY = "1.2.840.10008.5.1.4.1.1.77.1.4"
FORMS = {JSON: lambda data_set: orjson.dumps([data_set]), XML: nativexml.dumps}

Bulk = tuple[str, str, bytes]
"""Content-Type, Content-Location and the bytes."""


def photograph(**more: Any) -> dict[str, Any]:
    """Metadata that say no more than what an image is of."""
    uids = {tag: generate_uid() for tag in ("00080018", "0020000D", "0020000E")}
    return (
        {tag: {"vr": "UI", "Value": [uid]} for tag, uid in uids.items()}
        | {
            "00080016": {"vr": "UI", "Value": [PHOTOGRAPHY]},
            "00080060": {"vr": "CS", "Value": ["XC"]},
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Müller^Jürgen"}]},
            "00100020": {"vr": "LO", "Value": ["PHOTO-1"]},
            "7FE00010": {"vr": "OB", "BulkDataURI": "bulk/pixels"},
        }
        | more
    )


def uid_of(data_set: dict[str, Any], tag: str = "00080018") -> str:
    uid: str = data_set[tag]["Value"][0]
    return uid


def path_of(data_set: dict[str, Any]) -> str:
    study, series = uid_of(data_set, "0020000D"), uid_of(data_set, "0020000E")
    return f"/studies/{study}/series/{series}/instances/{uid_of(data_set)}"


def message(form: str, data_sets: list[dict[str, Any]], *bulk: Bulk) -> tuple[bytes, str]:
    """A message in one of the forms, and its Content-Type."""
    parts = [orjson.dumps(data_sets)] if form == JSON else map(nativexml.dumps, data_sets)
    body = b"".join(b"--b\r\nContent-Type: %b\r\n\r\n%b\r\n" % (form.encode(), p) for p in parts)
    for content_type, location, data in bulk:
        headers = f"Content-Type: {content_type}\r\nContent-Location: {location}\r\n"
        body += b"--b\r\n%b\r\n%b\r\n" % (headers.encode(), data)
    return body + b"--b--\r\n", f'multipart/related; type="{form}"; boundary=b'


async def store(
    client: Modality, form: str, data_sets: list[dict[str, Any]], *bulk: Bulk, **headers: str
) -> StoreResponse:
    return await client.post(*message(form, data_sets, *bulk), **headers)


@pytest.fixture
async def viewer(server: Server) -> Any:
    async with server.client("read") as http:
        yield http


@pytest.mark.parametrize(
    ("content_type", "data", "syntax"),
    [
        ("image/jpeg", jpeg(RGB), "1.2.840.10008.1.2.4.50"),
        ("image/jls", jpeg_ls(GREY), "1.2.840.10008.1.2.4.80"),
        ("image/jp2", jpeg_2000(RGB), "1.2.840.10008.1.2.4.90"),
        (
            "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50",
            jpeg(GREY),
            "1.2.840.10008.1.2.4.50",
        ),
        ("video/mp4; transfer-syntax=1.2.840.10008.1.2.4.104", b"mp4", "1.2.840.10008.1.2.4.104"),
    ],
)
async def test_a_photograph_is_stored_searched_for_and_looked_at(
    modality: Modality, viewer: Any, content_type: str, data: bytes, syntax: str
) -> None:
    sent, as_xml = photograph(), photograph()
    bulk = (content_type, "bulk/pixels", data)
    assert (await store(modality, XML, [as_xml], bulk)).stored == [uid_of(as_xml)]
    answer = await store(modality, JSON, [sent], bulk)
    # An image tells how large it is, these bytes of a video do not: that is warned of.
    assert answer.status == (200 if content_type.startswith("image") else 202)
    assert answer.stored == [uid_of(sent)]
    study = uid_of(sent, "0020000D")
    (found,) = (await viewer.get(f"/instances?PatientName=müller*&0020000D={study}")).json()
    assert found["00080018"] == sent["00080018"]
    assert found["00083002"]["Value"] == [syntax]
    accept = {"Accept": "multipart/related; type=application/octet-stream; transfer-syntax=*"}
    frame = await viewer.get(f"{path_of(sent)}/frames/1", headers=accept)
    assert data in frame.content
    if content_type.startswith("image"):
        assert found["00280010"]["Value"] == [ROWS]
        assert found["00280011"]["Value"] == [COLUMNS]
        rendered = await viewer.get(f"{path_of(sent)}/rendered", headers={"Accept": "image/png"})
        assert rendered.status_code == 200


@pytest.mark.parametrize(
    ("location", "uri"),
    [
        ("bulk/pixels", "https://elsewhere/x/bulk/pixels"),
        ("http://elsewhere/x/bulk/pixels", "bulk/pixels"),
        ("http://elsewhere/x/bulk/pixels", "https://elsewhere/x/bulk/pixels"),
    ],
)
async def test_bulk_data_are_named_absolutely_or_relatively(
    modality: Modality, location: str, uri: str
) -> None:
    for form in FORMS:
        sent = photograph(**{"7FE00010": {"vr": "OB", "BulkDataURI": uri}})
        answer = await store(modality, form, [sent], ("image/jpeg", location, jpeg(GREY)))
        assert answer.status == 200


@pytest.mark.parametrize("form", FORMS)
async def test_a_byte_order_mark_before_metadata_says_nothing(
    modality: Modality, form: str
) -> None:
    body, content_type = message(form, [photograph()], ("image/jpeg", "bulk/pixels", jpeg(GREY)))
    body = body.replace(b"\r\n\r\n", b"\r\n\r\n\xef\xbb\xbf", 1)
    assert (await modality.post(body, content_type)).status == 200


async def test_a_series_of_slices_comes_in_one_message(modality: Modality, viewer: Any) -> None:
    datasets = [ct_dataset(InstanceNumber=number) for number in range(5)]
    sent = [
        dataset.to_json_dict(10, lambda _, d=dataset: str(d.SOPInstanceUID)) for dataset in datasets
    ]
    bulk = [(OCTETS, str(d.SOPInstanceUID), d.PixelData) for d in reversed(datasets)]
    answer = await store(modality, JSON, sent, *bulk)
    assert answer.status == 200
    assert answer.stored == [dataset.SOPInstanceUID for dataset in datasets]
    accept = {"Accept": "application/dicom; transfer-syntax=*"}
    for data_set, dataset in zip(sent, datasets, strict=True):
        file = (await viewer.get(path_of(data_set), headers=accept)).content
        assert dcmread(io.BytesIO(file)).PixelData == dataset.PixelData


async def test_49_bulk_data_that_are_not_in_the_message_are_never_fetched(
    modality: Modality, archive: Archive
) -> None:
    fetched = []

    async def fetch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fetched.append(await reader.read(100))
        writer.close()

    async with await asyncio.start_server(fetch, "127.0.0.1", 0) as canary:
        port = canary.sockets[0].getsockname()[1]
        for uri in (
            "file:///etc/passwd",
            f"http://127.0.0.1:{port}/pixels",
            "http://169.254.169.254/latest/meta-data",
            "../../../../etc/passwd",
            "bulk/pixel",
        ):
            sent = photograph(**{"7FE00010": {"vr": "OB", "BulkDataURI": uri}})
            for form in FORMS:
                answer = await store(modality, form, [sent])
                assert answer.status == 409
                assert answer.failed == [(uid_of(sent), 0xA922)]
                assert answer.comments == ["(7FE0,0010) there is no bulk data with its BulkDataURI"]
    assert fetched == []
    assert await blobs_of(archive) == {}


async def test_bulk_data_that_nothing_refers_to_fail_their_instance(
    modality: Modality, archive: Archive
) -> None:
    sent = photograph()
    bulk = (("image/jpeg", "bulk/pixels", jpeg(GREY)), ("image/jpeg", "bulk/2", jpeg(GREY)))
    answer = await store(modality, JSON, [sent], *bulk)
    assert answer.status == 409
    assert answer.failed == [(uid_of(sent), 0xA922)]
    assert await count(archive, "instance") == 0


async def test_one_that_fails_costs_no_other_its_place(modality: Modality) -> None:
    good, lost, wrong = (
        photograph(),
        photograph(),
        photograph(**{"00280010": {"vr": "US", "Value": [-1]}}),
    )
    lost["7FE00010"] = {"vr": "OB", "BulkDataURI": "nowhere"}
    answer = await store(
        modality, JSON, [lost, good, wrong], ("image/jpeg", "bulk/pixels", jpeg(GREY))
    )
    assert answer.status == 202
    assert answer.stored == [uid_of(good)]
    assert answer.failed == [(uid_of(lost), 0xA922), (uid_of(wrong), 0x0106)]


async def test_what_is_made_is_checked_like_a_file(modality: Modality) -> None:
    bulk = ("image/jpeg", "bulk/pixels", jpeg(GREY))
    without_study = photograph()
    del without_study["0020000D"]
    answer = await store(modality, JSON, [without_study], bulk)
    assert answer.failed == [(uid_of(without_study), 0x0120)]
    bad_date = photograph(**{"00080020": {"vr": "DA", "Value": ["99999999"]}})
    answer = await store(modality, JSON, [bad_date], bulk)
    assert answer.status == 202
    assert answer.comments == ["(0008,0020) not a date"]
    sent = photograph()
    body, content_type = message(JSON, [sent], bulk)
    answer = await modality.post(body, content_type, study="1.2.3")
    assert answer.failed == [(uid_of(sent), 0xA901)]
    assert (await modality.post(body, content_type)).status == 200
    assert (await modality.post(body, content_type)).status == 200  # the same bytes again
    sent["00100010"] = {"vr": "PN", "Value": [{"Alphabetic": "Other"}]}
    answer = await store(modality, JSON, [sent], bulk)
    assert answer.failed == [(uid_of(sent), 0x0111)]


REFUSED = [
    (f'multipart/related; type="{JSON}"', b"", 400),
    (f'multipart/related; type="{JSON}"; boundary=b', b"--b--", 400),
    (f'multipart/related; type="{JSON}"; boundary=b', b"--b\r\n\r\n[]\r\n--b--", 400),
    (f'multipart/related; type="{JSON}"; boundary=b', b"--b\r\n\r\nno JSON\r\n--b--", 400),
    (
        f'multipart/related; type="{JSON}"; boundary=b',
        b"--b\r\nContent-Type: image/jpeg\r\n\r\n\xff\xd8\r\n--b--",
        415,
    ),
    (f'multipart/related; type="{XML}"; boundary=b', b"--b\r\n\r\n<x/>\r\n--b--", 409),
    ('multipart/related; type="application/json"; boundary=b', b"", 415),
    ("application/json", b"[]", 415),
    (JSON, b"", 400),
    (XML, b"<!DOCTYPE x><x/>", 409),
]


async def test_a_message_of_another_kind_is_refused(modality: Modality) -> None:
    for content_type, body, status in REFUSED:
        assert (await modality.post(body, content_type)).status == status


@pytest.mark.parametrize("form", FORMS)
async def test_whatever_the_metadata_say_is_what_is_said_of_the_instance(
    modality: Modality, viewer: Any, form: str
) -> None:
    examples = []

    @hypothesis_settings(
        max_examples=30, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(DATA_SETS)
    def collect(attributes: Attributes) -> None:
        examples.append(attributes)

    collect()
    identity = photograph()
    del identity["7FE00010"]
    sent = [
        identity | {"00080018": {"vr": "UI", "Value": [generate_uid()]}} | attributes
        for attributes in examples
    ]
    answer = await store(modality, form, sent)
    assert answer.stored == [uid_of(data_set) for data_set in sent]
    for data_set in sent:
        (metadata,) = (await viewer.get(f"{path_of(data_set)}/metadata")).json()
        assert metadata.pop("00080005")["Value"] == ["ISO_IR 192"]
        expected = orjson.loads(orjson.dumps(data_set))
        for element in metadata.values():
            element.pop("BulkDataURI", None)
        assert metadata == expected
