"""The values of a data set that the index matches."""

from typing import Any

import pytest

from app.dicom.attributes import Level
from app.dicom.dataset import Problem
from app.dicom.matched import level_columns, request_attributes
from app.dicom.phonetic import codes


def element(vr: str, *values: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}


def test_values_that_are_matched_are_kept_in_their_normal_forms() -> None:
    columns, problems = level_columns(
        {
            "00080020": element("DA", "2024.02.29"),
            "00080030": element("TM", "1011"),
            "00080050": element("SH", " ACC-1 "),
            "00080090": element("PN", {"Alphabetic": "Höuse^Gregory"}),
            "00100010": element("PN", {"Alphabetic": "Doe^Jane", "Ideographic": "山田"}),
            "00100020": element("LO", "PID-1"),
        },
        Level.STUDY,
    )
    assert columns["study_date"] == "20240229"
    assert columns["study_time"] == "101100.000000"
    assert columns["accession_number"] == "ACC-1"
    assert columns["referring_physician_name"] == "=house^gregory="
    assert columns["patient_name"] == "=doe^jane=山田="
    assert columns["patient_id"] == "PID-1"
    assert columns["patient_sex"] is None
    assert problems == []


def test_beside_names_is_kept_how_their_words_sound() -> None:
    names = [{"Alphabetic": "Meyer^Jo"}, {"Alphabetic": "Roe^Kim", "Ideographic": "山田"}]
    columns, _ = level_columns(
        {"00100010": element("PN", *names), "00080090": element("PN", {"Alphabetic": "Kim"})},
        Level.STUDY,
    )
    assert columns["sounds"] == ["patient_name~619000", "referring_physician_name~560000"]
    assert level_columns({}, Level.STUDY)[0]["sounds"] == []
    assert "sounds" not in level_columns({}, Level.SERIES)[0]


def test_counts_and_identifiers_are_not_the_business_of_a_row_of_values() -> None:
    columns, _ = level_columns({"0020000D": element("UI", "1.2")}, Level.STUDY)
    assert not columns.keys() & {"study_instance_uid", "modalities", "sop_classes"}


@pytest.mark.parametrize(
    ("tag", "vr", "value", "level", "column"),
    [
        ("00080020", "DA", "99999999", Level.STUDY, "study_date"),
        ("00080030", "TM", "999999", Level.STUDY, "study_time"),
        ("00200011", "IS", "one", Level.SERIES, "series_number"),
        ("00200013", "IS", "99999999999999999999", Level.INSTANCE, "instance_number"),
        ("00280010", "US", 2**31, Level.INSTANCE, "rows"),
        ("00100010", "PN", "a text", Level.STUDY, "patient_name"),
        ("00100010", "SQ", {"00080100": element("SH", "A")}, Level.STUDY, "patient_name"),
        ("00100020", "SQ", {"00080100": element("SH", "A")}, Level.STUDY, "patient_id"),
        ("00100020", "PN", {"Alphabetic": "A"}, Level.STUDY, "patient_id"),
    ],
)
def test_a_value_without_normal_form_is_not_matched_and_is_told_of(
    tag: str, vr: str, value: Any, level: Level, column: str
) -> None:
    columns, problems = level_columns({tag: element(vr, value)}, level)
    assert columns[column] is None
    assert [problem.tag for problem in problems] == [tag]
    assert isinstance(problems[0], Problem)


@pytest.mark.parametrize("empty", [element("DA"), element("DA", None), element("DA", "")])
def test_an_empty_value_is_no_problem(empty: dict[str, Any]) -> None:
    columns, problems = level_columns({"00080020": empty}, Level.STUDY)
    assert columns["study_date"] is None
    assert problems == []


def test_of_several_values_the_first_has_the_column_and_further_texts_are_kept() -> None:
    several = {
        "00080060": element("CS", None, "CT", "MR", "CT", "", "SR"),
        "00200011": element("IS", 1, 2),
        "0008103E": element("LO", "one", "one"),
    }
    columns, _ = level_columns(several, Level.SERIES)
    assert (columns["modality"], columns["series_number"]) == ("CT", 1)
    assert columns["further_values"] == {"modality": ["MR", "SR"]}
    assert level_columns({}, Level.STUDY)[0]["further_values"] is None


def test_no_row_grows_with_the_values_that_somebody_puts_into_one_attribute() -> None:
    many = [f"WORD{number}" for number in range(9000)]
    columns, _ = level_columns({"00081030": element("LO", *many)}, Level.STUDY)
    assert columns["further_values"] == {"study_description": many[1:64]}
    letters = [first + second for first in "abdefg" for second in "klmnrt"]
    words = [f"{one}{other}a" for one in letters for other in letters]
    long = {"Alphabetic": " ".join(words)}
    names = [long, *({"Alphabetic": f"{word}k"} for word in words)]
    columns, _ = level_columns({"00100010": element("PN", *names)}, Level.STUDY)
    assert columns["sounds"] == sorted(
        {f"patient_name~{code}" for word in words[:32] for code in codes(word)}
    )


def test_of_request_attributes_the_matched_ones_are_kept_by_item() -> None:
    sequence = element(
        "SQ",
        {"00400009": element("SH", "step"), "00321060": element("LO", "not matched")},
        {"00401001": element("SQ", {"00080100": element("SH", "item")})},
        {},
        {"00401001": element("SH", "procedure"), "00400009": element("SH")},
    )
    assert request_attributes(sequence) == [{"00400009": "step"}, {"00401001": "procedure"}]
    assert request_attributes(None) == []
    assert request_attributes(element("SQ")) == []
