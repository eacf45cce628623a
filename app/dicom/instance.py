"""A SOP Instance as Store reads it: everything that will ever be asked of it, from one pass."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from app.dicom import reasons
from app.dicom.dataset import DataSet, Problem, WalkLimits, unreadable
from app.dicom.deflate import inflate
from app.dicom.frames import FrameMap, map_frames
from app.dicom.part10 import FileMeta, read_file_meta
from app.dicom.source import GrowingSource, Source, WritableSource
from app.dicom.uids import TRANSFER_SYNTAXES, TransferSyntax, valid_uid
from app.dicom.walker import read_dataset

_IDENTITY = {
    "00080016": "SOPClassUID",
    "00080018": "SOPInstanceUID",
    "0020000D": "StudyInstanceUID",
    "0020000E": "SeriesInstanceUID",
}


_COUNTS = {"00280008": "NumberOfFrames", "00280010": "Rows", "00280011": "Columns"}
_BITS_ALLOCATED = "00280100"
_IMAGE = ("00280010", "00280011", "00280100")
"""Rows, Columns, Bits Allocated: what describes pixel data that follow."""


@dataclass(frozen=True, slots=True)
class SopInstance:
    """Identity, attributes and frame map of one instance."""

    transfer_syntax: TransferSyntax
    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    dataset: DataSet
    frames: FrameMap | None
    problems: tuple[Problem, ...]


InflateInto = Callable[[], AbstractContextManager[WritableSource]]


def read_instance(
    source: Source,
    limits: WalkLimits | None = None,
    inflate_into: InflateInto = lambda: nullcontext(GrowingSource()),
) -> SopInstance:
    """Read a Part 10 file. Raises `Unreadable` with the failure reason of the Store response.

    A deflated data set is inflated into what `inflate_into` gives, which is needed no longer when
    this returns; spans count in the inflated file then.
    """
    limits = limits or WalkLimits()
    meta = read_file_meta(source)
    syntax = TRANSFER_SYNTAXES.get(meta.transfer_syntax_uid)
    if syntax is None:
        raise unreadable(
            reasons.UNSUPPORTED_TRANSFER_SYNTAX,
            f"the transfer syntax {meta.transfer_syntax_uid[:64]!r} is not supported",
            tag=0x00020010,
        )
    if not syntax.deflated:
        return _read(source, meta, syntax, limits)
    with inflate_into() as inflated:
        inflate(source, inflated, limits.most_inflated(source.size))
        return _read(inflated, meta, syntax, limits)


def _read(
    source: Source, meta: FileMeta, syntax: TransferSyntax, limits: WalkLimits
) -> SopInstance:
    dataset = read_dataset(source, meta.end, syntax, limits)
    sop_class, sop_instance, study, series = (_uid(dataset, tag) for tag in _IDENTITY)
    problems = [*dataset.problems, *_disagreements(meta, sop_class, sop_instance)]
    pixels = dataset.pixel_data
    if pixels is not None and pixels.encapsulated != syntax.encapsulated:
        how = "encapsulated" if pixels.encapsulated else "native"
        problems.append(Problem(pixels.tag, f"it is {how}, against the transfer syntax"))
    if pixels is None and all(tag in dataset.attributes for tag in _IMAGE):
        problems.append(Problem("7FE00010", "is not there; the file may have been cut before it"))
    if pixels is not None:
        problems += _impossible(dataset)
    if "00100020" not in dataset.attributes:
        problems.append(Problem("00100020", "PatientID is not there"))
    return SopInstance(
        syntax,
        sop_class,
        sop_instance,
        study,
        series,
        dataset,
        map_frames(source, dataset, encapsulated=syntax.encapsulated),
        tuple(problems),
    )


def _impossible(dataset: DataSet) -> Iterator[Problem]:
    """What is said of the pixel data that nothing can be (PS3.5 8.1.1, PS3.3 C.7.6.3)."""
    for tag, name in _COUNTS.items():
        number = _number(dataset, tag)
        if number is not None and number < 1:
            yield Problem(tag, f"{name} is {number}, with pixel data")
    bits = _number(dataset, _BITS_ALLOCATED)
    if bits is not None and bits != 1 and (bits < 1 or bits % 8):
        yield Problem(_BITS_ALLOCATED, f"BitsAllocated is {bits}, neither 1 nor a multiple of 8")


def _number(dataset: DataSet, tag: str) -> int | None:
    """The first value, if it is a number; what is none was told by the walk."""
    values = dataset.attributes.get(tag, {}).get("Value") or [None]
    return values[0] if isinstance(values[0], int) else None


def _uid(dataset: DataSet, tag: str) -> str:
    element: dict[str, Any] | None = dataset.attributes.get(tag)
    if element is None:
        raise unreadable(reasons.MISSING_ATTRIBUTE, f"no {_IDENTITY[tag]}", tag=int(tag, 16))
    values = element.get("Value")
    if not values:
        raise unreadable(reasons.MISSING_VALUE, f"{_IDENTITY[tag]} is empty", tag=int(tag, 16))
    if len(values) != 1 or not valid_uid(str(values[0])):
        raise unreadable(reasons.INVALID_VALUE, f"{_IDENTITY[tag]} is no UID", tag=int(tag, 16))
    return str(values[0])


def _disagreements(meta: FileMeta, sop_class: str, sop_instance: str) -> Iterator[Problem]:
    """Where File Meta names another object than the data set, which alone counts.

    Tools that give new UIDs often forget File Meta; every fifth file of public collections is so.
    """
    if meta.media_storage_sop_class_uid not in {None, "", sop_class}:
        yield Problem("00020002", "differs from SOPClassUID in the data set, which counts")
    if meta.media_storage_sop_instance_uid not in {None, "", sop_instance}:
        yield Problem("00020003", "differs from SOPInstanceUID in the data set, which counts")
