"""How an image's stored values become what is shown, as its data set says.

    presentation_of(attributes, frame_number) -> Presentation

The stages are those of PS3.4 N.2: Modality LUT, VOI LUT, then inversion of MONOCHROME1, or the
palette of colour; overlays lie over that. An enhanced multi-frame image says the first two in its
functional groups, of one frame or shared by all (PS3.3 C.7.6.16); elsewhere they stand at the top
level.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite

from app.dicom import normal
from app.dicom.jsonvalues import Attributes, first_of, items_of
from app.dicom.lookup import LookupTable, Palette, bulk_path, read_table
from app.dicom.overlays import Overlay, overlay_paths, overlays_of
from app.errors import InvalidParameter, Unprocessable


class WindowFunction(StrEnum):
    """The shape of a window, PS3.3 C.11.2.1.2 and C.11.2.1.3; values as PS3.18 spells them."""

    LINEAR = "linear"
    LINEAR_EXACT = "linear-exact"
    SIGMOID = "sigmoid"


@dataclass(frozen=True, slots=True)
class Window:
    """A window on the values that come out of the Modality LUT."""

    center: float
    width: float
    function: WindowFunction = WindowFunction.LINEAR

    @property
    def usable(self) -> bool:
        """Whether its width is one that the function is defined for."""
        least = 1.0 if self.function is WindowFunction.LINEAR else 0.0
        enough = self.width >= least if least else self.width > least
        return isfinite(self.center) and isfinite(self.width) and enough

    @classmethod
    def parse(cls, text: str) -> "Window":
        """Of the `window` parameter, `center,width,function` (PS3.18 8.3.5.1.4).

        Raises `InvalidParameter`.
        """
        if text.count(",") != 2:
            raise InvalidParameter("window", text, "must be center,width,function")
        first, second, named = text.split(",")
        center, width = normal.decimal(first), normal.decimal(second)
        function = named.strip().lower()
        if center is None or width is None or function not in set(WindowFunction):
            functions = ", ".join(WindowFunction)
            raise InvalidParameter("window", text, f"must be two numbers and one of {functions}")
        window = cls(center, width, WindowFunction(function))
        if not window.usable:
            raise InvalidParameter("window", text, "the width is too small")
        return window


@dataclass(frozen=True, slots=True)
class Rescale:
    """A linear Modality LUT: output = stored value * slope + intercept."""

    slope: float
    intercept: float


@dataclass(frozen=True, slots=True)
class Presentation:
    """What is done to the samples of one frame; the window of a caller replaces `voi`."""

    modality: Rescale | LookupTable | None = None
    voi: Window | LookupTable | None = None
    inverted: bool = False
    palette: Palette | None = None
    bits_stored: int = 8
    overlays: tuple[Overlay, ...] = ()
    padding: tuple[float, float] | None = None
    """The stored values, from and to, that are no part of the image (PS3.3 C.7.5.1.1.2)."""


_RESCALE_INTERCEPT, _RESCALE_SLOPE = "00281052", "00281053"
_WINDOW_CENTER, _WINDOW_WIDTH, _VOI_LUT_FUNCTION = "00281050", "00281051", "00281056"
_MODALITY_LUT_SEQUENCE, _VOI_LUT_SEQUENCE = "00283000", "00283010"
_LUT_DESCRIPTOR, _LUT_DATA = "00283002", "00283006"
_SHARED_GROUPS, _PER_FRAME_GROUPS = "52009229", "52009230"
_PIXEL_VALUE_TRANSFORMATION, _FRAME_VOI_LUT = "00289145", "00289132"
_PALETTE_DESCRIPTORS = ("00281101", "00281102", "00281103")
_PALETTE_DATA = ("00281201", "00281202", "00281203")
_PALETTE_SEGMENTS = ("00281221", "00281222", "00281223")
_FUNCTIONS = {"LINEAR_EXACT": WindowFunction.LINEAR_EXACT, "SIGMOID": WindowFunction.SIGMOID}


def presentation_of(
    attributes: Attributes, frame_number: int, bulk: Mapping[str, bytes]
) -> Presentation:
    """The presentation of one frame (counted from 1).

    `bulk` has the values of `lookup_paths` by their path. Raises `Unprocessable` if a palette is
    missing or cannot be used; other tables and windows that cannot be used are passed over.
    """
    photometric = str(first_of(attributes, "00280004") or "").strip()
    signed = first_of(attributes, "00280103") == 1
    bits = first_of(attributes, "00280101") or first_of(attributes, "00280100") or 8
    overlays = overlays_of(attributes, frame_number, bulk)
    if photometric == "PALETTE COLOR":
        return Presentation(palette=_palette(attributes, bulk), overlays=overlays, bits_stored=bits)
    modality = _modality(attributes, frame_number, bulk, signed=signed)
    below_zero = signed or (isinstance(modality, Rescale) and modality.intercept < 0)
    return Presentation(
        modality=modality,
        voi=_voi(attributes, frame_number, bulk, signed=below_zero),
        inverted=photometric == "MONOCHROME1",
        overlays=overlays,
        bits_stored=bits,
        padding=_padding(attributes),
    )


def lookup_paths(attributes: Attributes, frame_number: int) -> list[str]:
    """The paths of the lookup tables and overlays of this frame that lie outside the JSON."""
    elements = [attributes.get(tag, {}) for tag in (*_PALETTE_DATA, *_PALETTE_SEGMENTS)]
    for sequence, group in (
        (_MODALITY_LUT_SEQUENCE, _PIXEL_VALUE_TRANSFORMATION),
        (_VOI_LUT_SEQUENCE, _FRAME_VOI_LUT),
    ):
        elements += [
            item.get(_LUT_DATA, {})
            for place in _places(attributes, frame_number, group)
            for item in items_of(place, sequence)[:1]
        ]
    tables = [path for element in elements if (path := bulk_path(element)) is not None]
    return [*tables, *overlay_paths(attributes)]


def _places(attributes: Attributes, frame_number: int, group: str) -> Iterator[Attributes]:
    """Where a frame's attributes of a functional group may stand, the closest one first."""
    for frame in items_of(attributes, _PER_FRAME_GROUPS)[frame_number - 1 : frame_number]:
        yield from items_of(frame, group)[:1]
    for shared in items_of(attributes, _SHARED_GROUPS)[:1]:
        yield from items_of(shared, group)[:1]
    yield attributes


def _number(attributes: Attributes, tag: str) -> float | None:
    """A number of the JSON model, which may also be a string (PS3.18 F.2.3); None if it is none."""
    try:
        value = float(first_of(attributes, tag))
    except (TypeError, ValueError):
        return None
    return value if isfinite(value) else None


def _modality(
    attributes: Attributes, frame_number: int, bulk: Mapping[str, bytes], *, signed: bool
) -> Rescale | LookupTable | None:
    for place in _places(attributes, frame_number, _PIXEL_VALUE_TRANSFORMATION):
        for item in items_of(place, _MODALITY_LUT_SEQUENCE)[:1]:
            table = _table(item, bulk, signed=signed)
            if table:
                return table
        slope = _number(place, _RESCALE_SLOPE)
        intercept = _number(place, _RESCALE_INTERCEPT)
        if slope or intercept is not None:
            return Rescale(slope or 1.0, intercept or 0.0)
    return None


def _voi(
    attributes: Attributes, frame_number: int, bulk: Mapping[str, bytes], *, signed: bool
) -> Window | LookupTable | None:
    for place in _places(attributes, frame_number, _FRAME_VOI_LUT):
        center, width = _number(place, _WINDOW_CENTER), _number(place, _WINDOW_WIDTH)
        if center is not None and width is not None:
            name = str(first_of(place, _VOI_LUT_FUNCTION) or "").strip()
            window = Window(center, width, _FUNCTIONS.get(name, WindowFunction.LINEAR))
            if window.usable:
                return window
        for item in items_of(place, _VOI_LUT_SEQUENCE)[:1]:
            table = _table(item, bulk, signed=signed)
            if table:
                return table
    return None


def _table(item: Attributes, bulk: Mapping[str, bytes], *, signed: bool) -> LookupTable | None:
    try:
        return read_table(item, _LUT_DESCRIPTOR, _LUT_DATA, bulk, signed=signed)
    except Unprocessable:
        return None


def _palette(attributes: Attributes, bulk: Mapping[str, bytes]) -> Palette:
    segmented = _PALETTE_DATA[0] not in attributes
    data = _PALETTE_SEGMENTS if segmented else _PALETTE_DATA
    return Palette(
        *(
            read_table(attributes, descriptor, values, bulk, segmented=segmented)
            for descriptor, values in zip(_PALETTE_DESCRIPTORS, data, strict=True)
        )
    )


def _padding(attributes: Attributes) -> tuple[float, float] | None:
    value = _number(attributes, "00280120")
    if value is None:
        return None
    limit = _number(attributes, "00280121")
    return (value, value) if limit is None else (min(value, limit), max(value, limit))
