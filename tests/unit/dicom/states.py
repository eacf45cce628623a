"""Presentation states made in memory."""

from typing import Any

import pydicom
from pydicom import Dataset
from pydicom.uid import generate_uid

from tests.factories import ct_dataset, part10

GRAYSCALE = "1.2.840.10008.5.1.4.1.1.11.1"
_NO_IMAGE = dict.fromkeys(
    (
        *("SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated"),
        *("BitsStored", "HighBit", "PixelRepresentation", "PixelData"),
        *("RescaleIntercept", "RescaleSlope"),
    )
)


def item(**attributes: Any) -> Dataset:
    """An item of a sequence."""
    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def reference(image: Dataset, *frames: int) -> Dataset:
    """An item that refers to an image, or to some of its frames."""
    found = item(
        ReferencedSOPClassUID=image.SOPClassUID, ReferencedSOPInstanceUID=image.SOPInstanceUID
    )
    if frames:
        found.ReferencedFrameNumber = list(frames)
    return found


def state_dataset(*images: Dataset, **attributes: Any) -> Dataset:
    """A Grayscale Softcopy Presentation State that refers to images of its study."""
    values = {"SOPClassUID": GRAYSCALE, "Modality": "PR", "PresentationLUTShape": "IDENTITY"}
    return ct_dataset(
        **_NO_IMAGE | values | attributes,
        StudyInstanceUID=images[0].StudyInstanceUID,
        SeriesInstanceUID=generate_uid(),
        ReferencedSeriesSequence=[
            item(
                SeriesInstanceUID=image.SeriesInstanceUID,
                ReferencedImageSequence=[reference(image)],
            )
            for image in images
        ],
    )


def state(*images: Dataset, **attributes: Any) -> bytes:
    """The same as a Part 10 file."""
    return part10(state_dataset(*images, **attributes))


def attributes_of(dataset: pydicom.Dataset) -> dict[str, Any]:
    """Its DICOM JSON."""
    found: dict[str, Any] = dataset.to_json_dict()
    return found
