"""Metadata as XML, and with some of its attributes: the same as the whole JSON, at every level."""

import gzip
from random import Random
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from app.dicom import nativexml
from tests.acceptance.retrieve.conftest import store
from tests.factories import ct_dataset, ct_series, part10
from tests.messages import parts_of

XML = 'multipart/related; type="application/dicom+xml"'
TAG = f"{{{nativexml.NAMESPACE}}}DicomAttribute"
IDENTIFYING = {"00080016", "00080018", "0020000D", "0020000E"}


async def metadata(http: httpx.AsyncClient, path: str, query: str = "") -> list[dict[str, Any]]:
    answer = await http.get(f"{path}/metadata{query}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def levels(path: str) -> list[str]:
    return [path.partition("/series/")[0], path.partition("/instances/")[0], path]


def _as_numbers(attributes: dict[str, Any]) -> dict[str, Any]:
    """With decimal texts as numbers, which XML does not tell apart."""
    for element in attributes.values():
        if element["vr"] in {"DS", "IS"}:
            element["Value"] = [float(value) for value in element["Value"]]
    return attributes


async def test_xml_tells_what_json_does_at_every_level(viewer: httpx.AsyncClient) -> None:
    slices = ct_series(40, PixelData=bytes(4096), PatientName="Yamada^Tarou=山田^太郎",
                       SpecificCharacterSet="ISO_IR 192")  # fmt: skip
    (path, *_) = await store(viewer, *slices)
    for level in levels(path):
        expected = await metadata(viewer, level)
        answer = await viewer.get(f"{level}/metadata", headers={"Accept": XML})
        assert answer.headers["content-type"].startswith(f"{XML}; boundary=")
        documents = parts_of(answer)
        assert len(documents) == len(expected) in {1, 40}
        for document, attributes in zip(documents, expected, strict=True):
            elements = ElementTree.fromstring(document)
            assert [one.get("tag") for one in elements.findall(TAG)] == list(attributes)
            assert _as_numbers(nativexml.loads(document)) == attributes
            assert attributes["7FE00010"]["BulkDataURI"].encode() in document
        assert answer.content.count(b"\r\nContent-Type: application/dicom+xml\r\n") == len(expected)
        assert f"Content-Location: {viewer.base_url}".encode() in answer.content


@pytest.mark.parametrize("accept", ["application/dicom+xml", "application/dicom+xml, */*;q=0.1"])
async def test_who_forgets_to_ask_for_a_multipart_message_gets_one(
    viewer: httpx.AsyncClient, accept: str
) -> None:
    (path,) = await store(viewer, *ct_series(1))
    answer = await viewer.get(f"{path}/metadata", headers={"Accept": accept})
    assert answer.headers["content-type"].startswith(XML)


@pytest.mark.parametrize("form", ["", "?includefield=PatientName"])
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_what_is_made_has_validators_and_is_compressed(
    viewer: httpx.AsyncClient, form: str, encoding: str
) -> None:
    first, second = ct_series(2)
    (path,) = await store(viewer, first)
    headers = {"Accept": "*/*" if form else XML, "Accept-Encoding": encoding}
    etags = []
    for level in levels(path):
        url = f"{level}/metadata{form}"
        request = viewer.build_request("GET", url, headers=headers)
        answer = await viewer.send(request, stream=True)
        raw = b"".join([piece async for piece in answer.aiter_raw()])
        assert (answer.headers.get("content-encoding") == "gzip") is (encoding == "gzip")
        assert b"Doe" in (gzip.decompress(raw) if encoding == "gzip" else raw)
        etags.append(answer.headers["etag"])
        known = {"If-None-Match": etags[-1]}
        unchanged = await viewer.get(url, headers=headers | known)
        assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert len({etag.split("-")[0] for etag in etags}) >= 2
    await store(viewer, second)
    changed = await viewer.get(
        f"{levels(path)[1]}/metadata{form}", headers=headers | {"If-None-Match": etags[1]}
    )
    assert changed.status_code == 200


@pytest.mark.parametrize(
    ("query", "tags"),
    [
        ("includefield=PatientName", {"00100010"}),
        ("includefield=patientname,00200013", {"00100010", "00200013"}),
        ("includefield=Rows&includefield=Columns%2CBitsStored",
         {"00280010", "00280011", "00280101"}),
        ("includefield=0040A730.0040A043", {"0040A730"}),
        ("includefield=00091001", {"00090010", "00091001"}),
        ("includefield=PixelData", {"7FE00010"}),
        ("includefield=NoSuchThing,FFFFFFFF,xyz", set()),
    ],
)  # fmt: skip
async def test_some_attributes_are_told_alone(
    viewer: httpx.AsyncClient, query: str, tags: set[str]
) -> None:
    item = ct_dataset().__class__()
    item.ValueType = "TEXT"
    dataset = ct_dataset(ContentSequence=[item])
    dataset.private_block(0x9, "ACME", create=True).add_new(1, "LO", "hers")
    (path,) = await store(viewer, part10(dataset))
    for level in levels(path):
        (whole,) = await metadata(viewer, level)
        (some,) = await metadata(viewer, level, f"?{query}")
        assert some.keys() == IDENTIFYING | tags
        assert some == {tag: whole[tag] for tag in whole if tag in some}
        document = (await viewer.get(f"{level}/metadata?{query}", headers={"Accept": XML})).content
        assert document.count(b"<DicomAttribute") >= len(some)


def long_and_short() -> list[bytes]:
    """Two instances of a series; the JSON of the first is longer than what is parsed at once."""
    short, items = ct_dataset(), []
    for number in range(1500):
        item = ct_dataset().__class__()
        item.TextValue = Random(number).randbytes(500).hex()
        items.append(item)
    series = {"StudyInstanceUID": short.StudyInstanceUID}
    series["SeriesInstanceUID"] = short.SeriesInstanceUID
    return [part10(ct_dataset(**series, ContentSequence=items)), part10(short)]


async def test_what_is_long_is_written_as_what_is_short(viewer: httpx.AsyncClient) -> None:
    (path, _) = await store(viewer, *long_and_short())
    for level in levels(path):
        expected = await metadata(viewer, level)
        answer = await viewer.get(f"{level}/metadata", headers={"Accept": XML})
        for document, attributes in zip(parts_of(answer), expected, strict=True):
            assert _as_numbers(nativexml.loads(document)) == _as_numbers(attributes)
        for tag in ("0040A730", "00100010"):
            assert await metadata(viewer, level, f"?includefield={tag}") == [
                {each: one[each] for each in one if each in IDENTIFYING | {tag}} for one in expected
            ]


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_long_json_of_an_instance_is_sent_as_that_of_its_series(
    viewer: httpx.AsyncClient, encoding: str
) -> None:
    (path, _) = await store(viewer, *long_and_short())
    answer = await viewer.get(f"{path}/metadata", headers={"Accept-Encoding": encoding})
    assert answer.headers.get("content-encoding", "identity") == encoding
    assert "content-length" not in answer.headers
    assert answer.json()[0] in await metadata(viewer, levels(path)[1])
    known = {"If-None-Match": answer.headers["etag"], "Accept-Encoding": encoding}
    assert (await viewer.get(f"{path}/metadata", headers=known)).status_code == 304
    head = await viewer.head(f"{path}/metadata", headers={"Accept-Encoding": encoding})
    assert (head.status_code, head.headers["etag"]) == (200, answer.headers["etag"])


@pytest.mark.parametrize("query", ["?includefield=all", "?includefield=", "?includefield=Rows,ALL"])
async def test_everything_is_what_is_kept(viewer: httpx.AsyncClient, query: str) -> None:
    (path, *_) = await store(viewer, *ct_series(3))
    for level in levels(path):
        whole, asked = (
            await viewer.get(f"{level}/metadata"),
            await viewer.get(f"{level}/metadata{query}"),
        )
        assert asked.content == whole.content
        assert asked.headers["etag"] == whole.headers["etag"]


async def test_forms_of_one_thing_have_different_validators(viewer: httpx.AsyncClient) -> None:
    (path,) = await store(viewer, *ct_series(1))
    for level in levels(path):
        answers = [
            await viewer.get(f"{level}/metadata{query}", headers={"Accept": accept})
            for query in ("", "?includefield=Rows", "?includefield=Columns")
            for accept in ("application/dicom+json", XML)
        ]
        assert len({answer.headers["etag"] for answer in answers}) == 6


async def test_what_is_not_there_is_not_found(viewer: httpx.AsyncClient) -> None:
    for path in (
        "/studies/1.2",
        "/studies/1.2/series/1.3",
        "/studies/1.2/series/1.3/instances/1.4",
    ):
        for query in ("", "?includefield=Rows"):
            answer = await viewer.get(f"{path}/metadata{query}", headers={"Accept": XML})
            assert answer.status_code == 404
