"""Presentation states: how an image is shown, as an object of its own says (PS3.3 A.33, C.11).

    softcopy_of(state, image, frame_number, bulk, image_bulk) -> Softcopy

Of grayscale and colour softcopy presentation states. The grey stages of the image itself mean
nothing under a state, nor does its Photometric Interpretation: what the state does not say is left
out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from app.dicom.graphics import Graphic, graphics_of
from app.dicom.jsonmodel import BULK_PREFIX
from app.dicom.jsonvalues import Attributes, first_of, items_of, values_of
from app.dicom.lookup import LookupTable
from app.dicom.overlays import GROUPS, overlays_of
from app.dicom.presentation import Presentation, Rescale, Window, presentation_of
from app.dicom.shutters import Shutter, shutters_of
from app.errors import NotFound

GRAYSCALE, COLOUR = "1.2.840.10008.5.1.4.1.1.11.1", "1.2.840.10008.5.1.4.1.1.11.2"

STATES = frozenset({GRAYSCALE, COLOUR})
"""The SOP Classes that are understood."""

_SERIES, _IMAGES = "00081115", "00081140"
_SERIES_UID, _INSTANCE_UID, _FRAMES = "0020000E", "00081155", "00081160"
_SOFTCOPY_VOI, _LUT_SHAPE = "00283110", "20500020"
_AREAS, _TOP_LEFT, _BOTTOM_RIGHT = "0070005A", "00700052", "00700053"
_SIZE_MODE, _MAGNIFICATION = "00700100", "00700103"
_SPACING, _ASPECT = "00700101", "00700102"
_FLIP, _ROTATION = "00700041", "00700042"
_ACTIVATED = "1001"
_LARGEST_PLACE = 65_535


@dataclass(frozen=True, slots=True)
class Area:
    """The part of the image that is shown, in its columns and rows; may reach beyond it."""

    left: int
    top: int
    right: int
    bottom: int
    """The first row that is not shown."""


@dataclass(frozen=True, slots=True)
class Softcopy:
    """What a state says of one frame."""

    presentation: Presentation
    shutters: tuple[Shutter, ...] = ()
    area: Area | None = None
    quarter_turns: int = 0
    """Clockwise, before it is flipped."""
    flipped: bool = False
    """From left to right."""
    magnification: float = 1.0
    """Pixels shown for one column of the image, where no size is asked for."""
    pixel_height: float = 1.0
    """Of one pixel of the image, if it is one wide."""
    graphics: tuple[Graphic, ...] = ()


def referenced_images(state: Attributes) -> list[tuple[str, str, int]]:
    """Series UID, SOP Instance UID and the first frame of each image that a state is about."""
    return [
        (str(first_of(series, _SERIES_UID)), str(first_of(image, _INSTANCE_UID)), _frame_of(image))
        for series in items_of(state, _SERIES)
        for image in items_of(series, _IMAGES)
    ]


def bulk_paths(state: Attributes) -> list[str]:
    """The paths of all values of a state that lie outside the JSON."""
    paths: list[str] = []
    waiting: list[Any] = [state]
    while waiting:
        place = waiting.pop()
        if isinstance(place, list):
            waiting += place
        elif isinstance(place, Mapping):
            uri = place.get("BulkDataURI")
            if uri is not None:
                paths.append(str(uri).removeprefix(BULK_PREFIX))
            waiting += place.values()
    return paths


def softcopy_of(
    state: Attributes,
    image: Attributes,
    frame_number: int,
    bulk: Mapping[str, bytes],
    image_bulk: Mapping[str, bytes],
) -> Softcopy:
    """What the state says of a frame of the image.

    `bulk` has the values of `bulk_paths`, `image_bulk` those of `presentation.lookup_paths`. Raises
    `NotFound` if the state is not about the image, `Unprocessable`.
    """
    uid = str(first_of(image, "00080018"))
    if not any(uid == found for _, found, _ in referenced_images(state)):
        raise NotFound("The presentation state does not refer to the image.")

    def applies(item: Attributes) -> bool:
        return _applies(item, uid, frame_number)

    area = next(filter(applies, items_of(state, _AREAS)), {})
    turns = _number(state, _ROTATION, 0.0) / 90
    return Softcopy(
        _presentation(state, image, frame_number, bulk, image_bulk),
        shutters_of(state),
        _area(area),
        int(turns) % 4 if turns == int(turns) else 0,
        str(first_of(state, _FLIP)).strip() == "Y",
        _magnification(area),
        _pixel_height(area),
        graphics_of(state, applies, bulk),
    )


def _presentation(
    state: Attributes,
    image: Attributes,
    frame_number: int,
    bulk: Mapping[str, bytes],
    image_bulk: Mapping[str, bytes],
) -> Presentation:
    own = presentation_of(image, frame_number, image_bulk)
    overlays = tuple(
        overlay
        for group in GROUPS
        if first_of(state, group + _ACTIVATED)
        for place, values in ((state, bulk), (image, image_bulk))
        for overlay in overlays_of(_only(place, group), frame_number, values)[:1]
    )
    if own.palette is not None or first_of(image, "00280002") == 3:
        return replace(own, overlays=overlays)
    voi = next(
        (
            item
            for item in items_of(state, _SOFTCOPY_VOI)
            if _applies(item, str(first_of(image, "00080018")), frame_number)
        ),
        {},
    )
    signs = {tag: image[tag] for tag in ("00280101", "00280103") if tag in image}
    grey = presentation_of(
        {"00280004": {"vr": "CS", "Value": ["MONOCHROME2"]}}
        | signs
        | {tag: state[tag] for tag in ("00281052", "00281053", "00283000") if tag in state}
        | {tag: element for tag, element in voi.items() if tag.startswith("0028")},
        1,
        bulk,
    )
    return replace(
        grey,
        voi=grey.voi or _everything(image, grey),
        inverted=str(first_of(state, _LUT_SHAPE)).strip() == "INVERSE",
        overlays=overlays,
        padding=None,
    )


def _only(attributes: Attributes, group: str) -> Attributes:
    return {tag: element for tag, element in attributes.items() if tag.startswith(group)}


def _everything(image: Attributes, grey: Presentation) -> Window | None:
    """The window of all values that there can be, which is what no VOI LUT means under a state."""
    bits = grey.bits_stored
    if not 1 <= bits <= 16 or not isinstance(bits, int):
        return None
    low = -(1 << bits - 1) if first_of(image, "00280103") == 1 else 0
    ends = np.array([low, low + (1 << bits) - 1], np.float64)
    match grey.modality:
        case None:
            pass
        case LookupTable(bits=width):
            ends = np.array([0, (1 << width) - 1], np.float64)
        case Rescale(slope, intercept):
            ends = np.sort(ends * slope + intercept)
    return Window(float(ends.mean()) + 0.5, float(ends[1] - ends[0]) + 1)


def _area(item: Attributes) -> Area | None:
    """Its corners are of the image as it is shown, so that they may have changed sides."""
    corners = [_pair(item, tag) for tag in (_TOP_LEFT, _BOTTOM_RIGHT)]
    if None in corners:
        return None
    columns, rows = (sorted(int(place) for place in axis) for axis in zip(*corners, strict=True))
    if max(map(abs, columns + rows)) > _LARGEST_PLACE:
        return None
    return Area(columns[0] - 1, rows[0] - 1, columns[1], rows[1])


def _magnification(item: Attributes) -> float:
    if str(first_of(item, _SIZE_MODE)).strip() != "MAGNIFY":
        return 1.0
    factor = _number(item, _MAGNIFICATION, 1.0)
    return factor if 0.01 <= factor <= 100 else 1.0


def _pixel_height(item: Attributes) -> float:
    """Spacing and aspect ratio both name the vertical one first."""
    for tag in (_SPACING, _ASPECT):
        pair = _pair(item, tag)
        if pair is not None and min(pair) > 0 and 0.05 <= pair[0] / pair[1] <= 20:
            return pair[0] / pair[1]
    return 1.0


def _applies(item: Attributes, uid: str, frame_number: int) -> bool:
    """Whether an item is about the frame: of those that name no image, all are."""
    images = items_of(item, _IMAGES)
    return not images or any(
        first_of(image, _INSTANCE_UID) == uid
        and frame_number in (values_of(image, _FRAMES) or [frame_number])
        for image in images
    )


def _frame_of(image: Attributes) -> int:
    frame = first_of(image, _FRAMES)
    return frame if isinstance(frame, int) and frame > 0 else 1


def _pair(item: Attributes, tag: str) -> tuple[float, float] | None:
    values = values_of(item, tag)
    if len(values) != 2 or not all(isinstance(value, int | float) for value in values):
        return None
    return float(values[0]), float(values[1])


def _number(attributes: Attributes, tag: str, default: float) -> float:
    value = first_of(attributes, tag)
    return float(value) if isinstance(value, int | float) else default
