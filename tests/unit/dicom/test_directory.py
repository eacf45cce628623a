"""A DICOMDIR as pydicom reads it: links, keys, and what is left empty or out."""

import io
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from app.dicom.directory import Directory, record_type

CT, SR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.88.11"
EXPLICIT = "1.2.840.10008.1.2.1"
FIRST_PLACE = "OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity"


def ui(value: str) -> dict[str, Any]:
    return {"vr": "UI", "Value": [value]}


def instance(series: str, sop_class: str = CT, **more: Any) -> dict[str, Any]:
    attributes = {
        "00080016": ui(sop_class),
        "00080018": ui(generate_uid()),
        "00080020": {"vr": "DA", "Value": ["20240229"]},
        "00080060": {"vr": "CS", "Value": ["CT"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Łukasz^Jan"}]},
        "00100020": {"vr": "LO", "Value": ["P1"]},
        "0020000D": ui("1.2.3"),
        "0020000E": ui(series),
    }
    if sop_class == CT:
        attributes["7FE00010"] = {"vr": "OW", "BulkDataURI": "x"}
    return attributes | {f"{tag[1:]}": element for tag, element in more.items()}


def written(*instances: tuple[dict[str, Any], str]) -> tuple[Dataset, dict[int, Dataset]]:
    """The DICOMDIR of the instances, and its records by their places."""
    file = io.BytesIO()
    directory = Directory(file, "1.2.9")
    for attributes, file_id in instances:
        directory.add(attributes, file_id, EXPLICIT)
    directory.finish()
    read = dcmread(io.BytesIO(file.getvalue()))
    return read, {one.seq_item_tell: one for one in read.DirectoryRecordSequence}


def chain(records: dict[int, Dataset], place: int) -> list[Dataset]:
    """The record at this place, and its siblings after it."""
    found = []
    while place:
        found.append(records[place])
        place = found[-1].OffsetOfTheNextDirectoryRecord
    return found


def below(records: dict[int, Dataset], record: Dataset) -> list[Dataset]:
    return chain(records, record.OffsetOfReferencedLowerLevelDirectoryEntity)


def test_records_are_linked_as_a_tree() -> None:
    names = [("1", "A/1"), ("1", "A/2"), ("2", "B/1"), ("3", "C/1"), ("3", "C/2")]
    given = [(instance(series), name) for series, name in names]
    read, records = written(*given)
    assert read.file_meta.MediaStorageSOPClassUID.name == "Media Storage Directory Storage"
    (patient,) = chain(records, read[FIRST_PLACE].value)
    (study,) = below(records, patient)
    tree = {
        series.SeriesInstanceUID: [list(one.ReferencedFileID) for one in below(records, series)]
        for series in below(records, study)
    }
    assert tree == {"1": [["A", "1"], ["A", "2"]], "2": [["B", "1"]], "3": [["C", "1"], ["C", "2"]]}
    kinds = " ".join(one.DirectoryRecordType for one in read.DirectoryRecordSequence)
    assert kinds == "PATIENT STUDY SERIES IMAGE IMAGE SERIES IMAGE SERIES IMAGE IMAGE"


def test_keys_come_from_the_instance_and_numbers_are_counted() -> None:
    given = instance("1", _00200013={"vr": "IS", "Value": [7]})
    read, _ = written((given, "A/1"), (instance("1"), "A/2"), (instance("2"), "B/1"))
    patient, study, series, first, second, other, third = read.DirectoryRecordSequence
    assert patient.PatientName == "Łukasz^Jan"
    assert (study.StudyDate, study.StudyTime, study.StudyID) == ("20240229", "", "")
    assert (series.SeriesNumber, other.SeriesNumber) == (1, 2)
    assert (first.InstanceNumber, second.InstanceNumber, third.InstanceNumber) == (7, 2, 1)
    assert first.ReferencedSOPInstanceUIDInFile == given["00080018"]["Value"][0]
    assert first.ReferencedSOPClassUIDInFile == CT
    assert first.ReferencedTransferSyntaxUIDInFile == EXPLICIT


def test_what_is_none_of_its_vr_is_left_empty() -> None:
    given = instance("1", _00080060={"vr": "CS", "Value": ["ÄÖ"]})
    given["00200013"] = {"vr": "IS", "Value": ["1\\2"]}
    read, _ = written((given, "A/1"))
    _, _, series, image = read.DirectoryRecordSequence
    assert not series.Modality
    assert not image.InstanceNumber


def test_a_report_has_its_title_and_what_modifies_it() -> None:
    def item(relationship: str) -> dict[str, Any]:
        return {"0040A010": {"vr": "CS", "Value": [relationship]}}

    content = {"vr": "SQ", "Value": [item("CONTAINS"), item("HAS CONCEPT MOD")]}
    title = {"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": ["11528-7"]}}]}
    given = instance("1", SR, _0040A043=title, _0040A730=content)
    read, _ = written((given, "A/1"))
    record = read.DirectoryRecordSequence[-1]
    assert record.DirectoryRecordType == "SR DOCUMENT"
    assert record.ConceptNameCodeSequence[0].CodeValue == "11528-7"
    assert [one.RelationshipType for one in record.ContentSequence] == ["HAS CONCEPT MOD"]


def test_content_that_is_no_sequence_modifies_nothing() -> None:
    for content in ({"vr": "LO", "Value": ["A", "B"]}, {"vr": "US", "Value": [1]}, {"vr": "SQ"}):
        _, records = written((instance("1", SR, _0040A730=content), "DICOM/I1"))
        (record,) = (one for one in records.values() if one.DirectoryRecordType == "SR DOCUMENT")
        assert not record.ContentSequence


def test_what_has_no_type_of_record_has_no_record() -> None:
    read, _ = written((instance("1", "1.2.3.4"), "A/1"))
    assert not read.DirectoryRecordSequence
    assert read[FIRST_PLACE].value == 0


@pytest.mark.parametrize(
    ("sop_class", "kind"),
    [
        ("9.1.1", "WAVEFORM"),
        ("88.59", "KEY OBJECT DOC"),
        ("88.33", "SR DOCUMENT"),
        ("66", "RAW DATA"),
        ("66.1", "REGISTRATION"),
        ("104.1", "ENCAP DOC"),
        ("11.1", "PRESENTATION"),
        ("481.5", "RT PLAN"),
        ("68.1", "SURFACE SCAN"),
        ("77.1.5.3", "STEREOMETRIC"),
        ("78.1", "MEASUREMENT"),
        ("79.1", "SR DOCUMENT"),
        ("80.1", "MEASUREMENT"),
        ("90.1", "ASSESSMENT"),
        ("481.10", "RADIOTHERAPY"),
        ("481.20", "RADIOTHERAPY"),
        ("481.22", "RADIOTHERAPY"),
        ("481.23", None),
        ("131", "PRESENTATION"),
        ("481.1", None),
        ("201.1", None),
    ],
)
def test_record_types_follow_from_sop_classes(sop_class: str, kind: str | None) -> None:
    assert record_type({"00080016": ui(f"1.2.840.10008.5.1.4.1.1.{sop_class}")}) == kind


@pytest.mark.parametrize("kind", ["68.1", "77.1.5.3", "78.1", "90.1", "481.10"])
def test_each_type_has_a_record_below_its_series(kind: str) -> None:
    given = instance("1", f"1.2.840.10008.5.1.4.1.1.{kind}")
    read, _ = written((given, "A/1"))
    record = read.DirectoryRecordSequence[-1]
    assert record.DirectoryRecordType == record_type(given)
    assert record.ReferencedSOPInstanceUIDInFile == given["00080018"]["Value"][0]
