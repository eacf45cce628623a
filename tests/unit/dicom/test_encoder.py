"""Data sets of the JSON model become bytes that Store and others read as the same data sets."""

import base64
import io
import warnings
from typing import Any

import orjson
import pydicom
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydicom.dataset import FileMetaDataset

from app.dicom import nativexml
from app.dicom.dataset import Unreadable
from app.dicom.encoder import encode
from app.dicom.jsonmodel import dumps
from app.dicom.source import BytesSource
from app.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN, TRANSFER_SYNTAXES
from app.dicom.walker import read_dataset
from app.span import Span
from tests.unit.dicom.models import DATA_SETS, Attributes

BULK = b"bulk data"
NATIVE = TRANSFER_SYNTAXES[EXPLICIT_VR_LITTLE_ENDIAN]


def borrow(uri: str) -> Span | None:
    """`1` is all of the bulk data, `2` without its last byte."""
    return {"1": Span(0, len(BULK)), "2": Span(0, len(BULK) - 1)}.get(uri)


def encoded(attributes: Any) -> bytes:
    return b"".join(
        piece if isinstance(piece, bytes) else BULK[piece.offset : piece.end]
        for piece in encode(attributes, borrow)
    )


def read(data: bytes) -> Attributes:
    dataset = read_dataset(BytesSource(data), 0, NATIVE)
    attributes: Attributes = orjson.loads(dumps(dataset.attributes))
    return attributes


def one(vr: str | None, **form: Any) -> dict[str, Any]:
    return {"00711010": ({} if vr is None else {"vr": vr}) | form}


@hypothesis_settings(deadline=None)
@given(DATA_SETS)
def test_what_is_encoded_is_read_as_it_was(attributes: Attributes) -> None:
    found = read(encoded(attributes))
    charset = found.pop("00080005", None)
    assert found == attributes
    assert charset in (None, {"vr": "CS", "Value": ["ISO_IR 192"]})


@hypothesis_settings(deadline=None)
@given(DATA_SETS)
def test_what_comes_as_xml_is_encoded_as_what_comes_as_json(attributes: Attributes) -> None:
    from_json = orjson.loads(dumps(attributes))
    from_xml = nativexml.loads(nativexml.dumps(attributes))
    assert read(encoded(from_xml)) == read(encoded(from_json))


@hypothesis_settings(deadline=None)
@given(DATA_SETS)
def test_others_read_it_too(attributes: Attributes) -> None:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = EXPLICIT_VR_LITTLE_ENDIAN
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.filewriter.write_file_meta_info(file, meta, enforce_standard=False)
        data = bytes(128) + b"DICM" + file.getvalue() + encoded(attributes)
        dataset = pydicom.dcmread(io.BytesIO(data))
        tags = {f"{element.tag:08X}" for element in dataset}
    assert tags - {"00080005"} == attributes.keys()


@pytest.mark.parametrize(
    ("tag", "vr", "numbers"),
    [("30060050", "DS", [-12.5] * 15_000), ("00409212", "FD", [0.5] * 10_000)],
)
def test_more_numbers_than_a_length_of_16_bits_can_tell_are_read_all_the_same(
    tag: str, vr: str, numbers: list[float]
) -> None:
    data = encoded({tag: {"vr": vr, "Value": numbers}})
    (bulk,) = read_dataset(BytesSource(data), 0, NATIVE).bulk
    assert (bulk.path, bulk.vr) == (tag, vr)
    assert data[4:6] == b"UN"
    assert bulk.span.length == len(numbers) * (6 if vr == "DS" else 8)


def test_elements_are_in_the_order_of_their_tags() -> None:
    attributes = {"00711011": {"vr": "CS"}, "00711010": {"vr": "CS"}, "0008000a": {"vr": "CS"}}
    assert list(read(encoded(attributes))) == ["0008000A", "00711010", "00711011"]


def test_specific_character_set_comes_where_it_is_needed_and_is_always_that_of_unicode() -> None:
    assert "00080005" not in read(encoded(one("LO", Value=["Muller"])))
    assert read(encoded(one("LO", Value=["Müller"])))["00080005"]["Value"] == ["ISO_IR 192"]
    latin = {"00080005": {"vr": "CS", "Value": ["ISO_IR 100"]}} | one("LO", Value=["Müller"])
    assert b"ISO_IR 192" in encoded(latin)
    assert read(encoded(latin))["00711010"]["Value"] == ["Müller"]
    in_item = one("SQ", Value=[latin])
    assert read(encoded(in_item))["00711010"]["Value"][0]["00711010"]["Value"] == ["Müller"]
    assert encoded(in_item).count(b"ISO_IR 192") == 2


@pytest.mark.parametrize("value", [{}, {"Value": [""]}, {"Value": [None]}])
def test_an_empty_specific_character_set_in_an_item_does_not_hide_that_of_unicode(
    value: dict[str, Any],
) -> None:
    item = {"00080005": {"vr": "CS"} | value} | one("LO", Value=["Müller"])
    (found,) = read(encoded(one("SQ", Value=[item])))["00711010"]["Value"]
    assert found["00711010"]["Value"] == ["Müller"]


def test_what_some_say_of_an_element_beside_its_value_is_passed_over() -> None:
    described = one("LO", keyword="SeriesDescription", name="Series Description")
    assert encoded(described) == encoded(one("LO"))
    assert encoded(one("LO", Value=["a"], note="b")) == encoded(one("LO", Value=["a"]))


def test_text_that_is_borrowed_is_that_of_unicode() -> None:
    assert b"ISO_IR 192" in encoded(one("UT", BulkDataURI="1"))
    assert b"ISO_IR 192" in encoded(one("SQ", Value=[one("LT", BulkDataURI="1")]))
    assert b"ISO_IR 192" not in encoded(one("OB", BulkDataURI="1"))


def test_group_lengths_and_file_meta_are_passed_over() -> None:
    attributes = {
        "00020010": {"vr": "UI", "Value": ["1.2"]},
        "00080000": {"vr": "UL", "Value": [4]},
        "00080060": {"vr": "CS", "Value": ["CT"]},
    }
    assert encoded(attributes) == b"\x08\x00\x60\x00CS\x02\x00CT"


def test_borrowed_values_are_padded() -> None:
    assert encoded(one("OB", BulkDataURI="1")).endswith(b"\x0a\0\0\0bulk data\0")
    assert encoded(one("UT", BulkDataURI="1")).endswith(b"\x0a\0\0\0bulk data ")
    assert encoded(one("OB", BulkDataURI="2")).endswith(b"\x08\0\0\0bulk dat")
    in_item = one("SQ", Value=[one("OW", BulkDataURI="2")])
    assert b"bulk dat" in encoded(in_item)


@pytest.mark.parametrize(
    ("vr", "given_values", "written"),
    [
        ("DS", [1, 0.5, "1.50", None], b"1\\0.5\\1.50\\ "),
        ("DS", [1.2345678901234567e-100], b"1.23456789e-100 "),
        ("DS", [-123456789.123456789], b"-123456789.12346"),
        ("DS", [12345678901234567890], b"1.2345678901e+19"),
        ("IS", [1, 2.0, "3"], b"1\\2\\3 "),
        ("US", ["5", 6.0], b"\5\0\6\0"),
        ("FL", ["NaN", 1], b"\0\0\xc0\x7f\0\0\x80\x3f"),
        ("AT", ["0010002a"], b"\x10\0\x2a\0"),
        ("PN", ["A^B"], b"A^B "),
        ("PN", [{"Phonetic": "C"}, None], b"==C\\"),
        ("UI", ["1.2", "1.23"], b"1.2\\1.23"),
        ("UI", ["1.2"], b"1.2\0"),
    ],
)
def test_values_are_written_as_their_representation_has_them(
    vr: str, given_values: list[Any], written: bytes
) -> None:
    assert encoded(one(vr, Value=given_values)).endswith(written)


def test_the_representation_of_a_known_attribute_may_be_missing() -> None:
    attributes = {"00280103": {"Value": [1]}, "00280106": {"Value": [-1]}}
    assert read(encoded(attributes))["00280106"] == {"vr": "SS", "Value": [-1]}
    assert read(encoded({"00090010": {"Value": ["A"]}}))["00090010"]["vr"] == "LO"
    copied = {"00280106": {"vr": "US or SS", "Value": [1]}}
    assert read(encoded(copied))["00280106"] == {"vr": "US", "Value": [1]}


@pytest.mark.parametrize(
    ("attributes", "tag"),
    [
        ({"PatientID": {"vr": "LO"}}, None),
        ({"FFFEE000": {"vr": "OB"}}, "FFFEE000"),
        ({"00000002": {"vr": "UI"}}, "00000002"),
        (one("SQ", Value=[{"00020010": {"vr": "UI"}}]), "00020010"),
        ({"0008000a": {"vr": "CS"}, "0008000A": {"vr": "CS"}}, "0008000A"),
        ({"00711010": []}, "00711010"),
        (one("XX"), "00711010"),
        (one("OB", Value=[1]), "00711010"),
        (one("UN", Value=["x"]), "00711010"),
        (one("CS", Value="CT"), "00711010"),
        (one("CS", Value=[1]), "00711010"),
        (one("CS", Value=["ä"]), "00711010"),
        (one("LO", Value=["a\\b"]), "00711010"),
        (one("LT", Value=["a", "b"]), "00711010"),
        (one("LO", Value=["x" * 70000]), "00711010"),
        (one("US", Value=[70000]), "00711010"),
        (one("US", Value=[1.5]), "00711010"),
        (one("US", Value=[True]), "00711010"),
        (one("US", Value=[None]), "00711010"),
        (one("US", Value=["many"]), "00711010"),
        (one("US", Value=["1_0"]), "00711010"),
        (one("FD", Value=["１"]), "00711010"),
        (one("FL", Value=[1e300]), "00711010"),
        (one("IS", Value=[1.5]), "00711010"),
        (one("IS", Value=[float("inf")]), "00711010"),
        (one("IS", Value=[2.0**53]), "00711010"),
        (one("SV", Value=[2.0**53]), "00711010"),
        (one("DS", Value=[[]]), "00711010"),
        (one("AT", Value=["PatientID"]), "00711010"),
        (one("PN", Value=[7]), "00711010"),
        (one("PN", Value=[{"Alphabetic": 7}]), "00711010"),
        (one("PN", Value=[{"Alphabetic": "a=b"}]), "00711010"),
        (one("PN", Value=[{"alphabetic": "a"}]), "00711010"),
        (one("LO", value=["a"]), "00711010"),
        (one("OB", BulkDataUri="1"), "00711010"),
        (one("OB", DataFragment=[]), "00711010"),
        (one("SQ", Value=[7]), "00711010"),
        (one("SQ", InlineBinary=""), "00711010"),
        (one("SQ", BulkDataURI="1"), "00711010"),
        (one("OB", InlineBinary="?"), "00711010"),
        (one("OB", InlineBinary=7), "00711010"),
        (one("OB", BulkDataURI=7), "00711010"),
        (one("OB", BulkDataURI="3"), "00711010"),
        (one("US", BulkDataURI="1", Value=[1]), "00711010"),
    ],
)
def test_what_cannot_be_encoded_is_refused_by_name(attributes: Any, tag: str | None) -> None:
    with pytest.raises(Unreadable) as caught:
        encoded(attributes)
    assert caught.value.tag == tag


def test_bulk_data_that_are_missing_have_a_reason_of_their_own() -> None:
    with pytest.raises(Unreadable) as caught:
        encoded(one("OB", BulkDataURI="file:///etc/passwd"))
    assert caught.value.reason == 0xA922


def test_sequences_are_nested_only_so_deep() -> None:
    nested: Any = {}
    for _ in range(65):
        encoded(nested)
        nested = one("SQ", Value=[nested])
    with pytest.raises(Unreadable, match="nested too deeply"):
        encoded(nested)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)
_ELEMENTS = st.fixed_dictionaries(
    {"vr": st.sampled_from(["SQ", "PN", "US", "DS", "IS", "FL", "AT", "LO", "UT", "OB", "UN"])},
    optional={"Value": _JSON, "InlineBinary": _JSON, "BulkDataURI": _JSON},
)


@hypothesis_settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["00711010", "00711011"]), _ELEMENTS | _JSON))
def test_no_json_breaks_the_encoder(attributes: Any) -> None:
    try:
        data = encoded(attributes)
    except Unreadable:
        return
    read(data)


def test_inline_binary_is_written_as_it_is() -> None:
    value = base64.b64encode(b"\1\2\3").decode()
    assert encoded(one("OB", InlineBinary=value)).endswith(b"\4\0\0\0\1\2\3\0")
