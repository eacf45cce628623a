"""The `viewport` of a rendered image: which part of it, mirrored or not, how large (PS3.18 8.3.5).

The region is cut first, then scaled, its aspect kept, to the largest size that fits the viewport.
Scaling down averages all the pixels that an output pixel covers, so that nothing fine vanishes.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from app.dicom import normal
from app.errors import InvalidParameter

Image = NDArray[np.uint8]

BILINEAR = PIL.Image.Resampling.BILINEAR

LONGEST_SIDE = 65_535
"""Pixels; what the image formats can say."""


@dataclass(frozen=True, slots=True)
class Viewport:
    """Size in pixels of the output, and the region of the source that it shows.

    A negative width or height of the region mirrors it. None is up to the edge of the source.
    """

    width: int
    height: int
    left: float = 0.0
    top: float = 0.0
    region_width: float | None = None
    region_height: float | None = None
    enlarge: bool = True
    """Whether an image that is smaller than the viewport is scaled up."""

    @classmethod
    def parse(cls, text: str, largest: int) -> "Viewport":
        """Of `vw,vh[,sx,sy,sw,sh]`; the last four may each be empty. At most `largest` pixels.

        Raises `InvalidParameter`.
        """
        fields = [field.strip() for field in text.split(",")]
        if len(fields) not in (2, 6):
            raise InvalidParameter("viewport", text, "must be vw,vh or vw,vh,sx,sy,sw,sh")
        width, height = map(normal.integer, fields[:2])
        region = [normal.decimal(field) for field in fields[2:]] or [None] * 4
        misread = any(
            field and each is None for field, each in zip(fields[2:], region, strict=False)
        )
        if width is None or height is None or misread:
            raise InvalidParameter("viewport", text, "has a value that is no number")
        left, top, region_width, region_height = region
        if not 1 <= width <= LONGEST_SIDE or not 1 <= height <= LONGEST_SIDE:
            raise InvalidParameter("viewport", text, f"width and height are 1 to {LONGEST_SIDE}")
        if width * height > largest:
            raise InvalidParameter("viewport", text, f"has more than {largest} pixels")
        if min(left or 0, top or 0) < 0:
            raise InvalidParameter("viewport", text, "the region must begin inside the image")
        if 0 in (region_width, region_height):
            raise InvalidParameter("viewport", text, "the region has no area")
        return cls(width, height, left or 0.0, top or 0.0, region_width, region_height)

    def apply(self, image: Image) -> Image:
        """The image as seen through the viewport. Raises `InvalidParameter` if it sees nothing."""
        region = image[self.region(*image.shape[:2])]
        if (self.region_height or 0) < 0:
            region = region[::-1]
        if (self.region_width or 0) < 0:
            region = region[:, ::-1]
        rows, columns = region.shape[:2]
        factor = min(self.width / columns, self.height / rows)
        if factor > 1 and not self.enlarge:
            factor = 1.0
        return scaled(
            region,
            min(max(round(rows * factor), 1), self.height),
            min(max(round(columns * factor), 1), self.width),
        )

    def region(self, rows: int, columns: int) -> tuple[slice, slice]:
        """The rows and columns that it sees. Raises `InvalidParameter` if there are none."""
        down = _extent(self.top, self.region_height, rows)
        across = _extent(self.left, self.region_width, columns)
        if down.start >= down.stop or across.start >= across.stop:
            text = f"{self.left:g},{self.top:g}"
            raise InvalidParameter("viewport", text, f"lies outside of {columns} x {rows} pixels")
        return down, across

    @property
    def is_whole(self) -> bool:
        """Whether it sees all of the source, not mirrored."""
        return (self.left, self.top, self.region_width, self.region_height) == (0, 0, None, None)

    def without_enlarging(self) -> "Viewport":
        """The same viewport for an image that is never scaled up, as a thumbnail."""
        return replace(self, enlarge=False)


def _extent(start: float, length: float | None, size: int) -> slice:
    end = size if length is None else min(math.ceil(start + abs(length)), size)
    return slice(math.floor(min(start, size)), end)


def scaled(image: Image, rows: int, columns: int) -> Image:
    """The image in another size, by the area that each output pixel covers (or linearly, up)."""
    if image.shape[:2] == (rows, columns):
        return image
    source = PIL.Image.fromarray(np.ascontiguousarray(image))
    # Far down, whole blocks of pixels are averaged first: five times as fast, and seen by nobody.
    return np.asarray(source.resize((columns, rows), BILINEAR, reducing_gap=3.0))
