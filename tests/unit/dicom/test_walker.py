"""The walk over a data set: its JSON, its limits, what is read against the standard."""

import json
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from app.dicom import jsonmodel, reasons
from app.dicom.attributes import Level
from app.dicom.dataset import DataSet, Unreadable, WalkLimits
from app.dicom.jsontext import LONG, PACKED, JsonText
from app.dicom.source import BytesSource
from app.dicom.uids import TRANSFER_SYNTAXES
from app.dicom.walker import read_dataset

EXPLICIT = TRANSFER_SYNTAXES["1.2.840.10008.1.2.1"]
IMPLICIT = TRANSFER_SYNTAXES["1.2.840.10008.1.2"]
SEQUENCE, ITEM, ITEM_END, SEQUENCE_END = 0x00081140, 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
UNDEFINED = 0xFFFFFFFF


def short(tag: int, vr: str, value: bytes) -> bytes:
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), len(value)) + value


def long(tag: int, vr: str, value: bytes, length: int | None = None) -> bytes:
    told = len(value) if length is None else length
    return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr.encode(), 0, told) + value


def bare(tag: int, value: bytes = b"", length: int | None = None) -> bytes:
    """An element without a VR, or an item."""
    told = len(value) if length is None else length
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, told) + value


def walk(data: bytes, limits: WalkLimits | None = None, *, implicit: bool = False) -> DataSet:
    return read_dataset(BytesSource(data), 0, IMPLICIT if implicit else EXPLICIT, limits)


def json_of(dataset: DataSet) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(jsonmodel.dumps(dataset.attributes))
    assert json.loads(jsonmodel.unpack(jsonmodel.pack(dataset.attributes))) == found
    return found


def items_of_escapes() -> bytes:
    return b"".join(short(0x00091000 + n, "LO", b"\x1b(J" * 500) for n in range(1, 40))


def items(number: int, text: bytes = b"X" * 60) -> bytes:
    return b"".join(bare(ITEM, short(0x00080050, "SH", b"%06d" % n + text)) for n in range(number))


def test_a_long_sequence_is_kept_as_finished_json_that_reads_the_same() -> None:
    long_one, short_one = items(2000), items(2)
    dataset = walk(
        long(SEQUENCE, "SQ", long_one)
        + long(0x00081250, "SQ", short_one)
        + short(0x00100010, "PN", b"A^B ")
    )
    assert PACKED in dataset.attributes["00081140"]
    found = json_of(dataset)
    assert list(found) == ["00081140", "00081250", "00100010"]
    texts = [item["00080050"]["Value"][0] for item in found["00081140"]["Value"]]
    assert texts == [f"{number:06}" + "X" * 60 for number in range(2000)]
    assert found["00081250"]["Value"] == found["00081140"]["Value"][:2]


def test_a_long_sequence_is_not_told_of_with_its_study() -> None:
    dataset = walk(long(SEQUENCE, "SQ", items(2000)) + short(0x00100010, "PN", b"A^B "))
    told = [set(jsonmodel.level_attributes(dataset.attributes, level)) for level in Level]
    assert set().union(*told) == {"00100010"}


def test_elements_of_an_item_that_are_out_of_order_are_put_in_order() -> None:
    inner = (
        short(0x00100020, "LO", b"2 ")
        + long(0x00081250, "SQ", bare(ITEM, short(0x00080060, "CS", b"CT")))
        + short(0x00080050, "SH", b"1 ")
    )
    dataset = walk(long(SEQUENCE, "SQ", bare(ITEM, inner) + bare(ITEM)))
    (one, empty) = json_of(dataset)["00081140"]["Value"]
    assert list(one) == ["00080050", "00081250", "00100020"]
    assert one["00081250"]["Value"] == [{"00080060": {"vr": "CS", "Value": ["CT"]}}]
    assert empty == {}
    assert [problem.why for problem in dataset.problems] == ["out of order"] * 2


def test_an_element_that_is_there_twice_in_an_item_is_refused() -> None:
    twice = short(0x00080060, "CS", b"CT") + short(0x00080050, "SH", b"1 ")
    with pytest.raises(Unreadable, match="twice") as refusal:
        walk(long(SEQUENCE, "SQ", bare(ITEM, twice + short(0x00080060, "CS", b"CT"))))
    assert refusal.value.reason == reasons.DOES_NOT_MATCH_SOP_CLASS


def test_what_should_be_a_sequence_and_is_none_is_kept_as_its_bytes() -> None:
    dataset = walk(bare(0x0040A170, b"NAMED TYPE"), implicit=True)
    assert dataset.attributes["0040A170"] == {"vr": "UN", "InlineBinary": "TkFNRUQgVFlQRQ=="}
    assert [problem.tag for problem in dataset.problems] == ["0040A170"]


@pytest.mark.parametrize("implicit", [True, False])
def test_a_data_set_that_states_vrs_against_its_transfer_syntax_is_read(implicit: bool) -> None:
    data = short(0x00080060, "CS", b"CT") if implicit else bare(0x00080060, b"CT")
    dataset = walk(data, implicit=implicit)
    assert dataset.attributes["00080060"] == {"vr": "CS", "Value": ["CT"]}
    assert [problem.tag for problem in dataset.problems] == ["00020010"]


def test_compressed_pixel_data_without_a_vr_are_bytes() -> None:
    fragments = bare(ITEM) + bare(ITEM, b"1234") + bare(SEQUENCE_END)
    dataset = walk(bare(0x7FE00010, fragments, UNDEFINED), implicit=True)
    assert dataset.attributes["7FE00010"]["vr"] == "OB"
    assert dataset.pixel_data is not None
    assert dataset.pixel_data.encapsulated


def test_a_vr_of_the_future_is_kept_as_bytes() -> None:
    dataset = walk(long(0x00071001, "ZZ", b"12") + short(0x00080060, "CS", b"CT"))
    assert dataset.attributes["00071001"] == {"vr": "UN", "InlineBinary": "MTI="}
    assert dataset.attributes["00080060"]["Value"] == ["CT"]


def delimited() -> Iterator[bytes]:
    item = bare(ITEM, short(0x00080060, "CS", b"CT") + bare(ITEM_END), UNDEFINED)
    yield long(SEQUENCE, "SQ", item + bare(SEQUENCE_END), UNDEFINED)
    yield long(SEQUENCE, "SQ", item)


@pytest.mark.parametrize("data", list(delimited()))
def test_an_undefined_length_ends_at_its_delimiter_and_nowhere_else(data: bytes) -> None:
    assert json_of(walk(data))["00081140"]["Value"] == [{"00080060": {"vr": "CS", "Value": ["CT"]}}]
    for cut in range(1, len(data)):
        with pytest.raises(Unreadable):
            walk(data[:cut])


def of_all_kinds() -> Iterator[tuple[int, bytes]]:
    """Where each element, item and delimiter of a data set begins, and its bytes up to the next."""
    value = short(0x00080050, "SH", b"ACC-1 ")
    at = 0
    for piece in (
        short(0x00080060, "CS", b"CT"),
        long(SEQUENCE, "SQ", b"", UNDEFINED),
        bare(ITEM, b"", UNDEFINED),
        value,
        bare(ITEM_END),
        bare(ITEM, value),
        bare(SEQUENCE_END),
        long(0x00091001, "UN", b"", UNDEFINED),
        bare(ITEM, bare(0x00091002, b"1234")),
        bare(SEQUENCE_END),
        long(0x00880200, "SQ", bare(ITEM, value)),
        long(0x7FE00010, "OB", b"", UNDEFINED),
        bare(ITEM),
        bare(ITEM, b"12345678"),
        bare(SEQUENCE_END),
    ):
        yield at, piece
        at += len(piece)


def walked_to(data: bytes, limits: WalkLimits | None = None) -> int | None:
    """Where a data set is refused, or its end."""
    try:
        walk(data, limits)
    except Unreadable as refusal:
        return refusal.offset
    return len(data)


def test_a_refusal_tells_the_beginning_of_what_was_cut() -> None:
    begins = [at for at, _ in of_all_kinds()]
    data = b"".join(piece for _, piece in of_all_kinds())
    assert walked_to(data) == len(data)
    for cut in range(1, len(data)):
        assert walked_to(data[:cut]) == max(at for at in begins if at <= cut)


def test_a_header_that_is_too_long_is_so_at_the_place_that_was_reached() -> None:
    data = (
        short(0x00080005, "CS", b"ISO 2022 IR 13")
        + long(SEQUENCE, "SQ", items(1000))
        + long(0x00081250, "SQ", bare(ITEM, items_of_escapes()))
        + b"".join(long(0x00091000 + n, "OB", bytes(2000)) for n in range(1, 5))
    )
    told = [
        walked_to(data, WalkLimits(header_bytes=most)) or 0 for most in range(0, 400_000, 10_000)
    ]
    assert told == sorted(told)
    assert told[-1] <= len(data)
    assert len(set(told)) > 10


@pytest.mark.parametrize(
    ("limits", "number"),
    [
        (WalkLimits(items_per_sequence=5), 5),
        (WalkLimits(elements_per_level=5), 5),
        (WalkLimits(elements=5), 5),
    ],
)
def test_counts_are_held_to_their_limits(limits: WalkLimits, number: int) -> None:
    def data(number: int) -> bytes:
        if limits.items_per_sequence == 5:
            return long(SEQUENCE, "SQ", bare(ITEM) * number)
        return b"".join(short(0x00100000 + 16 + n, "LO", b"") for n in range(number))

    for some in (number - 1, number):
        walk(data(some), limits)
    with pytest.raises(Unreadable, match="too many"):
        walk(data(number + 1), limits)


def test_fragments_are_held_to_their_limit() -> None:
    def data(number: int) -> bytes:
        fragments = bare(ITEM) + bare(ITEM, b"12") * number + bare(SEQUENCE_END)
        return long(0x7FE00010, "OB", fragments, UNDEFINED)

    most = WalkLimits(fragments=10)
    walk(data(9), most)
    with pytest.raises(Unreadable):
        walk(data(12), most)


def test_a_header_that_is_too_long_is_out_of_resources() -> None:
    data = long(SEQUENCE, "SQ", items(5000))
    walk(data, WalkLimits(header_bytes=1_000_000))
    with pytest.raises(Unreadable, match="too long") as refusal:
        walk(data, WalkLimits(header_bytes=300_000))
    assert refusal.value.reason == reasons.OUT_OF_RESOURCES


@pytest.mark.parametrize(
    ("vr", "value", "most"),
    [("LO", b"A\\", 64), ("DT", b"2024\\", 64), ("PN", b"a=b=c\\", 448), ("US", b"\1\2", 64)],
)
def test_several_values_count_with_what_they_take_in_memory(
    vr: str, value: bytes, most: int
) -> None:
    data = short(0x00091001, vr, value * 500)
    walk(data, WalkLimits(header_bytes=(most + 2 * len(value)) * 510))
    with pytest.raises(Unreadable, match="too long"):
        walk(data, WalkLimits(header_bytes=most * 499))


def test_what_takes_long_and_becomes_little_json_counts_as_if_it_did() -> None:
    escapes = bare(ITEM, short(0x00091001, "LO", b"\x1b(B" * 1000))
    for items in (escapes, bare(ITEM) * 2000):
        data = long(SEQUENCE, "SQ", items)
        walk(data, WalkLimits(header_bytes=100_000))
        with pytest.raises(Unreadable, match="too long"):
            walk(data, WalkLimits(header_bytes=20_000))


def test_a_text_is_held_to_its_limit_and_no_bulk_value_is() -> None:
    data = long(0x00091001, "OB", bytes(5000)) + short(0x00100010, "PN", b"A" * 200)
    walk(data, WalkLimits(text_bytes=200))
    with pytest.raises(Unreadable, match="too long") as refusal:
        walk(data, WalkLimits(text_bytes=199))
    assert refusal.value.reason == reasons.OUT_OF_RESOURCES


@pytest.mark.parametrize(
    ("charset", "text", "told"),
    [
        (b"ISO_IR 100", b"\xfc" * 2000, "ü" * 2000),
        (b"\\ISO 2022 IR 87 ", b"\x1b$B;3\x1b(B" * 200, "山" * 200),
        (b"ISO_IR 100", b"u" * 2000, None),
        (b"ISO_IR 192", "ü".encode() * 1000, None),
        (b"ISO_IR 192", b"\xfc" * 2000, "\ufffd" * 2000),
        (b"ISO_IR 100", b"\xfc" * 70_000, None),
    ],
)
def test_long_text_is_bulk_data_if_it_is_unicode_as_the_metadata_say(
    charset: bytes, text: bytes, told: str | None
) -> None:
    value = long(0x0040A160, "UT", text)
    data = short(0x00080005, "CS", charset) + long(SEQUENCE, "SQ", bare(ITEM, value)) + value
    found = json_of(walk(data))
    for level, place in ((found, ""), (found["00081140"]["Value"][0], "00081140/0/")):
        kept = {"BulkDataURI": f"bulkdata/{place}0040A160"} if told is None else {"Value": [told]}
        assert level["0040A160"] == {"vr": "UT"} | kept


@pytest.mark.parametrize(
    ("vr", "text", "why"),
    [
        ("ST", "ü" * 1024, []),
        ("ST", "u" * 1026, ["longer than 1024 characters"]),
        ("LT", "u" * 10_240, []),
        ("LT", "ü" * 10_241, ["longer than 10240 characters"]),
    ],
)
def test_text_that_is_longer_than_its_vr_allows_is_told_of_in_bulk_too(
    vr: str, text: str, why: list[str]
) -> None:
    data = short(0x00080005, "CS", b"ISO_IR 192") + short(0x00104000, vr, text.encode())
    dataset = walk(data)
    assert dataset.attributes["00104000"] == {"vr": vr, "BulkDataURI": "bulkdata/00104000"}
    assert [problem.why for problem in dataset.problems] == why


@given(st.lists(st.integers(0, 3 * LONG), max_size=8), st.randoms(use_true_random=False))
def test_text_is_what_was_written_however_it_is_settled(sizes: list[int], random: Any) -> None:
    text, expected = JsonText(), b""
    for size in sizes:
        piece = bytes([random.randrange(32, 127)]) * size
        text.tail += piece
        expected += piece
        if random.random() < 0.5:
            text.settle()
    assert len(text) == len(expected)
    packed = text.finish()
    assert packed.length == len(expected)
    assert b"".join(packed.pieces()) == expected


def test_what_pydicom_writes_is_read_as_pydicom_reads_it() -> None:
    dataset = Dataset()
    dataset.add_new(0x00280010, "US", 4)
    dataset.add_new(0x00089215, "SQ", [])
    dataset.add_new(0x00181164, "DS", ["0.5", "1"])
    dataset.add_new(0x00280009, "AT", [0x00181063])
    data = b"".join(
        [
            long(0x00089215, "SQ", b""),
            short(0x00181164, "DS", b"0.5\\1 "),
            short(0x00280009, "AT", struct.pack("<2H", 0x0018, 0x1063)),
            short(0x00280010, "US", struct.pack("<H", 4)),
        ]
    )
    assert json_of(walk(data)) == {
        tag: {name: value for name, value in element.items() if value != []}
        for tag, element in sorted(json.loads(dataset.to_json()).items())
    }
