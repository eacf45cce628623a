"""Overlays: graphics of one bit a pixel that lie over an image (PS3.3 C.9.2).

Those of type G are shown, white; those of type R mark a region for calculations and would hide it.
Where an overlay has no data of its own, it lies in a bit of the image's cells that is not part of
their values, as devices did before 2004. One that cannot be used is passed over, since the image
can.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.dicom.jsonvalues import first_of, values_of
from app.dicom.lookup import bulk_path

GROUPS = tuple(f"{group:04X}" for group in range(0x6000, 0x6020, 2))
WHITE = 255

_ROWS, _COLUMNS, _TYPE, _ORIGIN = "0010", "0011", "0040", "0050"
_FRAMES, _FIRST_FRAME = "0015", "0051"
_BITS_ALLOCATED, _BIT_POSITION, _DATA = "0100", "0102", "3000"
_GRAPHICS = "G"
_LARGEST_SIDE = 65535


@dataclass(frozen=True, slots=True)
class Overlay:
    """Where the graphics lie over one frame, and its bits."""

    rows: int
    columns: int
    top: int
    """The row of the image that its first row lies on, counted from 0; may be negative."""
    left: int
    data: bytes = b""
    """Its bits from `first_bit` on, row by row, the lowest bit of a byte first."""
    first_bit: int = 0
    cell_bit: int | None = None
    """Which bit of the image's cells it is, where it has no data."""

    def burn(self, image: NDArray[np.uint8], cells: NDArray[Any] | None) -> None:
        """Make the pixels of the image white where the graphics are.

        `cells`: of the image's rows and columns, unsigned, where the overlay has no data.
        """
        mask: NDArray[Any]
        if self.cell_bit is None:
            count = self.rows * self.columns
            bits = np.unpackbits(np.frombuffer(self.data, np.uint8), bitorder="little")
            mask = bits[self.first_bit : self.first_bit + count].reshape(self.rows, self.columns)
        elif cells is not None and cells.ndim == 2:
            mask = cells[: self.rows, : self.columns] >> self.cell_bit & 1
        else:
            return
        mask = mask[max(-self.top, 0) :, max(-self.left, 0) :].astype(bool)
        under = image[max(self.top, 0) :, max(self.left, 0) :][: mask.shape[0], : mask.shape[1]]
        under[mask[: under.shape[0], : under.shape[1]]] = WHITE


def overlays_of(
    attributes: Mapping[str, Any], frame_number: int, bulk: Mapping[str, bytes]
) -> tuple[Overlay, ...]:
    """The graphics over one frame, counted from 1. `bulk` has the values of `overlay_paths`."""
    found = (_overlay(attributes, group, frame_number, bulk) for group in GROUPS)
    return tuple(overlay for overlay in found if overlay is not None)


def overlay_paths(attributes: Mapping[str, Any]) -> Iterator[str]:
    """The paths of the bits of overlays that lie outside the JSON."""
    for group in GROUPS:
        if first_of(attributes, group + _TYPE) == _GRAPHICS:
            path = bulk_path(attributes.get(group + _DATA, {}))
            if path is not None:
                yield path


def _overlay(
    attributes: Mapping[str, Any], group: str, frame_number: int, bulk: Mapping[str, bytes]
) -> Overlay | None:
    if first_of(attributes, group + _TYPE) != _GRAPHICS:
        return None
    rows, columns = (_number(attributes, group, side, None) for side in (_ROWS, _COLUMNS))
    if rows is None or columns is None:
        return None
    origin = values_of(attributes, group + _ORIGIN) or [1, 1]
    if len(origin) != 2 or not all(isinstance(value, int) for value in origin):
        return None
    place = rows, columns, origin[0] - 1, origin[1] - 1
    first = _number(attributes, group, _FIRST_FRAME, 1) or 1
    frames = _number(attributes, group, _FRAMES, None)
    index = frame_number - first if frames is not None else 0
    if index < 0 or (frames is not None and index >= frames):
        return None
    if group + _DATA not in attributes:
        bit = _number(attributes, group, _BIT_POSITION, None)
        deep = _number(attributes, group, _BITS_ALLOCATED, None)
        return Overlay(*place, cell_bit=bit) if bit is not None and deep in {8, 16, 32} else None
    data = _bits(attributes[group + _DATA], bulk)
    first_bit = index * rows * columns
    start, end = first_bit // 8, -(-(first_bit + rows * columns) // 8)
    return Overlay(*place, data[start:end], first_bit % 8) if len(data) >= end else None


def _bits(element: Mapping[str, Any], bulk: Mapping[str, bytes]) -> bytes:
    path = bulk_path(element)
    if path is not None:
        return bulk.get(path, b"")
    try:
        return base64.b64decode(element.get("InlineBinary", ""), validate=True)
    except (binascii.Error, ValueError, TypeError):
        return b""


def _number(
    attributes: Mapping[str, Any], group: str, element: str, default: int | None
) -> int | None:
    value = first_of(attributes, group + element)
    if value is None:
        return default
    return value if isinstance(value, int) and 0 <= value <= _LARGEST_SIDE else None
