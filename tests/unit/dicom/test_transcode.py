"""Instances rewritten in Explicit VR Little Endian: nothing but the encoding changes."""

import io
import itertools
import struct
import tracemalloc
import warnings
import zlib
from collections.abc import Iterator
from typing import Any

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, Sequence
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from app.dicom.elements import Changes, Elements
from app.dicom.transcode import PIECE, Transcoder, rewritten
from app.dicom.uids import transfer_syntax
from app.errors import Unprocessable
from tests import elements
from tests.factories import ct_dataset, part10
from tests.unit.dicom import files

NATIVE = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]


def transcoded(file: bytes, piece: int = 1 << 20) -> bytes:
    pieces = (file[at : at + piece] for at in range(0, len(file), piece))
    return b"".join(rewritten(pieces, ExplicitVRLittleEndian))


def parsed(file: bytes) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(io.BytesIO(file))
        for tag in [tag for tag in dataset if tag.tag.element == 0]:
            del dataset[tag.tag]
    return dataset


def json_of(dataset: Dataset) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dataset.to_json_dict(bulk_data_threshold=10**9, suppress_invalid_tags=True)


def native_files() -> list[str]:
    names = []
    for path in sorted(files.FOLDER.iterdir()):
        if path.is_file() and path.read_bytes()[128:132] == b"DICM":
            meta = files.read(path.name).file_meta
            if meta.get("TransferSyntaxUID") in NATIVE:
                names.append(path.name)
    return names


def words_of(dataset: Dataset) -> int:
    """Bytes of a word of its pixel data, where they are words at all."""
    if dataset["PixelData"].VR != "OW":
        return 1
    return max(2, int(dataset.BitsAllocated) // 8)


@pytest.mark.parametrize("name", native_files())
def test_a_file_of_pydicom_says_the_same_afterwards(name: str) -> None:
    file = (files.FOLDER / name).read_bytes()
    if name == "rtplan_truncated.dcm":
        with pytest.raises(Unprocessable, match="cut off"):
            transcoded(file)
        return

    result = transcoded(file)
    before, after = parsed(file), parsed(result)

    assert after.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert result[:132] == file[:132]
    if before.file_meta.TransferSyntaxUID == ExplicitVRBigEndian and "PixelData" in before:
        size = words_of(before)
        data = before.PixelData
        turned = [data[at : at + size][::-1] for at in range(0, len(data), size)]
        assert after.PixelData == b"".join(turned)
        del before.PixelData, after.PixelData
    assert json_of(after) == json_of(before)


@pytest.mark.parametrize("name", ["MR_small_implicit.dcm", "MR_small_bigendian.dcm",
                                  "image_dfl.dcm", "nested_priv_SQ.dcm", "rtdose.dcm"])  # fmt: skip
@pytest.mark.parametrize("piece", [1, 7, 4096])
def test_it_does_not_matter_where_the_input_is_cut(name: str, piece: int) -> None:
    file = (files.FOLDER / name).read_bytes()

    assert transcoded(file, piece) == transcoded(file)


@pytest.mark.parametrize("syntax", NATIVE)
def test_file_meta_is_kept_but_for_the_transfer_syntax_and_the_group_length(syntax: str) -> None:
    dataset = ct_dataset()
    file = part10(dataset, syntax)

    result = transcoded(file)
    before, after = parsed(file).file_meta, parsed(result).file_meta

    assert after.FileMetaInformationGroupLength == result.index(b"\x08\x00\x16\x00") - 144
    before.FileMetaInformationGroupLength = after.FileMetaInformationGroupLength
    before.TransferSyntaxUID = ExplicitVRLittleEndian
    assert after == before


def element(tag: int, value: bytes, length: int | None = None) -> bytes:
    """In Implicit VR Little Endian."""
    size = len(value) if length is None else length
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, size) + value


def implicit(*elements: bytes) -> bytes:
    """A file with these elements, and with no UIDs: nobody asks for them here."""
    head = part10(Dataset(), ImplicitVRLittleEndian)
    return head + b"".join(elements)


ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
UNDEFINED = 0xFFFFFFFF


def body(file: bytes) -> bytes:
    """What follows File Meta."""
    return file[144 + struct.unpack_from("<I", file, 140)[0] :]


def test_sequences_and_items_of_defined_length_end_where_they_ended() -> None:
    inner = element(0x00080100, b"CODE")
    file = implicit(
        element(0x00081140, element(ITEM, inner) + element(ITEM, b"") + element(ITEM, inner)),
        element(0x00081150, b""),
    )

    dataset = parsed(transcoded(file))

    assert [item.get("CodeValue") for item in dataset.ReferencedImageSequence] == [
        "CODE", None, "CODE",
    ]  # fmt: skip
    assert dataset["ReferencedSOPClassUID"].value == ""


def test_sequences_and_items_of_undefined_length_stay_open() -> None:
    file = implicit(
        element(0x00081140, b"", UNDEFINED),
        element(ITEM, b"", UNDEFINED),
        element(0x00080100, b"CODE"),
        element(ITEM_END, b""),
        element(SEQUENCE_END, b""),
        element(0x0008114A, b""),
        element(0x00100020, b"ID"),
    )

    dataset = parsed(transcoded(file))

    assert dataset.ReferencedImageSequence[0].CodeValue == "CODE"
    assert len(dataset.ReferencedInstanceSequence) == 0
    assert dataset.PatientID == "ID"


def test_private_elements_keep_their_bytes_and_their_creator() -> None:
    file = implicit(
        element(0x00090010, b"HILUM TEST"),
        element(0x00091001, b"\x01\x02\x03\x04"),
        element(0x00091002, element(ITEM, element(0x00091003, b"ab")), UNDEFINED)
        + element(SEQUENCE_END, b""),
    )

    after = body(transcoded(file))

    assert after == (
        b"\x09\0\x10\0LO\x0a\0HILUM TEST"
        b"\x09\0\x01\x10UN\0\0\x04\0\0\0\x01\x02\x03\x04"
        b"\x09\0\x02\x10SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff"
        b"\x09\0\x03\x10UN\0\0\x02\0\0\0ab"
        b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    )


def test_the_sign_of_pixels_decides_the_vr_of_their_values_also_further_in() -> None:
    def smallest(representation: int) -> Dataset:
        return parsed(
            transcoded(
                implicit(
                    element(0x00280103, struct.pack("<H", representation)),
                    element(0x00280106, b"\xff\xff"),
                    element(0x00283010, element(ITEM, element(0x00283002, b"\2\0\xff\xff\x08\0"))),
                )
            )
        )

    assert smallest(0).SmallestImagePixelValue == 65535
    assert smallest(1).SmallestImagePixelValue == -1
    assert smallest(1).VOILUTSequence[0].LUTDescriptor[1] == -1


def test_group_lengths_are_left_out_where_they_would_be_wrong() -> None:
    file = implicit(element(0x00080000, b"\x0c\0\0\0"), element(0x00080060, b"CT"))

    assert body(transcoded(file)) == b"\x08\0\x60\0CS\x02\0CT"


def test_a_value_too_long_for_its_vr_is_kept_as_unknown() -> None:
    value = b"1\\" * 40_000

    assert body(transcoded(implicit(element(0x00181149, value)))) == (
        b"\x18\0\x49\x11UN\0\0" + struct.pack("<I", len(value)) + value
    )


def test_elements_after_the_pixel_data_are_rewritten_too() -> None:
    file = implicit(element(0x7FE00010, bytes(100_000)), element(0xFFFCFFFC, b"\0\0"))

    after = body(transcoded(file, 1000))

    assert after.endswith(b"\xfc\xff\xfc\xffOB\0\0\x02\0\0\0\0\0")
    assert len(after) == 12 + 100_000 + 14


@pytest.mark.parametrize(
    ("vr", "value", "expected"),
    [
        ("US", b"\0\1\0\2", b"\1\0\2\0"),
        ("AT", b"\0\x10\0\x20", b"\x10\0\x20\0"),
        ("FL", b"\x3f\x80\0\0", b"\0\0\x80\x3f"),
        ("FD", b"\x3f\xf0\0\0\0\0\0\0", b"\0\0\0\0\0\0\xf0\x3f"),
        ("OW", b"\1\2\3\4", b"\2\1\4\3"),
        ("OL", b"\1\2\3\4", b"\4\3\2\1"),
        ("OV", bytes(range(8)), bytes(reversed(range(8)))),
        ("OB", b"\1\2", b"\1\2"),
        ("UN", b"\1\2", b"\1\2"),
        ("LO", b"ab", b"ab"),
        ("US", b"\0\1\0", b"\1\0\0"),
    ],
)
@pytest.mark.parametrize("piece", [1, 3, 1000])
def test_big_endian_values_are_turned_around_word_by_word(
    vr: str, value: bytes, expected: bytes, piece: int
) -> None:
    long = vr in {"OW", "OL", "OV", "OB", "UN"}
    length = struct.pack(">xxI" if long else ">H", len(value))
    file = part10(Dataset(), ExplicitVRBigEndian) + b"\0\x09\x10\x01" + vr.encode() + length + value

    assert body(transcoded(file, piece)).endswith(expected)


def test_unknown_sequences_in_big_endian_are_in_implicit_little_endian() -> None:
    file = part10(Dataset(), ExplicitVRBigEndian)
    file += b"\0\x09\x10\x01UN\0\0\xff\xff\xff\xff"
    file += element(ITEM, element(0x00280010, b"\x10\0")) + element(SEQUENCE_END, b"")
    file += b"\0\x28\0\x10US\0\x02\0\x20"

    dataset = parsed(transcoded(file))

    assert dataset[0x00091001][0].Rows == 16
    assert dataset.Rows == 32


@pytest.mark.parametrize(
    "file",
    [
        implicit(element(0x00100020, b"", 4)),
        implicit(b"\x10\0\x20"),
        implicit(element(0x00081140, b"", UNDEFINED)),
        implicit(element(0x00081140, element(ITEM, element(0x00080100, b"CODE"), 10))),
        implicit(element(ITEM_END, b"")),
        implicit(element(SEQUENCE_END, b"")),
        implicit(element(ITEM, b"")),
        implicit(element(0x00280010, b"", UNDEFINED)),
        implicit(element(0x7FE00010, b"", UNDEFINED)),
        part10(ct_dataset(), DeflatedExplicitVRLittleEndian)[:-4],
        b"",
        bytes(132),
        bytes(128) + b"DICM",
    ],
)
def test_what_cannot_be_read_is_refused_and_never_sent_as_if_it_were_whole(file: bytes) -> None:
    with pytest.raises(Unprocessable):
        transcoded(file)


@pytest.mark.parametrize("more", [-1, 0, 1, 100, 258, 259])
def test_a_deflated_data_set_may_end_anywhere_about_the_end_of_a_piece(more: int) -> None:
    """The last bytes may be a repetition of which the beginning fills the piece."""
    data_set = bytes(PIECE + more)
    file = elements.file_of(elements.deflated(data_set), elements.file_meta(elements.DEFLATED))
    assert transcoded(file).endswith(data_set)


@pytest.mark.parametrize(
    ("file", "written"),
    [
        pytest.param(
            implicit(element(0x00081140, element(0x00080100, b"CODE"))),
            b"\x08\0\x40\x11UN\0\0\x0c\0\0\0" + element(0x00080100, b"CODE"),
            id="a sequence without items is of unknown VR",
        ),
        pytest.param(
            implicit(b"\x10\0\x20\0LO\4\0ABCD"),
            b"\x10\0\x20\0LO\4\0ABCD",
            id="explicit VR that is said to be implicit",
        ),
        pytest.param(
            implicit(element(0x00100020, b"ABCD") + bytes(5)),
            b"\x10\0\x20\0LO\4\0ABCD",
            id="a few zeros at the end",
        ),
        pytest.param(
            implicit(element(0x00100020, b"ABCD") + bytes(16)),
            b"\x10\0\x20\0LO\4\0ABCD",
            id="zeros at the end",
        ),
    ],
)
@pytest.mark.parametrize("piece", [1, 7, 10_000])
def test_what_is_stored_with_a_warning_is_sent_as_it_was_read(
    file: bytes, written: bytes, piece: int
) -> None:
    head = transcoded(implicit(element(0x00100020, b"")))[: -len(b"....LO..")]
    assert transcoded(file, piece) == head + written


def test_deflated_bytes_that_are_broken_are_refused() -> None:
    with pytest.raises(Unprocessable, match="inflated"):
        transcoded(part10(Dataset(), DeflatedExplicitVRLittleEndian)[:-2] + b"\xff" * 20)


def test_a_compressed_instance_is_refused() -> None:
    with pytest.raises(Unprocessable, match="compressed"):
        transcoded((files.FOLDER / "JPEG2000.dcm").read_bytes())


# Memory


def long_instance(length: int, syntax: str, piece: int) -> Iterator[bytes]:
    dataset = ct_dataset(PixelData=None)
    yield part10(dataset, syntax)
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    if syntax == ImplicitVRLittleEndian:
        yield struct.pack("<HHI", 0x7FE0, 0x0010, length)
    else:
        yield struct.pack(f"{order}HH2sxxI", 0x7FE0, 0x0010, b"OW", length)
    yield from itertools.repeat(bytes(piece), length // piece)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_memory_does_not_grow_with_the_instance(syntax: str) -> None:
    tracemalloc.start()

    sent = sum(map(len, rewritten(long_instance(2**28, syntax, 2**20), ExplicitVRLittleEndian)))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert sent > 2**28
    assert most < 2**23


def test_deflated_bytes_come_out_in_pieces() -> None:
    whole = part10(ct_dataset(), DeflatedExplicitVRLittleEndian)
    meta = len(whole) - len(body(whole))
    compressor = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    bomb = whole[:meta] + compressor.compress(bytes(30_000_000)) + compressor.flush()
    transcoder = Transcoder()

    lengths = [len(piece) for piece in (*transcoder.feed(bomb), *transcoder.finish())]

    assert sum(lengths) > 30_000_000
    assert max(lengths) <= 2**20


# Data sets of every shape

TEXT = st.text("ABC 123", max_size=12)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "PatientName": TEXT,
    "PatientComments": TEXT,
    "ImageType": st.lists(st.sampled_from(["A", "B"]), min_size=1, max_size=3),
    "Rows": st.integers(0, 65535),
    "PixelRepresentation": st.integers(0, 1),
    "SmallestImagePixelValue": st.integers(0, 32767),
    "SliceLocation": st.sampled_from([1.5, -2.25, 0]),
    "FrameIncrementPointer": st.sampled_from([0x00181063, 0x00181065]),
    "ImageOrientationVolume": st.lists(st.floats(-1, 1, width=64), min_size=1, max_size=4),
    "RecommendedDisplayFrameRateInFloat": st.floats(0, 99, width=32),
    "ReferencePixelX0": st.integers(-(2**31), 2**31 - 1),
    "SelectorUVValue": st.integers(0, 2**64 - 1),
    "EncapsulatedDocument": st.binary(max_size=9).map(lambda data: data + b"\0" * (len(data) % 2)),
    # Words of two equal bytes, since pydicom writes the words of OW as they are.
    "RedPaletteColorLookupTableData": st.integers(0, 255).map(lambda byte: bytes([byte, byte])),
}


def datasets(items: st.SearchStrategy[Dataset] | None = None) -> st.SearchStrategy[Dataset]:
    values = st.fixed_dictionaries({}, optional=VALUES)

    def make(chosen: dict[str, Any], sequence: list[Dataset] | None) -> Dataset:
        dataset = Dataset()
        for keyword, value in chosen.items():
            setattr(dataset, keyword, value)
        if sequence is not None:
            dataset.ContentSequence = Sequence(sequence)
        return dataset

    inner = st.none() if items is None else st.none() | st.lists(items, max_size=3)
    return st.builds(make, values, inner)


def settle_signed(dataset: Dataset, *, signed: bool) -> None:
    """US or SS, by Pixel Representation of the data set or of those around it."""
    signed = bool(dataset.get("PixelRepresentation", signed))
    if "SmallestImagePixelValue" in dataset:
        dataset["SmallestImagePixelValue"].VR = "SS" if signed else "US"
    for item in dataset.get("ContentSequence", []):
        settle_signed(item, signed=signed)


@settings(deadline=None)
@given(
    datasets(datasets(datasets())),
    st.sampled_from(NATIVE),
    st.booleans(),
    st.integers(1, 200),
)
def test_any_data_set_says_the_same_afterwards(
    dataset: Dataset, syntax: str, undefined: bool, piece: int
) -> None:
    if "PixelRepresentation" not in dataset:
        dataset.PixelRepresentation = 0
    settle_signed(dataset, signed=False)
    for item in dataset.get("ContentSequence", []):
        item.is_undefined_length_sequence_item = undefined
    if "ContentSequence" in dataset:
        dataset["ContentSequence"].is_undefined_length = undefined
    expected = json_of(parsed(part10(dataset, ExplicitVRLittleEndian)))

    result = transcoded(part10(dataset, syntax), piece)

    assert json_of(parsed(result)) == expected


def elements_of(dataset: Dataset) -> bytes:
    """The data set alone, in Explicit VR Little Endian."""
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset, implicit_vr=False, little_endian=True, force_encoding=True)
    return file.getvalue()


def changed(data: bytes, changes: Changes, piece: int = 1 << 20) -> bytes:
    elements = Elements(transfer_syntax(ExplicitVRLittleEndian), changes)
    fed = [elements.feed(data[at : at + piece]) for at in range(0, len(data), piece)]
    return b"".join([*fed, elements.finish()])


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_elements_are_replaced_left_out_and_added_in_their_order(piece: int) -> None:
    dataset = ct_dataset()
    dataset.ExtendedOffsetTable = bytes(8)
    inner = Dataset()
    inner.PhotometricInterpretation = "RGB"
    dataset.IconImageSequence = [inner]
    changes: Changes = {
        0x00280004: b"\x28\0\x04\0CS\x04\0RGB ",
        0x00280006: b"\x28\0\x06\0US\x02\0\1\0",
        0x7FE00001: None,
        0xFFFCFFFC: b"\xfc\xff\xfc\xffOB\0\0\2\0\0\0ab",
    }
    written = changed(elements_of(dataset), changes, piece)
    found = pydicom.dcmread(io.BytesIO(written), force=True)
    assert [element.tag for element in found] == sorted(element.tag for element in found)
    assert found.PhotometricInterpretation == "RGB"
    assert found.PlanarConfiguration == 1
    assert "ExtendedOffsetTable" not in found
    assert found[0xFFFC, 0xFFFC].value == b"ab"
    assert found.IconImageSequence[0].PhotometricInterpretation == "RGB"
    assert found.PixelData == dataset.PixelData
    assert found.Rows == dataset.Rows


@pytest.mark.parametrize("piece", [1, 1 << 20])
def test_a_compressed_icon_passes_as_it_is(piece: int) -> None:
    icon = Dataset()
    icon.Rows = 4
    icon.PixelData = encapsulate([b"\xff\xd8icon\xff\xd9"])
    icon["PixelData"].VR = "OB"
    icon["PixelData"].is_undefined_length = True
    icon.add_new(0x00291010, "LO", "after")
    dataset = ct_dataset(IconImageSequence=[icon])
    found = pydicom.dcmread(io.BytesIO(changed(elements_of(dataset), {}, piece)), force=True)
    assert found.IconImageSequence[0].PixelData == icon.PixelData
    assert found.IconImageSequence[0].Rows == 4
    assert found.PixelData == dataset.PixelData


def test_pixels_are_inserted_between_what_comes_before_and_after() -> None:
    file = part10(ct_dataset(DataSetTrailingPadding=b"\0\0\0\0"))
    start = file.index(b"\xe0\x7f\x10\x00OW")
    end = file.index(b"\xfc\xff\xfc\xff")
    element = b"\xe0\x7f\x10\x00OB\0\0\x02\0\0\0ab"
    for target in (ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian):
        transcoder = Transcoder(target, {0x00280006: b"\x28\0\x06\0US\x02\0\1\0"})
        made = [*transcoder.feed(file[:start]), *transcoder.insert(element)]
        made += [*transcoder.feed(file[end:]), *transcoder.finish()]
        found = parsed(b"".join(made))
        assert found.file_meta.TransferSyntaxUID == target
        assert (found.PixelData, found.PlanarConfiguration) == (b"ab", 1)
        assert found.DataSetTrailingPadding == bytes(4)
    transcoder = Transcoder(ExplicitVRLittleEndian, {})
    list(transcoder.feed(file[: start - 1]))
    with pytest.raises(Unprocessable, match="cut off"):
        list(transcoder.insert(element))


@pytest.mark.parametrize("uid", NATIVE)
def test_a_native_instance_is_deflated(uid: str) -> None:
    dataset = ct_dataset(PixelData=bytes(512))
    file = part10(dataset, uid)
    made = b"".join(rewritten([file], DeflatedExplicitVRLittleEndian))
    assert len(made) < len(part10(dataset))
    assert json_of(parsed(made)) == json_of(parsed(file))
