"""A decoded frame to what a screen shows.

    samples -> Modality LUT -> VOI LUT -> inversion or palette -> overlays -> viewport

8-bit samples of grey that have neither a Modality nor a VOI LUT are shown as they are; others
without a VOI are spread over the full range from the least to the greatest of them. An image of 16
bits or less goes through one table that has all the stages of grey in it.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.dicom.lookup import LookupTable, to_eight_bits
from app.dicom.native import Samples
from app.dicom.presentation import Presentation, Rescale, Window, WindowFunction
from app.dicom.viewport import Image, Viewport

VALUES_AT_ONCE = 256 * 1024
"""That go through the stages by themselves, where no table has all of them: 2 MiB of floats."""


def render(
    samples: Samples,
    presentation: Presentation,
    *,
    window: Window | None = None,
    viewport: Viewport | None = None,
    cells: Samples | None = None,
) -> Image:
    """The pixels to show: rows x columns of grey, and x 3 of red, green and blue.

    `samples` are those of `app.dicom.pixels.decode_frame`. `window` replaces that of the image and
    means nothing where the image is one of colour. `cells`: for overlays that lie in them.
    """
    if presentation.palette is not None:
        image = presentation.palette.apply(samples)
    elif samples.ndim == 3:
        image = to_eight_bits(samples, presentation.bits_stored)
    else:
        image = _grey(samples, presentation, window or presentation.voi)
    if presentation.overlays:
        image = np.array(image)  # it may be the samples themselves
        for overlay in presentation.overlays:
            overlay.burn(image, cells)
    return viewport.apply(image) if viewport else image


def shown_as_stored(presentation: Presentation, *, colour: bool) -> bool:
    """Whether 8-bit unsigned samples of such an image are what is shown."""
    if presentation.palette is not None or presentation.bits_stored != 8 or presentation.overlays:
        return False
    if presentation.modality is None and presentation.voi is None:
        return colour or not presentation.inverted
    if colour or presentation.voi is None:
        return colour
    every = np.arange(256, dtype=np.uint8)
    return bool((_grey(every, presentation, presentation.voi) == every).all())


def _grey(samples: Samples, presentation: Presentation, voi: Window | LookupTable | None) -> Image:
    plain = samples.dtype == np.uint8 and presentation.bits_stored == 8
    if voi is None and presentation.modality is None and plain:
        return 255 - samples if presentation.inverted else samples
    voi = voi or _full_range(samples, presentation)
    if samples.dtype.itemsize > 2:
        rows = max(1, VALUES_AT_ONCE // samples.shape[1])
        strips = (samples[top : top + rows] for top in range(0, samples.shape[0], rows))
        return np.concatenate(
            [_shown(strip, presentation.modality, voi, presentation.inverted) for strip in strips]
        )
    table = _table(samples.dtype.str, presentation.modality, voi, presentation.inverted)
    shown: Image = table[samples.view(f"u{samples.dtype.itemsize}")]
    return shown


@lru_cache(maxsize=128)
def _table(
    dtype: str, modality: Rescale | LookupTable | None, voi: Window | LookupTable, inverted: bool
) -> NDArray[np.uint8]:
    """What is shown for each value of the type, in the order of their bit patterns."""
    size = np.dtype(dtype).itemsize
    every = np.arange(1 << 8 * size, dtype=f"u{size}").view(dtype)
    return _shown(every, modality, voi, inverted)


def _shown(
    samples: Samples,
    modality: Rescale | LookupTable | None,
    voi: Window | LookupTable,
    inverted: bool,
) -> Image:
    with np.errstate(all="ignore"):
        values = _modality_values(samples, modality)
        if isinstance(voi, Window):
            shown = np.rint(windowed(values, voi) * 255).astype(np.uint8)
        else:
            shown = to_eight_bits(voi.apply(values), voi.bits)
    return 255 - shown if inverted else shown


def _modality_values(samples: Samples, modality: Rescale | LookupTable | None) -> NDArray[Any]:
    match modality:
        case None:
            return samples.astype(np.float64)
        case Rescale(slope, intercept):
            return samples.astype(np.float64) * slope + intercept
        case LookupTable():
            return modality.apply(samples).astype(np.float64)


def windowed(values: NDArray[np.float64], window: Window) -> NDArray[np.float64]:
    """The values through the window, from 0 to 1 (PS3.3 C.11.2.1.2.1, C.11.2.1.3). NaN is 0."""
    center, width = window.center, window.width
    match window.function:
        case WindowFunction.LINEAR if width == 1:
            shown = (values > center - 0.5).astype(np.float64)
        case WindowFunction.LINEAR:
            shown = (values - (center - 0.5)) / (width - 1) + 0.5
        case WindowFunction.LINEAR_EXACT:
            shown = (values - center) / width + 0.5
        case WindowFunction.SIGMOID:
            exponent = (-4 * (values - center) / width).clip(-700, 700)
            shown = 1 / (1 + np.exp(exponent))
    return np.nan_to_num(shown, nan=0.0).clip(0, 1)


def _full_range(samples: Samples, presentation: Presentation) -> Window:
    """From the least to the greatest value of the frame, its padding left out."""
    if presentation.bits_stored == 1:
        return Window(0.5, 1.0, WindowFunction.LINEAR_EXACT)
    inside = samples[np.isfinite(samples)] if samples.dtype.kind == "f" else samples
    if presentation.padding is not None:
        low, high = presentation.padding
        inside = inside[(inside < low) | (inside > high)]
    if not inside.size:
        inside = np.zeros(1, samples.dtype)
    if not isinstance(presentation.modality, LookupTable):
        inside = np.array([inside.min(), inside.max()])
    values = _modality_values(inside, presentation.modality)
    least, greatest = float(values.min()), float(values.max())
    width = greatest - least or 1.0
    return Window(least + width / 2, width, WindowFunction.LINEAR_EXACT)
