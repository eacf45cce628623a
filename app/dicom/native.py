"""Frames as they lie when nothing is compressed (PS3.5 8.1, 8.2), and what samples mean then.

`interleaved`, `as_described` and `as_rgb` are the last steps for compressed frames too.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.dicom.description import PixelDescription
from app.errors import Unprocessable

Samples = NDArray[Any]

_PIXELS_AT_ONCE = 64 * 1024
"""That are converted to RGB: their floats find place in the processor's cache."""


def native_frame(data: bytes, description: PixelDescription, first_bit: int = 0) -> Samples:
    """The samples of a frame that is not compressed, beginning with bit `first_bit` of `data`.

    Raises `Unprocessable` if the bytes are fewer than the frame needs.
    """
    if description.swapped_bytes:
        data = _in_reading_order(data)
    data, first_bit = data[first_bit // 8 :], first_bit % 8
    count = description.rows * description.columns * description.samples_per_pixel
    if description.photometric_interpretation == "YBR_FULL_422":
        return as_rgb(_native_422(data, description), description)
    if description.bits_allocated == 1:
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
        samples: Samples = bits[first_bit : first_bit + count]
    else:
        kind = "f" if description.floating else "u"
        order = ">" if description.big_endian else "<"
        dtype = np.dtype(f"{order}{kind}{description.bits_allocated // 8}")
        samples = np.frombuffer(data, dtype, min(count, len(data) // dtype.itemsize))
        samples = samples.astype(dtype.newbyteorder("="), copy=False)
    if samples.size < count:
        raise Unprocessable(
            f"The frame cannot be decoded: it has {samples.size} of its {count} samples."
        )
    return as_rgb(as_described(interleaved(samples, description), description), description)


def _in_reading_order(data: bytes) -> bytes:
    """Bytes as they lie in big endian 16-bit words, in the order of their pixels (PS3.5 8.1.1)."""
    padded = data + b"\0" * (len(data) % 2)
    return np.frombuffer(padded, np.uint16).byteswap().tobytes()


class BitJoiner:
    """Frames of single bits, one right after another: they may share bytes (PS3.5 8.1.1)."""

    def __init__(self, frame_bits: int) -> None:
        self._frame_bits = frame_bits
        self._carried = 0
        self._bits = 0
        """How many are carried."""

    def add(self, frame: bytes) -> bytes:
        """The bytes that are whole with the next frame, which begins and ends with a whole byte."""
        number = int.from_bytes(frame, "little") & ((1 << self._frame_bits) - 1)
        number = number << self._bits | self._carried
        whole, self._bits = divmod(self._bits + self._frame_bits, 8)
        self._carried = number >> 8 * whole
        return (number & ((1 << 8 * whole) - 1)).to_bytes(whole, "little")

    def finish(self) -> bytes:
        """The last byte, if it is not whole."""
        return bytes([self._carried]) if self._bits else b""


def interleaved(samples: Samples, description: PixelDescription) -> Samples:
    """The samples in the shape of the frame, where they may lie plane after plane."""
    if description.samples_per_pixel > 1 and description.planar_configuration == 1:
        return np.ascontiguousarray(np.moveaxis(samples.reshape(-1, *description.shape[:2]), 0, 2))
    return samples.reshape(description.shape)


def _native_422(data: bytes, description: PixelDescription) -> Samples:
    """Y1 Y2 Cb Cr for each two pixels of a row (PS3.3 C.7.6.3.1.2)."""
    rows, columns, _ = description.shape
    if columns % 2 or description.bits_allocated != 8 or len(data) < rows * columns * 2:
        raise Unprocessable("The frame cannot be decoded: its YBR_FULL_422 pairs are not whole.")
    pairs = np.frombuffer(data, np.uint8, rows * columns * 2).reshape(rows, columns // 2, 4)
    samples = np.empty((rows, columns, 3), np.uint8)
    samples[:, 0::2, 0] = pairs[..., 0]
    samples[:, 1::2, 0] = pairs[..., 1]
    samples[..., 1:] = np.repeat(pairs[..., 2:], 2, axis=1)
    return samples


def as_described(
    samples: Samples, description: PixelDescription, precision: int | None = None
) -> Samples:
    """The stored values: of each cell the bits from High Bit down, signed where they are.

    `precision` is that of a codestream. A codestream codes the values alone, so that nothing has to
    be cut off; but what is signed in it may have been coded as if it were not. What was coded as
    signed is so, also where the data set says that it is not: below zero there may be values.
    """
    if description.floating:
        return samples
    cell = samples.dtype.itemsize * 8
    if precision is None:
        low = description.high_bit + 1 - description.bits_stored
        width = description.bits_stored
    else:
        low, width = 0, min(precision, description.bits_stored)
    coded_signed = samples.dtype.kind == "i"
    if description.pixel_representation == 1 or coded_signed:
        signed = samples.view(f"i{cell // 8}")
        if coded_signed or width == cell:
            return signed
        extended: Samples = (signed << (cell - width - low)) >> (cell - width)
        return extended
    unsigned = samples.view(f"u{cell // 8}")
    if width == cell or precision is not None:
        return unsigned
    masked: Samples = (unsigned >> low) & unsigned.dtype.type((1 << width) - 1)
    return masked


def as_rgb(samples: Samples, description: PixelDescription) -> Samples:
    """R, G and B of what was stored as Y, Cb and Cr; other samples as they are.

    The transforms YBR_RCT and YBR_ICT belong to JPEG 2000, whose decoders undo them.
    """
    if description.photometric_interpretation not in ("YBR_FULL", "YBR_FULL_422"):
        return samples
    rgb = np.empty(samples.shape, samples.dtype)
    rows = max(1, _PIXELS_AT_ONCE // samples.shape[1])
    for top in range(0, samples.shape[0], rows):
        strip = slice(top, top + rows)
        rgb[strip] = _strip_as_rgb(samples[strip], (1 << description.bits_stored) - 1)
    return rgb


def _strip_as_rgb(samples: Samples, most: int) -> Samples:
    y, cb, cr = np.moveaxis(samples.astype(np.float32), 2, 0)
    cb -= (most + 1) // 2
    cr -= (most + 1) // 2
    rgb = np.empty(samples.shape, np.float32)
    rgb[..., 0] = y + 1.402 * cr
    rgb[..., 1] = y - (0.114 * 1.772 / 0.587) * cb - (0.299 * 1.402 / 0.587) * cr
    rgb[..., 2] = y + 1.772 * cb
    return np.rint(rgb).clip(0, most).astype(samples.dtype)
