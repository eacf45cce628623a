"""Graphics and texts of a presentation state, drawn over what is shown (PS3.3 C.10.5)."""

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import hypot, isfinite
from typing import Any

import numpy as np
import PIL.Image
from PIL import ImageDraw, ImageFont

from app.dicom.annotation import font_for
from app.dicom.jsonvalues import Attributes, first_of, items_of, values_of
from app.dicom.lookup import bulk_path
from app.dicom.viewport import Image

Place = tuple[float, float]
Onto = Callable[[Place], Place]
"""From a place in the image, in its columns and rows, to one in what is shown."""

WHITE = 255

_ANNOTATIONS, _LAYERS = "00700001", "00700060"
_LAYER, _ORDER, _GREY = "00700002", "00700062", "00700066"
_TEXTS, _TEXT = "00700008", "00700006"
_BOX_UNITS, _BOX = "00700003", ("00700010", "00700011")
_ANCHOR_UNITS, _ANCHOR, _ANCHOR_VISIBLE = "00700004", "00700014", "00700015"
_OBJECTS, _UNITS, _DATA, _KIND, _FILLED = (
    "00700009",
    "00700005",
    "00700022",
    "00700023",
    "00700024",
)
_MOST = 10_000
_STEPS = 8
"""Straight pieces between two points of a curve."""
_POINTS_NEEDED = {
    "POINT": 1,
    "POLYLINE": 2,
    "INTERPOLATED": 2,
    "CIRCLE": 2,
    "ELLIPSE": 4,
    "TEXT": 1,
}


@dataclass(frozen=True, slots=True)
class Graphic:
    """One object: what it is, and where."""

    kind: str
    points: tuple[Place, ...]
    """Columns and rows from the corner of the image, or (`in_display`) parts of what is shown."""
    in_display: bool = False
    filled: bool = False
    text: str = ""
    grey: int = WHITE


def graphics_of(
    state: Attributes, applies: Callable[[Attributes], bool], bulk: Mapping[str, bytes]
) -> tuple[Graphic, ...]:
    """The graphics of the annotations that apply, those of lower layers first."""
    layers = {
        str(first_of(layer, _LAYER)): (_integer(layer, _ORDER, 0), _grey(layer))
        for layer in items_of(state, _LAYERS)
    }
    found = [
        (layers.get(str(first_of(item, _LAYER)), (0, WHITE)), item)
        for item in items_of(state, _ANNOTATIONS)
        if applies(item)
    ]
    found.sort(key=lambda each: each[0][0])
    return tuple(
        graphic
        for (_, grey), item in found
        for graphic in (*_objects(item, grey, bulk), *_texts(item, grey))
    )[:_MOST]


def _objects(item: Attributes, grey: int, bulk: Mapping[str, bytes]) -> Iterator[Graphic]:
    for each in items_of(item, _OBJECTS):
        kind = str(first_of(each, _KIND)).strip()
        points = _points(each, bulk)
        if kind in _POINTS_NEEDED and len(points) >= _POINTS_NEEDED[kind]:
            filled = str(first_of(each, _FILLED)).strip() == "Y"
            yield Graphic(kind, points, _is_display(each, _UNITS), filled, grey=grey)


def _texts(item: Attributes, grey: int) -> Iterator[Graphic]:
    """A text stands in its box, or at its anchor; to a visible anchor leads a line."""
    for each in items_of(item, _TEXTS):
        text = str(first_of(each, _TEXT) or "")
        corners = [place for tag in _BOX for place in _pairs(values_of(each, tag))]
        anchor = _pairs(values_of(each, _ANCHOR))[:1]
        if len(corners) == 2:
            place: Place = min(corners[0][0], corners[1][0]), min(corners[0][1], corners[1][1])
            units = _BOX_UNITS
        elif anchor:
            place, units = anchor[0], _ANCHOR_UNITS
        else:
            continue
        in_display = _is_display(each, units)
        yield Graphic("TEXT", (place,), in_display, text=text, grey=grey)
        same_units = in_display == _is_display(each, _ANCHOR_UNITS)
        visible = str(first_of(each, _ANCHOR_VISIBLE)).strip() == "Y"
        if anchor and len(corners) == 2 and visible and same_units:
            yield Graphic("POLYLINE", (place, anchor[0]), in_display, grey=grey)


def draw_graphics(image: Image, graphics: tuple[Graphic, ...], onto: Onto) -> Image:
    """The image with the graphics on it. `onto` says where a place of the source is in it."""
    if not graphics:
        return image
    picture = PIL.Image.fromarray(np.ascontiguousarray(image))
    pen = ImageDraw.Draw(picture)
    height, width = image.shape[:2]
    font = font_for(image)

    def in_display(place: Place) -> Place:
        return place[0] * width, place[1] * height

    for graphic in graphics:
        to = in_display if graphic.in_display else onto
        _draw(pen, graphic, to, font, graphic.grey if image.ndim == 2 else (graphic.grey,) * 3)
    return np.asarray(picture)


def _draw(
    pen: ImageDraw.ImageDraw,
    graphic: Graphic,
    to: Onto,
    font: ImageFont.FreeTypeFont,
    colour: Any,
) -> None:
    places = [to(place) for place in _outline(graphic)]
    if not all(isfinite(x) and isfinite(y) and max(abs(x), abs(y)) < 1e6 for x, y in places):
        return
    if graphic.kind == "TEXT":
        lines = "".join(sign for sign in graphic.text if sign.isprintable() or sign == "\n")
        pen.multiline_text(places[0], lines[:1024], colour, font)
    elif graphic.kind == "POINT":
        ((x, y),) = places[:1]
        pen.ellipse((x - 1, y - 1, x + 1, y + 1), fill=colour)
    elif graphic.filled and len(places) > 2:
        pen.polygon(places, fill=colour)
    else:
        pen.line(places, fill=colour)


def _outline(graphic: Graphic) -> list[Place]:
    """The corners of the line that is drawn, so many that a curve looks like one."""
    points = graphic.points
    match graphic.kind:
        case "CIRCLE":
            center, edge = points[:2]
            radius = hypot(edge[0] - center[0], edge[1] - center[1])
            return _ellipse(center, (radius, 0.0), (0.0, radius))
        case "ELLIPSE":
            a, b, c, d = points[:4]
            center = (a[0] + b[0]) / 2, (a[1] + b[1]) / 2
            return _ellipse(
                center,
                ((b[0] - a[0]) / 2, (b[1] - a[1]) / 2),
                ((d[0] - c[0]) / 2, (d[1] - c[1]) / 2),
            )
        case "INTERPOLATED" if len(points) > 2:
            return _curve(points)
    return list(points)


def _ellipse(center: Place, major: Place, minor: Place) -> list[Place]:
    angles = np.linspace(0, 2 * np.pi, 129)
    return [
        (
            center[0] + major[0] * float(np.cos(angle)) + minor[0] * float(np.sin(angle)),
            center[1] + major[1] * float(np.cos(angle)) + minor[1] * float(np.sin(angle)),
        )
        for angle in angles
    ]


def _curve(points: tuple[Place, ...]) -> list[Place]:
    """Through all points, smoothly (Catmull-Rom); closed if it ends where it begins."""
    closed = points[0] == points[-1]
    before, after = (points[-2], points[1]) if closed else (points[0], points[-1])
    path = np.array([before, *points, after])
    pieces = [points[0]]
    for p0, p1, p2, p3 in zip(path, path[1:], path[2:], path[3:], strict=False):
        for step in range(1, _STEPS + 1):
            t = step / _STEPS
            place = 0.5 * (
                2 * p1
                + (p2 - p0) * t
                + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
                + (3 * p1 - p0 - 3 * p2 + p3) * t**3
            )
            pieces.append((float(place[0]), float(place[1])))
    return pieces


def _points(item: Attributes, bulk: Mapping[str, bytes]) -> tuple[Place, ...]:
    element = item.get(_DATA, {})
    path = bulk_path(element)
    if path is None:
        return tuple(_pairs(element.get("Value") or []))
    data = bulk.get(path, b"")
    return tuple(_pairs(list(struct.unpack(f"<{len(data) // 4}f", data[: len(data) // 4 * 4]))))


def _pairs(values: list[Any]) -> list[Place]:
    if len(values) % 2 or len(values) > 2 * _MOST:
        return []
    if not all(isinstance(value, int | float) and isfinite(value) for value in values):
        return []
    return [(float(x), float(y)) for x, y in zip(values[::2], values[1::2], strict=True)]


def _grey(layer: Attributes) -> int:
    """Of a layer, as it is recommended; what is hardly visible on black is made white."""
    grey = _integer(layer, _GREY, 0xFFFF) >> 8
    return grey if 64 <= grey <= WHITE else WHITE


def _is_display(item: Attributes, units: str) -> bool:
    return str(first_of(item, units)).strip() == "DISPLAY"


def _integer(attributes: Attributes, tag: str, default: int) -> int:
    value = first_of(attributes, tag)
    return value if isinstance(value, int) else default
