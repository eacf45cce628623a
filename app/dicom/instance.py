"""A SOP Instance as Store reads it: everything that will ever be asked of it, from one pass."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from app.dicom import reasons
from app.dicom.contradictions import contradictions
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
    frames = map_frames(source, dataset, syntax)
    return SopInstance(
        syntax,
        sop_class,
        sop_instance,
        study,
        series,
        dataset,
        frames,
        (*dataset.problems, *contradictions(meta, syntax, dataset, frames)),
    )


def _uid(dataset: DataSet, tag: str) -> str:
    element: dict[str, Any] | None = dataset.attributes.get(tag)
    if element is None:
        raise unreadable(reasons.MISSING_ATTRIBUTE, f"no {_IDENTITY[tag]}", tag=int(tag, 16))
    values = element.get("Value")
    if not values:
        raise unreadable(reasons.MISSING_VALUE, f"{_IDENTITY[tag]} is empty", tag=int(tag, 16))
    value, *others = values
    if others or not isinstance(value, str) or not valid_uid(value):
        raise unreadable(reasons.INVALID_VALUE, f"{_IDENTITY[tag]} is no UID", tag=int(tag, 16))
    return value
