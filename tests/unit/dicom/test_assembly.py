"""Metadata and bulk data become the file that they stand for."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import generate_frames

from app.dicom.assembly import BulkPart, assemble, bulk_data_uris
from app.dicom.dataset import Attributes, Unreadable
from app.dicom.instance import SopInstance, read_instance
from app.dicom.source import BytesSource
from app.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN
from app.span import Span
from tests.factories import CT_IMAGE_STORAGE, ct_dataset, part10
from tests.unit.dicom.codestreams import COLUMNS, GREY, RGB, ROWS, jpeg, jpeg_2000, jpeg_ls

JPEG = "1.2.840.10008.1.2.4."
OCTETS = "application/octet-stream"
PHOTOGRAPH: Attributes = {
    "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.77.1.4"]},
    "00080018": {"vr": "UI", "Value": ["1.2.3.4"]},
    "0020000D": {"vr": "UI", "Value": ["1.2.3"]},
    "0020000E": {"vr": "UI", "Value": ["1.2.3.5"]},
    "00100020": {"vr": "LO", "Value": ["PID"]},
    "7FE00010": {"vr": "OB", "BulkDataURI": "pixels"},
}
Part = tuple[bytes, str] | tuple[bytes, str, str]


class Bulk:
    """Bulk data of a test, and the source that they lie in."""

    def __init__(self, **parts: Sequence[Part]) -> None:
        self._data = b"before"
        self._parts = {name: [self._add(*part) for part in some] for name, some in parts.items()}

    def _add(self, data: bytes, media_type: str, syntax: str | None = None) -> BulkPart:
        span = Span(len(self._data), len(data))
        self._data += data
        return BulkPart(span, media_type, syntax)

    def file(self, attributes: Any) -> bytes:
        """The file of the metadata with these bulk data."""
        pieces = assemble(attributes, lambda uri: self._parts.get(uri, ()), BytesSource(self._data))
        return b"".join(
            piece if isinstance(piece, bytes) else self._data[piece.offset : piece.end]
            for piece in pieces
        )


def read(file: bytes) -> SopInstance:
    return read_instance(BytesSource(file))


def pixels_of(file: bytes) -> list[bytes]:
    """The frames, as another reader finds them."""
    dataset = dcmread(io.BytesIO(file))
    frames = dataset.get("NumberOfFrames", 1)
    return list(generate_frames(dataset.PixelData, number_of_frames=int(frames)))


def test_native_pixels_that_came_as_bulk_data_are_stored_as_they_are() -> None:
    dataset = dcmread(io.BytesIO(part10(ct_dataset())))
    attributes = dataset.to_json_dict(10, lambda _: "pixels")
    file = Bulk(pixels=[(dataset.PixelData, OCTETS)]).file(attributes)
    assert dcmread(io.BytesIO(file)) == dataset
    meta = dcmread(io.BytesIO(file)).file_meta
    assert meta.TransferSyntaxUID == EXPLICIT_VR_LITTLE_ENDIAN
    assert meta.MediaStorageSOPClassUID == CT_IMAGE_STORAGE
    assert meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    start = file.index(b"\x08\x00\x16\x00UI")
    assert meta.FileMetaInformationGroupLength == start - 144


@pytest.mark.parametrize(
    ("data", "media_type", "syntax"),
    [
        (jpeg(GREY), "image/jpeg", JPEG + "50"),
        (jpeg(RGB), "image/jpeg", JPEG + "50"),
        (jpeg_ls(GREY), "image/jls", JPEG + "80"),
        (jpeg_2000(RGB), "image/jp2", JPEG + "90"),
    ],
)
def test_an_image_needs_no_more_than_its_identity(
    data: bytes, media_type: str, syntax: str
) -> None:
    file = Bulk(pixels=[(data, media_type)]).file(PHOTOGRAPH)
    instance = read(file)
    assert instance.transfer_syntax.uid == syntax
    assert instance.frames is not None
    assert instance.frames.number_of_frames == 1
    assert instance.dataset.attributes["00280010"]["Value"] == [ROWS]
    assert instance.dataset.attributes["00280011"]["Value"] == [COLUMNS]
    assert [frame[: len(data)] for frame in pixels_of(file)] == [data]


def test_what_the_metadata_say_of_the_pixels_is_kept() -> None:
    attributes = PHOTOGRAPH | {
        "00280004": {"vr": "CS", "Value": ["MONOCHROME1"]},
        "00280010": {"vr": "US"},
    }
    instance = read(Bulk(pixels=[(jpeg(GREY), "image/jpeg")]).file(attributes))
    assert instance.dataset.attributes["00280004"]["Value"] == ["MONOCHROME1"]
    assert instance.dataset.attributes["00280010"]["Value"] == [ROWS]


def test_a_codestream_that_cannot_be_read_is_stored_where_the_metadata_say_all() -> None:
    dataset = ct_dataset()
    attributes = dataset.to_json_dict(10, lambda _: "pixels")
    file = Bulk(pixels=[(b"whatever!", "image/dicom-rle")]).file(attributes)
    assert pixels_of(file) == [b"whatever!\0"]
    assert read(file).transfer_syntax.uid == "1.2.840.10008.1.2.5"


def test_a_transfer_syntax_that_is_named_counts() -> None:
    for syntax in ("57", "110"):
        file = Bulk(pixels=[(jpeg(GREY), "image/jpeg", JPEG + syntax)]).file(PHOTOGRAPH)
        assert read(file).transfer_syntax.uid == JPEG + syntax
    video = PHOTOGRAPH | {"00020010": {"vr": "UI", "Value": [JPEG + "104"]}}
    file = Bulk(pixels=[(b"mp4", "video/mp4")]).file(video)
    assert read(file).transfer_syntax.uid == JPEG + "104"
    # One that does not belong to the media type does not.
    file = Bulk(pixels=[(jpeg(GREY), "image/jpeg")]).file(video)
    assert read(file).transfer_syntax.uid == JPEG + "50"


def test_compressed_pixels_may_come_as_octets_of_a_named_syntax() -> None:
    file = Bulk(pixels=[(jpeg(GREY), OCTETS, JPEG + "50")]).file(PHOTOGRAPH)
    assert read(file).transfer_syntax.uid == JPEG + "50"
    named = PHOTOGRAPH | {"00020010": {"vr": "UI", "Value": [JPEG + "50"]}}
    assert Bulk(pixels=[(jpeg(GREY), OCTETS)]).file(named) == file


@pytest.mark.parametrize("named", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
def test_native_pixels_may_be_named_so(named: str) -> None:
    attributes = ct_dataset().to_json_dict(10, lambda _: "pixels")
    file = Bulk(pixels=[(bytes(512), OCTETS, named)]).file(attributes)
    assert read(file).transfer_syntax.uid == EXPLICIT_VR_LITTLE_ENDIAN


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ((bytes(512), OCTETS, "1.2.840.10008.1.2.2"), 0xC122),
        ((bytes(512), OCTETS, "1.2.3.4"), 0xC122),
        ((jpeg(GREY), "image/jpeg", "1.2.3.4"), 0xC122),
        ((jpeg(GREY), "image/jpeg", "1.2.840.10008.1.2.1"), 0xC122),
        ((b"\x89PNG", "image/png"), 0xC122),
        ((b"%PDF", "application/pdf"), 0xC122),
        ((b"no image", "image/jpeg"), 0xC000),
    ],
)
def test_pixels_that_cannot_be_stored_so_are_refused(part: Part, reason: int) -> None:
    with pytest.raises(Unreadable) as caught:
        Bulk(pixels=[part]).file(PHOTOGRAPH)
    assert (caught.value.reason, caught.value.tag) == (reason, "7FE00010")


def test_compressed_pixels_in_the_metadata_are_refused() -> None:
    inline = {"vr": "OB", "InlineBinary": base64.b64encode(jpeg(GREY)).decode()}
    named = {"00020010": {"vr": "UI", "Value": [JPEG + "50"]}, "7FE00010": inline}
    with pytest.raises(Unreadable, match="bulk data") as caught:
        Bulk().file(PHOTOGRAPH | named)
    assert caught.value.reason == 0xC122


def test_several_codestreams_of_one_name_are_the_frames_in_their_order() -> None:
    images = [jpeg(GREY + number) for number in range(3)]
    file = Bulk(pixels=[(image, "image/jpeg") for image in images]).file(PHOTOGRAPH)
    instance = read(file)
    assert instance.frames is not None
    assert instance.frames.number_of_frames == 3
    assert instance.dataset.attributes["00280008"]["Value"] == [3]
    assert [frame[: len(image)] for frame, image in zip(pixels_of(file), images, strict=True)] == (
        images
    )


@pytest.mark.parametrize(
    "other",
    [
        (jpeg(GREY), OCTETS),
        (jpeg_2000(GREY), "image/jp2"),
        (jpeg_ls(GREY), "image/jpeg", JPEG + "80"),
    ],
)
def test_frames_of_several_types_are_refused(other: Part) -> None:
    first = (jpeg(GREY), "image/jpeg", JPEG + "50")
    with pytest.raises(Unreadable, match="one type") as caught:
        Bulk(pixels=[first, other]).file(PHOTOGRAPH)
    assert caught.value.reason == 0xC122


def test_several_parts_of_one_name_are_no_other_value() -> None:
    attributes = PHOTOGRAPH | {"00420011": {"vr": "OB", "BulkDataURI": "document"}}
    bulk = Bulk(pixels=[(jpeg(GREY), "image/jpeg")], document=[(b"a", OCTETS), (b"b", OCTETS)])
    with pytest.raises(Unreadable) as caught:
        bulk.file(attributes)
    assert caught.value.reason == 0xA922


def test_a_jp2_file_is_stored_without_its_boxes() -> None:
    boxed = jpeg_2000(GREY, boxes=True)
    assert boxed[4:8] == b"jP  "
    (frame,) = pixels_of(Bulk(pixels=[(boxed, "image/jp2")]).file(PHOTOGRAPH))
    assert frame.startswith(b"\xff\x4f\xff\x51")
    assert frame.rstrip(b"\0") in boxed


def test_what_is_no_pixel_data_is_stored_whatever_its_media_type() -> None:
    attributes = {tag: PHOTOGRAPH[tag] for tag in PHOTOGRAPH if tag != "7FE00010"}
    attributes["00420011"] = {"vr": "OB", "BulkDataURI": "document"}
    attributes["00081140"] = {
        "vr": "SQ",
        "Value": [{"00420011": {"vr": "OB", "BulkDataURI": "inner"}}],
    }
    bulk = Bulk(document=[(b"%PDF-", "application/pdf")], inner=[(b"<x/>", "text/xml")])
    dataset = dcmread(io.BytesIO(bulk.file(attributes)))
    assert dataset.EncapsulatedDocument == b"%PDF-\0"
    assert dataset.ReferencedImageSequence[0].EncapsulatedDocument == b"<x/>"


def test_elements_behind_the_pixels_stay_behind_them() -> None:
    attributes = PHOTOGRAPH | {"FFFCFFFC": {"vr": "OB", "InlineBinary": "AAA="}}
    file = Bulk(pixels=[(jpeg(GREY), "image/jpeg")]).file(attributes)
    assert file.endswith(b"\xfe\xff\xdd\xe0\0\0\0\0\xfc\xff\xfc\xffOB\0\0\2\0\0\0\0\0")


def test_tags_may_be_in_lower_case() -> None:
    lower = {tag.lower(): element for tag, element in PHOTOGRAPH.items()}
    bulk = Bulk(pixels=[(jpeg(GREY), "image/jpeg")])
    assert bulk.file(lower) == bulk.file(PHOTOGRAPH)
    with pytest.raises(Unreadable, match="upper case and in lower case") as caught:
        bulk.file(PHOTOGRAPH | {"7fe00010": {"vr": "OB"}})
    assert caught.value.reason == 0xA900


@pytest.mark.parametrize("uri", ["elsewhere", "file:///etc/passwd", "http://169.254.169.254/", 7])
def test_missing_bulk_data_are_refused_by_the_name_of_the_attribute(uri: Any) -> None:
    with pytest.raises(Unreadable) as caught:
        Bulk().file(PHOTOGRAPH | {"7FE00010": {"vr": "OB", "BulkDataURI": uri}})
    assert (caught.value.reason, caught.value.tag) == (0xA922, "7FE00010")


@pytest.mark.parametrize("uid", [None, "", "no uid", "1" * 65])
def test_file_meta_names_only_what_is_a_uid(uid: Any) -> None:
    attributes: Any = PHOTOGRAPH | {"00080018": {"vr": "UI", "Value": [uid]}}
    attributes["7FE00010"] = {"vr": "OB"}
    file = Bulk().file(attributes)
    assert dcmread(io.BytesIO(file)).file_meta.MediaStorageSOPInstanceUID == ""


def test_every_bulk_data_uri_is_found_at_any_depth() -> None:
    attributes: Any = {
        "a": {"BulkDataURI": "1"},
        "b": {"Value": [{"c": {"BulkDataURI": "2"}}, None, 7]},
        "d": [[{"BulkDataURI": "3"}]],
        "e": {"BulkDataURI": 4},
    }
    assert sorted(bulk_data_uris(attributes)) == ["1", "2", "3"]
    deep: Any = {"BulkDataURI": "deep"}
    for _ in range(10_000):
        deep = [deep]
    assert list(bulk_data_uris(deep)) == ["deep"]


def test_a_data_set_without_pixels_is_a_file_too() -> None:
    dataset = Dataset.from_json({tag: PHOTOGRAPH[tag] for tag in PHOTOGRAPH if tag < "7F"})
    assert dcmread(io.BytesIO(Bulk().file(dataset.to_json_dict()))) == dataset
