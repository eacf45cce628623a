"""One frame's bytes, native or compressed, to an array of its samples.

    decode_frame(data, describe(attributes, transfer_syntax_uid)) -> rows x columns [x 3]

Rules: nothing is decoded before the sizes that the codestream claims have been found equal to Rows
and Columns; every decoder writes into an array that was zeroed and has exactly that shape, so no
memory of the process can shine through a broken frame; whatever a decoder raises becomes
`Unprocessable`, but for want of memory. Three samples always come out as R, G, B; PALETTE COLOR
stays an index.
"""

import zlib
from collections.abc import Callable
from dataclasses import replace

import imagecodecs  # loads a codec when it is first named here, and no other
import numpy as np
from rle.rle import decode_frame as decode_rle

from app.dicom.codestreams import (
    CodestreamHeader,
    Colour,
    read_jpeg,
    read_jpeg2000,
    read_rle,
    without_boxes,
)
from app.dicom.description import PixelDescription
from app.dicom.native import Samples, as_described, as_rgb, interleaved, native_frame
from app.dicom.uids import TRANSFER_SYNTAXES, transfer_syntax
from app.errors import TooLarge, Unprocessable

JPEG_BASELINE = "1.2.840.10008.1.2.4.50"

LARGEST_FRAME = 64_000_000
"""Pixels of a frame that is decoded, unless the caller says otherwise."""


def decode_frame(
    data: bytes,
    description: PixelDescription,
    *,
    first_bit: int = 0,
    largest: int = LARGEST_FRAME,
) -> Samples:
    """The samples of one frame: rows x columns, and x 3 (R, G, B) for colour.

    `data` is the frame's native bytes, of which it begins with bit `first_bit`, or its codestream,
    fragments joined. Samples keep their stored values:
    unsigned or signed integers as wide as needed, or floats. Raises `TooLarge` beyond `largest`
    pixels and `Unprocessable` for whatever cannot be decoded.
    """
    if description.rows * description.columns > largest:
        raise TooLarge(
            f"A frame of {description.rows} x {description.columns} pixels is too large to decode."
        )
    uid = description.transfer_syntax_uid
    try:
        if not transfer_syntax(uid).encapsulated:
            return native_frame(data, description, first_bit)
        if uid in _DECODERS:
            return _DECODERS[uid](data, description)
    except (RuntimeError, ValueError, TypeError, zlib.error) as error:
        raise Unprocessable(f"The frame cannot be decoded: {error}") from error
    raise Unprocessable(f"Frames of the transfer syntax {uid} cannot be decoded.")


def is_plain_jpeg(data: bytes, description: PixelDescription) -> bool:
    """Whether the codestream of a frame is one that every browser shows as it is meant.

    Raises `Unprocessable` if it is broken or contradicts the data set.
    """
    if description.transfer_syntax_uid != JPEG_BASELINE:
        return False
    header = read_jpeg(data)
    _agree(header, description)
    return header.precision == 8 and (header.samples == 1 or _coded_as_ybr(header, description))


def _agree(header: CodestreamHeader, description: PixelDescription) -> None:
    found = header.rows, header.columns, header.samples
    said = description.rows, description.columns, description.samples_per_pixel
    if found != said:
        raise Unprocessable(
            "The frame cannot be decoded: its codestream is of {} x {} pixels with {} samples, "
            "the data set says {} x {} with {}.".format(*found, *said)
        )
    if header.precision > description.bits_allocated:
        raise Unprocessable(
            f"The frame cannot be decoded: its codestream has samples of {header.precision} bits, "
            f"the data set allots {description.bits_allocated}."
        )


def _target(header: CodestreamHeader, description: PixelDescription) -> Samples:
    size = 1 if header.precision <= 8 else 2 if header.precision <= 16 else 4
    return np.zeros(description.shape, f"{'i' if header.signed else 'u'}{size}")


def _jpeg(data: bytes, description: PixelDescription) -> Samples:
    header = read_jpeg(data)
    _agree(header, description)
    out = _target(header, description)
    if header.samples == 1:
        imagecodecs.jpeg8_decode(data, out=out)
    elif header.lossless or not _coded_as_ybr(header, description):
        imagecodecs.jpeg8_decode(data, colorspace="RGB", outcolorspace="RGB", out=out)
    else:
        imagecodecs.jpeg8_decode(data, colorspace="YCBCR", outcolorspace="RGB", out=out)
    samples = as_described(out, description, header.precision)
    return as_rgb(samples, description) if header.lossless else samples


def _coded_as_ybr(header: CodestreamHeader, description: PixelDescription) -> bool:
    """The codestream knows best; Photometric Interpretation decides where it says nothing."""
    if header.colour is not None:
        return header.colour is Colour.YBR
    return description.photometric_interpretation.startswith("YBR")


def _jpeg_ls(data: bytes, description: PixelDescription) -> Samples:
    header = read_jpeg(data, ls=True)
    _agree(header, description)
    out = _target(header, description)
    if header.planar:
        planes = out.reshape(3, *description.shape[:2])
        imagecodecs.jpegls_decode(data, out=planes)
        out = np.ascontiguousarray(np.moveaxis(planes, 0, 2))
    else:
        imagecodecs.jpegls_decode(data, out=out)
    return as_rgb(as_described(out, description, header.precision), description)


def _jpeg_2000(data: bytes, description: PixelDescription) -> Samples:
    """OpenJPEG for High-Throughput JPEG 2000 too.

    OpenJPH is twice as fast, but here it returns a damaged frame as if it were whole, with black
    where it could not go on, and turns into black what a lossy frame makes brighter than white.
    """
    codestream = without_boxes(data)
    header = read_jpeg2000(codestream)
    _agree(header, description)
    out = _target(header, description)
    imagecodecs.jpeg2k_decode(codestream, numthreads=1, out=out)
    return as_rgb(as_described(out, description, header.precision), description)


def _rle(data: bytes, description: PixelDescription) -> Samples:
    header = read_rle(data, description.rows, description.columns, description.bits_allocated)
    _agree(header, description)
    pixels = description.rows * description.columns
    if description.bits_allocated == 1:
        return native_frame(bytes(decode_rle(data, -(-pixels // 8), 8, "<")), description)
    planes = decode_rle(data, pixels, description.bits_allocated, "<")
    samples = np.frombuffer(planes, f"<u{description.bits_allocated // 8}")
    samples = interleaved(samples, replace(description, planar_configuration=1))
    return as_rgb(as_described(samples, description), description)


def _deflated(data: bytes, description: PixelDescription) -> Samples:
    """Deflated Image Frame Compression (PS3.5 A.4.13): never inflated beyond what a frame needs."""
    bits = description.rows * description.columns * description.samples_per_pixel
    needed = -(-bits * description.bits_allocated // 8)
    return native_frame(zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, needed), description)


_DECODERS: dict[str, Callable[[bytes, PixelDescription], Samples]] = {
    "1.2.840.10008.1.2.1.98": native_frame,
    "1.2.840.10008.1.2.5": _rle,
    "1.2.840.10008.1.2.8.1": _deflated,
    **{f"1.2.840.10008.1.2.4.{n}": _jpeg for n in (50, 51, 57, 70)},
    **{f"1.2.840.10008.1.2.4.{n}": _jpeg_ls for n in (80, 81)},
    **{f"1.2.840.10008.1.2.4.{n}": _jpeg_2000 for n in (90, 91, 92, 93, 201, 202, 203)},
}

DECODED = frozenset(_DECODERS) | {
    uid for uid, syntax in TRANSFER_SYNTAXES.items() if not syntax.encapsulated
}
"""The transfer syntaxes whose frames can be decoded."""
