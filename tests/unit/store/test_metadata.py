"""A message of metadata and bulk data becomes the files that it stands for."""

import gc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydicom import Dataset, dcmread
from pydicom.filebase import DicomBytesIO

from app.blobs.contract import BlobsFull
from app.blobs.spool import Spool
from app.dicom import nativexml
from app.errors import BadRequest, TooLarge, UnsupportedMediaType
from app.settings import Limits
from app.store.message import parts_of
from app.store.outcomes import Refusal

JSON = "application/dicom+json"
XML = "application/dicom+xml"
CLASS = "1.2.840.10008.5.1.4.1.1.104.1"
Part = tuple[str | None, str | None, bytes]
"""Content-Type, Content-Location and the bytes."""


def document(uid: str = "1.2.3.4", **more: Any) -> dict[str, Any]:
    """The metadata of a document whose bytes are the bulk data named by its UID."""
    return {
        "00080016": {"vr": "UI", "Value": [CLASS]},
        "00080018": {"vr": "UI", "Value": [uid]},
        "0020000D": {"vr": "UI", "Value": ["1.2.3"]},
        "0020000E": {"vr": "UI", "Value": ["1.2.3.5"]},
        "00420011": {"vr": "OB", "BulkDataURI": uid},
    } | more


def metadata(*data_sets: Any) -> Part:
    return JSON, None, orjson.dumps(list(data_sets))


def bulk(location: str | None, data: bytes = b"%PDF") -> Part:
    return "application/pdf", location, data


def message(*parts: Part, end: bytes = b"--b--\r\n") -> bytes:
    body = b""
    for content_type, location, data in parts:
        headers = b"Content-Type: %b\r\n" % content_type.encode() if content_type else b""
        headers += b"Content-Location: %b\r\n" % location.encode() if location is not None else b""
        body += b"--b\r\n%b\r\n%b\r\n" % (headers, data)
    return body + end


async def chunks(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 1000):
        yield body[start : start + 1000]


@pytest.fixture
def spools(tmp_path: Path) -> Path:
    return tmp_path


async def made(
    spools: Path, body: bytes, content_type: str | None = None, **limits: int
) -> list[Dataset | Refusal]:
    """What a message becomes: files, read by another reader, and refusals."""
    kind = content_type or f'multipart/related; type="{JSON}"; boundary=b'
    found: list[Dataset | Refusal] = []
    settings = Limits(spool_memory_bytes=100, **limits)
    async for part in parts_of(kind, chunks(body), settings, spools):
        if isinstance(part, Refusal):
            found.append(part)
            continue
        file = b"".join([data async for data in part])
        found.append(dcmread(DicomBytesIO(file)))
    assert list(spools.iterdir()) == []
    return found


def documents(found: list[Dataset | Refusal]) -> list[tuple[str | None, Any]]:
    """UID and bytes of each document, or UID and reason of a refusal."""
    return [
        (one.sop_instance_uid, one.reason)
        if isinstance(one, Refusal)
        else (one.SOPInstanceUID, one.EncapsulatedDocument)
        for one in found
    ]


async def test_each_data_set_gets_the_bulk_data_that_it_names(spools: Path) -> None:
    large = b"x" * 5_000
    body = message(metadata(document("1.1"), document("1.2")), bulk("1.2", large), bulk("1.1"))
    assert documents(await made(spools, body)) == [("1.1", b"%PDF"), ("1.2", large)]


async def test_xml_has_a_data_set_in_each_part(spools: Path) -> None:
    parts = [(XML, None, nativexml.dumps(document(uid))) for uid in ("1.1", "1.2")]
    body = message(*parts, bulk("1.1", b"11"), bulk("1.2", b"22"))
    kind = f"multipart/related; type={XML}; boundary=b"
    assert documents(await made(spools, body, kind)) == [("1.1", b"11"), ("1.2", b"22")]


@pytest.mark.parametrize("type_of_part", [None, JSON, "application/json"])
async def test_the_first_part_is_metadata(spools: Path, type_of_part: str | None) -> None:
    _, _, data = metadata(document())
    body = message((type_of_part, None, data), (None, "1.2.3.4", b"pdf!"))
    assert documents(await made(spools, body)) == [("1.2.3.4", b"pdf!")]


async def test_metadata_may_be_one_object_and_come_in_several_parts(spools: Path) -> None:
    parts = [(JSON, None, orjson.dumps(document(uid))) for uid in ("1.1", "1.2")]
    body = message(parts[0], bulk("1.1"), parts[1], bulk("1.2"))
    assert documents(await made(spools, body)) == [("1.1", b"%PDF"), ("1.2", b"%PDF")]


@pytest.mark.parametrize("data_sets", [1, 2])
async def test_metadata_may_come_without_a_message(spools: Path, data_sets: int) -> None:
    inline = {"00420011": {"vr": "OB", "InlineBinary": "UERG"}}
    sent = [document(f"1.{number}", **inline) for number in range(data_sets)]
    found = await made(spools, orjson.dumps(sent), JSON)
    assert documents(found) == [(f"1.{number}", b"PDF\0") for number in range(data_sets)]
    found = await made(spools, nativexml.dumps(sent[0]), XML)
    assert documents(found) == [("1.0", b"PDF\0")]


async def test_an_instance_without_its_bulk_data_is_refused_and_no_other(spools: Path) -> None:
    body = message(metadata(document("1.1"), document("1.2"), document("1.3")), bulk("1.2"))
    found = await made(spools, body)
    assert documents(found) == [("1.1", 0xA922), ("1.2", b"%PDF"), ("1.3", 0xA922)]
    assert isinstance(found[0], Refusal)
    assert [problem.tag for problem in found[0].attributes] == ["00420011"]
    assert found[0].sop_class_uid == CLASS


async def test_bulk_data_left_over_fail_the_only_instance(spools: Path) -> None:
    body = message(metadata(document()), bulk("1.2.3.4"), bulk("other"))
    found = await made(spools, body)
    assert documents(found) == [("1.2.3.4", 0xA922)]
    assert isinstance(found[0], Refusal)
    assert "'other'" in found[0].comment


@pytest.mark.parametrize("location", ["other", None])
async def test_bulk_data_left_over_by_several_are_refused_by_themselves(
    spools: Path, location: str | None
) -> None:
    parts = [metadata(document("1.1"), document("1.2")), bulk("1.1"), bulk("1.2"), bulk(location)]
    assert documents(await made(spools, message(*parts))) == [
        ("1.1", b"%PDF"),
        ("1.2", b"%PDF"),
        (None, 0xA922),
    ]


async def test_the_bulk_data_of_a_refused_instance_are_not_refused_again(spools: Path) -> None:
    broken = document("1.1", **{"00100010": {"vr": "US", "Value": ["x"]}})
    body = message(metadata(broken, document("1.2")), bulk("1.1"), bulk("1.2"))
    assert documents(await made(spools, body)) == [("1.1", 0x0106), ("1.2", b"%PDF")]


@pytest.mark.parametrize(
    ("twice", "told"),
    [
        (b'"00100010":{"vr":"PN"},"00100010":{"vr":"PN","Value":[]}', "(0010,0010) the element"),
        (b'"0040A043":{"vr":"SQ","Value":[{"00080100":{},"00080100":{}}]}', "(0008,0100)"),
        (b'"00100020":{"vr":"LO","Value":["a"],"Value":["b"]}', "'Value' is there twice"),
    ],
)
async def test_what_is_there_twice_is_refused_by_name(
    spools: Path, twice: bytes, told: str
) -> None:
    text = orjson.dumps(document("1.1"))[:-1] + b"," + twice + b"}"
    body = message((JSON, None, b"[" + text + b"," + orjson.dumps(document("1.2")) + b"]"))
    body = body[: -len(b"--b--\r\n")] + message(bulk("1.1"), bulk("1.2"))
    refusal, other = await made(spools, body)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.sop_instance_uid) == (0xA900, "1.1")
    assert told in refusal.comment
    assert [one.tag for one in refusal.attributes] == (
        [told[1:5] + told[6:10]] if told[0] == "(" else []
    )
    assert isinstance(other, Dataset)


async def test_several_instances_may_share_bulk_data(spools: Path) -> None:
    shared = {"00420011": {"vr": "OB", "BulkDataURI": "shared"}}
    data_sets = [document("1.1", **shared), document("1.2", **shared)]
    body = message(metadata(*data_sets), bulk("shared"))
    assert documents(await made(spools, body)) == [("1.1", b"%PDF"), ("1.2", b"%PDF")]


@pytest.mark.parametrize(
    "data",
    [b"", b"no json", b"7", b"[7]", b"[]", b'"x"', b"{", b"[{", b"null", b"<xml/>"],
)
async def test_metadata_that_are_none_are_a_bad_request(spools: Path, data: bytes) -> None:
    with pytest.raises(BadRequest):
        await made(spools, message((JSON, None, data)))


async def test_metadata_that_go_wrong_later_keep_what_came_before(spools: Path) -> None:
    inline = {"00420011": {"vr": "OB", "InlineBinary": "UERG"}}
    good = orjson.dumps(document("1.1", **inline))
    found = await made(spools, message((JSON, None, b"[" + good + b",7]")))
    assert documents(found) == [("1.1", b"PDF\0"), (None, 0xC000)]
    found = await made(spools, message((JSON, None, b"[" + good + b",{:}," + good + b"]")))
    assert documents(found) == [("1.1", b"PDF\0"), (None, 0xC000), ("1.1", b"PDF\0")]


@pytest.mark.parametrize(
    "xml",
    [
        b"",
        b"<html/>",
        b"<NativeDicomModel>",
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><NativeDicomModel/>',
        b"<NativeDicomModel/><NativeDicomModel/>",
    ],
)
async def test_xml_that_is_none_is_refused(spools: Path, xml: bytes) -> None:
    kind = f"multipart/related; type={XML}; boundary=b"
    good = (XML, None, nativexml.dumps(document()))
    found = await made(spools, message((XML, None, xml), good, bulk("1.2.3.4")), kind)
    assert documents(found) == [(None, 0xC000), ("1.2.3.4", b"%PDF")]


@pytest.mark.parametrize(
    "parts",
    [
        [bulk("1.2.3.4"), metadata(document())],
        [("application/dicom", None, b"DICM")],
        [("nonsense", None, b"[]")],
    ],
)
async def test_a_first_part_of_another_type_is_refused(spools: Path, parts: list[Part]) -> None:
    with pytest.raises(UnsupportedMediaType):
        await made(spools, message(*parts))


async def test_an_encoded_part_is_refused(spools: Path) -> None:
    body = message(metadata(document()), bulk("1.2.3.4"))
    encoded = body.replace(b"Content-Location:", b"Content-Transfer-Encoding: base64\r\nX:")
    with pytest.raises(UnsupportedMediaType, match="base64"):
        await made(spools, encoded)


@pytest.mark.parametrize("body", [b"", b"--b--\r\n", b"text"])
async def test_a_message_that_holds_nothing_is_a_bad_request(spools: Path, body: bytes) -> None:
    with pytest.raises(BadRequest):
        await made(spools, body)


async def test_bulk_data_that_are_cut_short_are_not_there(spools: Path) -> None:
    data_sets = metadata(document("1.1"), document("1.2"))
    body = message(data_sets, bulk("1.1"), bulk("1.2"), end=b"")
    found = documents(await made(spools, body[:-3]))
    assert found == [("1.1", b"%PDF"), ("1.2", 0xA922), (None, 0xC000)]


@pytest.mark.parametrize("end", [b"--b\r\n", b"--b\r\nContent-Type: application/pdf\r\n"])
async def test_a_message_that_breaks_off_between_its_parts_is_not_all_stored(
    spools: Path, end: bytes
) -> None:
    body = message(metadata(document("1.1")), bulk("1.1"), end=end)
    assert documents(await made(spools, body)) == [("1.1", b"%PDF"), (None, 0xC000)]


async def test_metadata_that_are_cut_short_are_a_bad_request(spools: Path) -> None:
    with pytest.raises(BadRequest, match="within its metadata"):
        await made(spools, message(metadata(document()), end=b"")[:-20])


async def test_a_message_that_is_malformed_stores_nothing(spools: Path) -> None:
    body = message(metadata(document()), bulk("1.2.3.4"), end=b"--b\r\nno header\r\n\r\n")
    with pytest.raises(BadRequest):
        await made(spools, body)


async def test_one_data_set_has_only_so_many_bytes(spools: Path) -> None:
    inline: Any = {"00420011": {"vr": "OB", "InlineBinary": "UERG" * 200}}
    longer = document(**inline)
    length = len(orjson.dumps(longer))
    body = message(metadata(longer))
    (taken,) = await made(spools, body, metadata_bytes=length)
    assert isinstance(taken, Dataset)
    found = await made(spools, body, metadata_bytes=length - 1)
    assert documents(found) == [(None, 0xA700)]
    xml = nativexml.dumps(longer)
    kind = f"multipart/related; type={XML}; boundary=b"
    (taken,) = await made(spools, message((XML, None, xml)), kind, metadata_bytes=len(xml))
    assert isinstance(taken, Dataset)
    found = await made(spools, message((XML, None, xml)), kind, metadata_bytes=len(xml) - 1)
    assert documents(found) == [(None, 0xA700)]


async def test_locations_of_bulk_data_have_only_so_many_characters(spools: Path) -> None:
    inline: Any = {"00420011": {"vr": "OB", "InlineBinary": "UERG"}}
    parts = [bulk(str(number) * 500) for number in range(9)]
    body = message(metadata(document(**inline)), *parts)
    assert documents(await made(spools, body, metadata_bytes=4500)) == [("1.2.3.4", 0xA922)]
    with pytest.raises(TooLarge):
        await made(spools, body, metadata_bytes=4499)


async def test_a_message_has_only_so_many_data_sets(spools: Path) -> None:
    inline = {"00420011": {"vr": "OB", "InlineBinary": "UERG"}}
    body = message(metadata(*(document(f"1.{number}", **inline) for number in range(3))))
    assert len(await made(spools, body, request_parts=3)) == 3
    with pytest.raises(TooLarge):
        await made(spools, body, request_parts=2)


async def test_sequences_are_nested_only_so_deep(spools: Path) -> None:
    nested: dict[str, Any] = {}
    for _ in range(3):
        nested = {"00081140": {"vr": "SQ", "Value": [nested]}}
    body = message(metadata(document(**nested)), bulk("1.2.3.4"))
    (taken,) = await made(spools, body, nesting=3)
    assert isinstance(taken, Dataset)
    found = await made(spools, body, nesting=2)
    assert documents(found) == [("1.2.3.4", 0xC000)]
    xml = message((XML, None, nativexml.dumps(document(**nested))), bulk("1.2.3.4"))
    kind = f"multipart/related; type={XML}; boundary=b"
    assert isinstance((await made(spools, xml, kind, nesting=3))[0], Dataset)
    assert isinstance((await made(spools, xml, kind, nesting=2))[0], Refusal)


@pytest.mark.parametrize("depth", [70, 2_000, 100_000])
async def test_json_of_any_depth_is_answered(spools: Path, depth: int) -> None:
    text = b'[{"00081140":{"vr":"SQ","Value":' + b"[" * depth + b"]" * depth + b"}}]"
    found = await made(spools, message((JSON, None, text)))
    assert isinstance(found[0], Refusal)


async def test_a_disk_without_space_is_told_before_anything_is_stored(
    spools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise BlobsFull("There is no space left to receive into.")

    monkeypatch.setattr(Spool, "_move_to_disk", full)
    with pytest.raises(BlobsFull):
        await made(spools, message(metadata(document()), bulk("1.2.3.4", b"x" * 1000)))


async def test_what_was_spooled_is_gone_when_nobody_reads_on(spools: Path) -> None:
    body = message(metadata(document("1.1"), document("1.2")), bulk("1.1"), bulk("1.2"))
    kind = f'multipart/related; type="{JSON}"; boundary=b'
    parts = parts_of(kind, chunks(body), Limits(spool_memory_bytes=100), spools)
    await anext(parts)
    assert len(list(spools.iterdir())) == 1
    await parts.aclose()
    gc.collect()
    assert list(spools.iterdir()) == []
