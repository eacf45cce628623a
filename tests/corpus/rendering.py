"""What an image should look like: decoded by pydicom, taken through the stages of PS3.4 N.2 here.

Nothing of the archive's own code is used. `shown` gives the pixels of one frame and by how much
those of the archive may differ: by one where decoding is exact, by more where it is a matter of
taste of the decoder.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels import pixel_array
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
from pydicom.uid import ExplicitVRBigEndian

JPEG_LOSSY = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"}
SIGNED_CODESTREAMS = {f"1.2.840.10008.1.2.4.{number}" for number in (90, 91, 92, 93)}
LOSSY = JPEG_LOSSY | {"1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.203"}

PIXELS = "PixelData", "FloatPixelData", "DoubleFloatPixelData"

Shown = tuple[NDArray[np.uint8], int]


def shown(dataset: pydicom.Dataset, number: int) -> Shown:
    """Frame `number` (from 1) as grey or RGB, and the greatest difference that is no mistake.

    Raises whatever pydicom raises of what it cannot decode.
    """
    samples = pixel_array(dataset, index=number - 1)
    bits = dataset.get("BitsStored") or dataset.BitsAllocated
    uid = dataset.file_meta.TransferSyntaxUID
    tolerance = 3 if uid in LOSSY else 1
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        image = np.rint(apply_color_lut(samples, dataset) / 65535 * 255)
        if dataset.RedPaletteColorLookupTableDescriptor[2] == 8:
            image = apply_color_lut(samples, dataset)
    elif samples.ndim == 3:
        image = samples if bits == 8 else np.rint(samples / (2**bits - 1) * 255)
    else:
        image, steepness = _grey(dataset, samples, number, bits)
        if uid in LOSSY:
            tolerance = int(np.ceil(2 * max(steepness, 1))) + 1
    image = np.array(image, np.uint8)
    for mask, top, left in _overlays(dataset, number):
        image[max(top, 0) :, max(left, 0) :][: mask.shape[0], : mask.shape[1]][mask] = 255
    return image, tolerance


def pydicom_is_wrong(dataset: pydicom.Dataset) -> str | None:
    """Why the archive may show it otherwise, where pydicom is known to be wrong."""
    syntax = dataset.file_meta.TransferSyntaxUID
    photometric = dataset.PhotometricInterpretation
    if photometric == "PALETTE COLOR" and syntax == ExplicitVRBigEndian:
        return "pydicom reads a palette in big endian as if it were little endian"
    if photometric == "RGB" and syntax in JPEG_LOSSY:
        return "pydicom takes an RGB JPEG without markers for one of YCbCr, browsers do not"
    if syntax in SIGNED_CODESTREAMS and dataset.PixelRepresentation == 0:
        return "the codestream is signed though the data set says that it is not"
    return None


def _grey(
    dataset: pydicom.Dataset, samples: NDArray[Any], number: int, bits: int
) -> tuple[NDArray[Any], float]:
    """The grey shown, and by how many levels a step of one stored value changes it."""
    place = _place(dataset, number, "PixelValueTransformationSequence")
    voi = _place(dataset, number, "FrameVOILUTSequence")
    values, step = samples.astype(np.float64), 1.0
    transformed = False
    if "ModalityLUTSequence" in place:
        values = apply_modality_lut(samples, place).astype(np.float64)
        transformed = True
    elif "RescaleSlope" in place and "RescaleIntercept" in place:
        step = float(place.RescaleSlope) or 1.0
        values = values * step + float(place.RescaleIntercept)
        transformed = True
    center, width = (_first(voi.get(name)) for name in ("WindowCenter", "WindowWidth"))
    if center is not None and width is not None and width >= 1:
        function = str(voi.get("VOILUTFunction") or "LINEAR")
        grey = _windowed(values, float(center), float(width), function)
        steepness = step / width * 255
    elif voi.get("VOILUTSequence"):
        item = voi.VOILUTSequence[0]
        grey = _looked_up(
            values, item, signed=bool(dataset.PixelRepresentation == 1 or np.min(values) < 0)
        )
        steepness = 255.0
    elif bits == 8 and not transformed and dataset.PixelRepresentation == 0:
        grey, steepness = values, 1.0
    elif bits == 1:
        grey, steepness = values * 255, 255.0
    else:
        inside = values[_is_image(dataset, samples)]
        if not inside.size:
            inside = np.zeros(1)
        low, high = float(np.min(inside)), float(np.max(inside))
        grey = ((values - low) / ((high - low) or 1.0)).clip(0, 1) * 255
        steepness = step / ((high - low) or 1.0) * 255
    grey = np.rint(grey)
    return (255 - grey if dataset.PhotometricInterpretation == "MONOCHROME1" else grey), steepness


def _windowed(
    values: NDArray[np.float64], center: float, width: float, function: str
) -> NDArray[np.float64]:
    """PS3.3 C.11.2.1.2 and C.11.2.1.3."""
    if function == "SIGMOID":
        exponent = (-4 * (values - center) / width).clip(-700, 700)
        return np.asarray(255 / (1 + np.exp(exponent)))
    if function == "LINEAR_EXACT":
        return ((values - center) / width + 0.5).clip(0, 1) * 255
    if width == 1:
        return np.where(values <= center - 0.5, 0.0, 255.0)
    return ((values - (center - 0.5)) / (width - 1) + 0.5).clip(0, 1) * 255


def _looked_up(
    values: NDArray[np.float64], item: pydicom.Dataset, *, signed: bool
) -> NDArray[np.float64]:
    count, first, bits = (int(number) for number in item.LUTDescriptor)
    if signed and first >= 0x8000:
        first -= 0x10000
    data = item.LUTData
    table = np.frombuffer(data, "<u2") if isinstance(data, bytes) else np.array(data)
    table = table[: count or 65536]
    index = (np.trunc(values).astype(np.int64) - first).clip(0, len(table) - 1)
    return np.asarray(table[index] / (2**bits - 1) * 255, np.float64)


def _is_image(dataset: pydicom.Dataset, samples: NDArray[Any]) -> NDArray[np.bool_]:
    padding = dataset.get("PixelPaddingValue")
    if padding is None:
        return np.asarray(np.isfinite(samples))
    limit = dataset.get("PixelPaddingRangeLimit", padding)
    low, high = sorted((float(padding), float(limit)))
    return np.asarray((samples < low) | (samples > high))


def _place(dataset: pydicom.Dataset, number: int, group: str) -> pydicom.Dataset:
    """Where the attributes of a functional group stand for one frame."""
    frames = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    for place in (*frames[number - 1 : number], *shared[:1]):
        if place.get(group):
            found: pydicom.Dataset = place[group].value[0]
            return found
    return dataset


def _overlays(
    dataset: pydicom.Dataset, number: int
) -> Iterator[tuple[NDArray[np.bool_], int, int]]:
    for group in range(0x6000, 0x6020, 2):
        if dataset.get((group, 0x0040)) is None or dataset[group, 0x0040].value != "G":
            continue
        if (group, 0x3000) in dataset:
            mask = dataset.overlay_array(group).astype(bool)
        else:
            mask = _in_the_cells(dataset, number, dataset[group, 0x0102].value)
        if mask.ndim == 3:
            first = int(dataset[group, 0x0051].value) if (group, 0x0051) in dataset else 1
            if not 0 <= number - first < len(mask):
                continue
            mask = mask[number - first]
        top, left = (int(place) - 1 for place in dataset[group, 0x0050].value)
        yield mask[max(-top, 0) :, max(-left, 0) :], top, left


def _in_the_cells(dataset: pydicom.Dataset, number: int, bit: int) -> NDArray[np.bool_]:
    """One of the bits of native pixel data, which is not part of their values."""
    cells = np.frombuffer(dataset.PixelData, f"<u{dataset.BitsAllocated // 8}")
    frames = cells[: dataset.Rows * dataset.Columns * number].reshape(-1, *_sides(dataset))
    return np.asarray(frames[number - 1] >> bit & 1, bool)


def _sides(dataset: pydicom.Dataset) -> tuple[int, int]:
    return dataset.Rows, dataset.Columns


def _first(value: Any) -> float | None:
    if value is None or value == "":
        return None
    return float(value[0] if isinstance(value, pydicom.multival.MultiValue) else value)
