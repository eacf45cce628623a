"""The names of attributes."""

import pytest

from app.dicom.dictionary import is_private, keyword_of, private_creator_of, tag_of, vr_of


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("00100010", "00100010"),
        ("0020000d", "0020000D"),
        ("PatientName", "00100010"),
        ("patientname", "00100010"),
        ("PATIENTNAME", "00100010"),
        ("60003000", "60003000"),
        ("OverlayRows", "60000010"),
        ("60023000", "60023000"),
        ("00091001", "00091001"),
        ("00100011", None),
        ("PatientNam", None),
        ("0010,0010", None),
        ("", None),
        ("limit", None),
    ],
)
def test_an_attribute_is_known_by_its_tag_and_keyword(name: str, tag: str | None) -> None:
    assert tag_of(name) == tag


def test_what_the_dictionary_says() -> None:
    assert vr_of("00100010") == "PN"
    assert vr_of("00091001") is None
    assert keyword_of("00100010") == "PatientName"
    assert keyword_of("00091001") == "00091001"
    assert is_private("00091001")
    assert not is_private("00100010")
    assert private_creator_of("00091001") == "00090010"
    assert private_creator_of("0009FF01") == "000900FF"
