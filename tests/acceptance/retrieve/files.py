"""pydicom's own test files as objects that an archive can store, and what pydicom reads in them."""

import io
import warnings
from pathlib import Path

import numpy as np
import pydicom
from pydicom import Dataset
from pydicom.encaps import generate_frames
from pydicom.uid import ExplicitVRBigEndian, SecondaryCaptureImageStorage, generate_uid

FOLDER = Path(pydicom.__file__).parent / "data" / "test_files"

_NO_WHOLE_DATA_SET = {
    "ExplVR_BigEndNoMeta.dcm",
    "ExplVR_LitEndNoMeta.dcm",
    "SC_rgb_jpeg.dcm",
    "meta_missing_tsyntax.dcm",
    "no_meta.dcm",
    "rtplan_truncated.dcm",
    "rtstruct.dcm",
}
"""Without File Meta, without their end, or not to be written again."""

NAMES = sorted({path.name for path in FOLDER.glob("*.dcm")} - _NO_WHOLE_DATA_SET)


def storable(name: str) -> bytes:
    """The file with UIDs of its own and File Meta that agrees, which many of the files have not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(FOLDER / name)
        dataset.SOPInstanceUID = generate_uid()
        dataset.StudyInstanceUID = generate_uid()
        dataset.SeriesInstanceUID = generate_uid()
        dataset.SOPClassUID = dataset.get("SOPClassUID") or SecondaryCaptureImageStorage
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        file = io.BytesIO()
        dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def read(data: bytes) -> Dataset:
    """The data set as pydicom reads it, whatever pydicom thinks of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(io.BytesIO(data))
        dataset.walk(lambda _, element: element.value)
    return dataset


def frames_of(dataset: Dataset) -> list[bytes]:
    """The frames as they are sent: compressed ones as they are, native ones in little endian.

    Only those that are there whole.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    if "PixelData" not in dataset or "Rows" not in dataset:
        return []
    number_of_frames = str(dataset.get("NumberOfFrames", ""))
    count = int(number_of_frames) if number_of_frames.isdigit() else 1
    if syntax.is_encapsulated:
        table = [
            dataset.get(word) for word in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")
        ]
        offsets = tuple(table) if all(table) else None
        return list(
            generate_frames(dataset.PixelData, number_of_frames=count, extended_offsets=offsets)
        )
    pixels = dataset.PixelData
    if syntax == ExplicitVRBigEndian and (dataset["PixelData"].VR == "OW"):
        word = max(2, dataset.BitsAllocated // 8)
        pixels = np.frombuffer(pixels, f"u{word}").byteswap().tobytes()
    bits = dataset.Rows * dataset.Columns * dataset.SamplesPerPixel * dataset.BitsAllocated
    if dataset.PhotometricInterpretation == "YBR_FULL_422":
        bits = bits * 2 // 3
    if bits % 8 == 0:
        whole = (pixels[at : at + bits // 8] for at in range(0, len(pixels), bits // 8))
        return [frame for frame in whole if len(frame) == bits // 8][:count]
    unpacked = np.unpackbits(np.frombuffer(pixels, np.uint8), bitorder="little")
    return [
        np.packbits(unpacked[at * bits : (at + 1) * bits], bitorder="little").tobytes()
        for at in range(count)
    ]
