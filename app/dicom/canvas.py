"""An image as a presentation state shows it: cut, turned, flipped, scaled, with its graphics on it.

The order is that of PS3.4 N.2.4: shutters, the displayed area and its orientation, then graphics,
which are drawn in the size that is shown, so that their lines stay thin.
"""

import numpy as np

from app.dicom.graphics import Place, draw_graphics
from app.dicom.softcopy import Area, Softcopy
from app.dicom.viewport import LONGEST_SIDE, Image, Viewport, scaled
from app.errors import TooLarge


def composed(image: Image, softcopy: Softcopy, viewport: Viewport | None, largest: int) -> Image:
    """What is shown of the rendered image, at most `largest` pixels of it.

    Raises `TooLarge`, and `InvalidParameter` for a viewport that sees nothing of it.
    """
    rows, columns = image.shape[:2]
    area = softcopy.area or Area(0, 0, columns, rows)
    if softcopy.shutters:
        image = np.array(image)
        for shutter in softcopy.shutters:
            shutter.close(image)
    width, height = area.right - area.left, area.bottom - area.top
    if width * height > largest:
        raise TooLarge(f"An area of {width} x {height} pixels is too large to render.")
    shown = _cut(image, area)
    shown = np.rot90(shown, -softcopy.quarter_turns)
    if softcopy.flipped:
        shown = shown[:, ::-1]
    turned = softcopy.quarter_turns % 2 == 1
    across, down = (1.0, softcopy.pixel_height) if not turned else (softcopy.pixel_height, 1.0)
    factor = softcopy.magnification
    whole = viewport is None or viewport.is_whole
    if viewport is not None and viewport.is_whole:
        factor = min(
            viewport.width / (shown.shape[1] * across), viewport.height / (shown.shape[0] * down)
        )
        if not viewport.enlarge:
            factor = min(factor, 1.0)
    size = (
        max(round(shown.shape[0] * down * factor), 1),
        max(round(shown.shape[1] * across * factor), 1),
    )
    if size[0] * size[1] > largest or max(size) > LONGEST_SIDE:
        raise TooLarge(f"{size[1]} x {size[0]} pixels are too many to render.")
    shown = scaled(np.ascontiguousarray(shown), *size)

    def onto(place: Place) -> Place:
        x, y = (place[0] - area.left) / width, (place[1] - area.top) / height
        for _ in range(softcopy.quarter_turns):
            x, y = 1 - y, x
        return (1 - x if softcopy.flipped else x) * size[1], y * size[0]

    shown = draw_graphics(shown, softcopy.graphics, onto)
    return shown if whole or viewport is None else viewport.apply(shown)


def _cut(image: Image, area: Area) -> Image:
    """The area of the image; what of it lies outside is black."""
    rows, columns = image.shape[:2]
    inside = image[
        min(max(area.top, 0), rows) : max(min(area.bottom, rows), 0),
        min(max(area.left, 0), columns) : max(min(area.right, columns), 0),
    ]
    shape = (area.bottom - area.top, area.right - area.left, *image.shape[2:])
    if inside.shape == shape:
        return inside
    shown = np.zeros(shape, np.uint8)
    top, left = max(-area.top, 0), max(-area.left, 0)
    shown[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return shown
