"""Nothing that identifies is left, wherever in a data set it was."""

import base64
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.datadict import DicomDictionary

from app.dicom.deidentification import KEY_BYTES, Deidentifier, can_be_cleaned

KEY = b"k" * 32
CT, US = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.6.1"
EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
PIXELS: dict[str, Any] = {"7FE00010": {"vr": "OW", "BulkDataURI": "bulkdata/7FE00010"}}
LOOKUP_TABLES = {"00281201", "00281202", "00281203", "00281221", "00281222", "00281223", "00283006"}

SECRETS = ("ZYXWVQUUX", "Zyxwvquux", "19431107", "031415", "1.2.826.0.1.3680043.777")
BYTES = base64.b64encode(b"Zyxwvquux").decode()
NAME = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Zyxwvquux^Abc"}]}}


def seeded(vr: str) -> dict[str, Any]:
    """An element of this VR that tells who the patient is."""
    match vr:
        case "PN":
            return {"vr": vr, "Value": [{"Alphabetic": "Zyxwvquux^Abc", "Phonetic": "Zyxwvquux"}]}
        case "DA":
            return {"vr": vr, "Value": ["19431107"]}
        case "TM":
            return {"vr": vr, "Value": ["031415.5"]}
        case "DT":
            return {"vr": vr, "Value": ["19431107031415"]}
        case "UI":
            return {"vr": vr, "Value": ["1.2.826.0.1.3680043.777.1"]}
        case "CS":
            return {"vr": vr, "Value": ["A ZYXWVQUUX", "ORIGINAL"]}
        case "OB" | "OD" | "OF" | "OL" | "OV" | "OW" | "UN":
            return {"vr": vr, "InlineBinary": BYTES}
        case _:
            return {"vr": vr, "Value": ["Zyxwvquux"]}


TAGS = {
    f"{tag:08X}": str(entry[0]).split(" ", maxsplit=1)[0]
    for tag, entry in DicomDictionary.items()
    if tag >> 16 > 2 and entry[0] != "SQ" and f"{tag:08X}" not in LOOKUP_TABLES
}
PRIVATE = ("00090010", "00091001", "0029AA10", "60003000", "50003000", "600A4000")
ELEMENTS = st.one_of(
    st.sampled_from(sorted(TAGS)).map(lambda tag: (tag, seeded(TAGS[tag]))),
    st.tuples(
        st.sampled_from((*PRIVATE, *sorted(TAGS))),
        st.sampled_from(["LO", "UN", "CS", "UI", "DS", "IS", "PN", "UT", "OB"]).map(seeded),
    ).filter(lambda pair: pair[0] not in LOOKUP_TABLES),
)
DATASETS = st.recursive(
    st.lists(ELEMENTS, max_size=30).map(dict),
    lambda items: st.tuples(
        st.lists(ELEMENTS, max_size=10).map(dict),
        st.sampled_from(["52009229", "00081140", "00540016", "00289145", "00400275", "00091002"]),
        st.lists(items, max_size=3),
    ).map(lambda made: made[0] | {made[1]: {"vr": "SQ", "Value": made[2]}}),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(DATASETS)
def test_nothing_that_identifies_is_left(attributes: dict[str, Any]) -> None:
    told = orjson.dumps(Deidentifier(KEY).cleaned(attributes | NAME)).decode()
    for secret in (*SECRETS, BYTES):
        assert secret not in told


def test_of_every_attribute_of_the_standard_nothing_is_left_that_identifies() -> None:
    every = {tag: seeded(vr) for tag, vr in TAGS.items()}
    inside: dict[str, Any] = every | {"52009229": {"vr": "SQ", "Value": [every, {}]}}
    told = orjson.dumps(Deidentifier(KEY).cleaned(inside | NAME)).decode()
    for secret in (*SECRETS, BYTES):
        assert secret not in told


def test_what_images_are_shown_by_is_kept() -> None:
    kept: dict[str, Any] = {
        "00080008": {"vr": "CS", "Value": ["ORIGINAL", "PRIMARY", "AXIAL"]},
        "00080016": {"vr": "UI", "Value": [CT]},
        "00080060": {"vr": "CS", "Value": ["CT"]},
        "00200032": {"vr": "DS", "Value": [-1.5, 2.0, 3.0]},
        "00280010": {"vr": "US", "Value": [16]},
        "00281050": {"vr": "DS", "Value": [40]},
        "00283006": {"vr": "OW", "InlineBinary": "AAAA"},
    }
    cleaned = Deidentifier(KEY).cleaned(kept | NAME)
    assert {tag: cleaned.get(tag) for tag in kept} == kept
    assert cleaned["00120062"]["Value"] == ["YES"]
    assert cleaned["00120064"]["Value"][0]["00080100"]["Value"] == ["113100"]
    assert cleaned["00100010"] == {"vr": "PN"}


@pytest.mark.parametrize("name", ["Ono^Lin", "Prim^Ori", "Monochrome2", "Linear^Rgb"])
def test_an_image_is_the_same_whatever_somebody_is_called(name: str) -> None:
    codes: dict[str, Any] = {
        "00080008": {"vr": "CS", "Value": ["ORIGINAL", "PRIMARY"]},
        "00280004": {"vr": "CS", "Value": ["MONOCHROME2"]},
        "00281056": {"vr": "CS", "Value": ["LINEAR"]},
    }
    patient = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": name}]}}
    cleaned = Deidentifier(KEY).cleaned(codes | patient)
    assert {tag: cleaned.get(tag) for tag in codes} == codes


def test_uids_are_replaced_alike_with_the_same_key_alone() -> None:
    one, other = Deidentifier(KEY), Deidentifier(b"x" * 32)
    assert one.uid("1.2.3") == one.uid("1.2.3") != one.uid("1.2.4")
    assert one.uid("1.2.3").startswith("2.25.")
    assert len(one.uid("1.2.3")) <= 64
    assert one.uid("1.2.3") != other.uid("1.2.3")
    assert one.uid(CT) == CT
    referring = {
        "00081140": {
            "vr": "SQ",
            "Value": [{"00081155": {"vr": "UI", "Value": ["1.2.3"]}}],
        }
    }
    item = one.cleaned(referring)["00081140"]["Value"][0]
    assert item["00081155"]["Value"] == [one.uid("1.2.3")]


OVERLAY_OF_ITS_OWN = {
    "60000100": {"vr": "US", "Value": [1]},
    "60000102": {"vr": "US", "Value": [0]},
    "60003000": {"vr": "OW", "BulkDataURI": "x"},
}


@pytest.mark.parametrize(
    ("sop_class", "syntax", "others", "can"),
    [
        (CT, EXPLICIT, {}, True),
        (CT, BIG_ENDIAN, {}, False),
        (CT, EXPLICIT, {"00280301": {"vr": "CS", "Value": ["YES"]}}, False),
        (CT, EXPLICIT, {"00280302": {"vr": "CS", "Value": ["YES"]}}, False),
        (CT, EXPLICIT, {"00080008": {"vr": "CS", "Value": ["DERIVED", "SCREEN SAVE"]}}, False),
        (CT, EXPLICIT, {"00281201": {"vr": "OW", "BulkDataURI": "x"}}, False),
        (CT, EXPLICIT, {"60020102": {"vr": "US", "Value": [12]}}, False),
        (CT, EXPLICIT, {"60000100": {"vr": "US", "Value": [16]}}, False),
        (CT, EXPLICIT, OVERLAY_OF_ITS_OWN, True),
        (US, EXPLICIT, {}, False),
        (US, EXPLICIT, {"00280301": {"vr": "CS", "Value": ["NO"]}}, True),
        ("1.2.840.10008.5.1.4.1.1.88.11", EXPLICIT, {}, False),
        ("1.2.840.10008.5.1.4.1.1.104.1", EXPLICIT, {}, False),
        ("1.2.3.4", EXPLICIT, {}, False),
    ],
)
def test_what_cannot_be_cleaned_is_told(
    sop_class: str, syntax: str, others: dict[str, Any], can: bool
) -> None:
    assert can_be_cleaned(sop_class, syntax, PIXELS | others) is can


def test_sequences_that_tell_which_device_it_was_are_removed_whole() -> None:
    """UDI Sequence and Transducer Identification Sequence: X in PS3.15 table E.1-1."""
    item = {"vr": "SQ", "Value": [{"00181002": {"vr": "UI", "Value": ["1.2.3"]}}]}
    cleaned = Deidentifier(bytes(KEY_BYTES)).cleaned({"0018100A": item, "00185011": item})
    assert not {"0018100A", "00185011"} & cleaned.keys()
