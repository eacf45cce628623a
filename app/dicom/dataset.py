"""`DataSet`: what one pass over the bytes of a data set finds, and why bytes are refused.

The pass itself is `app.dicom.walker`; here are the values that it takes and gives. Offsets count
from the first byte of the Part 10 file (of the inflated file, if the data set is deflated).
"""

from array import array
from dataclasses import astuple, dataclass, field
from typing import Any

from app.dicom import reasons
from app.errors import ArchiveError
from app.span import Span

MIB = 1024 * 1024
GIB = 1024 * MIB

BULK = 1024
"""Bytes of the longest binary value that Store keeps in the JSON."""

Attributes = dict[str, dict[str, Any]]
"""A data set in the DICOM JSON model (PS3.18 Annex F): elements by tag, 8 upper-case hex digits."""


class Unreadable(ArchiveError):
    """The bytes are not a DICOM instance that the archive can keep."""

    def __init__(
        self,
        why: str,
        *,
        reason: int = reasons.CANNOT_UNDERSTAND,
        tag: str | None = None,
        offset: int | None = None,
    ) -> None:
        what = f"({tag[:4]},{tag[4:]}) " if tag else ""
        where = "" if offset is None else f" at byte {offset}"
        super().__init__(f"{what}{why}{where}")
        self.reason = reason
        """Failure Reason, see `app.dicom.reasons`."""
        self.tag = tag
        """The attribute at fault, 8 hex digits, if it is one."""
        self.offset = offset
        """Where in the file it was found, if at one place."""


def unreadable(
    reason: int, why: str, *, tag: int | None = None, at: int | None = None
) -> Unreadable:
    """The error that says why bytes are refused."""
    return Unreadable(why, reason=reason, tag=None if tag is None else f"{tag:08X}", offset=at)


@dataclass(frozen=True, slots=True)
class WalkLimits:
    """What reading one instance may cost. Beyond it the instance is refused."""

    header_bytes: int = 64 * MIB
    """The DICOM JSON of the instance, about; values that are in it count, bulk values do not.
    Items and escape sequences count as more than they become, since they take long."""
    nesting: int = 64
    """Sequences in sequences."""
    elements_per_level: int = 20_000
    """Data elements of one data set or item, together with those around it."""
    elements: int = 4_000_000
    """Data elements of one instance."""
    fragments: int = 1_000_000
    """Fragments of the pixel data."""
    items_per_sequence: int = 250_000
    inflated_bytes: int = 4 * GIB
    """Length of a deflated data set once it is inflated."""
    inflated_freely_bytes: int = 768 * MIB
    """The same, of an instance of any length."""
    inflated_ratio: int = 40
    """Inflated bytes for each byte of the instance, beyond those."""
    held_bytes: int = BULK
    """Of the longest binary value, text of unlimited length among them, that is in the JSON."""
    text_bytes: int = 64 * 1024
    """Of the longest value that is not binary. None may be longer (`values.LONGEST`)."""

    def and_no_more_than(self, other: "WalkLimits") -> "WalkLimits":
        """The smaller one of each limit."""
        return WalkLimits(*map(min, astuple(self), astuple(other)))

    def most_inflated(self, deflated_bytes: int) -> int:
        """How long the data set of an instance of so many bytes may be once it is inflated."""
        in_proportion = max(self.inflated_freely_bytes, self.inflated_ratio * deflated_bytes)
        return min(self.inflated_bytes, in_proportion)


@dataclass(frozen=True, slots=True)
class BulkValue:
    """A value that is not in the JSON: its path, VR, and where its bytes lie.

    The path is made of tags and 0-based item numbers: `7FE00010`, `00081140/0/00420011`.
    """

    path: str
    vr: str
    span: Span


@dataclass(frozen=True, slots=True)
class Problem:
    """Something against the standard that does not keep an instance from being stored."""

    tag: str
    """The attribute, 8 hex digits."""
    why: str


@dataclass(frozen=True, slots=True)
class PixelData:
    """Where the pixels of an instance lie (PS3.5 8)."""

    tag: str
    """`7FE00010`, `7FE00008` Float Pixel Data or `7FE00009` Double Float Pixel Data."""
    vr: str
    span: Span
    """Native: the value. Encapsulated: from the first item's tag to the sequence delimiter."""
    encapsulated: bool
    items: "array[int]" = field(default_factory=lambda: array("Q"))
    """Encapsulated: where each item's tag lies, the Basic Offset Table first, and their end."""


@dataclass(frozen=True, slots=True)
class DataSet:
    """A data set that was read to its end and found whole."""

    attributes: Attributes
    """The DICOM JSON model with relative BulkDataURIs, tags ascending, for `jsonmodel.pack`.
    A sequence of more than 64 KiB, or beyond 256 KiB of them, has finished JSON under `PACKED`."""
    bulk: tuple[BulkValue, ...]
    pixel_data: PixelData | None
    problems: tuple[Problem, ...]
