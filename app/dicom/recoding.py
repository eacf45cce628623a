"""Pixels from one transfer syntax to another, without loss: decoded, and encoded if that is asked.

    recoding = Recoding(describe(attributes, stored_uid), target_uid)   of those in `targets`
    frame = recode(data, recoding)                                      one frame, in the sandbox
    recoding.changes()                                                  what the data set says then

Rules:
- Every sample keeps its stored value. What is stored with loss is decoded once and stays as it is;
  nothing is encoded with loss, since that would be another image, with a UID of its own.
- Codestreams whose codec takes any precision have Bits Stored bits, the others those of the cell,
  signed values extended to it. All have the sign that Pixel Representation says, or none.
- Colour of the JPEG and JPEG 2000 families comes out as RGB, and enters the latter through the
  reversible transform; YBR_FULL of other syntaxes stays YBR_FULL.
"""

import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import imagecodecs  # loads a codec when it is first named here, and no other
import numpy as np
from rle.rle import encode_frame as encode_rle

from app.dicom.description import PixelDescription
from app.dicom.native import Samples
from app.dicom.pixels import DECODED, LARGEST_FRAME, decode_frame
from app.dicom.uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    transfer_syntax,
)
from app.errors import Unprocessable

_JPEG = "1.2.840.10008.1.2.4."
_RLE = "1.2.840.10008.1.2.5"
_WITH_LOSS_BY_DCT = {_JPEG + "50", _JPEG + "51"}
_REVERSIBLE_COLOUR = {_JPEG + n for n in ("90", "91", "201", "202", "203")}
_MAY_LOSE = {_JPEG + "91", _JPEG + "203"}
"""Transfer syntaxes in which indices of a palette are not allowed (PS3.5 Table 8.2.4-1)."""
_FROM_8_BITS, _FROM_16_BITS, _FROM_32_BITS = 8, 16, 32
_SMALLEST_RESOLUTION = 64

RECIPE = f"{version('hilum')} {imagecodecs.__version__} {version('pylibjpeg-rle')}"
"""The same frame is recoded to the same bytes as long as this is the same."""

NATIVE_TARGETS = (EXPLICIT_VR_LITTLE_ENDIAN, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)

_PLANAR, _PHOTOMETRIC, _HIGH_BIT = 0x00280006, 0x00280004, 0x00280102
_EXTENDED_OFFSETS, _EXTENDED_LENGTHS = 0x7FE00001, 0x7FE00002


@dataclass(frozen=True, slots=True)
class Recoding:
    """Frames of a description, on their way to a transfer syntax of `targets`."""

    description: PixelDescription
    """Of the frames as they are stored."""
    target: str

    @property
    def is_native(self) -> bool:
        """Whether frames are sent uncompressed, one after another."""
        return self.target in NATIVE_TARGETS

    @property
    def frame_bits(self) -> int:
        """Of an uncompressed frame."""
        one = self.description
        return one.rows * one.columns * one.samples_per_pixel * one.bits_allocated

    @property
    def frame_bytes(self) -> int:
        """Of an uncompressed frame by itself; one of single bits ends with a whole byte."""
        return self.native_bytes(1)

    def native_bytes(self, frames: int) -> int:
        """Of so many uncompressed frames one after another; those of single bits share bytes."""
        return -(-self.frame_bits * frames // 8)

    @property
    def photometric_interpretation(self) -> str:
        """Of what is sent."""
        if self.description.samples_per_pixel == 1:
            return self.description.photometric_interpretation
        if _stays_ybr(self.description):
            return "YBR_FULL"
        return "YBR_RCT" if self.target in _REVERSIBLE_COLOUR else "RGB"

    @property
    def planar_configuration(self) -> int:
        """Of what is sent.

        The segments of RLE lie by plane whatever it says (PS3.5 G.2), so that what is stored stays
        there: which one is allowed is up to the IOD.
        """
        return self.description.planar_configuration if self.target == _RLE else 0

    def changes(self) -> dict[int, bytes | None]:
        """Elements by tag, in Explicit VR Little Endian, or None for those that must go."""
        high_bit = self.description.bits_stored - 1
        changed: dict[int, bytes | None] = {
            _HIGH_BIT: _element(_HIGH_BIT, b"US", struct.pack("<H", high_bit)),
            _EXTENDED_OFFSETS: None,
            _EXTENDED_LENGTHS: None,
        }
        if self.description.samples_per_pixel > 1:
            name = self.photometric_interpretation.encode()
            planar = struct.pack("<H", self.planar_configuration)
            changed[_PHOTOMETRIC] = _element(_PHOTOMETRIC, b"CS", name + b" " * (len(name) % 2))
            changed[_PLANAR] = _element(_PLANAR, b"US", planar)
        return dict(sorted(changed.items()))


def targets(description: PixelDescription, attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """The transfer syntaxes that frames of this description can be sent in, but for the stored one.

    None where something would be lost: bits that belong to an overlay, chroma that is subsampled.
    """
    stored = transfer_syntax(description.transfer_syntax_uid)
    if (
        stored.uid not in DECODED
        or description.floating
        or _has_overlay_in_pixels(attributes)
        or (not stored.encapsulated and description.photometric_interpretation.endswith("_422"))
    ):
        return ()
    native = NATIVE_TARGETS if stored.encapsulated else ()
    palette = description.photometric_interpretation == "PALETTE COLOR"
    encoded = (
        uid
        for uid, encoder in _ENCODERS.items()
        if description.bits_allocated in encoder.cells and not (palette and uid in _MAY_LOSE)
    )
    if description.bits_allocated == 1 and description.samples_per_pixel > 1:
        return ()
    if description.bits_allocated not in (1, _FROM_8_BITS, _FROM_16_BITS, _FROM_32_BITS):
        return ()
    return tuple(uid for uid in (*native, *encoded) if uid != stored.uid)


def recode(
    data: bytes, recoding: Recoding, first_bit: int = 0, largest: int = LARGEST_FRAME
) -> bytes:
    """One frame in the target's encoding. `data`, `first_bit`, `largest`: as for `decode_frame`.

    Raises `TooLarge`, `Unprocessable`.
    """
    description = recoding.description
    if _stays_ybr(description):
        description = replace(description, photometric_interpretation="RGB")
    samples = decode_frame(data, description, first_bit=first_bit, largest=largest)
    if description.bits_allocated == 1:
        samples = np.packbits(samples != 0, bitorder="little")
    else:
        cell = np.dtype(f"{samples.dtype.kind}{description.bits_allocated // 8}")
        samples = np.ascontiguousarray(samples, cell)
    if recoding.is_native:
        return _native(samples, recoding)
    try:
        return bytes(_ENCODERS[recoding.target].encode(samples, recoding))
    except (RuntimeError, ValueError, TypeError, MemoryError) as error:
        raise Unprocessable(f"The frame cannot be encoded: {error}") from error


def _stays_ybr(description: PixelDescription) -> bool:
    return (
        description.photometric_interpretation == "YBR_FULL"
        and description.transfer_syntax_uid not in _WITH_LOSS_BY_DCT
    )


def _has_overlay_in_pixels(attributes: Mapping[str, Any]) -> bool:
    """Whether an overlay lies in bits of the pixels that are not those of the image."""
    return any(
        tag[:2] == "60" and tag[4:] == "0010" and f"{tag[:4]}3000" not in attributes
        for tag in attributes
    )


def _element(tag: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def _native(samples: Samples, _: Recoding) -> bytes:
    return samples.astype(samples.dtype.newbyteorder("<"), copy=False).tobytes()


def _deflated(samples: Samples, recoding: Recoding) -> bytes:
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflate.compress(_native(samples, recoding)) + deflate.flush()


def _rle(samples: Samples, recoding: Recoding) -> bytes:
    one = recoding.description
    size = one.rows, one.columns, one.samples_per_pixel, one.bits_allocated
    encoded: bytes = encode_rle(_native(samples, recoding), *size, "<")
    return encoded


def _jpeg_lossless(samples: Samples, recoding: Recoding) -> Any:
    """First-order prediction, which is one of those of process 14."""
    one = recoding.description
    precision = one.bits_allocated
    if one.pixel_representation == 0 and one.bits_allocated == _FROM_16_BITS:
        precision = max(one.bits_stored, _FROM_8_BITS + 1)
    colour = "RGB" if samples.ndim > 2 else None
    return imagecodecs.jpeg8_encode(
        _unsigned(samples),
        lossless=True,
        predictor=1,
        bitspersample=precision,
        colorspace=colour,
        outcolorspace=colour,
    )


def _jpeg_ls(samples: Samples, _: Recoding) -> Any:
    return imagecodecs.jpegls_encode(_unsigned(samples))


def _jpeg_2000(samples: Samples, recoding: Recoding) -> Any:
    bits = recoding.description.bits_stored
    return imagecodecs.jpeg2k_encode(
        _in_cells_for(bits, samples),
        level=0,
        reversible=True,
        codecformat="j2k",
        bitspersample=bits,
        mct=recoding.photometric_interpretation == "YBR_RCT",
        numthreads=1,
    )


def _high_throughput(samples: Samples, recoding: Recoding) -> Any:
    """In the progression by resolution, and with the markers, that 4.202 asks for (PS3.5 A.4.9)."""
    smallest = min(recoding.description.rows, recoding.description.columns)
    halvings = (-(-smallest // _SMALLEST_RESOLUTION) - 1).bit_length()
    return imagecodecs.htj2k_encode(
        samples,
        reversible=True,
        rgb=recoding.photometric_interpretation == "YBR_RCT",
        resolutions=max(5, halvings),
        tlm=True,
    )


def _in_cells_for(bits: int, samples: Samples) -> Samples:
    """The same samples in the smallest cells for so many bits, as the codec wants them."""
    return samples.astype(f"{samples.dtype.kind}{-(-bits // 8)}", copy=False)


def _unsigned(samples: Samples) -> Samples:
    return samples.view(f"u{samples.dtype.itemsize}")


@dataclass(frozen=True, slots=True)
class _Encoder:
    encode: Callable[[Samples, Recoding], Any]
    cells: tuple[int, ...] = (_FROM_8_BITS, _FROM_16_BITS)
    """The Bits Allocated that it takes."""


_EVERY_CELL = (_FROM_8_BITS, _FROM_16_BITS, _FROM_32_BITS)
_ENCODERS: dict[str, _Encoder] = {
    _JPEG + "80": _Encoder(_jpeg_ls),
    _JPEG + "90": _Encoder(_jpeg_2000),
    _JPEG + "91": _Encoder(_jpeg_2000),
    _JPEG + "201": _Encoder(_high_throughput),
    _JPEG + "202": _Encoder(_high_throughput),
    _JPEG + "203": _Encoder(_high_throughput),
    _JPEG + "70": _Encoder(_jpeg_lossless),
    _JPEG + "57": _Encoder(_jpeg_lossless),
    _RLE: _Encoder(_rle, _EVERY_CELL),
    "1.2.840.10008.1.2.1.98": _Encoder(_native, (1, *_EVERY_CELL)),
    "1.2.840.10008.1.2.8.1": _Encoder(_deflated, (1, *_EVERY_CELL)),
}
"""In our order of preference among those that a caller takes as readily, as `image/*`.

First what is quick to make, small, and decoded by viewers under a name that says what it is: who
sees `image/jpeg` does not expect a lossless one, and nothing else than DICOM has RLE.
"""

TARGETS = (*NATIVE_TARGETS, *_ENCODERS)
"""The transfer syntaxes that frames can be sent in, if nothing stands against it."""
