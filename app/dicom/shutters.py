"""Display shutters: what lies outside of them is not shown (PS3.3 C.7.6.11)."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, floor, sqrt
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL import ImageDraw

from app.dicom.jsonvalues import values_of

_SHAPE, _VALUE = "00181600", "00181622"
_EDGES = ("00181602", "00181604", "00181606", "00181608")
_CENTER, _RADIUS, _VERTICES = "00181610", "00181612", "00181620"
_MOST_VERTICES = 10_000

Places = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Shutter:
    """One shape, in rows and columns of the image, counted from 1."""

    kind: str
    points: Places
    """Column and row: two corners, a centre, or the vertices."""
    radius: float = 0.0
    value: int = 0
    """What is shown outside, from 0 (black) to 255."""

    def close(self, image: NDArray[np.uint8]) -> None:
        """Blacken what of the image lies outside."""
        rows, columns = image.shape[:2]
        mask = PIL.Image.new("1", (columns, rows))
        pen = ImageDraw.Draw(mask)
        places = [(column - 1, row - 1) for column, row in self.points]
        match self.kind:
            case "RECTANGULAR":
                (left, top), (right, bottom) = places
                # The edges are the outermost columns and rows that are shown.
                if left <= right and top <= bottom:
                    pen.rectangle((left, top, right, bottom), fill=1)
            case "CIRCULAR":
                ((column, row),) = places
                # Row by row: an ellipse with a radius of a million takes Pillow a minute.
                for y in range(rows):
                    reach = self.radius**2 - (y - row) ** 2
                    half = sqrt(max(reach, 0))
                    left, right = ceil(column - half), floor(column + half)
                    if reach >= 0 and left <= right:
                        pen.line((left, y, right, y), fill=1)
            case "POLYGONAL":
                pen.polygon(places, fill=1)
        image[~np.asarray(mask, bool)] = self.value


def shutters_of(attributes: Mapping[str, Any]) -> tuple[Shutter, ...]:
    """The shutters that a data set describes; a shape that cannot be used is passed over."""
    shapes = values_of(attributes, _SHAPE)
    value = _numbers(attributes, _VALUE) or [0]
    shown = min(max(int(value[0]) >> 8, 0), 255)
    found = (_shutter(str(shape).strip(), attributes, shown) for shape in shapes[:3])
    return tuple(shutter for shutter in found if shutter is not None)


def _shutter(kind: str, attributes: Mapping[str, Any], value: int) -> Shutter | None:
    match kind:
        case "RECTANGULAR":
            edges = [number for tag in _EDGES for number in _numbers(attributes, tag)[:1]]
            if len(edges) == 4:
                left, right, upper, lower = edges
                return Shutter(kind, ((left, upper), (right, lower)), value=value)
        case "CIRCULAR":
            center, radius = _numbers(attributes, _CENTER), _numbers(attributes, _RADIUS)
            if len(center) == 2 and radius and radius[0] > 0:
                return Shutter(kind, ((center[1], center[0]),), radius[0], value)
        case "POLYGONAL":
            places = _numbers(attributes, _VERTICES)
            if 6 <= len(places) <= 2 * _MOST_VERTICES and len(places) % 2 == 0:
                vertices = zip(places[1::2], places[::2], strict=True)
                return Shutter(kind, tuple(vertices), value=value)
    return None


def _numbers(attributes: Mapping[str, Any], tag: str) -> list[float]:
    values = values_of(attributes, tag)
    usable = all(isinstance(value, int | float) and abs(value) <= 10**6 for value in values)
    return [float(value) for value in values] if usable else []
