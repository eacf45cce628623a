"""Reading a SOP Instance: identity, attributes, frames, and refusals that say what and where."""

import contextlib
import json
import struct
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG4HP41,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from app.dicom import reasons
from app.dicom.dataset import Unreadable, WalkLimits
from app.dicom.frames import join_fragments, native_span
from app.dicom.instance import read_instance
from app.dicom.part10 import read_file_meta
from app.dicom.source import BytesSource
from tests import elements
from tests.factories import ct_dataset, part10

FILE = part10(ct_dataset())
ROWS, COLUMNS, BITS_ALLOCATED = 0x00280010, 0x00280011, 0x00280100


def nested(depth: int) -> Dataset:
    dataset = Dataset()
    for _ in range(depth):
        outer = Dataset()
        outer.ReferencedStudySequence = [dataset]
        dataset = outer
    return dataset


@pytest.mark.parametrize("syntax", [None, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_attributes_are_those_that_pydicom_reads(syntax: str | None) -> None:
    dataset = ct_dataset(SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jörg=")
    if syntax == ExplicitVRBigEndian:
        del dataset.PixelData
    file = part10(dataset, syntax) if syntax else part10(dataset)
    read = read_instance(BytesSource(file)).dataset.attributes
    expected = json.loads(dataset.to_json())
    for tag in ("7FE00010", "00080005"):
        expected.pop(tag, None)
    assert {tag: read[tag] for tag in expected} == expected
    assert read["00080005"]["Value"] == ["ISO_IR 192"]


def test_native_frames_lie_one_after_another() -> None:
    dataset = ct_dataset(NumberOfFrames=2, Rows=8)
    file = part10(dataset)
    frames = read_instance(BytesSource(file)).frames
    assert frames is not None
    assert frames.frame_bits is not None
    assert frames.number_of_frames == 2
    span, shift = native_span(frames.pixel_offset, frames.frame_bits, 2)
    assert (file[span.offset : span.end], shift) == (dataset.PixelData[256:], 0)


def test_one_bit_frames_need_not_begin_at_a_byte() -> None:
    span, shift = native_span(100, 9, 2)
    assert (span.offset, span.length, shift) == (101, 2, 1)


@pytest.mark.parametrize("has_bot", [True, False])
def test_encapsulated_frames_are_found_with_and_without_offset_table(has_bot: bool) -> None:
    frames = [b"first frame!", b"second", b"3rd!"]
    dataset = ct_dataset(NumberOfFrames=3, PixelData=encapsulate(frames, has_bot=has_bot))
    dataset["PixelData"].VR = "OB"
    file = part10(dataset, RLELossless)
    table = read_instance(BytesSource(file)).frames
    assert table is not None
    assert table.table is not None
    found = []
    for number in range(table.number_of_frames):
        entry = table.table[16 * number : 16 * (number + 1)]
        offset, length = (int.from_bytes(part) for part in (entry[:8], entry[8:]))
        found.append(join_fragments(file[offset : offset + length]))
    assert found == frames


@pytest.mark.parametrize(
    ("keyword", "value", "reason"),
    [
        ("StudyInstanceUID", None, reasons.MISSING_ATTRIBUTE),
        ("SeriesInstanceUID", "", reasons.MISSING_VALUE),
        ("StudyInstanceUID", "../../etc", reasons.INVALID_VALUE),
        ("StudyInstanceUID", "1..2", reasons.INVALID_VALUE),
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_an_instance_without_a_sound_identity_is_refused(
    keyword: str, value: str | None, reason: int
) -> None:
    with pytest.raises(Unreadable) as refusal:
        read_instance(BytesSource(part10(ct_dataset(**{keyword: value}))))
    assert refusal.value.reason == reason


@pytest.mark.parametrize(("vr", "value"), [("IS", b"12"), ("DS", b"1.20"), ("FD", bytes(8))])
def test_a_number_is_no_uid(vr: str, value: bytes) -> None:
    """As a number, 1.20 is the same as 1.2."""
    uid = {elements.STUDY: elements.element(elements.STUDY, vr, value)}
    with pytest.raises(Unreadable) as refusal:
        read_instance(BytesSource(elements.instance(uid)))
    assert refusal.value.reason == reasons.INVALID_VALUE


def test_a_file_cut_anywhere_is_refused() -> None:
    whole = read_instance(BytesSource(FILE)).dataset
    assert whole.pixel_data is not None
    start = whole.pixel_data.span.offset - 12
    for length in range(start + 1, len(FILE)):
        with pytest.raises(Unreadable):
            read_instance(BytesSource(FILE[:length]))


@given(st.binary(max_size=400))
def test_whatever_follows_the_prefix_nothing_but_unreadable_is_raised(junk: bytes) -> None:
    with pytest.raises(Unreadable):
        read_instance(BytesSource(FILE[:132] + junk))


@given(st.integers(132, len(FILE) - 1), st.integers(0, 255))
def test_a_changed_byte_is_read_or_refused(at: int, byte: int) -> None:
    file = FILE[:at] + bytes([byte]) + FILE[at + 1 :]
    with contextlib.suppress(Unreadable):
        assert read_instance(BytesSource(file)).dataset.attributes


def test_nesting_beyond_the_limit_is_refused() -> None:
    dataset = ct_dataset()
    dataset.update(nested(5))
    file = part10(dataset)
    assert read_instance(BytesSource(file), WalkLimits(nesting=5))
    with pytest.raises(Unreadable, match="nested"):
        read_instance(BytesSource(file), WalkLimits(nesting=4))


def test_the_data_set_names_the_instance_whatever_file_meta_says() -> None:
    dataset = ct_dataset(SOPInstanceUID="1.2.3")
    file = part10(dataset).replace(b"1.2.3\0", b"1.2.4\0", 1)
    instance = read_instance(BytesSource(file))
    assert instance.sop_instance_uid == "1.2.3"
    assert [problem.tag for problem in instance.problems] == ["00020003"]


def test_file_meta_may_hold_addresses() -> None:
    """Source Presentation Address is a UR (PS3.10 7.1), whose length takes 32 bits."""
    address = elements.element(0x00020026, "UR", "https://modality/dicomweb ")
    at = read_file_meta(BytesSource(FILE)).end
    file = FILE[:at] + address + FILE[at:]
    assert read_file_meta(BytesSource(file)).end == at + len(address)
    found = read_instance(BytesSource(file)).dataset.attributes
    assert found == read_instance(BytesSource(FILE)).dataset.attributes


def test_what_is_publicly_known_of_a_private_element_is_used() -> None:
    dataset = ct_dataset()
    block = dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0C, "IS", "1000")
    block = dataset.private_block(0x0019, "NOBODY KNOWS", create=True)
    block.add_new(0x0C, "IS", "1000")
    read = read_instance(BytesSource(part10(dataset, ImplicitVRLittleEndian))).dataset.attributes
    assert read["00190010"] == {"vr": "LO", "Value": ["SIEMENS MR HEADER"]}
    assert read["0019100C"] == {"vr": "IS", "Value": [1000]}
    assert read["0019110C"]["vr"] == "UN"


def test_extended_offset_table_is_believed_where_fragments_are_more_than_frames() -> None:
    pieces = [b"1a", b"1b", b"2a", b"2b", b"2c"]
    dataset = ct_dataset(NumberOfFrames=2)
    file = encapsulate(pieces, has_bot=False)
    dataset.PixelData = file
    dataset["PixelData"].VR = "OB"
    dataset.ExtendedOffsetTable = struct.pack("<2Q", 0, 20)
    dataset.ExtendedOffsetTableLengths = struct.pack("<2Q", 12, 22)
    table = read_instance(BytesSource(part10(dataset, RLELossless))).frames
    assert table is not None
    assert table.number_of_frames == 2


def test_fragments_that_nothing_explains_give_no_frames() -> None:
    dataset = ct_dataset(NumberOfFrames=2, PixelData=encapsulate([b"12"] * 3, has_bot=False))
    dataset["PixelData"].VR = "OB"
    table = read_instance(BytesSource(part10(dataset, RLELossless))).frames
    assert table is not None
    assert table.number_of_frames == 0


def test_a_deflated_file_is_read_as_the_inflated_one() -> None:
    dataset = ct_dataset()
    plain = read_instance(BytesSource(part10(dataset)))
    deflated = read_instance(BytesSource(part10(dataset, DeflatedExplicitVRLittleEndian)))
    assert deflated.dataset.attributes == plain.dataset.attributes


def test_a_deflated_file_that_grows_too_large_is_refused() -> None:
    file = part10(ct_dataset(PixelData=bytes(100_000)), DeflatedExplicitVRLittleEndian)
    with pytest.raises(Unreadable, match="inflated"):
        read_instance(BytesSource(file), WalkLimits(inflated_bytes=50_000))
    with pytest.raises(Unreadable, match="deflated"):
        read_instance(BytesSource(file[:-40]))


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        (lambda most: WalkLimits(inflated_bytes=most), "the length"),
        (
            lambda most: WalkLimits(inflated_freely_bytes=most, inflated_ratio=1),
            "the length that is free",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_inflated_data_set_is_bounded_to_the_byte(
    limits: Callable[[int], WalkLimits], name: str
) -> None:
    pixels = bytes(100_000)
    file = part10(ct_dataset(PixelData=pixels), DeflatedExplicitVRLittleEndian)
    meta = read_file_meta(BytesSource(file)).end
    length = len(zlib.decompress(file[meta:], wbits=-zlib.MAX_WBITS))
    assert length > 50 * len(file)
    for most in (length, length + 1):
        read_instance(BytesSource(file), limits(most))
    with pytest.raises(Unreadable, match=f"inflated, it has more than {length - 1} bytes"):
        read_instance(BytesSource(file), limits(length - 1))


@pytest.mark.parametrize(
    ("keyword", "tag", "bad", "good"),
    [
        ("NumberOfFrames", "00280008", (-1, 0), (1, 2)),
        ("Rows", "00280010", (0,), (1, 65535)),
        ("Columns", "00280011", (0,), (1, 65535)),
        ("SamplesPerPixel", "00280002", (0,), (1, 3)),
        ("BitsAllocated", "00280100", (0, 7, 12, 65535), (1, 8, 16, 24, 32, 64)),
        ("BitsStored", "00280101", (0, 17), (1, 16)),
        ("HighBit", "00280102", (16, 65535), (0, 15)),
        ("PixelRepresentation", "00280103", (2, 7), (0, 1)),
    ],
)
def test_what_no_pixel_data_can_be_is_told(
    keyword: str, tag: str, bad: tuple[int, ...], good: tuple[int, ...]
) -> None:
    def told(value: int, **more: object) -> list[str]:
        file = part10(ct_dataset(**{keyword: value}, **more))
        return [problem.tag for problem in read_instance(BytesSource(file)).problems]

    assert all(told(value) == [tag] for value in bad)
    assert all(tag not in told(value) for value in good)
    assert told(bad[0], PixelData=None) in ([], ["7FE00010"])


@pytest.mark.parametrize(
    ("keyword", "tag"), [("Rows", ROWS), ("Columns", COLUMNS), ("BitsAllocated", BITS_ALLOCATED)]
)
@pytest.mark.parametrize("value", [None, b""])
def test_pixels_that_nothing_describes_are_told(
    keyword: str, tag: int, value: bytes | None
) -> None:
    file = elements.instance({tag: None if value is None else elements.element(tag, "US", value)})
    told = [problem.why for problem in read_instance(BytesSource(file)).problems]
    assert told == [f"{keyword} has no value, with pixel data"]


@pytest.mark.parametrize(
    ("described", "why"),
    [
        ({"NumberOfFrames": 1}, None),
        ({"NumberOfFrames": 2}, "it has 1 frames, not 2"),
        ({"Rows": 17}, "it has 0 frames, not 1"),
        ({"SamplesPerPixel": 3}, "it has 0 frames, not 1"),
    ],
)
def test_frames_that_are_not_there_are_told(described: dict[str, int], why: str | None) -> None:
    problems = read_instance(BytesSource(part10(ct_dataset(**described)))).problems
    assert [problem.why for problem in problems] == ([] if why is None else [why])


@pytest.mark.parametrize("fragments", [1, 2, 100])
def test_a_video_is_one_frame_however_many_it_has(fragments: int) -> None:
    pixels = encapsulate([b"\0\0\0\1" * 16] * fragments, has_bot=False)
    video = ct_dataset(NumberOfFrames=100, PixelData=pixels)
    instance = read_instance(BytesSource(part10(video, MPEG4HP41)))
    assert instance.problems == ()
    assert instance.frames is not None
    assert instance.frames.number_of_frames == 1


@pytest.mark.parametrize(
    ("zone", "is_one"),
    [
        ("+0100", True),
        ("-1200", True),
        ("+1400", True),
        ("", True),
        ("+9999", False),
        ("UTC", False),
    ],
)
def test_a_zone_that_is_none_is_told(zone: str, is_one: bool) -> None:
    file = part10(ct_dataset(TimezoneOffsetFromUTC=zone))
    told = [problem.tag for problem in read_instance(BytesSource(file)).problems]
    assert told == ([] if is_one else ["00080201"])


def test_a_longer_instance_may_inflate_to_more() -> None:
    limits = WalkLimits(inflated_bytes=10_000, inflated_freely_bytes=1000, inflated_ratio=3)
    given = {10: 1000, 333: 1000, 334: 1002, 3333: 9999, 3334: 10_000, 9000: 10_000}
    assert {size: limits.most_inflated(size) for size in given} == given


@pytest.mark.parametrize("offset", [7, 21, 2**63, 2**64 - 1])
def test_an_offset_table_that_lies_is_not_believed(offset: int) -> None:
    dataset = ct_dataset(NumberOfFrames=2, PixelData=encapsulate([b"12"] * 3, has_bot=False))
    dataset["PixelData"].VR = "OB"
    dataset.ExtendedOffsetTable = struct.pack("<2Q", 0, offset)
    dataset.ExtendedOffsetTableLengths = struct.pack("<2Q", 2, 2)
    table = read_instance(BytesSource(part10(dataset, RLELossless))).frames
    assert table is not None
    assert table.number_of_frames == 0


def test_an_image_without_its_pixels_may_have_been_cut() -> None:
    cut = part10(ct_dataset()).partition(struct.pack("<HH", 0x7FE0, 0x0010))[0]
    problems = read_instance(BytesSource(cut)).problems
    assert [problem.tag for problem in problems] == ["7FE00010"]
