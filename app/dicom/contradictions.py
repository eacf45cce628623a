"""What an instance says of itself that cannot be so. It is kept all the same, and the sender told.

Only what can be seen in few attributes is looked at: what a SOP Class asks for is not.
"""

from collections.abc import Iterator

from app.dicom import moments
from app.dicom.dataset import DataSet, Problem
from app.dicom.frames import FrameMap
from app.dicom.part10 import FileMeta
from app.dicom.uids import TransferSyntax

_NUMBER_OF_FRAMES, _BITS_ALLOCATED = "00280008", "00280100"
_DESCRIBING_PIXELS = {"00280010": "Rows", "00280011": "Columns", _BITS_ALLOCATED: "BitsAllocated"}
"""What pixel data cannot be read without."""

_AT_LEAST_ONE = range(1, 2**31)
_POSSIBLE = {
    "00280002": ("SamplesPerPixel", _AT_LEAST_ONE),
    _NUMBER_OF_FRAMES: ("NumberOfFrames", _AT_LEAST_ONE),
    "00280010": ("Rows", _AT_LEAST_ONE),
    "00280011": ("Columns", _AT_LEAST_ONE),
    "00280103": ("PixelRepresentation", range(2)),
}
"""Which numbers describe pixels (PS3.3 C.7.6.3)."""


def contradictions(
    meta: FileMeta,
    syntax: TransferSyntax,
    dataset: DataSet,
    frames: FrameMap | None,
) -> Iterator[Problem]:
    """Each of them; `frames` are those that the data set was found to have."""
    yield from _of_another_object(meta, dataset)
    if dataset.pixel_data is not None and frames is not None:
        yield from _of_pixels(syntax, dataset, frames)
    elif all(tag in dataset.attributes for tag in _DESCRIBING_PIXELS):
        yield Problem("7FE00010", "is not there; the file may have been cut before it")
    if "00100020" not in dataset.attributes:
        yield Problem("00100020", "PatientID is not there")
    zone = _first_value(dataset, "00080201")
    if zone is not None and moments.offset(str(zone)) is None:
        yield Problem("00080201", "not an offset from UTC")


def _of_another_object(meta: FileMeta, dataset: DataSet) -> Iterator[Problem]:
    """Where File Meta names another object than the data set, which alone counts.

    Tools that give new UIDs often forget File Meta; every fifth file of public collections is so.
    """
    if meta.media_storage_sop_class_uid not in {None, "", _first_value(dataset, "00080016")}:
        yield Problem("00020002", "differs from SOPClassUID in the data set, which counts")
    if meta.media_storage_sop_instance_uid not in {None, "", _first_value(dataset, "00080018")}:
        yield Problem("00020003", "differs from SOPInstanceUID in the data set, which counts")


def _of_pixels(syntax: TransferSyntax, dataset: DataSet, frames: FrameMap) -> Iterator[Problem]:
    pixels = dataset.pixel_data
    assert pixels is not None
    if pixels.encapsulated != syntax.encapsulated:
        how = "encapsulated" if pixels.encapsulated else "native"
        yield Problem(pixels.tag, f"it is {how}, against the transfer syntax")
        return
    odd = [*_of_numbers(dataset), *_of_bits(dataset)]
    yield from odd
    told, there = _number(dataset, _NUMBER_OF_FRAMES) or 1, frames.number_of_frames
    if there < told and not odd and not syntax.video:
        yield Problem(pixels.tag, f"it has {there} frames, not {told}")


def _of_numbers(dataset: DataSet) -> Iterator[Problem]:
    for tag, name in _DESCRIBING_PIXELS.items():
        if _first_value(dataset, tag) is None:
            yield Problem(tag, f"{name} has no value, with pixel data")
    for tag, (name, possible) in _POSSIBLE.items():
        number = _number(dataset, tag)
        if number is not None and number not in possible:
            yield Problem(tag, f"{name} is {number}, with pixel data")


def _of_bits(dataset: DataSet) -> Iterator[Problem]:
    """PS3.5 8.1.1."""
    allocated = _number(dataset, _BITS_ALLOCATED)
    if allocated is None:
        return
    if allocated != 1 and (allocated < 1 or allocated % 8):
        why = f"BitsAllocated is {allocated}, neither 1 nor a multiple of 8"
        yield Problem(_BITS_ALLOCATED, why)
        return
    stored, high = _number(dataset, "00280101"), _number(dataset, "00280102")
    if stored is not None and not 1 <= stored <= allocated:
        yield Problem("00280101", f"BitsStored is {stored}, of {allocated}")
    if high is not None and not 0 <= high < allocated:
        yield Problem("00280102", f"HighBit is {high}, of {allocated} bits")


def _first_value(dataset: DataSet, tag: str) -> object:
    values = dataset.attributes.get(tag, {}).get("Value")
    return values[0] if values else None


def _number(dataset: DataSet, tag: str) -> int | None:
    """The first value, if it is a number; what is none was told by the walk."""
    value = _first_value(dataset, tag)
    return value if isinstance(value, int) else None
