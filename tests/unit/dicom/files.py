"""pydicom's own test files, which are installed with it: their attributes, frames and bytes."""

import warnings
from pathlib import Path
from typing import Any

import pydicom
from numpy.typing import NDArray
from pydicom.encaps import generate_frames
from pydicom.pixels import pixel_array

FOLDER = Path(pydicom.__file__).parent / "data" / "test_files"


def read(name: str) -> pydicom.Dataset:
    """The file as pydicom reads it, whatever pydicom thinks of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(FOLDER / name)


def attributes_of(dataset: pydicom.Dataset) -> dict[str, Any]:
    """Its DICOM JSON, with the pixel data replaced by a reference as the archive keeps it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        attributes: dict[str, Any] = {
            f"{element.tag:08X}": element.to_json_dict(None, 10**9)
            for element in dataset
            if element.tag.group in (0x0028, 0x5200)
        }
    for tag in ("7FE00008", "7FE00009", "7FE00010"):
        if tag in dataset:
            attributes[tag] = {"vr": dataset[tag].VR, "BulkDataURI": f"bulkdata/{tag}"}
    return attributes


def first_frame(dataset: pydicom.Dataset) -> bytes:
    """The codestream of frame 1, or all native pixel data, which begin with it."""
    if not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return bytes(dataset.PixelData)
    frames = int(dataset.get("NumberOfFrames") or 1)
    codestream: bytes = next(iter(generate_frames(dataset.PixelData, number_of_frames=frames)))
    return codestream


def reference(name: str, plugin: str = "") -> NDArray[Any]:
    """Frame 1 as pydicom decodes it, with the help of one of its plugins."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(FOLDER / name)
        samples: NDArray[Any] = pixel_array(dataset, index=0, decoding_plugin=plugin)
    return samples


def images(*, encapsulated: bool) -> list[str]:
    """The names of the files that are images; one whose Number of Frames is "1A" is not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [path.name for path in sorted(FOLDER.iterdir()) if _is_image(path, encapsulated)]


def _is_image(path: Path, encapsulated: bool) -> bool:
    try:
        dataset = pydicom.dcmread(path)
        int(dataset.get("NumberOfFrames") or 1)
        syntax = dataset.file_meta.TransferSyntaxUID
    except (AttributeError, OSError, ValueError, pydicom.errors.InvalidDicomError):
        return False
    is_it: bool = syntax.is_encapsulated == encapsulated
    return is_it and "PixelData" in dataset and "Rows" in dataset
