"""Structured reports made in memory."""

from typing import Any

from pydicom import Dataset

from tests.factories import ct_dataset, part10

ENHANCED_SR = "1.2.840.10008.5.1.4.1.1.88.22"


def code(meaning: str, value: str = "121071") -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item


def content(kind: str, name: str | None, *children: Dataset, **values: Any) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", kind
    if name is not None:
        item.ConceptNameCodeSequence = [code(name)]
    if children:
        item.ContentSequence = list(children)
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def measured(value: str, unit: str) -> Dataset:
    item = Dataset()
    item.NumericValue = value
    item.MeasurementUnitsCodeSequence = [code(unit, unit)]
    return item


def referenced(sop_instance_uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    item.ReferencedSOPInstanceUID = sop_instance_uid
    return item


def report(*items: Dataset, title: str = "Imaging Report", **attributes: Any) -> bytes:
    """A Part 10 file of an Enhanced SR with this content."""
    return part10(
        ct_dataset(
            **{"SOPClassUID": ENHANCED_SR, "Modality": "SR", "PixelData": None} | attributes,
            ConceptNameCodeSequence=[code(title)],
            ContentSequence=list(items),
        )
    )
