"""Part 10 files and request bodies made in memory; no test needs a file of anybody's."""

import io
from collections.abc import Iterable
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"


def ct_dataset(**attributes: Any) -> Dataset:
    """A small CT Image with random UIDs; keywords set or replace attributes, None removes one."""
    dataset = Dataset()
    dataset.SOPClassUID = CT_IMAGE_STORAGE
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID = generate_uid()
    dataset.SeriesInstanceUID = generate_uid()
    dataset.StudyDate = "20240229"
    dataset.StudyTime = "101112.5"
    dataset.AccessionNumber = "ACC-1"
    dataset.Modality = "CT"
    dataset.StudyDescription = "Thorax"
    dataset.SeriesDescription = "Axial"
    dataset.ReferringPhysicianName = "House^Gregory"
    dataset.PatientName = "Doe^Jane"
    dataset.PatientID = "PID-1"
    dataset.PatientBirthDate = "19700101"
    dataset.PatientSex = "F"
    dataset.StudyID = "S1"
    dataset.SeriesNumber = 1
    dataset.InstanceNumber = 1
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows = 16
    dataset.Columns = 16
    dataset.BitsAllocated = 16
    dataset.BitsStored = 12
    dataset.HighBit = 11
    dataset.PixelRepresentation = 0
    dataset.RescaleIntercept = -1024
    dataset.RescaleSlope = 1
    dataset.PixelData = np.arange(256, dtype="<u2").tobytes()
    for keyword, value in attributes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def part10(dataset: Dataset, transfer_syntax_uid: str = ExplicitVRLittleEndian) -> bytes:
    """The data set as a Part 10 file in the given transfer syntax, pixel data as it is."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = transfer_syntax_uid
    meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", CT_IMAGE_STORAGE)
    meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "1.2.3")
    dataset.file_meta = meta
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def ct_series(slices: int, **attributes: Any) -> list[bytes]:
    """A series of CT Images of one study."""
    study, series = generate_uid(), generate_uid()
    return [
        part10(
            ct_dataset(
                **{"StudyInstanceUID": study, "SeriesInstanceUID": series} | attributes,
                InstanceNumber=number,
            )
        )
        for number in range(1, slices + 1)
    ]


def multipart(
    parts: Iterable[bytes], content_type: str = "application/dicom", boundary: str = "factory"
) -> tuple[bytes, str]:
    """A multipart/related body of the parts, and its Content-Type."""
    body = b"".join(
        b"--%b\r\nContent-Type: %b\r\n\r\n%b\r\n" % (boundary.encode(), content_type.encode(), part)
        for part in parts
    )
    kind = f'multipart/related; type="{content_type}"; boundary={boundary}'
    return body + b"--%b--\r\n" % boundary.encode(), kind
