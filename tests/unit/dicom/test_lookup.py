"""Lookup tables: descriptors of every shape, data inside and outside the JSON, segments."""

import base64
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dicom.lookup import LookupTable, Palette, bulk_path, read_table, to_eight_bits
from app.errors import Unprocessable

DESCRIPTOR, DATA = "00283002", "00283006"


def inline(data: bytes) -> dict[str, Any]:
    return {"vr": "OW", "InlineBinary": base64.b64encode(data).decode()}


def words(*values: int) -> dict[str, Any]:
    return inline(struct.pack(f"<{len(values)}H", *values))


def table(descriptor: list[int], data: dict[str, Any], **options: Any) -> LookupTable:
    attributes = {DESCRIPTOR: {"vr": "US", "Value": descriptor}, DATA: data}
    return read_table(attributes, DESCRIPTOR, DATA, options.pop("bulk", {}), **options)


def test_data_may_be_numbers_inline_bytes_or_bulk() -> None:
    entries = [1, 500, 65535]
    as_numbers = table([3, 0, 16], {"vr": "US", "Value": entries})
    as_bytes = table([3, 0, 16], words(*entries))
    as_bulk = table(
        [3, 0, 16],
        {"vr": "OW", "BulkDataURI": "bulkdata/00283010/0/00283006"},
        bulk={"00283010/0/00283006": struct.pack("<3H", *entries)},
    )

    assert as_numbers == as_bytes == as_bulk
    assert as_numbers.values().tolist() == entries


def test_a_count_of_zero_means_65536() -> None:
    data = np.arange(65536, dtype="<u2").tobytes()

    found = table([0, 0, 16], inline(data))

    assert found.values().size == 65536
    assert found.apply(np.array([65535])).tolist() == [65535]


def test_numbers_of_a_signed_vr_are_the_same_words() -> None:
    assert table([2, 0, 16], {"vr": "SS", "Value": [-1, 5]}).values().tolist() == [65535, 5]
    assert table([-32768, 0, 16], words(*range(32768))).values().size == 32768


@pytest.mark.parametrize(("signed", "first"), [(True, -16), (False, 65520)])
def test_the_first_input_is_signed_where_pixels_are(signed: bool, first: int) -> None:
    assert table([2, 65520, 16], words(7, 8), signed=signed).first == first


def test_two_entries_of_eight_bits_lie_in_a_word_or_each_in_its_own() -> None:
    packed = table([4, 0, 8], words(0x0201, 0x0403))
    wide = table([4, 0, 8], words(1, 2, 3, 4))

    assert packed.values().tolist() == wide.values().tolist() == [1, 2, 3, 4]


@given(st.integers(-(2**31), 2**31), st.integers(1, 9))
def test_no_input_reaches_beyond_the_table(value: int, count: int) -> None:
    found = LookupTable(-3, 16, np.arange(10, 10 + count, dtype=np.uint16).tobytes())

    inside = min(max(value + 3, 0), count - 1)
    assert found.apply(np.array([value])).tolist() == [10 + inside]


def test_inputs_that_are_no_numbers_take_an_entry_too() -> None:
    found = LookupTable(0, 16, np.array([4, 5, 6], np.uint16).tobytes())

    assert found.apply(np.array([np.nan, np.inf, -np.inf])).tolist() == [4, 6, 4]


@pytest.mark.parametrize(
    ("descriptor", "data"),
    [
        ([3, 0], words(1, 2, 3)),
        ([3, 0, "x"], words(1, 2, 3)),
        ([3, 0, 0], words(1, 2, 3)),
        ([3, 0, 17], words(1, 2, 3)),
        ([3, 0, 16], {"vr": "OW"}),
        ([3, 0, 16], {"vr": "OW", "InlineBinary": "no base64"}),
        ([3, 0, 16], {"vr": "US", "Value": [70_000]}),
        ([3, 0, 16], {"vr": "US", "Value": ["a"]}),
        ([3, 0, 16], {"vr": "OW", "BulkDataURI": "bulkdata/not-given"}),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_by_name(
    descriptor: list[Any], data: dict[str, Any]
) -> None:
    with pytest.raises(Unprocessable, match=r"\(0028,300[26]\)"):
        table(descriptor, data)


def test_a_table_shorter_than_it_says_is_used_as_far_as_it_goes() -> None:
    assert table([9, 0, 16], words(1, 2)).values().tolist() == [1, 2]


@pytest.mark.parametrize(
    ("bits", "values", "expected"),
    [(8, [0, 255], [0, 255]), (16, [0, 256, 65535], [0, 1, 255]), (1, [0, 1], [0, 255]),
     (4, [15, 7], [255, 119]), (8, [300], [255]), (12, [4095, 2048], [255, 128])],
)  # fmt: skip
def test_values_are_brought_to_eight_bits(
    bits: int, values: list[int], expected: list[int]
) -> None:
    assert to_eight_bits(np.array(values, np.uint16), bits).tolist() == expected


# Segmented tables (PS3.3 C.7.9.2)


def test_segments_discrete_linear_and_indirect() -> None:
    discrete, linear = [0, 2, 10, 20], [1, 4, 60]
    again = [2, 2, 0, 0]

    found = table([12, 0, 16], words(*discrete, *linear, *again), segmented=True)

    assert found.values().tolist() == [10, 20, 30, 40, 50, 60] * 2


def test_segments_of_eight_bits() -> None:
    data = bytes([0, 1, 0, 1, 255, 255, 0])

    found = table([256, 0, 8], inline(data + b"\0"), segmented=True)

    assert found.values().tolist() == list(range(256))


def test_an_indirect_segment_counts_its_offset_in_bytes() -> None:
    data = [0, 1, 9, 0, 2, 1, 2, 2, 1, 6, 0]

    assert table([5, 0, 16], words(*data), segmented=True).values().tolist() == [9, 1, 2, 1, 2]


@pytest.mark.parametrize(
    "data",
    [
        [1, 4, 60],
        [0, 9, 1],
        [3, 1, 1],
        [0, 1, 5, 2, 1, 400, 0],
        [0, 1, 5, 2, 5, 6, 0],
        [2, 1, 0, 0],
    ],
    ids=["linear-first", "cut-off", "unknown", "beyond", "itself", "nothing-yet"],
)
def test_segments_that_lead_nowhere_are_refused(data: list[int]) -> None:
    with pytest.raises(Unprocessable):
        table([400, 0, 16], words(*data), segmented=True)


@pytest.mark.timeout(20)
def test_segments_without_entries_come_to_an_end() -> None:
    """Each of the second half stands for all of the first: 400 million of them."""
    many = 20_000
    data = [0, 1, 5] + [0, 0] * many + [2, many, 6, 0] * many
    assert table([400, 0, 16], words(*data), segmented=True).values().tolist() == [5]


@given(st.binary(max_size=60), st.sampled_from([8, 16]))
def test_segments_of_any_bytes_never_make_more_than_the_descriptor_says(
    data: bytes, bits: int
) -> None:
    try:
        found = table([300, 0, bits], inline(data), segmented=True)
    except Unprocessable:
        return
    assert found.values().size <= 300


# Palettes


def test_a_palette_gives_a_colour_for_each_index_and_clamps_the_others() -> None:
    def ramp(*values: int) -> LookupTable:
        return LookupTable(10, 16, np.array(values, np.uint16).tobytes())

    palette = Palette(ramp(0, 65535), ramp(0, 0x8000), ramp(0xFF00, 0))

    assert palette.apply(np.array([[0, 10], [11, 255]])).tolist() == [
        [[0, 0, 255], [0, 0, 255]],
        [[255, 128, 0], [255, 128, 0]],
    ]


def test_entries_that_use_eight_of_sixteen_bits_are_not_shown_black() -> None:
    entries = LookupTable(0, 16, np.array([0, 200], np.uint16).tobytes())

    assert entries.as_bytes().tolist() == [0, 200]


def test_a_bulk_path_is_what_follows_the_prefix() -> None:
    assert bulk_path({"vr": "OW", "BulkDataURI": "bulkdata/00281201"}) == "00281201"
    assert bulk_path({"vr": "OW", "InlineBinary": "AA=="}) is None
